"""Bugs to plant: a simulator that has never found one proves nothing.

Each is one that a hub could really have. `planted` makes them: most are switches of the model hub,
some replace a function of a decider while the simulation runs.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from unittest.mock import patch

from tatami.protocol import hub as conversation
from tatami.schedule import batch, landing
from tatami.values.ids import CommandId


class Flaw(StrEnum):
    """A bug, named by what the hub does wrong."""

    NO_CONTENT_SYNC = "publishes without syncing what the operation consists of"
    NO_NAME_SYNC = "syncs files at barrier 1, but not the directories that name them"
    NO_BARRIER_2 = "acknowledges without barrier 2"
    NO_START_SYNC = "answers from an op head that a dead hub swapped and did not sync"
    EARLY_ACK = "acknowledges a batch before the op head is swapped"
    EARLY_QUEUE_ACK = "answers a queue action before it is recorded"
    FORGETS_ANSWERS = "starts without the answers of the hub before"
    FORGETS_HORIZON = "starts without knowing which clients were forgotten"
    HIDES_HORIZON = "does not tell new clients, whose clock may be late, what it has forgotten"
    LOSES_PAUSE = "starts with the landing queue running, though it was paused"
    STAYS_PAUSED = "pauses landing when the disk is full, and does not go on when it is not"
    KEEPS_UNRECORDED = "goes by a queue action that could not be recorded"
    REUSES_EVENT = "numbers the first event after a start as the last one before"
    UNRECORDED_LANDING = "does not write into the operation what it landed"
    LANDS_TWICE = "lands what has landed when it is asked to try again"
    SKIPS_HAND_BACK = "leaves queued what builds on an entry that did not land"
    FORGETS_FORGOTTEN = "redoes commands whose answers are no longer kept"
    MISSES_EVENTS = "does not send a late subscriber what it has missed"
    LOSES_WORK = "forgets a commit when a batch is full"
    ASKS_TWICE = "carries out a command again that is resent while under way"


PATCHED = {
    Flaw.LANDS_TWICE: (landing, "_refusal_to_retry"),
    Flaw.SKIPS_HAND_BACK: (landing, "hand_back_followers"),
    Flaw.FORGETS_FORGOTTEN: (conversation, "remember"),
    Flaw.MISSES_EVENTS: (conversation, "_listens"),
    Flaw.LOSES_WORK: (batch, "_flush"),
    Flaw.ASKS_TWICE: (conversation, "_asked"),
}
"""The flaws of deciders: where their function is."""


@contextmanager
def planted(flaw: Flaw | None) -> Iterator[None]:
    """Runs the block with a decider's flaw in place; those of the model need none of this."""
    with ExitStack() as stack:
        if flaw in PATCHED:
            module, name = PATCHED[flaw]
            right = getattr(module, name)
            stack.enter_context(patch.object(module, name, _wrong(flaw, right)))
        yield


def _wrong(flaw: Flaw, right: object) -> object:
    assert callable(right)

    def forgets(state: conversation.State, command: CommandId, answer: conversation.Answer) -> None:
        right(state, command, answer)
        state.clients[command.incarnation].forgotten = 0

    def misses(
        state: conversation.State, listens: conversation.Listens
    ) -> list[conversation.Effect]:
        effects: list[conversation.Effect] = right(state, listens)
        return effects[:1]

    def loses(state: "batch.State[conversation.Enqueue]") -> object:
        flush = right(state)
        return batch.Flush(flush.work[:-1] if len(flush.work) > 2 else flush.work)

    def asks_twice(
        state: conversation.State, asked: conversation.Asked
    ) -> list[conversation.Effect]:
        command = CommandId.parse(asked.request.id)
        waiting = state.waiting.pop(command, [])
        effects: list[conversation.Effect] = right(state, asked)
        state.waiting.setdefault(command, [])[:0] = waiting
        return effects

    wrong: dict[Flaw, object] = {
        Flaw.LANDS_TWICE: lambda *_: None,
        Flaw.SKIPS_HAND_BACK: lambda *_: (),
        Flaw.FORGETS_FORGOTTEN: forgets,
        Flaw.MISSES_EVENTS: misses,
        Flaw.LOSES_WORK: loses,
        Flaw.ASKS_TWICE: asks_twice,
    }
    return wrong[flaw]
