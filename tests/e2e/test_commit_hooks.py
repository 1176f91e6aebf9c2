"""The user's own git hooks run on a snapshot, as git runs them, before anything is sent."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Refused
from tests.sandbox import git, run, tatami, tatami_json


@pytest.fixture(autouse=True)
def no_hooks_left(shared: Path) -> Iterator[None]:
    """Takes hooks and settings away again."""
    yield
    shutil.rmtree(shared / ".git" / "hooks", ignore_errors=True)
    run(shared, "git", "config", "--unset", "core.hooksPath", check=False)


def install(directory: Path, name: str, script: str) -> None:
    """Writes an executable hook."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)


def hooks(space: Path) -> Path:
    """Where the repository's hooks are."""
    return Path(git(space, "rev-parse", "--path-format=absolute", "--git-path", "hooks"))


def test_pre_commit_refuses(space: Path, refused: Refused) -> None:
    """Its exit code decides; what it printed is in the error; nothing is committed or staged."""
    install(hooks(space), "pre-commit", "echo no tabs; exit 1")
    (space / "new.txt").write_text("new\n")
    assert refused(space, "commit", "-m", "m") == (2, "hook_failed")
    assert "no tabs" in tatami(space, "commit", "-m", "m").stderr
    assert git(space, "rev-parse", "HEAD") == git(space, "rev-parse", "main")
    assert git(space, "status", "--porcelain") == "?? new.txt"


def test_no_verify_leaves_hooks_out(space: Path) -> None:
    """As git's own option."""
    install(hooks(space), "pre-commit", "exit 1")
    (space / "new.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", "m", "--no-verify")
    assert git(space, "log", "--format=%s", "main..") == "m"


def test_pre_commit_sees_what_is_committed_as_the_agent(space: Path) -> None:
    """It runs in the workspace, with the changes staged and the agent's name in reach."""
    script = 'git diff --cached --name-only > seen; pwd >> seen; echo "$TATAMI_AGENT" >> seen'
    install(hooks(space), "pre-commit", script)
    (space / ".gitignore").write_text("seen\n")
    (space / "history.txt").unlink()
    tatami_json(space, "commit", "-m", "m")
    expected = [".gitignore", "history.txt", str(space), space.name]
    assert (space / "seen").read_text().splitlines() == expected
    assert git(space, "status", "--porcelain") == ""


def test_what_pre_commit_stages_is_committed(space: Path) -> None:
    """A formatter that edits and adds the file changes the commit, and the status is clean."""
    install(hooks(space), "pre-commit", "echo formatted >> new.txt; git add new.txt")
    (space / "new.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", "m")
    assert git(space, "show", "HEAD:new.txt") == "new\nformatted"
    assert git(space, "status", "--porcelain") == ""


def test_what_pre_commit_only_edits_stays_an_edit(space: Path) -> None:
    """Content that was not staged again is not in the commit, and git sees the difference."""
    install(hooks(space), "pre-commit", "echo later >> new.txt")
    (space / "new.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", "m")
    assert git(space, "show", "HEAD:new.txt") == "new"
    assert git(space, "status", "--porcelain") == " M new.txt"


def test_commit_msg_changes_the_message(space: Path) -> None:
    """It gets the message in a file and may rewrite it."""
    install(hooks(space), "commit-msg", 'echo "Change-Id: I1" >> "$1"')
    (space / "new.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", "subject")
    assert git(space, "log", "-1", "--format=%B").split() == ["subject", "Change-Id:", "I1"]


def test_commit_msg_refuses(space: Path, refused: Refused) -> None:
    """A message that the project does not want stops the commit."""
    install(hooks(space), "commit-msg", 'grep -q TICKET "$1"')
    (space / "new.txt").write_text("new\n")
    assert refused(space, "commit", "-m", "m") == (2, "hook_failed")


def test_hooks_path_is_respected(space: Path, refused: Refused, tmp_path: Path) -> None:
    """`core.hooksPath` names the folder, and the usual one is not looked at."""
    install(hooks(space), "pre-commit", "exit 0")
    install(tmp_path / "hooks", "pre-commit", "exit 1")
    git(space, "config", "core.hooksPath", str(tmp_path / "hooks"))
    (space / "new.txt").write_text("new\n")
    assert refused(space, "commit", "-m", "m") == (2, "hook_failed")


def test_a_hook_sees_only_the_paths_that_are_committed(space: Path) -> None:
    """With `--paths`, what else is staged is no part of the commit."""
    install(hooks(space), "pre-commit", "git diff --cached --name-only > ../seen")
    (space / "a.txt").write_text("a\n")
    (space / "b.txt").write_text("b\n")
    git(space, "add", "b.txt")
    tatami_json(space, "commit", "-m", "m", "--paths", "a.txt")
    assert (space.parent / "seen").read_text().splitlines() == ["a.txt"]
    assert git(space, "status", "--porcelain") == "A  b.txt"
