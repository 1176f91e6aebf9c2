"""Carries out a batch of commits as one operation: plan on the agents' heads, build, publish."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from tatami.hub.record import Record
from tatami.protocol.hub import Answer, Enqueue, Json
from tatami.protocol.messages import Commit
from tatami.store.repository import COMMANDS, FIRST_EVENT, Plan, Prepared, Repository
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


class Committing:
    """Turns waiting commit requests into one published operation."""

    def __init__(self, record: Record, identity: Identity) -> None:
        self._record = record
        self._identity = identity

    def flush(self, batch: Sequence[Enqueue], now_s: int) -> Outcome:
        """Publishes a batch; a request that is refused does not hold up the others."""
        requests = [one.request for one in batch]
        refused: dict[int, TatamiError] = {}
        drawing = _Drawing()
        attributes: dict[str, str] = {}
        repository = self._record.repository

        def plan() -> Plan | None:
            nonlocal drawing
            drawing = _Drawing()
            for index, one in enumerate(batch):
                if index in refused:
                    continue
                assert isinstance(one.request, Commit)
                try:
                    self._draw(drawing, index, one.request, one.body, now_s)
                except TatamiError as error:
                    refused[index] = error
            return Plan(drawing.specs, finish) if drawing.specs else None

        def finish(commits: Sequence[Prepared]) -> OpSpec | None:
            empty = self._empty(drawing, commits, requests)
            if empty:
                refused.update(empty)
                return None
            rows = [
                (str(batch[i].id), batch[i].request.agent, "commit", c.commit, c.change)  # type: ignore[union-attr]
                for i, c in zip(drawing.asked, commits, strict=True)
            ]
            attributes.clear()
            attributes[COMMANDS] = json.dumps(rows, separators=(",", ":"))
            attributes[FIRST_EVENT] = str(self._record.next_event)
            agents = sorted(drawing.heads)
            return OpSpec(
                description="commit " + ", ".join(agents[:8]) + (" ..." if agents[8:] else ""),
                attributes=dict(attributes),
                bookmarks={
                    agent_bookmark(agent): commits[int(head[1:])].commit
                    for agent, head in drawing.heads.items()
                },
                drop_heads=drawing.hidden,
            )

        try:
            published = repository.publish(plan)
        except TatamiError as error:
            answers = [Answer(error=refused.get(i, error)) for i in range(len(batch))]
            return Outcome(tuple(answers), self._record.next_event, ())
        result = {i: Answer(error=error) for i, error in refused.items()}
        first, facts = self._record.next_event, list[Json]()
        if published:
            move_branches(
                repository,
                {a: published.commits[int(h[1:])].commit for a, h in drawing.heads.items()},
            )
            facts = self._record.happened(published.op, attributes)
            for index, fact in zip(drawing.asked, facts, strict=True):
                keys = ("agent", "commit", "change", "op")
                result[index] = Answer({key: fact[key] for key in keys})
        for index, one in enumerate(batch):
            self._record.answered(one.id, result[index])
        return Outcome(tuple(result[i] for i in range(len(batch))), first, tuple(facts))

    def _draw(
        self, drawing: _Drawing, index: int, request: Commit, body: bytes, now_s: int
    ) -> None:
        repository = self._record.repository
        head = drawing.heads.get(request.agent) or repository.head(request.agent)
        if request.expected is not None and request.expected != head:
            raise ConflictError(
                f"{request.agent}'s head is {head[:12]}, not {request.expected[:12]}",
                code="stale_head",
                fix="tatami log",
            )
        name, email = request.author or (self._identity.name, self._identity.email)
        author: Signature = (name, email, now_s)
        committer: Signature = (self._identity.name, self._identity.email, now_s)
        changes = contents(request, body)
        if request.amend:
            spec = self._amended(request, head, changes, committer)
            drawing.hidden.append(head)
        elif not changes and not request.allow_empty:
            raise nothing_to_commit(request.agent)
        else:
            spec = CommitSpec((head,), changes, request.message, author, committer)
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
            message=request.message or old.message,
            author=old.author,
            committer=committer,
            base=head,
            change=old.change,
            predecessors=(head,),
        )

    def _empty(
        self, drawing: _Drawing, commits: Sequence[Prepared], requests: Sequence[object]
    ) -> dict[int, TatamiError]:
        """Commits whose tree is their parent's though nobody allowed that."""
        repository = self._record.repository
        found: dict[int, TatamiError] = {}
        for index, spec, commit in zip(drawing.asked, drawing.specs, commits, strict=True):
            request = requests[index]
            assert isinstance(request, Commit)
            if request.amend or request.allow_empty:
                continue
            parent = spec.parents[0]
            tree = commits[int(parent[1:])].tree if parent[0] == "@" else repository.tree(parent)
            if tree == commit.tree:
                found[index] = nothing_to_commit(request.agent)
        return found


def move_branches(repository: Repository, heads: dict[str, str]) -> None:
    """Makes git branches follow; a failure is left to the next commit or the next start."""
    try:
        repository.move_branches(heads)
    except TatamiError as error:
        log.warning("git branches of %s wait: %s", ", ".join(heads), error)


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
