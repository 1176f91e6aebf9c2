"""Brings found work back: as an agent's line, as a branch, or as edits of a workspace."""

from dataclasses import dataclass, replace
from shlex import quote

from tatami.client.recovery.finding import Found
from tatami.client.swarm import Swarm
from tatami.client.workspaces import named
from tatami.values.errors import UsageError
from tatami.values.ids import agent_name
from tatami.workspaces import recovery, worktree
from tatami.workspaces.recovery import returned

RECOVERED = "{}-recovered"
NAMES_MAX = 1000


@dataclass(frozen=True, slots=True)
class Returned:
    """Where work is now. commit: on its base alone. edits: `files` are edits of the workspace.

    staged: the commit of what was staged then. next: commands to go on with.
    """

    commit: str
    agent: str = ""
    path: str = ""
    branch: str = ""
    edits: bool = False
    files: tuple[str, ...] = ()
    staged: str = ""
    next: tuple[str, ...] = ()


def to_agent(swarm: Swarm, found: Found, name: str | None) -> Returned:
    """Makes a new agent whose line ends with the work, and its workspace."""
    name = agent_name(name) if name else _free_name(swarm, found)
    commit = returned.plain(swarm.place.common, found.id)
    agent = swarm.agents([name], commit, existing=False)[0]
    steps = (f"cd {quote(agent.path)}", "git show --stat HEAD", f"tatami land {name}")
    return Returned(commit, name, agent.path, staged=found.staged, next=steps)


def to_branch(swarm: Swarm, found: Found, branch: str) -> Returned:
    """Makes a git branch that ends with the work; no workspace, no agent."""
    commit = returned.plain(swarm.place.common, found.id)
    returned.make_branch(swarm.place.common, branch, commit)
    steps = (f"git log -p -1 {quote(branch)}", f"git switch {quote(branch)}")
    return Returned(commit, branch=branch, staged=found.staged, next=steps)


def into(swarm: Swarm, found: Found, name: str | None) -> Returned:
    """Makes the work edits of an agent's workspace (None: of whose it was) that are not committed.

    What the workspace holds is saved first. Raises `ConflictError` (`would_overwrite`) where that
    is in the way; nothing is changed then.
    """
    name = name or found.agent
    if not name:
        raise UsageError(
            f"nobody knows whose {found.id[:12]} was",
            code="usage",
            fix=f"tatami workspace recover {found.id[:12]} --into --agent NAME",
        )
    if not found.base:
        raise UsageError(
            f"{found.id[:12]} is the first commit of its history; it changes nothing",
            code="usage",
            fix=f"tatami workspace recover {found.id[:12]} --to NAME",
        )
    space = named(swarm.place, name)
    worktree.require_ready(space)
    patch = returned.fitting(space, found.id, found.base)
    recovery.save(space, "before work is brought back into it")
    files = returned.apply(space, patch)
    steps = (f"cd {quote(space.path)}", "git status", "tatami commit -m MESSAGE")
    done = Returned(found.id, name, space.path, edits=True, files=tuple(files), next=steps)
    return replace(done, staged=found.staged)


def _free_name(swarm: Swarm, found: Found) -> str:
    taken = {row["name"].lower() for row in swarm.status()["agents"]}
    taken |= {space.name.lower() for space in worktree.registered(swarm.place.common)}
    base = RECOVERED.format(found.agent or "agent")[:50]
    for number in range(1, NAMES_MAX):
        name = base if number == 1 else f"{base}-{number}"
        if name.lower() not in taken:
            return agent_name(name)
    raise UsageError("there are too many recovered agents", code="usage", fix="--to NAME")
