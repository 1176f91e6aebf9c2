"""Makes workspaces, many at once, and clears away what a crash left of one that was being made."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from shlex import quote

from tatami import _core
from tatami.values.errors import ConflictError, UsageError
from tatami.values.ids import agent_ref
from tatami.values.specs import WorktreeSpec
from tatami.workspaces import git, line
from tatami.workspaces.core import core_errors
from tatami.workspaces.kinds import choosing, lower, overlay, sparse
from tatami.workspaces.kinds.choosing import CHECKOUT, Wanted
from tatami.workspaces.recovery import durable
from tatami.workspaces.worktree import LOCK_REASON, Workspace, get, registration, state

UNFINISHED = ".unfinished"
"""Folder beside the workspaces: what lay in a half-made one is moved there, never deleted."""
_EXCLUDE = ".tatami/"


@contextmanager
def one_at_a_time(common: str) -> Iterator[None]:
    """Keeps others of us from making or removing workspaces while the block runs.

    Without it a workspace that is just being made would look like one a crash left behind.
    """
    file = os.open(os.path.join(common, "tatami", "workspaces.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def require_free(common: str, folder: str, names: Sequence[str]) -> None:
    """Raises `TatamiError` where a workspace of such a name cannot be made below `folder`."""
    for name in names:
        space = get(common, name)
        path = os.path.join(folder, name)
        if space and state(space) in {"ready", "unmounted", "emptied"}:
            raise UsageError(
                f"workspace {name} exists already, at {space.path}",
                code="workspace_exists",
                fix=f"cd {quote(space.path)}",
            )
        if space and state(space) == "missing":
            raise UsageError(
                f"workspace {name} is registered at {space.path}, but is no longer there",
                code="workspace_missing",
                fix=f"git worktree repair NEW_PATH if it was moved, "
                f"tatami workspace remove {name} if it was deleted",
            )
        if space is None:
            _require_no_foreign(common, name)
            _require_no_directory(path)


def make(
    common: str, folder: str, heads: Mapping[str, str], wanted: Wanted = CHECKOUT
) -> list[Workspace]:
    """Makes a workspace below `folder` for each agent (name -> the commit its branch is at).

    wanted: their kind. The caller holds `one_at_a_time` and has called
    `require_free`. On an error nothing that this call made is left.
    """
    _exclude(common)
    for name in heads:
        clear_unfinished(common, folder, name)
    spaces = {n: Workspace(n, os.path.join(folder, n), registration(common, n)) for n in heads}
    made: list[Workspace] = []
    try:
        for commit in sorted(set(heads.values())):
            group = [spaces[name] for name, head in heads.items() if head == commit]
            made += _make_alike(common, commit, group, wanted)
    except BaseException:
        # Nobody has heard of these yet: nothing in them is anybody's work.
        _discard(made)
        raise
    return made


def _make_alike(
    common: str, commit: str, group: Sequence[Workspace], wanted: Wanted
) -> list[Workspace]:
    """Makes workspaces of one commit and kind, recorded last; on an error none is left."""
    chosen = choosing.choose(common, commit, wanted)
    group = [space._replace(kind=chosen.kind) for space in group]
    made: list[Workspace] = []
    written = ""
    try:
        if chosen.kind == "overlay":
            lower.ensure(common, chosen.tree)
            written = lower.checksum(common, chosen.tree)
            for space in group:
                overlay.make(space, chosen.tree, chosen.visible)
                made.append(space)
        else:
            skipped = _write(common, commit, group, wanted.cone)
            made = group
            for space in group:
                if wanted.cone:
                    sparse.describe(space.git_dir, wanted.cone)
                _through_git(space, skipped)
        # The record says that all of it is there, also after a power cut.
        durable.sync_file_system(os.path.dirname(group[0].path))
        for space in group:
            line.record(space, commit, index=written)
        durable.sync_file_system(common)
    except BaseException:
        _discard(made)
        raise
    return made


def _write(
    common: str, commit: str, group: Sequence[Workspace], cone: Sequence[str]
) -> Sequence[str]:
    """Writes files side by side, all or those of a cone; returns the paths that git has to."""
    specs = [WorktreeSpec(space.name, space.path, agent_ref(space.name)) for space in group]
    if cone:
        sparse.allow_worktree_config(common)
    with core_errors():
        if cone:
            written = _core.add_sparse_worktrees(common, specs, commit, LOCK_REASON, cone)
        else:
            written = _core.add_worktrees(common, specs, commit, LOCK_REASON, ())
    return written[0].skipped


def _discard(spaces: Sequence[Workspace]) -> None:
    for space in spaces:
        if space.kind == "overlay":
            overlay.discard(space)
        shutil.rmtree(space.git_dir, ignore_errors=True)
        shutil.rmtree(space.path, ignore_errors=True)


def clear_unfinished(common: str, folder: str, name: str) -> str | None:
    """Clears away a half-made workspace; returns where its files were moved to, if it had any."""
    git_dir = registration(common, name)
    space = get(common, name)
    if space is None:
        if os.path.isdir(git_dir) and not os.path.exists(os.path.join(git_dir, "gitdir")):
            shutil.rmtree(git_dir)
        return None
    if state(space) != "unfinished":
        return None
    if space.git_dir != git_dir:
        raise UsageError(
            f"{space.path}, which agent {name} works in, has lost its index",
            code="workspace_unfinished",
            fix=f"git -C {quote(space.path)} reset",
        )
    if space.kind == "overlay":
        return overlay.take_aside(space)
    aside = None
    path = os.path.join(folder, name)
    if os.path.lexists(path):
        aside = _free_name(os.path.join(folder, UNFINISHED, name))
        os.makedirs(os.path.dirname(aside), exist_ok=True)
        os.rename(path, aside)
    shutil.rmtree(git_dir)
    return aside


def _require_no_foreign(common: str, name: str) -> None:
    git_dir = registration(common, name)
    if not os.path.exists(os.path.join(git_dir, "gitdir")):
        return
    with open(os.path.join(git_dir, "gitdir"), encoding="utf-8", errors="replace") as file:
        path = os.path.dirname(file.readline().rstrip("\n"))
    raise UsageError(
        f"git already has a worktree called {name}, at {path}",
        code="name_taken",
        fix=f"tatami workspace adopt {quote(path)}, or give another name",
    )


def _require_no_directory(path: str) -> None:
    try:
        empty = not os.listdir(path)
    except FileNotFoundError:
        empty = not os.path.islink(path)
    except NotADirectoryError:
        empty = False
    if not empty:
        raise ConflictError(
            f"{path} is in the way: it is not empty", code="directory_in_the_way",
            fix=f"mv {quote(path)} {quote(_free_name(path + '.old'))}",
        )  # fmt: skip


def _through_git(space: Workspace, paths: Sequence[str]) -> None:
    """Lets git write the files whose bytes its attributes change."""
    if paths:
        listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
        git.run(space.path, "checkout-index", "-f", "-u", "-q", "-z", "--stdin", stdin=listed)


def _exclude(common: str) -> None:
    """Adds `.tatami/` to `.git/info/exclude`, once, so that the user's status stays clean."""
    path = os.path.join(common, "info", "exclude")
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        text = b""
    if _EXCLUDE.encode() in text.splitlines():
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    ending = b"" if not text or text.endswith(b"\n") else b"\n"
    with open(path + ".tatami", "wb") as file:
        file.write(text + ending + _EXCLUDE.encode() + b"\n")
    os.rename(path + ".tatami", path)


def _free_name(path: str) -> str:
    name, number = path, 1
    while os.path.lexists(name):
        number += 1
        name = f"{path}-{number}"
    return name
