"""Agents' workspaces as registered git worktrees: which there are, and in what state each is.

A workspace is a worktree that is locked with our reason. Its registered name is the agent's, and
its branch is `agent/<name>`; other worktrees are the user's business.
Only the standard library: the hot verbs import this file.
"""

import os
from shlex import quote
from typing import Literal, NamedTuple

from tatami.values.errors import ConflictError, TatamiError, UsageError
from tatami.values.ids import agent_ref

LOCK_REASON = "tatami workspace"
"""In the worktree's `locked` file: `git worktree prune` and `remove` leave it alone."""
RECORD = "tatami-base"
"""Our file beside git's: written last when a workspace is made, and again at each commit."""
ID_DIGITS = 40

State = Literal["ready", "missing", "unfinished"]

_IN_PROGRESS = {
    "rebase-merge": ("a rebase", "git rebase --continue"),
    "rebase-apply": ("a rebase", "git rebase --continue"),
    "MERGE_HEAD": ("a merge", "git commit"),
    "CHERRY_PICK_HEAD": ("a cherry-pick", "git cherry-pick --continue"),
    "REVERT_HEAD": ("a revert", "git revert --continue"),
}


class Workspace(NamedTuple):
    """An agent's working copy. path: its directory. git_dir: its folder in `.git/worktrees`."""

    name: str
    path: str
    git_dir: str
    kind: str = "checkout"

    @property
    def common(self) -> str:
        """The git directory that all worktrees of the repository share."""
        return os.path.dirname(os.path.dirname(self.git_dir))


def registration(common: str, name: str) -> str:
    """The folder in which git keeps a worktree of this name."""
    return os.path.join(common, "worktrees", name)


def get(common: str, name: str) -> Workspace | None:
    """The workspace registered under an agent's name, in whatever state; None for others."""
    git_dir = registration(common, name)
    if not _first_line(os.path.join(git_dir, "locked")).startswith(LOCK_REASON):
        return None
    pointer = _first_line(os.path.join(git_dir, "gitdir"))
    return Workspace(name, os.path.dirname(pointer), git_dir)


def registered(common: str) -> list[Workspace]:
    """Every workspace, by name."""
    try:
        names = sorted(os.listdir(os.path.join(common, "worktrees")))
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = (get(common, name) for name in names)
    return [space for space in found if space]


def containing(directory: str, git_dir: str, common: str) -> Workspace | None:
    """The workspace a directory belongs to, given its worktree's root and git directory.

    None where it is not one of ours. Raises `UsageError` (`workspace_moved`) where git's record
    says the workspace lies elsewhere.
    """
    space = None
    if os.path.dirname(git_dir) == os.path.join(common, "worktrees"):
        space = get(common, os.path.basename(git_dir))
    if space and os.path.realpath(space.path) != directory:
        raise UsageError(
            f"workspace {space.name} was moved from {space.path} to {directory}",
            code="workspace_moved",
            fix=f"git worktree repair {quote(directory)}",
        )
    return space


def state(space: Workspace) -> State:
    """Whether the workspace can be used: made to the end, and still where it was made."""
    made = (os.path.exists(os.path.join(space.git_dir, name)) for name in ("index", RECORD))
    if not space.path or not all(made):
        return "unfinished"
    pointer = _first_line(os.path.join(space.path, ".git")).removeprefix("gitdir: ")
    here = os.path.realpath(os.path.join(space.path, pointer)) == os.path.realpath(space.git_dir)
    return "ready" if pointer and here else "missing"


def require_ready(space: Workspace) -> None:
    """Raises `UsageError` that says how to mend a workspace that is gone or half made."""
    found = state(space)
    if found == "missing":
        raise UsageError(
            f"workspace {space.name} is no longer at {space.path}",
            code="workspace_missing",
            fix=f"git worktree repair NEW_PATH if it was moved, "
            f"tatami workspace remove {space.name} if it was deleted",
        )
    if found == "unfinished":
        raise UsageError(
            f"workspace {space.name} was only half made when something stopped it",
            code="workspace_unfinished",
            fix=f"tatami workspace add {space.name}",
        )


def head(space: Workspace) -> str:
    """The commit the agent's branch is at; raises `TatamiError` where git has no such branch."""
    ref = agent_ref(space.name)
    loose = _first_line(os.path.join(space.common, ref))
    if len(loose) == ID_DIGITS:
        return loose
    try:
        with open(os.path.join(space.common, "packed-refs"), encoding="utf-8") as packed:
            for line in packed:
                if line[ID_DIGITS + 1 :].rstrip("\n") == ref:
                    return line[:ID_DIGITS]
    except FileNotFoundError:
        pass
    raise TatamiError(
        f"git has no branch {ref.removeprefix('refs/heads/')}",
        code="no_branch",
        fix="tatami stop; tatami status",
    )


def require_on_line(space: Workspace) -> None:
    """Raises `ConflictError` unless HEAD is the agent's branch, with nothing of git's half done."""
    for name, (what, fix) in _IN_PROGRESS.items():
        if os.path.exists(os.path.join(space.git_dir, name)):
            raise ConflictError(
                f"{what} is in progress in workspace {space.name}",
                code="operation_in_progress",
                fix=f"cd {quote(space.path)} && {fix}",
            )
    branch = f"ref: {agent_ref(space.name)}"
    at = _first_line(os.path.join(space.git_dir, "HEAD"))
    if at == branch:
        return
    where = at.removeprefix("ref: refs/heads/")
    where = f"has branch {where}" if where != at else f"has a detached HEAD at {at[:12]}"
    raise ConflictError(
        f"workspace {space.name} {where}; Tatami commits on agent/{space.name}",
        code="not_on_line",
        fix=f"git -C {quote(space.path)} switch agent/{space.name}",
    )


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.readline().rstrip("\n")
    except OSError:
        return ""
