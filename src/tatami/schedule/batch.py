"""Decides when the waiting commits are flushed as one operation.

An idle hub flushes at once. While a flush is under way commits gather. When it ends, agents that
were active a moment ago are given a short window to join, because each flush costs the same few
milliseconds whether it carries one commit or fifty. The window begins with the end of the flush:
only then are they answered. Counted from the first arrival it would be over before they can come
back, and agents in a closed loop would fall into two waves that never share a flush.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tatami.values.limits import BATCH_BYTES_MAX

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class Settings:
    """size: most commits of one operation. timeout_s: the longest anyone waits for others.

    window_s: how long a free hub waits for agents that were active within `recent_s`; where a flush
    takes longer, it waits that long, for that is what it saves. 0: it waits for nobody.
    """

    size: int = 100
    timeout_s: float = 0.5
    window_s: float = 0.004
    recent_s: float = 0.05


@dataclass(frozen=True, slots=True)
class Arrived(Generic[Work]):
    """A commit of an agent, with the size of its contents in bytes."""

    agent: str
    work: Work
    size: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """The flush under way ended, after this many seconds."""

    cost_s: float


@dataclass(frozen=True, slots=True)
class Tick:
    """The time asked for by `WakeAt` has come."""


@dataclass(frozen=True, slots=True)
class Flush(Generic[Work]):
    """Effect: publish these, in this order."""

    work: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Effect: send `Tick` at this time."""

    time: float


@dataclass(slots=True)
class State(Generic[Work]):
    """Commits waiting per agent, with their times; changed in place by the one who steps it.

    free_since: when the last flush ended. seen: when each agent was last heard of.
    """

    settings: Settings = field(default_factory=Settings)
    waiting: dict[str, deque[tuple[float, Arrived[Work]]]] = field(default_factory=dict)
    count: int = 0
    bytes: int = 0
    flushing: bool = False
    free_since: float = float("-inf")
    cost_s: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)


def step(
    state: State[Work], happening: Arrived[Work] | Flushed | Tick, now: float
) -> tuple[State[Work], list[Flush[Work] | WakeAt]]:
    """Advances by one input; `now` in seconds of any monotonic clock."""
    match happening:
        case Arrived():
            state.waiting.setdefault(happening.agent, deque()).append((now, happening))
            state.seen[happening.agent] = now
            state.count += 1
            state.bytes += happening.size
        case Flushed(cost_s=cost):
            state.flushing = False
            state.free_since = now
            state.cost_s = cost if not state.cost_s else 0.8 * state.cost_s + 0.2 * cost
        case Tick():
            pass
    return state, _decide(state, now)


def _decide(state: State[Work], now: float) -> list[Flush[Work] | WakeAt]:
    if state.flushing or not state.count:
        return []
    settings = state.settings
    full = state.count >= settings.size or state.bytes >= BATCH_BYTES_MAX
    # An agent in a closed loop comes back about one flush after its answer.
    recent = now - max(settings.recent_s, 3 * state.cost_s)
    state.seen = {agent: at for agent, at in state.seen.items() if at >= recent}
    everybody = all(agent in state.waiting for agent in state.seen)
    if full or everybody:
        return [_flush(state)]
    oldest = min(queue[0][0] for queue in state.waiting.values())
    window = max(settings.window_s, state.cost_s) if settings.window_s else 0.0
    gathered = max(oldest, state.free_since) + window
    until = min(gathered, oldest + settings.timeout_s)
    return [_flush(state)] if now >= until else [WakeAt(until)]


def _flush(state: State[Work]) -> Flush[Work]:
    """Takes up to a batch, one commit of each agent in turn so that nobody is crowded out."""
    taken: list[Work] = []
    size = 0
    while state.waiting and len(taken) < state.settings.size and size < BATCH_BYTES_MAX:
        for agent in list(state.waiting):
            if len(taken) >= state.settings.size or size >= BATCH_BYTES_MAX:
                break
            queue = state.waiting.pop(agent)
            _, arrived = queue.popleft()
            if queue:
                # Re-inserted behind the others: the next batch begins with those left out.
                state.waiting[agent] = queue
            taken.append(arrived.work)
            size += arrived.size
    state.count -= len(taken)
    state.bytes -= size
    state.flushing = True
    return Flush(tuple(taken))
