"""Answers questions: status, history, operations, files. Never writes; runs beside the writer."""

import re
import time
from collections.abc import Sequence

from tatami.hub.record import Record, operations_until
from tatami.protocol import messages
from tatami.protocol.hub import Answer, Json
from tatami.schedule.landing import Entry
from tatami.store.repository import LANDED, Commit, Operation, Repository, command_rows
from tatami.values.errors import UsageError

FULL_ID = re.compile("[0-9a-f]{40}")
COUNT_MAX = 1000
"""Commits counted for `behind` and `unlanded`; more are shown as this many."""


class Reading:
    """Reads with its own handle, so that a long log does not hold up a commit."""

    def __init__(self, repository: Repository, record: Record) -> None:
        self._repository = repository
        self._record = record
        self._seen: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._ops: dict[str, tuple[str, str]] = {}
        self._ops_until = ""

    def refresh(self) -> None:
        """Catches up with the writer before a question is answered."""
        self._repository.refresh()

    def answer(self, request: messages.Request) -> Answer:
        """Answers one question; raises `TatamiError`."""
        self.refresh()
        match request:
            case messages.Log():
                return Answer({"commits": self._log(request)})
            case messages.OpLog():
                ops = self._repository.operations(request.limit, request.start)
                return Answer({"operations": [operation_json(op) for op in ops]})
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

    def _id(self, rev: str) -> str:
        """The object a revision names; a full id, which may be a tree's, stands for itself."""
        return rev if FULL_ID.fullmatch(rev) else self._repository.resolve(rev)

    def agents(self) -> list[Json]:
        """Every agent with its head, and how far it is from the trunk."""
        self.refresh()
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

    def _log(self, request: messages.Log) -> list[Json]:
        repository = self._repository
        trunk, agents = repository.trunk_head(), repository.agents()
        heads = [repository.resolve(rev) for rev in request.revs]
        if request.all:
            heads += [trunk, *agents.values()]
        heads = heads or [trunk]
        ops = self._operations_of_commits()
        landed = set(self._record.landed) | set(self._record.landed.values())
        outside = {c.id for c in repository.log(heads, [trunk], None)}
        rows = []
        for commit in repository.log(heads, [], request.limit):
            op, agent = ops.get(commit.id, ("", ""))
            in_trunk = commit.id not in outside or commit.id in landed
            rows.append(commit_json(commit) | {"agent": agent, "op": op, "landed": in_trunk})
        return rows

    def _operations_of_commits(self) -> dict[str, tuple[str, str]]:
        """Which operation and agent made a commit; only operations not seen before are read."""
        missed = operations_until(self._repository, self._ops_until)
        for op in missed:
            for _, agent, verb, commit, _ in command_rows(op.attributes):
                if verb == "commit":
                    self._ops[commit] = (op.id, agent)
        if missed:
            self._ops_until = missed[0].id
        return self._ops


def commit_json(commit: Commit) -> Json:
    """A commit as `log --json` shows it."""
    return {
        "commit": commit.id,
        "change": commit.change,
        "parents": commit.parents,
        "description": commit.message,
        "author": f"{commit.author[0]} <{commit.author[1]}>",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(commit.committer[2])),
        "tree": commit.tree,
        "conflict": commit.conflict,
    }


def operation_json(op: Operation) -> Json:
    """An operation as `op log --json` shows it."""
    commands = [
        {"id": id, "agent": agent, "verb": verb, "commit": commit}
        for id, agent, verb, commit, _ in command_rows(op.attributes)
    ]
    shown: Json = {
        "op": op.id,
        "parents": op.parents,
        "description": op.description,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(op.end_ms / 1000)),
        "user": f"{op.user}@{op.hostname}",
        "commands": commands,
    }
    rest = {k: v for k, v in op.attributes.items() if not k.startswith("tatami:commands")}
    return shown | {"attributes": rest, "landed": LANDED in op.attributes}


def entry_json(entry: Entry) -> Json:
    """A queue entry as `queue --json` shows it."""
    return {
        "entry": entry.number,
        "agent": entry.agent,
        "state": entry.state,
        "reason": entry.reason,
        "commits": list(entry.commits),
        "landed": list(entry.landed),
        "verify": entry.verify,
        "tree": entry.tree,
        "resolved": entry.resolved,
        "conflicts": [
            {"path": c.path, "base": c.base, "ours": c.ours, "theirs": c.theirs}
            for c in entry.conflicts
        ],
    }


def entries_json(entries: Sequence[Entry]) -> list[Json]:
    """Queue entries in arrival order."""
    return [entry_json(entry) for entry in entries]
