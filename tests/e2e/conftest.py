"""What the end-to-end tests share: a repository with a hub, an agent's workspace, a refusal.

A test gets an agent of its own in a repository that its whole module uses: starting a hub for each
would take most of the time. Whoever changes the repository itself makes one with other fixtures.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tatami
from tests import sandbox
from tests.conftest import stop_hubs

Refused = Callable[..., tuple[int, str]]
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of an initialised repository that the tests of a module share."""
    root = sandbox.make_repository(tmp_path_factory.mktemp("shared") / "repo")
    sandbox.tatami_json(root, "init")
    yield root
    stop_hubs(root)


@pytest.fixture(scope="module")
def swarm(shared: Path) -> Iterator[tatami.Swarm]:
    """The shared repository, opened with the Python SDK."""
    with tatami.Swarm.open(shared) as swarm:
        yield swarm


@pytest.fixture
def name() -> str:
    """The name of an agent that nobody has used."""
    return f"coder-{next(NUMBERS)}"


@pytest.fixture
def space(swarm: tatami.Swarm, name: str) -> Path:
    """The workspace of a new agent, `name`, in the shared repository."""
    return Path(swarm.agent(name).path)


@pytest.fixture
def refused() -> Refused:
    """Runs a command that has to fail: `refused(path, *arguments)` -> exit code and error code.

    Checks what every refusal keeps to: one JSON document with `error`, `code` and `fix`.
    """

    def run(path: Path, *arguments: str) -> tuple[int, str]:
        extra = () if "--json" in arguments else ("--json",)
        done = sandbox.tatami(path, *arguments, *extra)
        document: dict[str, Any] = json.loads(done.stdout)
        assert set(document) == {"error", "code", "fix"}
        assert document["error"]
        return done.returncode, document["code"]

    return run
