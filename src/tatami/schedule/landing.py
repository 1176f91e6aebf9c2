"""Decides what lands next: the queue in arrival order, one attempt at a time.

    queued -> landing -> landed | handed_back (conflict) | rejected (verify failed, or by hand)
    handed_back, rejected -> queued (retry)

An entry pins commit ids, so that nothing the agent does afterwards changes what lands. One that
builds on others is attempted after them, handed back with them, and not retried without them; and
no commit is in the queue, or on the trunk, through two entries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tatami.values.errors import ConflictError, TatamiError, UsageError

StateName = Literal["queued", "landing", "landed", "handed_back", "rejected"]
FAILED = ("handed_back", "rejected")
FINISHED = ("landed", *FAILED)
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
    """One queued line: the agent's commits, oldest first, and what became of them.

    landed: what they are on the trunk, in the same order. tree: the one that landed ("" once the
    landing was put on another commit). builds_on: entries that held commits below these when they
    were queued. undoes: the commits take landings back.
    """

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
    builds_on: tuple[int, ...] = ()
    undoes: bool = False


@dataclass(frozen=True, slots=True)
class Queued:
    """Entries that are new, or no longer what they were; already recorded durably."""

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
    reason: str = "rejected by hand"
    """What a rejected entry says of itself."""


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


def step(
    state: State, happening: Queued | Attempted | Asked, now: float
) -> tuple[State, list[Attempt | Changed]]:
    """Advances the queue; raises a `TatamiError` for an action that cannot be."""
    changed: tuple[Entry, ...] = ()
    match happening:
        case Queued(entries=entries):
            state.entries.update((entry.number, entry) for entry in entries)
        case Attempted(entries=entries):
            state.attempting = False
            state.entries.update((entry.number, entry) for entry in entries)
        case Asked():
            changed = _asked(state, happening)
    changed += hand_back_followers(state)
    effects: list[Attempt | Changed] = []
    if changed or isinstance(happening, Asked):
        effects.append(Changed(changed))
    if not state.attempting and not state.paused:
        group = _next(state)
        if group:
            state.attempting = True
            for entry in group:
                state.entries[entry.number] = replace(entry, state="landing")
            effects.append(Attempt(group))
    return state, effects


def hand_back_followers(state: State) -> tuple[Entry, ...]:
    """Hands back queued entries that build on one that did not land; returns them, oldest first.

    A hub that starts calls it too: the last one may have died right after recording a failure.
    """
    followers = []
    for number in sorted(n for n, entry in state.entries.items() if entry.state == "queued"):
        entry = state.entries[number]
        below = _missing(state.entries, entry)
        if below:
            state.entries[number] = entry = handed_back_with(entry, below[0])
            followers.append(entry)
    return tuple(followers)


def handed_back_with(entry: Entry, below: int) -> Entry:
    """The entry after what it builds on did not land."""
    reason = f"builds on entry {below}, which did not land"
    return replace(entry, state="handed_back", reason=reason)


def forget_finished(state: State, keep: int) -> tuple[int, ...]:
    """Drops the oldest landed entries beyond `keep`; returns their numbers."""
    landed = [number for number, entry in state.entries.items() if entry.state == "landed"]
    dropped = tuple(landed[: max(0, len(landed) - keep)])
    for number in dropped:
        del state.entries[number]
    return dropped


def _next(state: State) -> tuple[Entry, ...]:
    """The longest run of queued entries that can share an attempt.

    A verified one goes alone; a second one of an agent waits for the first to land, and so does
    one that builds on another agent's.
    """
    queued = [entry for entry in state.entries.values() if entry.state == "queued"]
    group: dict[int, Entry] = {}
    for entry in sorted(queued, key=lambda entry: entry.number)[: GROUP_MAX + 1]:
        alone = entry.verify is not None
        waits = not group.keys().isdisjoint(entry.builds_on) or any(
            entry.agent == other.agent for other in group.values()
        )
        if len(group) == GROUP_MAX or waits or (alone and group):
            break
        group[entry.number] = entry
        if alone:
            break
    return tuple(group.values())


def _missing(entries: Mapping[int, Entry], entry: Entry) -> list[int]:
    """The entries that `entry` builds on and that did not land.

    One whose commits landed through another entry is not missing.
    """
    failed = [n for n in entry.builds_on if n in entries and entries[n].state in FAILED]
    lines = (e.commits for e in entries.values() if e.state == "landed") if failed else ()
    landed = {commit for line in lines for commit in line}
    return [number for number in failed if not landed.issuperset(entries[number].commits)]


def _asked(state: State, asked: Asked) -> tuple[Entry, ...]:
    """Carries out all of it, or raises and changes nothing; oldest first.

    An entry may be retried together with what it builds on.
    """
    if asked.action in ("pause", "resume"):
        state.paused = asked.action == "pause"
        return ()
    entries = dict(state.entries)
    changed = []
    for number in sorted(set(asked.numbers)):
        refusal = _refusal(entries, number, asked.action)
        if refusal:
            raise refusal
        entry = entries[number]
        if asked.action == "retry":
            entry = replace(entry, state="queued", reason="", conflicts=())
        else:
            entry = replace(entry, state="rejected", reason=asked.reason)
        entries[number] = entry
        changed.append(entry)
    state.entries.update(entries)
    return tuple(changed)


def _refusal(entries: Mapping[int, Entry], number: int, action: str) -> TatamiError | None:
    """Why an entry cannot be retried or rejected."""
    entry = entries.get(number)
    if entry is None:
        return UsageError(
            f"the landing queue has no entry {number}", code="not_found", fix="tatami queue"
        )
    past = "retried" if action == "retry" else "rejected"
    if entry.state in ("landing", "landed"):
        return ConflictError(
            f"entry {number} is {entry.state} and cannot be {past}",
            code="queue_state",
            fix="tatami queue",
        )
    return _refusal_to_retry(entries, entry) if action == "retry" else None


def _refusal_to_retry(entries: Mapping[int, Entry], entry: Entry) -> TatamiError | None:
    """Nothing lands twice, and nothing lands without what it builds on."""
    for other in entries.values():
        if other.number == entry.number or other.state in FAILED:
            continue
        shared = next((commit for commit in entry.commits if commit in other.commits), None)
        if shared:
            return ConflictError(
                f"{shared[:12]} of entry {entry.number} is {other.state} with entry {other.number}",
                code="queue_state",
                fix=f"tatami land {entry.agent}" if other.state == "landed" else "tatami queue",
            )
    below = _missing(entries, entry)
    if not below:
        return None
    together, unseen = {entry.number}, [entry.number]
    while unseen:
        found = [n for n in _missing(entries, entries[unseen.pop()]) if n not in together]
        together.update(found)
        unseen += found
    return ConflictError(
        f"entry {entry.number} builds on entry {below[0]}, which did not land",
        code="queue_state",
        fix=f"tatami queue retry {' '.join(map(str, sorted(together)))}",
    )
