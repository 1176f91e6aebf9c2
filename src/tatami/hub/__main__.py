"""Starts a hub: `python -m tatami.hub PATH [READY_FD]`. A repository's second one just ends."""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import tomllib
from dataclasses import replace

from tatami.hub.answering.server import Connection
from tatami.hub.committing import Identity
from tatami.hub.hub import Hub, Parts
from tatami.hub.record import Record
from tatami.net import local
from tatami.schedule import batch
from tatami.store import git
from tatami.store.ledger import Ledger
from tatami.store.locate import Place, find, marker
from tatami.store.repair import torn
from tatami.store.repository import Repository
from tatami.values.errors import BusyError, TatamiError, UsageError

log = logging.getLogger("tatami.hub")


def main(arguments: list[str]) -> int:
    """Runs the hub of the repository around `arguments[0]` until it is stopped or idle."""
    ready = int(arguments[1]) if len(arguments) > 1 else None
    try:
        serve(find(arguments[0]), ready)
    except TatamiError as error:
        message = f"{error.message}" + (f" (fix: {error.fix})" if error.fix else "")
        _say(ready, f"error {error.code} {message}")
        if ready is None:
            print(message, file=sys.stderr)
        return error.exit_code
    return 0


def serve(place: Place, ready: int | None) -> None:
    """Takes the lock, recovers, listens, and returns when the hub has stopped."""
    marker(place)
    directory = os.path.join(place.state, "hub")
    os.makedirs(directory, 0o700, exist_ok=True)
    lock = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise BusyError(
            "a hub already serves this repository",
            code="hub_running",
            fix="tatami status; tatami stop ends it",
        ) from None
    logging.basicConfig(
        filename=os.path.join(directory, "log"),
        format="%(asctime)s %(levelname)s %(message)s",
        level=logging.INFO,
    )
    for words in torn.mend(place):
        log.warning("after a crash: %s", words)
    ledger = Ledger(os.path.join(directory, "ledger"))
    repository = Repository.open(place, writes=True)
    record = Record(repository, ledger)
    recovered = record.recover()
    catch_up(repository)
    reader = Repository.open(place, writes=False)
    parts = Parts(place, record, reader, identity(place), recovered, batching(place))
    try:
        asyncio.run(_listen(parts, directory, ready))
    finally:
        ledger.close()
        repository.close()
        reader.close()
        os.close(lock)


async def _listen(parts: Parts, directory: str, ready: int | None) -> None:
    hub = Hub(parts)
    hub.start()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: loop.create_task(hub.stop()))
    server = await loop.create_unix_server(
        lambda: Connection(hub), sock=local.listen(directory), backlog=1024
    )
    log.info("hub %d serves %s", os.getpid(), parts.place.root)
    _say(ready, "ready")
    await hub.stopped.wait()
    server.close()
    os.unlink(os.path.join(directory, local.SOCKET))
    log.info("hub %d stopped", os.getpid())


def catch_up(repository: Repository) -> None:
    """Agents' branches that a crash left behind the operation log are brought up to it.

    A branch that is anywhere else was moved by git, and is taken over with the agent's next verb.
    """
    for agent, head in repository.agents().items():
        ref = repository.branch(agent)
        lags = repository.lags(agent, ref, head)
        if lags or ref == head:
            repository.branches[agent] = ref or head
        if lags:
            repository.lagging.add(agent)
    try:
        repository.follow_branches()
    except TatamiError as error:
        log.warning("git branches wait: %s", error)


def identity(place: Place) -> Identity:
    """Who the repository's git says commits; a placeholder where it says nothing."""
    name = git.run(place.root, "config", "user.name", check=False).stdout
    email = git.run(place.root, "config", "user.email", check=False).stdout
    return Identity(
        name.decode("utf-8", "replace").strip() or "tatami",
        email.decode("utf-8", "replace").strip() or "tatami@localhost",
    )


def batching(place: Place) -> batch.Settings:
    """How commits gather: `[batching]` of this machine's `.tatami/local.toml`, or the defaults."""
    path = os.path.join(place.root, ".tatami", "local.toml")
    default = batch.Settings()
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file).get("batching", {})
        size = int(found.get("batch_size", default.size))
        timeout_s = float(found.get("timeout_ms", default.timeout_s * 1000)) / 1000
        if size < 1 or timeout_s < 0:
            raise ValueError("batch_size is at least 1, timeout_ms at least 0")
    except FileNotFoundError:
        return default
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be used: {error}", code="bad_settings", fix=f"edit or remove {path}"
        ) from None
    return replace(default, size=size, timeout_s=timeout_s)


def _say(ready: int | None, text: str) -> None:
    """Tells whoever started this hub how it went, once; it may be gone by now."""
    if ready is not None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(ready, "w") as pipe:
            pipe.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
