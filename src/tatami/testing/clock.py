"""A clock one sets and advances, and the appointments that are kept by it. Nothing ever waits."""

import heapq
import itertools
from collections.abc import Callable

WALL_S = 1_700_000_000.0
"""Where the wall clock begins: a second of 2023, so that a replay never depends on today."""


class Clock:
    """Monotonic and wall time, in seconds; they move when told, and apart from each other.

    wall_rate: seconds the wall clock makes of a real one; 0 is a clock that stands still.
    """

    def __init__(self, wall_s: float = WALL_S) -> None:
        self._monotonic = 0.0
        self._wall = wall_s
        self.wall_rate = 1.0

    def monotonic(self) -> float:
        """Seconds since the clock was made; never goes back."""
        return self._monotonic

    def time(self) -> float:
        """Seconds since the epoch, as far as this clock knows."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Lets time pass; raises `ValueError` for a negative duration."""
        if seconds < 0:
            raise ValueError(f"time does not go back by {-seconds} s; jump with `set_wall`")
        self._monotonic += seconds
        self._wall += seconds * self.wall_rate

    def set_wall(self, wall_s: float) -> None:
        """Jumps the wall clock, forwards or backwards; monotonic time does not notice."""
        self._wall = wall_s


class Agenda:
    """Calls that are due at some time of a clock; those due at once go in the order they came."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._due)

    def at(self, time: float, call: Callable[[], None]) -> None:
        """Makes an appointment at a monotonic time; the past means now."""
        heapq.heappush(self._due, (max(time, self.clock.monotonic()), next(self._order), call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Makes an appointment in so many seconds."""
        self.at(self.clock.monotonic() + seconds, call)

    def run_next(self) -> bool:
        """Advances the clock to the next appointment and keeps it; False where there is none."""
        if not self._due:
            return False
        time, _, call = heapq.heappop(self._due)
        self.clock.advance(time - self.clock.monotonic())
        call()
        return True
