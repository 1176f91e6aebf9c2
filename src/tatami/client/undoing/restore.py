"""Puts the whole repository back to an operation: lines and trunk in the hub, workspaces here.

What a workspace holds is saved before. Its edits stay: where one is in the way of what the line has
now, the workspace waits, as it does whenever its line was moved by somebody else.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tatami.client import working
from tatami.store.locate import Place
from tatami.values.errors import TatamiError
from tatami.workspaces import worktree
from tatami.workspaces.recovery import save
from tatami.workspaces.worktree import Workspace

Json = dict[str, Any]
Command = Callable[[str, Json, Sequence[bytes]], Json]
"""Sends a command to the hub: verb, fields, contents."""
SAVE_REASON = "before an operation is restored"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, or (`dry_run`) would do.

    to: the operation. op: of the restore. trunk: `from` and `commit`. agents: `agent`, `from`
    (None: it was retired) and `commit` of each line that moves. kept: agents without a line then,
    which stay as they are. By agent, recovery: refs; waiting: why a workspace has not followed.
    """

    to: str
    trunk: Json
    agents: tuple[Json, ...]
    kept: tuple[str, ...]
    op: str | None = None
    recovery: dict[str, str] | None = None
    waiting: dict[str, str] | None = None
    dry_run: bool = False


def preview(command: Command, op: str) -> Restored:
    """What `restore` would do; changes nothing."""
    planned = command("restore", {"op": op, "dry_run": True}, ())
    return _done(planned, None, dry_run=True)


def restore(place: Place, command: Command, op: str) -> Restored:
    """Goes back to an operation, or by a later one forward again; raises `TatamiError`."""
    planned = command("restore", {"op": op, "dry_run": True}, ())
    spaces = _ready(place, (row["agent"] for row in planned["agents"]))
    recovery: dict[str, str] = {}
    for space in spaces:
        ref = _saved(space)
        if ref:
            recovery[space.name] = ref
    result = command("restore", {"op": op}, ())
    waiting: dict[str, str] = {}
    for space in spaces:
        try:
            with working.held(space):
                working.base_commit(space)
        except TatamiError as error:
            waiting[space.name] = error.message
    return _done(result, recovery, waiting)


def _saved(space: Workspace) -> str | None:
    """Saves what a workspace holds; in the middle of a rebase git itself keeps what it began on."""
    with working.held(space):
        if worktree.state(space) != "ready":
            return None
        return save(space, SAVE_REASON)


def _ready(place: Place, names: Iterable[str]) -> list[Workspace]:
    found = (worktree.get(place.common, name) for name in names)
    return [space for space in found if space and worktree.state(space) == "ready"]


def _done(
    result: Json,
    recovery: dict[str, str] | None,
    waiting: dict[str, str] | None = None,
    dry_run: bool = False,
) -> Restored:
    return Restored(
        to=result["to"],
        trunk=result["trunk"],
        agents=tuple(result["agents"]),
        kept=tuple(result["kept"]),
        op=result.get("op"),
        recovery=recovery,
        waiting=waiting,
        dry_run=dry_run,
    )
