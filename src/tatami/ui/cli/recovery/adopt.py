"""`workspace adopt`: takes over a worktree of another tool, or one made by hand."""

from dataclasses import asdict
from shlex import quote
from typing import Annotated

from cyclopts import Parameter

from tatami.client.recovery import adopting
from tatami.client.swarm import Swarm
from tatami.ui.cli.output import document, guarded, say, visible


def adopt(
    path: str,
    *,
    name: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Make a git worktree of this repository an agent's workspace, where it is and as it is.

    What is staged, edited or new there stays so. Its line begins at the commit that is checked out,
    on a branch of its own; the branch that was checked out stays where it is.

    Parameters
    ----------
    path
        The worktree.
    name
        The agent's name (default: after the directory).
    json
        Print one JSON document.
    """

    def work() -> None:
        with Swarm.open() as swarm:
            done = adopting.adopt(swarm, path, name)
        if json:
            document(asdict(done))
            return
        words = "is the workspace of agent" if done.new else "is already the workspace of agent"
        print(f"{visible(done.path)} {words} {done.name}, on agent/{done.name}")
        if done.new and done.branch not in {"", f"agent/{done.name}"}:
            say(f"branch {visible(done.branch)} stays at {done.commit[:12]}; nobody moves it now")
        if done.lock:
            say(f"it was locked: {visible(done.lock)}")
        say(f"next: cd {quote(done.path)}")
        say("      tatami commit -m MESSAGE && tatami land")

    return guarded(json, work)
