"""The trunk in git: where its branch is, who has it checked out, and moving it undisturbed."""

import os
import re
from dataclasses import dataclass

from tatami.store import git, locate
from tatami.store.checkout import IF_NO_GIT_RUNS, Checkout, follow, reason, refusal, under_way
from tatami.values.errors import UsageError
from tatami.values.ids import AGENT_BOOKMARK_PREFIX

AGENT_FOLDER = AGENT_BOOKMARK_PREFIX.rstrip("/")
COMMIT_ID = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Moved:
    """How a move ended: `waiting` says why the branch has not moved yet, and the cure, or is "".

    `raced`: the branch was no longer at the expected commit.
    """

    waiting: str = ""
    raced: bool = False


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


def require_room_for_agents(common: str) -> None:
    """Raises `UsageError` where a branch `agent` keeps git from having branches `agent/NAME`."""
    if head(common, AGENT_FOLDER) is not None:
        raise UsageError(
            f"git has a branch {AGENT_FOLDER!r}, beside which there can be no agent/NAME",
            code="branch_exists",
            fix=f"git branch -m {AGENT_FOLDER} {AGENT_FOLDER}-old",
        )


def checkouts(common: str, branch: str) -> list[Checkout]:
    """The worktrees that have `branch` checked out, or rebase it (the main one first)."""
    found = []
    main = locate.main_worktree(common)
    if main and _holds(common, branch):
        found.append(Checkout(main, common))
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
        index = os.path.join(place.git_dir, "index")
        seen += [place.path, _stamp(index), os.path.exists(index + ".lock"), *under_way(place)]
    return tuple(seen)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        known = os.stat(path)
    except FileNotFoundError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino


def _lock(common: str, branch: str) -> str:
    return os.path.join(common, f"refs/heads/{branch}.lock")


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
        words = f"another git works on the branch, or left {lock} behind"
        return Moved(waiting=f"{words}; {IF_NO_GIT_RUNS}")
    places = checkouts(common, branch)
    for place in places:
        why = refusal(place, old, new)
        if why:
            return Moved(waiting=f"{place.path}: {why}")
    followed: list[Checkout] = []
    for place in places:
        why = follow(place, old, new)
        if why:
            _back(followed, new, old)
            return Moved(waiting=f"{place.path}: {why}")
        followed.append(place)
    # git does not sync refs by itself, and a power cut can leave a branch empty.
    durably = ("-c", "core.fsync=reference")
    update = ("update-ref", "-m", "tatami: land", f"refs/heads/{branch}", new, old)
    done = git.run(common, *durably, *update, check=False)
    if done.returncode:
        _back(followed, new, old)
        if head(common, branch) != old:
            return Moved(raced=True)
        return Moved(waiting=reason(done.stderr))
    return Moved()


def _back(places: list[Checkout], new: str, old: str) -> None:
    for place in places:
        follow(place, new, old)


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.readline().rstrip("\n")
    except OSError:
        return ""
