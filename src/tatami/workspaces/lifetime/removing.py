"""Deletes workspaces whose content is saved, in an order a crash can interrupt anywhere."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from tatami.values.errors import BusyError, ConflictError
from tatami.workspaces import git, worktree
from tatami.workspaces.kinds import layers, mounting, overlay
from tatami.workspaces.snapshot import changed_paths
from tatami.workspaces.worktree import Workspace

LEAVING = ".removing-"
"""Beginning of the name a workspace has while it is deleted."""


def leaving_path(space: Workspace) -> str:
    """Where a workspace is moved before it is deleted."""
    folder, name = os.path.split(space.path)
    return os.path.join(folder, LEAVING + name)


def resume(space: Workspace) -> None:
    """Puts back a workspace that a crash left half removed, so that it is checked once more."""
    leaving = leaving_path(space)
    if space.kind == "overlay":
        if os.path.isdir(leaving):
            mounting.detach(space, leaving)
            overlay.remove_point(leaving)
        overlay.resume(space)
    elif os.path.isdir(leaving) and not os.path.lexists(space.path):
        os.rename(leaving, space.path)


def ignored(space: Workspace) -> list[str]:
    """Ignored files and folders, which go with the workspace; folders end in `/`."""
    output = git.run(
        space.path, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"
    ).stdout
    return [os.fsdecode(path) for path in output.split(b"\0") if path]


def require_no_repositories(space: Workspace) -> None:
    """Raises `ConflictError` where another repository lies inside: we could not save it."""
    # A shared tree holds no repository: no path in a tree can have `.git` in it.
    root = layers.of(space.git_dir).upper if space.kind == "overlay" else space.path
    for there, folders, files in os.walk(root):
        if there != root and ".git" in (*folders, *files):
            directory = os.path.join(space.path, os.path.relpath(there, root))
            raise ConflictError(
                f"workspace {space.name} holds another repository, {directory}, which would be "
                "lost with it",
                code="nested_repository",
                fix=f"mv {quote(directory)} elsewhere, or (a submodule whose commits are pushed) "
                f"git -C {quote(space.path)} submodule deinit --force --all",
            )


@contextmanager
def moved_away(space: Workspace) -> Iterator[Workspace]:
    """Moves a workspace aside for the block's last look at it, and back if the block fails.

    Whoever still writes to its old place fails, instead of writing what nobody will see.
    """
    leaving = leaving_path(space)
    _move(space, space.path, leaving)
    try:
        yield space._replace(path=leaving)
    except BaseException:
        _move(space, leaving, space.path)
        # git may have noted the other place meanwhile.
        with open(os.path.join(space.git_dir, "gitdir"), "w", encoding="utf-8") as pointer:
            pointer.write(os.path.join(space.path, ".git") + "\n")
        raise


def _move(space: Workspace, old: str, new: str) -> None:
    """Moves a workspace's directory, or where it is mounted; `BusyError` while that is in use."""
    if space.kind != "overlay":
        os.rename(old, new)
        return
    mounting.detach(space, old)
    parts = layers.of(space.git_dir)
    mounting.make_point(parts, new)
    mounting.attach(parts, new)


def require_saved(space: Workspace) -> None:
    """Raises `BusyError` where the workspace holds something that its line does not."""
    left = changed_paths(space, worktree.head(space))
    if left:
        raise BusyError(
            f"{left[0]} was written in workspace {space.name} while it was being removed",
            code="workspace_in_use",
            fix="stop what works there, then try again",
        )


def forget(space: Workspace) -> None:
    """Deletes git's registration, and the files if they were moved away; others stay.

    What an overlay workspace was made of goes with the next `sweep`.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(worktree.adopted(space.common, space.name))
    leaving = leaving_path(space)
    if space.kind == "overlay":
        for path in (leaving, space.path):
            mounting.detach(space, path)
            overlay.remove_point(path)
        overlay.begin_removal(space)
    shutil.rmtree(space.git_dir)
    if space.kind != "overlay":
        shutil.rmtree(leaving, ignore_errors=True)


def sweep(common: str, folder: str) -> None:
    """Finishes deletions that a crash interrupted after the registration was gone."""
    overlay.sweep(common)
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        agent = name.removeprefix(LEAVING)
        registered = os.path.exists(worktree.registration(common, agent))
        if name.startswith(LEAVING) and not registered:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
