"""`tatami scenario run storm` from the question to one row per arm."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from tatami.scenarios.history.clone import folder, stop_hub
from tatami.scenarios.measure import Json
from tatami.scenarios.storm import repository
from tatami.scenarios.storm.arms import (
    Arm,
    GitWorktrees,
    JjWorkspaces,
    Tatami,
)
from tatami.scenarios.storm.race import Field, race
from tatami.scenarios.storm.values import ARMS, Asked
from tatami.store.locate import find
from tatami.values.errors import UsageError

AGENTS_MAX = 500
COMMITS_MAX = 1_000_000


def storm(
    asked: Asked, say: Callable[[str], None] = lambda _: None, within: str | None = None
) -> list[Json]:
    """Runs every arm asked for, each in a fresh folder; returns a row per arm.

    within: a folder to make them in, left to the caller to remove. ext4 passes over inodes that
    were freed minutes ago, so that making files is many times dearer after a large removal: who
    runs several storms removes nothing before the last one.

    jj-workspace is left out where stock jj is missing, unless it is all that was asked for.
    Raises `UsageError` for what cannot be.
    """
    check(asked)
    rows = []
    with nullcontext(tempfile.mkdtemp(dir=within)) if within else folder(keep=False) as place:
        template = os.path.join(place, "template")
        files = prepare(asked, template)
        for name, fsync in arms(asked):
            say(f"{name} {fsync}".strip())
            with field(template, os.path.join(place, f"{name}-{fsync}"), files) as there:
                rows.append(race(asked, arm(asked, name, fsync, there.root), there))
    return rows


def check(asked: Asked) -> None:
    """Refuses numbers and arms that cannot be."""
    fix = "tatami scenario run storm --agents 10 --commits 100"
    if not 1 <= asked.agents <= AGENTS_MAX:
        raise UsageError(f"--agents {asked.agents} is not between 1 and {AGENTS_MAX}", fix=fix)
    if not 1 <= asked.commits <= COMMITS_MAX // asked.agents:
        raise UsageError(f"--commits {asked.commits} is less than 1, or too many", fix=fix)
    if asked.files < asked.agents:
        raise UsageError(f"--files {asked.files} is less than one for each agent", fix=fix)
    unknown = [name for name in asked.arms if name not in ARMS]
    if unknown or not asked.arms:
        raise UsageError(f"there is no arm {', '.join(unknown)!r}", fix=f"--arms {','.join(ARMS)}")
    if asked.arms == ("jj-workspace",) and not asked.jj:
        raise UsageError("stock jj is not installed", code="jj_missing", fix="make compat")


def prepare(asked: Asked, template: str) -> list[tuple[str, bytes]]:
    """Makes the repository every arm gets a copy of; returns files that can be edited."""
    if asked.repo is None:
        git_dir = repository.make_up(template, asked.files)
    else:
        git_dir = repository.borrow(template, asked.repo)
    files = repository.texts(git_dir, asked.files)
    if len(files) < asked.agents:
        raise UsageError(
            f"{asked.repo} has {len(files)} text files, fewer than {asked.agents} agents",
            code="too_few_files",
            fix="tatami scenario run storm --agents 1",
        )
    return files


def arms(asked: Asked) -> list[tuple[str, str]]:
    """Name and core.fsync ("" where git is not asked) of every arm to run."""
    found: list[tuple[str, str]] = []
    for name in asked.arms:
        if name == "git-worktree":
            kinds = ("default", "all") if asked.git_fsync == "both" else (asked.git_fsync,)
            found += [(name, kind) for kind in kinds]
        elif name != "jj-workspace" or asked.jj:
            found.append((name, ""))
    return found


def arm(asked: Asked, name: str, fsync: str, root: str) -> Arm:
    """Sets an arm up in a repository of its own."""
    agents = [f"agent-{number + 1}" for number in range(asked.agents)]
    if name == "tatami":
        return Tatami(root, agents, asked.source)
    if name == "git-worktree":
        return GitWorktrees(root, agents, fsync)
    assert asked.jj
    return JjWorkspaces(root, agents, asked.jj)


@contextmanager
def field(template: str, root: str, files: list[tuple[str, bytes]]) -> Iterator[Field]:
    """A fresh copy of the repository to race in, and a folder beside it; no hub is left behind."""
    measurements = root + "-measurements"
    os.makedirs(measurements)
    repository.copy(template, root)
    try:
        yield Field(root, measurements, files)
    finally:
        if os.path.exists(os.path.join(root, ".git", "tatami")):
            stop_hub(find(root))
