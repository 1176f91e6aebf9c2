"""Commits, operations and queue entries as the `--json` verbs print them."""

import time
from collections.abc import Sequence

from tatami.protocol.hub import Json
from tatami.schedule.landing import Entry
from tatami.store.repository import LANDED, Commit, Operation, command_rows


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
