"""The async SDK: agents that overlap, landings that do not hold them up, events over a restart."""

import asyncio
from pathlib import Path

from tatami import AsyncSwarm
from tests import sandbox
from tests.sandbox import git


async def commit_ten(root: Path, name: str) -> list[str]:
    """Ten agents commit three times each, side by side; returns the commits."""
    async with AsyncSwarm.open(str(root)) as swarm:
        agents = await swarm.agents([f"{name}-{n}" for n in range(10)], workspace=False)

        async def work(number: int) -> list[str]:
            agent = agents[number]
            done = [
                await agent.commit(f"{number}.{round}", {f"{name}/{number}/{round}": b"x\n"})
                for round in range(3)
            ]
            return [commit.id for commit in done]

        rows = await asyncio.gather(*map(work, range(10)))
        known = {row["commit"] async for row in swarm.log(all=True)}
    commits = [commit for row in rows for commit in row]
    assert set(commits) <= known
    return commits


def test_agents_commit_side_by_side(shared: Path, name: str) -> None:
    """Every acknowledged commit is in history, once."""
    commits = asyncio.run(commit_ten(shared, name))
    assert len(set(commits)) == 30


async def land_and_commit(root: Path, name: str) -> tuple[str, str]:
    """Waits for a landing while the same agent goes on committing."""
    async with AsyncSwarm.open(str(root)) as swarm:
        agent = await swarm.agent(name)
        first = await agent.commit("first", {f"{name}.txt": b"1\n"})
        landing = await agent.land()
        result, second = await asyncio.gather(
            landing.result(), agent.commit("second", {f"{name}.txt": b"2\n"})
        )
        assert result.state == "landed"
        rows = await swarm.workspaces(name)
        assert [row["path"] for row in rows] == [agent.path]
    return first.id, second.id


def test_a_landing_does_not_hold_up_its_agent(shared: Path, name: str) -> None:
    """What was queued lands, what came later is on the line."""
    first, second = asyncio.run(land_and_commit(shared, name))
    assert git(shared, "merge-base", "--is-ancestor", first, "main") == ""
    assert git(shared, "rev-parse", f"agent/{name}") == second


async def events_over_a_restart(root: Path, name: str) -> list[str]:
    """Subscribes, commits, kills the hub, commits again; returns the commits it heard of."""
    heard: list[str] = []
    async with AsyncSwarm.open(str(root)) as swarm:
        agent = await swarm.agent(name, workspace=False)
        events = swarm.events(after=(await swarm.status())["cursor"])
        sent = [(await agent.commit("one", {f"{name}/1": b"x"})).id]
        heard.append((await anext(events))["commit"])
        for hub in sandbox.hubs_under(root):
            sandbox.kill_hub(hub)
        sent.append((await agent.commit("two", {f"{name}/2": b"x"})).id)
        heard.append((await anext(events))["commit"])
        await events.aclose()
    assert heard == sent
    return heard


def test_a_subscriber_hears_everything_over_a_restart(shared: Path, name: str) -> None:
    """The stream goes on where it was when the next hub is there."""
    assert len(asyncio.run(events_over_a_restart(shared, name))) == 2
