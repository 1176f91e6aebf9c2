"""Takes over worktrees of other tools, with the unsaved work that is in them."""

import os
import re
from dataclasses import dataclass
from shlex import quote

from tatami.client.swarm import Swarm
from tatami.store.locate import Place, find
from tatami.values.errors import UsageError
from tatami.values.ids import agent_name, agent_ref
from tatami.values.limits import AGENT_NAME_CHARS_MAX
from tatami.workspaces import worktree
from tatami.workspaces.lifetime import making
from tatami.workspaces.recovery import adoption
from tatami.workspaces.recovery.adoption import Candidate

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Adopted:
    """A workspace that was somebody's worktree. branch: what was checked out; it stays there.

    commit: where its line begins. lock: the reason it had been locked for.
    """

    name: str
    path: str
    commit: str
    branch: str = ""
    lock: str = ""
    new: bool = True


def adopt(swarm: Swarm, path: str, name: str | None = None) -> Adopted:
    """Makes a git worktree of this repository an agent's workspace; raises `TatamiError`.

    name: the agent's (None: after the directory). What is staged, edited or new stays as it is.
    """
    there = _worktree(swarm, path)
    known = worktree.containing(there.worktree, there.git_dir, there.common)
    if known and worktree.state(known) == "ready":
        if name not in {None, known.name}:
            raise UsageError(
                f"{path} is the workspace of agent {known.name} already",
                code="workspace_exists",
                fix=f"cd {quote(known.path)}",
            )
        return Adopted(known.name, known.path, worktree.head(known), new=False)
    found = adoption.candidate(there.worktree, there.git_dir, there.common)
    name = agent_name(name) if name else _name(found)
    with making.one_at_a_time(swarm.place.common):
        _require_free(swarm, name, found)
        # After an eject, or a crash of an adoption, its branch is there, and checked out here.
        fields = {"names": [name], "base": found.commit, "existing": True}
        swarm.command("agents", {**fields, "branches": found.ref == agent_ref(name)})
        space = adoption.adopt(found, name)
    branch = found.ref.removeprefix("refs/heads/")
    return Adopted(name, space.path, found.commit, branch, found.locked)


def _worktree(swarm: Swarm, path: str) -> Place:
    there = find(path)
    if os.path.realpath(there.common) != os.path.realpath(swarm.place.common):
        raise UsageError(
            f"{path} belongs to another repository, {there.root}",
            code="other_repository",
            fix=f"cd {quote(there.root)} && tatami init",
        )
    return there


def _name(found: Candidate) -> str:
    """A name after the directory, where that can be made one."""
    text = _NOT_IN_NAMES.sub("-", os.path.basename(found.path)).strip("-._")
    try:
        return agent_name(text[:AGENT_NAME_CHARS_MAX])
    except UsageError as error:
        raise UsageError(
            f"{os.path.basename(found.path)!r} does not do as an agent's name",
            code=error.code,
            fix=f"tatami workspace adopt {quote(found.path)} --name coder-1",
        ) from None


def _require_free(swarm: Swarm, name: str, found: Candidate) -> None:
    """Refuses a name in use, unless an adoption of this very worktree was interrupted."""
    fix = f"tatami workspace adopt {quote(found.path)} --name {name}-2"
    if worktree.get(swarm.place.common, name):
        raise UsageError(
            f"agent {name} has a workspace elsewhere", code="workspace_exists", fix=fix
        )
    heads = {row["name"].lower(): row["head"] for row in swarm.status()["agents"]}
    if heads.get(name.lower(), found.commit) != found.commit:
        raise UsageError(
            f"agent {name} exists, with a line of its own", code="agent_exists", fix=fix
        )
