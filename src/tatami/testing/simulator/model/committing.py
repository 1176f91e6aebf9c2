"""The verbs of the model's writer: a batch as one operation, lines, pinning what is to land.

The shapes are those of `tatami.hub.committing` and `tatami.hub.lines`.
"""

from collections.abc import Callable, Sequence

from tatami.hub.record import Record, answers_of
from tatami.protocol.hub import Answer, Enqueue, Json
from tatami.protocol.messages import Agents, Commit, Land, Reset, Retire
from tatami.schedule.landing import Entry
from tatami.store.repository import COMMANDS, FIRST_EVENT
from tatami.testing.simulator.flaws import Flaw
from tatami.testing.simulator.model import storage
from tatami.testing.simulator.model.storage import TRUNK, OpLog, Steps, digest
from tatami.values.errors import ConflictError, UsageError

Told = tuple[Sequence[Answer], int, Sequence[Json]]
"""Answers in the order asked, the number of the first event, the events."""


class Committing:
    """The writer's verbs; one that raises `TatamiError` changed nothing."""

    def __init__(self, record: Record, log: OpLog, flaw: Flaw | None) -> None:
        self._record = record
        self._log = log
        self._flaw = flaw

    def flush(
        self,
        batch: Sequence[Enqueue],
        reached: Callable[[str], None],
        early: Callable[[Sequence[Answer]], None],
    ) -> Steps[Told]:
        """Publishes a batch; a request that is refused does not hold up the others."""
        answers: dict[int, Answer] = {}
        drawn: dict[int, storage.Commit] = {}
        heads: dict[str, str] = {}
        made: dict[str, storage.Commit] = {}
        for index, command in enumerate(batch):
            request = command.request
            assert isinstance(request, Commit)
            try:
                drawn[index] = self._draw(request, command.body, heads, made)
            except (UsageError, ConflictError) as error:
                answers[index] = Answer(error=error)
        first, facts = self._record.next_event, list[Json]()
        if drawn:
            rows = [
                (str(batch[i].id), commit.agent, "commit", commit.id, "")
                for i, commit in drawn.items()
            ]
            attributes = {COMMANDS: storage.rows(rows), FIRST_EVENT: str(first)}
            bookmarks = {f"agent/{agent}": head for agent, head in heads.items()}
            op = self._log.prepare(tuple(drawn.values()), bookmarks, attributes)
            told = dict(answers_of(op.id, attributes))
            answers |= {index: told[batch[index].id] for index in drawn}
            if self._flaw is Flaw.EARLY_ACK:
                early([answers[index] for index in range(len(batch))])
            yield from self._log.publish(op, reached)
            facts = self._record.happened(op.id, attributes)
        for index, command in enumerate(batch):
            self._record.answered(command.id, answers[index])
        return [answers[index] for index in range(len(batch))], first, facts

    def _draw(
        self,
        request: Commit,
        body: bytes,
        heads: dict[str, str],
        made: dict[str, storage.Commit],
    ) -> storage.Commit:
        head = heads.get(request.agent) or self._head(request.agent)
        if request.expected is not None and request.expected != head:
            raise ConflictError("the head is another", code="stale_head")
        if not request.changes:
            raise UsageError("nothing to commit", code="nothing_to_commit")
        path, value = request.changes[0][0], body.decode()
        below = made.get(head) or self._log.commits[head]
        id = digest(head, request.agent, path, value)
        commit = storage.Commit(id, head, request.agent, path, value, {**below.tree, path: value})
        heads[request.agent] = id
        made[id] = commit
        return commit

    def move(self, command: Enqueue, reached: Callable[[str], None]) -> Steps[Told]:
        """Makes, resets or retires a line."""
        match command.request:
            case Agents(names=[name]):
                verb, agent = "agent", name
                known = self._log.bookmarks.get(f"agent/{name}")
                if known:
                    return self._known(command, name, known)
                head = self._log.bookmarks[TRUNK]
            case Reset(agent=agent):
                self._head(agent)
                verb, head = "reset", self._log.bookmarks[TRUNK]
            case Retire(agent=agent):
                verb, head = "retire", self._head(agent)
                if self._unlanded(agent):
                    raise ConflictError(
                        f"{agent} has commits that have not landed", code="unlanded"
                    )
            case _:
                raise UsageError("the model does not know this", code="usage")
        first = self._record.next_event
        row = (str(command.id), agent, verb, head, "")
        attributes = {COMMANDS: storage.rows([row]), FIRST_EVENT: str(first)}
        moved = {f"agent/{agent}": "" if verb == "retire" else head}
        op = self._log.prepare((), moved, attributes)
        yield from self._log.publish(op, reached)
        facts = self._record.happened(op.id, attributes)
        answer = answers_of(op.id, attributes)[0][1]
        self._record.answered(command.id, answer)
        return (answer,), first, facts

    def _known(self, command: Enqueue, name: str, head: str) -> Told:
        answer = Answer({"agents": [{"agent": name, "head": head}], "op": self._log.head.id})
        first = self._record.next_event
        return (answer,), first, self._record.record_entries((), [(command.id, answer)])

    def pin(self, command: Enqueue, request: Land) -> tuple[Told, tuple[Entry, ...]]:
        """Queues what of the lines has not landed; already queued commits are not queued again."""
        entries: list[Entry] = []
        held = dict(self._record.pinned)
        for agent in request.agents:
            self._head(agent)
            line = self._unlanded(agent)
            commits = [commit for commit in line if commit.id not in held]
            if not commits:
                continue
            number = self._record.next_entry + len(entries)
            ids = tuple(commit.id for commit in reversed(commits))
            below = tuple(sorted({held[c.id] for c in line if c.id in held}))
            entries.append(Entry(number, agent, ids, request.verify, builds_on=below))
            held.update(dict.fromkeys(ids, number))
        if not entries:
            raise UsageError("nobody has anything to land", code="nothing_to_land")
        self._record.next_entry += len(entries)
        answer = Answer({"entries": [entry.number for entry in entries]})
        first = self._record.next_event
        told = self._record.record_entries(tuple(entries), [(command.id, answer)])
        return ((answer,), first, told), tuple(entries)

    def _unlanded(self, agent: str) -> list[storage.Commit]:
        trunk = {c.id for c in self._log.line(self._log.bookmarks[TRUNK], ())}
        line = self._log.line(self._head(agent), trunk)
        return [commit for commit in line if commit.id not in self._record.landed]

    def _head(self, agent: str) -> str:
        head = self._log.bookmarks.get(f"agent/{agent}")
        if not head:
            raise UsageError(f"no agent is called {agent!r}", code="unknown_agent")
        return head
