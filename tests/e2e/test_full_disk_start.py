"""A hub that starts where the disk is full already: it reads, and goes on by itself with space."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import tatami
from tests import sandbox
from tests.crash.image import small_image


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 file system of 24 MiB; skips where this machine does not let us mount one."""
    with small_image(tmp_path / "small", 24) as place:
        yield place


def fill(ballast: Path) -> None:
    """Takes all the space there is."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(os.urandom(4096))


def test_a_hub_starts_on_a_full_disk_and_lands_with_space(small_disk: Path) -> None:
    """It was killed with work in its queue; the next one finds no room for what it has to save.

    The story: it did not come up, not even to read; and what could not land never did.
    """
    root = sandbox.make_repository(small_disk / "repo")
    with tatami.Swarm.open(root, init=True) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        swarm.queue_action("pause")
        commit = agent.commit("a file", {"1": b"1\n"}).visible()
        entries = agent.land().entries
    for hub in sandbox.hubs_under(root):
        sandbox.kill_hub(hub)
    fill(small_disk / "ballast")
    with tatami.Swarm.open(root) as swarm:
        assert [row["commit"] for row in swarm.log("agent/coder-1", limit=1)] == [commit.id]
        assert [entry["state"] for entry in swarm.status()["queue"]] == ["queued"]
        (small_disk / "ballast").unlink()
        swarm.queue_action("resume")
        assert [entry["state"] for entry in swarm.finished(entries)] == ["landed"]
        assert swarm.status()["warnings"] == []
