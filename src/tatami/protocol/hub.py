"""Decides which requests are new, which were answered before, and who hears of what happened.

A command id has one effect: while it is under way its askers wait for the one answer; once answered
the same answer is given again; older than what is kept, it is refused as expired, never redone.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from tatami.protocol.messages import Mutation, Subscribe
from tatami.values.errors import TatamiError, UsageError
from tatami.values.ids import CommandId
from tatami.values.limits import ANSWERS_KEPT_PER_CLIENT, CLIENTS_KEPT, EVENTS_KEPT

Json = dict[str, object]
EVERYTHING = 10**15
"""More than any sequence number has digits for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: a JSON object (and file bytes behind it), or an error."""

    result: Json = field(default_factory=dict)
    error: TatamiError | None = None
    body: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A connection sent a request that changes something; `body` is the frame's body."""

    connection: int
    request: Mutation
    body: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A command is finished: `answer` is final; `events` tell the others."""

    id: CommandId
    answer: Answer


@dataclass(frozen=True, slots=True)
class Happened:
    """Facts to number and to pass on to every subscriber; `first` is their first number."""

    first: int
    facts: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Listens:
    """A connection wants every event after a cursor."""

    connection: int
    request: Subscribe


@dataclass(frozen=True, slots=True)
class Left:
    """A connection is gone."""

    connection: int


Input = Asked | Answered | Happened | Listens | Left


@dataclass(frozen=True, slots=True)
class Reply:
    """Effect: answer request `n` of a connection."""

    connection: int
    n: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Effect: carry out a command that was never seen before."""

    id: CommandId
    request: Mutation
    body: bytes


@dataclass(frozen=True, slots=True)
class Push:
    """Effect: send an event to a subscriber's connection."""

    connection: int
    n: int
    event: Json


Effect = Reply | Enqueue | Push


@dataclass(slots=True)
class Client:
    """What is remembered of one incarnation: answers by sequence, and the last forgotten one."""

    forgotten: int = 0
    answers: "OrderedDict[int, Answer]" = field(default_factory=OrderedDict)


@dataclass(slots=True)
class State:
    """The hub's memory of conversations; owned by the one who steps it, changed in place.

    clients: by incarnation, the one heard of last at the end. horizon: clients that began before
    this one and are not known were forgotten; incarnations begin with their time. clients_kept and
    answers_kept: how many clients, and answers of each, are remembered.
    """

    clients: dict[str, Client] = field(default_factory=dict)
    horizon: str = ""
    waiting: dict[CommandId, list[tuple[int, int]]] = field(default_factory=dict)
    events: deque[tuple[int, Json]] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    next_event: int = 1
    listeners: dict[int, int] = field(default_factory=dict)
    clients_kept: int = CLIENTS_KEPT
    answers_kept: int = ANSWERS_KEPT_PER_CLIENT


def step(state: State, happening: Input, now: float) -> tuple[State, list[Effect]]:
    """Advances the conversation by one input; `now` is unused but part of every decider's shape."""
    match happening:
        case Asked():
            return state, _asked(state, happening)
        case Answered(id=command, answer=answer):
            remember(state, command, answer)
            askers = state.waiting.pop(command, [])
            return state, [Reply(connection, n, answer) for connection, n in askers]
        case Happened(first=first, facts=facts):
            return state, _happened(state, first, facts)
        case Listens():
            return state, _listens(state, happening)
        case Left(connection=connection):
            state.listeners.pop(connection, None)
            for askers in state.waiting.values():
                askers[:] = [asker for asker in askers if asker[0] != connection]
            return state, []


def remember(state: State, command: CommandId, answer: Answer) -> None:
    """Keeps an answer for whoever resends the command; also used to fill the table at start."""
    client = state.clients.pop(command.incarnation, None)
    if client is None:
        # Filled in at start, of a client that was forgotten before: what else it asked is unknown.
        was_forgotten = command.incarnation < state.horizon
        client = Client(forgotten=EVERYTHING if was_forgotten else 0)
    state.clients[command.incarnation] = client
    if len(state.clients) > state.clients_kept:
        _forget_one(state)
    client.answers[command.sequence] = answer
    while len(client.answers) > state.answers_kept:
        sequence = min(client.answers)
        del client.answers[sequence]
        client.forgotten = max(client.forgotten, sequence)


def _forget_one(state: State) -> None:
    """Forgets who was heard of longest ago; not who is at it: the answer would bring it back."""
    busy = {command.incarnation for command in state.waiting}
    forgotten = next((client for client in state.clients if client not in busy), None)
    if forgotten is not None:
        del state.clients[forgotten]
        state.horizon = max(state.horizon, forgotten)


def _asked(state: State, asked: Asked) -> list[Effect]:
    request = asked.request
    asker = (asked.connection, request.n)
    try:
        command = CommandId.parse(request.id)
    except UsageError as refusal:
        return [Reply(*asker, Answer(error=refusal))]
    if command in state.waiting:
        state.waiting[command].append(asker)
        return []
    client = state.clients.get(command.incarnation)
    if client and command.sequence in client.answers:
        return [Reply(*asker, client.answers[command.sequence])]
    unknown = client is None and command not in state.waiting
    if (client and command.sequence <= client.forgotten) or (
        unknown and command.incarnation <= state.horizon
    ):
        error = UsageError(
            f"command {command} was answered long ago; its answer is no longer kept",
            code="expired",
            fix="tatami log",
        )
        return [Reply(*asker, Answer(error=error))]
    state.waiting[command] = [asker]
    return [Enqueue(command, request, asked.body)]


def _happened(state: State, first: int, facts: Iterable[Json]) -> list[Effect]:
    effects: list[Effect] = []
    for number, fact in enumerate(facts, start=first):
        event = {"cursor": number, **fact}
        state.events.append((number, event))
        state.next_event = number + 1
        effects += [Push(c, n, event) for c, n in state.listeners.items()]
    return effects


def _listens(state: State, listens: Listens) -> list[Effect]:
    request, connection = listens.request, listens.connection
    oldest = state.events[0][0] if state.events else state.next_event
    after = state.next_event - 1 if request.after is None else request.after
    if after + 1 < oldest or after >= state.next_event:
        error = UsageError(
            f"cursor {after} is not kept; events {oldest} to {state.next_event - 1} are",
            code="expired",
            fix="subscribe again without a cursor, after reading `tatami log`",
        )
        return [Reply(connection, request.n, Answer(error=error))]
    state.listeners[connection] = request.n
    missed = [event for number, event in state.events if number > after]
    start: Effect = Reply(connection, request.n, Answer({"after": after}))
    return [start, *(Push(connection, request.n, event) for event in missed)]
