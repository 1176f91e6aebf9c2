"""A full disk: commits are refused, nothing is lost, and it goes on when there is space again."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import tatami
from tests import sandbox
from tests.conftest import stop_hubs


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes; skips where this user may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        yield place
        stop_hubs(place)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    """What was acknowledged is there, reading works, and the same agent goes on afterwards."""
    root = small_disk / "repo"
    root.mkdir()
    sandbox.git(root, "init", "--quiet", "--initial-branch", "main")
    sandbox.commit_file(root, "first.txt", b"first\n")
    acked: list[str] = []

    def fill() -> None:
        for number in range(200):
            changes = {f"{number}.bin": os.urandom(60_000)}
            acked.append(agent.commit(f"{number}", changes).id)

    with tatami.Swarm.open(root, init=True) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        with pytest.raises(tatami.TatamiError) as refused:
            fill()
        assert (refused.value.code, refused.value.retryable) == ("no_space", True)
        assert swarm.read("agent/coder-1", ["0.bin"]) != [None]
        subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
        acked.append(agent.commit("space again", {"last.txt": b"last\n"}).id)
        line = [row["commit"] for row in swarm.log("agent/coder-1")]
    assert line[:-1] == acked[::-1]
