"""A swarm whose repository stock tools use at the same time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import tatami
from tatami.client.values import LandingResult
from tatami.store.fsck import check
from tatami.store.locate import find, marker
from tests import sandbox
from tests.conftest import stop_hubs


@dataclass
class Used:
    """A repository in use: who commits, what was acknowledged, and the questions tests ask."""

    root: Path
    swarm: tatami.Swarm
    acked: list[str] = field(default_factory=list)
    agents: dict[str, tatami.Agent] = field(default_factory=dict)

    @property
    def jj_root(self) -> Path:
        """Where stock jj is run with `-R`."""
        return Path(marker(find(str(self.root))).jj_repo).resolve().parent.parent

    def git(self, *arguments: str) -> str:
        """Runs stock git in the user's checkout."""
        return sandbox.git(self.root, *arguments)

    def commit(self, name: str, path: str, content: bytes = b"agent\n") -> str:
        """Commits one file as an agent without a workspace; returns the acknowledged id."""
        if name not in self.agents:
            self.agents[name] = self.swarm.agent(name, workspace=False)
        self.acked.append(self.agents[name].commit(f"{name}: {path}", {path: content}).visible().id)
        return self.acked[-1]

    def land(self, name: str) -> LandingResult:
        """Lands an agent's line and waits for the result."""
        return self.agents[name].land().result()

    def problems(self) -> list[str]:
        """Stops the hub and returns what fsck finds, the acknowledged commits among it."""
        self.swarm.stop()
        sandbox.tatami(self.root, "stop")
        acks = self.root.parent / "acks"
        acks.write_text("".join(f"{id}\n" for id in self.acked))
        place = find(str(self.root))
        report = check(place, marker(place), acks_file=str(acks))
        return [f"{p.invariant} {p.where}: {p.what}" for p in report.problems]

    def in_git(self) -> set[str]:
        """Every commit `git log --all` shows."""
        return set(self.git("log", "--all", "--format=%H").split())

    @contextmanager
    def load(self, *names: str) -> Iterator[None]:
        """Keeps agents committing while the block runs, each on a connection of its own."""
        over = threading.Event()
        begun = threading.Barrier(len(names) + 1)
        failures: list[BaseException] = []

        def work(name: str) -> None:
            number = 0
            try:
                with tatami.Swarm.open(str(self.root)) as swarm:
                    agent = swarm.agent(name, workspace=False)
                    while not over.is_set():
                        path = f"{name}/{number % 7}/{number}.txt"
                        changes = {path: b"%d\n" % number}
                        self.acked.append(agent.commit(f"{name} {number}", changes).id)
                        number += 1
                        if number == 1:
                            begun.wait(30)
            except BaseException as error:  # noqa: BLE001 - shown by the test that waits
                failures.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        try:
            begun.wait(30)
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join(30)
        assert failures == []


@pytest.fixture
def used(repository: Path) -> Iterator[Used]:
    """An initialised repository with a running hub."""
    with tatami.Swarm.open(str(repository), init=True) as swarm:
        yield Used(repository, swarm)
    stop_hubs(repository)


@pytest.fixture
def jj(used: Used, stock_jj: Callable[..., str]) -> Callable[..., str]:
    """Runs stock jj in the hub's own jj repository: `jj(*arguments)`."""
    return lambda *arguments: stock_jj(used.jj_root, *arguments)
