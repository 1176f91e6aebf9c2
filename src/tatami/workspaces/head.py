"""Where a worktree's HEAD is: read from git's own files, because every verb asks.

Only the standard library: the hot verbs import this file.
"""

import os
from typing import NamedTuple

ID_DIGITS = 40
LINE_BYTES_MAX = 16 * 1024
"""More than any path, and than any line of the files that are read here."""
REFLOG_TAIL_BYTES = 64 * 1024
_REBASES = ("rebase-merge", "rebase-apply")
_BEGUN = {
    "rebase-merge": ("a rebase", "git rebase --continue"),
    "rebase-apply": ("a rebase", "git rebase --continue"),
    "MERGE_HEAD": ("a merge", "git commit"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue"),
    "REVERT_HEAD": ("a revert", "git revert --continue"),
    "BISECT_START": ("a bisection", "git bisect reset"),
}


class Head(NamedTuple):
    """ref: the full name of the branch checked out, "" where HEAD is detached.

    commit: "" where there is none yet. In the middle of a rebase or a bisection: where git will be
    when it is called off, since what HEAD shows then is on its way to somewhere else.
    """

    ref: str
    commit: str


def at(common: str, git_dir: str) -> Head:
    """Where HEAD of the worktree with this git directory is."""
    for folder in _REBASES:
        ref = first_line(os.path.join(git_dir, folder, "head-name"))
        if ref.startswith("refs/"):
            return Head(ref, commit_of(common, ref))
        if ref:
            return Head("", first_line(os.path.join(git_dir, folder, "orig-head")))
    began = first_line(os.path.join(git_dir, "BISECT_START"))
    if began:
        if _is_id(began):
            return Head("", began)
        return Head(f"refs/heads/{began}", commit_of(common, f"refs/heads/{began}"))
    line = first_line(os.path.join(git_dir, "HEAD"))
    ref = line.removeprefix("ref: ")
    if ref != line:
        return Head(ref, commit_of(common, ref))
    return Head("", line if _is_id(line) else "")


def begun(git_dir: str) -> tuple[str, str] | None:
    """What git has half done in a worktree, and the command that goes on with it; None: nothing."""
    for name, found in _BEGUN.items():
        if os.path.exists(os.path.join(git_dir, name)):
            return found
    return None


def commit_of(common: str, ref: str) -> str:
    """The commit a full ref name is at, "" where git has no such ref."""
    loose = first_line(os.path.join(common, ref))
    if _is_id(loose):
        return loose
    try:
        with open(os.path.join(common, "packed-refs"), encoding="utf-8", errors="replace") as file:
            for line in file:
                if line[ID_DIGITS + 1 :].rstrip("\n") == ref:
                    return line[:ID_DIGITS]
    except FileNotFoundError:
        pass
    return ""


def visited(git_dir: str) -> set[str]:
    """The commits HEAD was at since git last checked something out, by its reflog."""
    try:
        with open(os.path.join(git_dir, "logs", "HEAD"), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - REFLOG_TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return set()
    found: set[str] = set()
    for line in reversed(lines):
        ids, _, message = line.partition("\t")
        old, _, rest = ids.partition(" ")
        found.add(rest[:ID_DIGITS])
        if message.startswith("checkout:"):
            break
        found.add(old)
    return found


def first_line(path: str) -> str:
    """The first line of a small file of git's, "" where it cannot be read.

    Without a file object: each commit reads a dozen of these.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        text = os.read(file, LINE_BYTES_MAX)
    except OSError:
        return ""
    finally:
        os.close(file)
    return text.partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "surrogateescape")


def _is_id(text: str) -> bool:
    return len(text) == ID_DIGITS and not text.startswith("ref:")
