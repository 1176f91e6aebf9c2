"""Takes over git worktrees that others made, where and as they are, and gives them back."""

import contextlib
import os
from shlex import quote
from typing import NamedTuple

from tatami.values.errors import ConflictError, TatamiError, UsageError
from tatami.values.ids import agent_ref
from tatami.workspaces import git, head, line, worktree
from tatami.workspaces.index import IndexLock
from tatami.workspaces.worktree import LOCK_REASON, OF, Workspace


class Candidate(NamedTuple):
    """A worktree of somebody's. ref: "" where HEAD is detached. locked: why it is, if it is."""

    path: str
    git_dir: str
    ref: str
    commit: str
    locked: str


def candidate(path: str, git_dir: str, common: str) -> Candidate:
    """Looks at a worktree that is to be adopted; raises `TatamiError` where it cannot be.

    path: its root. The main worktree, one that is half way through a rebase or the like, and one
    that git would prune are refused.
    """
    if os.path.dirname(git_dir) != os.path.join(common, "worktrees"):
        raise UsageError(
            f"{path} is the main checkout, which stays yours",
            code="main_checkout",
            fix="tatami workspace add NAME makes a workspace beside it; what is not committed "
            "here: git stash, then git stash apply there",
        )
    pointer = head.first_line(os.path.join(git_dir, "gitdir"))
    if os.path.realpath(os.path.dirname(pointer)) != os.path.realpath(path):
        raise UsageError(
            f"git believes that {path} is at {os.path.dirname(pointer)}, and would prune it",
            code="workspace_moved",
            fix=f"git worktree repair {quote(path)}",
        )
    begun = head.begun(git_dir)
    if begun:
        what, fix = begun
        raise ConflictError(
            f"{what} is in progress in {path}",
            code="operation_in_progress",
            fix=f"cd {quote(path)} && {fix}, then tatami workspace adopt {quote(path)}",
        )
    at = head.at(common, git_dir)
    if not at.commit:
        raise UsageError(
            f"{path} is on {at.ref or 'no branch'}, which has no commit yet",
            code="empty_repository",
            fix=f"git -C {quote(path)} commit --allow-empty -m start",
        )
    if not os.path.exists(os.path.join(git_dir, "index")):
        raise UsageError(
            f"{path} has no index: nothing was ever checked out there",
            code="nothing_checked_out",
            fix=f"git -C {quote(path)} reset",
        )
    locked = head.first_line(os.path.join(git_dir, "locked"))
    return Candidate(path, git_dir, at.ref, at.commit, locked)


def adopt(found: Candidate, name: str) -> Workspace:
    """Makes a worktree the workspace of agent `name`, whose branch is at the worktree's commit.

    Neither files nor index are touched; the branch that was checked out stays where it is. The last
    step makes it one of ours: adopting again goes on after a crash.
    """
    space = Workspace(name, found.path, found.git_dir)
    lock = IndexLock(space)
    lock.acquire()
    try:
        now = head.at(space.common, space.git_dir)
        if (now.commit, head.begun(space.git_dir)) != (found.commit, None):
            raise ConflictError(
                f"git moved {found.path} meanwhile", code="workspace_in_use", fix="try again"
            )
        words = f"tatami: adopted as {name}"
        git.run(space.path, "symbolic-ref", "-m", words, "HEAD", agent_ref(name))
        line.record(space, found.commit)
        index = worktree.adopted(space.common, name)
        os.makedirs(os.path.dirname(index), exist_ok=True)
        _write(index, os.path.basename(space.git_dir))
        _write(os.path.join(space.git_dir, "locked"), LOCK_REASON + OF + name)
    finally:
        lock.release()
    made = worktree.get(space.common, name)
    if made is None:
        raise TatamiError(f"{found.path} could not be locked", code="io", fix="try again")
    return made


def release(space: Workspace) -> None:
    """Makes a workspace an ordinary git worktree again, its files as they are.

    Its mark goes last: until then it is one of ours.
    """
    for path in (
        os.path.join(space.git_dir, worktree.RECORD),
        worktree.adopted(space.common, space.name),
        os.path.join(space.git_dir, "locked"),
    ):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _write(path: str, text: str) -> None:
    with open(path + ".tatami", "w", encoding="utf-8") as file:
        file.write(text + "\n")
    os.rename(path + ".tatami", path)
