"""A network inside a simulation: what is sent arrives late, twice, in pieces, or not at all.

A *stream* is what a socket is: bytes in order until the connection is cut, which takes what was
still on its way. *Datagrams* arrive each for itself. Links can be clogged and healed; clogging many
of them one by one and healing them in another order finds more bugs than anything else
(FoundationDB's swizzle-clogging).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tatami.testing.clock import Agenda

Deliver = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Faults:
    """How often what goes wrong; shares of the messages sent.

    delay_s: least and most. split: arrives in two pieces. cut: the connection ends with it. loss,
    duplicate and reorder are for datagrams: no socket does that to a stream.
    """

    delay_s: tuple[float, float] = (0.0001, 0.001)
    split: float = 0.0
    cut: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


class Link:
    """One direction of a connection; `deliver` gets what arrives, `lost` hears that it was cut.

    ordered: a stream, else datagrams.
    """

    def __init__(
        self,
        agenda: Agenda,
        rng: random.Random,
        faults: Faults,
        deliver: Deliver,
        *,
        lost: Callable[[], None] = lambda: None,
        ordered: bool = True,
    ) -> None:
        self._agenda = agenda
        self._rng = rng
        self.faults = faults
        self._deliver = deliver
        self._lost = lost
        self._ordered = ordered
        self._free_at = 0.0
        self._held: list[bytes] | None = None
        self.is_cut = False

    def send(self, data: bytes) -> None:
        """Sends bytes; what happens to them is the network's."""
        if self.is_cut:
            return
        rng, faults = self._rng, self.faults
        if rng.random() < faults.cut:
            if self._ordered:
                self._post(data[: rng.randrange(len(data) + 1)])
            self._agenda.at(self._free_at, self.cut)
            return
        if self._ordered:
            pieces = [data]
            if len(data) > 1 and rng.random() < faults.split:
                at = rng.randrange(1, len(data))
                pieces = [data[:at], data[at:]]
            for piece in pieces:
                self._post(piece)
            return
        if rng.random() < faults.loss:
            return
        for _ in range(2 if rng.random() < faults.duplicate else 1):
            self._post(data)

    def _post(self, data: bytes) -> None:
        low, high = self.faults.delay_s
        now = self._agenda.clock.monotonic()
        due = now + low + (high - low) * self._rng.random()
        if self._ordered or self._rng.random() >= self.faults.reorder:
            due = max(due, self._free_at)
            self._free_at = due
        else:
            due += (high - low) * 10 * self._rng.random()
        self._agenda.at(due, lambda: self._arrived(data))

    def _arrived(self, data: bytes) -> None:
        if self.is_cut or not data:
            return
        if self._held is None:
            self._deliver(data)
        else:
            self._held.append(data)

    def clog(self) -> None:
        """From now on nothing arrives."""
        if self._held is None:
            self._held = []

    def heal(self) -> None:
        """What was held up arrives now, in order."""
        held, self._held = self._held or [], None
        for data in held:
            if not self.is_cut:
                self._deliver(data)

    def cut(self) -> None:
        """Ends the link; what was on its way is gone, and the end is heard of, once."""
        if not self.is_cut:
            self.is_cut = True
            self._lost()


def swizzle(agenda: Agenda, rng: random.Random, links: Sequence[Link], seconds: float) -> None:
    """Clogs some of the links one by one, and heals them in another order within `seconds`."""
    chosen = [link for link in links if rng.random() < 0.5]
    step = seconds / (2 * len(chosen) + 1)
    for number, link in enumerate(chosen):
        agenda.after(step * (number + rng.random()), link.clog)
    rng.shuffle(chosen)
    for number, link in enumerate(chosen):
        agenda.after(step * (len(chosen) + 1 + number + rng.random()), link.heal)
