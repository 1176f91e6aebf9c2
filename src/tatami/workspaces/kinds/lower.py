"""Shared lower trees: each made once, never changed, removed when no workspace names it.

Which workspaces use a tree is read from their registrations each time; a count that is stored
could be wrong. The caller holds `making.one_at_a_time`.
"""

import contextlib
import os
import shutil
import tempfile

from tatami import _core
from tatami.workspaces import git
from tatami.workspaces.core import core_errors
from tatami.workspaces.kinds import layers
from tatami.workspaces.recovery import durable

_OLD = 1_000_000_000
"""A time in the past, in seconds, that files get which git had to write."""
_MAKING = ".making-"
_REMOVING = ".removing-"
_PLAIN_INDEX = (
    *("-c", "core.splitIndex=false"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.untrackedCache=false"),
    *("-c", "index.version=2"),
    *("-c", "index.skipHash=false"),
)
"""The index beside a tree is read entry by entry, whatever the user's settings are."""


def ensure(common: str, tree: str) -> None:
    """Makes the lower tree with this id unless it is there; raises `TatamiError`.

    It gets its name only once it is complete; what a crash leaves has another one.
    """
    folder = layers.lower_folder(common)
    place = os.path.join(folder, tree)
    if os.path.isdir(place):
        return
    os.makedirs(folder, exist_ok=True)
    making = tempfile.mkdtemp(prefix=_MAKING, dir=folder)
    try:
        os.chmod(making, 0o755)  # noqa: S103 - as git makes directories; the umask is not asked
        with core_errors():
            made = _core.make_lower(common, tree, making)
        _through_git(common, making, made.skipped)
        # Every workspace over it takes it as it is, also after a power cut.
        durable.sync_file_system(making)
        os.rename(making, place)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise


def size(common: str, tree: str) -> int:
    """How many files a lower tree has; 0 where there is none."""
    try:
        with open(os.path.join(layers.lower_folder(common), tree, "index"), "rb") as file:
            return int.from_bytes(file.read(12)[8:], "big")
    except FileNotFoundError:
        return 0


def checksum(common: str, tree: str) -> str:
    """The last bytes (hex) of the index beside a lower tree, which is that tree."""
    with open(os.path.join(layers.lower_folder(common), tree, "index"), "rb") as file:
        file.seek(-20, os.SEEK_END)
        return file.read().hex()


def used(common: str) -> dict[str, list[str]]:
    """Which lower trees workspaces are over, by tree: the workspaces' names."""
    folder = os.path.join(common, "worktrees")
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        git_dir = os.path.join(folder, name)
        if layers.is_overlay(git_dir):
            found.setdefault(layers.of(git_dir).tree, []).append(name)
    return found


def sweep(common: str) -> list[str]:
    """Removes lower trees that nobody uses, and what crashes left; returns the trees' ids."""
    folder = layers.lower_folder(common)
    wanted = used(common)
    gone = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if name in wanted:
            continue
        path = os.path.join(folder, name)
        if not name.startswith((_MAKING, _REMOVING)):
            gone.append(name)
            # Half of a tree must not look like a whole one.
            leaving = os.path.join(folder, _REMOVING + name)
            os.rename(path, leaving)
            path = leaving
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    return gone


def _through_git(common: str, place: str, paths: list[str]) -> None:
    """Lets git write the files whose bytes its attributes change, into files and index."""
    if not paths:
        return
    files = os.path.join(place, "files")
    extra = {
        "GIT_DIR": common,
        "GIT_WORK_TREE": files,
        "GIT_INDEX_FILE": os.path.join(place, "index"),
    }
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    command = ("checkout-index", "-f", "-u", "-q", "-z", "--stdin")
    git.run(files, *_PLAIN_INDEX, *command, stdin=listed, extra=extra)
    # A file as young as its index is read again by every `git status`.
    for path in paths:
        os.utime(os.path.join(files, path), times=(_OLD, _OLD), follow_symlinks=False)
    git.run(files, *_PLAIN_INDEX, "update-index", "-q", "--refresh", extra=extra)
