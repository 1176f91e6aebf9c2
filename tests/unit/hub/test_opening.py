"""What a hub finds when it opens a repository is made durable before anybody hears of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OPEN = """
import sys
from tatami.store.locate import find
from tatami.store.repository import Repository
Repository.open(find(sys.argv[1]), writes=sys.argv[2] == "writes").close()
"""


def synced(root: Path, handle: str) -> list[str]:
    """The calls that opening a repository syncs something with, in their order."""
    strace = shutil.which("strace")
    probe = subprocess.run([strace or "false", "-qq", "true"], capture_output=True, check=False)
    if not strace or probe.returncode:
        pytest.skip("strace, and the right to trace, are needed")
    trace = root.parent / "trace"
    command = [strace, "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync,syncfs", "-o", str(trace)]
    subprocess.run([*command, sys.executable, "-c", OPEN, str(root), handle], check=True)
    return [line.split(None, 1)[1] for line in trace.read_text().splitlines()]


def test_a_writer_syncs_the_head_it_finds(tatami_repository: Path) -> None:
    """First what the operation consists of, then the folder of the op heads.

    The story: a hub died after it had swapped the op head, and before its second barrier. The next
    one answered from that head, and the power went.
    """
    calls = synced(tatami_repository, "writes")
    assert [call.split("(")[0] for call in calls] == ["syncfs", "syncfs", "fsync"]
    assert "op_heads/heads>" in calls[-1]


def test_a_reader_syncs_nothing(tatami_repository: Path) -> None:
    """It makes nobody wait for the disk."""
    assert synced(tatami_repository, "reads") == []
