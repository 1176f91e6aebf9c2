"""Decides what lands next: the queue in arrival order, one attempt at a time.

    queued -> landing -> landed | handed_back (conflict) | rejected (verify failed, or by hand)
    handed_back, rejected -> queued (retry)

An entry pins commit ids, so that nothing the agent does afterwards changes what lands. A later
entry of the same agent builds on the earlier ones: it is attempted after them, and handed back with
them.
"""

from collections.abc import Iterable
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
    """Effect: record these entries durably, before anything after it in the list is begun.

    An `Asked` always has one, perhaps empty, because its answer is recorded with it.
    """

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
            state.entries.update((entry.number, entry) for entry in entries)
            followers = _hand_back_followers(state, entries)
            if followers:
                effects.append(Changed(followers))
        case Asked():
            changed = _asked(state, happening)
            effects.append(Changed(changed + _hand_back_followers(state, changed)))
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
    """The longest run of queued entries that can share an attempt.

    A verified one goes alone; a second one of an agent waits for the first to land.
    """
    queued = [entry for entry in state.entries.values() if entry.state == "queued"]
    group: dict[str, Entry] = {}
    for entry in sorted(queued, key=lambda entry: entry.number)[: GROUP_MAX + 1]:
        alone = entry.verify is not None
        if len(group) == GROUP_MAX or entry.agent in group or (alone and group):
            break
        group[entry.agent] = entry
        if alone:
            break
    return tuple(group.values())


def _hand_back_followers(state: State, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Hands back what is queued behind entries of the same agent that did not land."""
    failed: dict[str, int] = {}
    for entry in entries:
        if entry.state in ("handed_back", "rejected"):
            failed[entry.agent] = min(entry.number, failed.get(entry.agent, entry.number))
    followers = []
    for entry in state.entries.values() if failed else ():
        before = failed.get(entry.agent, entry.number)
        if entry.state == "queued" and entry.number > before:
            reason = f"builds on entry {before}, which did not land"
            followers.append(replace(entry, state="handed_back", reason=reason))
    state.entries.update((entry.number, entry) for entry in followers)
    return tuple(followers)


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
            f"entry {number} is {entry.state} and cannot be {action}ed".replace(
                "retryed", "retried"
            ),
            code="queue_state",
            fix="tatami queue",
        )
    return None
