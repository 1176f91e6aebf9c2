"""The index's lock: git's own file, and whose it is."""

import os
import subprocess
from pathlib import Path

import pytest

from tatami.values.errors import BusyError
from tatami.workspaces.index import IndexEntry, IndexLock, update
from tatami.workspaces.snapshot import blob_id
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git, run


def lock_file(space: Workspace) -> Path:
    """Where git looks for the lock."""
    return Path(space.git_dir) / "index.lock"


def dead_process() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_lock_keeps_git_out(space: Workspace) -> None:
    """While it is held `git add` fails, afterwards it works."""
    lock = IndexLock(space)
    lock.acquire()
    assert run(space.path, "git", "add", "--all", check=False).returncode == 128
    lock.release()
    git(space.path, "add", "--all")


def test_a_second_holder_is_refused(space: Workspace) -> None:
    """Also within one process."""
    lock = IndexLock(space)
    lock.acquire()
    with pytest.raises(BusyError) as refusal:
        IndexLock(space).acquire()
    assert refusal.value.code == "index_locked"
    lock.release()


@pytest.mark.parametrize(
    "text",
    ["", "garbage", "tatami", "tatami x\n", f"tatami {os.getpid()}\n"],
    ids=["git", "garbage", "half", "no-number", "living"],
)
def test_a_lock_that_may_be_in_use_stays(space: Workspace, text: str) -> None:
    """git's own (empty), a half-written one, and one of a living process."""
    lock_file(space).write_text(text)
    with pytest.raises(BusyError):
        IndexLock(space).acquire()
    assert lock_file(space).read_text() == text


def test_a_dead_owner_is_replaced(space: Workspace) -> None:
    """The lock then names the new owner."""
    lock_file(space).write_text(f"tatami {dead_process()}\n")
    lock = IndexLock(space)
    lock.acquire()
    assert lock_file(space).read_text() == f"tatami {os.getpid()}\n"
    lock.release()
    assert not lock_file(space).exists()


def test_release_leaves_the_lock_of_the_next_alone(space: Workspace) -> None:
    """Once given up, the file is somebody else's."""
    lock = IndexLock(space)
    lock.acquire()
    lock.release()
    lock_file(space).write_text("")
    lock.release()
    assert lock_file(space).exists()


def test_update_gives_up_the_lock(space: Workspace) -> None:
    """The entries are in the index, and the lock is gone."""
    (Path(space.path) / "new.txt").write_text("new\n")
    lock = IndexLock(space)
    lock.acquire()
    update(lock, space, [IndexEntry("new.txt", 0o100644, blob_id(b"new\n"))])
    lock.release()
    assert git(space.path, "status", "--porcelain") == "A  new.txt"
    assert not lock_file(space).exists()


def test_a_death_while_the_lock_is_made_leaves_none(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is never there without its owner's number: nobody could take such a one over."""
    seen: list[bytes] = []
    write = os.write

    def dies(file: int, data: bytes) -> int:
        seen.append(b"lock" if os.path.exists(os.path.join(space.git_dir, "index.lock")) else b"")
        return write(file, data)

    monkeypatch.setattr(os, "write", dies)
    lock = IndexLock(space)
    lock.acquire()
    lock.release()
    assert seen == [b""]


@pytest.mark.parametrize("text", ["", f"tatami {os.getpid()}\n"], ids=["empty", "a live number"])
def test_a_lock_from_before_the_machine_was_started_is_taken_over(
    space: Workspace, text: str
) -> None:
    """A power cut took its text, or another process has its owner's number by now."""
    lock_file(space).write_text(text)
    os.utime(lock_file(space), (1, 1))
    IndexLock(space).acquire()
    assert lock_file(space).read_text() == f"tatami {os.getpid()}\n"


def test_a_lock_of_git_is_left_alone_however_old(space: Workspace) -> None:
    """git's own has an index in it, and somebody may want to look at it."""
    lock_file(space).write_bytes(b"DIRC")
    os.utime(lock_file(space), (1, 1))
    with pytest.raises(BusyError):
        IndexLock(space).acquire()
