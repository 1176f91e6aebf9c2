"""Agents' workspaces as registered git worktrees: which there are, and in what state each is.

A workspace is a worktree that is locked with our reason. Its registered name is the agent's, unless
it was adopted: then the reason names the agent. Other worktrees are the user's business.
Only the standard library: the hot verbs import this file.
"""

import os
from shlex import quote
from typing import Literal, NamedTuple

from tatami.values.errors import ConflictError, TatamiError, UsageError
from tatami.values.ids import agent_ref
from tatami.workspaces.head import at, begun, commit_of, first_line
from tatami.workspaces.kinds import layers, sparse

LOCK_REASON = "tatami workspace"
"""In the worktree's `locked` file: `git worktree prune` and `remove` leave it alone."""
OF = " of "
"""Behind our reason in an adopted worktree's `locked` file; the agent's name follows."""
RECORD = "tatami-base"
"""Our file beside git's: written last when a workspace is made, and again at each commit."""

State = Literal["ready", "missing", "unfinished", "unmounted", "emptied"]
"""An overlay can be *unmounted*; *emptied* is one whose files were deleted where it is mounted."""


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


def adopted(common: str, name: str) -> str:
    """The file that says under which registered name an agent's adopted worktree is found."""
    return os.path.join(common, "tatami", "adopted", name)


def get(common: str, name: str) -> Workspace | None:
    """The workspace of this agent, in whatever state; None for others."""
    space = of_registration(registration(common, name))
    if space is None or space.name != name:
        elsewhere = first_line(adopted(common, name))
        space = of_registration(registration(common, elsewhere)) if elsewhere else None
    return space if space and space.name == name else None


def of_registration(git_dir: str) -> Workspace | None:
    """The workspace whose git directory this is, in whatever state; None for others' worktrees."""
    reason = first_line(os.path.join(git_dir, "locked"))
    if not reason.startswith(LOCK_REASON):
        return None
    rest = reason.removeprefix(LOCK_REASON)
    name = rest.removeprefix(OF) if rest.startswith(OF) else os.path.basename(git_dir)
    pointer = first_line(os.path.join(git_dir, "gitdir"))
    kind = "overlay" if layers.is_overlay(git_dir) else sparse.kind(git_dir)
    return Workspace(name, os.path.dirname(pointer), git_dir, kind)


def registered(common: str) -> list[Workspace]:
    """Every workspace, by name."""
    folder = os.path.join(common, "worktrees")
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = (of_registration(os.path.join(folder, name)) for name in names)
    return sorted(space for space in found if space)


def containing(directory: str, git_dir: str, common: str) -> Workspace | None:
    """The workspace a directory belongs to, given its worktree's root and git directory.

    None where it is not one of ours. Raises `UsageError` (`workspace_moved`) where git's record
    says the workspace lies elsewhere.
    """
    space = None
    if os.path.dirname(git_dir) == os.path.join(common, "worktrees"):
        space = of_registration(git_dir)
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
    pointer = first_line(os.path.join(space.path, ".git")).removeprefix("gitdir: ")
    here = os.path.realpath(os.path.join(space.path, pointer)) == os.path.realpath(space.git_dir)
    if pointer and here:
        return "ready"
    return layers.unseen(space.git_dir, space.path) if space.kind == "overlay" else "missing"


def require_ready(space: Workspace) -> None:
    """Raises `UsageError` that says how to mend a workspace that is gone or half made.

    An overlay that is not mounted is mounted; `TatamiError` (`not_mounted`) where that is not
    permitted.
    """
    found = state(space)
    if found == "unmounted" or (found == "ready" and layers.is_hollow(space.git_dir)):
        from tatami.workspaces.kinds import mounting  # noqa: PLC0415 - mostly it is mounted

        mounting.mount(space)
    if found == "emptied":
        from tatami.workspaces.kinds import mounting  # noqa: PLC0415 - mostly it is not

        raise mounting.emptied(space)
    if found == "missing" and space.kind == "overlay" and not layers.is_deleted(space.git_dir):
        from tatami.workspaces.kinds import mounting  # noqa: PLC0415 - mostly it is not

        raise mounting.in_the_way(space)
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


def warnings(space: Workspace) -> list[str]:
    """What a person should know about a workspace that cannot be used as it is."""
    found = state(space)
    if space.kind == "overlay":
        return layers.warnings(space.git_dir, space.path, found)
    return [] if found == "ready" else [f"workspace {space.name} at {space.path} is {found}"]


def head(space: Workspace) -> str:
    """The commit the workspace is at; raises `TatamiError` where there is none."""
    found = at(space.common, space.git_dir)
    if not found.commit:
        here = f"git -C {quote(space.path)}"
        fix = f"{here} switch agent/{space.name}"
        if found.ref == agent_ref(space.name):
            # Its files are those of the commit that was recorded with the branch.
            last = first_line(os.path.join(space.git_dir, RECORD)).partition(" ")[0]
            fix = f"{here} branch agent/{space.name} {last}"
        raise TatamiError(
            f"workspace {space.name} is on {found.ref or 'no branch'}, which has no commit",
            code="no_branch",
            fix=fix,
        )
    return found.commit


def branch_head(space: Workspace) -> str:
    """The commit the agent's own branch is at, which HEAD need not be on."""
    return commit_of(space.common, agent_ref(space.name))


def head_ref(space: Workspace) -> str:
    """The full name of the branch HEAD is on, "" where it is detached."""
    return at(space.common, space.git_dir).ref


def on_own_branch(space: Workspace) -> bool:
    """Whether HEAD is the agent's own branch."""
    return head_ref(space) == agent_ref(space.name)


def require_nothing_begun(space: Workspace) -> None:
    """Raises `ConflictError` where git is in the middle of a rebase, a merge or the like."""
    found = begun(space.git_dir)
    if found:
        what, fix = found
        raise ConflictError(
            f"{what} is in progress in workspace {space.name}",
            code="operation_in_progress",
            fix=f"cd {quote(space.path)} && {fix}",
        )
