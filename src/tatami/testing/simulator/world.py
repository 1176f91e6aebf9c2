"""The loop around everything: time, the wires, what fails, the hub's deaths and its next lives."""

import random
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tatami.schedule.landing import Entry
from tatami.testing.clock import Agenda, Clock
from tatami.testing.disk import Disk
from tatami.testing.invariants import Violation
from tatami.testing.network import Faults, Link, swizzle
from tatami.testing.simulator import checking, failing
from tatami.testing.simulator.agent import Agent
from tatami.testing.simulator.client import Client, Command, Subscriber
from tatami.testing.simulator.flaws import Flaw, planted
from tatami.testing.simulator.model.hub import Hub, HubDiedError
from tatami.testing.simulator.model.storage import CorruptError, Vaults, lay_out
from tatami.testing.simulator.plan import STORM_S, Plan, plan
from tatami.values.errors import TatamiError

SECONDS_MAX = 90.0
"""Simulated seconds after which a swarm that is not done hangs."""
SLOW_S = 0.5
"""What takes longer is a timer; it is not stretched."""
WALL_RATE = 1000.0
"""The wall clock runs, so that clients are of as many ages as those of days would be."""
FLAW_SEEDS_MAX = 1000
"""Seeds a planted flaw may stay hidden from."""
STEPS_MAX = 100_000
"""The same in steps of the loop."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a seed came to. seen: what was covered, and how often."""

    seed: int
    violations: tuple[Violation, ...]
    seen: Counter[tuple[object, ...]]
    steps: int
    commands: int
    lives: int
    digest: str


class _Life:
    """What one hub sees of the world; silent once that hub is dead."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.disk = world.disk
        self.vaults = world.vaults
        self.plan = world.plan
        self.flaw = world.flaw
        self.alive = True

    def soon(self, call: Callable[[], None], seconds: float = 0.0) -> None:
        """Calls back later, while this hub lives; what takes time takes now less, now more."""
        if 0 < seconds < SLOW_S:
            seconds *= self._world.rng.choice((0.5, 1.0, 1.0, 2.0, 30.0))
        self._world.agenda.after(seconds, lambda: self.run(call))

    def run(self, call: Callable[[], None]) -> None:
        """Runs something of the hub's; it may die of it."""
        if not self.alive:
            return
        try:
            call()
        except HubDiedError as death:
            self._world.hub_died(death.power)
        except Exception:  # noqa: BLE001 - whatever it is, it is what we are looking for
            self._world.violated("raised", traceback.format_exc(limit=-4))
            self._world.hub_died(power=False)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._world.clock.monotonic()

    def chance(self, share: float) -> bool:
        """Whether something happens that does so in this share of cases."""
        return self._world.rng.random() < share

    def send(self, connection: int, data: bytes) -> None:
        """Sends bytes to a client."""
        wire = self._world.wires.get(connection)
        if wire and self.alive:
            wire.down.send(data)

    def hang_up(self, connection: int) -> None:
        """Closes a connection."""
        wire = self._world.wires.get(connection)
        if wire:
            wire.close()

    def saw(self, *what: object) -> None:
        """Notes what was covered."""
        self._world.saw(*what)

    def attempts(self, entries: tuple[Entry, ...]) -> None:
        """Notes that an attempt to land these begins."""
        self._world.attempts.append((self.now(), tuple(e.number for e in entries)))


class Wire:
    """A connection: a link each way. When either is cut, both ends hear of it."""

    def __init__(self, world: "World", client: Client, hub: Hub, life: _Life) -> None:
        self._world = world
        self._client = client
        self._hub = hub
        self._life = life
        self.number = world.next_wire()
        options = (world.agenda, world.rng, world.network)
        ordered = world.plan.ordered
        self.up = Link(*options, self._to_hub, lost=self.close, ordered=ordered)
        self.down = Link(*options, self._to_client, lost=self.close, ordered=ordered)
        hub.joined(self.number)

    def _to_hub(self, data: bytes) -> None:
        self._life.run(lambda: self._hub.data_received(self.number, data))

    def _to_client(self, data: bytes) -> None:
        if self._client.wire is self:
            self._client.data_received(data)

    def close(self) -> None:
        """Ends the connection at both ends, once."""
        if self._world.wires.pop(self.number, None) is None:
            return
        self.up.cut()
        self.down.cut()
        self._life.run(lambda: self._hub.left(self.number))
        if self._client.wire is self:
            self._client.lost()


class World:
    """One seed at play."""

    def __init__(self, plan: Plan, flaw: Flaw | None = None) -> None:
        self.plan = plan
        self.flaw = flaw
        self.rng = random.Random(plan.seed)  # noqa: S311 - repeatable on purpose
        self.clock = Clock()
        self.clock.wall_rate = WALL_RATE
        self.agenda = Agenda(self.clock)
        self.disk = Disk()
        self.vaults = Vaults()
        self.network = plan.network
        self.wires: dict[int, Wire] = {}
        self.hub: Hub | None = None
        self.life = 0
        self.is_starting = False
        self.commands: dict[str, Command] = {}
        self.attempts: list[tuple[float, tuple[int, ...]]] = []
        self.seen: Counter[tuple[object, ...]] = Counter()
        self.samples: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.faults = failing.Failing(self)
        self.disk.before = self.faults.before
        self._wires = 0
        self._steps = 0
        self._closed = False
        names = [f"agent-{number}" for number in range(plan.agents)]
        self.agents = [Agent(self, name, lead=name == names[0]) for name in names]
        self.subscribers = [Subscriber(self, f"{name}'s ears") for name in names[::3]]

    def play(self) -> Result:
        """Plays the seed to its end and judges it."""
        lay_out(self.disk, self.vaults)
        self._start_hub()
        for client in (*self.agents, *self.subscribers):
            self.agenda.after(0.2 * self.rng.random(), client.begin)
        for fault in self.plan.faults:
            self.agenda.at(fault.at, partial(self.faults.strike, fault))
        self.agenda.at(STORM_S + 2, self._heal)
        self.agenda.after(0.1, self._sample)
        while not self._is_over() and self.agenda.run_next():
            self._steps += 1
        self._judge()
        return self._result()

    def _is_over(self) -> bool:
        if self.violations:
            return True
        if self._steps >= STEPS_MAX or self.clock.monotonic() >= SECONDS_MAX:
            busy = [agent.name for agent in self.agents if not agent.done]
            self.violated("live", f"{', '.join(busy) or 'somebody'} waits for ever")
            return True
        if self.clock.monotonic() < STORM_S + 2 or not all(a.done for a in self.agents):
            return False
        if not self._closed:
            self._closed = True
            self.agents[0].entries = sorted({n for a in self.agents for n in a.entries})
            self.agents[0].close()
            return False
        return self.hub is not None and all(
            s.streams and s.streams[-1][0] + len(s.streams[-1][1]) >= self._told()
            for s in self.subscribers
        )

    def _told(self) -> int:
        return self.hub.conversation.next_event - 1 if self.hub else 0

    def _judge(self) -> None:
        """Cuts the power a last time: what was acknowledged has to be there nevertheless."""
        if not self.violations:
            self.faults.clear()
            self.hub_died(power=True)
            self._start_hub()
        if not self.violations:
            self.violations += checking.whole(self)

    def _result(self) -> Result:
        trace = checking.trace(self)
        return Result(
            self.plan.seed,
            tuple(dict.fromkeys(self.violations)),
            self.seen,
            self._steps,
            len(self.commands),
            self.life,
            trace,
        )

    # The hub's lives.

    def _start_hub(self) -> None:
        if self.hub:
            return
        self.life += 1
        life = _Life(self)
        self.is_starting = True
        try:
            hub = Hub(life)
        except HubDiedError as death:
            self._die(death.power)
        except (TatamiError, OSError):
            # The disk is full or fails: whoever needs a hub starts the next one.
            self._die(power=False)
        except CorruptError as error:
            self.violated("I2", str(error))
        except Exception:  # noqa: BLE001 - whatever it is, it is what we are looking for
            self.violated("raised", traceback.format_exc(limit=-4))
        else:
            self.hub, self._life = hub, life
            self.violations += checking.at_start(self, hub)
            life.run(hub.start)
        finally:
            self.is_starting = False

    def hub_died(self, power: bool) -> None:
        """Ends the hub at once; another one starts by and by."""
        if self.hub is None:
            return
        self._life.alive = False
        self.hub = None
        for wire in list(self.wires.values()):
            wire.close()
        self._die(power)

    def _die(self, power: bool) -> None:
        if power:
            self.disk.crash(self.rng)
        self.agenda.after(0.05 + 0.3 * self.rng.random(), self._start_hub)

    # The network.

    def connect(self, client: Client) -> Wire | None:
        """A client connects; None while there is no hub."""
        if self.hub is None:
            return None
        wire = Wire(self, client, self.hub, self._life)
        self.wires[wire.number] = wire
        return wire

    def next_wire(self) -> int:
        """A connection's number, which is never used again."""
        self._wires += 1
        return self._wires

    def swizzle(self, seconds: float) -> None:
        """Clogs some wires one by one and heals them in another order."""
        links = [link for wire in self.wires.values() for link in (wire.up, wire.down)]
        swizzle(self.agenda, self.rng, links, seconds)

    def _heal(self) -> None:
        """From now on nothing fails; everything has to come to an end."""
        self.faults.clear()
        self.network = Faults()
        for wire in self.wires.values():
            for link in (wire.up, wire.down):
                link.faults = self.network
                link.heal()

    # What is seen.

    def saw(self, *what: object) -> None:
        """Notes what was covered."""
        self.seen[what] += 1

    def violated(self, invariant: str, text: str) -> None:
        """Notes a violation; the first ends the seed."""
        self.violations.append(Violation(invariant, text))

    def _sample(self) -> None:
        if self.hub:
            for name, size in self.hub.sample().items():
                self.samples[name] = max(self.samples[name], size)
        self.agenda.after(0.1, self._sample)


def run(seed: int, flaw: Flaw | None = None) -> Result:
    """Plays one seed, with a flaw planted if one is named."""
    with planted(flaw):
        return World(plan(seed), flaw).play()


def hunt(flaw: Flaw) -> int | None:
    """The first seed that finds a flaw, or None where none does within the limit."""
    seeds = range(1, FLAW_SEEDS_MAX + 1)
    return next((seed for seed in seeds if run(seed, flaw).violations), None)
