"""The hub dies at its k-th call of a kind that writes, for a sample of kinds and k.

A tiny workload (an agent, two commits, two landings) goes on over the death by itself. To walk
through every k by hand, widen `POINTS`; counts are per thread, and those below are all reached.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import sandbox
from tests.crash.conftest import Storm

POINTS = (
    ("fdatasync", 2),
    ("fdatasync", 9),
    ("fsync", 4),
    ("fsync", 15),
    ("pwrite64", 7),
    ("rename", 2),
    ("renameat", 3),
    ("renameat", 8),
    ("unlink", 4),
    ("write", 8),
)


@pytest.fixture(scope="session")
def strace() -> str:
    """The path of strace; skips where it is missing or may not trace."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed")
    if subprocess.run([found, "-qq", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    return found


def hub_that_dies(strace: str, root: Path, call: str, number: int) -> subprocess.Popen[bytes]:
    """Starts a hub that is killed on entering a call; returns when it serves, or has died."""
    ours, theirs = os.pipe()
    # Its children are let go: what git does is git's.
    options = ["-f", "-qq", "--detach-on=execve", "-o", os.devnull]
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
    hub = [sys.executable, "-P", "-m", "tatami.hub", str(root), str(theirs)]
    process = subprocess.Popen([strace, *options, *inject, *hub], pass_fds=(theirs,))
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        pipe.readline()
    return process


@pytest.mark.parametrize(("call", "number"), POINTS)
def test_a_death_at_a_write_loses_nothing(
    storm: Storm, strace: str, call: str, number: int
) -> None:
    """Commits are in the line once, landings on the trunk once, and fsck finds nothing."""
    hub = hub_that_dies(strace, storm.root, call, number)
    storm.begin(["coder-1"], commits=2, land=True)
    assert storm.wait() == []
    assert hub.wait(30) < 0, "the hub did not get as far as this call"
    assert storm.problems() == []
    line = sandbox.git(storm.root, "rev-list", "--reverse", "main~2..agent/coder-1").split()
    assert line == storm.acked("coder-1")
    assert storm.subjects("main") == storm.expected("coder-1")
    assert sandbox.git(storm.root, "status", "--porcelain", "--branch") == "## main"
