"""What commits say and change, for many of them at once: messages, paths and added lines."""

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tatami.workspaces import git

FILES_NAMED_MAX = 20
"""Paths kept of each commit; the rest is counted."""
LINES_MAX = 3
LINE_CHARS_MAX = 100
"""The beginning of what a commit adds tells one from another."""
_PLAIN = (
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--ignore-submodules=none",
)


class Contents(NamedTuple):
    """A commit against its first parent. time: seconds. files: the first of `file_count`.

    lines: the first that it adds. matched: the text that was looked for is in it.
    """

    parents: tuple[str, ...]
    time: int
    message: str
    files: tuple[str, ...]
    file_count: int
    lines: tuple[str, ...]
    matched: bool


class Said(NamedTuple):
    """What a commit says of itself. time: the committer's, in seconds."""

    parents: tuple[str, ...]
    time: int
    message: str


def messages(common: str, commits: Sequence[str]) -> dict[str, Said]:
    """What commits say of themselves, by id; without those that are not there (any more)."""
    stdin = "".join(f"{id}\n" for id in commits).encode()
    listed = git.run(common, "cat-file", "--batch-check", stdin=stdin).stdout.decode().splitlines()
    there = (row.split(" ") for row in listed)
    ids = list(dict.fromkeys(words[0] for words in there if words[1] == "commit"))
    return {id: _said(raw) for id, raw in zip(ids, git.blobs(common, ids), strict=True)}


def read(common: str, commits: Sequence[str], search: str = "") -> dict[str, Contents]:
    """Contents by commit id, without those that are not there (any more).

    search: text that is looked for in messages, paths and added lines, in any case.
    """
    said = messages(common, commits)
    ids = list(said)
    pairs = [(id, parents[:1]) for id, (parents, _, _) in said.items()]
    wanted = search.casefold()
    files = dict(_paths(common, pairs))
    lines: dict[str, list[str]] = {id: [] for id in ids}
    matched = {
        id: any(wanted in text.casefold() for text in (said[id].message, *files.get(id, ())))
        for id in ids
    }
    for id, line in _added(common, pairs):
        if len(lines[id]) < LINES_MAX and line.strip():
            lines[id].append(line.strip()[:LINE_CHARS_MAX])
        matched[id] = matched[id] or wanted in line.casefold()
    return {
        id: Contents(
            parents=parents,
            time=seconds,
            message=message,
            files=tuple(files.get(id, ())[:FILES_NAMED_MAX]),
            file_count=len(files.get(id, ())),
            lines=tuple(lines[id]),
            matched=matched[id],
        )
        for id, (parents, seconds, message) in said.items()
    }


def _said(raw: bytes) -> Said:
    header, _, message = raw.partition(b"\n\n")
    parents: list[str] = []
    seconds = 0
    for line in header.split(b"\n"):
        name, _, value = line.partition(b" ")
        if name == b"parent":
            parents.append(value.decode())
        elif name == b"committer":
            seconds = int(value.rsplit(b" ", 2)[1])
    return Said(tuple(parents), seconds, message.decode("utf-8", "replace"))


Pairs = Iterable[tuple[str, Sequence[str]]]
"""Commits, each with the one it is compared with (none: with nothing)."""


def _paths(common: str, pairs: Pairs) -> Iterator[tuple[str, list[str]]]:
    ids = {id for id, _ in pairs}
    current: list[str] = []
    options = ("-r", "--root", "-z", "--name-only", *_PLAIN)
    done = git.run(common, "diff-tree", "--stdin", *options, stdin=_lines(pairs))
    for field in done.stdout.split(b"\0"):
        text = os.fsdecode(field)
        if text in ids:
            ids.discard(text)
            current = []
            yield text, current
        elif text:
            current.append(text)


def _added(common: str, pairs: Pairs) -> Iterator[tuple[str, str]]:
    """Every line that these commits add, one at a time: all of them need not fit into memory."""
    options = ("-r", "--root", "-p", "-U0", *_PLAIN)
    with tempfile.TemporaryFile() as stdin:
        stdin.write(_lines(pairs))
        stdin.seek(0)
        process = subprocess.Popen(
            ["git", "-C", common, "diff-tree", "--stdin", *options],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git.environment(),
        )
        with process:
            assert process.stdout
            yield from _of_patches(process.stdout)


def _of_patches(output: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    commit, in_hunk = "", False
    for line in output:
        if line.startswith(b"@@ "):
            in_hunk = True
        elif in_hunk and line.startswith(b"+"):
            yield commit, line[1:].decode("utf-8", "replace").rstrip("\n")
        elif not line.startswith((b"+", b"-", b"\\", b" ")):
            in_hunk = False
            if len(line) == 41 and b" " not in line:
                commit = line.decode("ascii", "replace").strip()


def _lines(pairs: Pairs) -> bytes:
    return "".join(" ".join((id, *base)) + "\n" for id, base in pairs).encode()
