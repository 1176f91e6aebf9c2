"""Every kill point, a thousand power cuts, all damage at rest: docs/results/reliability.

`python -m bench.torture kills [--victim hub|client] [--only K] [--every N]`
`python -m bench.torture cuts [--cuts N] [--seed S]`
`python -m bench.torture barriers`
`python -m bench.torture corruption [--kind K] [--damage D]`
`python -m bench.torture all`
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.results import RESULTS, markdown, save
from tests import sandbox
from tests.crash import cuts, damage, kills, verdict
from tests.crash.kills import Kills, Victim

TOPIC = "reliability"
CUTS_PER_DISK = 20
"""A repository grows with each cut, and what is checked with it."""
MATRIX = "corruption.md"
Options = argparse.Namespace
Json = dict[str, object]


def main() -> int:
    """Runs what was asked for and keeps its figures; 1 when a promise was broken."""
    options = _options()
    suites: dict[str, Callable[[Options, Path], Json]] = {
        "kills": _kills,
        "cuts": _cuts,
        "barriers": _barriers,
        "corruption": _corruption,
    }
    names = list(suites) if options.suite == "all" else [options.suite]
    rows: Json = {}
    with tempfile.TemporaryDirectory(prefix="tatami-torture-", dir=options.work) as work:
        clean = sandbox.hermetic(dict(os.environ), Path(work) / "home")
        os.environ.clear()
        os.environ.update(clean, PYTHONDONTWRITEBYTECODE="1")
        verdict.with_stock_jj()
        for name in names:
            rows[name] = suites[name](options, Path(work) / name)
    path = save(TOPIC, rows, options.out)
    print(f"\nraw data: {path}", file=sys.stderr)
    failures = [row["failures"] for row in rows.values() if isinstance(row, dict)]
    return 1 if any(failures) else 0


def _kills(options: Options, work: Path) -> Json:
    """Kills hub and client at every write of the reference workload (or every N-th, or one)."""
    work.mkdir()
    run = Kills(kills.build(work), kills.template(work), work)
    victims: Sequence[Victim] = [options.victim] if options.victim else ("hub", "client")
    rows: dict[str, Json] = {}
    failures: list[str] = []
    for victim in victims:
        count = run.run(victim, 0).calls
        reached: Counter[str] = Counter()
        for k in [options.only] if options.only else range(1, count + 1, options.every):
            found = run.run(victim, k)
            reached[found.died_at] += 1
            failures += [f"{victim} k={k} ({found.died_at}): {what}" for what in found.problems]
            _say(f"{victim} {k} of {count}, {len(failures)} failures: {failures[-1:]}")
        rows[victim] = {"writes": count, "killed_at": dict(reached.most_common())}
    columns = ("victim", "writes", "killed at", "never reached", "failures")
    print(markdown(columns, [_kill_row(name, row, failures) for name, row in rows.items()]))
    return {"rows": rows, "failures": failures}


def _kill_row(victim: str, row: Json, failures: list[str]) -> list[object]:
    reached = row["killed_at"]
    assert isinstance(reached, dict)
    never = reached.get("-", 0)
    broken = sum(failure.startswith(victim) for failure in failures)
    return [victim, row["writes"], sum(reached.values()) - never, never, broken]


def _cuts(options: Options, work: Path) -> Json:
    """Cuts the power again and again, on a fresh disk every so often."""
    outcomes: list[list[str]] = []
    failures: list[str] = []
    acked = 0
    seed = options.seed
    while len(outcomes) < options.cuts:
        with cuts.power_cuts(work / str(seed), seed) as disk:
            for number in range(min(CUTS_PER_DISK, options.cuts - len(outcomes))):
                found = disk.cut()
                outcomes.append(found)
                failures += [f"seed {seed} cut {number + 1}: {what}" for what in found]
                _say(f"{len(outcomes)} cuts, {acked + disk.acked} acks: {failures[-1:]}")
                if found:
                    break
            acked += disk.acked
        (work / str(seed) / "disk.img").unlink()
        seed += 1
    lost = sum(what.startswith("I1") for found in outcomes for what in found)
    columns = ("power cuts", "acknowledged", "lost", "ended well")
    well = sum(not found for found in outcomes)
    print(markdown(columns, [[len(outcomes), acked, lost, well]]))
    row: Json = {"cuts": len(outcomes), "acked": acked, "lost": lost, "well": well}
    return {**row, "first_seed": options.seed, "failures": failures}


def _barriers(options: Options, work: Path) -> Json:
    """Takes each barrier away, and counts the cuts until that is noticed."""
    rows: dict[str, Json] = {}
    for barrier in (1, 2):
        library = cuts.without_barrier(barrier, work / f"barrier-{barrier}")
        needed: list[int] = []
        said: Counter[str] = Counter()
        for seed in range(options.seed, options.seed + 5):
            place = work / f"{barrier}-{seed}"
            with cuts.power_cuts(place, seed, ("bytes-1",), str(library)) as disk:
                for number in range(1, 41):
                    found = disk.cut()
                    if found:
                        needed.append(number)
                        said.update({what.split(" ")[0] for what in found})
                        break
            (place / "disk.img").unlink()
            _say(f"barrier {barrier}: noticed after {needed} cuts")
        rows[str(barrier)] = {"noticed_after": needed, "as": dict(said)}
    columns = ("without barrier", "noticed after cuts", "as")
    cells = [[name, row["noticed_after"], row["as"]] for name, row in rows.items()]
    print(markdown(columns, cells))
    missed = [f"barrier {n} was not missed" for n, row in rows.items() if not row["noticed_after"]]
    return {"rows": rows, "failures": missed}


def _corruption(options: Options, work: Path) -> Json:
    """Damages every kind of file in every way, and writes the matrix down."""
    made = damage.make(work)
    cells: list[damage.Cell] = []
    for kind in [options.kind] if options.kind else [name for name, _ in damage.kinds(made)]:
        for name in [options.damage] if options.damage else damage.DAMAGES:
            cells.append(damage.suffer(made, work / "one", kind, name))
            _say(f"{cells[-1].kind}, {cells[-1].damage}: {cells[-1].mark}")
    text = damage.matrix(cells)
    print(text)
    if not options.kind and not options.damage:
        folder = (options.out or RESULTS) / TOPIC
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MATRIX).write_text(text)
    failures = [f"{c.kind}, {c.damage}: {c.what}" for c in cells if not c.passed]
    return {"cells": [c.as_json() for c in cells], "failures": failures}


def _options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("suite", choices=["kills", "cuts", "barriers", "corruption", "all"])
    parser.add_argument("--victim", choices=["hub", "client"])
    parser.add_argument("--only", type=int, help="one kill point")
    parser.add_argument("--every", type=int, default=1, help="kill points: each N-th")
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", help="one kind of file")
    parser.add_argument("--damage", help="one kind of damage")
    parser.add_argument("--work", type=Path, help="where to work (default: the temporary folder)")
    parser.add_argument("--out", type=Path, help="instead of docs/results")
    return parser.parse_args()


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of the description as they are."""


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
