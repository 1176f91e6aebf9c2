"""The hook through which a push to the trunk lands: ours is installed, nobody else's is touched."""

import os
from pathlib import Path

import pytest

from tatami.store import git, pushing
from tatami.values.errors import TatamiError
from tests import sandbox


def refs(repository: Path) -> list[str]:
    """The refs whose pushes git hands over."""
    command = ("config", "--local", "--get-all", pushing.SETTING)
    return sandbox.run(repository, "git", *command, check=False).stdout.decode().split()


def test_the_hook_is_installed_once_and_taken_away(repository: Path) -> None:
    """Installing again changes nothing; uninstalling leaves other refs of the setting alone."""
    common, hook = str(repository / ".git"), repository / ".git/hooks/proc-receive"
    sandbox.git(repository, "config", "--add", pushing.SETTING, "refs/heads/main2")
    assert [pushing.install(common, "main") for _ in range(2)] == ["", ""]
    assert refs(repository) == ["refs/heads/main2", "refs/heads/main"]
    assert (pushing.is_ours(str(hook)), os.access(hook, os.X_OK)) == (True, True)
    pushing.uninstall(common, "main")
    assert (refs(repository), hook.exists()) == (["refs/heads/main2"], False)


def test_a_dot_in_the_trunks_name_is_a_dot(repository: Path) -> None:
    """git takes the value to unset for a pattern; only the trunk's own goes."""
    sandbox.git(repository, "config", "--add", pushing.SETTING, "refs/heads/v1x0")
    pushing.install(str(repository / ".git"), "v1.0")
    pushing.uninstall(str(repository / ".git"), "v1.0")
    assert refs(repository) == ["refs/heads/v1x0"]


def test_a_hook_of_somebody_else_stays(repository: Path) -> None:
    """It is neither replaced nor removed, and the reason is said."""
    common, hook = str(repository / ".git"), repository / ".git/hooks/proc-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    assert pushing.install(common, "main") == f"{hook} is somebody else's"
    pushing.uninstall(common, "main")
    assert (hook.read_text(), refs(repository)) == ("#!/bin/sh\n", [])


def test_shared_hooks_are_left_alone(repository: Path) -> None:
    """A folder of hooks that other repositories use too is no place for ours."""
    sandbox.git(repository, "config", "core.hooksPath", "elsewhere")
    assert pushing.install(str(repository / ".git"), "main") == "core.hooksPath is set"
    assert not (repository / ".git/hooks/proc-receive").exists()


def test_what_git_says_of_a_failure_is_passed_on(repository: Path) -> None:
    """The verb that failed and git's own words; without words the exit code."""
    with pytest.raises(TatamiError, match=r"^git rev-parse failed: fatal: ") as refused:
        git.run(str(repository), "rev-parse", "--verify", "gone")
    assert refused.value.code == "git"
    with pytest.raises(TatamiError, match=r"^git diff failed: exit code 1$"):
        git.run(str(repository), "diff", "--quiet", "main~1", "main")


def test_a_machine_without_git_is_told_so(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the one thing to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TatamiError) as refused:
        git.run(str(repository), "status")
    assert (refused.value.code, refused.value.fix) == ("git_missing", "install git")
