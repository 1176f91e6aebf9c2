"""What was on the trunk at an operation, told from the operations, and what makes it so again."""

import json
from dataclasses import dataclass, field
from typing import cast

from tatami.hub.undoing.landings import Landed, changes, landings_at
from tatami.store.repository import LANDED, RELANDED, Repository


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as far as it is read here."""

    id: str
    attributes: dict[str, str] = field(default_factory=dict)


class OperationLog:
    """An operation log in memory; given oldest first, read newest first."""

    def __init__(self, *attributes: dict[str, str]) -> None:
        ops = [Operation(f"op{number}", found) for number, found in enumerate(attributes)]
        self._newest_first = ops[::-1]

    def operations(self, limit: int | None, starts: tuple[str, ...] = ()) -> list[Operation]:
        """The log from an operation backwards."""
        ids = [op.id for op in self._newest_first]
        return self._newest_first[ids.index(starts[0]) if starts else 0 :][:limit]


def landed(*rows: tuple[int, str, str]) -> dict[str, str]:
    return {LANDED: json.dumps(rows)}


def relanded(moved: dict[str, str]) -> dict[str, str]:
    return {RELANDED: json.dumps(moved)}


LOG = OperationLog(
    landed((1, "a", "a1")),
    landed((2, "b", "b1")),
    relanded({"a1": "a2", "b1": ""}),
    landed((3, "c", "c1")),
)
NOW = {"a": "a2", "c": "c1", "old": "old"}


def at(op: str) -> dict[str, Landed]:
    """The landings at an operation of the log."""
    return landings_at(cast(Repository, LOG), op, NOW)


def test_landings_are_as_they_were_then() -> None:
    """Ids that changed since, and what left the trunk, are the old ones."""
    assert at("op1") == {"a": ("a1", 1), "b": ("b1", 2), "old": ("old", 0)}


def test_what_the_log_does_not_tell_is_as_now() -> None:
    """A log may be younger than a landing."""
    assert at("op0")["old"] == ("old", 0)


def test_changes_say_what_is_back_what_moved_and_what_is_gone() -> None:
    """One row for what has landed again; the others by the ids they had."""
    assert changes(NOW, at("op1")) == ([(2, "b", "b1")], {"a2": "a1", "c1": ""})


def test_nothing_changes_at_the_newest_operation() -> None:
    """Then is now."""
    assert changes(NOW, at("op3")) == ([], {})
