"""Looks at what git did: while git goes on, and such as come to nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tatami.hub.importing import Importing
from tatami.store.repository import Plan, Published
from tatami.values.errors import BusyError, TatamiError
from tatami.workspaces.worktree import LOCK_REASON
from tests import sandbox
from tests.unit.hub.conftest import Hall


def looking(hall: Hall, monkeypatch: pytest.MonkeyPatch, error: TatamiError) -> Importing:
    """An import whose publication ends with an error."""

    def publish(_: object) -> None:
        raise error

    hall.commit("a", "a.txt")
    hall.git("branch", "agent/a", "main")
    monkeypatch.setattr(hall.record.repository, "publish", publish)
    return Importing(hall.record)


def on_its_own_branch(hall: Hall, folder: Path, head: str) -> Path:
    """A workspace of agent `a` that has a branch of its own checked out."""
    space = folder / "a"
    hall.git("worktree", "add", "--quiet", "-b", "agent/a", str(space), head)
    hall.git("worktree", "lock", "--reason", LOCK_REASON, str(space))
    sandbox.git(space, "switch", "--quiet", "-c", "side")
    return space


def test_git_moves_a_branch_again_while_its_last_move_is_imported(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second move stays, and the next look takes it over.

    The story: the branch as it was after publishing was taken for what had been looked at; the
    branch then went back to the first of the two commits.
    """
    hall.commit("a", "a.txt")
    tree = hall.git("rev-parse", "main^{tree}")
    first, second = (hall.git("commit-tree", "-m", m, "-p", "main", tree) for m in "12")
    repository = hall.record.repository
    hall.git("branch", "agent/a", first)
    publish = repository.publish

    def slowly(plan: Callable[[], Plan | None]) -> Published | None:
        published = publish(plan)
        hall.git("update-ref", "refs/heads/agent/a", second)
        return published

    importing = Importing(hall.record)
    monkeypatch.setattr(repository, "publish", slowly)
    importing.look(["a"])
    repository.follow_branches()
    assert (hall.git("rev-parse", "agent/a"), repository.agents()["a"]) == (second, first)
    importing.look(["a"])
    assert repository.agents()["a"] == second


def test_git_comes_back_to_the_agents_branch_while_another_is_imported(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The branch is not moved under the files that were just checked out: it is the line again."""
    old = hall.commit("a", "a.txt")
    space = on_its_own_branch(hall, tmp_path, old)
    new = sandbox.commit_file(space, "side.txt", b"side\n")
    repository = hall.record.repository
    publish = repository.publish

    def slowly(plan: Callable[[], Plan | None]) -> Published | None:
        published = publish(plan)
        sandbox.git(space, "switch", "--quiet", "agent/a")
        return published

    importing = Importing(hall.record)
    with monkeypatch.context() as patched:
        patched.setattr(repository, "publish", slowly)
        importing.look(["a"])
    repository.follow_branches()
    assert (hall.git("rev-parse", "agent/a"), repository.agents()["a"]) == (old, new)
    importing.look(["a"])
    assert (hall.git("rev-parse", "agent/a"), repository.agents()["a"]) == (old, old)
    assert sandbox.git(space, "status", "--porcelain") == ""


def test_a_branch_is_not_moved_while_git_checks_out(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It comes along once git has let go of the index.

    The story: `git switch agent/a` read the branch, checked its files out, and found it moved when
    it wrote HEAD; the next commit took back all that had been done on the other branch.
    """
    old = hall.commit("a", "a.txt")
    space = on_its_own_branch(hall, tmp_path, old)
    new = sandbox.commit_file(space, "side.txt", b"side\n")
    lock = hall.root / ".git/worktrees/a/index.lock"
    repository = hall.record.repository
    importing = Importing(hall.record)
    lock.touch()
    importing.look(["a"])
    assert (hall.git("rev-parse", "agent/a"), repository.agents()["a"]) == (old, old)
    lock.unlink()
    publish = repository.publish

    def meanwhile(plan: Callable[[], Plan | None]) -> Published | None:
        published = publish(plan)
        lock.touch()
        return published

    with monkeypatch.context() as patched:
        patched.setattr(repository, "publish", meanwhile)
        importing.look(["a"])
    assert (hall.git("rev-parse", "agent/a"), repository.agents()["a"]) == (old, new)
    importing.look(["a"])
    repository.follow_branches()
    assert hall.git("rev-parse", "agent/a") == old
    lock.unlink()
    importing.look(["a"])
    assert (hall.git("rev-parse", "agent/a"), repository.agents()["a"]) == (new, new)


def test_a_look_that_is_not_possible_now_is_put_off(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one finds the same."""
    looking(hall, monkeypatch, BusyError("locked")).look_at_all()


def test_a_sync_that_fails_while_looking_is_told(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer ends the process.

    The story: it was logged as something that waits, and the hub went on.
    """
    failure = TatamiError("the disk", code="sync_failed")
    with pytest.raises(TatamiError) as failed:
        looking(hall, monkeypatch, failure).look_at_all()
    assert failed.value is failure
