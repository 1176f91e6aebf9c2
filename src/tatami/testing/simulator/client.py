"""Who talks to the hub: connections found again, what was asked and told, and listeners."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tatami.protocol import frames
from tatami.protocol.hub import Json

if TYPE_CHECKING:
    from tatami.testing.simulator.world import Wire, World


@dataclass(slots=True)
class Told:
    """An answer as it came: when, and in which life of the hub."""

    at: float
    life: int
    answer: Json


@dataclass(slots=True)
class Command:
    """A request that changes something, and every answer it ever got."""

    id: str
    agent: str
    verb: str
    fields: Json
    body: bytes
    sent: float
    answers: list[Told] = field(default_factory=list)

    @property
    def result(self) -> Json | None:
        """What it became, where it was acknowledged as done."""
        for told in self.answers:
            if "result" in told.answer:
                result = told.answer["result"]
                assert isinstance(result, dict)
                return result
        return None


class Client:
    """Somebody with a connection: finds the hub again whenever it is lost."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.wire: Wire | None = None
        self._reader = frames.Reader()
        self._n = 0
        self._connecting = False

    def begin(self) -> None:
        """Starts to work."""
        self.reconnect()

    def lost(self) -> None:
        """The connection has ended."""
        self.wire = None

    def reconnect(self) -> None:
        """Tries until a hub takes the connection; `connected` is called then."""
        if self._connecting:
            return
        self._connecting = True
        self.world.agenda.after(0.01 + 0.1 * self.world.rng.random(), self._try)

    def _try(self) -> None:
        self._connecting = False
        if self.wire is None:
            self._reader = frames.Reader()
            self.wire = self.world.connect(self)
        if self.wire is None:
            self.reconnect()
            return
        self.send({"verb": "hello", "version": "simulated"})
        self.connected()

    def connected(self) -> None:
        """A new connection is there."""

    def send(self, header: Json, body: Iterable[bytes] = ()) -> int:
        """Sends a request; returns its number."""
        self._n += 1
        if self.wire:
            self.wire.up.send(frames.encode_json({"n": self._n, **header}, body))
        return self._n

    def data_received(self, data: bytes) -> None:
        """Bytes of the hub."""
        for frame in self._reader.feed(data):
            self.received(json.loads(frame.header))

    def received(self, answer: Json) -> None:
        """An answer or an event."""


class Subscriber(Client):
    """Follows the events, over the death of hubs, from the last cursor it has seen."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world)
        self.name = name
        self.streams: list[tuple[int, list[tuple[int, Json]]]] = []
        self._cursor: int | None = None
        self._subscribed = 0

    def lost(self) -> None:
        """Listens to the next hub."""
        super().lost()
        self.reconnect()

    def connected(self) -> None:
        """Subscribes after what it has seen."""
        self._subscribed = self.send({"verb": "subscribe", "after": self._cursor})
        if not self.world.plan.ordered:
            n = self._subscribed
            self.world.agenda.after(1.0, lambda: self._unheard(n))

    def _unheard(self, n: int) -> None:
        """A datagram may have been lost: asks again for what is missing, now and then."""
        if n == self._subscribed and self.wire:
            self.connected()

    def received(self, answer: Json) -> None:
        """Notes an event."""
        if answer["n"] != self._subscribed:
            return
        if "event" in answer:
            self._heard(answer["event"])
        elif answer.get("code") == "expired":
            self._cursor = None
            self.connected()
        elif "result" in answer and self._cursor is None:
            result = answer["result"]
            assert isinstance(result, dict)
            self._cursor = int(result["after"])
            self.streams.append((self._cursor, []))

    def _heard(self, event: object) -> None:
        assert isinstance(event, dict)
        number = int(event["cursor"])
        if self._cursor is None:
            return
        if not self.world.plan.ordered and number != self._cursor + 1:
            # A datagram out of its turn: what is missing is asked for again by and by.
            return
        self.streams[-1][1].append((number, event))
        self._cursor = number
