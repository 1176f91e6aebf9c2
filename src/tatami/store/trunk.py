"""The trunk in git: where its branch is, who has it checked out, and moving it undisturbed."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tatami.store import git

MOVE_ATTEMPTS = 20
"""Tries while somebody holds `index.lock`; an editor's `git status` holds it for milliseconds."""
COMMIT_ID = re.compile("[0-9a-f]{40}")
UNDER_WAY = ("rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")
"""What a git directory holds while somebody is in the middle of something."""
INDEX_COPY = "tatami-index"
"""In a checkout's git directory while it is found out whether the checkout can follow."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How a move ended: `waiting` says why the branch has not moved yet ("" = it has).

    `raced`: the branch was no longer at the expected commit.
    """

    waiting: str = ""
    raced: bool = False


class Checkout(NamedTuple):
    """A worktree that has the trunk checked out, or rebases it."""

    path: str
    git_dir: str


def head(common: str, branch: str) -> str | None:
    """The commit `branch` is at in git, or None where it does not exist.

    As cheap as a small read or two: git itself is asked about a symbolic ref only, and where refs
    are not files.
    """
    ref = f"refs/heads/{branch}"
    try:
        with open(os.path.join(common, ref), encoding="ascii") as file:
            loose = file.read().strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        # In this order: git packs a ref before it takes the loose one away.
        if os.path.isdir(os.path.join(common, "refs", "heads")):
            return _packed(common, ref)
    except UnicodeDecodeError:
        pass
    else:
        if COMMIT_ID.fullmatch(loose):
            return loose
    done = git.run(common, "rev-parse", "--verify", "--quiet", ref, check=False)
    return done.stdout.decode().strip() or None


def _packed(common: str, ref: str) -> str | None:
    try:
        with open(os.path.join(common, "packed-refs"), "rb") as file:
            packed = file.read()
    except FileNotFoundError:
        return None
    end = packed.find(b" " + os.fsencode(ref) + b"\n")
    return packed[end - 40 : end].decode("ascii") if end >= 0 else None


def checkouts(common: str, branch: str) -> list[Checkout]:
    """The worktrees that have `branch` checked out, or rebase it (the main one first)."""
    found = []
    if os.path.basename(common) == ".git" and _holds(common, branch):
        found.append(Checkout(os.path.dirname(common), common))
    linked = os.path.join(common, "worktrees")
    for name in sorted(os.listdir(linked)) if os.path.isdir(linked) else ():
        git_dir = os.path.join(linked, name)
        if _holds(git_dir, branch):
            pointer = _first_line(os.path.join(git_dir, "gitdir"))
            if pointer.endswith("/.git") and os.path.isdir(pointer[: -len("/.git")]):
                found.append(Checkout(pointer[: -len("/.git")], git_dir))
    return found


def traces(common: str, branch: str) -> tuple[object, ...]:
    """What a few looks tell of the branch and its checkouts.

    While it stays equal, a move that waits need not be tried again: git has done nothing there.
    """
    seen: list[object] = [head(common, branch), os.path.exists(_lock(common, branch))]
    for place in checkouts(common, branch):
        seen += [place.path, _stamp(os.path.join(place.git_dir, "index")), *_under_way(place)]
    return tuple(seen)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        known = os.stat(path)
    except FileNotFoundError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino


def _lock(common: str, branch: str) -> str:
    return os.path.join(common, f"refs/heads/{branch}.lock")


def _under_way(place: Checkout) -> list[str]:
    return [name for name in UNDER_WAY if os.path.exists(os.path.join(place.git_dir, name))]


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
    lock = _lock(common, branch)
    if os.path.exists(lock):
        return Moved(waiting=f"another git works on the branch, or left {lock} behind")
    places = checkouts(common, branch)
    for place in places:
        refusal = _refusal(place, old, new)
        if refusal:
            return Moved(waiting=f"{place.path}: {refusal}")
    followed: list[Checkout] = []
    for place in places:
        refusal = _follow(place, old, new)
        if refusal:
            _back(followed, new, old)
            return Moved(waiting=f"{place.path}: {refusal}")
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


def _back(places: list[Checkout], new: str, old: str) -> None:
    for place in places:
        _follow(place, new, old)


def _refusal(place: Checkout, old: str, new: str) -> str:
    """Why a checkout cannot follow, in git's words ("" = it can); nothing there is touched."""
    with _copied_index(place) as index:
        if index is None:
            return _obstacle(place, old, new)
        return _obstacle(place, old, new) or _read_trees(place, (old, new), index)


def _follow(place: Checkout, old: str, new: str) -> str:
    """Moves index and files of one checkout; returns git's reason where it refuses, else ""."""
    if not os.path.exists(os.path.join(place.git_dir, "index")):
        return _read_tree(place.path, "-m", "-u", new)
    return _obstacle(place, old, new) or _read_trees(place, (old, new), None)


def _obstacle(place: Checkout, old: str, new: str) -> str:
    """What stands against a move that git itself would make."""
    for name in _under_way(place):
        return f"{name} is in progress"
    for path in _untracked(place.path, old, new):
        return f"{path!r} is not tracked there and would be overwritten"
    return ""


def _read_trees(place: Checkout, trees: tuple[str, str], copy: str | None) -> str:
    """Moves a checkout from one tree to the other; with a copy of its index, only tries to."""
    git.run(place.path, "update-index", "-q", "--refresh", check=False, index=copy)
    return _read_tree(place.path, "-m", "-u", *(("-n",) if copy else ()), *trees, index=copy)


@contextlib.contextmanager
def _copied_index(place: Checkout) -> Iterator[str | None]:
    """Yields a copy of the index to try things on, or None where there is none.

    With the time of the original, by which git tells files that changed in the same moment.
    """
    copy = os.path.join(place.git_dir, INDEX_COPY)
    try:
        shutil.copy2(os.path.join(place.git_dir, "index"), copy)
    except FileNotFoundError:
        yield None
        return
    try:
        yield copy
    finally:
        os.unlink(copy)


def _untracked(path: str, old: str, new: str) -> list[str]:
    """Files of the user's that `new` adds under the same name; git would take ignored ones away."""
    added = git.run(path, "diff-tree", "-r", "-z", "--name-only", "--diff-filter=A", old, new)
    root = os.fsencode(path)
    there = [p for p in added.stdout.split(b"\0") if p and os.path.lexists(os.path.join(root, p))]
    if not there:
        return []
    tracked = set(git.run(path, "ls-files", "-z").stdout.split(b"\0"))
    return [os.fsdecode(name) for name in there if name not in tracked]


def _read_tree(path: str, *arguments: str, index: str | None = None) -> str:
    for _ in range(MOVE_ATTEMPTS):
        done = git.run(path, "read-tree", *arguments, check=False, index=index)
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
