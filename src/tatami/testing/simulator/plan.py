"""What a seed decides before anything happens: the swarm, its network, and what will fail when."""

import random
from dataclasses import dataclass
from typing import Literal, get_args

from tatami.schedule import batch
from tatami.testing.network import Faults

Kind = Literal[
    "kill",
    "power",
    "kill_at_call",
    "power_at_call",
    "power_at_answer",
    "sync_error",
    "no_space",
    "clock",
    "hang_up",
    "agent_death",
    "swizzle",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
DISK_KINDS: tuple[Kind, ...] = ("kill_at_call", "power_at_call", "sync_error", "no_space")
FOLDERS = ("", "pack", "op", "heads", "heads", "hub", "hub", "refs")
"""Whose calls a fault of the disk counts; "" is all of them."""
STORM_S = 6.0
"""How long things may fail; then the network heals, and everything has to come to an end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that fails at a time; those of the disk a number of its calls later.

    size: what that number is, or the seconds a fault lasts, or those a clock jumps. folder: the
    one of the disk whose calls are counted ("" = all). then: answers after it before the power
    goes as well (0: it stays).
    """

    kind: Kind
    at: float
    size: float
    folder: str = ""
    then: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A seed, spelt out.

    requests: what each agent wants to do. ordered: connections are streams. clients_kept and the
    like: the hub's limits, small enough to be reached. paths: files there are; fewer conflict more.
    """

    seed: int
    agents: int
    requests: int
    paths: int
    network: Faults
    ordered: bool
    faults: tuple[Fault, ...]
    batching: batch.Settings
    clients_kept: int
    answers_kept: int
    events_kept: int
    unsaved_max: int


def plan(seed: int) -> Plan:
    """Draws the plan of a seed; the same for ever."""
    rng = random.Random(f"plan {seed}")  # noqa: S311 - repeatable on purpose
    agents = rng.choice((5, 5, 6, 7, 8, 10, 12, 16, 50)) if seed % 25 == 0 else rng.randint(5, 10)
    ordered = rng.random() < 0.8
    return Plan(
        seed=seed,
        agents=agents,
        requests=max(3, 60 // agents + rng.randrange(4)),
        paths=rng.choice((2, 6, 20)),
        network=_network(rng, ordered),
        ordered=ordered,
        faults=_faults(rng),
        batching=batch.Settings(
            size=rng.choice((1, 3, 100)),
            window_s=rng.choice((0.0, 0.004)),
        ),
        clients_kept=rng.choice((agents + 3, 3 * agents, 1000)),
        answers_kept=rng.choice((1, 4, 256)),
        events_kept=rng.choice((20, 100_000)),
        unsaved_max=rng.choice((0, 5, 30, 4000)),
    )


def _network(rng: random.Random, ordered: bool) -> Faults:
    delay = rng.choice(((0.0001, 0.001), (0.0001, 0.02), (0.01, 0.05)))
    bad = rng.choice((0.0, 0.01, 0.05))
    if ordered:
        return Faults(delay_s=delay, split=rng.choice((0.0, 0.2)), cut=bad)
    return Faults(delay_s=delay, loss=bad, duplicate=bad * 2, reorder=bad * 4)


def _faults(rng: random.Random) -> tuple[Fault, ...]:
    """None in one seed of ten: what happens without is to be seen, too."""
    number = rng.choice((0, 1, 2, 3, 3, 4, 5, 6, 8, 12))
    faults = [_fault(rng, rng.choice(KINDS)) for _ in range(number)]
    return tuple(sorted(faults, key=lambda fault: fault.at))


def _fault(rng: random.Random, kind: Kind) -> Fault:
    at = STORM_S * rng.random() ** 2
    if kind in DISK_KINDS:
        folder = rng.choice(FOLDERS if kind != "no_space" else ("", "hub"))
        most = 8 if folder and kind != "no_space" else 50
        # What the next hub says and never synced, a power cut right after its answer shows.
        then = rng.choice((0, 1, 1, 2, 5)) if kind == "kill_at_call" else 0
        return Fault(kind, at, rng.randrange(1, most), folder, then)
    if kind == "power_at_answer":
        return Fault(kind, at, rng.randrange(1, 10))
    if kind == "clock":
        return Fault(kind, at, rng.choice((-400.0, -1.0, 1.0, 400.0)) * 86_400 * rng.random())
    return Fault(kind, at, 0.2 + rng.random())
