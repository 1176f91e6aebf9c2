"""The hub: feeds the deciders, carries out their effects, keeps time. Runs on the event loop."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import psutil

from tatami.hub.committing import Committing, Identity, Outcome
from tatami.hub.landing import Lander
from tatami.hub.lines import Lines, Told
from tatami.hub.reading import Reading, entries_json
from tatami.hub.record import ENTRIES_KEPT, Record, Recovered
from tatami.hub.writer import Writer, die
from tatami.protocol import hub as conversation
from tatami.protocol import messages
from tatami.protocol.admission import admit
from tatami.protocol.frames import PROTOCOL
from tatami.protocol.hub import Answer, Enqueue, Json
from tatami.schedule import batch, landing
from tatami.store.locate import Place
from tatami.store.repository import Repository
from tatami.values.errors import BusyError, TatamiError, UsageError
from tatami.values.limits import HUB_IDLE_SECONDS
from tatami.version import VERSION

log = logging.getLogger("tatami.hub")
Entries = tuple[landing.Entry, ...]
Keep = Callable[[Entries], None]
"""Records queue entries durably."""
BRANCHES_LAG_S = 0.1
"""How long git branches whose agents do not wait for them may lag under load. Moving one costs as
much as committing; moved together now and then, most of that is saved."""
FLUSHES_UNMAINTAINED_MAX = 256
"""Each flush leaves a pack; a hub that never rests still has to move them together."""
UNSAVED_MAX = 4000
"""Answers and events kept in memory only (the op log has them) before a checkpoint is made."""


class Peer(Protocol):
    """What the hub needs of a connection."""

    def reply(self, n: int, answer: Answer) -> None:
        """Answers request `n`."""

    def push(self, n: int, event: Json) -> None:
        """Sends an event to the subscriber that asked with request `n`."""

    def close(self) -> None:
        """Closes after what is written has been sent."""


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
        self._record = parts.record
        self._conversation = parts.recovered.conversation
        self._queue = parts.recovered.queue
        self._batch: batch.State[Enqueue] = batch.State(parts.settings)
        self._writer = Writer(self._rest, die)
        self._committing = Committing(parts.record, parts.identity)
        self._lines = Lines(parts.record)
        self._lander = Lander(
            parts.record, parts.place.common, self._writer.submit, self._tell, self._corrected
        )
        self._reading = Reading(parts.reader, parts.record)
        self._readers = ThreadPoolExecutor(1, "tatami-reader")
        self._landers = ThreadPoolExecutor(1, "tatami-lander")
        self._peers: dict[int, Peer] = {}
        self._next_peer = 1
        self._waiting_entries: list[tuple[int, messages.Queue]] = []
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
        self._landers.submit(self._follow_trunk)
        self._apply_landing(landing.Queued(()))
        self._loop.call_later(1.0, self._watch)

    async def stop(self) -> None:
        """Finishes what was accepted, makes a checkpoint, closes every connection."""
        if self._stopping:
            await self.stopped.wait()
            return
        self._stopping = True
        while self._in_flight or self._queue.attempting:  # noqa: ASYNC110 - happens once
            await asyncio.sleep(0.005)
        # The landers first: they wait for the writer, which must still be there.
        await asyncio.to_thread(self._landers.shutdown)
        await asyncio.to_thread(self._writer.finish)
        self._readers.shutdown()
        for peer in list(self._peers.values()):
            peer.close()
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
        self._waiting_entries = [w for w in self._waiting_entries if w[0] != number]
        conversation.step(self._conversation, conversation.Left(number), self._now())

    def asked(self, number: int, request: messages.Request, body: bytes) -> None:
        """Handles one request of a connection."""
        self._active = self._now()
        match request:
            case messages.Hello():
                hello: Json = {"version": VERSION, "protocol": PROTOCOL, "pid": os.getpid()}
                self._reply(number, request.n, Answer(hello))
            case messages.Stop():
                self._reply(number, request.n, Answer({"stopping": True}))
                self._loop.create_task(self.stop())
            case messages.Subscribe():
                self._converse(conversation.Listens(number, request))
            case messages.Queue():
                self._waiting_entries.append((number, request))
                self._tell_waiting()
            case messages.Visible():
                follow = partial(self._follow_branches, request.agent)
                self._answer_from(self._writer.submit(follow), number, request.n)
            case messages.Conflict():
                self._read(number, request.n, lambda: self._conflict(request.entry))
            case messages.Status():
                self._read(number, request.n, self._status)
            case _ if isinstance(request, messages.Mutation):
                if self._stopping:
                    error = BusyError("the hub is stopping", code="stopping", fix="try again")
                    self._reply(number, request.n, Answer(error=error))
                    return
                self._converse(conversation.Asked(number, request, body))
            case _:
                self._read(number, request.n, lambda: self._reading.answer(request))

    # Deciders in, effects out.

    def _converse(self, happening: conversation.Input) -> None:
        _, effects = conversation.step(self._conversation, happening, self._now())
        for effect in effects:
            match effect:
                case conversation.Reply(connection=number, n=n, answer=answer):
                    self._reply(number, n, answer)
                case conversation.Push(connection=number, n=n, event=event):
                    if number in self._peers:
                        self._peers[number].push(n, event)
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
            case messages.Land():
                self._write(command, lambda: self._pin(command, request))
            case messages.QueueAction():
                self._act(command, request)
            case messages.Agents():
                self._write(command, lambda: self._lines.add(command.id, request))
            case messages.Reset():
                self._write(command, lambda: self._lines.reset(command.id, request))
            case messages.Retire():
                self._write(command, lambda: self._lines.retire(command.id, request))

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

    def _apply_landing(
        self,
        happening: landing.Queued | landing.Attempted | landing.Asked,
        keep: Keep | None = None,
    ) -> None:
        _, effects = landing.step(self._queue, happening, self._now())
        for effect in effects:
            match effect:
                case landing.Changed(entries=entries):
                    (keep or self._keep)(entries)
                case landing.Attempt() if self._stopping:
                    # The table still has them as queued: the next hub lands them.
                    self._queue.attempting = False
                case landing.Attempt(entries=entries):
                    self._attempt(entries)
        dropped = landing.forget_finished(self._queue, ENTRIES_KEPT)
        if dropped:
            self._writer.submit(lambda: self._record.ledger.forget_entries(dropped))
        self._tell_waiting()

    def _attempt(self, entries: Entries) -> None:
        future = self._landers.submit(self._lander.attempt, entries)
        future.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._attempted, done, entries)
        )

    def _attempted(self, done: "Future[Entries]", entries: Entries) -> None:
        error = done.exception()
        if error:
            # Nothing was recorded: the entries stay queued, and a new hub tries them again.
            log.error("an attempt to land failed", exc_info=error)
            self._queue.paused = True
        self._apply_landing(landing.Attempted(entries if error else done.result()))

    def _corrected(self, entries: Entries) -> None:
        """Called on the lander's thread: the user moved the trunk under what had landed."""
        self._loop.call_soon_threadsafe(self._apply_landing, landing.Queued(entries))

    # Work for the writer thread.

    def _write(self, command: Enqueue, call: Callable[[], Told]) -> None:
        future = self._writer.submit(lambda: self._told(call))
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
        self._loop.call_soon_threadsafe(self._apply_landing, landing.Queued(entries))
        return told

    def _act(self, command: Enqueue, request: messages.QueueAction) -> None:
        def keep(entries: Entries) -> None:
            paused = self._queue.paused
            answer = Answer({"entries": request.entries, "paused": paused})
            answers = [(command.id, answer)]

            def record() -> Told:
                first = self._record.next_event
                return answer, first, self._record.record_entries(entries, answers, paused)

            self._write(command, record)

        try:
            asked = landing.Asked(request.action, tuple(request.entries))
            self._apply_landing(asked, keep)
        except TatamiError as error:
            self._in_flight -= 1
            self._answered(command, Answer(error=error))

    def _keep(self, entries: Entries) -> None:
        def record() -> None:
            first = self._record.next_event
            self._tell(first, self._record.record_entries(entries, []))

        self._writer.submit(record)

    def _rest(self) -> None:
        """The writer's idle work."""
        self._follow_branches()
        if self._record.unsaved:
            self._record.save()
        self._record.repository.maintain()

    def _tell(self, first: int, facts: Sequence[Json]) -> None:
        """Called on the writer thread, so that events keep their order."""
        if self._record.unsaved > UNSAVED_MAX:
            try:
                self._record.save()
            except Exception:
                # What happened is durable in the operation log whether this table takes it or not.
                log.exception("the hub's table could not be saved")
        if facts:
            happened = conversation.Happened(first, tuple(facts))
            self._loop.call_soon_threadsafe(self._converse, happened)

    # Answers.

    def _answered(self, command: Enqueue, answer: Answer) -> None:
        self._converse(conversation.Answered(command.id, answer))

    def _reply(self, number: int, n: int, answer: Answer) -> None:
        peer = self._peers.get(number)
        if peer:
            peer.reply(n, answer)

    def _read(self, number: int, n: int, call: Callable[[], Answer]) -> None:
        self._answer_from(self._readers.submit(call), number, n)

    def _answer_from(self, future: "Future[Answer]", number: int, n: int) -> None:
        def done(future: "Future[Answer]") -> None:
            error = future.exception()
            answer = Answer(error=unexpected(error)) if error else future.result()
            self._loop.call_soon_threadsafe(self._reply, number, n, answer)

        future.add_done_callback(done)

    def _tell_waiting(self) -> None:
        """Answers those who wait for queue entries that are finished now."""
        entries = self._queue.entries
        still = []
        for number, request in self._waiting_entries:
            if any(n in entries and entries[n].state not in landing.FINISHED for n in request.wait):
                still.append((number, request))
                continue
            unknown = [n for n in request.wait if n not in entries]
            if unknown:
                error = UsageError(
                    f"the landing queue has no entry {unknown[0]}",
                    code="not_found",
                    fix="tatami queue --all",
                )
                self._reply(number, request.n, Answer(error=error))
                continue
            shown = [e for n, e in sorted(entries.items()) if self._listed(e, request)]
            result: Json = {"entries": entries_json(shown), "paused": self._queue.paused}
            self._reply(number, request.n, Answer(result))
        self._waiting_entries = still

    def _listed(self, entry: landing.Entry, request: messages.Queue) -> bool:
        if request.wait:
            return entry.number in request.wait
        return request.done or entry.state != "landed"

    def _conflict(self, number: int) -> Answer:
        entry = self._queue.entries.get(number)
        if entry is None or not entry.conflicts:
            raise UsageError(
                f"queue entry {number} has no conflict", code="not_found", fix="tatami queue"
            )
        blobs = [b for c in entry.conflicts for b in (c.base, c.ours, c.theirs)]
        contents = [self._content(blob) for blob in blobs]
        sizes = [-1 if content is None else len(content) for content in contents]
        result: Json = {"entry": entries_json([entry])[0], "sizes": sizes}
        return Answer(result, body=tuple(content for content in contents if content is not None))

    def _content(self, id: str) -> bytes | None:
        """A side's content; None where there is none, or it is a directory or a submodule."""
        try:
            return self._record.repository.blob(id) if id else None
        except TatamiError:
            return None

    def _status(self) -> Answer:
        repository = self._record.repository
        agents = self._reading.agents()
        waiting = self._lander.waiting
        trunk: Json = {"name": repository.trunk, "commit": repository.trunk_head()}
        trunk["waiting"] = bool(waiting)
        warnings = []
        if waiting:
            warnings.append(f"trunk waits: {waiting}; commit or stash there, then tatami queue")
        if self._queue.paused:
            warnings.append("the landing queue is paused; tatami queue resume")
        open_entries = [e for e in list(self._queue.entries.values()) if e.state != "landed"]
        result: Json = {
            "hub": {
                "pid": os.getpid(),
                "version": VERSION,
                "mode": "shared-log",
                "uptime_s": round(self._now() - self._started, 1),
                "rss_mb": round(psutil.Process().memory_info().rss / 2**20, 1),
            },
            "agents": agents,
            "queue": entries_json(open_entries),
            "trunk": trunk,
            "cursor": self._conversation.next_event - 1,
            "warnings": warnings,
        }
        return Answer(result)

    # Time.

    def _now(self) -> float:
        return time.monotonic()

    def _watch(self) -> None:
        """Once a second: the trunk follows where it waited; an idle hub stops."""
        if self._stopping:
            return
        if self._lander.waiting and not self._queue.attempting:
            self._landers.submit(self._follow_trunk)
        busy = self._in_flight or self._queue.attempting or self._peers
        if busy:
            self._active = self._now()
        elif self._now() - self._active > HUB_IDLE_SECONDS:
            self._loop.create_task(self.stop())
        self._loop.call_later(1.0, self._watch)

    def _follow_trunk(self) -> None:
        try:
            self._lander.follow()
        except Exception as error:  # noqa: BLE001 - the next landing reports it to whoever asked
            log.warning("the trunk could not be followed: %s", error)


def unexpected(error: BaseException) -> TatamiError:
    """The error itself where it is ours; else one that says the hub failed; the log has more."""
    if isinstance(error, TatamiError):
        return error
    log.error("unexpected", exc_info=error)
    return TatamiError(
        f"the hub failed: {type(error).__name__}: {error}", code="internal", fix="tatami fsck"
    )
