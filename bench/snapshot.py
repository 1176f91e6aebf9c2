"""Finding three edits in a workspace, beside git doing the same: docs/results, snapshot.

Times what the core does (`scan`), and the whole of `take`, which also hashes contents; git's arm is
`git add --all` with `git write-tree` on a copy of the index. Each repetition edits other files.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from bench.results import Row, markdown, median, save
from tatami import _core
from tatami.client.swarm import Swarm
from tatami.scenarios.history.clone import folder
from tatami.scenarios.storm.run import field, prepare
from tatami.scenarios.storm.values import Asked
from tatami.store import git
from tatami.workspaces import snapshot, worktree
from tatami.workspaces.worktree import Workspace

KINDS = ("checkout", "overlay")
EDITS = 3


def main() -> int:
    """Prints the medians, keeps every row; 1 where one of the edits was not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=25)
    parser.add_argument("--files", default="5000,30000", help="sizes of the repository, by commas")
    parser.add_argument("--out", type=Path, help="instead of docs/results")
    options = parser.parse_args()
    rows: list[Row] = []
    for count in map(int, options.files.split(",")):
        with folder(keep=False) as place:
            template = os.path.join(place, "template")
            files = prepare(Asked(1, files=count), template)
            paths = [path for path, _ in files]
            with field(template, os.path.join(place, "field"), files) as there:
                rows += _measured(there.root, paths, options.repetitions)
    path = save("snapshot", {"rows": rows}, options.out)
    columns = ("files", "kind", "core ms", "whole ms", "git add + write-tree ms", "x")
    print(markdown(columns, list(_table(rows))))
    print(f"\nraw data: {path}", file=sys.stderr)
    return 0 if all(row["found"] == EDITS for row in rows) else 1


def _measured(root: str, paths: list[str], repetitions: int) -> list[Row]:
    rows: list[Row] = []
    with Swarm.open(root, init=True) as swarm:
        for kind in KINDS:
            agent = swarm.agent(f"of-{kind}", kind=kind)
            space = worktree.get(swarm.place.common, agent.name)
            assert space
            assert space.kind == kind
            for number in range(repetitions):
                edited = [paths[(number * EDITS + i) * 7 % len(paths)] for i in range(EDITS)]
                row = _once(space, edited, f"{number}\n")
                rows.append({"files": len(paths), "kind": kind, "repetition": number, **row})
                # The next repetition finds only its own edits.
                agent.commit(f"edit {number}")
    return rows


def _once(space: Workspace, edited: list[str], text: str) -> dict[str, float]:
    for path in edited:
        with open(os.path.join(space.path, path), "a", encoding="ascii") as file:
            file.write(text)
    head = worktree.head(space)
    # Once for the caches: git's arm comes after this one and finds them warm.
    snapshot.take(space, head)
    begun = time.perf_counter()
    taken = snapshot.take(space, head)
    whole_ms = (time.perf_counter() - begun) * 1000
    scan = taken.seen
    assert isinstance(scan, _core.Scan)
    core_ms = (scan.stat_us + scan.walk_us + scan.read_us) / 1000
    return {
        "found": len(taken.changes),
        "core_ms": round(core_ms, 3),
        "whole_ms": round(whole_ms, 3),
        "git_ms": round(_by_git(space), 3),
    }


def _by_git(space: Workspace) -> float:
    index = os.path.join(space.git_dir, "index-of-the-measurement")
    shutil.copy2(os.path.join(space.git_dir, "index"), index)
    begun = time.perf_counter()
    for words in (("add", "--all"), ("write-tree",)):
        git.run(space.path, *words, index=index)
    took = (time.perf_counter() - begun) * 1000
    os.unlink(index)
    return took


def _table(rows: list[Row]) -> list[tuple[object, ...]]:
    table: list[tuple[object, ...]] = []
    for count in sorted({int(str(row["files"])) for row in rows}):
        for kind in KINDS:
            found = [row for row in rows if (row["files"], row["kind"]) == (count, kind)]
            core, whole, by_git = (median(found, f"{name}_ms") for name in ("core", "whole", "git"))
            table.append((count, kind, core, whole, by_git, round(by_git / whole, 1)))
    return table


if __name__ == "__main__":
    sys.exit(main())
