"""A thousand swarms in which everything fails: whatever the seed, no invariant is broken."""

import subprocess
import sys
from pathlib import Path

import pytest

from tatami.testing.simulator.report import repeat
from tatami.testing.simulator.world import run

SEEDS = 1000
CHUNK = 50
KEPT = [
    int(line.split()[0])
    for line in Path(__file__).with_name("seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
DIGESTS = (
    "from tatami.testing.simulator.world import run\n"
    "print([run(seed).digest for seed in range(1, 9)])"
)


def found(seeds: range | list[int]) -> list[str]:
    """What seeds find, and the line that repeats each."""
    return [
        f"{repeat(result.seed)} # {violation.invariant}: {violation.text}"
        for result in map(run, seeds)
        for violation in result.violations
    ]


def test_seeds_that_found_something_once_find_nothing_any_more() -> None:
    """A bug that was mended stays mended."""
    assert found(KEPT) == []


@pytest.mark.parametrize("first", range(1, SEEDS + 1, CHUNK))
def test_no_seed_breaks_an_invariant(first: int) -> None:
    """Whatever dies, is torn, full or late: what was acknowledged is there, once, in order."""
    assert found(range(first, first + CHUNK)) == []


def test_a_seed_decides_everything() -> None:
    """Two processes with different hash seeds tell the same agents the same at the same times."""
    runs = {
        subprocess.run(
            [sys.executable, "-c", DIGESTS],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(runs) == 1
