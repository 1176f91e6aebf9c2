"""Commits that only the reflogs of agents still name: made and dropped by plain git."""

import os
from collections.abc import Iterable

from tatami.values.ids import agent_ref
from tatami.workspaces import git, head
from tatami.workspaces.worktree import Workspace

_BRANCHES = ("--branches", "--tags", "--remotes")


def visited(spaces: Iterable[Workspace]) -> dict[str, str]:
    """The commits that HEAD or the branch of these workspaces was ever at, with the agent."""
    found: dict[str, str] = {}
    for space in spaces:
        for path in (
            os.path.join(space.git_dir, "logs", "HEAD"),
            os.path.join(space.common, "logs", agent_ref(space.name)),
        ):
            for id in _ids(path):
                found.setdefault(id, space.name)
    return found


def unreached(common: str, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Those of these commits, and of their ancestors, that no branch or tag reaches.

    Each with its parents, children first; ids that name nothing any more are left out.
    """
    stdin = "".join(f"{id}\n" for id in ids).encode()
    if not stdin:
        return {}
    options = ("--parents", "--topo-order", "--ignore-missing", "--stdin")
    done = git.run(common, "rev-list", *options, "--not", *_BRANCHES, stdin=stdin)
    rows = (row.split() for row in done.stdout.decode().splitlines())
    return {row[0]: tuple(row[1:]) for row in rows}


def _ids(path: str) -> set[str]:
    try:
        with open(path, "rb") as file:
            rows = [line.split(b" ", 2) for line in file]
    except OSError:
        return set()
    ids = {id.decode("ascii", "replace") for row in rows if len(row) == 3 for id in row[:2]}
    return {id for id in ids if len(id) == head.ID_DIGITS and id.strip("0")}
