"""Agents in processes of their own, and the questions every crash has to answer."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import tatami
from tatami.store.fsck import check
from tatami.store.locate import find, marker
from tests import sandbox
from tests.conftest import stop_hubs

WRITER = Path(__file__).with_name("writer.py")
SECONDS_MAX = 90.0
"""A storm that takes longer hangs."""


@dataclass
class Storm:
    """A repository, the agents at work in it, and their own logs of acknowledgements."""

    root: Path
    writers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    commits: int = 0

    def begin(self, names: list[str], commits: int, land: bool = False) -> None:
        """Starts one process per agent."""
        self.names, self.commits = names, commits
        for name in names:
            acks = str(self._acks(name))
            words = [sys.executable, "-P", str(WRITER), str(self.root), name, str(commits), acks]
            self.writers.append(
                subprocess.Popen([*words, *(["land"] if land else [])], stderr=subprocess.PIPE)
            )

    def acked(self, name: str) -> list[str]:
        """What an agent was told so far, in order."""
        path = self._acks(name)
        return path.read_text().split() if path.exists() else []

    def count(self) -> int:
        """Acknowledgements of all agents so far."""
        return sum(len(self.acked(name)) for name in self.names)

    def busy(self) -> bool:
        """Whether an agent is still at work."""
        return any(writer.poll() is None for writer in self.writers)

    def kill_hubs(self, kills: int, seed: int, apart: int = 8) -> int:
        """Kills hubs, also ones just starting, at random moments; returns how many.

        apart: at most so many acknowledgements are waited for in between.
        """
        chance = random.Random(seed)
        done = 0
        deadline = time.monotonic() + SECONDS_MAX
        while done < kills and self.busy() and time.monotonic() < deadline:
            wanted = self.count() + chance.randint(1, apart)
            while self.count() < wanted and self.busy() and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(chance.random() * 0.04)
            for hub in sandbox.hubs_under(self.root):
                sandbox.kill_hub(hub)
                done += 1
        return done

    def wait(self) -> list[str]:
        """Waits for the agents; returns what those that failed said."""
        said = []
        for writer in self.writers:
            _, errors = writer.communicate(timeout=SECONDS_MAX)
            if writer.returncode:
                said.append(errors.decode())
        return said

    def problems(self) -> list[str]:
        """Lets a hub recover and stop, then returns what fsck finds."""
        with tatami.Swarm.open(str(self.root)):
            pass
        sandbox.tatami(self.root, "stop")
        acks = self.root.parent / "acks"
        acks.write_text("".join(f"{id}\n" for name in self.names for id in self.acked(name)))
        place = find(str(self.root))
        report = check(place, marker(place), acks_file=str(acks))
        return [f"{p.invariant} {p.where}: {p.what}" for p in report.problems]

    def subjects(self, rev: str) -> list[str]:
        """First lines of the commits that agents made, oldest first."""
        lines = sandbox.git(self.root, "log", "--reverse", "--format=%s", rev).splitlines()
        return [line for line in lines if line.split()[0] in self.names]

    def expected(self, name: str) -> list[str]:
        """First lines of an agent's line when everything is there once."""
        return [f"{name} {number}" for number in range(self.commits)]

    def _acks(self, name: str) -> Path:
        return self.root.parent / f"{name}.acks"


@pytest.fixture
def storm(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    """An initialised repository; afterwards no process of it is left."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    sandbox.tatami_json(repository, "init")
    storm = Storm(repository)
    yield storm
    for writer in storm.writers:
        if writer.poll() is None:
            writer.kill()
        writer.wait()
        if writer.stderr:
            writer.stderr.close()
    stop_hubs(repository)
