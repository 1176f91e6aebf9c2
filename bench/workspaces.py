"""Making many workspaces of each kind, beside `git worktree add`: docs/results/workspaces.

Each run has a fresh copy of the same repository; the clean status of every working copy is checked
by git afterwards. git's worktrees are made one by one, and as many side by side as there are cores.
Before the overlays one more is made, whose time is told apart (`first_ms`): it is the one that
writes the tree they share.
"""

import argparse
import os
import statistics
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

KINDS = {"tatami": "checkout", "tatami, overlay": "overlay", "tatami, sparse": "sparse"}
ARMS = (*KINDS, "git worktree add", "git worktree add, side by side")


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
                    row = _measure(arm, there.root, names)
                row |= {"arm": arm, "round": number, "workspaces": options.workspaces}
                rows.append(row)
                print(row, file=sys.stderr)
    path = save("workspaces", {"rows": rows, "files": len(files)}, options.out)
    columns = ("arm", "workspaces", "seconds", "ms each", "first ms", "disk MB", "x")
    print(markdown(columns, list(_table(rows))))
    print(f"\nraw data: {path}", file=sys.stderr)
    return 0 if all(row["clean"] for row in rows) else 1


def _measure(arm: str, root: str, names: list[str]) -> dict[str, object]:
    """Seconds it took to make all of them, the space on disk, and whether git calls all clean."""
    if arm in KINDS:
        return _ours(KINDS[arm], root, names)
    paths = [os.path.join(root, "work", name) for name in names]
    width = 1 if arm == "git worktree add" else os.cpu_count()
    free, begun = _free_mb(root), time.perf_counter()
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(lambda path: _add(root, path), paths))
    return _row(begun, paths, free)


def _ours(kind: str, root: str, names: list[str]) -> dict[str, object]:
    cone = [_first_folder(root)] if kind == "sparse" else []
    with Swarm.open(root, init=True) as swarm:
        first_ms = 0.0
        if kind == "overlay":
            begun = time.perf_counter()
            swarm.agent("first", kind=kind)
            first_ms = (time.perf_counter() - begun) * 1000
        free, begun = _free_mb(root), time.perf_counter()
        agents = swarm.agents(names, kind=kind, sparse=cone)
        row = _row(begun, [agent.path for agent in agents], free)
    kinds = {agent.workspace.kind for agent in agents if agent.workspace}
    return row | {"first_ms": round(first_ms, 1), "kinds": sorted(kinds)}


def _row(begun: float, paths: list[str], free: float) -> dict[str, object]:
    seconds = time.perf_counter() - begun
    disk_mb = free - _free_mb(paths[0])
    clean = all(not git.text(path, "status", "--porcelain") for path in paths)
    return {"seconds": round(seconds, 4), "disk_mb": round(disk_mb, 1), "clean": clean}


def _free_mb(path: str) -> float:
    """What is free on the file system; others may use it meanwhile."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize / 2**20


def _first_folder(root: str) -> str:
    """A folder with files in it, for a cone."""
    listed = git.run(root, "ls-tree", "-r", "--name-only", "-z", TRUNK).stdout
    return next(name for name in listed.decode().split("\0") if "/" in name).rpartition("/")[0]


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
        each = round(1000 * statistics.median(_float(row["seconds"]) for row in found) / count, 1)
        first = median(found, "first_ms") if arm == "tatami, overlay" else ""
        ratio = "" if arm == "tatami" else round(seconds / ours, 2)
        table.append((arm, int(count), seconds, each, first, median(found, "disk_mb"), ratio))
    return table


def _float(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


if __name__ == "__main__":
    sys.exit(main())
