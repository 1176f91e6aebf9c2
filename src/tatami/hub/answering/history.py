"""Commits and operations, newest first, a page at a time: no answer grows with the history.

A page names where to go on (`rest`): everything that is still to come is what its ids reach.
Descendants come before their ancestors, so nothing that was shown is reached by them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import TypeVar

from tatami.hub.answering.rows import commit_json, operation_json
from tatami.hub.record import Record, operations_until
from tatami.protocol import messages
from tatami.protocol.hub import Json
from tatami.store.repository import (
    SYNCED,
    UNDID,
    Commit,
    Operation,
    Repository,
    attribute_object,
    command_rows,
    imported_rows,
    landed_rows,
    relanded_ids,
)
from tatami.values.errors import UsageError

OP_ID = re.compile("[0-9a-f]+")
Row = TypeVar("Row", Commit, Operation)
ROWS_MAX = 2000
"""Rows of one answer: a megabyte or two, and some milliseconds of other readers' time."""
PAGE_BYTES_MAX = 8 * 1024 * 1024
"""Messages and attributes in one answer, which can be megabytes each; one row is always sent."""


class History:
    """Reads history for whoever asks; used by one thread."""

    def __init__(self, repository: Repository, record: Record) -> None:
        self._repository = repository
        self._record = record
        self._ops: dict[str, tuple[str, str]] = {}
        self._ops_until = ""

    def commits(self, request: messages.Log) -> Json:
        """A page of commits: how many `rows`, and the `rest` to ask for next ([] at the end)."""
        repository = self._repository
        trunk = repository.trunk_head()
        heads = [self._head(rev) for rev in request.revs]
        if request.all:
            heads += [trunk, *repository.agents().values()]
        heads = heads or [trunk]
        limit = _page(request.limit)
        found = repository.log(heads, [], limit)
        shown = _within(found, lambda commit: len(commit.message))
        ops = self._operations_of_commits()
        landed = set(self._record.landed) | set(self._record.landed.values())
        outside = {commit.id for commit in repository.log(heads, [trunk], limit)}
        rows = []
        for commit in shown:
            op, agent = ops.get(commit.id, ("", ""))
            in_trunk = commit.id not in outside or commit.id in landed
            rows.append(commit_json(commit) | {"agent": agent, "op": op, "landed": in_trunk})
        return {"commits": rows, "rows": len(rows), "rest": _rest(heads, shown)}

    def operations(self, request: messages.OpLog) -> Json:
        """A page of operations, with `rows` and `rest` as those of commits."""
        for start in request.starts:
            if not OP_ID.fullmatch(start):
                words = f"{start!r} is not an operation id"
                raise UsageError(words, code="bad_input", fix="tatami op log")
        found = self._repository.operations(_page(request.limit), request.starts)
        shown = _within(found, lambda op: sum(map(len, op.attributes.values())))
        # A single start, which may be the beginning of an id, is always shown.
        starts = request.starts if len(request.starts) > 1 else []
        rows = [operation_json(op) for op in shown]
        return {"operations": rows, "rows": len(rows), "rest": _rest(starts, shown)}

    def _head(self, rev: str) -> str:
        """The commit a revision names; the name of an agent stands for its line."""
        try:
            return self._repository.resolve(rev)
        except UsageError as error:
            head = self._repository.agents().get(rev)
            if head is None or error.code != "not_found":
                raise
            return head

    def _operations_of_commits(self) -> dict[str, tuple[str, str]]:
        """Which operation and agent made a commit; only operations not seen before are read."""
        missed = operations_until(self._repository, self._ops_until)
        for op in reversed(missed):
            for commit, agent in self._made(op):
                # The first one it is in made it; later ones only moved it.
                self._ops.setdefault(commit, (op.id, agent))
        if missed:
            self._ops_until = missed[0].id
        return self._ops

    def _made(self, op: Operation) -> Iterator[tuple[str, str]]:
        """Commits an operation brought or made known, each with whose it is ("" = nobody's)."""
        for _, agent, verb, commit, _ in command_rows(op.attributes):
            if verb == "commit":
                yield commit, agent
            elif verb == "sync":
                onto = attribute_object(op.attributes, SYNCED).get("onto")
                yield from self._between(commit, [onto], agent)
            elif verb == "undo":
                for inverse in attribute_object(op.attributes, UNDID).get("inverse") or ():
                    yield inverse, agent
        for agent, before, after in imported_rows(op.attributes):
            trunk = self._repository.bookmark_at(op.id, self._repository.trunk)
            yield from self._between(after, [before, trunk], agent)
        for number, queued, commit in landed_rows(op.attributes):
            yield commit, self._agent_of(queued) or self._agent_of_entry(number)
        for before, commit in relanded_ids(op.attributes).items():
            if commit:
                yield commit, self._agent_of(before)

    def _between(
        self, head: str, exclude: Sequence[str | None], agent: str
    ) -> Iterator[tuple[str, str]]:
        known = [id for id in exclude if id and self._repository.is_known(id)]
        # An older operation may name what a stock tool's collection has taken since.
        if self._repository.is_known(head):
            for commit in self._repository.log([head], known, None):
                yield commit.id, agent

    def _agent_of(self, commit: str) -> str:
        return self._ops.get(commit, ("", ""))[1]

    def _agent_of_entry(self, number: int) -> str:
        entry = self._record.entry(number)
        return entry.agent if entry else ""


def _page(limit: int | None) -> int:
    if limit is not None and limit < 0:
        raise UsageError(f"a limit of {limit} rows", code="usage", fix="--limit 20")
    return ROWS_MAX if limit is None else min(limit, ROWS_MAX)


def _within(rows: Sequence[Row], size: Callable[[Row], int]) -> list[Row]:
    """The first rows whose sizes together keep to a page; the first one in any case."""
    left = PAGE_BYTES_MAX

    def fits(row: Row) -> bool:
        nonlocal left
        left -= size(row)
        return left >= 0

    return list(takewhile(fits, rows)) or list(rows[:1])


def _rest(heads: Sequence[str], shown: Sequence[Row]) -> list[str]:
    """What is next behind the rows shown."""
    next = dict.fromkeys([*heads, *(parent for row in shown for parent in row.parents)])
    for row in shown:
        next.pop(row.id, None)
    return list(next)
