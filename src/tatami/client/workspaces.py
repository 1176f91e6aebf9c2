"""Makes, lists and removes agents' workspaces: the files and the lines behind them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tatami.client import working
from tatami.store.locate import Place
from tatami.values.errors import ConflictError, TatamiError, UsageError
from tatami.values.ids import agent_name
from tatami.workspaces import git, line, worktree
from tatami.workspaces.kinds import choosing, layers, mounting
from tatami.workspaces.kinds.choosing import Wanted
from tatami.workspaces.lifetime import making, removing
from tatami.workspaces.recovery import save
from tatami.workspaces.snapshot import changed_paths
from tatami.workspaces.worktree import Workspace

Json = dict[str, Any]
Command = Callable[[str, Json, Sequence[bytes]], Json]
"""Sends a command to the hub: verb, fields, contents."""
SAVE_MESSAGE = "Save the workspace of {} before it is removed"
SAVE_REASON = "before it is removed"
SAVE_ROUNDS_MAX = 5
"""What is staged and what is not are two commits; more means that somebody is still writing."""
SCANS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a workspace does, or did.

    unsaved: paths with changes that are committed first. ignored: ignored files and folders, which
    go. saved: the commit on the agent's line that holds the changes. recovery: the ref that holds
    them where the line could not take them. retired: the agent is forgotten, since all it did has
    landed; otherwise its line stays. note: what else to know.
    """

    name: str
    path: str
    unsaved: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    saved: str | None = None
    recovery: str | None = None
    retired: bool = False
    note: str = ""


def require_possible(place: Place, names: Sequence[str]) -> None:
    """Raises `TatamiError` where an agent of these could not get its workspace; changes nothing."""
    missing = [name for name in names if not _ready(place, agent_name(name))]
    making.require_free(place.common, place.workspaces, missing)


def ensure(
    place: Place, agents: Sequence[Json], wanted: Wanted | None = None, fresh: bool = False
) -> dict[str, Workspace]:
    """The workspaces of agents (rows: `agent`, `head`), the missing ones made side by side.

    wanted: of which kind (None: as the machine's settings say). fresh: refuse one that somebody
    else makes at this moment (`workspace_exists`).
    """
    wanted = wanted or choosing.wanted(place.root, None, ())
    heads = {row["agent"]: row["head"] for row in agents}
    spaces = {name: _ready(place, name) for name in heads}
    if not all(spaces.values()):
        with making.one_at_a_time(place.common):
            removing.sweep(place.common, place.workspaces)
            asked = {name: head for name, head in heads.items() if not spaces[name]}
            missing = {n: h for n, h in asked.items() if fresh or not _ready(place, n)}
            making.require_free(place.common, place.workspaces, list(missing))
            made = making.make(place.common, place.workspaces, missing, wanted)
            spaces |= {space.name: space for space in made}
    return {name: space or named(place, name) for name, space in spaces.items()}


def describe(place: Place, status: Json, names: Sequence[str] = ()) -> list[Json]:
    """Workspaces (of these agents, or all) as `workspace list --json` prints them.

    status: the hub's. base: the newest commit of the trunk in the agent's line. behind: commits of
    the trunk since. dirty: something is not committed.
    """
    agents = {row["name"]: row for row in status["agents"]}
    spaces = [s for s in worktree.registered(place.common) if not names or s.name in names]
    trunk = status["trunk"]["commit"]
    with ThreadPoolExecutor(SCANS_AT_ONCE) as pool:
        return list(pool.map(lambda space: _row(space, agents.get(space.name), trunk), spaces))


def unsaved(space: Workspace) -> list[str]:
    """The paths whose changes are in no commit; [] for a clean workspace."""
    head = worktree.head(space)
    behind = line.behind(space, head)
    return changed_paths(space, behind.commit if behind else head)


def preview(place: Place, name: str) -> Removal:
    """What `remove` would do; changes nothing."""
    space = named(place, name)
    if worktree.state(space) == "unmounted":
        mounting.mount(space)
    if worktree.state(space) != "ready":
        return Removal(name, space.path, note=f"the workspace is {worktree.state(space)}")
    removing.require_no_repositories(space)
    return Removal(name, space.path, tuple(unsaved(space)), tuple(removing.ignored(space)))


def remove(place: Place, command: Command, name: str, force: bool = False) -> Removal:
    """Removes a workspace once everything in it is saved, and its agent once all of it has landed.

    command: sends a command to the hub. force: what the agent's line cannot take is saved under a
    ref of its own. Raises `TatamiError` where something could not be saved; it is then all there.
    """
    with making.one_at_a_time(place.common):
        space = named(place, name)
        removing.resume(space)
        removed = _remove_files(place, space, command, force)
        removing.sweep(place.common, place.workspaces)
    try:
        command("retire", {"agent": name}, ())
    except TatamiError as error:
        # The workspace is gone all the same; mostly the line holds what has not landed yet.
        return replace(removed, note=" ".join(filter(None, (removed.note, error.message))))
    return replace(removed, retired=True)


def _remove_files(place: Place, space: Workspace, command: Command, force: bool) -> Removal:
    found = worktree.state(space)
    gone = Removal(space.name, space.path)
    if found == "unfinished":
        aside = making.clear_unfinished(place.common, place.workspaces, space.name)
        return replace(gone, note=f"its files were moved to {aside}" if aside else "")
    message = SAVE_MESSAGE.format(space.name)
    if found == "unmounted":
        mounting.mount(space)
    if found == "missing" and space.kind == "overlay" and not layers.is_deleted(space.git_dir):
        raise mounting.in_the_way(space)
    if found in {"missing", "emptied"}:
        recovery = save(space, SAVE_REASON)
        removing.forget(space)
        return replace(gone, recovery=recovery)
    removing.require_no_repositories(space)
    saved, recovery, refused = None, None, False
    try:
        saved = _commit_all(space, command, message)
    except TatamiError as error:
        if not force:
            raise ConflictError(
                f"workspace {space.name} stays, its changes could not be committed: "
                f"{error.message}",
                code="unsaved",
                fix=error.fix or f"tatami workspace remove {space.name} --force",
            ) from error
        # The error is not kept: its frames hold the scan, which holds the mounted directory open.
        refused = True
    ignored = tuple(removing.ignored(space))
    with removing.moved_away(space) as moved:
        if refused:
            recovery = save(moved, SAVE_REASON)
        else:
            removing.require_saved(moved)
    removing.forget(space)
    return replace(gone, saved=saved, recovery=recovery, ignored=ignored)


def _commit_all(space: Workspace, command: Command, message: str) -> str | None:
    """Commits all that the workspace holds on the agent's line; None when nothing had to be."""

    def send(fields: Json, body: Sequence[bytes]) -> Json:
        return command("commit", {"agent": space.name, **fields}, body)

    saved = None
    for _ in range(SAVE_ROUNDS_MAX):
        try:
            # The user's hooks judge finished work; this must be kept whatever they think of it.
            result, _ = working.snapshot(send, space, message, verify=False)
        except UsageError as error:
            if error.code != "nothing_to_commit":
                raise
            return saved
        saved = str(result["commit"])
    return saved


def _ready(place: Place, name: str) -> Workspace | None:
    """The agent's workspace if it can be used, or could be where it is mounted."""
    space = worktree.get(place.common, name)
    if space and worktree.state(space) == "unmounted":
        with suppress(TatamiError):
            mounting.mount(space)
        return space
    return space if space and worktree.state(space) == "ready" else None


def named(place: Place, name: str) -> Workspace:
    """The workspace of this agent, in whatever state; raises `UsageError` for none."""
    space = worktree.get(place.common, agent_name(name))
    if space is None:
        raise UsageError(
            f"there is no workspace {name}", code="no_workspace", fix="tatami workspace list"
        )
    return space


def _row(space: Workspace, agent: Json | None, trunk: str) -> Json:
    if worktree.state(space) == "unmounted":
        with suppress(TatamiError):
            mounting.mount(space)
    found = worktree.state(space)
    behind = agent["behind"] if agent else 0
    row = {"name": space.name, "path": space.path, "base": trunk, "behind": behind}
    dirty = False
    if found == "unmounted":
        # Nobody can look inside from here.
        dirty = bool(set(os.listdir(layers.of(space.git_dir).upper)) - {".git"})
    if found == "ready":
        try:
            if behind or agent is None:
                row["base"] = git.text(space.path, "merge-base", trunk, worktree.head(space))
            dirty = bool(unsaved(space))
        except TatamiError:
            # Something in it cannot be read or committed: there is something that is not.
            dirty = True
    return {**row, "dirty": dirty, "kind": space.kind, "state": found}
