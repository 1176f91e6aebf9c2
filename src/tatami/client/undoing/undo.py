"""Takes back an agent's last step in its workspace.

What a commit saved is work: when the commit is undone, the files stay, and the work is edits again.
A sync or a reset brought the files elsewhere: they follow the line back, edits are kept, and what
the workspace held is saved under a recovery ref before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tatami.client import working
from tatami.client.syncing import between as paths_between
from tatami.client.syncing import bring_head, edited, merged_edits, require_free
from tatami.values.errors import BusyError, TatamiError
from tatami.workspaces import git, line, worktree
from tatami.workspaces.recovery import save
from tatami.workspaces.worktree import Workspace

Json = dict[str, Any]
Command = Callable[[str, Json, Sequence[bytes]], Json]
"""Sends a command to the hub: verb, fields, contents."""
SAVE_REASON = "before an undo"
PLANS_MAX = 3
"""Times that the agent may do something else between what was planned and what is done."""


@dataclass(frozen=True, slots=True)
class Undo:
    """What an undo did, or (`dry_run`) would do.

    before, head: the line's commit. op: of the undo. steps: what was taken back, newest first
    (verb, op, commit, entry). files: "stay" or "follow". dequeued: entries that left the queue.
    entry: the one that is to land `inverse`, the commits that take landings back. recovery: the ref
    that holds the workspace as it was. conflicts: paths left with markers in it; next: then what.
    """

    name: str
    head: str
    before: str
    op: str | None = None
    steps: tuple[Json, ...] = ()
    files: str = "stay"
    dequeued: tuple[int, ...] = ()
    entry: int | None = None
    inverse: tuple[str, ...] = ()
    recovery: str | None = None
    conflicts: tuple[Json, ...] = ()
    next: str = ""
    dry_run: bool = False


def plan(command: Command, agent: str, to: str | None, expected: str | None = None) -> Json:
    """What the hub would do; raises `TatamiError`. Changes nothing."""
    fields = {"agent": agent, "to": to, "expected": expected, "dry_run": True}
    return command("undo", fields, ())


def preview(command: Command, agent: str, to: str | None, space: Workspace | None) -> Undo:
    """What `undo` would do; changes nothing."""
    if space:
        worktree.require_nothing_begun(space)
    planned = plan(command, agent, to)
    return replace(_done(agent, {**planned, "op": None}), dry_run=True)


def undo_line(command: Command, agent: str, to: str | None) -> Undo:
    """Takes back what an agent without a workspace did."""
    return _done(agent, command("undo", {"agent": agent, "to": to}, ()))


def undo(command: Command, space: Workspace, to: str | None) -> Undo:
    """Takes back what the agent of a workspace did; raises `TatamiError`, nothing is changed then.

    `ConflictError` (`line_moved`) alone comes after the line has moved: a file that was made in
    just this moment is in the way of the files that follow it.
    """
    for attempt in range(PLANS_MAX):
        try:
            return _undo(command, space, to)
        except BusyError as error:
            if error.code != "busy" or attempt == PLANS_MAX - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _undo(command: Command, space: Workspace, to: str | None) -> Undo:
    with working.held(space):
        head = working.base_commit(space)
        planned = plan(command, space.name, to, head)
        new, fields = planned["commit"], {"agent": space.name, "to": to, "expected": head}
        fields["step"] = planned["step"]
        if new == head:
            return _done(space.name, command("undo", fields, ()))
        if planned["files"] == "stay":
            return _index_alone(command, space, fields, head, new)
        taken = edited(space, head)
        overlapping = taken & set(paths_between(space, head, new))
        require_free(space, head, new, f"{space.name}'s line", "tatami undo")
        recovery = save(space, SAVE_REASON) if taken else None
        line.record(space, head)
        done = replace(_done(space.name, command("undo", fields, ())), recovery=recovery)
        if not overlapping:
            line.follow(space, line.Base(head, "-", 0), new)
            bring_head(space, head, new)
            return done
    rows, words = merged_edits(space, head, new)
    return replace(done, conflicts=rows, next=words)


def _index_alone(command: Command, space: Workspace, fields: Json, head: str, new: str) -> Undo:
    """Takes the line, HEAD and index back, and leaves the files alone, like `git reset`."""
    recovery = save(space, SAVE_REASON) if _holds_more(space) else None
    # Should this process die: the files already hold what the line has there.
    line.record(space, head, line.between(space, head, new))
    done = replace(_done(space.name, command("undo", fields, ())), recovery=recovery)
    try:
        bring_head(space, head, new)
        line.leave_files(space, new)
    except TatamiError as error:
        return replace(done, next=f"git's index follows at the next commit: {error.message}")
    return done


def _holds_more(space: Workspace) -> bool:
    """Whether the index holds contents that neither a commit nor a file has."""
    output = git.run(space.path, "status", "--porcelain", "-z", "--untracked-files=no").stdout
    rows = output.decode("utf-8", "replace").split("\0")
    return any(len(row) > 3 and row[0] in "MARCDU" and row[1] in "MDAU" for row in rows)


def _done(agent: str, result: Json) -> Undo:
    return Undo(
        name=agent,
        head=result["commit"],
        before=result["from"],
        op=result["op"],
        steps=tuple(result["steps"]),
        files=result["files"],
        dequeued=tuple(result["dequeued"]),
        entry=result.get("entry"),
        inverse=tuple(result["inverse"]),
    )
