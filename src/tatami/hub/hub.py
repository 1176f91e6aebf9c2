"""The hub: feeds the deciders, carries out their effects, keeps time. Runs on the event loop."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from tatami.hub.answering.following import Following
from tatami.hub.answering.peer import Peer, unexpected
from tatami.hub.answering.reading import Reading, Standing
from tatami.hub.answering.waiting import unfinished
from tatami.hub.committing import Committing, Identity, Outcome
from tatami.hub.importing import Importing
from tatami.hub.landing.queue import Around, LandingQueue
from tatami.hub.lines import Lines, Told
from tatami.hub.record import Record, Recovered
from tatami.hub.syncing import Syncing
from tatami.hub.undoing.hall import Hall
from tatami.hub.undoing.restore import Restoring
from tatami.hub.undoing.undo import Undoing
from tatami.hub.writer import Writer, die, drained, stopping
from tatami.protocol import hub as conversation
from tatami.protocol import messages
from tatami.protocol.admission import admit
from tatami.protocol.frames import PROTOCOL
from tatami.protocol.hub import Answer, Enqueue, Json
from tatami.schedule import batch
from tatami.store.locate import Place, recorded
from tatami.store.repository import Repository
from tatami.values.errors import BusyError, TatamiError
from tatami.values.limits import HUB_IDLE_SECONDS
from tatami.version import VERSION

log = logging.getLogger("tatami.hub")
BRANCHES_LAG_S = 0.1
"""How long git branches whose agents do not wait for them may lag under load. Moving one costs as
much as committing; moved together now and then, most of that is saved."""
FLUSHES_UNMAINTAINED_MAX = 256
"""Each flush leaves a pack; a hub that never rests still has to move them together."""
WATCH_SECONDS = 0.5
"""How often the hub looks at what git did: reading a few small files for each agent."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a hub is made of; built by `__main__`, or by a test."""

    place: Place
    record: Record
    reader: Repository
    identity: Identity
    recovered: Recovered
    settings: batch.Settings


class Hub:
    """One per repository. Public methods run on the event loop."""

    def __init__(self, parts: Parts) -> None:
        self._place = parts.place
        self._jj_repo = recorded(parts.place).jj_repo
        self._record = parts.record
        self._conversation = parts.recovered.conversation
        self._batch: batch.State[Enqueue] = batch.State(parts.settings)
        self._writer = Writer(self._rest, die)
        self._importing = Importing(parts.record, self._tell)
        self._committing = Committing(parts.record, parts.identity, self._importing)
        self._lines = Lines(parts.record, self._importing)
        around = Around(self._writer.submit, self._tell, self._reply)
        self._queue = LandingQueue(parts.recovered.queue, parts.record, parts.place.common, around)
        self._syncing = Syncing(parts.record, self._importing, self._writer.submit, self._tell)
        self._trunk = Following(self._queue.lander, parts.record, parts.place.common)
        hall = Hall(
            self._writer.submit,
            self._tell,
            self._queue,
            follow=lambda: self._queue.submit(self._trunk.follow),
        )
        self._undoing = Undoing(parts.record, self._importing, parts.identity, hall)
        self._restoring = Restoring(parts.record, self._importing, parts.place.common, hall)
        self._reading = Reading(parts.reader, parts.record)
        self._readers = ThreadPoolExecutor(1, "tatami-reader")
        self._rebasers = ThreadPoolExecutor(1, "tatami-rebaser")
        self._peers: dict[int, Peer] = {}
        self._next_peer = 1
        self._timer: asyncio.TimerHandle | None = None
        self._started = self._active = time.monotonic()
        self._stopping = False
        self._in_flight = 0
        self._flushes = 0
        self._followed = 0.0
        self._following = False
        self.stopped = asyncio.Event()

    def start(self) -> None:
        """Starts the threads; landings that were queued when the last hub ended go on."""
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        self._queue.start(self._trunk.follow)
        self._loop.call_later(WATCH_SECONDS, self._watch)

    async def stop(self) -> None:
        """Finishes what was accepted, makes a checkpoint, closes every connection."""
        if self._stopping:
            await self.stopped.wait()
            return
        self._stopping = True
        try:
            self._queue.halt()
            while self._in_flight or self._queue.attempting:  # noqa: ASYNC110 - happens once
                await asyncio.sleep(0.005)
            # The landers first: they wait for the writer, which must still be there.
            await self._queue.drained()
            await drained(self._rebasers)
            await asyncio.wrap_future(self._writer.finish())
            await drained(self._readers)
            # What the threads have posted for this loop, answers among it, comes before the end.
            await asyncio.sleep(0)
            for peer in list(self._peers.values()):
                peer.close()
        finally:  # whatever fails here, what was acknowledged is on the disk
            self.stopped.set()

    def joined(self, peer: Peer) -> int:
        """Registers a connection; its number is never used again."""
        number = self._next_peer
        self._next_peer += 1
        self._peers[number] = peer
        return number

    def left(self, number: int) -> None:
        """Forgets a connection and what it waited for."""
        self._peers.pop(number, None)
        self._queue.forget(number)
        conversation.step(self._conversation, conversation.Left(number), self._now())

    def asked(self, number: int, request: messages.Request, body: bytes) -> None:
        """Handles one request of a connection."""
        self._active = self._now()
        match request:
            case messages.Hello():
                hello: Json = {"version": VERSION, "protocol": PROTOCOL, "pid": os.getpid()}
                hello["horizon"] = self._conversation.horizon
                self._reply(number, request.n, Answer(hello))
            case messages.Stop():
                self._reply(number, request.n, Answer({"stopping": True, "pid": os.getpid()}))
                self._loop.create_task(self.stop())
            case _ if self._stopping:
                self._reply(number, request.n, Answer(error=stopping()))
            case messages.Subscribe():
                self._converse(conversation.Listens(number, request))
            case messages.Queue():
                self._queue.wait(number, request)
            case messages.Visible():
                follow = partial(self._follow_branches, request.agent)
                self._answer_from(self._writer.submit(follow), number, request.n)
            case messages.Conflict():
                entry = self._queue.entries.get(request.entry)
                self._read(number, request.n, lambda: self._reading.conflict(request.entry, entry))
            case messages.Status():
                answer = partial(self._answer_status, number, request.n)
                self._once_trunk_is_followed(answer, patient=False)
            case _ if isinstance(request, messages.Mutation):
                self._converse(conversation.Asked(number, request, body))
            case _:
                ask = partial(self._reading.answer, request)
                self._once_trunk_is_followed(lambda: self._read(number, request.n, ask))

    # Deciders in, effects out.

    def _converse(self, happening: conversation.Input) -> None:
        _, effects = conversation.step(self._conversation, happening, self._now())
        for effect in effects:
            match effect:
                case conversation.Reply(connection=number, n=n, answer=answer):
                    self._reply(number, n, answer)
                case conversation.Push(connection=number, n=n, event=event):
                    if number in self._peers:
                        missed = isinstance(happening, conversation.Listens)
                        self._peers[number].push(n, event, missed)
                case conversation.Enqueue():
                    self._carry_out(effect)

    def _carry_out(self, command: Enqueue) -> None:
        request = command.request
        try:
            admit(request)
        except TatamiError as error:
            self._answered(command, Answer(error=error))
            return
        self._in_flight += 1
        match request:
            case messages.Commit():
                arrived = batch.Arrived(request.agent, command, len(command.body))
                self._apply_batch(arrived)
            case messages.QueueAction():
                act = self._queue.act(command.id, request)
                self._answer_command(command, asyncio.run_coroutine_threadsafe(act, self._loop))
            case _:
                self._once_trunk_is_followed(lambda: self._move_line(command))

    def _move_line(self, command: Enqueue) -> None:
        match command.request:
            case messages.Land() as land:
                self._write(command, lambda: self._pin(command, land))
            case messages.Agents() as agents:
                self._write(command, lambda: self._lines.add(command.id, agents))
            case messages.Reset() as reset:
                self._write(command, lambda: self._lines.reset(command.id, reset))
            case messages.Retire() as retire:
                self._write(command, lambda: self._lines.retire(command.id, retire))
            case messages.Sync() as sync:
                future = self._rebasers.submit(self._syncing.sync, command.id, sync)
                self._answer_command(command, future)
            case messages.Undo() as undo:
                future = self._rebasers.submit(self._undoing.undo, command.id, undo)
                self._answer_command(command, future)
            case messages.Restore() as restore:
                future = self._rebasers.submit(self._restoring.restore, command.id, restore)
                self._answer_command(command, future)

    def _apply_batch(self, happening: batch.Arrived[Enqueue] | batch.Flushed | batch.Tick) -> None:
        _, effects = batch.step(self._batch, happening, self._now())
        for effect in effects:
            if isinstance(effect, batch.WakeAt):
                if self._timer:
                    self._timer.cancel()
                self._timer = self._loop.call_at(effect.time, self._apply_batch, batch.Tick())
                continue
            self._begin(effect.work)

    def _begin(self, commands: Sequence[Enqueue]) -> None:
        begun = self._now()
        future = self._writer.submit(lambda: self._flush(commands))
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._flushed, commands, begun, done)
        )

    def _flush(self, commands: Sequence[Enqueue]) -> Outcome:
        outcome = self._committing.flush(commands, int(time.time()))
        self._tell(outcome.first_event, outcome.facts)
        return outcome

    def _flushed(self, commands: Sequence[Enqueue], begun: float, done: "Future[Outcome]") -> None:
        error = done.exception()
        if error:
            log.error("a batch failed", exc_info=error)
            answers: Sequence[Answer] = [Answer(error=unexpected(error))] * len(commands)
        else:
            answers = done.result().answers
        for command, answer in zip(commands, answers, strict=True):
            self._in_flight -= 1
            self._answered(command, answer)
        self._flushes += 1
        if self._flushes % FLUSHES_UNMAINTAINED_MAX == 0:
            self._writer.submit(self._record.repository.maintain)
        self._apply_batch(batch.Flushed(self._now() - begun))
        if self._record.repository.lagging and not self._following:
            self._following = True
            self._loop.call_at(max(self._followed + BRANCHES_LAG_S, self._now()), self._follow)

    def _follow(self) -> None:
        """Has the git branches that nobody waits for follow their bookmarks."""
        self._following = False
        self._followed = self._now()
        if self._stopping:
            return
        self._writer.submit(self._follow_branches)

    def _follow_branches(self, agent: str | None = None) -> Answer:
        try:
            self._record.repository.follow_branches()
        except TatamiError as error:
            log.warning("git branches wait: %s", error)
        behind = sorted(self._record.repository.lagging)
        if behind if agent is None else agent in behind:
            words = f"git branches of {', '.join(behind[:8])} cannot follow; see the hub's log"
            return Answer(error=BusyError(words, code="branches_wait", fix="tatami status"))
        return Answer({})

    # Work for the writer thread.

    def _write(self, command: Enqueue, call: Callable[[], Told]) -> None:
        self._answer_command(command, self._writer.submit(lambda: self._told(call)))

    def _answer_command(self, command: Enqueue, future: "Future[Answer]") -> None:
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._written, command, done)
        )

    def _told(self, call: Callable[[], Told]) -> Answer:
        answer, first, facts = call()
        self._tell(first, facts)
        return answer

    def _written(self, command: Enqueue, done: "Future[Answer]") -> None:
        self._in_flight -= 1
        error = done.exception()
        self._answered(command, Answer(error=unexpected(error)) if error else done.result())

    def _pin(self, command: Enqueue, request: messages.Land) -> Told:
        told, entries = self._lines.pin(command.id, request)
        self._queue.queued(entries)
        return told

    def _rest(self) -> None:
        """The writer's idle work."""
        self._follow_branches()
        if self._record.unsaved:
            self._record.save()
        self._record.repository.maintain()

    def _tell(self, first: int, facts: Sequence[Json]) -> None:
        """Called on the writer thread, so that events keep their order."""
        self._record.save_some()
        if facts:
            happened = conversation.Happened(first, tuple(facts))
            self._loop.call_soon_threadsafe(self._converse, happened)

    # Answers.

    def _answered(self, command: Enqueue, answer: Answer) -> None:
        self._converse(conversation.Answered(command.id, answer))

    def _reply(self, number: int, n: int, answer: Answer) -> None:
        peer = self._peers.get(number)
        if peer and not (answer.error and self._log_is_gone()):
            peer.reply(n, answer)

    def _read(self, number: int, n: int, call: Callable[[], Answer]) -> None:
        if self._stopping:
            self._reply(number, n, Answer(error=stopping()))
            return
        look = self._writer.glance(self._importing.look_at_all)
        self._answer_from(self._readers.submit(lambda: (look.result(), call())[1]), number, n)

    def _answer_from(self, future: "Future[Answer]", number: int, n: int) -> None:
        def done(future: "Future[Answer]") -> None:
            error = future.exception()
            answer = Answer(error=unexpected(error)) if error else future.result()
            self._loop.call_soon_threadsafe(self._reply, number, n, answer)

        future.add_done_callback(done)

    def _answer_status(self, number: int, n: int) -> None:
        standing = Standing(
            entries=unfinished(self._queue.entries),
            paused=self._queue.paused,
            waiting=self._queue.lander.waiting,
            trouble=self._trunk.trouble or self._queue.trouble,
            cursor=self._conversation.next_event - 1,
            uptime_s=self._now() - self._started,
        )
        self._read(number, n, lambda: self._reading.status(standing))

    def _once_trunk_is_followed(self, call: Callable[[], None], patient: bool = True) -> None:
        """Calls back when the trunk's bookmark is where git's branch is; mostly at once.

        What is verified just now is not waited for, nor anything at all unless `patient`: then the
        trunk is where it was when that began, and its end follows by itself.
        """
        landing = self._queue.attempting and not patient
        if landing or self._queue.verifying or self._stopping or not self._trunk.is_due():
            call()
            return
        future = self._queue.submit(self._trunk.follow)
        future.add_done_callback(lambda _: self._loop.call_soon_threadsafe(call))

    # Time.

    def _now(self) -> float:
        return time.monotonic()

    def _watch(self) -> None:
        """Now and then: the trunk follows where it waited; an idle hub stops."""
        if self._stopping or self._log_is_gone():
            return
        if self._queue.lander.waiting and not self._queue.attempting:
            self._queue.submit(self._trunk.retry)
        self._writer.glance(self._importing.look_at_all)
        busy = self._in_flight or self._queue.attempting or self._peers
        if busy:
            self._active = self._now()
        elif self._now() - self._active > HUB_IDLE_SECONDS:
            self._loop.create_task(self.stop())
        self._loop.call_later(WATCH_SECONDS, self._watch)

    def _log_is_gone(self) -> bool:
        """Whether the operation log was deleted under us: then a hub can only end.

        Whoever asks gets no answer from it, but finds out why when it looks for the next one.
        """
        if os.path.isdir(self._jj_repo):
            return False
        if not self._stopping:
            log.critical("the operation log in %s is gone", self._jj_repo)
            self._loop.create_task(self.stop())
        return True
