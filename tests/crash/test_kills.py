"""The hub is killed with -9 at random moments, again and again, while agents work."""

import tatami
from tests import sandbox
from tests.crash.conftest import Storm

SEED = 20
KILLS = 10
LANDING_KILLS = 6


def test_a_storm_survives_a_hub_that_dies(storm: Storm) -> None:
    """Agents finish by themselves; every acknowledged commit is in its line once, in order."""
    storm.begin(["coder-1", "coder-2", "coder-3"], commits=40)
    kills = storm.kill_hubs(KILLS, SEED)
    assert storm.wait() == []
    assert kills >= KILLS
    assert storm.problems() == []
    for name in storm.names:
        line = sandbox.git(storm.root, "rev-list", "--reverse", f"main..agent/{name}").split()
        assert line == storm.acked(name)
        assert storm.subjects(f"agent/{name}") == storm.expected(name)


def test_commands_are_carried_out_once_over_deaths(storm: Storm) -> None:
    """The operation log has as many commands of each agent as the agent sent."""
    storm.begin(["coder-1", "coder-2"], commits=12)
    assert storm.kill_hubs(3, SEED + 1) >= 3
    assert storm.wait() == []
    with tatami.Swarm.open(str(storm.root)) as swarm:
        commands = [row for op in swarm.operations() for row in op["commands"]]
    sent = [row["agent"] for row in commands if row["verb"] == "commit"]
    assert sorted(sent) == ["coder-1"] * 12 + ["coder-2"] * 12


def test_landings_survive_a_hub_that_dies(storm: Storm) -> None:
    """Every change is on the trunk once; branch, bookmark and checkout agree."""
    storm.begin(["coder-1", "coder-2"], commits=10, land=True)
    kills = storm.kill_hubs(LANDING_KILLS, SEED + 2, apart=2)
    assert storm.wait() == []
    assert kills >= LANDING_KILLS
    assert storm.problems() == []
    landed = storm.subjects("main")
    for name in storm.names:
        assert [line for line in landed if line.startswith(name)] == storm.expected(name)
    status = sandbox.tatami_json(storm.root, "status")
    assert status["trunk"]["commit"] == sandbox.git(storm.root, "rev-parse", "main")
    assert status["queue"] == []
    assert sandbox.git(storm.root, "status", "--porcelain", "--branch") == "## main"
    assert (storm.root / "coder-2/9.txt").read_bytes() == b"coder-2 9\n"


def test_a_branch_that_git_holds_does_not_keep_a_hub_from_starting(storm: Storm) -> None:
    """A lock that another git left on an agent's branch holds up that branch alone."""
    storm.begin(["coder-1", "coder-2"], commits=3)
    assert storm.wait() == []
    behind = sandbox.git(storm.root, "rev-parse", "agent/coder-1~1")
    for hub in sandbox.hubs_under(storm.root):
        sandbox.kill_hub(hub)
    sandbox.git(storm.root, "update-ref", "refs/heads/agent/coder-1", behind)
    lock = storm.root / ".git/refs/heads/agent/coder-1.lock"
    lock.touch()
    with tatami.Swarm.open(str(storm.root)) as swarm:
        agents = [tatami.Agent(swarm, name, None) for name in ("coder-1", "coder-2")]
        for agent in agents:
            commit = agent.commit("more", {f"{agent.name}/more.txt": b"more\n"})
            assert swarm.resolve(f"agent/{agent.name}") == commit.id
        commit.visible()
        assert sandbox.git(storm.root, "rev-parse", "agent/coder-2") == commit.id
        lock.unlink()
        commit = agents[0].commit("last", {"coder-1/last.txt": b"last\n"}).visible()
        assert sandbox.git(storm.root, "rev-parse", "agent/coder-1") == commit.id
    assert storm.problems() == []
