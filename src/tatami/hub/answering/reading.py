"""Answers questions: status, history, operations, files. Never writes; runs beside the writer."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from tatami.hub.answering.hidden import Hidden
from tatami.hub.answering.history import History
from tatami.hub.answering.rows import entries_json, entry_json
from tatami.hub.record import Record
from tatami.protocol import messages
from tatami.protocol.hub import Answer, Json
from tatami.schedule.landing import Entry
from tatami.store.repository import Repository
from tatami.values.errors import TatamiError, UsageError
from tatami.version import VERSION

FULL_ID = re.compile("[0-9a-f]{40}")
COUNT_MAX = 1000
"""Commits counted for `behind` and `unlanded`; more are shown as this many."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What only the hub's event loop knows of its status, as of one moment.

    entries: what of the queue is not finished. waiting: why git's trunk branch is behind its
    bookmark. trouble: why the bookmark is behind the branch. Both are "" mostly.
    """

    entries: Sequence[Entry]
    paused: bool
    waiting: str
    trouble: str
    cursor: int
    uptime_s: float

    def warnings(self) -> list[str]:
        """What somebody should look at, each with what to do."""
        found = []
        if self.waiting:
            found.append(f"trunk waits: {self.waiting}")
        if self.trouble:
            found.append(self.trouble)
        if self.paused:
            found.append("the landing queue is paused; tatami queue resume")
        return found


class Reading:
    """Reads with its own handle, so that a long log does not hold up a commit."""

    def __init__(self, repository: Repository, record: Record) -> None:
        self._repository = repository
        self._record = record
        self._history = History(repository, record)
        self._hidden = Hidden(repository, record)
        self._seen: dict[tuple[str, str, int], tuple[int, int]] = {}

    def answer(self, request: messages.Request) -> Answer:
        """Answers one question; raises `TatamiError`."""
        self._repository.refresh()
        match request:
            case messages.Log():
                return Answer(self._history.commits(request))
            case messages.Hidden():
                return Answer(self._hidden.commits(request.skip))
            case messages.OpLog():
                return Answer(self._history.operations(request))
            case messages.Resolve():
                return Answer({"commit": self._repository.resolve(request.rev)})
            case messages.Diff():
                rows = self._repository.diff(self._id(request.old), self._id(request.new))
                files = [(f.path, f.old_mode, f.old_id, f.new_mode, f.new_id) for f in rows]
                return Answer({"files": files})
            case messages.Read():
                found = self._repository.read(self._id(request.rev), request.paths)
                sizes = [(file[0], len(file[1])) if file else (0, -1) for file in found]
                return Answer({"files": sizes}, body=tuple(file[1] for file in found if file))
            case _:
                raise UsageError(f"{type(request).__name__} is not a question", code="bad_request")

    def status(self, standing: Standing) -> Answer:
        """Hub, agents, queue, trunk and warnings."""
        self._repository.refresh()
        trunk: Json = {"name": self._repository.trunk, "commit": self._repository.trunk_head()}
        result: Json = {
            "hub": {
                "pid": os.getpid(),
                "version": VERSION,
                "mode": "shared-log",
                "uptime_s": round(standing.uptime_s, 1),
                "rss_mb": round(psutil.Process().memory_info().rss / 2**20, 1),
            },
            "agents": self._agents(),
            "queue": entries_json(standing.entries),
            "trunk": trunk | {"waiting": bool(standing.waiting)},
            "cursor": standing.cursor,
            "warnings": standing.warnings(),
        }
        return Answer(result)

    def conflict(self, number: int, entry: Entry | None) -> Answer:
        """A handed-back entry; the contents of every side of each conflict are the body."""
        if entry is None or not entry.conflicts:
            what = "does not exist" if entry is None else f"is {entry.state} without a conflict"
            raise UsageError(f"queue entry {number} {what}", code="not_found", fix="tatami queue")
        self._repository.refresh()
        blobs = [b for c in entry.conflicts for b in (c.base, c.ours, c.theirs)]
        contents = [self._content(blob) for blob in blobs]
        sizes = [-1 if content is None else len(content) for content in contents]
        result: Json = {"entry": entry_json(entry), "sizes": sizes}
        return Answer(result, body=tuple(content for content in contents if content is not None))

    def _content(self, id: str) -> bytes | None:
        """A side's content; None where there is none, or it is a directory or a submodule."""
        try:
            return self._repository.blob(id) if id else None
        except TatamiError:
            return None

    def _id(self, rev: str) -> str:
        """The object a revision names; a full id, which may be a tree's, stands for itself."""
        return rev if FULL_ID.fullmatch(rev) else self._repository.resolve(rev)

    def _agents(self) -> list[Json]:
        """Every agent with its head, and how far it is from the trunk."""
        trunk = self._repository.trunk_head()
        rows: list[Json] = []
        for name, head in sorted(self._repository.agents().items()):
            ahead, behind = self._distance(head, trunk)
            rows.append({"name": name, "head": head, "unlanded": ahead, "behind": behind})
        return rows

    def _distance(self, head: str, trunk: str) -> tuple[int, int]:
        landed = len(self._record.landed)
        key = (head, trunk, landed)
        if key not in self._seen:
            if len(self._seen) > 4096:
                self._seen.clear()
            ahead = self._repository.log([head], [trunk], COUNT_MAX)
            behind = self._repository.log([trunk], [head], COUNT_MAX)
            own = sum(commit.id not in self._record.landed for commit in ahead)
            self._seen[key] = own, len(behind)
        return self._seen[key]
