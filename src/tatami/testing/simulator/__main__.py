"""Plays seeds: `python -m tatami.testing.simulator --seeds 1000`.

Says what they found and how to repeat it. Ends with 1 where a seed found something, or where a flaw
that was planted was not found.
"""

import argparse
import itertools
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tatami.testing.simulator.flaws import Flaw
from tatami.testing.simulator.report import Total, markdown, raw, repeat
from tatami.testing.simulator.world import Result, hunt, run

SPAWN = multiprocessing.get_context("spawn")
CHUNK = 50
"""Seeds a process is handed at once."""


def main(arguments: list[str]) -> int:
    """Plays what the arguments ask for; returns the exit code."""
    options = _options(arguments)
    _quiet()
    begun = time.monotonic()
    flaw = Flaw[options.flaw] if options.flaw else None
    seeds = itertools.chain(
        _kept(options.kept), range(options.first, options.first + options.seeds)
    )
    total = Total()
    for result in _played(seeds, flaw, options.jobs):
        total.add(result)
        if result.violations:
            _say(result, flaw)
    seconds = time.monotonic() - begun
    found = _hunted(options.jobs) if options.flaws else {}
    if options.report:
        folder = Path(options.report)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        (folder / f"simulator-{stamp}.md").write_text(markdown(total, seconds, found))
        (folder / f"simulator-{stamp}.json").write_text(raw(total, seconds, found) + "\n")
    print(
        f"{total.seeds} seeds, {total.commands} commands, {total.lives} lives of the hub in "
        f"{seconds:.0f} s: {len(total.failed)} found something"
    )
    return 1 if total.failed or None in found.values() else 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tatami.testing.simulator")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes that play side by side")
    parser.add_argument("--kept", help="a file of seeds, one a line, that are played first")
    parser.add_argument("--report", help="a folder for a dated report")
    parser.add_argument("--flaw", choices=[flaw.name for flaw in Flaw], help="plant this flaw")
    parser.add_argument(
        "--flaws", action="store_true", help="then plant each flaw, until a seed finds it"
    )
    return parser.parse_args(arguments)


def _kept(path: str | None) -> list[int]:
    """Seeds of a file; what follows the number says what it found."""
    lines = Path(path).read_text().splitlines() if path else []
    return [int(line.split()[0]) for line in lines if line.strip() and line[0] != "#"]


def _played(seeds: Iterable[int], flaw: Flaw | None, jobs: int) -> Iterator[Result]:
    play = partial(run, flaw=flaw)
    if jobs == 1:
        yield from map(play, seeds)
        return
    with ProcessPoolExecutor(jobs, SPAWN, _quiet) as pool:
        yield from pool.map(play, seeds, chunksize=CHUNK)


def _quiet() -> None:
    """What a hub writes to its log on a disk like ours is no news here."""
    logging.getLogger("tatami.hub").setLevel(logging.CRITICAL)


def _hunted(jobs: int) -> dict[Flaw, int | None]:
    """The first seed that finds each flaw."""
    found: dict[Flaw, int | None] = {}
    with ProcessPoolExecutor(jobs, SPAWN, _quiet) as pool:
        for flaw, seed in zip(Flaw, pool.map(hunt, Flaw), strict=True):
            found[flaw] = seed
            print(f"{seed or 'NOT FOUND':>9} {flaw.name}: {flaw.value}", flush=True)
    return found


def _say(result: Result, flaw: Flaw | None) -> None:
    for violation in result.violations:
        print(f"seed {result.seed}: {violation.invariant}: {violation.text}")
    print(f"  again: {repeat(result.seed, flaw)}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
