"""A workspace's git index: its lock, and making it agree with a commit.

The lock is git's own `index.lock`, so that git and editors keep out while a snapshot is taken.
Only the standard library and the core: the hot verbs import this file.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Sequence
from shlex import quote
from typing import NamedTuple

from tatami import _core
from tatami.values.errors import BusyError
from tatami.workspaces.core import core_errors
from tatami.workspaces.head import first_line
from tatami.workspaces.kinds import layers
from tatami.workspaces.worktree import Workspace

OWNER = "tatami "
"""How the text of a lock file of ours begins; the process id follows."""

Stat = tuple[int, int, int, int, int, int, int, int]
"""ctime s, ns, mtime s, ns, dev, ino, uid, gid."""


class IndexEntry(NamedTuple):
    """A path as a commit has it: mode 0 where it is deleted (id is "" then)."""

    path: str
    mode: int
    id: str


class IndexLock:
    """A workspace's `index.lock`; one that a dead process of ours left behind is taken over."""

    def __init__(self, space: Workspace) -> None:
        self._git_dir = space.git_dir
        self._path = os.path.join(space.git_dir, "index.lock")
        self._held = False

    def acquire(self) -> None:
        """Takes the lock; raises `BusyError` (`index_locked`) where somebody has it."""
        try:
            self._create()
        except FileExistsError:
            self._take_over()
        self._held = True

    def release(self) -> None:
        """Gives the lock up where it is still held."""
        if self._held:
            self._held = False
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def consumed(self) -> None:
        """Notes that the lock file has become the index."""
        self._held = False

    def _create(self) -> None:
        # Its owner is in it from the first moment: one without could never be taken over.
        owned = f"{self._path}.{os.getpid()}"
        file = os.open(owned, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            os.write(file, f"{OWNER}{os.getpid()}\n".encode())
            os.link(owned, self._path)
        finally:
            os.close(file)
            os.unlink(owned)

    def _take_over(self) -> None:
        # Two that find the same dead owner must not both remove its lock: the second would remove
        # the first one's new lock.
        folder = os.open(self._git_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not self._owner_is_dead():
                raise self._busy()
            os.unlink(self._path)
            self._create()
        except (FileNotFoundError, FileExistsError):
            raise self._busy() from None
        finally:
            os.close(folder)

    def _owner_is_dead(self) -> bool:
        with open(self._path, "rb") as file:
            text = file.read(32)
            written = os.fstat(file.fileno()).st_mtime
        # A power cut leaves the name and takes the text; a process of that number is another one.
        if (not text or text.startswith(OWNER.encode())) and written < _booted():
            return True
        if not text.startswith(OWNER.encode()) or not text.endswith(b"\n"):
            return False
        try:
            os.kill(int(text[len(OWNER) :]), 0)
        except ProcessLookupError:
            return True
        except (PermissionError, ValueError):
            pass
        return False

    def _busy(self) -> BusyError:
        return BusyError(
            f"another program holds {self._path}",
            code="index_locked",
            fix=f"try again; if no git or tatami command runs there: rm {quote(self._path)}",
        )


def git_holds(space: Workspace) -> bool:
    """Whether a program that is not ours holds the index now, as git does while it checks out."""
    path = os.path.join(space.git_dir, "index.lock")
    return os.path.exists(path) and not first_line(path).startswith(OWNER)


def update(
    lock: IndexLock,
    space: Workspace,
    entries: Sequence[IndexEntry],
    *,
    seen: _core.Scan | None = None,
    settle: bool = False,
) -> str:
    """Sets entries of the index, which gives up the lock.

    An entry vouches for its file only where the file has that content still: what was written
    meanwhile stays an edit for git. Returns the index's last bytes (hex), "" where they are not
    known. seen: the scan that found the entries. settle: an index that was split for speed becomes
    whole again.
    """
    if not entries and not settle:
        return ""
    written = ""
    with core_errors():
        if space.kind == "overlay":
            lower_index = layers.of(space.git_dir).lower_index
            written = _core.update_overlay_index(
                space.common, space.path, lower_index, entries, settle, seen
            )
        elif entries:
            _core.update_index(space.common, space.path, entries)
    lock.consumed()
    return written


def _booted() -> float:
    """When this machine was started, or the beginning of time where it does not tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if clock is None else time.time() - time.clock_gettime(clock)


def checksum(space: Workspace) -> str:
    """The last bytes (hex) of a workspace's index, which are another with each content."""
    with open(os.path.join(space.git_dir, "index"), "rb") as file:
        file.seek(-20, os.SEEK_END)
        return file.read().hex()


def stat_of(path: str) -> Stat | None:
    """A file's stat as the core takes it; None where there is no such file."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    second = 1_000_000_000
    ctime, mtime = divmod(found.st_ctime_ns, second), divmod(found.st_mtime_ns, second)
    return (*ctime, *mtime, found.st_dev, found.st_ino, found.st_uid, found.st_gid)
