"""When git sees a commit: after the acknowledgement, and at once for whoever waits for it."""

from pathlib import Path

from tatami.client.swarm import Swarm
from tests.sandbox import git


def branch(repository: Path, agent: str) -> str:
    """The commit git has on an agent's branch."""
    return git(repository, "rev-parse", f"agent/{agent}").strip()


def test_a_visible_commit_is_on_the_agents_branch(tatami_repository: Path) -> None:
    """Whoever waits for `visible` finds the commit in git, even in the midst of a storm."""
    with Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("a", workspace=False)
        for number in range(20):
            commit = agent.commit(f"{number}", {"f": f"{number}".encode()}).visible()
            assert branch(tatami_repository, "a") == commit.id


def test_branches_nobody_waits_for_follow_by_themselves(tatami_repository: Path) -> None:
    """The last commit of a storm reaches git though nobody asks."""
    with Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("a", workspace=False)
        last = [agent.commit(f"{n}", {"f": f"{n}".encode()}).id for n in range(20)][-1]
        swarm.visible()
        assert branch(tatami_repository, "a") == last


def test_a_stopped_hub_leaves_no_branch_behind(tatami_repository: Path) -> None:
    """An orderly stop lets every branch follow first."""
    with Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("a", workspace=False)
        last = [agent.commit(f"{n}", {"f": f"{n}".encode()}).id for n in range(20)][-1]
        swarm.stop()
    with Swarm.open(tatami_repository) as swarm:
        assert branch(tatami_repository, "a") == last


def test_a_workspace_made_in_a_storm_begins_at_the_last_commit(tatami_repository: Path) -> None:
    """A line whose branch still lags gets a workspace with all of its commits."""
    with Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("a", workspace=False)
        for number in range(20):
            agent.commit(f"{number}", {"f": f"{number}".encode()})
        path = Path(swarm.agent("a").path)
    assert (path / "f").read_bytes() == b"19"
    assert git(path, "status", "--porcelain") == ""


def test_a_commit_by_git_on_a_lagging_branch_is_not_overwritten(tatami_repository: Path) -> None:
    """What an agent commits with plain git is taken over by its next verb."""
    with Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("a")
        path = Path(agent.path)
        (path / "by-git").write_text("1")
        git(path, "add", "by-git")
        git(path, "commit", "-qm", "by git")
        theirs = branch(tatami_repository, "a")
        (path / "by-tatami").write_text("1")
        commit = agent.commit("by tatami")
    assert git(path, "rev-parse", f"{commit.id}^").strip() == theirs
    assert branch(tatami_repository, "a") == commit.id
