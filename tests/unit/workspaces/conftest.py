"""A workspace without a hub: real git, real files, the real core."""

from pathlib import Path

import pytest

from tatami.workspaces import making
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git


@pytest.fixture
def space(repository: Path) -> Workspace:
    """The workspace of agent `a` at `main`."""
    git(repository, "branch", "agent/a", "main")
    head = git(repository, "rev-parse", "main")
    folder = repository / ".tatami" / "workspaces"
    return making.make(str(repository / ".git"), str(folder), {"a": head})[0]
