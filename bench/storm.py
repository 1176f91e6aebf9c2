"""Commits per second of a storm, beside git worktrees and stock jj: docs/results/storm.

Rounds are interleaved, every run has a fresh folder, the table shows medians of the rounds.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.results import Row, markdown, median, save
from tatami.scenarios.history.clone import folder
from tatami.scenarios.storm.run import storm
from tatami.scenarios.storm.values import ARMS, Asked
from tatami.ui.cli.scenario import stock_jj

SHAPES = ((10, 100), (50, 20))
"""Agents, and commits of each."""
COLUMNS = (
    *("agents x commits", "workload", "source", "arm", "core.fsync", "in history", "commits/s"),
    *("x", "ack p50 ms", "ack p99 ms", "CPU ms/commit", "of it hub", "hub MB"),
)


def main() -> int:
    """Runs the rounds, keeps every row, prints medians; 1 when a commit is missing."""
    options = _options()
    rows: list[dict[str, object]] = []
    with folder(keep=False) as place:
        for number in range(options.rounds):
            for asked in _asked(options):
                for row in storm(asked, lambda words: print(words, file=sys.stderr), place):
                    rows.append({**row, "round": number})
                    print(rows[-1], file=sys.stderr, flush=True)
    path = save("storm", {"rows": rows, "rounds": options.rounds}, options.out)
    print(markdown(COLUMNS, list(_table(rows))))
    print(f"\nraw data: {path}", file=sys.stderr)
    good = all(r["in_history"] == r["asked"] and not r["divergent"] for r in rows)
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--shapes", default="10x100,50x20", help="AGENTSxCOMMITS by commas")
    parser.add_argument("--workloads", default="new,edit")
    parser.add_argument("--sources", default="bytes,checkout,overlay")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--out", type=Path, help="instead of docs/results")
    return parser.parse_args()


def _asked(options: argparse.Namespace) -> Iterator[Asked]:
    """Every storm of a round. The other arms always commit files, so they run once a workload."""
    shapes = [tuple(map(int, shape.split("x"))) for shape in options.shapes.split(",")]
    jj = stock_jj()
    for agents, commits in shapes:
        for workload in options.workloads.split(","):
            arms = tuple(options.arms.split(","))
            for source in options.sources.split(","):
                asked = Asked(agents, commits, workload, source, files=options.files, jj=jj)
                yield replace(asked, arms=arms, git_fsync="both")
                arms = tuple(arm for arm in arms if arm == "tatami")


def _table(rows: list[dict[str, object]]) -> Iterator[tuple[object, ...]]:
    names = ("agents", "asked", "workload", "source", "arm", "fsync")
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    for (agents, asked, workload, source, arm, fsync), runs in groups.items():
        assert isinstance(agents, int)
        assert isinstance(asked, int)
        rate = median(runs, "per_s")
        ours = groups.get((agents, asked, workload, "bytes", "tatami", "barriers"))
        ratio = round(median(ours, "per_s") / rate, 1) if ours and arm != "tatami" else ""
        yield (
            f"{agents} x {asked // agents}",
            *(workload, source, arm, fsync),
            f"{min(int(str(run['in_history'])) for run in runs)}/{asked}",
            *(rate, ratio, median(runs, "ack_ms", "p50"), median(runs, "ack_ms", "p99")),
            *(median(runs, "cpu_ms_per_commit"), median(runs, "cpu_hub_ms_per_commit")),
            median(runs, "rss_mb") or "",
        )


if __name__ == "__main__":
    sys.exit(main())
