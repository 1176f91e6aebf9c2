"""Runs a landing's verify command on exactly the tree that would land, away from the repository."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from tatami.hub.writer import stopping
from tatami.store.git import clean_environment
from tatami.store.repository import Repository
from tatami.values.errors import BusyError, TatamiError
from tatami.values.specs import CommitSpec

VERIFY_SECONDS_MAX = 3600
OUTPUT_BYTES_KEPT = 16_384
"""The end of the output is what explains a failure."""
PREFIX = "tatami-verify-"
DIRECTORIES_MAX = 5
"""Fresh directories tried; one is lost where another hub clears up at that very moment."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the command succeeded, and the end of what it printed."""

    passed: bool
    output: str


class Verifier:
    """Runs one command at a time; `stop`, from another thread, ends it and lets no other begin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def verify(self, repository: Repository, specs: Sequence[CommitSpec], command: str) -> Verdict:
        """Runs `command` with a shell in a fresh directory that holds the specs' last tree.

        Raises `BusyError` (`stopping`) where it was stopped: then it proved nothing.
        """
        clear_left_overs()
        with _fresh_directory() as (directory, lock):
            tree = os.path.join(directory, "tree")
            os.mkdir(tree)
            try:
                repository.export(specs, tree)
            except TatamiError as error:
                if error.code != "no_space":
                    raise
                # There may never be room for it here: other landings do not wait for that.
                return Verdict(False, f"verify: the tree cannot be written: {error}")
            return self._run(tree, command, lock)

    def stop(self) -> None:
        """Ends the command under way, and every later one before it begins."""
        with self._lock:
            self._stopped = True
            if self._process:
                _kill_group(self._process)

    def _run(self, tree: str, command: str, lock: int) -> Verdict:
        with tempfile.TemporaryFile() as output:
            process = self._start(tree, command, output, lock)
            try:
                code = process.wait(VERIFY_SECONDS_MAX)
                reason = f"exit code {code}"
            except subprocess.TimeoutExpired:
                code, reason = 1, f"stopped after {VERIFY_SECONDS_MAX} s"
            finally:
                with self._lock:
                    self._process = None
                _kill_group(process)
                process.wait()
            if self._stopped:
                raise stopping()
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - OUTPUT_BYTES_KEPT))
            tail = output.read().decode("utf-8", "replace")
        return Verdict(code == 0, f"verify: {reason}\n{tail}" if code else tail)

    def _start(
        self, tree: str, command: str, output: IO[bytes], lock: int
    ) -> subprocess.Popen[bytes]:
        environment = clean_environment() | {"TATAMI_VERIFY": "1"}
        # git looks no further up than the directory: a command never sees our repository.
        environment["GIT_CEILING_DIRECTORIES"] = os.path.dirname(tree)
        with self._lock:
            if self._stopped:
                raise stopping()
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=tree,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Where the hub is killed, the directory stays locked until the command has ended.
                pass_fds=(lock,),
            )
            return self._process


def clear_left_overs() -> None:
    """Removes the directories of hubs that were killed: ours, and locked by nobody any more."""
    for name in os.listdir(tempfile.gettempdir()):
        path = os.path.join(tempfile.gettempdir(), name)
        lock = _locked(path) if name.startswith(PREFIX) else None
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


@contextlib.contextmanager
def _fresh_directory() -> Iterator[tuple[str, int]]:
    """Yields an empty directory that is removed afterwards, and the descriptor that locks it."""
    for _ in range(DIRECTORIES_MAX):
        directory = tempfile.mkdtemp(prefix=PREFIX)
        lock = _locked(directory)
        if lock is not None:
            break
        shutil.rmtree(directory, ignore_errors=True)
    else:
        raise BusyError(f"a directory in {tempfile.gettempdir()} cannot be locked", fix="try again")
    try:
        yield directory, lock
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _locked(directory: str) -> int | None:
    """Locks a directory of ours as long as anybody has the descriptor; None where that fails."""
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(lock)
        # Not one that was removed, or put in its place, before it was locked.
        if found.st_uid == os.geteuid() and os.path.samestat(found, os.stat(directory)):
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Ends the command with what it left running; its group is its own session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
