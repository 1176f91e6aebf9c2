"""The kill drill: the hub is killed -9 at random moments of a storm: docs/results/kill."""

import argparse
import sys
from pathlib import Path

from bench.results import markdown, save
from tatami.scenarios.storm.kills import drill, passed
from tatami.scenarios.storm.values import Asked

COLUMNS = (
    *("kills", "commits", "acked", "in history", "lost", "twice", "divergent", "fsck"),
    "seconds",
)


def main() -> int:
    """Runs the drill, keeps its row, prints a table; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--agents", type=int, default=10)
    parser.add_argument("--commits", type=int, default=1000, help="of each agent")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="instead of docs/results")
    options = parser.parse_args()
    asked = Asked(options.agents, options.commits, files=options.files)
    row = drill(asked, options.kills, options.seed, lambda words: print(words, file=sys.stderr))
    path = save("kill", {"row": row}, options.out)
    fsck = row["fsck"]
    assert isinstance(fsck, dict)
    names = ("kills", "asked", "acked", "in_history", "lost", "duplicated", "divergent")
    cells = [row[name] for name in names]
    print(markdown(COLUMNS, [(*cells, "ok" if fsck["ok"] else fsck["problems"], row["seconds"])]))
    print(f"\nraw data: {path}", file=sys.stderr)
    return 0 if passed(row) and row["kills"] == options.kills else 1


if __name__ == "__main__":
    sys.exit(main())
