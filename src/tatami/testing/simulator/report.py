"""What many seeds came to: figures, what they covered as tables with their holes, how to repeat."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from tatami.testing.simulator.flaws import Flaw
from tatami.testing.simulator.plan import Kind
from tatami.testing.simulator.world import Result

COMMAND = "python -m tatami.testing.simulator"
STATES = (
    "down",
    "recovering",
    "idle",
    "recording",
    "writing",
    "barrier 1",
    "swap",
    "barrier 2",
    "published",
    "checkpoint",
)
"""What the writer can be at, in the order of a publication."""
VERBS = ("Commit", "Agents", "Reset", "Retire", "Land", "QueueAction")
ASKED = (*VERBS, "Queue", "Subscribe", "Hello")


@dataclass(slots=True)
class Total:
    """The sum of what seeds came to. failed: seed -> what it found first."""

    seeds: int = 0
    steps: int = 0
    commands: int = 0
    lives: int = 0
    seen: Counter[tuple[object, ...]] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Counts one seed in."""
        self.seeds += 1
        self.steps += result.steps
        self.commands += result.commands
        self.lives += result.lives
        self.seen += result.seen
        if result.violations:
            first = result.violations[0]
            self.failed[result.seed] = f"{first.invariant}: {first.text}"


def repeat(seed: int, flaw: Flaw | None = None) -> str:
    """The one line that repeats a seed."""
    planted = f" --flaw {flaw.name}" if flaw else ""
    return f"{COMMAND} --first {seed} --seeds 1{planted}"


def markdown(total: Total, seconds: float, found: Mapping[Flaw, int | None]) -> str:
    """The report as a document."""
    sizes = [total.seeds, total.commands, total.steps, total.lives]
    figures = [*sizes, round(seconds), len(total.failed)]
    lines = [
        "# Simulated seeds",
        f"`make torture`, or `{COMMAND} --seeds {total.seeds}`.",
        "",
        "| seeds | commands | steps | lives of the hub | seconds | seeds that found something |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {' | '.join(map(str, figures))} |",
        "",
        *(f"- seed {seed}: {text} `{repeat(seed)}`" for seed, text in total.failed.items()),
        *_covered(total.seen),
        *_flaws(found),
    ]
    return "\n".join(lines) + "\n"


def raw(total: Total, seconds: float, found: Mapping[Flaw, int | None]) -> str:
    """The report as data."""
    seen = {" / ".join(map(str, what)): count for what, count in sorted(_texts(total.seen))}
    return json.dumps(
        {
            "seeds": total.seeds,
            "commands": total.commands,
            "steps": total.steps,
            "lives": total.lives,
            "seconds": round(seconds, 1),
            "failed": total.failed,
            "seen": seen,
            "flaws": {flaw.name: seed for flaw, seed in found.items()},
        },
        indent=1,
    )


def _texts(seen: Counter[tuple[object, ...]]) -> Iterator[tuple[tuple[str, ...], int]]:
    for what, count in seen.items():
        yield tuple(map(str, what)), count


def _covered(seen: Counter[tuple[object, ...]]) -> Iterator[str]:
    yield "\n## Fault against what the hub was at\n"
    yield from _matrix(seen, "fault", sorted(get_args(Kind)), STATES)
    yield "\n## Verb under way against request that arrives\n"
    yield from _matrix(seen, "pair", ("nothing", *VERBS), ASKED)
    yield "\n## Answers\n"
    outcomes = sorted(what[1:] for what, _ in _texts(seen) if what[0] == "outcome")
    verbs = sorted({verb for verb, _ in outcomes})
    yield from _matrix(seen, "outcome", verbs, sorted({code for _, code in outcomes}))


def _matrix(
    seen: Counter[tuple[object, ...]], kind: str, rows: Iterable[str], columns: Iterable[str]
) -> Iterator[str]:
    """A table of how often a pair was seen; what never was is a hole."""
    columns = list(columns)
    yield f"| | {' | '.join(columns)} |"
    yield "|---|" + "---:|" * len(columns)
    for row in rows:
        cells = (str(seen[kind, row, column] or "**-**") for column in columns)
        yield f"| {row} | {' | '.join(cells)} |"


def _flaws(found: Mapping[Flaw, int | None]) -> Iterator[str]:
    """How many seeds each planted flaw took to be found."""
    if not found:
        return
    yield "\n## Flaws planted on purpose\n"
    yield "| a hub that | seeds until found |"
    yield "|---|---:|"
    for flaw, seed in found.items():
        yield f"| {flaw.value} | {seed or '**never**'} |"
