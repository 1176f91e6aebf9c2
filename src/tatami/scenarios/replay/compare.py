"""The same commits with one git worktree per agent: what a team does without Tatami."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from tatami.scenarios.history.clone import clone
from tatami.scenarios.history.deal import HistoryCommit, Part, deal
from tatami.scenarios.history.reading import Objects
from tatami.scenarios.history.writing import write
from tatami.scenarios.replay.values import Cast, Pace, Watcher
from tatami.store import git

FSYNC = ("default", "all")
"""Values of core.fsync compared; "default" is what git does when nobody says anything."""
QUIET = (("gc.auto", "0"), ("maintenance.auto", "false"), ("core.hooksPath", os.devnull))
"""git's own housekeeping would start in the middle; without it git is faster, not slower."""


def worktrees(cast: Cast, folder: str, watcher: Watcher) -> list[Pace]:
    """Commits everything with `git add` and `git commit`, once per kind of fsync; lands nothing."""
    paces = []
    for fsync in FSYNC:
        watcher.stage(f"the same commits with git worktrees, core.fsync={fsync}")
        root = os.path.join(folder, f"git-{fsync}")
        git_dir = clone(cast.source, root, cast.base)
        for name, value in QUIET:
            git.run(root, "config", name, value)
        if fsync != "default":
            git.run(root, "config", "core.fsync", fsync)
        paces.append(_Arm(git_dir, root, cast.agents).run(cast.commits, fsync))
    return paces


class _Arm:
    """Worktrees, one per agent, each on a branch of its own."""

    def __init__(self, git_dir: str, root: str, names: Sequence[str]) -> None:
        self._objects = Objects(git_dir)
        self._paths = [os.path.join(root, "worktrees", name) for name in names]
        self._pool = ThreadPoolExecutor(len(names), "git")
        self._acks: list[float] = []
        self._seconds = 0.0
        for name, path in zip(names, self._paths, strict=True):
            git.run(root, "worktree", "add", "--quiet", "-b", name, path, "HEAD")

    def run(self, commits: Sequence[HistoryCommit], fsync: str) -> Pace:
        count = len(self._paths)
        for start in range(0, len(commits), count):
            self._window(commits[start : start + count])
        self._pool.shutdown()
        self._objects.close()
        return Pace("git worktrees", fsync, len(self._acks), self._seconds, self._acks)

    def _window(self, commits: Sequence[HistoryCommit]) -> None:
        parts = dict(enumerate(deal(commits, self._objects.read)))
        together = {i: part for i, part in parts.items() if not part.depends_on_path}
        self._commit(together, commits[0].parent)
        for index, part in parts.items():
            if part.depends_on_path:
                self._commit({index: part}, part.commit.parent)

    def _commit(self, parts: dict[int, Part], base: str) -> None:
        list(self._pool.map(lambda index: self._reset(index, base), parts))
        for index, part in parts.items():
            write(self._paths[index], part.changes, self._objects.read)
        begun = perf_counter()
        self._acks += self._pool.map(lambda index: self._committed(index, parts[index]), parts)
        self._seconds += perf_counter() - begun

    def _reset(self, index: int, base: str) -> None:
        git.run(self._paths[index], "reset", "--quiet", "--hard", base)
        git.run(self._paths[index], "clean", "-ffdxq")

    def _committed(self, index: int, part: Part) -> float:
        begun = perf_counter()
        git.run(self._paths[index], "add", "--all")
        message = part.commit.message.encode()
        command = ("commit", "--quiet", "--allow-empty-message", "--file=-")
        git.run(self._paths[index], *command, stdin=message)
        return (perf_counter() - begun) * 1000
