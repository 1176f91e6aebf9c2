"""Plays windows: everybody commits at once, landings follow in history's order and are judged."""

import tempfile
from collections.abc import Sequence
from time import perf_counter

from tatami.client.swarm import FileContent
from tatami.client.values import LandingResult
from tatami.scenarios.history import yardstick
from tatami.scenarios.history.clone import TRUNK
from tatami.scenarios.history.deal import SYMLINK, FileChange, HistoryCommit, Part, deal, groups
from tatami.scenarios.history.reading import differing, trees_of
from tatami.scenarios.replay.crew import Crew
from tatami.scenarios.replay.judge import judge
from tatami.scenarios.replay.values import Played, Watcher
from tatami.values.errors import TatamiError


class Player:
    """Plays one window after another on a crew, and keeps the account."""

    def __init__(self, crew: Crew, git_dir: str, watcher: Watcher) -> None:
        self._crew = crew
        self._git_dir = git_dir
        self._watcher = watcher
        self.played = Played()

    def play(self, commits: Sequence[HistoryCommit]) -> None:
        """Plays all windows of history's commits, oldest first."""
        begun = perf_counter()
        count = len(self._crew.names)
        for start in range(0, len(commits), count):
            self._window(commits[start : start + count])
        self.played.seconds = perf_counter() - begun

    def _window(self, commits: Sequence[HistoryCommit]) -> None:
        parts = deal(commits, self._crew.read)
        self._crew.reset(range(len(parts)))
        together = {i: part for i, part in enumerate(parts) if not part.depends_on_path}
        self._commit(together)
        for group in groups(parts):
            index = group[0]
            part = parts[index]
            if part.depends_on_path:
                self._watcher.agent(self._crew.names[index], "syncs", part.commit.message)
                self._crew.reset(group)
                self._commit({index: part})
                self.played.dependent += 1
            self._land(group, parts)

    def _commit(self, parts: dict[int, Part]) -> None:
        acked, seconds = self._crew.commit(parts)
        self.played.acked += acked
        self.played.commit_seconds += seconds

    def _land(self, group: Sequence[int], parts: Sequence[Part]) -> None:
        names = [self._crew.names[index] for index in group]
        for name, index in zip(names, group, strict=True):
            self._watcher.agent(name, "lands", parts[index].commit.message)
        results = self._crew.swarm.land(names).results()
        if [result.agent for result in results] != names:
            raise TatamiError(
                f"asked to land {names}, got {[result.agent for result in results]}",
                code="replay_failed",
                fix="tatami replay REPO --keep",
            )
        wrong: set[str] = set()
        for result, index in zip(results, group, strict=True):
            wrong |= self._judge(result, parts[index], wrong)
        self._correct(parts[group[-1]].commit)

    def _judge(self, result: LandingResult, part: Part, before: set[str]) -> set[str]:
        """Compares a landing with history; returns the paths that are now not as history has them.

        before: the paths that were wrong before it landed, and that are not its doing.
        """
        commit = part.commit
        conflicted = self._conflicted(part) | {conflict.path for conflict in result.conflicts}
        has_landed = result.state == "landed"
        if has_landed:
            self.played.landed.append(commit.id)
            (tree,) = trees_of(self._git_dir, [result.commits[-1]])
            wrong = {change.path for change in differing(self._git_dir, tree, commit.tree)}
        else:
            self.played.rejected.append(commit.id)
            wrong = {change.path for change in commit.changes}
        self.played.shared += len(part.shared)
        own = wrong - (before - part.changes.keys())
        self.played.judged += judge(commit, has_landed, own, conflicted)
        self._watcher.agent(result.agent, "landed" if has_landed else "handed back", commit.message)
        self._watcher.landed(1)
        return wrong

    def _correct(self, commit: HistoryCommit) -> None:
        """Puts history's text wherever the trunk has another one, so that windows stay apart."""
        (tree,) = trees_of(self._git_dir, [TRUNK])
        wrong = differing(self._git_dir, tree, commit.tree) if tree != commit.tree else ()
        changes = {change.path: _truth(change) for change in wrong}
        if changes:
            self._crew.correct(commit.id, changes)
            self.played.oracles.append(commit.id)

    def _conflicted(self, part: Part) -> set[str]:
        """The shared files that git's own text merge does not merge."""
        found = set()
        with tempfile.TemporaryDirectory(prefix="tatami-merge-") as folder:
            for shared in part.shared:
                if not shared.level or shared.before.mode == SYMLINK:
                    continue
                assert isinstance(shared.version.data, bytes)
                base, ours = (self._crew.read(s.id) for s in (shared.base, shared.before))
                if yardstick.merges(folder, base, ours, shared.version.data) is None:
                    found.add(shared.path)
        return found


def _truth(change: FileChange) -> FileContent:
    """What history has at the path, by the object's id."""
    return None if change.new is None else (change.new.mode, change.new.id)
