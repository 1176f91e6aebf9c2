"""Where a verify command runs, and what becomes of the directory when the hub is killed."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from tatami.hub.landing.verifying import Verifier, clear_left_overs
from tatami.store.repository import Repository
from tatami.values.errors import TatamiError
from tatami.values.specs import CommitSpec

KILLED = """
import sys
from tatami.hub.landing.verifying import Verifier
class Repository:
    def export(self, specs, directory): pass
Verifier().verify(Repository(), [], sys.argv[1])
"""
"""A process that verifies, as the hub does, and is killed while its command runs."""


class OneFile:
    """A repository whose every tree is one file."""

    def export(self, specs: Sequence[CommitSpec], directory: str) -> int:
        """Writes it."""
        (Path(directory) / "file.txt").write_text("content\n")
        return 1


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files, empty."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def names(place: Path) -> list[str]:
    """What lies there."""
    return sorted(path.name for path in place.iterdir())


def test_nothing_is_left_of_a_verification(place: Path) -> None:
    """The command ran where the tree is, and the directory is gone afterwards."""
    verdict = Verifier().verify(cast(Repository, OneFile()), [], "cat file.txt")
    assert (verdict.passed, verdict.output) == (True, "content\n")
    assert names(place) == []


def test_what_a_killed_hub_left_is_removed(place: Path) -> None:
    """Nobody has the directory locked any more."""
    (place / "tatami-verify-abc" / "tree" / "folder").mkdir(parents=True)
    (place / "another").mkdir()
    clear_left_overs()
    assert names(place) == ["another"]


def test_the_next_verification_clears_up_too(place: Path) -> None:
    """A hub that runs for weeks does not wait for the next one."""
    (place / "tatami-verify-abc").mkdir()
    Verifier().verify(cast(Repository, OneFile()), [], "true")
    assert names(place) == []


def test_a_directory_in_use_stays(place: Path) -> None:
    """Another repository's hub verifies at the same time."""
    used = place / "tatami-verify-abc"
    used.mkdir()
    lock = os.open(used, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    clear_left_overs()
    assert names(place) == ["tatami-verify-abc"]
    os.close(lock)


def test_what_only_has_the_name_stays(place: Path) -> None:
    """A file is nothing we made, nor is a link, wherever it leads."""
    (place / "elsewhere").mkdir()
    (place / "tatami-verify-file").touch()
    (place / "tatami-verify-link").symlink_to(place / "elsewhere")
    clear_left_overs()
    assert names(place) == ["elsewhere", "tatami-verify-file", "tatami-verify-link"]


def test_a_command_that_survives_its_hub_keeps_its_directory(place: Path, tmp_path: Path) -> None:
    """The tree is not taken from under a command that runs; once it has ended, it is cleared."""
    begun, end = tmp_path / "begun", tmp_path / "end"
    os.mkfifo(begun)
    os.mkfifo(end)
    command = f"echo begun > {begun}; read word < {end}"
    hub = subprocess.Popen([sys.executable, "-c", KILLED, command])
    assert begun.read_text() == "begun\n"
    hub.send_signal(signal.SIGKILL)
    hub.wait()
    clear_left_overs()
    assert len(names(place)) == 1
    with end.open("w") as word:
        word.write("now\n")
    for _ in range(1000):
        clear_left_overs()
        if not names(place):
            break
        time.sleep(0.01)
    assert names(place) == []


class TooLarge(OneFile):
    """A repository whose tree has no room where it is to be verified."""

    def export(self, specs: Sequence[CommitSpec], directory: str) -> int:
        """Finds the disk full."""
        raise TatamiError("No space left on device", code="no_space", retryable=True)


@pytest.mark.usefixtures("place")
def test_a_tree_there_is_no_room_for_is_not_verified() -> None:
    """It fails alone, and says why: there may never be room for it, and others wait behind it."""
    verdict = Verifier().verify(cast(Repository, TooLarge()), [], "true")
    assert not verdict.passed
    assert "No space left on device" in verdict.output
