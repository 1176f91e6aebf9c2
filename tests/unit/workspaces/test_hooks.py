"""Which hooks a commit has to run, found without starting git where that is possible."""

import os
from pathlib import Path

import pytest

from tatami.workspaces import hooks
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git


def install(directory: Path, name: str, mode: int = 0o755) -> None:
    """Writes a hook that does nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text("#!/bin/sh\n")
    (directory / name).chmod(mode)


def test_no_hooks(space: Workspace) -> None:
    """git's samples are no hooks."""
    assert hooks.installed(space) == []


def test_hooks_of_the_repository(space: Workspace) -> None:
    """The two that decide about a commit, and only where they can be executed."""
    directory = Path(space.common) / "hooks"
    install(directory, "pre-commit")
    install(directory, "commit-msg", 0o644)
    install(directory, "post-commit")
    assert hooks.installed(space) == ["pre-commit"]


@pytest.mark.parametrize("where", ["local", "global", "worktree", "include"])
def test_hooks_path_wherever_it_is_set(space: Workspace, tmp_path: Path, where: str) -> None:
    """git reads many files; whichever names `core.hooksPath` counts."""
    install(Path(space.common) / "hooks", "pre-commit")
    install(tmp_path / "hooks", "commit-msg")
    home = Path(os.environ["HOME"]) / ".gitconfig"
    before = home.read_text()
    setting = f"[core]\n\thooksPath = {tmp_path}/hooks\n"
    try:
        if where == "local":
            git(space.path, "config", "core.hooksPath", str(tmp_path / "hooks"))
        elif where == "global":
            home.write_text(before + setting)
        elif where == "worktree":
            git(space.path, "config", "extensions.worktreeConfig", "true")
            git(space.path, "config", "--worktree", "core.hooksPath", str(tmp_path / "hooks"))
        else:
            (tmp_path / "included").write_text(setting)
            git(space.path, "config", "include.path", str(tmp_path / "included"))
        assert hooks.installed(space) == ["commit-msg"]
    finally:
        home.write_text(before)


def test_a_relative_hooks_path_is_the_workspaces(space: Workspace) -> None:
    """git takes it from the top of the worktree."""
    install(Path(space.path) / ".husky", "pre-commit")
    git(space.path, "config", "core.hooksPath", ".husky")
    assert hooks.installed(space) == ["pre-commit"]
