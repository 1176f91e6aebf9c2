"""What the SDK hands out: commits, landings, conflicts; frozen values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CommitResult:
    """A durable commit. change: jj's change id. op: its operation. ack_ms: how long it took."""

    id: str
    change: str
    op: str
    agent: str
    ack_ms: float
    warnings: tuple[str, ...] = ()
    _wait: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def visible(self) -> "CommitResult":
        """Waits until the agent's git branch has this commit; returns the commit."""
        if self._wait:
            self._wait()
        return self


@dataclass(frozen=True, slots=True)
class PathConflict:
    """A path handed back: blob ids of the base, the trunk (ours) and the agent (theirs).

    None where a side has no such file.
    """

    path: str
    base: str | None
    ours: str | None
    theirs: str | None


@dataclass(frozen=True, slots=True)
class LandingResult:
    """How a landing ended. commits: ids in the trunk. resolved: files the merge ladder merged."""

    entry: int
    agent: str
    state: Literal["landed", "handed_back", "rejected"]
    commits: tuple[str, ...]
    reason: str
    conflicts: tuple[PathConflict, ...]
    tree: str
    resolved: int

    @classmethod
    def from_json(cls, row: Json) -> "LandingResult":
        """Reads a row of `queue --json`."""
        conflicts = tuple(
            PathConflict(c["path"], c["base"] or None, c["ours"] or None, c["theirs"] or None)
            for c in row["conflicts"]
        )
        return cls(
            entry=row["entry"],
            agent=row["agent"],
            state=row["state"],
            commits=tuple(row["landed"]),
            reason=row["reason"],
            conflicts=conflicts,
            tree=row["tree"],
            resolved=row["resolved"],
        )
