"""A temporary repository over another one's objects: the given repository is only ever read."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil

from tatami.client.connection import Connection
from tatami.client.start import wait_until_stopped
from tatami.scenarios.history.reading import Source
from tatami.store import git
from tatami.store.locate import Place
from tatami.values.errors import HubError
from tatami.workspaces.kinds import mounting

TRUNK = "main"
"""The clone's own name for the trunk, whatever the source calls its branches."""
REMOVERS = 32
"""Unlinks under way at the same time when a clone is removed."""
HUB_END_SECONDS_MAX = 10.0
"""How long a hub may take to end once it is told to, before it is killed."""
IDENTITY = (("user.name", "Tatami replay"), ("user.email", "replay@tatami.invalid"))


@contextmanager
def folder(keep: bool) -> Iterator[str]:
    """A fresh folder, removed at the end unless it is to be kept; SIGTERM is an orderly end too."""
    path = os.path.realpath(tempfile.mkdtemp(prefix="tatami-replay-"))
    try:
        with _terminable():
            yield path
    finally:
        _end_hubs(path)
        if not keep:
            remove(path)


@contextmanager
def _terminable() -> Iterator[None]:
    """Turns SIGTERM into `SystemExit`, so that hubs are stopped and folders removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def remove(path: str) -> None:
    """Removes a directory with everything in it, overlay workspaces too.

    Where the disk is told of every freed block an unlink waits for it, and many can wait at once.
    """
    mounting.detach_below(path)
    with ThreadPoolExecutor(REMOVERS, "remove") as pool:
        list(pool.map(_empty, [folder for folder, _, _ in os.walk(path)]))
    shutil.rmtree(path, ignore_errors=True)


def hubs(path: str) -> list[psutil.Process]:
    """Every hub process, also one just starting, of a repository at or below a directory."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        roots = words[words.index("tatami.hub") + 1 :] if "tatami.hub" in words else []
        if any(root == path or root.startswith(path + os.sep) for root in roots):
            found.append(process)
    return found


def _end_hubs(path: str) -> None:
    """Ends hubs that were still starting when something else ended, and that nobody could ask."""
    found = hubs(path)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, HUB_END_SECONDS_MAX)
    for process in alive:
        process.kill()


def _empty(folder: str) -> None:
    for entry in os.scandir(folder):
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)


def clone(source: Source, path: str, base: str) -> str:
    """Makes a repository at `path` whose trunk is at `base` and that borrows the source's objects.

    HEAD is detached and no files are checked out: nobody works in the clone's own folder, only in
    workspaces below it. Returns its git directory.
    """
    format_name = git.text(source.git_dir, "rev-parse", "--show-object-format")
    git.run(
        os.path.dirname(path),
        *("init", "--quiet", f"--object-format={format_name}", f"--initial-branch={TRUNK}", path),
    )
    git_dir = os.path.join(path, ".git")
    with open(os.path.join(git_dir, "objects", "info", "alternates"), "w") as file:
        file.write(source.objects + "\n")
    for name, value in IDENTITY:
        git.run(path, "config", name, value)
    git.run(path, "update-ref", f"refs/heads/{TRUNK}", base)
    git.run(path, "update-ref", "--no-deref", "HEAD", base)
    return git_dir


def stop_hub(place: Place) -> None:
    """Stops the repository's hub, if one runs, and waits for its end."""
    connection = Connection(place, start=False)
    try:
        connection.ask("stop", {})
    except HubError as error:
        if error.code != "not_running":
            raise
    finally:
        connection.close()
    wait_until_stopped(place)
