"""Commits of explicit contents through the SDK, with a workspace beside them and without."""

import contextlib
import os
from pathlib import Path

import pytest

from tatami import Agent, Swarm, TatamiError
from tests.sandbox import git


@pytest.fixture
def agent(swarm: Swarm, name: str) -> Agent:
    """A new agent with a workspace."""
    return swarm.agent(name)


@pytest.fixture
def remote(swarm: Swarm, name: str) -> Agent:
    """A new agent without a workspace."""
    return swarm.agent(name, workspace=False)


def refusal(agent: Agent, *arguments: object, **options: object) -> str:
    """The code of the error a commit raises."""
    with pytest.raises(TatamiError) as raised:
        agent.commit(*arguments, **options)  # type: ignore[arg-type]
    return raised.value.code


def test_files_of_the_workspace_follow(agent: Agent) -> None:
    """New, changed and deleted files appear as committed, and git's status is clean."""
    done = agent.commit(
        "bytes",
        {
            "history.txt": b"changed\n",
            "deep/er/new.txt": b"new\n",
            "dir0/file0.txt": None,
            "run.sh": (0o100755, b"#!/bin/sh\n"),
            "link": (0o120000, b"history.txt"),
        },
    )
    space = Path(agent.path)
    assert git(space, "rev-parse", "HEAD") == done.id
    assert git(space, "status", "--porcelain") == ""
    assert (space / "history.txt").read_text() == "changed\n"
    assert (space / "deep" / "er" / "new.txt").read_text() == "new\n"
    assert not (space / "dir0" / "file0.txt").exists()
    assert os.access(space / "run.sh", os.X_OK)
    assert os.readlink(space / "link") == "history.txt"


def test_unsaved_edits_of_other_files_stay(agent: Agent) -> None:
    """A commit of bytes commits those bytes, and touches nothing else."""
    space = Path(agent.path)
    (space / "history.txt").write_text("my edit\n")
    (space / "untracked.txt").write_text("mine\n")
    agent.commit("bytes", {"dir0/file0.txt": b"bytes\n"})
    assert (
        git(space, "diff-tree", "-r", "--no-commit-id", "--name-only", "HEAD") == "dir0/file0.txt"
    )
    assert git(space, "status", "--porcelain").splitlines() == [
        " M history.txt",
        "?? untracked.txt",
    ]


@pytest.mark.parametrize("path", ["history.txt", "untracked.txt"])
def test_a_file_edited_in_the_workspace_is_a_conflict(agent: Agent, path: str) -> None:
    """Nothing is committed, the edit stays, and the error names the file."""
    space = Path(agent.path)
    (space / path).write_text("my edit\n")
    head = git(space, "rev-parse", "HEAD")
    with pytest.raises(TatamiError, match=path) as raised:
        agent.commit("bytes", {path: b"other\n", "new.txt": b"new\n"})
    assert (raised.value.code, raised.value.exit_code) == ("modified_here", 2)
    assert git(space, "rev-parse", "HEAD") == head
    assert (space / path).read_text() == "my edit\n"
    assert not (space / "new.txt").exists()


def test_a_file_that_holds_the_bytes_already_is_fine(agent: Agent) -> None:
    """An agent may write its file first and commit the same bytes then."""
    space = Path(agent.path)
    (space / "history.txt").write_text("same\n")
    (space / "new.txt").write_text("same too\n")
    agent.commit("bytes", {"history.txt": b"same\n", "new.txt": b"same too\n"})
    assert git(space, "status", "--porcelain") == ""


def test_some_files_there_and_some_not(agent: Agent) -> None:
    """What is there stays as it is, the rest is written."""
    space = Path(agent.path)
    (space / "there.txt").write_text("there\n")
    agent.commit("bytes", {"there.txt": b"there\n", "written.txt": b"written\n"})
    assert (space / "written.txt").read_text() == "written\n"
    assert git(space, "status", "--porcelain") == ""


def test_bytes_and_snapshots_alternate(agent: Agent) -> None:
    """Each stands on the other."""
    space = Path(agent.path)
    for number in range(3):
        agent.commit(f"bytes {number}", {"a.txt": b"%d\n" % number})
        (space / "b.txt").write_text(f"{number}\n")
        agent.commit(f"snapshot {number}")
    assert git(space, "rev-list", "--count", "main..") == "6"
    assert git(space, "status", "--porcelain") == ""


def test_amend_with_bytes(agent: Agent) -> None:
    """The last commit is replaced, and the files follow."""
    agent.commit("first", {"a.txt": b"1\n"})
    agent.commit("second", {"a.txt": b"2\n"}, amend=True)
    space = Path(agent.path)
    assert git(space, "log", "--format=%s", "main..") == "second"
    assert ((space / "a.txt").read_text(), git(space, "status", "--porcelain")) == ("2\n", "")


def test_expected_refuses_another_head(agent: Agent) -> None:
    """For bytes and for snapshots."""
    head = agent.commit("first", {"a.txt": b"1\n"}).id
    agent.commit("second", {"a.txt": b"2\n"}, expected=head)
    assert refusal(agent, "third", {"a.txt": b"3\n"}, expected=head) == "stale_head"
    (Path(agent.path) / "a.txt").write_text("3\n")
    assert refusal(agent, "third", expected=head) == "stale_head"


def test_reset_moves_a_clean_workspace(agent: Agent) -> None:
    """Files and index go with the line; a dirty workspace is refused first."""
    space = Path(agent.path)
    first = agent.commit("first", {"a.txt": b"1\n"}).id
    agent.commit("second", {"a.txt": b"2\n", "b.txt": b"2\n"})
    (space / "a.txt").write_text("edit\n")
    with pytest.raises(TatamiError, match=r"a\.txt") as raised:
        agent.reset(first)
    assert raised.value.code == "dirty"
    git(space, "checkout", "--quiet", "a.txt")
    agent.reset(first)
    assert (git(space, "rev-parse", "HEAD"), git(space, "status", "--porcelain")) == (first, "")
    assert ((space / "a.txt").read_text(), (space / "b.txt").exists()) == ("1\n", False)


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../b",
        ".git/config",
        "a/.GIT/x",
        ".jj/x",
        "git~1/x",
        "a\\b",
        "a//b",
    ],
)
def test_hostile_paths_never_get_in(remote: Agent, agent: Agent, path: str) -> None:
    """With a workspace and without, and nothing of the same commit either."""
    for one in (remote, agent):
        assert refusal(one, "bytes", {path: b"x", "fine.txt": b"x"}) == "bad_path"


@pytest.mark.parametrize("mode", [0o100600, 0o40000, 0o170000])
def test_other_modes_are_refused(remote: Agent, mode: int) -> None:
    """git knows three modes of files."""
    assert refusal(remote, "bytes", {"a.txt": (mode, b"x")}) == "bad_mode"


def test_nothing_to_commit(remote: Agent, agent: Agent) -> None:
    """No paths, the contents that are there, or the deletion of what is not there."""
    for one in (remote, agent):
        assert refusal(one, "empty", {}) == "nothing_to_commit"
        assert refusal(one, "absent", {"nowhere.txt": None}) == "nothing_to_commit"


def test_too_many_paths_are_refused(remote: Agent) -> None:
    """One more than the limit, before anything is built."""
    paths = {f"d{number % 97}/{number}": b"" for number in range(100_001)}
    assert refusal(remote, "many", paths) == "too_many_paths"


def test_ten_thousand_paths_are_one_commit(remote: Agent, swarm: Swarm) -> None:
    """Far more than any edit needs, and all of them arrive."""
    paths = {f"d{number % 97}/{number}": b"%d" % number for number in range(10_001)}
    done = remote.commit("many", paths)
    assert swarm.read(done.id, ["d0/0", "d9/10000"]) == [b"0", b"10000"]
    assert len(swarm.diff("main", done.id)) == 10_001


@pytest.mark.parametrize("message", ["", " \n"])
def test_an_empty_message_is_refused(remote: Agent, message: str) -> None:
    """A commit says what it is for."""
    assert refusal(remote, message, {"a.txt": b"x"}) == "empty_message"


@pytest.mark.parametrize(("message", "code"), [("a\0b", "bad_message"), ("\ud800", "bad_text")])
def test_a_message_that_git_cannot_hold_is_refused(remote: Agent, message: str, code: str) -> None:
    """NUL ends a message in git, half a surrogate pair is no character."""
    assert refusal(remote, message, {"a.txt": b"x"}) == code


def test_a_path_that_is_not_text_is_refused(remote: Agent) -> None:
    """What Python makes of a file name that is not UTF-8."""
    assert refusal(remote, "bytes", {"caf\udce9.txt": b"x"}) == "bad_text"


def test_a_blob_on_the_way_to_a_symlinked_folder_stays_inside(agent: Agent, tmp_path: Path) -> None:
    """A folder that the agent replaced by a link outside is never written through."""
    space = Path(agent.path)
    for name in ("file0.txt", "file1.txt", "file2.txt"):
        (space / "dir0" / name).unlink(missing_ok=True)
    (space / "dir0").rmdir()
    os.symlink(tmp_path, space / "dir0")
    with contextlib.suppress(TatamiError):
        agent.commit("bytes", {"dir0/new.txt": b"x"})
    assert os.listdir(tmp_path) == []
