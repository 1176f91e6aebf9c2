"""`workspace adopt`: worktrees of other tools become workspaces, with the work that is in them."""

from pathlib import Path

import pytest

from tests import sandbox
from tests.e2e.conftest import Refused
from tests.sandbox import git, run, tatami, tatami_json


@pytest.fixture
def theirs(shared: Path, name: str, tmp_path: Path) -> Path:
    """A worktree of another tool, on a branch of its own, with staged, edited and new files."""
    path = tmp_path / f"{name} work"
    git(shared, "worktree", "add", "--quiet", "-b", f"topic-{name}", str(path), "main")
    sandbox.commit_file(path, f"{name}.txt", b"committed\n")
    (path / "staged.txt").write_text(f"staged in {path.name}\n")
    git(path, "add", "staged.txt")
    (path / "staged.txt").write_text("staged, then edited\n")
    (path / "history.txt").write_text(f"edited by {path.name}\n")
    (path / "new.txt").write_text(f"new in {path.name}\n")
    return path


def adopted(root: Path, path: Path, name: str) -> Path:
    """Adopts a worktree under a name; returns its path."""
    tatami_json(root, "workspace", "adopt", str(path), "--name", name)
    return path


def test_nothing_in_it_is_touched(shared: Path, theirs: Path, name: str) -> None:
    """Staged, edited and new files and the index are as they were; only the branch is another."""
    before = (git(theirs, "status", "--porcelain"), git(theirs, "ls-files", "--stage", "--debug"))
    head = git(theirs, "rev-parse", "HEAD")
    done = tatami_json(shared, "workspace", "adopt", str(theirs), "--name", name)
    after = (git(theirs, "status", "--porcelain"), git(theirs, "ls-files", "--stage", "--debug"))
    assert after == before
    assert git(theirs, "symbolic-ref", "HEAD") == f"refs/heads/agent/{name}"
    assert git(theirs, "rev-parse", f"topic-{name}") == git(theirs, "rev-parse", "HEAD") == head
    assert (done["path"], done["branch"], done["commit"]) == (str(theirs), f"topic-{name}", head)


def test_every_verb_works_there(shared: Path, theirs: Path, name: str) -> None:
    """commit, list, diff, land, remove: though git knows the worktree by another name."""
    adopted(shared, theirs, name)
    listed = {row["name"]: row for row in tatami_json(shared, "workspace", "list")}
    assert (listed[name]["path"], listed[name]["dirty"]) == (str(theirs), True)
    git(theirs, "add", "--all")
    commit = tatami_json(theirs, "commit", "-m", "all of it")["commit"]
    assert git(theirs, "status", "--porcelain") == ""
    assert git(theirs, "rev-parse", "HEAD") == commit
    files = {row["path"] for row in tatami_json(theirs, "workspace", "diff")["files"]}
    assert {f"{name}.txt", "staged.txt", "history.txt", "new.txt"} <= files
    assert tatami(theirs, "land").stdout.startswith(f"[OK] landed {name}")
    (removed,) = tatami_json(shared, "workspace", "remove", name)
    assert (removed["path"], removed["retired"], theirs.exists()) == (str(theirs), True, False)


def test_a_detached_and_locked_one(shared: Path, name: str, tmp_path: Path) -> None:
    """Its lock becomes ours, and is told."""
    path = tmp_path / "there"
    git(shared, "worktree", "add", "--quiet", "--detach", str(path), "main~1")
    git(shared, "worktree", "lock", "--reason", "claude agent 17", str(path))
    done = tatami_json(shared, "workspace", "adopt", str(path), "--name", name)
    assert (done["branch"], done["lock"]) == ("", "claude agent 17")
    assert done["commit"] == git(shared, "rev-parse", "main~1")
    listed = git(shared, "worktree", "list", "--porcelain").splitlines()
    assert f"locked tatami workspace of {name}" in listed


def test_its_name_is_made_of_the_directory(shared: Path, name: str, tmp_path: Path) -> None:
    """With what does not do in a name replaced."""
    path = tmp_path / f"{name} fix: parser!"
    git(shared, "worktree", "add", "--quiet", "--detach", str(path), "main")
    assert tatami_json(shared, "ws", "adopt", str(path))["name"] == f"{name}-fix-parser"


def test_adopting_again_changes_nothing(shared: Path, theirs: Path, name: str) -> None:
    """It says whose it is; another name is refused."""
    adopted(shared, theirs, name)
    again = tatami_json(theirs, "workspace", "adopt", ".")
    assert (again["name"], again["new"]) == (name, False)


def test_an_interrupted_adoption_goes_on(shared: Path, theirs: Path, name: str) -> None:
    """A crash before the last step leaves an agent whose branch is there already."""
    adopted(shared, theirs, name)
    git_dir = Path(git(theirs, "rev-parse", "--absolute-git-dir"))
    (git_dir / "locked").unlink()
    (git_dir / "tatami-base").unlink()
    (shared / ".git" / "tatami" / "adopted" / name).unlink()
    assert tatami_json(shared, "workspace", "adopt", str(theirs), "--name", name)["new"]
    assert name in [row["name"] for row in tatami_json(shared, "workspace", "list")]


def test_the_main_checkout_is_refused(shared: Path, refused: Refused) -> None:
    """It is the person's; nothing of it changes."""
    assert refused(shared, "workspace", "adopt", ".") == (64, "main_checkout")
    assert git(shared, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_one_in_a_rebase_is_refused(
    shared: Path, theirs: Path, name: str, refused: Refused
) -> None:
    """HEAD is on its way to somewhere else; the fix says how to get there."""
    git(theirs, "reset", "--quiet", "--hard")
    run(theirs, "git", "-c", "sequence.editor=sed -i 1s/^/break\\\\n/", "rebase", "-i", "HEAD~1")
    assert refused(shared, "ws", "adopt", str(theirs)) == (2, "operation_in_progress")
    git(theirs, "rebase", "--continue")
    adopted(shared, theirs, name)


def test_one_of_another_repository_is_refused(
    shared: Path, tmp_path: Path, refused: Refused
) -> None:
    """It belongs to a hub of its own."""
    other = sandbox.make_repository(tmp_path / "other")
    git(other, "worktree", "add", "--quiet", "--detach", str(tmp_path / "there"))
    assert refused(shared, "ws", "adopt", str(tmp_path / "there")) == (64, "other_repository")


def test_one_that_git_would_prune_is_refused(
    shared: Path, theirs: Path, tmp_path: Path, refused: Refused
) -> None:
    """A moved one has to be repaired first; one that is gone is not found."""
    moved = theirs.rename(tmp_path / "moved")
    assert refused(shared, "ws", "adopt", str(moved)) == (64, "workspace_moved")
    assert refused(shared, "ws", "adopt", str(theirs)) == (64, "not_found")
    git(shared, "worktree", "repair", str(moved))
    adopted(shared, moved, "repaired-one")


def test_a_name_in_use_is_refused(
    shared: Path, theirs: Path, space: Path, refused: Refused
) -> None:
    """Nobody's workspace changes its agent."""
    verb = ("workspace", "adopt", str(theirs), "--name")
    assert refused(shared, *verb, space.name) == (64, "workspace_exists")
    assert refused(shared, *verb, "a/b") == (64, "bad_agent_name")
