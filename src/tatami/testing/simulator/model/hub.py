"""The model hub: `tatami.hub.hub` without threads, sockets and git, around the same deciders.

Its memory of what is durable is the real `Record`. The writer is a line of generators, of which one
goes on at a time; what other threads would do happens between their steps.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, cast

import msgspec

from tatami.hub.answering.waiting import Waiting
from tatami.hub.record import ENTRIES_KEPT, Record
from tatami.protocol import frames, messages
from tatami.protocol import hub as conversation
from tatami.protocol.admission import admit
from tatami.protocol.hub import Answer, Enqueue, Json
from tatami.schedule import batch, landing
from tatami.store.ledger import Ledger
from tatami.store.repository import Repository
from tatami.testing.disk import Disk
from tatami.testing.simulator.flaws import Flaw
from tatami.testing.simulator.model.committing import Committing, Told
from tatami.testing.simulator.model.landing import Lander
from tatami.testing.simulator.model.storage import Barriers, OpLog, Steps, Vaults
from tatami.testing.simulator.model.table import Table
from tatami.testing.simulator.plan import Plan
from tatami.values.errors import TatamiError
from tatami.values.ids import CommandId

Result = TypeVar("Result")
Entries = tuple[landing.Entry, ...]
RETRY_S = 1.0
"""When landings are tried again that a full disk has kept from being recorded."""
Done = Callable[[Result | TatamiError], None]


class HubDiedError(BaseException):
    """The hub's process has ended, in the middle of whatever it did."""

    def __init__(self, power: bool = False) -> None:
        super().__init__()
        self.power = power


class Surroundings(Protocol):
    """What the hub's process needs of the world around it."""

    disk: Disk
    vaults: Vaults
    plan: Plan
    flaw: Flaw | None

    def soon(self, call: Callable[[], None], seconds: float = 0.0) -> None:
        """Calls back later, while this hub lives."""

    def now(self) -> float:
        """Monotonic seconds."""

    def chance(self, share: float) -> bool:
        """Whether something happens that does so in this share of cases."""

    def send(self, connection: int, data: bytes) -> None:
        """Sends bytes to a client."""

    def hang_up(self, connection: int) -> None:
        """Closes a connection."""

    def saw(self, *what: object) -> None:
        """Notes what was covered."""

    def attempts(self, entries: Entries) -> None:
        """Notes that an attempt to land these begins."""


@dataclass(slots=True)
class _Work:
    """A call for the writer, and who hears how it ended."""

    steps: Callable[[], Steps[object]]
    done: Callable[[object], None]


class Hub:
    """One life of the hub; made anew after each death. Recovers as it is made."""

    def __init__(self, world: Surroundings) -> None:
        self._world = world
        plan, flaw = world.plan, world.flaw
        self.phase = "recovering"
        barriers = Barriers(
            contents=flaw is not Flaw.NO_CONTENT_SYNC,
            names=flaw is not Flaw.NO_NAME_SYNC,
            heads=flaw is not Flaw.NO_BARRIER_2,
            start=flaw is not Flaw.NO_START_SYNC,
        )
        self.log = OpLog(world.disk, world.vaults, barriers)
        table = Table(world.disk, world.vaults, plan.clients_kept)
        # The model keeps the names of what the record uses; it is none of the classes.
        self.record = Record(cast(Repository, self.log), cast(Ledger, table))
        recovered = self.record.recover()
        self.conversation = recovered.conversation
        self.queue = recovered.queue
        self._limit_memory()
        self._plant()
        self._batch: batch.State[Enqueue] = batch.State(plan.batching)
        self._readers: dict[int, frames.Reader] = {}
        self._waiting = Waiting()
        self._line: deque[_Work] = deque()
        self._writing: _Work | None = None
        self._committing = Committing(self.record, self.log, flaw)
        self._lander = Lander(
            self.record, self.log, world, self.submit, tell=self.tell, reached=self.reached
        )
        self._verbs: list[str] = []
        self._actions: deque[tuple[Enqueue, messages.QueueAction]] = deque()
        self._acting = False
        self.phase = "idle"

    def start(self) -> None:
        """Goes on with what the last hub had not finished."""
        self._lander.follow()
        self._apply_landing(landing.Queued(()))

    def _limit_memory(self) -> None:
        """The limits of the plan instead of those that no simulation would reach."""
        plan, full = self._world.plan, self.conversation
        state = self.conversation = conversation.State(
            horizon=full.horizon,
            next_event=full.next_event,
            events=deque(full.events, maxlen=plan.events_kept),
            clients_kept=plan.clients_kept,
            answers_kept=plan.answers_kept,
        )
        for incarnation, client in full.clients.items():
            for sequence, answer in client.answers.items():
                conversation.remember(state, CommandId(incarnation, sequence), answer)
            known = state.clients.get(incarnation, client)
            known.forgotten = max(known.forgotten, client.forgotten)

    def _plant(self) -> None:
        """The flaws of a start."""
        state = self.conversation
        match self._world.flaw:
            case Flaw.FORGETS_ANSWERS:
                state.clients.clear()
            case Flaw.FORGETS_HORIZON:
                state.horizon = ""
            case Flaw.LOSES_PAUSE:
                self.queue.paused = False
            case Flaw.REUSES_EVENT if state.events:
                state.events.pop()
                state.next_event -= 1
                self.record.next_event -= 1

    # Connections.

    def joined(self, connection: int) -> None:
        """A client has connected."""
        self._readers[connection] = frames.Reader()

    def left(self, connection: int) -> None:
        """A client is gone."""
        self._readers.pop(connection, None)
        self._waiting.forget(connection)
        self._converse(conversation.Left(connection))

    def data_received(self, connection: int, data: bytes) -> None:
        """Bytes of a client."""
        reader = self._readers.get(connection)
        if reader is None:
            return
        try:
            for frame in reader.feed(data):
                self._asked(connection, messages.REQUEST.decode(frame.header), frame.body)
        except (frames.FrameError, msgspec.DecodeError):
            self._world.hang_up(connection)

    def _asked(self, connection: int, request: messages.Request, body: bytes) -> None:
        verb = type(request).__name__
        for other in self._verbs or ["nothing"]:
            self._world.saw("pair", other, verb)
        match request:
            case messages.Hello():
                silent = self._world.flaw is Flaw.HIDES_HORIZON
                horizon = "" if silent else self.conversation.horizon
                self._reply(connection, request.n, Answer({"horizon": horizon}))
            case messages.Subscribe():
                self._converse(conversation.Listens(connection, request))
            case messages.Queue():
                self._waiting.add(connection, request)
                self._tell_waiting()
            case _ if isinstance(request, messages.Mutation):
                self._converse(conversation.Asked(connection, request, body))

    def _reply(self, connection: int, n: int, answer: Answer) -> None:
        error = answer.error
        told: Json = {"n": n, "result": answer.result} if error is None else {"n": n}
        if error:
            told |= error.as_json() | {"retryable": error.retryable}
        self._send(connection, told)

    def _send(self, connection: int, told: Json) -> None:
        if connection in self._readers:
            self._world.send(connection, frames.encode(msgspec.json.encode(told)))

    # Deciders in, effects out.

    def _converse(self, happening: conversation.Input) -> None:
        _, effects = conversation.step(self.conversation, happening, self._world.now())
        for effect in effects:
            match effect:
                case conversation.Reply(connection=number, n=n, answer=answer):
                    self._reply(number, n, answer)
                case conversation.Push(connection=number, n=n, event=event):
                    self._send(number, {"n": n, "event": event})
                case conversation.Enqueue():
                    self._carry_out(effect)

    def _carry_out(self, command: Enqueue) -> None:
        request = command.request
        try:
            admit(request)
        except TatamiError as error:
            self._answered(command, Answer(error=error))
            return
        self._verbs.append(type(request).__name__)
        match request:
            case messages.Commit():
                self._apply_batch(batch.Arrived(request.agent, command, len(command.body)))
            case messages.QueueAction():
                self._actions.append((command, request))
                self._act()
            case messages.Land():
                self._write(command, lambda: self._pin(command, request))
            case _:
                self._write(command, lambda: self._committing.move(command, self.reached))

    def _apply_batch(self, happening: batch.Arrived[Enqueue] | batch.Flushed | batch.Tick) -> None:
        now = self._world.now()
        _, effects = batch.step(self._batch, happening, now)
        for effect in effects:
            if isinstance(effect, batch.WakeAt):
                tick = partial(self._apply_batch, batch.Tick())
                self._world.soon(tick, effect.time - now)
            else:
                self._begin(effect.work)

    def _begin(self, commands: Sequence[Enqueue]) -> None:
        begun = self._world.now()

        def flushed(result: Sequence[Answer] | TatamiError) -> None:
            error = result if isinstance(result, TatamiError) else None
            answers = [Answer(error=error)] * len(commands) if error else result
            assert not isinstance(answers, TatamiError)
            for command, answer in zip(commands, answers, strict=True):
                self._finished(command, answer)
            self._apply_batch(batch.Flushed(self._world.now() - begun))

        self.submit(lambda: self._flush(commands), flushed)

    def _flush(self, commands: Sequence[Enqueue]) -> Steps[Sequence[Answer]]:
        early = partial(self._answer_early, commands)
        answers, first, facts = yield from self._committing.flush(commands, self.reached, early)
        self.tell(first, facts)
        return answers

    def _answer_early(self, commands: Sequence[Enqueue], answers: Sequence[Answer]) -> None:
        """A flaw: who waits is answered before the operation can be seen."""
        for command, answer in zip(commands, answers, strict=True):
            self._world.soon(partial(self._answered, command, answer))

    def _apply_landing(self, happening: landing.Queued | landing.Attempted) -> None:
        _, effects = landing.step(self.queue, happening, self._world.now())
        self._land(effects)

    def _land(self, effects: Sequence[landing.Attempt | landing.Changed]) -> None:
        for effect in effects:
            match effect:
                case landing.Changed(entries=entries):
                    self._keep(entries)
                case landing.Attempt(entries=entries):
                    self._world.attempts(entries)
                    self._lander.attempt(entries, self._attempted)
        landing.forget_finished(self.queue, ENTRIES_KEPT)
        self._tell_waiting()

    def _attempted(self, done: Entries | TatamiError, entries: Entries) -> None:
        if not isinstance(done, TatamiError):
            self._apply_landing(landing.Attempted(done))
            return
        # Nothing was recorded: the entries stay queued, and are tried again by and by.
        self.queue.paused |= self._world.flaw is Flaw.STAYS_PAUSED
        self.queue.entries.update((entry.number, entry) for entry in entries)
        again = partial(self._apply_landing, landing.Attempted(()))
        self._world.soon(again, RETRY_S)

    def _pin(self, command: Enqueue, request: messages.Land) -> Steps[Told]:
        told, entries = self._committing.pin(command, request)
        self._world.soon(lambda: self._apply_landing(landing.Queued(entries)))
        yield 0.001
        return told

    def _act(self) -> None:
        """Does what is asked of the queue, one at a time."""
        if self._acting or not self._actions:
            return
        command, request = self._actions.popleft()
        before = dict(self.queue.entries), self.queue.paused
        asked = landing.Asked(request.action, tuple(request.entries))
        try:
            _, effects = landing.step(self.queue, asked, self._world.now())
        except TatamiError as error:
            self._finished(command, Answer(error=error))
            self._act()
            return
        self._acting = True
        touched = [entry.number for effect in effects for entry in effect.entries]
        meant = {number: self.queue.entries[number] for number in touched}

        def recorded(done: bool) -> None:
            self._acting = False
            if done or self._world.flaw is Flaw.KEEPS_UNRECORDED:
                self._land(effects[1:])
            else:
                self._take_back(meant, before, attempting=len(effects) > 1)
            self._act()

        paused = self.queue.paused if request.action in ("pause", "resume") else None
        answer = Answer({"entries": request.entries, "paused": self.queue.paused})
        steps = partial(self._record_action, command, effects[0].entries, answer, paused)
        self._write(command, steps, recorded)

    def _record_action(
        self, command: Enqueue, entries: Entries, answer: Answer, paused: bool | None
    ) -> Steps[Told]:
        if self._world.flaw is Flaw.EARLY_QUEUE_ACK:
            self._answer_early((command,), (answer,))
            yield 0.001
        first = self.record.next_event
        told = self.record.record_entries(entries, [(command.id, answer)], paused)
        yield 0.001
        return (answer,), first, told

    def _take_back(
        self,
        meant: dict[int, landing.Entry],
        before: tuple[dict[int, landing.Entry], bool],
        attempting: bool,
    ) -> None:
        """The queue is as it was before an action that could not be recorded."""
        entries, self.queue.paused = before
        self.queue.attempting &= not attempting
        undone = [entries[n] for n, entry in meant.items() if self.queue.entries.get(n) == entry]
        self._apply_landing(landing.Queued(tuple(undone)))

    def _keep(self, entries: Entries) -> None:
        """Records what changed by itself, as soon as the disk takes it."""

        def record() -> Steps[None]:
            first = self.record.next_event
            self.tell(first, self.record.record_entries(entries, []))
            yield 0.001

        def done(result: TatamiError | None) -> None:
            if result:
                self._world.soon(partial(self._keep_now, entries), RETRY_S)

        self.submit(record, done)

    def _keep_now(self, entries: Entries) -> None:
        still = tuple(e for e in entries if self.queue.entries.get(e.number) == e)
        if still:
            self._keep(still)

    # The writer.

    def _write(
        self,
        command: Enqueue,
        steps: Callable[[], Steps[Told]],
        recorded: Callable[[bool], None] = lambda _: None,
    ) -> None:
        def told() -> Steps[Answer]:
            (answer,), first, facts = yield from steps()
            self.tell(first, facts)
            return answer

        def done(result: Answer | TatamiError) -> None:
            recorded(not isinstance(result, TatamiError))
            answer = Answer(error=result) if isinstance(result, TatamiError) else result
            self._finished(command, answer)

        self.submit(told, done)

    def submit(self, steps: Callable[[], Steps[Result]], done: Done[Result]) -> None:
        """Queues work for the writer; `done` hears its result, or the error it ended with."""
        self._line.append(_Work(steps, done))  # type: ignore[arg-type]  # one type within
        self._write_next()

    def _write_next(self) -> None:
        if self._writing is None and self._line:
            self._writing = self._line.popleft()
            self.reached("recording")
            self._world.soon(partial(self._step, self._writing.steps()))

    def _step(self, steps: Steps[object]) -> None:
        work = self._writing
        assert work
        result: object
        try:
            pause = next(steps)
        except StopIteration as stop:
            result = stop.value
        except TatamiError as error:
            if error.code == "sync_failed":
                # Only a new hub, from what the disk really holds, can go on.
                raise HubDiedError from error
            result = error
        else:
            self._world.soon(partial(self._step, steps), pause)
            return
        self._writing = None
        self.reached("idle")
        self._world.soon(lambda: work.done(result))
        if not self._line:
            self._world.soon(self._rest, 0.2)
        self._write_next()

    def _rest(self) -> None:
        """The writer's idle work: a checkpoint."""
        if self._writing is None and not self._line and self.record.unsaved:
            self.reached("checkpoint")
            try:
                self.record.save()
            except TatamiError as error:
                if error.code == "sync_failed":
                    raise HubDiedError from error
            self.reached("idle")

    def reached(self, phase: str) -> None:
        """Notes what the writer is at."""
        self.phase = phase
        self._world.saw("state", phase)

    def tell(self, first: int, facts: Sequence[Json]) -> None:
        """Called by the writer: events keep their order, and a checkpoint is made now and then."""
        if self.record.unsaved > self._world.plan.unsaved_max:
            try:
                self.record.save()
            except TatamiError as error:
                if error.code == "sync_failed":
                    raise
        if facts:
            happened = conversation.Happened(first, tuple(facts))
            self._world.soon(lambda: self._converse(happened))

    # Answers.

    def _finished(self, command: Enqueue, answer: Answer) -> None:
        self._verbs.remove(type(command.request).__name__)
        self._answered(command, answer)

    def _answered(self, command: Enqueue, answer: Answer) -> None:
        self._converse(conversation.Answered(command.id, answer))

    def _tell_waiting(self) -> None:
        standing: Json = {"paused": self.queue.paused, "waiting": ""}
        answers = self._waiting.answers(self.queue.entries, standing)
        for connection, n, answer in answers:
            self._reply(connection, n, answer)

    def sample(self) -> dict[str, int]:
        """How much the hub has in memory."""
        state = self.conversation
        return {
            "clients": len(state.clients),
            "answers of a client": max((len(c.answers) for c in state.clients.values()), default=0),
            "events": len(state.events),
            "askers": sum(map(len, state.waiting.values())),
            "listeners": len(state.listeners),
            "commits waiting": self._batch.count,
            "writes waiting": len(self._line),
        }
