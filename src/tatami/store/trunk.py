"""The trunk in git: where its branch is, who has it checked out, and moving it undisturbed."""

import os
from dataclasses import dataclass

from tatami.store import git

MOVE_ATTEMPTS = 20
"""Tries while somebody holds `index.lock`; an editor's `git status` holds it for milliseconds."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How a move ended: `waiting` says why the branch has not moved yet ("" = it has).

    `raced`: the branch was no longer at the expected commit.
    """

    waiting: str = ""
    raced: bool = False


def head(common: str, branch: str) -> str | None:
    """The commit `branch` is at in git, or None where it does not exist."""
    ref = f"refs/heads/{branch}"
    # A loose ref is one small read; only a packed one needs git.
    try:
        with open(os.path.join(common, ref), encoding="ascii") as file:
            value = file.read().strip()
        if len(value) == 40 and not value.startswith("ref:"):
            return value
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        pass
    done = git.run(common, "rev-parse", "--verify", "--quiet", ref, check=False)
    return done.stdout.decode().strip() or None


def checkouts(common: str, branch: str) -> list[str]:
    """The worktrees that have `branch` checked out, or rebase it (the main one first)."""
    found = []
    if os.path.basename(common) == ".git" and _holds(common, branch):
        found.append(os.path.dirname(common))
    linked = os.path.join(common, "worktrees")
    for name in sorted(os.listdir(linked)) if os.path.isdir(linked) else ():
        if _holds(os.path.join(linked, name), branch):
            pointer = _first_line(os.path.join(linked, name, "gitdir"))
            if pointer.endswith("/.git") and os.path.isdir(pointer[: -len("/.git")]):
                found.append(pointer[: -len("/.git")])
    return found


def _holds(git_dir: str, branch: str) -> bool:
    """Whether a worktree is on a branch, or will be at the end of its rebase.

    git moves a rebased branch at the end, and fails if it is not where the rebase began.
    """
    ref = f"refs/heads/{branch}"
    return _first_line(os.path.join(git_dir, "HEAD")) == f"ref: {ref}" or any(
        _first_line(os.path.join(git_dir, folder, "head-name")) == ref
        for folder in ("rebase-merge", "rebase-apply")
    )


def move(common: str, branch: str, old: str, new: str) -> Moved:
    """Moves `branch` from `old` to `new` and refreshes checkouts that can follow cleanly.

    A checkout follows as `git read-tree -m -u` does: files the user edited stay, and where the move
    needs one of them, nothing is touched and the branch waits. The files go first: after a crash in
    between, the same call finds index and files already new and only moves the branch.
    """
    if old == new:
        return Moved()
    if head(common, branch) != old:
        return Moved(raced=True)
    lock = os.path.join(common, f"refs/heads/{branch}.lock")
    if os.path.exists(lock):
        return Moved(waiting=f"another git works on the branch, or left {lock} behind")
    places = checkouts(common, branch)
    for place in places:
        refusal = _follow(place, old, new, dry_run=True)
        if refusal:
            return Moved(waiting=f"{place}: {refusal}")
    followed: list[str] = []
    for place in places:
        refusal = _follow(place, old, new, dry_run=False)
        if refusal:
            _back(followed, new, old)
            return Moved(waiting=f"{place}: {refusal}")
        followed.append(place)
    # git does not sync refs by itself, and a power cut can leave a branch empty.
    durably = ("-c", "core.fsync=reference")
    update = ("update-ref", "-m", "tatami: land", f"refs/heads/{branch}", new, old)
    done = git.run(common, *durably, *update, check=False)
    if done.returncode:
        _back(followed, new, old)
        if head(common, branch) != old:
            return Moved(raced=True)
        return Moved(waiting=_reason(done.stderr))
    return Moved()


def _back(places: list[str], new: str, old: str) -> None:
    for place in places:
        _follow(place, new, old, dry_run=False)


def _follow(place: str, old: str, new: str, dry_run: bool) -> str:
    """Moves index and files of one checkout; returns git's reason where it refuses, else ""."""
    git_dir = git.text(place, "rev-parse", "--absolute-git-dir")
    for name in ("rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"):
        if os.path.exists(os.path.join(git_dir, name)):
            return f"{name} is in progress"
    if not os.path.exists(os.path.join(git_dir, "index")):
        return "" if dry_run else _read_tree(place, "-m", "-u", new)
    overwritten = _untracked(place, old, new)
    if overwritten:
        return f"{overwritten[0]!r} is not tracked there and would be overwritten"
    git.run(place, "update-index", "-q", "--refresh", check=False)
    flags = ("-m", "-u", "-n") if dry_run else ("-m", "-u")
    return _read_tree(place, *flags, old, new)


def _untracked(place: str, old: str, new: str) -> list[str]:
    """Files of the user's that `new` adds under the same name; git would take ignored ones away."""
    added = git.run(place, "diff-tree", "-r", "-z", "--name-only", "--diff-filter=A", old, new)
    root = os.fsencode(place)
    there = [p for p in added.stdout.split(b"\0") if p and os.path.lexists(os.path.join(root, p))]
    if not there:
        return []
    tracked = set(git.run(place, "ls-files", "-z").stdout.split(b"\0"))
    return [os.fsdecode(path) for path in there if path not in tracked]


def _read_tree(place: str, *arguments: str) -> str:
    for _ in range(MOVE_ATTEMPTS):
        done = git.run(place, "read-tree", *arguments, check=False)
        if done.returncode == 0:
            return ""
        if b"index.lock" not in done.stderr:
            break
    return _reason(done.stderr)


def _reason(stderr: bytes) -> str:
    """The first of git's words about a failure."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else "git failed"


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.readline().rstrip("\n")
    except OSError:
        return ""
