"""Commits that no bookmark reaches any more, though the operation log has them.

Amended, reset, rebased or retired away: what became of a line is told by the operations alone, so
each is read once, the oldest first, and what it moved is remembered.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tatami.hub.answering.rows import commit_json
from tatami.hub.record import Record, operations_until
from tatami.protocol.hub import Json
from tatami.store.repository import (
    LANDED,
    RELANDED,
    Commit,
    Operation,
    Repository,
    command_rows,
)
from tatami.values.ids import AGENT_BOOKMARK_PREFIX

HIDDEN_MAX = 2000
"""Commits of one answer; older ones are asked for with the next."""


class Made(NamedTuple):
    """Who made a commit, with which operation, and when that ended (milliseconds)."""

    agent: str
    op: str
    time_ms: int


class Left(NamedTuple):
    """How a line left a commit behind: the verb ("git" for plain git), operation and time."""

    verb: str
    op: str
    time_ms: int


class Hidden:
    """Remembers what lines went through; used by one thread."""

    def __init__(self, repository: Repository, record: Record) -> None:
        self._repository = repository
        self._record = record
        self._made: dict[str, Made] = {}
        self._left: dict[str, Left] = {}
        self._heads: dict[str, tuple[str, str]] = {}
        self._until = ""

    def commits(self, skip: int) -> Json:
        """Hidden commits but for the `skip` newest, the newest first: `commits`; `more` are left.

        Rows are those of `log --json` with `agent`, `op`, and why it is hidden: `verb`, `left_op`.
        """
        self._catch_up()
        repository = self._repository
        heads = [head for head in repository.bookmarks.values() if head]
        known = [id for id in {*self._made, *self._left} if repository.is_known(id)]
        found = repository.log(known, heads, None) if known else []
        rows = self._rows(found)
        rows.sort(key=lambda row: str(row["time"]), reverse=True)
        end = skip + HIDDEN_MAX
        return {"commits": rows[skip:end], "more": max(0, len(rows) - end)}

    def _rows(self, found: Iterable[Commit]) -> list[Json]:
        """Rows of commits; children come before their parents, which went the same way."""
        inherited: dict[str, tuple[str, Left]] = {}
        landed = self._record.landed
        rows: list[Json] = []
        for commit in found:
            agent, left = inherited.get(commit.id, ("", Left("", "", 0)))
            made = self._made.get(commit.id)
            agent = made.agent if made else agent
            left = self._left.get(commit.id, left)
            for parent in commit.parents:
                inherited.setdefault(parent, (agent, left))
            rows.append(
                commit_json(commit)
                | {
                    "agent": agent,
                    "op": made.op if made else "",
                    "landed": commit.id in landed,
                    "verb": left.verb,
                    "left_op": left.op,
                }
            )
        return rows

    def _catch_up(self) -> None:
        missed = operations_until(self._repository, self._until)
        for op in reversed(missed):
            rows = command_rows(op.attributes)
            for _, agent, verb, commit, change in rows:
                self._note(op, agent, verb, commit, change)
            if not rows and not {LANDED, RELANDED} & op.attributes.keys():
                self._note_view(op)
            self._until = op.id

    def _note(self, op: Operation, agent: str, verb: str, commit: str, change: str) -> None:
        if verb == "commit" and commit:
            self._made.setdefault(commit, Made(agent, op.id, op.end_ms))
        before, change_before = self._heads.get(agent, ("", ""))
        if verb == "retire":
            self._heads.pop(agent, None)
            self._left[commit] = Left(verb, op.id, op.end_ms)
            self._made.setdefault(commit, Made(agent, op.id, op.end_ms))
            return
        amended = verb == "commit" and change and change == change_before
        if before and before != commit and (amended or verb != "commit"):
            self._left[before] = Left("amend" if amended else verb, op.id, op.end_ms)
        self._heads[agent] = (commit, change)

    def _note_view(self, op: Operation) -> None:
        """Notes what git or stock jj moved, which is in the view only."""
        bookmarks = self._repository.core.view(op.id).bookmarks
        for name, head in bookmarks.items():
            if not name.startswith(AGENT_BOOKMARK_PREFIX) or not head:
                continue
            agent = name.removeprefix(AGENT_BOOKMARK_PREFIX)
            before, _ = self._heads.get(agent, ("", ""))
            if before == head:
                continue
            self._made.setdefault(head, Made(agent, op.id, op.end_ms))
            if before:
                self._left[before] = Left("git", op.id, op.end_ms)
            self._heads[agent] = (head, "")
