"""Gives a workspace that was written many times a second an index that every program can read."""

import os
from contextlib import suppress

from tatami.values.errors import TatamiError
from tatami.workspaces import index, line
from tatami.workspaces.worktree import Workspace

_SHARED = "sharedindex."
"""How git names what a split index is over, in the worktree's git directory."""


def settle(space: Workspace) -> None:
    """Makes an index whole that was split for speed.

    One that somebody else is using stays as it is until the next commit.
    """
    shared = [name for name in os.listdir(space.git_dir) if name.startswith(_SHARED)]
    lock = index.IndexLock(space)
    with suppress(TatamiError, OSError):
        if shared:
            lock.acquire()
            _make_whole(space, lock)
            for name in shared:
                os.unlink(os.path.join(space.git_dir, name))
    lock.release()


def _make_whole(space: Workspace, lock: index.IndexLock) -> None:
    known, before = line.base(space), index.checksum(space)
    written = index.update(lock, space, (), settle=True)
    if known and known.agreed == before:
        line.record(space, known.commit, index=written)
