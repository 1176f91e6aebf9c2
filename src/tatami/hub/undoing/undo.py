"""Takes back an agent's last step: by a new operation that moves this agent's line, and no other.

What waits in the queue is taken out of it. What has landed is taken back by a commit that lands as
any other does. Deciding and merging run beside the writer, which only looks, publishes and records.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tatami.hub.committing import Identity, move_branches
from tatami.hub.importing import Importing
from tatami.hub.rebasing import Stuck
from tatami.hub.record import Record, answers_of, undoing_entry
from tatami.hub.undoing.hall import Hall
from tatami.hub.undoing.inverse import inverses, landing
from tatami.hub.undoing.steps import Steps
from tatami.protocol.hub import Answer, Json
from tatami.protocol.messages import Undo
from tatami.schedule import undoing
from tatami.schedule.landing import Entry
from tatami.schedule.undoing import Step, Undone
from tatami.store.repository import COMMANDS, FIRST_EVENT, UNDID, Plan, Prepared, Published
from tatami.values.errors import BusyError, ConflictError, TatamiError
from tatami.values.ids import CommandId, agent_bookmark
from tatami.values.specs import CommitSpec, OpSpec

Answers = Sequence[tuple[CommandId, Answer]]
RACES_MAX = 5
"""Times in a row that the line or the trunk may move meanwhile."""
REASON = "undone"


@dataclass(frozen=True, slots=True)
class _Start:
    """A line as it is. waiting: entries of the agent in the queue, newest first."""

    agent: str
    head: str
    trunk: str
    waiting: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class _Back:
    """What an undo does. line: where the line goes. dequeued: entries to take out of the queue."""

    line: str
    dequeued: tuple[int, ...] = ()
    undone: Undone | None = None
    specs: tuple[CommitSpec, ...] = ()
    verify: str | None = None

    @property
    def step(self) -> str:
        """Names what is taken back, so that a client can ask for just this."""
        name = self.undone.oldest if self.undone else ("queue", self.dequeued[0])
        return f"{name[0]}:{name[1]}"

    def said(self, start: _Start) -> Json:
        """The plan as answers show it."""
        steps: Sequence[Step] = self.undone.steps if self.undone else ()
        rows: list[Json] = [
            {"verb": step.verb, "op": step.op, "commit": step.after, "entry": step.entry or None}
            for step in steps
        ]
        queued: list[Json] = [
            {"verb": "land", "op": None, "commit": entry.commits[-1], "entry": entry.number}
            for entry in start.waiting
            if entry.number in self.dequeued
        ]
        return {
            "from": start.head,
            "steps": queued + rows,
            "files": "stay" if self.undone is None or self.undone.stays else "follow",
            "dequeued": list(self.dequeued),
        }


class Undoing:
    """Carries out `undo`, which may run on any thread but the writer's."""

    def __init__(
        self, record: Record, importing: Importing, identity: Identity, hall: Hall
    ) -> None:
        self._record = record
        self._repository = record.repository
        self._importing = importing
        self._identity = identity
        self._hall = hall
        self._steps = Steps(record)

    def undo(self, id: CommandId, request: Undo) -> Answer:
        """Takes back the last step or, with `to`, everything after an operation."""
        for _ in range(RACES_MAX):
            start = self._hall.write(lambda: self._look(request)).result()
            back = self._back(start, request.to)
            if request.dry_run:
                plan = {"agent": start.agent, "commit": back.line, "step": back.step}
                return Answer({**plan, "inverse": [], **back.said(start)})
            if request.step not in {None, back.step}:
                raise BusyError(f"{start.agent} did something meanwhile", fix="tatami undo")
            answer = self._carry_out(id, start, back)
            if answer:
                return answer
        raise BusyError("the line or the trunk keeps moving", fix="try again")

    def _look(self, request: Undo) -> _Start:
        agent, repository = request.agent, self._repository
        repository.head(agent)
        self._importing.look([agent])
        head = repository.head(agent)
        if request.expected is not None:
            self._importing.require_on_line(agent)
        if request.expected not in {None, head}:
            raise ConflictError(
                f"{agent}'s head is {head[:12]}, not {request.expected[:12]}",
                code="stale_head",
                fix="tatami log",
            )
        numbers = sorted(set(self._record.pinned.values()), reverse=True)
        entries = (self._record.entry(number) for number in numbers)
        waiting = tuple(e for e in entries if e and e.agent == agent and not e.undoes)
        return _Start(agent, head, repository.trunk_head(), waiting)

    def _back(self, start: _Start, to: str | None) -> _Back:
        if to is None:
            asked = [e.number for e in start.waiting if e.commits[-1] == start.head]
            if asked:
                return _Back(start.head, (asked[0],))
            undone = undoing.last(self._steps.of(start.agent), start.agent)
        else:
            op = self._repository.operations(1, [to])[0].id
            undone = undoing.since(self._steps.of(start.agent), start.agent, op)
        line = undone.line or start.head
        gone = tuple(e.number for e in start.waiting if self._leaves(e, start.head, line))
        specs, verify = self._inverses(start, undone.landings)
        return _Back(line, gone, undone, specs, verify)

    def _leaves(self, entry: Entry, head: str, line: str) -> bool:
        """Whether an entry holds commits that a line loses on its way from `head` to `line`."""
        has = self._repository.is_ancestor
        return any(has(commit, head) and not has(commit, line) for commit in entry.commits)

    def _inverses(
        self, start: _Start, landings: Sequence[Step]
    ) -> tuple[tuple[CommitSpec, ...], str | None]:
        """Commits that take landings back, verified as those were."""
        repository = self._repository
        entries = [self._record.entry(step.entry) for step in landings]
        rows = [(s.op, e) for s, e in zip(landings, entries, strict=True) if e]
        now = int(time.time())
        signature = (*_pair(self._identity), now, time.localtime(now).tm_gmtoff // 60)
        found = [landing(repository, op, entry) for op, entry in rows]
        specs = inverses(repository, found, start.trunk, signature)
        if isinstance(specs, Stuck):
            paths = ", ".join(conflict.path for conflict in specs.conflicts[:5])
            raise ConflictError(
                f"the landing of {specs.commit[:12]} cannot be taken back: what the trunk has "
                f"since conflicts with that in {paths}; nothing was changed",
                code="conflict",
                fix=f"tatami workspace sync {start.agent}, then: git revert {specs.commit[:12]}",
            )
        return tuple(specs), next((e.verify for _, e in rows if e.verify is not None), None)

    def _carry_out(self, id: CommandId, start: _Start, back: _Back) -> Answer | None:
        if back.undone is None:
            result = {"agent": start.agent, "commit": start.head, "op": None}
            answer = Answer({**result, "entry": None, "inverse": [], **back.said(start)})
            self._dequeue(start, back.dequeued, [(id, answer)])
            return answer
        if back.dequeued:
            self._dequeue(start, back.dequeued, [])
        return self._hall.write(lambda: self._publish(id, start, back)).result()

    def _dequeue(self, start: _Start, numbers: Sequence[int], answers: Answers) -> None:
        try:
            self._hall.reject(numbers, REASON, answers)
        except TatamiError as error:
            if error.code != "queue_state":
                raise
            raise BusyError(
                f"{start.agent}'s commits are landing just now",
                code="landing",
                fix=f"tatami land {start.agent} --wait; tatami undo --agent {start.agent}",
            ) from error

    def _publish(self, id: CommandId, start: _Start, back: _Back) -> Answer | None:
        """Publishes the undo; None where the line or the trunk has moved meanwhile."""
        attributes: dict[str, str] = {}

        def plan() -> Plan | None:
            return None if self._moved(start) else Plan(back.specs, finish)

        def finish(commits: Sequence[Prepared]) -> OpSpec:
            made = [prepared.commit for prepared in commits]
            attributes.update(self._attributes(id, start, back, made))
            moved = {agent_bookmark(start.agent): back.line} if back.line != start.head else {}
            # The trunk gets them through the queue; until then they are nobody's.
            hidden = [*made, *([start.head] if moved else [])]
            return OpSpec(f"undo {start.agent}", dict(attributes), dict(moved), hidden)

        published = self._repository.publish(plan)
        return self._recorded(id, start, back, published, attributes) if published else None

    def _attributes(
        self, id: CommandId, start: _Start, back: _Back, made: Sequence[str]
    ) -> dict[str, str]:
        assert back.undone
        row = (str(id), start.agent, "undo", back.line, "")
        undid = back.said(start) | {
            "oldest": back.undone.oldest,
            "entry": self._record.next_entry if made else None,
            "inverse": list(made),
            "verify": back.verify,
        }
        return {
            COMMANDS: json.dumps([row], separators=(",", ":")),
            FIRST_EVENT: str(self._record.next_event),
            UNDID: json.dumps(undid, separators=(",", ":")),
        }

    def _recorded(
        self,
        id: CommandId,
        start: _Start,
        back: _Back,
        published: Published,
        attributes: dict[str, str],
    ) -> Answer:
        record = self._record
        first = record.next_event
        told = record.happened(published.op, attributes)
        answer = answers_of(published.op, attributes)[0][1]
        record.answered(id, answer)
        self._hall.tell(first, told)
        if back.line != start.head:
            self._importing.leaving(start.agent, start.head, back.line)
            move_branches(self._repository, {start.agent: back.line})
        entry = undoing_entry(attributes)
        if entry:
            record.next_entry += 1
            first = record.next_event
            self._hall.tell(first, record.owe_entries((entry,)))
            self._hall.queued((entry,))
        return answer

    def _moved(self, start: _Start) -> bool:
        repository = self._repository
        return (repository.head(start.agent), repository.trunk_head()) != (start.head, start.trunk)


def _pair(identity: Identity) -> tuple[str, str]:
    return identity.name, identity.email
