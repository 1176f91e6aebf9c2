"""The queue on a disk that is full for a while: nothing is half done, nothing waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import Literal

import pytest

from tatami.hub.landing import queue as queues
from tatami.hub.landing.queue import Around, LandingQueue
from tatami.hub.writer import Writer
from tatami.protocol.messages import QueueAction
from tatami.schedule import landing
from tatami.schedule.landing import Entry
from tatami.values.errors import TatamiError
from tatami.values.ids import CommandId
from tests.full_disk import full_disk
from tests.unit.hub.conftest import Hall

ID = CommandId("0000000000000000000000aa", 1)
Action = Literal["retry", "reject", "pause", "resume"]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not go is tried again at once."""
    monkeypatch.setattr(queues, "RETRY_SECONDS", 0.01)


@asynccontextmanager
async def running(hall: Hall, *entries: Entry, paused: bool = False) -> AsyncIterator[LandingQueue]:
    """The queue of a hub that starts with these entries."""
    state = landing.State({entry.number: entry for entry in entries}, paused=paused)
    writer = Writer(lambda: None, lambda _: None)
    writer.start()
    around = Around(writer.submit, lambda *_: None, lambda *_: None)
    queue = LandingQueue(state, hall.record, str(hall.root / ".git"), around)
    queue.start(lambda: None)
    yield queue
    queue.halt()
    await until(lambda: not queue.attempting)
    await queue.drained()
    await asyncio.wrap_future(writer.finish())


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something is so, and not for ever."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.001)


def failed(hall: Hall, number: int) -> Entry:
    """A recorded entry that was handed back."""
    entry = replace(hall.queued(number, hall.commit("a", f"{number}.txt")), state="handed_back")
    hall.record.record_entries((entry,), [])
    return entry


@pytest.mark.parametrize("action", ["retry", "reject", "pause"])
def test_an_action_that_cannot_be_recorded_did_not_happen(hall: Hall, action: Action) -> None:
    """Who asked is told so, and a new hub would find the queue as this one has it.

    The story: the action went on in memory, and the next hub undid it.
    """
    numbers = [] if action == "pause" else [1]

    async def ask(entry: Entry) -> tuple[str, dict[int, Entry], bool]:
        async with running(hall, entry) as queue:
            with full_disk(), pytest.raises(TatamiError) as refused:
                await queue.act(ID, QueueAction(n=1, id=str(ID), action=action, entries=numbers))
            await asyncio.sleep(0.05)
            return refused.value.code, dict(queue.entries), queue.paused

    entry = failed(hall, 1)
    assert asyncio.run(ask(entry)) == ("no_space", {1: entry}, False)
    assert (hall.record.ledger.entries(), hall.record.ledger.paused()) == ([entry], False)
    assert hall.landings() == []


def test_a_queue_that_cannot_be_resumed_stays_paused(hall: Hall) -> None:
    """Nothing lands of what the answer says goes on waiting."""

    async def resume(entry: Entry) -> tuple[dict[int, Entry], bool]:
        async with running(hall, entry, paused=True) as queue:
            with full_disk(), pytest.raises(TatamiError):
                await queue.act(ID, QueueAction(n=1, id=str(ID), action="resume"))
            await asyncio.sleep(0.05)
            return dict(queue.entries), queue.paused

    entry = hall.queued(1, hall.commit("a", "a.txt"))
    assert asyncio.run(resume(entry)) == ({1: entry}, True)
    assert hall.landings() == []


def test_of_two_actions_at_once_neither_is_taken_back_to_the_other(hall: Hall) -> None:
    """The second begins where the first has ended, not with what the first had hoped for."""

    async def pause() -> tuple[list[str], bool]:
        async with running(hall) as queue:
            ids = [CommandId(ID.incarnation, number) for number in (1, 2)]
            asked = [queue.act(id, QueueAction(n=1, id=str(id), action="pause")) for id in ids]
            with full_disk():
                answers = await asyncio.gather(*asked, return_exceptions=True)
            return [getattr(answer, "code", "done") for answer in answers], queue.paused

    assert asyncio.run(pause()) == (["no_space", "no_space"], False)


def test_what_a_full_disk_kept_from_landing_lands_with_space(hall: Hall) -> None:
    """By itself, and once; until then the queue says why it waits.

    The story: the queue was paused, and stayed so until somebody noticed.
    """

    async def land(entry: Entry) -> tuple[Entry, str]:
        async with running(hall) as queue:
            with full_disk():
                queue.queued((entry,))
                await until(lambda: bool(queue.trouble))
                trouble, waits = queue.trouble, queue.entries[1]
            await until(lambda: queue.entries[1].state == "landed")
            assert (waits.state, queue.paused, queue.trouble) == ("queued", False, "")
            return queue.entries[1], trouble

    entry = hall.queued(1, hall.commit("a", "a.txt"))
    landed, trouble = asyncio.run(land(entry))
    assert "No space left" in trouble
    assert hall.landings() == [[(1, entry.commits[0])]]
    assert hall.record.ledger.entries() == [landed]
    assert (landed.state, landed.reason) == ("landed", "")


def test_what_was_handed_back_on_a_full_disk_is_recorded_with_space(hall: Hall) -> None:
    """An entry whose foundation did not land goes with it, and the next hub knows."""

    async def start(*entries: Entry) -> Entry:
        with ExitStack() as full:
            full.enter_context(full_disk())
            async with running(hall, *entries) as queue:
                await until(lambda: bool(queue.trouble))
                full.close()
                await until(lambda: hall.record.ledger.entry(2) == queue.entries[2])
                return queue.entries[2]

    below = failed(hall, 1)
    above = replace(hall.queued(2, hall.commit("a", "b.txt")), builds_on=(1,))
    assert asyncio.run(start(below, above)).state == "handed_back"
