"""Gathers what an agent should know before it begins: where it is, and what others are at."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tatami.client import workspaces
from tatami.client.swarm import Swarm
from tatami.client.working import workspace_at
from tatami.store.locate import find
from tatami.values.errors import TatamiError
from tatami.workspaces import git, worktree
from tatami.workspaces.worktree import Workspace

Json = dict[str, Any]
PATHS_MAX = 50
"""Paths kept of each kind; the rest is counted."""
OTHERS_MAX = 24
"""Other workspaces that are looked into; each is a scan of its files."""
SCANS_AT_ONCE = 4
_ELSEWHERE = (".tatami/", ".claude/worktrees/")
"""Folders of the person's checkout that hold workspaces."""
_CLASSES = {
    "dependencies": {"node_modules", "vendor", ".venv", "venv", "bower_components", "Pods"},
    "build output": {"build", "dist", "out", "target", "bin", "obj", ".next", "_build"},
    "caches": {
        "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".cache", ".tox", ".gradle",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Paths:
    """Some paths: the first ones, and how many there are."""

    first: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """Ignored files of the person's checkout that the workspace has not. kind: what they are."""

    kind: str
    paths: Paths


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another agent. overlap: paths that both have changed. unsaved: how many it has not committed.

    changed: how many it has changed at all.
    """

    name: str
    overlap: Paths
    unsaved: int
    changed: int


@dataclass(frozen=True, slots=True)
class Card:
    """What an agent should know. base: the trunk's newest commit in its line. behind: since then.

    person: uncommitted changes of the person's checkout at `root`, which no workspace has.
    others_left_out: other workspaces that were not looked into. next: two commands.
    """

    agent: str
    path: str
    root: str
    branch: str
    head: str
    trunk: str
    base: str
    behind: int
    unlanded: int
    unsaved: Paths
    person: Paths
    missing: tuple[Missing, ...]
    siblings: tuple[Sibling, ...]
    others_left_out: int
    queue: tuple[Json, ...]
    next: tuple[str, ...]


def card(swarm: Swarm, agent: str | None) -> Card:
    """The card of an agent (None: the one whose workspace this is); reads only."""
    space = workspace_at(find() if agent is None else swarm.place, agent)
    status = swarm.status()
    rows = {row["name"]: row for row in status["agents"]}
    row = rows.get(space.name, {"behind": 0, "unlanded": 0})
    trunk = status["trunk"]
    head = worktree.head(space)
    unsaved = _unsaved(space)
    mine = {*unsaved, *_committed(space, trunk["commit"], head)}
    others = [s for s in worktree.registered(space.common) if s.name != space.name]
    with ThreadPoolExecutor(SCANS_AT_ONCE) as pool:
        looked = pool.map(lambda s: _sibling(s, trunk["commit"], mine), others[:OTHERS_MAX])
        siblings = tuple(sibling for sibling in looked if sibling)
    queue = tuple(one for one in status["queue"] if one["agent"] == space.name)
    base = git.text(space.common, "merge-base", trunk["commit"], head)
    return Card(
        agent=space.name,
        path=space.path,
        root=swarm.place.root,
        branch=worktree.head_ref(space).removeprefix("refs/heads/"),
        head=head,
        trunk=trunk["name"],
        base=base,
        behind=row["behind"],
        unlanded=row["unlanded"],
        unsaved=_paths(unsaved),
        person=_paths(_uncommitted(swarm.place.root)),
        missing=tuple(_missing(swarm.place.root, space)),
        siblings=tuple(sorted(siblings, key=lambda one: (-one.overlap.count, one.name))),
        others_left_out=max(0, len(others) - OTHERS_MAX),
        queue=queue,
        next=_next(bool(unsaved), row, queue),
    )


def _paths(paths: Iterable[str]) -> Paths:
    found = sorted(paths)
    return Paths(tuple(found[:PATHS_MAX]), len(found))


def _unsaved(space: Workspace) -> list[str]:
    """Paths with changes that no commit has, also those that cannot be committed."""
    try:
        return workspaces.unsaved(space)
    except TatamiError:
        return _uncommitted(space.path)


def _committed(space: Workspace, trunk: str, head: str) -> list[str]:
    """Paths that a line has changed since it left the trunk."""
    options = ("--name-only", "-z", "--no-renames")
    output = git.run(space.common, "diff", *options, f"{trunk}...{head}", check=False).stdout
    return [os.fsdecode(path) for path in output.split(b"\0") if path]


def _sibling(space: Workspace, trunk: str, mine: set[str]) -> Sibling | None:
    """What another agent is at; None where it has changed nothing, or cannot be looked at."""
    try:
        if worktree.state(space) != "ready":
            return None
        unsaved = _unsaved(space)
        changed = {*unsaved, *_committed(space, trunk, worktree.head(space))}
    except TatamiError:
        return None
    if not changed:
        return None
    return Sibling(space.name, _paths(mine & changed), len(unsaved), len(changed))


def _uncommitted(root: str) -> list[str]:
    """Paths with changes in the person's checkout that no commit has; it is only looked at."""
    options = ("status", "--porcelain", "-z", "--no-renames")
    fields = git.run(root, *options, extra={"GIT_OPTIONAL_LOCKS": "0"}).stdout.split(b"\0")
    paths = [os.fsdecode(field[3:]) for field in fields if len(field) > 3]
    return [path for path in paths if not path.startswith(_ELSEWHERE)]


def _missing(root: str, space: Workspace) -> list[Missing]:
    words = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    output = git.run(root, *words, extra={"GIT_OPTIONAL_LOCKS": "0"}).stdout
    found: dict[str, list[str]] = {}
    paths = [os.fsdecode(field) for field in output.split(b"\0") if field]
    # git names a folder with nothing but ignored folders in it beside those.
    above = {path[: path.rstrip("/").rfind("/") + 1] for path in paths}
    for path in paths:
        if path in above or path.startswith(_ELSEWHERE):
            continue
        if not os.path.lexists(os.path.join(space.path, path.rstrip("/"))):
            found.setdefault(_kind(path), []).append(path)
    order = ("environment files", *_CLASSES, "other ignored files")
    return [Missing(kind, _paths(found[kind])) for kind in order if kind in found]


def _kind(path: str) -> str:
    parts = path.rstrip("/").split("/")
    name = parts[-1].lower()
    if name.startswith(".env") or name.endswith((".local", ".secret", ".pem", ".key")):
        return "environment files"
    for kind, names in _CLASSES.items():
        if names & set(parts) or (kind == "build output" and name.endswith((".so", ".o", ".pyc"))):
            return kind
    return "other ignored files"


def _next(dirty: bool, row: Json, queue: Sequence[Json]) -> tuple[str, ...]:
    """The two commands that most likely come next."""
    handed = [one["entry"] for one in queue if one["state"] == "handed_back"]
    steps = [f"tatami conflicts show {handed[-1]}"] if handed else []
    if dirty:
        steps.append("tatami commit -m MESSAGE")
    if row["behind"]:
        steps.append("tatami workspace sync")
    if row["unlanded"] or dirty:
        steps.append("tatami land")
    steps += ["tatami commit -m MESSAGE", "tatami land"]
    return tuple(dict.fromkeys(steps))[:2]
