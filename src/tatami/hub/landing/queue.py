"""The landing queue at work: its decider, the thread that lands, the writer that records."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from tatami.hub.answering.peer import unexpected
from tatami.hub.answering.waiting import Waiting
from tatami.hub.landing.lander import Lander, Tell, Write
from tatami.hub.record import ENTRIES_KEPT, Record
from tatami.hub.writer import drained
from tatami.protocol.hub import Answer, Json
from tatami.protocol.messages import Queue, QueueAction
from tatami.schedule import landing
from tatami.values.errors import TatamiError
from tatami.values.ids import CommandId

log = logging.getLogger("tatami.hub")
Result = TypeVar("Result")
Answers = Sequence[tuple[CommandId, Answer]]
Entries = tuple[landing.Entry, ...]
RETRY_SECONDS = 1.0
"""When what a full disk has kept from being done is tried again; each time in a row later."""
RETRIES_DOUBLED_MAX = 5
"""Times in a row that the pause doubles: a verify command may run each time."""


@dataclass(frozen=True, slots=True)
class Around:
    """What the queue needs of the hub around it.

    write: runs a call on the writer thread. tell: tells subscribers; called on that thread. reply:
    answers request `n` of a connection.
    """

    write: Write
    tell: Tell
    reply: Callable[[int, int, Answer], None]


class LandingQueue:
    """Has what is queued land, one attempt at a time. On the event loop, if not said otherwise."""

    def __init__(self, state: landing.State, record: Record, common: str, around: Around) -> None:
        self._state = state
        self._record = record
        self._around = around
        self._waiting = Waiting()
        self._threads = ThreadPoolExecutor(1, "tatami-lander")
        self._asking = asyncio.Lock()
        self._retry: asyncio.TimerHandle | None = None
        self._failures = 0
        self._stopping = False
        self.lander = Lander(record, common, around.write, around.tell, self.queued)
        self.verifying = False
        """Whether the attempt under way runs a command."""
        self.trouble = ""
        """Why nothing can land for now ("" = it can)."""

    @property
    def entries(self) -> dict[int, landing.Entry]:
        """What is listed, by number."""
        return self._state.entries

    @property
    def attempting(self) -> bool:
        """Whether an attempt is under way, or waits to be made again."""
        return self._state.attempting

    @property
    def paused(self) -> bool:
        """Whether no attempt is begun."""
        return self._state.paused

    def start(self, first: Callable[[], None]) -> None:
        """Goes on with what was queued when the last hub ended; `first` runs before it lands."""
        self._loop = asyncio.get_running_loop()
        self.submit(first)
        self._apply(landing.Queued(()))
        self.submit(self.lander.clear_up)

    def halt(self) -> None:
        """Begins nothing more; a verify command under way ends, its entries stay queued."""
        self._stopping = True
        self.lander.stop_verifying()
        if self._retry:
            self._retry.cancel()
            self._go_on()

    async def drained(self) -> None:
        """Waits for the thread that lands, and ends it; after `halt`, and the last attempt."""
        await drained(self._threads)

    def submit(self, call: Callable[[], Result]) -> "Future[Result]":
        """Runs a call on the thread that lands. From any thread."""
        return self._threads.submit(call)

    def queued(self, entries: Entries) -> None:
        """Takes in entries that are new, or not what they were; recorded. From any thread."""
        self._loop.call_soon_threadsafe(self._apply, landing.Queued(entries))

    async def act(self, id: CommandId, request: QueueAction) -> Answer:
        """Carries out a command; raises as `_ask`."""
        asked = landing.Asked(request.action, tuple(request.entries))
        ((_, answer),) = await self._ask(
            asked,
            lambda paused: ((id, Answer({"entries": request.entries, "paused": paused})),),
        )
        return answer

    def reject(self, numbers: Sequence[int], reason: str, answers: Answers) -> None:
        """Takes entries out of the queue, recorded together with these answers.

        Waits for it, so not on the event loop nor the writer thread. Raises `TatamiError`
        (`queue_state`) where one is landing, or has; nothing is changed then.
        """
        asked = landing.Asked("reject", tuple(numbers), reason)
        work = self._ask(asked, lambda _: answers)
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def wait(self, connection: int, request: Queue) -> None:
        """Answers a connection about entries, as soon as those it waits for are finished."""
        self._waiting.add(connection, request)
        self._tell_waiting()

    def forget(self, connection: int) -> None:
        """Nobody waits there any more."""
        self._waiting.forget(connection)

    async def _ask(self, asked: landing.Asked, answers: Callable[[bool], Answers]) -> Answers:
        """Does what somebody asks of the queue; returns the answers that were recorded with it.

        answers: made once it is known whether the queue is paused then. Raises `TatamiError` where
        it cannot be, or cannot be recorded; the queue is as it was then. One at a time, for that.
        """
        async with self._asking:
            entries, paused = dict(self.entries), self.paused
            _, (changed, *attempts) = landing.step(self._state, asked, time.monotonic())
            assert isinstance(changed, landing.Changed)
            told = answers(self.paused)
            touched = [e.number for effect in (changed, *attempts) for e in effect.entries]
            meant = {number: self.entries[number] for number in touched}
            now = self.paused if asked.action in ("pause", "resume") else None
            try:
                save = partial(self._save, changed.entries, told, now)
                await asyncio.wrap_future(self._around.write(save))
            except Exception:
                for number in [n for n, entry in meant.items() if self.entries.get(n) == entry]:
                    self.entries[number] = entries[number]
                if now is not None:
                    self._state.paused = paused
                if attempts:
                    self._state.attempting = False
                self._apply(landing.Queued(()))
                raise
            self._carry_out(attempts)
            return told

    def _apply(self, happening: landing.Queued | landing.Attempted) -> None:
        _, effects = landing.step(self._state, happening, time.monotonic())
        self._carry_out(effects)

    def _carry_out(self, effects: Sequence[landing.Attempt | landing.Changed]) -> None:
        for effect in effects:
            match effect:
                case landing.Changed(entries=entries):
                    self._keep(entries)
                case landing.Attempt() if self._stopping:
                    # The table still has them as queued: the next hub lands them.
                    self._state.attempting = False
                case landing.Attempt(entries=entries):
                    self._attempt(entries)
        dropped = landing.forget_finished(self._state, ENTRIES_KEPT)
        if dropped:
            self._around.write(lambda: self._record.ledger.forget_entries(dropped))
        self._tell_waiting()

    def _attempt(self, entries: Entries) -> None:
        self.verifying = any(entry.verify is not None for entry in entries)
        future = self.submit(partial(self.lander.attempt, entries))
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._attempted, done, entries)
        )

    def _attempted(self, done: "Future[Entries]", entries: Entries) -> None:
        self.verifying = False
        error = done.exception()
        if error is None:
            self.trouble, self._failures = "", 0
            self._apply(landing.Attempted(done.result()))
            return
        # Nothing was recorded: the entries stay queued, and a new hub tries them again.
        failure = self._troubled(error)
        self.entries.update((e.number, replace(e, reason=f"{failure}")) for e in entries)
        if failure.retryable and not self._stopping:
            pause = RETRY_SECONDS * 2 ** min(self._failures, RETRIES_DOUBLED_MAX)
            self._failures += 1
            self._retry = self._loop.call_later(pause, self._go_on)
            return
        if not failure.retryable:
            self._state.paused = True
        self._go_on()

    def _go_on(self) -> None:
        """The last attempt has come to nothing; whatever is queued now is attempted."""
        self._retry = None
        self._apply(landing.Attempted(()))

    def _keep(self, entries: Entries) -> None:
        """Records what changed by itself, as soon as the disk takes it."""
        future = self._around.write(partial(self._save, entries, (), None))
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._kept, done, entries)
        )

    def _kept(self, done: "Future[None]", entries: Entries) -> None:
        error = done.exception()
        if not error and not self._retry:
            self.trouble = ""
        elif error and self._troubled(error).retryable:
            self._loop.call_later(RETRY_SECONDS, self._keep_now, entries)

    def _keep_now(self, entries: Entries) -> None:
        """Records what could not be before, unless it is something else by now."""
        still = tuple(entry for entry in entries if self.entries.get(entry.number) == entry)
        if still and not self._stopping:
            self._keep(still)

    def _troubled(self, error: BaseException) -> TatamiError:
        """Notes why the queue does not get on, and logs it once; returns it as one of ours."""
        failure = unexpected(error)
        trouble = f"the landing queue waits: {failure}"
        if self.trouble != trouble:
            log.error("%s", trouble)
        self.trouble = trouble
        return failure

    def _save(self, entries: Entries, answers: Answers, paused: bool | None) -> None:
        """On the writer thread: records what has become of the queue, and tells of it."""
        first = self._record.next_event
        told = self._record.record_entries(entries, list(answers), paused)
        self._around.tell(first, told)

    def _tell_waiting(self) -> None:
        """Answers those who wait for queue entries that are finished now."""
        standing: Json = {"paused": self.paused, "waiting": self.lander.waiting}
        for number, n, answer in self._waiting.answers(self.entries, standing):
            self._around.reply(number, n, answer)
