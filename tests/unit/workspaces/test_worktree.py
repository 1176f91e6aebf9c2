"""Which worktrees are workspaces, in what state, and where their lines are."""

import shutil
from pathlib import Path

import pytest

from tatami.values.errors import TatamiError
from tatami.workspaces import worktree
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git


def test_only_ours_are_registered(space: Workspace, repository: Path, tmp_path: Path) -> None:
    """Worktrees of the user, locked or not, are none of our business."""
    git(repository, "worktree", "add", "--quiet", "--lock", str(tmp_path / "locked"))
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "plain"))
    assert worktree.registered(space.common) == [space]
    assert worktree.get(space.common, "locked") is None
    assert worktree.get(space.common, "nobody") is None


def test_the_workspace_around_a_directory(space: Workspace, repository: Path) -> None:
    """Found by its git directory; the main worktree is none."""
    common = str(repository / ".git")
    assert worktree.containing(space.path, space.git_dir, common) == space
    assert worktree.containing(str(repository), common, common) is None


@pytest.mark.parametrize("packed", [False, True])
def test_the_head_is_where_git_is(space: Workspace, packed: bool) -> None:
    """Read as git stores it, on a branch (loose or packed) and detached."""
    if packed:
        git(space.path, "pack-refs", "--all")
    assert worktree.head(space) == git(space.path, "rev-parse", "agent/a")
    git(space.path, "switch", "--quiet", "--detach", "main~1")
    assert worktree.head(space) == git(space.path, "rev-parse", "main~1")
    assert worktree.branch_head(space) == git(space.path, "rev-parse", "agent/a")


def test_a_branch_without_a_commit_is_an_error(space: Workspace) -> None:
    """Not the head of something else."""
    git(space.path, "switch", "--quiet", "--orphan", "empty")
    with pytest.raises(TatamiError) as raised:
        worktree.head(space)
    assert raised.value.code == "no_branch"


def test_states(space: Workspace) -> None:
    """Ready, deleted, half made."""
    assert worktree.state(space) == "ready"
    shutil.move(space.path, space.path + ".moved")
    assert worktree.state(space) == "missing"
    (Path(space.git_dir) / "index").unlink()
    assert worktree.state(space) == "unfinished"
