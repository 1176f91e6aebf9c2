"""A replay to look at: a progress bar and a table of the agents, on a terminal only."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tatami.scenarios.measure import latencies
from tatami.scenarios.replay.values import State

ROWS_MAX = 30
"""Agents shown; a table higher than the terminal cannot be drawn."""
SUBJECT_CHARS_MAX = 60
_STYLES: dict[State, str] = {
    "waits": "dim",
    "syncs": "magenta",
    "writes": "yellow",
    "commits": "bold yellow",
    "lands": "cyan",
    "landed": "green",
    "handed back": "red",
}


class LiveView:
    """A `Watcher` that draws; used as a context, it leaves the terminal as it was."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=None)
        self._lock = threading.Lock()
        self._agents: dict[str, tuple[State, str]] = {}
        self._acks: dict[str, list[float]] = {}
        self._live = Live(
            get_renderable=self._draw, console=console, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def stage(self, words: str) -> None:
        """Shows what begins now."""
        self._bar.update(self._task, description=_printable(words))

    def begins(self, commits: int, agents: Sequence[str]) -> None:
        """Shows the agents, all waiting."""
        with self._lock:
            self._agents = dict.fromkeys(agents, ("waits", ""))
        self._bar.update(self._task, total=commits, description="replaying")

    def agent(self, name: str, state: State, subject: str) -> None:
        """Shows an agent's new state."""
        first = subject.strip().split("\n", 1)[0]
        with self._lock:
            self._agents[name] = (state, _printable(first)[:SUBJECT_CHARS_MAX])

    def acked(self, agent: str, ack_ms: float) -> None:
        """Counts a durable commit."""
        with self._lock:
            self._acks.setdefault(agent, []).append(ack_ms)

    def landed(self, count: int) -> None:
        """Moves the bar."""
        self._bar.advance(self._task, count)

    def _draw(self) -> RenderableType:
        with self._lock:
            rows = list(self._agents.items())
            acks = {name: list(values) for name, values in self._acks.items()}
        if not rows:
            return self._bar
        table = Table(box=None, padding=(0, 1), header_style="dim")
        for heading, justify in (("agent", "left"), ("state", "left"), ("commits", "right")):
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("ack p50 ms", justify="right", no_wrap=True)
        table.add_column("commit", no_wrap=True, overflow="ellipsis")
        for name, (state, subject) in rows[:ROWS_MAX]:
            own = acks.get(name, [])
            table.add_row(
                name,
                Text(state, style=_STYLES[state]),
                str(len(own)),
                f"{latencies(own)['p50']:.0f}" if own else "",
                Text(subject),
            )
        more = len(rows) - ROWS_MAX
        return Group(self._bar, table, Text(f"and {more} more", "dim") if more > 0 else "")


def _printable(text: str) -> str:
    """Text of a repository without anything a terminal would obey."""
    return "".join(c if c.isprintable() else "·" for c in text)
