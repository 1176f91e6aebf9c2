"""A small repository with agents, commits and a landing, its hub stopped; a copy for every test."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import tatami
from tatami import _core
from tatami.store.fsck import Report, check
from tatami.store.locate import find, marker
from tests import sandbox
from tests.conftest import STOCK_JJ


@dataclass(frozen=True, slots=True)
class Swarmed:
    """The repository's root, jj's repository in it, and every acknowledged commit in order."""

    root: Path
    jj_repo: Path
    acked: list[str]

    @property
    def common(self) -> Path:
        """The git directory."""
        return self.root / ".git"

    def core(self, writes: bool = False) -> _core.Repo:
        """The repository as the core opens it."""
        return _core.Repo.open(str(self.jj_repo), str(self.common), ("tester", "here"), writes)

    def op_heads(self) -> list[str]:
        """The names of the op heads."""
        return sorted(path.name for path in (self.jj_repo / "op_heads" / "heads").iterdir())

    def broken(self, acks: list[str] | None = None) -> set[str]:
        """Runs fsck and returns the invariants it names."""
        return {problem.invariant for problem in self.check(acks).problems}

    def check(self, acks: list[str] | None = None, quick: bool = False) -> Report:
        """Runs fsck with these acknowledged commits (None: all that were)."""
        file = self.root.with_suffix(".acks")
        file.write_text("\n".join(self.acked if acks is None else acks) + "\n")
        place = find(str(self.root))
        return check(place, marker(place), acks_file=str(file), quick=quick)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Swarmed:
    """Two agents without workspaces, three commits each, the first one's landed."""
    root = sandbox.make_repository(tmp_path_factory.mktemp("swarmed") / "repo")
    acked = []
    with tatami.Swarm.open(str(root), init=True) as swarm:
        agents = swarm.agents(["coder-1", "coder-2"], workspace=False)
        for number in range(3):
            for agent in agents:
                path, content = f"{agent.name}/{number}.txt", f"{agent.name} wrote {number}\n" * 20
                acked.append(agent.commit(f"file {number}", {path: content.encode()}).id)
        assert agents[0].land().result().state == "landed"
        swarm.stop()
    assert sandbox.tatami(root, "stop").returncode == 0
    return Swarmed(root, root / ".git" / "tatami" / "jj" / ".jj" / "repo", acked)


@pytest.fixture
def swarmed(made_once: Swarmed, tmp_path: Path) -> Swarmed:
    """This test's own copy, to be broken."""
    root = tmp_path / "repo"
    shutil.copytree(made_once.root, root, symlinks=True)
    return Swarmed(root, root / made_once.jj_repo.relative_to(made_once.root), made_once.acked)


@pytest.fixture
def without_jj(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A PATH with git alone on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    git = shutil.which("git")
    assert git
    (folder / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def with_jj(monkeypatch: pytest.MonkeyPatch, stock_jj: Callable[..., str]) -> None:
    """A PATH with stock jj on it; skips where it is not built."""
    monkeypatch.setenv("PATH", str(STOCK_JJ.parent), prepend=":")
