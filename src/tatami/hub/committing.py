"""Carries out a batch of commits as one operation: plan on the agents' heads, build, publish."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tatami.hub.importing import Importing
from tatami.hub.record import Record
from tatami.hub.writer import is_fatal
from tatami.protocol.hub import Answer, Enqueue, Json
from tatami.protocol.messages import Commit
from tatami.store.repository import (
    COMMANDS,
    FIRST_EVENT,
    Plan,
    Prepared,
    Published,
    Repository,
)
from tatami.values.errors import BusyError, ConflictError, TatamiError, UsageError
from tatami.values.ids import agent_bookmark
from tatami.values.specs import Change, CommitSpec, OpSpec, Signature

log = logging.getLogger("tatami.hub")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who commits when a request names nobody: the repository's git identity."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Answers of a batch in the order asked, and the events to number from `first_event`."""

    answers: tuple[Answer, ...]
    first_event: int
    facts: tuple[Json, ...]


@dataclass(slots=True)
class _Drawing:
    """One attempt at a plan: specs, whose they are, heads after them, commits to hide."""

    specs: list[CommitSpec] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)

    def moved(self, commits: Sequence[Prepared]) -> dict[str, str]:
        """Every agent's new head, now that the ids of the specs are known."""
        return {agent: commits[int(at[1:])].commit for agent, at in self.heads.items()}


@dataclass(slots=True)
class _Flush:
    """A batch on its way: what was refused, what was there already, the last drawing of it."""

    batch: Sequence[Enqueue]
    now_s: int
    refused: dict[int, TatamiError] = field(default_factory=dict)
    unchanged: dict[int, Prepared] = field(default_factory=dict)
    drawing: _Drawing = field(default_factory=_Drawing)
    attributes: dict[str, str] = field(default_factory=dict)
    op: str = ""

    def request(self, index: int) -> Commit:
        """The request at a place of the batch."""
        request = self.batch[index].request
        assert isinstance(request, Commit)
        return request

    def visible(self, index: int) -> bool:
        """Whether the request waits for git to see its commit."""
        return self.request(index).visible


class Committing:
    """Turns waiting commit requests into one published operation."""

    def __init__(self, record: Record, identity: Identity, importing: Importing) -> None:
        self._record = record
        self._identity = identity
        self._importing = importing

    def flush(self, batch: Sequence[Enqueue], now_s: int, look: bool = True) -> Outcome:
        """Publishes a batch; a request that is refused does not hold up the others.

        look: import first what git did to these lines, which has events of its own.
        """
        flush = _Flush(batch, now_s)
        try:
            if look:
                agents = {flush.request(index).agent for index in range(len(batch))}
                self._importing.look(agents)
            published = self._record.repository.publish(lambda: self._plan(flush))
        except TatamiError as error:
            if is_fatal(error):
                raise
            if not error.retryable and len(batch) > 1:
                # One of them cannot be built, and only building tells which.
                return self._one_by_one(batch, now_s)
            answers = [Answer(error=flush.refused.get(i, error)) for i in range(len(batch))]
            return Outcome(tuple(answers), self._record.next_event, ())
        return self._outcome(flush, published)

    def _one_by_one(self, batch: Sequence[Enqueue], now_s: int) -> Outcome:
        first = self._record.next_event
        outcomes = [self.flush((one,), now_s, look=False) for one in batch]
        answers = tuple(answer for outcome in outcomes for answer in outcome.answers)
        return Outcome(answers, first, tuple(f for outcome in outcomes for f in outcome.facts))

    def _plan(self, flush: _Flush) -> Plan | None:
        drawing = flush.drawing = _Drawing()
        op = self._record.repository.core.op()
        if op != flush.op:
            # What was refused on another view may be right on this one.
            flush.refused.clear()
            flush.unchanged.clear()
            flush.op = op
        for index, one in enumerate(flush.batch):
            if index in flush.refused or index in flush.unchanged:
                continue
            try:
                self._draw(drawing, index, flush.request(index), one.body, flush.now_s)
            except TatamiError as error:
                flush.refused[index] = error
        if not drawing.specs:
            return None
        return Plan(drawing.specs, lambda commits: self._operation(flush, commits))

    def _operation(self, flush: _Flush, commits: Sequence[Prepared]) -> OpSpec | None:
        drawing = flush.drawing
        empty = self._empty(flush, commits)
        if empty:
            flush.refused.update(empty)
            return None
        if self._seen_before(flush, commits):
            return None
        rows = [
            (str(flush.batch[i].id), flush.request(i).agent, "commit", c.commit, c.change)
            for i, c in zip(drawing.asked, commits, strict=True)
        ]
        flush.attributes = {
            COMMANDS: json.dumps(rows, separators=(",", ":")),
            FIRST_EVENT: str(self._record.next_event),
        }
        agents = sorted(drawing.heads)
        heads = drawing.moved(commits)
        return OpSpec(
            description="commit " + ", ".join(agents[:8]) + (" ..." if agents[8:] else ""),
            attributes=flush.attributes,
            bookmarks={agent_bookmark(agent): heads[agent] for agent in agents},
            drop_heads=drawing.hidden,
        )

    def _seen_before(self, flush: _Flush, commits: Sequence[Prepared]) -> bool:
        """Whether an amend, within the second of the last one, has made a commit that there is.

        One that is the head as it was is left out. Any other has been amended away before: made a
        second later it is a new one, or the two would be each other's predecessors.
        """
        found = False
        for index, spec, commit in zip(
            flush.drawing.asked, flush.drawing.specs, commits, strict=True
        ):
            if commit.commit in spec.predecessors:
                flush.unchanged[index] = commit
                found = True
            elif spec.predecessors and self._record.repository.is_known(commit.commit):
                flush.now_s += 1
                return True
        return found

    def _outcome(self, flush: _Flush, published: Published | None) -> Outcome:
        result = {i: Answer(error=error) for i, error in flush.refused.items()}
        first, facts = self._record.next_event, list[Json]()
        repository = self._record.repository
        for index, commit in flush.unchanged.items():
            agent = flush.request(index).agent
            row: Json = {"agent": agent, "commit": commit.commit, "change": commit.change}
            result[index] = Answer(row | {"op": repository.core.op()})
        if published:
            awaited = {flush.request(i).agent for i in flush.drawing.asked if flush.visible(i)}
            heads = flush.drawing.moved(published.commits)
            repository.lagging |= heads.keys()
            move_branches(repository, {a: head for a, head in heads.items() if a in awaited})
            facts = self._record.happened(published.op, flush.attributes)
            for index, fact in zip(flush.drawing.asked, facts, strict=True):
                keys = ("agent", "commit", "change", "op")
                result[index] = Answer({key: fact[key] for key in keys})
        for index, one in enumerate(flush.batch):
            self._record.answered(one.id, result[index])
        answers = tuple(result[index] for index in range(len(flush.batch)))
        return Outcome(answers, first, tuple(facts))

    def _draw(
        self, drawing: _Drawing, index: int, request: Commit, body: bytes, now_s: int
    ) -> None:
        repository = self._record.repository
        head = drawing.heads.get(request.agent) or repository.head(request.agent)
        if request.expected is not None:
            self._importing.require_on_line(request.agent)
        if request.expected is not None and request.expected != head:
            raise ConflictError(
                f"{request.agent}'s head is {head[:12]}, not {request.expected[:12]}",
                code="stale_head",
                fix="tatami log",
            )
        name, email = request.author or (self._identity.name, self._identity.email)
        when = (now_s, time.localtime(now_s).tm_gmtoff // 60)
        author: Signature = (name, email, *when)
        committer: Signature = (self._identity.name, self._identity.email, *when)
        changes = contents(request, body)
        if request.amend:
            spec = self._amended(request, head, changes, committer)
            drawing.hidden.append(head)
        elif not changes and not request.allow_empty:
            raise nothing_to_commit(request.agent)
        else:
            message = whole_line(request.message)
            spec = CommitSpec((head,), changes, message, author, committer)
        drawing.heads[request.agent] = f"@{len(drawing.specs)}"
        drawing.specs.append(spec)
        drawing.asked.append(index)

    def _amended(
        self, request: Commit, head: str, changes: list[Change], committer: Signature
    ) -> CommitSpec:
        repository = self._record.repository
        if head.startswith("@"):
            raise BusyError(f"{request.agent}'s last commit is being published", fix="try again")
        if head in self._record.landed or repository.is_ancestor(head, repository.trunk_head()):
            raise ConflictError(
                f"{head[:12]} has landed and cannot be amended",
                code="landed",
                fix="tatami commit -m MESSAGE",
            )
        if head in self._record.pinned:
            raise ConflictError(
                f"{head[:12]} is queued for landing and cannot be amended",
                code="queued",
                fix="tatami queue reject ENTRY",
            )
        old = repository.commit(head)
        return CommitSpec(
            parents=old.parents,
            changes=changes,
            message=whole_line(request.message) or old.message,
            author=old.author,
            committer=committer,
            base=head,
            change=old.change,
            predecessors=(head,),
        )

    def _empty(self, flush: _Flush, commits: Sequence[Prepared]) -> dict[int, TatamiError]:
        """Commits whose tree is their parent's though nobody allowed that."""
        repository, drawing = self._record.repository, flush.drawing
        found: dict[int, TatamiError] = {}
        for index, spec, commit in zip(drawing.asked, drawing.specs, commits, strict=True):
            request = flush.request(index)
            if request.amend or request.allow_empty:
                continue
            parent = spec.parents[0]
            tree = commits[int(parent[1:])].tree if parent[0] == "@" else repository.tree(parent)
            if tree == commit.tree:
                found[index] = nothing_to_commit(request.agent)
        return found


def move_branches(repository: Repository, heads: dict[str, str]) -> None:
    """Makes git branches follow; a failure is left to the next commit or the next start."""
    if not heads:
        return
    try:
        elsewhere = repository.move_branches(heads)
    except TatamiError as error:
        log.warning("git branches of %s wait: %s", ", ".join(heads), error)
        return
    if elsewhere:
        log.warning("git moved the branches of %s meanwhile", ", ".join(elsewhere))


def whole_line(message: str) -> str:
    """A message as git keeps it: ended by one newline."""
    return message.rstrip("\n") + "\n" if message else ""


def contents(request: Commit, body: bytes) -> list[Change]:
    """Cuts the body into the files of a request; raises `UsageError` where sizes do not add up."""
    view = memoryview(body)
    changes: list[Change] = []
    at = 0
    for path, mode, content in request.changes:
        if isinstance(content, int):
            if content < 0 or at + content > len(view):
                raise UsageError("the request's sizes do not match its body", code="bad_request")
            changes.append((path, mode, bytes(view[at : at + content])))
            at += content
        else:
            changes.append((path, mode, content))
    if at != len(view):
        raise UsageError("the request's sizes do not match its body", code="bad_request")
    return changes


def nothing_to_commit(agent: str) -> UsageError:
    """The refusal of a commit that changes nothing."""
    return UsageError(
        f"{agent} has nothing to commit", code="nothing_to_commit", fix="tatami status"
    )
