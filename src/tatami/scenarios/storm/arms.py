"""The arms of a storm: how each is set up, and how its result is read without trusting it."""

import os
import subprocess
from collections.abc import Sequence
from typing import Protocol

import psutil

from tatami.client.swarm import Agent, Swarm
from tatami.scenarios.history.clone import TRUNK, stop_hub
from tatami.scenarios.history.reading import divergent
from tatami.scenarios.storm.values import ArmName, Found, From
from tatami.store import git
from tatami.store.locate import Place, find
from tatami.values.errors import TatamiError

QUIET = (("gc.auto", "0"), ("maintenance.auto", "false"), ("core.hooksPath", os.devnull))
"""git's own housekeeping would start in the middle; without it git is faster, not slower."""
JJ_TEMPLATE = r"""
    commit_id ++ "\t" ++ if(divergent, "d", "-") ++ "\t" ++ description.first_line() ++ "\n"
"""
JJ_CONFIG = """\
user.name = "Tatami replay"
user.email = "replay@tatami.invalid"
"""


class Arm(Protocol):
    """One way to let agents commit. workspaces: a directory per agent ("" where it has none)."""

    name: ArmName
    fsync: str
    workspaces: list[str]

    def cpu_s(self) -> float:
        """CPU seconds used so far by processes that serve all agents."""

    def rss_mb(self) -> float:
        """Memory of those processes."""

    def found(self) -> Found:
        """Reads the final history; the storm is over."""


class Tatami:
    """One hub; agents commit bytes, or files of workspaces."""

    name: ArmName = "tatami"
    fsync = "barriers"

    def __init__(self, root: str, agents: Sequence[str], source: From) -> None:
        with_files = source != "bytes"
        kind = source if with_files else None
        with Swarm.open(root, init=True) as swarm:
            made = swarm.agents(agents, workspace=with_files, kind=kind)
            _require_kind(made, kind)
            self._hub = psutil.Process(swarm.status()["hub"]["pid"])
        self.place: Place = find(root)
        self.workspaces = [agent.path if with_files else "" for agent in made]

    def cpu_s(self) -> float:
        """The hub's CPU seconds, with those of git where it ran it; 0 once it has died."""
        try:
            times = self._hub.cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return float(sum(times[:4]))

    def rss_mb(self) -> float:
        """The hub's resident memory; 0 once it has died."""
        try:
            return round(self._hub.memory_info().rss / 2**20, 1)
        except psutil.NoSuchProcess:
            return 0.0

    def found(self) -> Found:
        """What git finds once the hub has stopped."""
        stop_hub(self.place)
        commits = _by_message(self.place.common)
        new = [id for ids in commits.values() for id in ids]
        return Found(commits, divergent(self.place.common, new))


def _require_kind(agents: Sequence[Agent], kind: str | None) -> None:
    """Raises `TatamiError` where workspaces are not what is to be measured."""
    other = {agent.workspace.kind for agent in agents if agent.workspace} - {kind}
    if other:
        raise TatamiError(
            f"workspaces are of kind {', '.join(other)}, not {kind}",
            code="kind_not_possible",
            fix="tatami scenario run storm --source checkout",
        )


class GitWorktrees:
    """A worktree and a branch per agent."""

    name: ArmName = "git-worktree"

    def __init__(self, root: str, agents: Sequence[str], fsync: str) -> None:
        self.fsync = fsync
        self._root = root
        for name, value in QUIET:
            git.run(root, "config", name, value)
        if fsync != "default":
            git.run(root, "config", "core.fsync", fsync)
        self.workspaces = [os.path.join(root, "worktrees", agent) for agent in agents]
        for agent, path in zip(agents, self.workspaces, strict=True):
            git.run(root, "worktree", "add", "--quiet", "-b", agent, path, TRUNK)

    def cpu_s(self) -> float:
        """Nothing serves all agents."""
        return 0.0

    def rss_mb(self) -> float:
        """Nothing serves all agents."""
        return 0.0

    def found(self) -> Found:
        """What git finds."""
        return Found(_by_message(self._root), 0)


class JjWorkspaces:
    """A workspace of stock jj per agent, all on one operation log."""

    name: ArmName = "jj-workspace"
    fsync = "none"

    def __init__(self, root: str, agents: Sequence[str], command: str) -> None:
        self.command = command
        config = os.path.join(root, "jj.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(JJ_CONFIG)
        self.environment = {**git.clean_environment(), "JJ_CONFIG": config}
        self._main = os.path.join(root, "jj", "main")
        os.makedirs(os.path.dirname(self._main))
        self._jj(root, "git", "init", f"--git-repo={root}/.git", self._main)
        self.workspaces = [os.path.join(root, "jj", agent) for agent in agents]
        for agent, path in zip(agents, self.workspaces, strict=True):
            self._jj(self._main, "workspace", "add", f"--name={agent}", "-r", TRUNK, path)

    def cpu_s(self) -> float:
        """Nothing serves all agents."""
        return 0.0

    def rss_mb(self) -> float:
        """Nothing serves all agents."""
        return 0.0

    def found(self) -> Found:
        """What jj finds after merging whatever op heads there are."""
        out = self._jj(self._main, "log", "--no-graph", "-r", "all()", "-T", JJ_TEMPLATE)
        commits: dict[str, list[str]] = {}
        count = 0
        for line in out.splitlines():
            id, mark, message = line.split("\t", 2)
            commits.setdefault(message, []).append(id)
            count += mark == "d"
        return Found(commits, count)

    def _jj(self, directory: str, *arguments: str) -> str:
        done = subprocess.run(
            [self.command, "--no-pager", "--color=never", *arguments],
            cwd=directory,
            env=self.environment,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            words = done.stderr.decode("utf-8", "replace").strip()
            raise TatamiError(f"jj {arguments[0]} failed: {words}", code="jj")
        return done.stdout.decode("utf-8", "replace")


def _by_message(git_dir: str) -> dict[str, list[str]]:
    """Every commit of every branch that the start does not have, by the first line it has."""
    format_line = "--format=%H%x09%s"
    out = git.text(git_dir, "log", "--branches", f"^{TRUNK}", format_line)
    commits: dict[str, list[str]] = {}
    for line in out.splitlines():
        id, _, message = line.partition("\t")
        commits.setdefault(message, []).append(id)
    return commits
