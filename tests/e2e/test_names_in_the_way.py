"""Branches of the user's that leave no room for those of agents."""

from pathlib import Path

from tests import sandbox
from tests.e2e.conftest import Refused


def test_a_branch_called_agent_is_renamed_before_init(repository: Path, refused: Refused) -> None:
    """git cannot have `agent` and `agent/NAME` side by side; init says so, with the cure."""
    sandbox.git(repository, "branch", "agent")
    assert refused(repository, "init") == (64, "branch_exists")
    sandbox.git(repository, "branch", "-m", "agent", "agent-old")
    assert sandbox.tatami_json(repository, "init")["trunk"] == "main"


def test_a_branch_called_agent_refuses_agents(tatami_repository: Path, refused: Refused) -> None:
    """One made later is named when an agent is added, whether it is packed or not."""
    sandbox.git(tatami_repository, "branch", "agent")
    add = ("workspace", "add", "coder-1")
    assert refused(tatami_repository, *add) == (64, "branch_exists")
    sandbox.git(tatami_repository, "pack-refs", "--all")
    assert refused(tatami_repository, *add) == (64, "branch_exists")
    sandbox.git(tatami_repository, "branch", "-m", "agent", "agent-old")
    assert [row["name"] for row in sandbox.tatami_json(tatami_repository, *add)] == ["coder-1"]
