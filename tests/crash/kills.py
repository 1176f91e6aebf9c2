"""Kill points: the reference workload, with the hub or the client killed at its k-th write."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests import sandbox
from tests.conftest import stop_hubs
from tests.crash import verdict, workload

Victim = Literal["hub", "client"]
SOURCE = Path(__file__).with_name("native") / "killer.c"
SECONDS_MAX = 100.0


def build(directory: Path) -> Path:
    """Compiles the killer; raises `OSError` or `CalledProcessError` where that cannot be."""
    program = directory / "killer"
    words = ["cc", "-O1", "-Wall", "-Wextra", "-o", str(program), str(SOURCE)]
    subprocess.run(words, check=True, capture_output=True)
    subprocess.run([program, directory / "probe", "0", "true"], check=True, capture_output=True)
    return program


def template(directory: Path) -> Path:
    """An initialised repository, whose hub never ran, for every run to copy."""
    root = sandbox.make_repository(directory / "template")
    sandbox.tatami_json(root, "init")
    return root


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: how many writes there were, which one it died at, what is wrong."""

    calls: int
    died_at: str
    problems: tuple[str, ...]

    @property
    def killed(self) -> bool:
        """Whether the victim got as far as the k-th write."""
        return self.died_at != "-"


@dataclass(frozen=True, slots=True)
class Kills:
    """Runs the workload in copies of a repository below `directory`."""

    killer: Path
    template: Path
    directory: Path

    def run(self, victim: Victim, k: int) -> Outcome:
        """Kills the victim at its k-th write (0: never), goes on to the end, and judges."""
        place = self.directory / f"{victim}-{k}"
        root, acks, report = place / "repo", place / "acks", place / "report"
        shutil.copytree(self.template, root, symlinks=True)
        try:
            words = verdict.interpreter(workload.__file__, root, acks)
            killer = [str(self.killer), str(report), str(k)]
            if victim == "hub":
                failures = self._kill_hub(killer, root, words)
            else:
                failures = self._kill_client(killer, root, words)
            calls, died_at = report.read_text().split()
            failures += verdict.work_problems(root, acks)
            return Outcome(int(calls), died_at, tuple(failures))
        finally:
            stop_hubs(place)
            shutil.rmtree(place, ignore_errors=True)

    def _kill_hub(self, killer: list[str], root: Path, client: list[str]) -> list[str]:
        """The client goes on over the hub's death by itself, with whatever hub it starts."""
        ours, theirs = os.pipe()
        hub = [sys.executable, "-P", "-m", "tatami.hub", str(root), str(theirs)]
        traced = subprocess.Popen([*killer, *hub], pass_fds=(theirs,), cwd="/")
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            pipe.readline()
        failures = _failures(client)
        sandbox.tatami(root, "stop")
        traced.wait(SECONDS_MAX)
        return failures

    def _kill_client(self, killer: list[str], root: Path, client: list[str]) -> list[str]:
        """A second client goes on where the first one died."""
        sandbox.tatami_json(root, "status")
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*killer, *client], check=False, cwd="/", timeout=SECONDS_MAX, capture_output=True
            )
        return _failures(client)


def _failures(client: list[str]) -> list[str]:
    try:
        done = subprocess.run(
            client, capture_output=True, check=False, cwd="/", timeout=SECONDS_MAX, encoding="utf-8"
        )
    except subprocess.TimeoutExpired:
        return [f"the workload did not end within {SECONDS_MAX:.0f} seconds"]
    return [done.stderr.strip().splitlines()[-1]] if done.returncode else []
