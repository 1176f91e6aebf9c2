"""A workspace without a hub: real git, real files, the real core."""

from pathlib import Path

import pytest

from tatami.workspaces.lifetime import making
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git
from tests.unit.workspaces.copies import make_original


@pytest.fixture
def space(repository: Path) -> Workspace:
    """The workspace of agent `a` at `main`."""
    git(repository, "branch", "agent/a", "main")
    head = git(repository, "rev-parse", "main")
    folder = repository / ".tatami" / "workspaces"
    return making.make(str(repository / ".git"), str(folder), {"a": head})[0]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a repository that has one of everything, to be copied and edited."""
    return make_original(tmp_path_factory.mktemp("original"))
