"""Finds the hub of a repository and starts it where none runs. Only the standard library."""

import contextlib
import fcntl
import os
import signal
import socket
import struct
import sys
import time

from tatami.net import local
from tatami.store.locate import Place, marker
from tatami.values.errors import BusyError, HubError, TatamiError

START_SECONDS_MAX = 60.0
"""Recovery of a long operation log takes seconds; past this something is wrong."""
SILENT_STARTS_MAX = 10
"""Hubs in a row that may die without a word (killed, or out of memory) before that is an error."""
INSIDE = "TATAMI_INSIDE"
"""Set for what runs in namespaces of `tatami run`: a hub must not start there, and who waits
outside starts one."""
ANSWER_SECONDS_MAX = 600.0
"""The longest a request may take; a landing is waited for by asking again."""


def reach(place: Place, start: bool = True) -> socket.socket:
    """Connects to the hub of a repository; raises `TatamiError`.

    Starts a hub where none listens, unless `start` is False (then `not_running`).
    """
    directory = os.path.join(place.state, "hub")
    deadline = time.monotonic() + START_SECONDS_MAX
    silent = 0
    while True:
        try:
            return local.connect(directory, ANSWER_SECONDS_MAX)
        except PermissionError as error:
            raise HubError(
                f"the hub's socket in {directory} belongs to another user: {error}",
                code="permission",
                fix=f"ls -l {directory}",
            ) from None
        except OSError:
            # No socket, a stale one, or a hub that is just ending: starting settles all three.
            pass
        marker(place)
        if not start:
            raise HubError(f"no hub runs for {place.root}", code="not_running", fix="tatami serve")
        if time.monotonic() > deadline:
            raise BusyError("the hub does not answer", code="hub", fix=f"cat {directory}/log")
        inside = os.environ.get(INSIDE) == "1"
        said = "error hub_running" if inside else _launch_alone(place)
        if said.startswith("error hub_running"):
            time.sleep(0.02)
        elif not said and silent < SILENT_STARTS_MAX:
            # It was killed before it could say a word.
            silent += 1
            time.sleep(0.05)
        elif said != "ready":
            kind, _, rest = said.partition(" ")[2].partition(" ")
            message, _, fix = rest.partition(" (fix: ")
            raise TatamiError(
                message or f"the hub did not start; see {directory}/log",
                code=kind or "hub",
                fix=fix.rstrip(")") or f"cat {directory}/log",
            )


def terminate(place: Place) -> int:
    """Asks the hub to end by a signal, whatever protocol it speaks; returns its process id.

    Raises `HubError` where this system does not tell which process that is.
    """
    pid = _process(place)
    if pid is None:
        raise HubError("this system does not tell the hub's process", code="hub_version")
    os.kill(pid, signal.SIGTERM)
    return pid


def _process(place: Place) -> int | None:
    """The process that listens on the hub's socket, as the kernel says; raises `OSError`."""
    option = getattr(socket, "SO_PEERCRED", None)
    with local.connect(os.path.join(place.state, "hub"), ANSWER_SECONDS_MAX) as hub:
        if option is None:
            return None
        size = struct.calcsize("3i")
        pid, _, _ = struct.unpack("3i", hub.getsockopt(socket.SOL_SOCKET, option, size))
    return int(pid)


def wait_until_stopped(place: Place, pid: int | None = None) -> None:
    """Returns when no hub holds the repository any more.

    pid: the process that is to go; then another hub may serve by the time it has.
    """
    deadline = time.monotonic() + START_SECONDS_MAX
    # The hub's last deed is to give up its lock; its socket is gone long before.
    lock = os.open(os.path.join(place.state, "hub", "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with contextlib.suppress(OSError):
                    if pid is not None and _process(place) not in {None, pid}:
                        return
                time.sleep(0.01)
            else:
                return
    finally:
        os.close(lock)
    raise BusyError("the hub is still finishing", code="stopping", fix="tatami status")


def _launch_alone(place: Place) -> str:
    """As `launch`, but only one of many clients that miss the hub at once starts one."""
    file = os.path.join(place.state, "hub", "starting")
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return launch(place)  # which says what is wrong with the folder
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return launch(place)
    except BlockingIOError:
        return "error hub_running"
    finally:
        os.close(lock)


def launch(place: Place) -> str:
    """Starts a hub in its own session and returns what it said: "ready" or "error CODE ..."."""
    import subprocess  # noqa: PLC0415 - a hub runs already, mostly, and importing takes 10 ms

    ours, theirs = os.pipe()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "JJ_"))}
    directory = os.path.join(place.state, "hub")
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        log = os.open(os.path.join(directory, "log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        os.close(ours)
        os.close(theirs)
        raise TatamiError(
            f"{directory} is not writable: {error.strerror}",
            code={28: "no_space", 122: "no_space"}.get(error.errno or 0, "permission"),
            fix=f"df -h {directory}; ls -ld {directory}",
        ) from None
    try:
        # Through a shell that ends at once: the hub is nobody's child, and nobody has to wait.
        hub = (sys.executable, "-P", "-m", "tatami.hub", place.root, str(theirs))
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *hub],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            pass_fds=(theirs,),
            start_new_session=True,
            check=False,
        )
    finally:
        os.close(theirs)
        os.close(log)
    with os.fdopen(ours, encoding="utf-8", errors="replace") as pipe:
        return pipe.readline().strip()
