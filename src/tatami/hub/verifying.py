"""Runs a landing's verify command on exactly the tree that would land, away from the repository."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from tatami.store.git import clean_environment
from tatami.store.repository import Repository
from tatami.values.specs import CommitSpec

VERIFY_SECONDS_MAX = 3600
OUTPUT_BYTES_KEPT = 16_384
"""The end of the output is what explains a failure."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the command succeeded, and the end of what it printed."""

    passed: bool
    output: str


def verify(repository: Repository, specs: Sequence[CommitSpec], command: str) -> Verdict:
    """Runs `command` with a shell in a fresh directory that holds the specs' last tree."""
    directory = tempfile.mkdtemp(prefix="tatami-verify-")
    tree = os.path.join(directory, "tree")
    os.mkdir(tree)
    try:
        repository.export(specs, tree)
        return _run(tree, command)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(tree: str, command: str) -> Verdict:
    environment = clean_environment() | {"TATAMI_VERIFY": "1"}
    # git looks no further up than the directory: a verify command never sees our repository.
    environment["GIT_CEILING_DIRECTORIES"] = os.path.dirname(tree)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(VERIFY_SECONDS_MAX)
            reason = f"exit code {code}"
        except subprocess.TimeoutExpired:
            code, reason = 1, f"stopped after {VERIFY_SECONDS_MAX} s"
        finally:
            _end_group(process)
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - OUTPUT_BYTES_KEPT))
        tail = output.read().decode("utf-8", "replace")
    return Verdict(code == 0, f"verify: {reason}\n{tail}" if code else tail)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends what the command left running; its group is its own session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
