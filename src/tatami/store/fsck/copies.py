"""Agents' workspaces as far as the disk can tell: git's index, and our record of its commit.

The room of workspaces wraps the same files (docs/formats.md says what is in them). Reads only.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from tatami.store import git
from tatami.store.fsck.report import Look

LOCKED = "tatami workspace"
RECORD = "tatami-base"
ROW = re.compile(rb"([0-9a-f]{40}) (-|[0-9a-f]{40}) ([0-9]+)(?: ([0-9a-f]*))? *\n?")
CHECKSUM_BYTES = 20


class Copy(NamedTuple):
    """A workspace that was made to the end: its registered name and its git directory."""

    name: str
    git_dir: str

    @property
    def index_file(self) -> str:
        """git's index of it."""
        return os.path.join(self.git_dir, "index")

    @property
    def record(self) -> str:
        """Our record of the commit that index and files agree with."""
        return os.path.join(self.git_dir, RECORD)


def check_copies(look: Look) -> None:
    """Every workspace's index and record can be read, and are what was written."""
    copies = list(registered(look.place.common))
    look.checked["workspaces"] = len(copies)
    for copy in copies:
        if what := damaged_index(copy):
            look.found("workspaces", copy.index_file, what)
        if what := damaged_record(look.place.common, copy):
            look.found("workspaces", copy.record, what)


def registered(common: str) -> Iterator[Copy]:
    """Our workspaces, by name; one whose making was interrupted is not there yet."""
    folder = os.path.join(common, "worktrees")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        git_dir = os.path.join(folder, name)
        copy = Copy(name, git_dir)
        made = os.path.exists(copy.index_file) or os.path.exists(copy.record)
        if made and _read(os.path.join(git_dir, "locked")).startswith(LOCKED.encode()):
            yield copy


def damaged_index(copy: Copy) -> str:
    """What is wrong with a workspace's index, which git rarely checks; "" for nothing."""
    if not os.path.exists(copy.index_file):
        return "is missing"
    content = _read(copy.index_file)
    body, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if not content.startswith(b"DIRC"):
        return "is no git index"
    # index.skipHash leaves zeros, which say nothing.
    if checksum == bytes(CHECKSUM_BYTES):
        return ""
    right = hashlib.sha1(body, usedforsecurity=False).digest() == checksum
    return "" if right else "does not have the checksum it ends with"


def damaged_record(common: str, copy: Copy) -> str:
    """What is wrong with a workspace's record; "" for nothing."""
    if not os.path.exists(copy.record):
        return "is missing"
    row = ROW.fullmatch(_read(copy.record))
    if row is None:
        return "cannot be read"
    named = git.run(common, "cat-file", "-t", row[1].decode(), check=False)
    return (
        "" if named.stdout == b"commit\n" else f"names {row[1].decode()[:12]}, which is no commit"
    )


def recorded_commit(copy: Copy) -> str:
    """The commit that a record which is not damaged names."""
    return _read(copy.record)[:40].decode("ascii")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
