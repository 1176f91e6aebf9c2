"""An agent's steps, read from the operation log: newest first, and no further than somebody asks.

The hub's own operations say in their attributes what they did for whom. What git or stock jj moved
is seen in the views alone.
"""

import json
from collections.abc import Iterator, Sequence

from tatami.hub.record import PAGE, Record
from tatami.schedule.undoing import Step
from tatami.store.repository import (
    COMMANDS,
    IMPORTED,
    LANDED,
    RELANDED,
    RESTORED,
    UNDID,
    Operation,
    command_rows,
    imported_rows,
    landed_rows,
)
from tatami.values.ids import agent_bookmark

OURS = frozenset({COMMANDS, LANDED, RELANDED, RESTORED, IMPORTED})
"""An operation with one of these moves no line that it does not name."""
OWN_COMMITS_MAX = 1000
"""Commits of one import looked at; one with more brought in somebody else's history."""


class Steps:
    """Reads steps; may be used beside the writer."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._repository = record.repository

    def of(self, agent: str) -> Iterator[tuple[str, Sequence[Step]]]:
        """Yields operations with the agent's steps in each, newest first in both."""
        start = [self._repository.core.op()]
        seen, limit = 0, PAGE
        while True:
            # From the head each time: beside a merge, a page's last operation is not all there is.
            page = self._repository.operations(limit, start)
            for op in page[seen:]:
                yield op.id, self._steps(op, agent)
            if len(page) < limit:
                return
            seen, limit = len(page), 4 * limit

    def _steps(self, op: Operation, agent: str) -> list[Step]:
        if RESTORED in op.attributes or COMMANDS in op.attributes:
            return self._commanded(op, agent)
        if LANDED in op.attributes:
            return self._landed(op, agent)
        if IMPORTED in op.attributes:
            rows = imported_rows(op.attributes)
            return [self._by_git(op, *row[1:]) for row in rows if row[0] == agent]
        return self._seen(op, agent) if OURS.isdisjoint(op.attributes) else []

    def _commanded(self, op: Operation, agent: str) -> list[Step]:
        rows = [row for row in command_rows(op.attributes) if row[1] == agent]
        before = self._line(op.parents[0], agent) if rows else ""
        steps: list[Step] = []
        undid = json.loads(op.attributes.get(UNDID, "{}"))
        restored = json.loads(op.attributes.get(RESTORED, "{}")).get("to", "")
        for nth, (_, _, verb, commit, _) in enumerate(rows):
            after = "" if verb == "retire" else commit
            step = Step(
                op=op.id,
                nth=nth,
                verb=verb,
                before=before,
                after=after,
                stays=verb == "commit" or undid.get("files") == "stay",
                undid=(undid["oldest"][0], undid["oldest"][1]) if verb == "undo" else None,
                restored=restored,
            )
            steps.append(step)
            before = after
        return steps[::-1]

    def _landed(self, op: Operation, agent: str) -> list[Step]:
        """Landings of the agent that are on the trunk still; an undo's own are no steps."""
        queued: dict[int, list[str]] = {}
        for number, commit, _ in landed_rows(op.attributes):
            queued.setdefault(number, []).append(commit)
        steps = []
        for nth, (number, commits) in enumerate(queued.items()):
            entry = self._record.entry(number)
            ours = entry and entry.agent == agent and not entry.undoes
            if entry and ours and all(commit in self._record.landed for commit in commits):
                asked = entry.commits[-1]
                steps.append(Step(op.id, nth, "land", "", asked, stays=True, entry=number))
        return steps[::-1]

    def _seen(self, op: Operation, agent: str) -> list[Step]:
        """What a stock tool did to the line; a merge of operations has done nothing itself."""
        after = self._line(op.id, agent)
        befores = [self._line(parent, agent) for parent in op.parents]
        return [] if after in befores or not befores else [self._by_git(op, befores[0], after)]

    def _by_git(self, op: Operation, before: str, after: str) -> Step:
        stays = bool(before and after) and self._is_a_commit(op, before, after)
        return Step(op.id, 0, "git", before, after, stays)

    def _is_a_commit(self, op: Operation, before: str, after: str) -> bool:
        """Whether git committed or amended there, rather than brought in what others did."""
        repository = self._repository
        if not repository.is_ancestor(before, after):
            old, new = repository.commit(before).parents, repository.commit(after).parents
            return old == new and len(new) == 1
        trunk = repository.core.view(op.id).bookmarks.get(repository.trunk)
        made = repository.log([after], [before], OWN_COMMITS_MAX)
        own = repository.log([after], [before, *([trunk] if trunk else [])], OWN_COMMITS_MAX)
        plain = all(len(commit.parents) == 1 for commit in made)
        return plain and len(own) == len(made) < OWN_COMMITS_MAX

    def _line(self, op: str, agent: str) -> str:
        return self._repository.core.view(op).bookmarks.get(agent_bookmark(agent)) or ""
