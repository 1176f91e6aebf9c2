"""Commits where git is in the middle of something, somebody holds a lock, or a client died."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tatami import Swarm
from tests.e2e.conftest import Refused
from tests.sandbox import git, run, tatami_json

WRITE_ALL_THE_TIME = """
import itertools
for number in itertools.count():
    with open("busy.txt", "w") as file:
        file.write(f"{number % 10}\\n" * 1000)
"""
DIE_BEFORE_THE_INDEX = """
import os, signal, sys
from tatami.client import working
from tatami.ui.cli.main import main
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
working.{where} = die
main(sys.argv[1:])
"""


def commit(space: Path, path: str, content: str, message: str) -> str:
    """Writes a file and commits the workspace."""
    (space / path).write_text(content)
    return str(tatami_json(space, "commit", "-m", message)["commit"])


def conflicting_branches(space: Path) -> None:
    """Two branches of the user's that changed the same line."""
    git(space, "switch", "--quiet", "-c", f"left-{space.name}")
    (space / "history.txt").write_text("left\n")
    git(space, "commit", "--quiet", "--all", "-m", "left")
    git(space, "switch", "--quiet", "-c", f"right-{space.name}", "HEAD~1")
    (space / "history.txt").write_text("right\n")
    git(space, "commit", "--quiet", "--all", "-m", "right")


def rebase(space: Path) -> None:
    conflicting_branches(space)
    run(space, "git", "rebase", f"left-{space.name}", check=False)


def merge(space: Path) -> None:
    conflicting_branches(space)
    run(space, "git", "merge", f"left-{space.name}", check=False)


def cherry_pick(space: Path) -> None:
    conflicting_branches(space)
    run(space, "git", "cherry-pick", f"left-{space.name}", check=False)


@pytest.mark.parametrize("begin", [rebase, merge, cherry_pick])
def test_what_git_has_begun_comes_first(
    space: Path, refused: Refused, begin: Callable[[Path], None]
) -> None:
    """In the middle of a rebase, merge or cherry-pick nothing is committed or touched."""
    begin(space)
    before = git(space, "status")
    assert refused(space, "commit", "-m", "m") == (2, "operation_in_progress")
    assert git(space, "status") == before


def test_an_unresolved_conflict_is_refused(space: Path, refused: Refused) -> None:
    """Unmerged entries of the index (here of a stash) are the user's to resolve."""
    (space / "history.txt").write_text("mine\n")
    git(space, "stash", "--quiet")
    commit(space, "history.txt", "theirs\n", "theirs")
    run(space, "git", "stash", "pop", check=False)
    code, _ = refused(space, "commit", "-m", "m")
    assert code in (2, 64)
    assert "UU history.txt" in git(space, "status", "--porcelain")


def test_plain_git_commits_are_part_of_the_line(space: Path) -> None:
    """An agent may mix `git commit`, `git reset` and `tatami commit` on its own branch."""
    commit(space, "one.txt", "one\n", "by tatami")
    (space / "two.txt").write_text("two\n")
    git(space, "add", "--all")
    git(space, "commit", "--quiet", "-m", "by git")
    commit(space, "three.txt", "three\n", "by tatami again")
    git(space, "reset", "--quiet", "--hard", "HEAD~1")
    commit(space, "four.txt", "four\n", "after a reset")
    log = git(space, "log", "--format=%s", "main..").splitlines()
    assert log == ["after a reset", "by git", "by tatami"]
    assert git(space, "status", "--porcelain") == ""


def test_a_lock_of_somebody_else_means_try_again(space: Path, refused: Refused) -> None:
    """git's `index.lock` is respected: 75, and the lock stays."""
    lock = Path(git(space, "rev-parse", "--absolute-git-dir")) / "index.lock"
    lock.write_text("")
    (space / "new.txt").write_text("new\n")
    assert refused(space, "commit", "-m", "m") == (75, "index_locked")
    assert lock.exists()
    lock.unlink()
    assert tatami_json(space, "commit", "-m", "m")["agent"] == space.name


def test_a_lock_of_our_dead_is_taken_over(space: Path) -> None:
    """The lock names its process; one that is gone does not hold up the next commit."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    lock = Path(git(space, "rev-parse", "--absolute-git-dir")) / "index.lock"
    lock.write_text(f"tatami {ended.pid}\n")
    commit(space, "new.txt", "new\n", "m")
    assert not lock.exists()


def test_a_lock_of_our_living_is_waited_for(space: Path, refused: Refused) -> None:
    """A commit under way in the same workspace is not disturbed."""
    lock = Path(git(space, "rev-parse", "--absolute-git-dir")) / "index.lock"
    lock.write_text(f"tatami {os.getpid()}\n")
    (space / "new.txt").write_text("new\n")
    assert refused(space, "commit", "-m", "m") == (75, "index_locked")
    lock.unlink()


def test_a_refused_commit_leaves_no_lock(space: Path, refused: Refused) -> None:
    """After any refusal git works in the workspace at once."""
    assert refused(space, "commit", "-m", "m") == (64, "nothing_to_commit")
    git(space, "add", "--all")


def die(space: Path, where: str, *arguments: str) -> None:
    """Runs `tatami`, killed at the call `where` of `tatami.client.working`."""
    code = DIE_BEFORE_THE_INDEX.format(where=where)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=space, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL


def test_a_client_killed_after_the_commit_loses_nothing(space: Path) -> None:
    """The line has moved, the index has not: the next commit does not take the first one back."""
    (space / "new.txt").write_text("new\n")
    (space / "history.txt").write_text("edited\n")
    die(space, "update", "commit", "-m", "first")
    (space / "history.txt").write_text("edited again\n")
    tatami_json(space, "commit", "-m", "second")
    assert git(space, "log", "--format=%s", "main..").splitlines() == ["second", "first"]
    changed = git(space, "diff-tree", "-r", "--no-commit-id", "--name-status", "HEAD")
    assert changed == "M\thistory.txt"
    assert git(space, "status", "--porcelain") == ""


def test_a_client_killed_before_the_commit_changes_nothing(space: Path) -> None:
    """Nothing was sent: the changes are still there, and are committed once."""
    (space / "new.txt").write_text("new\n")
    die(space, "_rows", "commit", "-m", "first")
    tatami_json(space, "commit", "-m", "second")
    assert git(space, "log", "--format=%s", "main..") == "second"


def test_a_line_moved_elsewhere_is_followed(space: Path, swarm: Swarm) -> None:
    """Bytes committed without the workspace appear in it before the next snapshot."""
    elsewhere = swarm.agents([space.name], workspace=False)[0]
    elsewhere.commit("bytes", {"other.txt": b"other\n", "history.txt": b"new history\n"})
    (space / "new.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", "snapshot")
    changed = git(space, "diff-tree", "-r", "--no-commit-id", "--name-status", "HEAD")
    assert changed == "A\tnew.txt"
    assert (space / "other.txt").read_text() == "other\n"
    assert git(space, "status", "--porcelain") == ""


def test_an_edit_that_stands_against_a_moved_line_is_named(
    space: Path, swarm: Swarm, refused: Refused
) -> None:
    """A file edited here and committed elsewhere: nothing is overwritten or taken back."""
    (space / "history.txt").write_text("my edit\n")
    elsewhere = swarm.agents([space.name], workspace=False)[0]
    elsewhere.commit("bytes", {"history.txt": b"new history\n"})
    assert refused(space, "commit", "-m", "snapshot") == (2, "line_moved")
    assert (space / "history.txt").read_text() == "my edit\n"
    (space / "history.txt").rename(space / "my-history.txt")
    tatami_json(space, "commit", "-m", "snapshot")
    changed = git(space, "diff-tree", "-r", "--no-commit-id", "--name-status", "HEAD")
    assert changed == "A\tmy-history.txt"
    assert (space / "history.txt").read_text() == "new history\n"


def test_two_commits_of_one_workspace_at_once_both_arrive(space: Path) -> None:
    """The second waits for the first, and takes what is left."""
    command = [str(Path(sys.executable).parent / "tatami"), "commit", "--json", "-m"]
    (space / "a.txt").write_text("a\n")
    (space / "b.txt").write_text("b\n")
    both = [
        subprocess.Popen([*command, name, "--paths", name], cwd=space, stdout=subprocess.DEVNULL)
        for name in ("a.txt", "b.txt")
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(git(space, "log", "--format=%s", "main..").splitlines()) == ["a.txt", "b.txt"]
    assert git(space, "status", "--porcelain") == ""


def test_a_file_written_all_the_time_is_busy_or_committed(space: Path) -> None:
    """Never half of it: either an honest refusal, or content that the file really had."""
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            WRITE_ALL_THE_TIME,
        ],
        cwd=space,
    )
    try:
        while not (space / "busy.txt").exists():
            time.sleep(0.01)
        for number in range(5):
            run(
                space,
                str(Path(sys.executable).parent / "tatami"),
                "commit",
                "-m",
                f"{number}",
                check=False,
            )
    finally:
        writer.kill()
        writer.wait()
    for id in git(space, "log", "--format=%H", "main..").splitlines():
        content = git(space, "show", f"{id}:busy.txt")
        assert len(set(content.split())) <= 1
