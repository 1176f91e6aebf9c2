"""What must be true whatever has failed; each checker returns the violations it finds.

They know neither hub nor disk: histories and operations come in as plain values, so that the
simulator, the crash suites and a reader of a real operation log can all use them. Each has a test
that breaks its property by hand.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Violation(NamedTuple):
    """A broken invariant: its number in docs/testing.md, and what was seen."""

    invariant: str
    text: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as the checkers see it.

    commands: rows of command id, agent and commit. landed: rows of queue entry, commit as queued,
    commit as landed. commits: the ones it holds.
    """

    id: str
    parents: tuple[str, ...] = ()
    commands: tuple[tuple[str, str, str], ...] = ()
    landed: tuple[tuple[int, str, str], ...] = ()
    commits: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Call:
    """A command as its client saw it: when it was sent first, when answered, what it became.

    position: its place in the one order of effects. Times in seconds of one clock.
    """

    id: str
    sent: float
    acked: float
    position: int


def acknowledged_survive(
    acks: Mapping[str, str], operations: Iterable[Operation]
) -> list[Violation]:
    """I1: every acknowledged command's commit is in an operation reachable from the op head."""
    held: dict[str, set[str]] = {}
    for operation in operations:
        for command, _, commit in operation.commands:
            held.setdefault(command, set()).add(commit)
    return [
        Violation("I1", f"command {command} was acknowledged as {commit[:12]}, which is gone")
        for command, commit in acks.items()
        if commit not in held.get(command, ())
    ]


def closed(
    heads: Collection[str], read: Callable[[str], Operation | None]
) -> tuple[list[Operation], list[Violation]]:
    """I2: everything reachable from the op heads is there and whole; returns it too.

    read returns None for what is missing or does not hash to its name.
    """
    if not heads:
        return [], [Violation("I2", "there is no op head")]
    found: dict[str, Operation] = {}
    violations = []
    unseen = list(heads)
    while unseen:
        id = unseen.pop()
        if id in found:
            continue
        operation = read(id)
        if operation is None:
            violations.append(Violation("I2", f"operation {id[:12]} is reachable and not whole"))
            continue
        found[id] = operation
        unseen += operation.parents
    return list(found.values()), violations


def one_effect(operations: Iterable[Operation]) -> list[Violation]:
    """I6: a command id is in at most one operation."""
    seen: dict[str, str] = {}
    violations = []
    for operation in operations:
        for command in dict.fromkeys(row[0] for row in operation.commands):
            other = seen.setdefault(command, operation.id)
            if other != operation.id:
                where = f"operations {other[:12]} and {operation.id[:12]}"
                violations.append(Violation("I6", f"command {command} is in {where}"))
    return violations


def same_answer(answers: Mapping[str, Sequence[object]]) -> list[Violation]:
    """I6, as a client sees it: a command that succeeded is answered alike however often asked."""
    return [
        Violation("I6", f"command {command} was answered {given[0]!r}, then {other!r}")
        for command, given in answers.items()
        for other in given[1:]
        if other != given[0]
    ]


def landed_once(operations: Iterable[Operation]) -> list[Violation]:
    """I7: no queued commit lands through two operations."""
    seen: dict[str, int] = {}
    violations = []
    for operation in operations:
        for entry, queued, _ in operation.landed:
            if queued in seen:
                text = f"{queued[:12]} landed through entry {seen[queued]} and entry {entry}"
                violations.append(Violation("I7", text))
            seen[queued] = entry
    return violations


def nothing_dropped(
    named: Mapping[str, str], held: Collection[str], invariant: str = "I7"
) -> list[Violation]:
    """I7: what somebody was told of (name -> why it has to be there) is still held."""
    return [
        Violation(invariant, f"{name} ({why}) was dropped")
        for name, why in named.items()
        if name not in held
    ]


def lands_on_its_parents(
    operations: Iterable[Operation], parent: Mapping[str, str], trunk: Collection[str]
) -> list[Violation]:
    """I7: a queued commit lands after its parent: landed as well, or on the trunk as it is.

    operations: oldest first. parent: of every commit. trunk: commits on it that are no copies.
    """
    landed = set(trunk)
    violations = []
    for operation in operations:
        for entry, queued, _ in operation.landed:
            if parent[queued] not in landed:
                text = f"{queued[:12]} of entry {entry} landed without {parent[queued][:12]}"
                violations.append(Violation("I7", text))
            landed.add(queued)
    return violations


def linearizable(calls: Iterable[Call]) -> list[Violation]:
    """I10: who was answered before another asked comes before it; no place is taken twice.

    O(n log n): in the order of asking, the latest place answered so far is a lower bound.
    """
    asked = sorted(calls, key=lambda call: call.sent)
    answered = sorted(asked, key=lambda call: call.acked)
    violations = []
    places: dict[int, str] = {}
    latest: Call | None = None
    done = 0
    for call in asked:
        while answered[done].acked < call.sent:
            if latest is None or answered[done].position > latest.position:
                latest = answered[done]
            done += 1
        if latest and latest.position > call.position:
            text = f"{call.id} came before {latest.id}, which was answered before it was asked"
            violations.append(Violation("I10", text))
        other = places.setdefault(call.position, call.id)
        if other != call.id:
            text = f"{call.id} and {other} are both number {call.position}"
            violations.append(Violation("I10", text))
    return violations


def prefixes(
    streams: Mapping[str, tuple[int, Sequence[tuple[int, object]]]], truth: Mapping[int, object]
) -> list[Violation]:
    """I10: a subscriber gets every event once, in order, without gaps, and the same as others.

    streams: by subscriber, the cursor it began after and the numbered events it got. truth: events
    that are known from elsewhere.
    """
    violations = []
    known: dict[int, object] = dict(truth)
    for subscriber, (before, events) in streams.items():
        for number, event in events:
            if number != before + 1:
                text = f"{subscriber} got event {number} after event {before}"
                violations.append(Violation("I10", text))
            before = number  # noqa: PLW2901 - the cursor moves on
            if known.setdefault(number, event) != event:
                text = f"event {number} is {event!r} to {subscriber}, but {known[number]!r}"
                violations.append(Violation("I10", text))
    return violations


def bounded(samples: Mapping[str, int], limits: Mapping[str, int]) -> list[Violation]:
    """I12: what was sampled stays under the limit of its name."""
    return [
        Violation("I12", f"{name} reached {samples[name]}; its limit is {limit}")
        for name, limit in limits.items()
        if samples.get(name, 0) > limit
    ]
