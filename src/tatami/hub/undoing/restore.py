"""Puts the whole repository back: every agent's line and the trunk, as they were at an operation.

One new operation, which is itself in the log, so that going to the operation before it undoes it.
Which queued commits are on the trunk, and as what, is put back with the trunk.
"""

import json
from dataclasses import dataclass

from tatami.hub.committing import move_branches
from tatami.hub.importing import Importing
from tatami.hub.record import (
    TAKEN_OFF,
    Record,
    answers_of,
    landed_again,
    moved_entry,
)
from tatami.hub.undoing.hall import Hall
from tatami.hub.undoing.landings import Landings, changes, landings_at
from tatami.hub.undoing.undo import RACES_MAX
from tatami.protocol.hub import Answer, Json
from tatami.protocol.messages import Restore
from tatami.schedule.landing import Entry
from tatami.store import trunk
from tatami.store.repository import COMMANDS, FIRST_EVENT, LANDED, RELANDED, RESTORED, Plan
from tatami.values.errors import BusyError, UsageError
from tatami.values.ids import AGENT_BOOKMARK_PREFIX, CommandId, agent_bookmark
from tatami.values.specs import OpSpec


@dataclass(frozen=True, slots=True)
class _Goal:
    """What there is to do: `trunk` and, by agent, `moves` are where from and where to.

    An agent that was retired since comes back, from "". kept: agents that had no line then, or a
    conflicted one; they stay as they are. landings: of what is on that trunk.
    """

    op: str
    trunk: tuple[str, str]
    moves: dict[str, tuple[str, str]]
    kept: tuple[str, ...]
    landings: Landings

    def said(self) -> Json:
        """The plan, or what was done, as answers show it."""
        return {
            "to": self.op,
            "trunk": {"from": self.trunk[0], "commit": self.trunk[1]},
            "agents": [
                {"agent": agent, "from": old or None, "commit": new}
                for agent, (old, new) in sorted(self.moves.items())
            ],
            "kept": list(self.kept),
        }


class Restoring:
    """Carries out `op restore`, which may run on any thread but the writer's."""

    def __init__(self, record: Record, importing: Importing, common: str, hall: Hall) -> None:
        self._record = record
        self._repository = record.repository
        self._importing = importing
        self._common = common
        self._hall = hall

    def restore(self, id: CommandId, request: Restore) -> Answer:
        """Goes back to an operation (or, by a later restore, forward again)."""
        op = self._repository.operations(1, [request.op])[0].id
        for _ in range(RACES_MAX):
            self._hall.write(self._look).result()
            goal = self._goal(op)
            if request.dry_run:
                return Answer(goal.said())
            answer = self._hall.write(lambda: self._publish(id, goal)).result()  # noqa: B023
            if answer:
                self._hall.follow()
                return answer
        raise BusyError("the lines or the trunk keep moving", fix="try again")

    def _look(self) -> None:
        if self._record.pinned and not self._record.ledger.paused():
            raise BusyError(
                "commits wait to land; they would land on what is restored",
                code="queued",
                fix="tatami queue pause, then again, then: tatami queue resume",
            )
        self._importing.look(self._repository.agents())

    def _goal(self, op: str) -> _Goal:
        repository = self._repository
        then = repository.core.view(op).bookmarks
        to = then.get(repository.trunk)
        if to is None:
            raise UsageError(
                f"the trunk had no single commit at operation {op[:12]}",
                code="no_trunk",
                fix="tatami op log",
            )
        now, here = repository.agents(), repository.trunk_head()
        start = len(AGENT_BOOKMARK_PREFIX)
        lines = {
            name[start:]: commit
            for name, commit in then.items()
            if name.startswith(AGENT_BOOKMARK_PREFIX) and commit
        }
        moves = {
            agent: (now.get(agent, ""), commit)
            for agent, commit in lines.items()
            if now.get(agent) != commit
        }
        kept = tuple(sorted(now.keys() - lines.keys()))
        if not moves and here == to:
            raise UsageError(
                f"everything is as it was at operation {op[:12]}",
                code="nothing_to_restore",
                fix="tatami op log",
            )
        landings = landings_at(repository, op, dict(self._record.landed))
        reached = {c: r for c, r in landings.items() if repository.is_ancestor(r.commit, to)}
        return _Goal(op, (here, to), moves, kept, reached)

    def _publish(self, id: CommandId, goal: _Goal) -> Answer | None:
        """Publishes the restore; None where something has moved meanwhile."""
        record, repository = self._record, self._repository
        again, moved = changes(record.landed, goal.landings)
        rows = [(str(id), "", "restore", goal.trunk[1], "")]
        rows += [(str(id), agent, "restore", to, "") for agent, (_, to) in goal.moves.items()]
        attributes = {
            COMMANDS: json.dumps(rows, separators=(",", ":")),
            FIRST_EVENT: str(record.next_event),
            RESTORED: json.dumps(goal.said(), separators=(",", ":")),
            **({LANDED: json.dumps(again, separators=(",", ":"))} if again else {}),
            **({RELANDED: json.dumps(moved)} if moved else {}),
        }
        bookmarks: dict[str, str | None] = {
            agent_bookmark(agent): to for agent, (_, to) in goal.moves.items()
        }
        bookmarks[repository.trunk] = goal.trunk[1]
        left = [*(old for old, _ in goal.moves.values() if old), goal.trunk[0]]
        operation = OpSpec(f"restore to operation {goal.op[:12]}", attributes, bookmarks, left)

        def plan() -> Plan | None:
            return Plan((), lambda _: operation) if self._still(goal) else None

        published = repository.publish(plan)
        if published is None:
            return None
        first = record.next_event
        told = record.happened(published.op, attributes)
        answer = answers_of(published.op, attributes)[0][1]
        record.answered(id, answer)
        self._hall.tell(first, told)
        record.put(published.op, attributes)
        self._correct({row[0] for row in again}, moved)
        self._move(goal)
        return answer

    def _still(self, goal: _Goal) -> bool:
        repository = self._repository
        now = repository.agents()
        if trunk.head(self._common, repository.trunk) != self._record.trunk_ref:
            raise BusyError("git has just moved the trunk", fix="try again")
        same = all(now.get(agent, "") == old for agent, (old, _) in goal.moves.items())
        return same and repository.trunk_head() == goal.trunk[0]

    def _correct(self, again: set[int], moved: dict[str, str]) -> None:
        """Records the queue entries that are landed again, or no longer."""
        record = self._record
        corrected: list[Entry] = []
        for entry in record.entries():
            after = moved_entry(entry, moved, TAKEN_OFF)
            after = landed_again(after, again, record.landed)
            if after != entry:
                corrected.append(after)
        first = record.next_event
        self._hall.tell(first, record.owe_entries(tuple(corrected)))
        self._hall.queued(tuple(corrected))

    def _move(self, goal: _Goal) -> None:
        for agent, (old, to) in goal.moves.items():
            self._importing.leaving(agent, old, to)
        move_branches(self._repository, {agent: to for agent, (_, to) in goal.moves.items()})
