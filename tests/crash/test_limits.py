"""A disk that fails or is full, a system that gives no more: nothing half done or lost."""

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tatami
from tests import sandbox
from tests.crash import verdict
from tests.crash.conftest import Storm
from tests.crash.image import small_image

DIED = 70
FAILED_SYNCS = (("fdatasync", 2), ("fsync", 3), ("fsync", 8), ("fsync", 14), ("syncfs", 1))
FAILED_WRITES = (("write", 9), ("rename", 2), ("renameat", 2), ("pwrite64", 3))


@pytest.fixture(scope="session")
def strace() -> str:
    """The path of strace; skips where it is missing or may not trace."""
    found = shutil.which("strace")
    probe = [found or "strace", "-f", "--seccomp-bpf", "-qq", "true"]
    if not found or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("strace, and the right to trace, are needed")
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 file system of 16 MiB; skips where this machine does not let us mount one."""
    with small_image(tmp_path / "small", 16) as place:
        yield place


def failing_hub(strace: str, root: Path, call: str, error: str) -> subprocess.Popen[bytes]:
    """Starts a hub one of whose calls fails with an error; returns when it serves, or has ended."""
    ours, theirs = os.pipe()
    options = ["-f", "-qq", "--seccomp-bpf", "-o", os.devnull]
    inject = ["-e", f"trace={call.split(':', maxsplit=1)[0]}", "-e", f"inject={call}:error={error}"]
    hub = [sys.executable, "-P", "-m", "tatami.hub", str(root), str(theirs)]
    process = subprocess.Popen([strace, *options, *inject, *hub], pass_fds=(theirs,), cwd="/")
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        pipe.readline()
    return process


def hub_pid(swarm: tatami.Swarm) -> int:
    """The process that serves."""
    pid: int = swarm.status()["hub"]["pid"]
    return pid


def limit_memory(pid: int, more: int) -> None:
    """Gives a process no more than this many bytes on top of what it has."""
    status = Path(f"/proc/{pid}/status").read_text()
    size = int(status.split("VmSize:")[1].split()[0]) * 1024
    resource.prlimit(pid, resource.RLIMIT_AS, (size + more, resource.RLIM_INFINITY))


@pytest.mark.parametrize("mode", verdict.MODES)
@pytest.mark.parametrize(("call", "number"), FAILED_SYNCS)
def test_a_sync_that_fails_ends_the_hub_unanswered(
    storm: Storm, strace: str, call: str, number: int, mode: str
) -> None:
    """It is not tried again and called good: the next hub finds out what the disk holds."""
    hub = failing_hub(strace, storm.root, f"{call}:when={number}", "EIO")
    storm.begin(["coder-1"], commits=3, land=True)
    assert storm.wait() == []
    assert hub.wait(60) in {DIED, 1}, "the hub goes on after a failed sync"
    assert storm.problems() == []
    assert storm.subjects("main") == storm.expected("coder-1")


@pytest.mark.parametrize(("call", "number"), FAILED_WRITES)
def test_a_full_disk_at_any_write_publishes_nothing_half(
    storm: Storm, strace: str, call: str, number: int
) -> None:
    """Whatever could not be written is refused, or done once by whoever tries again."""
    hub = failing_hub(strace, storm.root, f"{call}:when={number}", "ENOSPC")
    storm.begin(["coder-1"], commits=3)
    storm.wait()
    sandbox.tatami(storm.root, "stop")
    hub.wait(60)
    assert storm.problems() == []
    there = sandbox.git(storm.root, "log", "--format=%H %s", "--all").splitlines()
    assert verdict.twice(line.split(" ", 1)[1] for line in there) == []
    ids = {line.split(" ")[0] for line in there}
    assert [id for id in storm.acked("coder-1") if id not in ids] == []


def test_a_full_file_system_refuses_and_goes_on(small_disk: Path) -> None:
    """Commits are refused with a code that says so; reading works; space brings it back."""
    root = sandbox.make_repository(small_disk / "repo")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(4 << 20))
    acked: list[str] = []

    def fill() -> None:
        for number in range(400):
            result = agent.commit("fill", {f"{number}.bin": os.urandom(100_000)})
            acked.append(result.id)

    with tatami.Swarm.open(root, init=True) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        with pytest.raises(tatami.TatamiError) as refused:
            fill()
        assert (refused.value.code, refused.value.retryable) == ("no_space", True)
        assert swarm.read("agent/coder-1", ["0.bin"]) != [None]
        ballast.unlink()
        acked.append(agent.commit("space again", {"last.txt": b"last\n"}).visible().id)
        swarm.stop()
    sandbox.tatami(root, "stop")
    acks = small_disk.parent / "acks"
    acks.write_text("".join(f"{id}\n" for id in acked))
    assert verdict.problems(root, acks) == []


def test_a_file_that_may_not_grow_is_refused(tatami_repository: Path) -> None:
    """RLIMIT_FSIZE, as a quota would: what is small goes on."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        agent.commit("first", {"1": b"1"})
        limits = (200_000, resource.RLIM_INFINITY)
        resource.prlimit(hub_pid(swarm), resource.RLIMIT_FSIZE, limits)
        with pytest.raises(tatami.TatamiError) as refused:
            agent.commit("big", {"big": os.urandom(400_000)})
        assert (refused.value.code, refused.value.retryable) == ("no_space", True)
        agent.commit("small", {"2": b"2"})
        found = [row["description"].strip() for row in swarm.log("agent/coder-1", limit=2)]
    assert found == ["small", "first"]


def test_a_hub_without_descriptors_sheds_load(tatami_repository: Path) -> None:
    """A commit is refused as one to try again, or left to the next hub; nothing is half done."""
    socket_file = tatami_repository / ".git/tatami/hub/socket"
    with tatami.Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        agent.commit("first", {"1": b"1"})
        pid = hub_pid(swarm)
        open_files = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_files + 4, 4096))
        others = [socket.socket(socket.AF_UNIX) for _ in range(10)]
        for other in others:
            other.connect(str(socket_file))
        refusals = []
        for attempt in range(100):
            try:
                agent.commit("while others are there", {"2": b"2"}).visible()
                break
            except tatami.TatamiError as error:
                refusals.append((error.code, error.retryable))
                others[attempt % len(others)].close()
        for other in others:
            other.close()
        assert {retryable for _, retryable in refusals} <= {True}
        assert len(refusals) < 100
        swarm.stop()
    sandbox.tatami(tatami_repository, "stop")
    assert verdict.problems(tatami_repository, tatami_repository.parent / "acks") == []


def test_a_hub_without_memory_publishes_nothing_half(tatami_repository: Path) -> None:
    """What does not fit is not taken; the hub lives, and takes what fits."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        agent.commit("first", {"1": b"1"})
        pid = hub_pid(swarm)
        limit_memory(pid, 20_000_000)
        greedy = subprocess.Popen(
            verdict.interpreter("-c", GREEDY, tatami_repository), stderr=subprocess.DEVNULL
        )
        while not any(row["name"] == "greedy" for row in swarm.status()["agents"]):
            time.sleep(0.02)
        for number in range(20):
            agent.commit(f"fits {number}", {"2": b"%d" % number})
        greedy.kill()
        greedy.wait()
        assert hub_pid(swarm) == pid
        found = {row["description"].strip() for row in swarm.log("agent/greedy")}
        assert "greedy" not in found
        swarm.stop()
    sandbox.tatami(tatami_repository, "stop")
    assert verdict.problems(tatami_repository, tatami_repository.parent / "acks") == []


def test_a_hub_that_can_start_no_thread_still_stops(tatami_repository: Path) -> None:
    """The end needs nothing that a system short of memory refuses."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        swarm.agent("coder-1", workspace=False).commit("first", {"1": b"1"})
        limit_memory(hub_pid(swarm), 0)
    assert sandbox.tatami(tatami_repository, "stop").returncode == 0


GREEDY = """
import os, sys, tatami
with tatami.Swarm.open(sys.argv[1]) as swarm:
    agent = swarm.agent("greedy", workspace=False)
    agent.commit("greedy", {f"{n}": os.urandom(30_000_000) for n in range(2)})
"""
