"""Decides what lands next: the queue in arrival order, one attempt at a time.

    queued -> landing -> landed | handed_back (conflict) | rejected (verify failed, or by hand)
    handed_back, rejected -> queued (retry)

An entry pins commit ids, so that nothing the agent does afterwards changes what lands.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from tatami.values.errors import ConflictError, TatamiError, UsageError

StateName = Literal["queued", "landing", "landed", "handed_back", "rejected"]
FINISHED = ("landed", "handed_back", "rejected")
GROUP_MAX = 20
"""Entries of one attempt: they share an operation and a move of the git branch."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A path that could not be merged: blob ids of the three sides ("" where absent)."""

    path: str
    base: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One queued line: the agent's commits, oldest first, and what became of them."""

    number: int
    agent: str
    commits: tuple[str, ...]
    verify: str | None
    state: StateName = "queued"
    reason: str = ""
    landed: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    tree: str = ""
    resolved: int = 0


@dataclass(frozen=True, slots=True)
class Queued:
    """New entries, already recorded durably."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Attempted:
    """The attempt under way ended; every entry of it in its new state ("queued": try again)."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody retries or rejects entries, or pauses or resumes the queue."""

    action: Literal["retry", "reject", "pause", "resume"]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Effect: rebase, verify, publish these together, in this order."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """Effect: record these entries; whoever waits for them may be told."""

    entries: tuple[Entry, ...]


@dataclass(slots=True)
class State:
    """The queue; changed in place by the one who steps it."""

    entries: dict[int, Entry] = field(default_factory=dict)
    attempting: bool = False
    paused: bool = False
    next_number: int = 1


def step(
    state: State, happening: Queued | Attempted | Asked, now: float
) -> tuple[State, list[Attempt | Changed]]:
    """Advances the queue; raises a `TatamiError` for an action that cannot be."""
    effects: list[Attempt | Changed] = []
    match happening:
        case Queued(entries=entries):
            for entry in entries:
                state.entries[entry.number] = entry
                state.next_number = max(state.next_number, entry.number + 1)
        case Attempted(entries=entries):
            state.attempting = False
            for entry in entries:
                state.entries[entry.number] = entry
            effects.append(Changed(entries))
        case Asked():
            changed = _asked(state, happening)
            if changed:
                effects.append(Changed(changed))
    if not state.attempting and not state.paused:
        group = _next(state)
        if group:
            state.attempting = True
            for entry in group:
                state.entries[entry.number] = replace(entry, state="landing")
            effects.append(Attempt(group))
    return state, effects


def forget_finished(state: State, keep: int) -> tuple[int, ...]:
    """Drops the oldest landed entries beyond `keep`; returns their numbers."""
    landed = [number for number, entry in state.entries.items() if entry.state == "landed"]
    dropped = tuple(landed[: max(0, len(landed) - keep)])
    for number in dropped:
        del state.entries[number]
    return dropped


def _next(state: State) -> tuple[Entry, ...]:
    """The longest run of queued entries that can share an attempt: a verified one goes alone."""
    group: list[Entry] = []
    for entry in sorted(state.entries.values(), key=lambda entry: entry.number):
        if entry.state != "queued":
            continue
        if entry.verify is not None:
            return tuple(group) or (entry,)
        group.append(entry)
        if len(group) == GROUP_MAX:
            break
    return tuple(group)


def _asked(state: State, asked: Asked) -> tuple[Entry, ...]:
    if asked.action in ("pause", "resume"):
        state.paused = asked.action == "pause"
        return ()
    for number in asked.numbers:
        refusal = _refusal(state, number, asked.action)
        if refusal:
            raise refusal
    changed = []
    for number in asked.numbers:
        entry = state.entries[number]
        if asked.action == "retry":
            entry = replace(entry, state="queued", reason="", conflicts=())
        else:
            entry = replace(entry, state="rejected", reason="rejected by hand")
        state.entries[number] = entry
        changed.append(entry)
    return tuple(changed)


def _refusal(state: State, number: int, action: str) -> TatamiError | None:
    entry = state.entries.get(number)
    if entry is None:
        return UsageError(
            f"the landing queue has no entry {number}", code="not_found", fix="tatami queue"
        )
    if entry.state in ("landing", "landed"):
        return ConflictError(
            f"entry {number} is {entry.state} and cannot be {action}ed".replace("retryed", "retried"),
            code="queue_state",
            fix="tatami queue",
        )
    return None
