"""`tatami replay` from the question to the account."""

import os

from tatami.scenarios.history.clone import clone, folder, stop_hub
from tatami.scenarios.history.reading import last_commits, source
from tatami.scenarios.measure import Json
from tatami.scenarios.replay import compare, report
from tatami.scenarios.replay.audit import audit
from tatami.scenarios.replay.crew import Crew
from tatami.scenarios.replay.play import Player
from tatami.scenarios.replay.values import Asked, Audit, Cast, Played, Watcher
from tatami.store.locate import find
from tatami.values.errors import UsageError

AGENTS = 10
"""Agents when nobody says how many; fewer where history is shorter."""
AGENTS_MAX = 500
"""Each has a thread, a connection and a workspace."""


def replay(asked: Asked, watcher: Watcher) -> Json:
    """Replays a repository's newest commits; returns the account. Raises `TatamiError`."""
    check(asked)
    watcher.stage(f"reading the history of {asked.repo}")
    found = source(asked.repo, asked.rev)
    commits = last_commits(found, asked.commits)
    agents = min(asked.agents or AGENTS, len(commits))
    names = [f"agent-{number}" for number in range(1, agents + 1)]
    cast = Cast(asked, found, commits, names)
    with folder(asked.keep) as place:
        root = os.path.join(place, "repository")
        played, checked = _replay(cast, root, watcher)
        told = report.document(asked, len(commits), agents, played, checked)
        if asked.keep:
            told["kept"] = root
        if asked.compare:
            arms = compare.worktrees(cast, place, watcher)
            told["compare"] = report.paces([report.pace(played, asked.source), *arms])
    told["ok"] = report.passed(told)
    return told


def check(asked: Asked) -> None:
    """Refuses numbers that cannot be; raises `UsageError`."""
    fix = "tatami replay REPO --agents 10 --commits 200"
    if asked.commits < 1:
        raise UsageError(f"--commits {asked.commits} is less than 1", fix=fix)
    if asked.agents is not None and not 1 <= asked.agents <= AGENTS_MAX:
        raise UsageError(f"--agents {asked.agents} is not between 1 and {AGENTS_MAX}", fix=fix)
    if asked.agents is not None and asked.agents > asked.commits:
        raise UsageError(
            f"{asked.agents} agents cannot share {asked.commits} commits: each needs one", fix=fix
        )
    if asked.batch_size is not None and asked.batch_size < 1:
        raise UsageError(f"--batch-size {asked.batch_size} is less than 1", fix=fix)


def _replay(cast: Cast, root: str, watcher: Watcher) -> tuple[Played, Audit]:
    watcher.stage("making a clone and the agents' workspaces")
    git_dir = clone(cast.source, root, cast.base)
    place = find(root)
    try:
        with Crew(root, cast, watcher) as crew:
            watcher.begins(len(cast.commits), cast.agents)
            player = Player(crew, git_dir, watcher)
            player.play(cast.commits)
    finally:
        stop_hub(place)
    watcher.stage("checking every commit with git")
    return player.played, audit(place, player.played.acked, cast.base, cast.commits[-1])
