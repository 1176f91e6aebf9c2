"""Judges a world by the invariants: what agents were told against what the disk holds."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tatami.hub.record import facts
from tatami.protocol.hub import Json
from tatami.schedule.landing import FINISHED
from tatami.store.repository import FIRST_EVENT, command_rows, landed_rows
from tatami.testing import invariants
from tatami.testing.invariants import Call, Operation, Violation
from tatami.testing.simulator.model import storage
from tatami.testing.simulator.model.storage import TRUNK

if TYPE_CHECKING:
    from tatami.testing.simulator.client import Command
    from tatami.testing.simulator.model.hub import Hub
    from tatami.testing.simulator.world import World

MOVES = ("commit", "agents", "reset", "retire")
"""The verbs whose success is in an operation."""


def at_start(world: "World", hub: "Hub") -> list[Violation]:
    """What must hold of what a hub finds when it starts: I1, I2, I6, I7."""
    operations, found = _operations(world)
    if found:
        return found
    return [
        *invariants.acknowledged_survive(_acks(world), operations),
        *invariants.one_effect(operations),
        *invariants.landed_once(operations),
        *_queue_is_kept(world, hub),
    ]


def whole(world: "World") -> list[Violation]:
    """What must hold when everything has come to an end: all of them."""
    hub = world.hub
    assert hub
    operations, found = _operations(world)
    oldest_first = operations[::-1]
    trunk = {commit.id for commit in hub.log.line(hub.log.bookmarks[TRUNK], ())}
    landed = {queued: id for op in operations for _, queued, id in op.landed}
    told = {id: f"landed as {queued[:12]}" for queued, id in landed.items()}
    return [
        *found,
        *invariants.same_answer(_results(world)),
        *invariants.nothing_dropped(told, trunk),
        *_lands_in_order(hub, oldest_first),
        *invariants.linearizable(_calls(world, oldest_first)),
        *invariants.prefixes(_streams(world), _truth(hub)),
        *invariants.bounded(world.samples, _limits(world)),
        *_paused_queues_rest(world),
        *_verdicts_stand(world, hub),
        *_refused_has_no_effect(world),
        *_all_finished(hub),
    ]


def trace(world: "World") -> str:
    """A digest of everything agents were told, and when: equal for equal runs."""
    hasher = hashlib.sha1(usedforsecurity=False)
    for command in world.commands.values():
        for told in command.answers:
            hasher.update(f"{command.id} {told.at!r} {told.life} {told.answer}\n".encode())
    for subscriber in world.subscribers:
        hasher.update(repr(subscriber.streams).encode())
    return hasher.hexdigest()


def _operations(world: "World") -> tuple[list[Operation], list[Violation]]:
    """The operations on the disk, newest first."""

    def read(id: str) -> Operation | None:
        found = storage.read_operation(world.disk, world.vaults, id)
        if found is None:
            return None
        rows = command_rows(found.attributes)
        return Operation(
            found.id,
            (found.parent,) if found.parent else (),
            tuple((command, agent, commit) for command, agent, _, commit, _ in rows),
            tuple(landed_rows(found.attributes)),
            frozenset(commit.id for commit in found.commits),
        )

    return invariants.closed(world.disk.listdir("heads"), read)


def _acked(world: "World", *verbs: str) -> Iterator[tuple["Command", Json]]:
    for command in world.commands.values():
        result = command.result
        if result is not None and command.verb in verbs:
            yield command, result


def _acks(world: "World") -> dict[str, str]:
    return {c.id: str(result["commit"]) for c, result in _acked(world, "commit")}


def _results(world: "World") -> dict[str, list[object]]:
    """Every answer of success that a command got."""
    return {
        command.id: [t.answer["result"] for t in command.answers if "result" in t.answer]
        for command in world.commands.values()
        if command.result is not None
    }


def _queue_is_kept(world: "World", hub: "Hub") -> list[Violation]:
    named = {
        str(number): f"an entry of {command.id}"
        for command, result in _acked(world, "land")
        for number in _numbers(result)
    }
    return invariants.nothing_dropped(named, {str(number) for number in hub.queue.entries})


def _numbers(result: Json) -> list[int]:
    entries = result["entries"]
    assert isinstance(entries, list)
    return entries


def _lands_in_order(hub: "Hub", oldest_first: list[Operation]) -> list[Violation]:
    """Nothing lands without what it builds on."""
    parent = {commit.id: commit.parent for commit in hub.log.commits.values()}
    copies = {id for op in oldest_first for _, queued, id in op.landed}
    return invariants.lands_on_its_parents(oldest_first, parent, {storage.ROOT, *copies})


def _calls(world: "World", oldest_first: list[Operation]) -> list[Call]:
    """The acknowledged commands that are in operations, with their place there."""
    place: dict[str, int] = {}
    for operation in oldest_first:
        for command, _, _ in operation.commands:
            place[command] = len(place)
    return [
        Call(command.id, command.sent, _acked_at(command), place[command.id])
        for command, _ in _acked(world, *MOVES)
        if command.id in place
    ]


def _acked_at(command: "Command") -> float:
    return next(told.at for told in command.answers if "result" in told.answer)


def _streams(world: "World") -> dict[str, tuple[int, list[tuple[int, object]]]]:
    return {
        f"{subscriber.name} ({number})": (after, list(events))
        for subscriber in world.subscribers
        for number, (after, events) in enumerate(subscriber.streams)
    }


def _truth(hub: "Hub") -> dict[int, object]:
    """The events of operations, as the operations number them."""
    known: dict[int, object] = {}
    for op in hub.log.newest_first:
        first = int(op.attributes.get(FIRST_EVENT, "0"))
        for number, fact in enumerate(facts(op.id, op.attributes), start=first):
            known[number] = {"cursor": number, **fact}
    return known


def _limits(world: "World") -> dict[str, int]:
    plan = world.plan
    return {
        # Who is at it is not forgotten.
        "clients": plan.clients_kept + plan.agents,
        "answers of a client": plan.answers_kept,
        "events": plan.events_kept,
        "listeners": len(world.subscribers) + 1,
        "commits waiting": 4 * plan.agents,
        "writes waiting": 8 * plan.agents,
    }


def _paused_queues_rest(world: "World") -> list[Violation]:
    """No attempt begins between an acknowledged pause and the next resume that was asked for."""
    actions = [c for c in world.commands.values() if c.verb == "queue-action"]
    resumes = [c.sent for c in actions if c.fields["action"] == "resume"]
    violations = []
    for pause in actions:
        if pause.fields["action"] != "pause" or pause.result is None:
            continue
        since = _acked_at(pause)
        # Resent later, it is answered from what is remembered and pauses nothing any more.
        until = min([at for at in resumes if at > pause.sent], default=float("inf"))
        for at, numbers in world.attempts:
            if since < at < until:
                text = f"entries {numbers} were attempted while the queue was paused"
                violations.append(Violation("pause", text))
    return violations


def _verdicts_stand(world: "World", hub: "Hub") -> list[Violation]:
    """I7: what landed has landed; what was said to have failed did, unless it was tried again."""
    said = [(n, state == "landed") for agent in world.agents for n, state, _ in agent.verdicts]
    again: set[int] = set()
    for command in world.commands.values():
        if command.verb == "queue-action":
            numbers = _numbers(command.fields)
            said += [(n, False) for n in numbers if _is_rejected(command)]
            again.update(numbers if command.fields["action"] == "retry" else ())
    named = {
        f"entry {number} {'landed' if landed else 'failed'}": "somebody was told so"
        for number, landed in said
        if landed or number not in again
    }
    held = {
        f"entry {number} {'landed' if entry.state == 'landed' else 'failed'}"
        for number, entry in hub.queue.entries.items()
        if entry.state in FINISHED
    }
    return invariants.nothing_dropped(named, held)


def _refused_has_no_effect(world: "World") -> list[Violation]:
    """I6: an entry is rejected by hand only where somebody's request for that was not refused."""
    asked = {
        number
        for command in world.commands.values()
        if command.fields.get("action") == "reject"
        and (not command.answers or command.result is not None)
        for number in _numbers(command.fields)
    }
    return [
        Violation("I6", f"entry {number} was rejected by hand, but every such request was refused")
        for agent in world.agents
        for number, _, reason in agent.verdicts
        if reason == "rejected by hand" and number not in asked
    ]


def _is_rejected(command: "Command") -> bool:
    return command.fields["action"] == "reject" and command.result is not None


def _all_finished(hub: "Hub") -> list[Violation]:
    """Once nothing fails any more, every entry is landed, handed back or rejected."""
    open_entries = [n for n, e in hub.queue.entries.items() if e.state in ("queued", "landing")]
    if not open_entries or hub.queue.paused:
        return []
    return [Violation("live", f"entries {open_entries} are still open")]
