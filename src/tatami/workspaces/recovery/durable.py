"""Makes loose objects and a ref durable, and the directories that name them.

git syncs files (where it is asked to) but no directories, and what it finds written already it
does not sync again. `sync` of everything would wait for the writes of every other program.
"""

import ctypes
import os
from collections.abc import Iterable, Sequence

from tatami.workspaces import git

FAN_OUT = 2
"""Digits of an id that are the name of its directory."""


def sync_objects(common: str, ids: Sequence[str]) -> bool:
    """Makes these objects durable; False where one is not in the repository (any more)."""
    folder = os.path.join(common, "objects")
    directories = {folder}
    packed: list[str] = []
    for id in ids:
        path = os.path.join(folder, id[:FAN_OUT], id[FAN_OUT:])
        try:
            _sync(path)
        except FileNotFoundError:
            packed.append(id)
        else:
            directories.add(os.path.dirname(path))
    for directory in sorted(directories, reverse=True):
        _sync(directory)
    return not packed or _all_there(common, packed)


def sync_ref(common: str, ref: str) -> None:
    """Makes a loose ref durable, and every directory on the way to it."""
    path = os.path.join(common, ref)
    try:
        _sync(path)
    except FileNotFoundError:
        # `git pack-refs` has moved it meanwhile, and syncs what it writes.
        path = os.path.dirname(path)
    while len(path) > len(common):
        path = os.path.dirname(path)
        if os.path.isdir(path):
            _sync(path)


def sync_file_system(path: str) -> None:
    """Makes everything durable that was written so far where `path` lies; raises `OSError`.

    For what has many files; a workspace whose files a power cut emptied looks like one whose agent
    emptied them.
    """
    sync = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if sync is None:
        os.sync()
        return
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if sync(folder):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(folder)


def _all_there(common: str, ids: Iterable[str]) -> bool:
    """Whether these are in packs, which git syncs, or in a repository that lends its objects."""
    stdin = "".join(f"{id}\n" for id in ids).encode()
    listed = git.run(common, "cat-file", "--batch-check", stdin=stdin).stdout
    return b" missing\n" not in listed


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
