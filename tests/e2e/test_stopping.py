"""Stopping the hub: at once, whatever runs, and nothing that was accepted is lost."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tatami
from tests import sandbox


def test_a_verification_does_not_hold_up_the_end(tatami_repository: Path, tmp_path: Path) -> None:
    """Its command is ended, its entry stays queued, and the next hub verifies it anew.

    The story: `tatami stop` waited for an hour-long test suite.
    """
    begun, go = tmp_path / "begun", tmp_path / "go"
    verify = f"test -e {go} || {{ touch {begun}; sleep 1000; }}"
    with tatami.Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("coder", workspace=False)
        agent.commit("Add a file", {"new": b"1\n"})
        (entry,) = agent.land(verify=verify).entries
        while not begun.exists():
            assert swarm.queue()[0]["state"] in {"queued", "landing"}
    assert sandbox.tatami_json(tatami_repository, "stop") == {"stopped": True}
    go.touch()
    with tatami.Swarm.open(tatami_repository) as swarm:
        (row,) = swarm.finished([entry])
    assert (row["state"], row["reason"]) == ("landed", "")


def test_who_waits_for_a_landing_goes_on_with_the_next_hub(
    tatami_repository: Path, tmp_path: Path
) -> None:
    """`tatami stop` has stopped the hub though somebody's wait starts the next one at once."""
    begun, go = tmp_path / "begun", tmp_path / "go"
    verify = f"touch {begun}; until test -e {go}; do sleep 0.05; done"
    with tatami.Swarm.open(tatami_repository) as swarm, ThreadPoolExecutor(1) as pool:
        agent = swarm.agent("coder", workspace=False)
        agent.commit("Add a file", {"new": b"1\n"})
        waiting = pool.submit(agent.land(verify=verify).result)
        while not begun.exists():
            time.sleep(0.01)
        assert sandbox.tatami_json(tatami_repository, "stop") == {"stopped": True}
        go.touch()
        assert waiting.result().state == "landed"
