"""A hub that dies between its operation and the git branch: the next one moves the branch."""

from pathlib import Path

import pytest

import tatami
from tests import sandbox

REF = "refs/heads/agent/coder-1"
OURS = ("-c", "user.name=Tatami", "-c", "user.email=tatami@localhost")


def left_behind(root: Path, amend: bool) -> tuple[str, str]:
    """Two commits of which git's branch has only the first, as a death in between leaves it."""
    with tatami.Swarm.open(root) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        first = agent.commit("first", {"1": b"1"}).visible().id
        second = agent.commit("second", {"2": b"2"}, amend).visible().id
    for hub in sandbox.hubs_under(root):
        sandbox.kill_hub(hub)
    sandbox.git(root, *OURS, "update-ref", REF, first)
    return first, second


@pytest.mark.parametrize("reflog", ["tells", "is gone"])
@pytest.mark.parametrize("amend", [False, True])
def test_the_branch_follows(tatami_repository: Path, reflog: str, amend: bool) -> None:
    """What was acknowledged stays the head of its line, be it on the old one or instead of it."""
    _, second = left_behind(tatami_repository, amend)
    if reflog == "is gone":
        (tatami_repository / ".git/logs" / REF).unlink()
    with tatami.Swarm.open(tatami_repository) as swarm:
        third = tatami.Agent(swarm, "coder-1", None).commit("third", {"3": b"3"}).visible().id
    assert sandbox.git(tatami_repository, "rev-parse", f"{REF}^") == second
    assert sandbox.git(tatami_repository, "rev-parse", REF) == third


def test_where_git_put_the_branch_it_stays(tatami_repository: Path) -> None:
    """A user's `git reset` in between is no lag."""
    first, second = left_behind(tatami_repository, amend=False)
    sandbox.git(tatami_repository, "update-ref", REF, second)
    sandbox.git(tatami_repository, "update-ref", REF, first)
    with tatami.Swarm.open(tatami_repository) as swarm:
        third = tatami.Agent(swarm, "coder-1", None).commit("third", {"3": b"3"}).visible().id
    assert sandbox.git(tatami_repository, "rev-parse", f"{third}^") == first
