"""Making many workspaces, beside `git worktree add`: docs/results/workspaces.

Each run has a fresh copy of the same repository; the clean status of every working copy is checked
by git afterwards. git's worktrees are made one by one, and as many side by side as there are cores.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.results import Row, markdown, median, save
from tatami.client.swarm import Swarm
from tatami.scenarios.history.clone import TRUNK, folder
from tatami.scenarios.storm.run import field, prepare
from tatami.scenarios.storm.values import Asked
from tatami.store import git

ARMS = ("tatami", "git worktree add", "git worktree add, side by side")


def main() -> int:
    """Runs the rounds, keeps every row, prints medians; 1 when a working copy is not clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workspaces", type=int, default=20)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--repo", help="another repository instead of the made-up one")
    parser.add_argument("--out", type=Path, help="instead of docs/results")
    options = parser.parse_args()
    names = [f"agent-{number + 1}" for number in range(options.workspaces)]
    rows: list[dict[str, object]] = []
    with folder(keep=False) as place:
        template = os.path.join(place, "template")
        files = prepare(Asked(1, files=options.files, repo=options.repo), template)
        for number in range(options.rounds):
            for arm in ARMS:
                with field(template, os.path.join(place, f"{arm}-{number}"), files) as there:
                    seconds, clean = _measure(arm, there.root, names)
                row = {"arm": arm, "round": number, "seconds": seconds, "clean": clean}
                rows.append(row | {"workspaces": options.workspaces})
                print(row, file=sys.stderr)
    path = save("workspaces", {"rows": rows, "files": len(files)}, options.out)
    print(markdown(("arm", "workspaces", "seconds", "ms each", "x"), list(_table(rows))))
    print(f"\nraw data: {path}", file=sys.stderr)
    return 0 if all(row["clean"] for row in rows) else 1


def _measure(arm: str, root: str, names: list[str]) -> tuple[float, bool]:
    """Seconds it took to make all of them, and whether git calls every one clean."""
    if arm == "tatami":
        with Swarm.open(root, init=True) as swarm:
            begun = time.perf_counter()
            paths = [agent.path for agent in swarm.agents(names)]
            seconds = time.perf_counter() - begun
    else:
        paths = [os.path.join(root, "work", name) for name in names]
        width = 1 if arm == ARMS[1] else os.cpu_count()
        begun = time.perf_counter()
        with ThreadPoolExecutor(width) as pool:
            list(pool.map(lambda path: _add(root, path), paths))
        seconds = time.perf_counter() - begun
    clean = all(not git.text(path, "status", "--porcelain") for path in paths)
    return round(seconds, 3), clean


def _add(root: str, path: str) -> None:
    branch = os.path.basename(path)
    git.run(root, "worktree", "add", "--quiet", "-b", branch, path, TRUNK)


def _table(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
    runs: dict[str, list[Row]] = {arm: [row for row in rows if row["arm"] == arm] for arm in ARMS}
    ours = median(runs["tatami"], "seconds")
    table: list[tuple[object, ...]] = []
    for arm, found in runs.items():
        seconds = median(found, "seconds")
        count = median(found, "workspaces")
        ratio = "" if arm == "tatami" else round(seconds / ours, 2)
        table.append((arm, int(count), seconds, round(1000 * seconds / count, 1), ratio))
    return table


if __name__ == "__main__":
    sys.exit(main())
