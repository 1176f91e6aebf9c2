"""Puts an agent's line on the trunk: what has landed is dropped, the rest is rebased in memory.

Where a commit does not merge, nothing is moved: the agent gets the commit and every side, and its
workspace does the rebase with git, whose conflicts everybody knows how to resolve.
Rebasing runs beside the writer, which only looks, publishes and records.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tatami.hub.committing import move_branches
from tatami.hub.importing import Importing
from tatami.hub.lines import unlanded
from tatami.hub.rebasing import Stuck, Tip, merged, tree_of
from tatami.hub.record import Record
from tatami.protocol.hub import Answer, Json
from tatami.protocol.messages import Sync
from tatami.store.repository import COMMANDS, FIRST_EVENT, SYNCED, Commit, Plan, Prepared
from tatami.values.errors import BusyError, ConflictError
from tatami.values.ids import CommandId, agent_bookmark
from tatami.values.specs import CommitSpec, OpSpec

Result = TypeVar("Result")
Tell = Callable[[int, Sequence[Json]], None]
RACES_MAX = 5
"""Times in a row that the line or the trunk may move meanwhile."""


class Write(Protocol):
    """Runs a call on the writer thread."""

    def __call__(self, call: Callable[[], Result], /) -> "Future[Result]":
        """Queues the call; its result or exception arrives in the future."""


@dataclass(frozen=True, slots=True)
class _Start:
    """A line as it is: its head, the trunk's, and its commits that have not landed."""

    agent: str
    head: str
    trunk: str
    line: tuple[Commit, ...]
    """Oldest first."""


@dataclass(frozen=True, slots=True)
class _Moved:
    """A line on the trunk: copies to build, and where its head will be ("@N" for a copy)."""

    specs: Sequence[CommitSpec]
    head: str
    dropped: int


@dataclass(frozen=True, slots=True)
class _Handed:
    """A line that only the agent can bring along, by git's `how` ("rebase" or "merge")."""

    how: str
    stuck: Stuck


class Syncing:
    """Carries out `sync`; `sync` itself may run on any thread but the writer's."""

    def __init__(self, record: Record, importing: Importing, write: Write, tell: Tell) -> None:
        self._record = record
        self._repository = record.repository
        self._importing = importing
        self._write = write
        self._tell = tell

    def sync(self, id: CommandId, request: Sync) -> Answer:
        """Moves a line onto the trunk, or answers with what stands against it."""
        for _ in range(RACES_MAX):
            start = self._write(lambda: self._look(request)).result()
            made = self._rebased(start)
            answer = self._write(lambda: self._record_it(id, start, made)).result()  # noqa: B023
            if answer:
                return answer
        raise BusyError("the line or the trunk keeps moving", fix="try again")

    def _look(self, request: Sync) -> _Start:
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
        line = tuple(reversed(unlanded(self._record, agent)))
        if any(commit.id in self._record.pinned for commit in line):
            raise BusyError(
                f"{agent} has commits in the landing queue",
                code="queued",
                fix=f"tatami land {agent} --wait; tatami workspace sync {agent}",
            )
        return _Start(agent, head, repository.trunk_head(), line)

    def _rebased(self, start: _Start) -> _Moved | _Handed:
        repository = self._repository
        if repository.is_ancestor(start.trunk, start.head):
            return _Moved((), start.head, 0)
        if not repository.is_related(start.head, start.trunk):
            raise ConflictError(
                f"{start.agent}'s line has no commit in common with the trunk",
                code="unrelated",
                fix=f"git rebase --root --onto {repository.trunk} agent/{start.agent}",
            )
        if any(len(commit.parents) != 1 for commit in start.line):
            return _Handed("merge", Stuck(start.head, ()))
        tip = Tip(start.trunk, repository.tree(start.trunk))
        specs: list[CommitSpec] = []
        for commit in start.line:
            found = merged(repository, commit, tip)
            if isinstance(found, Stuck):
                return _Handed("rebase", found)
            changes, _ = found
            if not changes and commit.tree != repository.tree(commit.parents[0]):
                # Somebody else has made the same change meanwhile.
                continue
            spec = CommitSpec(
                parents=(tip.commit,),
                changes=changes,
                message=commit.message,
                author=commit.author,
                committer=commit.committer,
                base=tip.tree,
                change=commit.change,
                predecessors=(commit.id,),
            )
            specs.append(spec)
            tip = Tip(f"@{len(specs) - 1}", tree_of(repository, tip.tree, changes, spec))
        return _Moved(specs, tip.commit, len(start.line) - len(specs))

    def _record_it(self, id: CommandId, start: _Start, made: _Moved | _Handed) -> Answer | None:
        """Publishes (or only answers); None where the line or the trunk has moved meanwhile."""
        if self._moved(start):
            return None
        if isinstance(made, _Handed):
            return self._answered(id, handed(start.line, start.trunk, start.agent, made))
        onto = {"onto": start.trunk, "dropped": made.dropped, "rebased": len(made.specs)}
        if made.head == start.head:
            return self._answered(id, {"agent": start.agent, "commit": start.head, **onto})
        attributes: dict[str, str] = {}

        def plan() -> Plan | None:
            return None if self._moved(start) else Plan(made.specs, finish)

        def finish(commits: Sequence[Prepared]) -> OpSpec:
            head = commits[int(made.head[1:])].commit if made.head[0] == "@" else made.head
            rows = [(str(id), start.agent, "sync", head, "")]
            attributes[COMMANDS] = json.dumps(rows, separators=(",", ":"))
            attributes[FIRST_EVENT] = str(self._record.next_event)
            attributes[SYNCED] = json.dumps({"from": start.head, **onto})
            bookmarks: dict[str, str | None] = {agent_bookmark(start.agent): head}
            return OpSpec(f"sync {start.agent}", dict(attributes), bookmarks, (start.head,))

        published = self._repository.publish(plan)
        if published is None:
            return None
        first = self._record.next_event
        facts = self._record.happened(published.op, attributes)
        head = str(facts[0]["commit"])
        result: Json = {"agent": start.agent, "commit": head, "op": published.op, **onto}
        answer = Answer(result)
        self._record.answered(id, answer)
        self._tell(first, facts)
        move_branches(self._repository, {start.agent: head})
        return answer

    def _moved(self, start: _Start) -> bool:
        repository = self._repository
        return (repository.head(start.agent), repository.trunk_head()) != (start.head, start.trunk)

    def _answered(self, id: CommandId, result: Json) -> Answer:
        answer = Answer(result)
        self._record.record_entries((), [(id, answer)])
        return answer


def handed(line: Sequence[Commit], trunk: str, agent: str, made: _Handed) -> Json:
    """The answer about a line that does not merge: what git is to do, and every side."""
    stuck = made.stuck
    return {
        "agent": agent,
        "commit": None,
        "how": made.how,
        "onto": trunk,
        # git's rebase needs it, its merge does not: of an unrelated history it may be missing.
        "upstream": next(iter(line[0].parents), ""),
        "conflicts": [
            {"commit": stuck.commit, "path": c.path}
            | {"base": c.base, "ours": c.ours, "theirs": c.theirs}
            for c in stuck.conflicts
        ],
    }
