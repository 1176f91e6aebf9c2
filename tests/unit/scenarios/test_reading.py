"""Reading history with git."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tatami.scenarios.history.deal import Content, Entry, FileChange
from tatami.scenarios.history.reading import Objects, last_commits, source, trees_of
from tatami.values.errors import UsageError
from tests import sandbox


def messages(path: Path, count: int) -> list[str]:
    return [commit.message.strip() for commit in last_commits(source(str(path)), count)]


def test_the_newest_commits_come_oldest_first(repository: Path) -> None:
    """Two commits of three, and all that have a parent when more are asked for."""
    assert messages(repository, 1) == ["commit 2"]
    assert messages(repository, 10) == ["commit 1", "commit 2"]


def test_a_merge_is_one_commit_against_its_first_parent(repository: Path) -> None:
    """What a side branch did in two commits counts as the merge's change."""
    sandbox.git(repository, "switch", "--quiet", "-c", "side", "main~1")
    sandbox.commit_file(repository, "x", b"1\n")
    sandbox.commit_file(repository, "y", b"2\n")
    sandbox.git(repository, "switch", "--quiet", "main")
    sandbox.git(repository, "merge", "--quiet", "--no-ff", "-m", "merge", "side")
    merge = last_commits(source(str(repository)), 1)[0]
    blobs = [Content(0o100644, content).object_id() for content in (b"1\n", b"2\n")]
    assert merge.changes == (
        FileChange("x", None, Entry(0o100644, blobs[0])),
        FileChange("y", None, Entry(0o100644, blobs[1])),
    )
    assert merge.tree == trees_of(str(repository), ["main"])[0]


def test_commits_that_change_nothing_are_left_out(repository: Path) -> None:
    """An empty commit gives no agent anything to do."""
    sandbox.git(repository, "commit", "--quiet", "--allow-empty", "-m", "nothing")
    assert messages(repository, 2) == ["commit 1", "commit 2"]


def test_renames_are_a_deletion_and_an_addition(repository: Path) -> None:
    """No rename detection: the tree is all that has to be right."""
    sandbox.git(repository, "mv", "history.txt", "moved é.txt")
    sandbox.git(repository, "commit", "--quiet", "-m", "move")
    changes = last_commits(source(str(repository)), 1)[0].changes
    assert [(c.path, c.old is None, c.new is None) for c in changes] == [
        ("history.txt", False, True),
        ("moved é.txt", True, False),
    ]


def test_a_message_of_any_shape_does_not_confuse(repository: Path) -> None:
    """Messages that look like git's own output are read as messages."""
    sandbox.git(repository, "commit", "--quiet", "--allow-empty", "-m", ":100644 100644 a b M")
    sandbox.git(repository, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "-m", "")
    sandbox.commit_file(repository, "x", b"1\n", message="last")
    assert messages(repository, 1) == ["last"]


def test_bare_repositories_worktrees_and_subfolders_are_found(
    repository: Path, tmp_path: Path
) -> None:
    """Wherever git finds a repository, its shared parts are found."""
    (repository / "sub").mkdir()
    sandbox.git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare")
    sandbox.git(repository, "worktree", "add", "--quiet", str(tmp_path / "linked"), "HEAD~1")
    places = [repository, repository / "sub", tmp_path / "linked", tmp_path / "bare"]
    found = [source(str(path)) for path in places]
    common = str(repository / ".git")
    assert [one.git_dir for one in found] == [common, common, common, str(tmp_path / "bare")]
    assert [one.objects for one in found] == [f"{one.git_dir}/objects" for one in found]


@pytest.mark.parametrize("rev", ["main~1", "HEAD~1"])
def test_a_revision_to_end_at_can_be_named(repository: Path, rev: str) -> None:
    """History up to an older commit can be replayed."""
    head = sandbox.git(repository, "rev-parse", rev)
    assert source(str(repository), rev).head == head


def refused(path: Path, rev: str = "HEAD") -> str:
    with pytest.raises(UsageError) as caught:
        last_commits(source(str(path), rev), 10)
    assert caught.value.fix
    return caught.value.code


def test_what_cannot_be_replayed_is_refused(
    make_repository: Callable[..., Path], tmp_path: Path
) -> None:
    """Each kind of wrong input has its own code, and a next step."""
    plain = make_repository(name="plain")
    (tmp_path / "nothing").mkdir()
    sandbox.git(tmp_path, "init", "--quiet", "empty")
    sandbox.git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{plain}", "shallow")
    alone = make_repository(name="alone", commits=1)
    partial = make_repository(name="partial")
    sandbox.git(partial, "config", "remote.origin.promisor", "true")
    codes = {
        "missing": refused(tmp_path / "missing"),
        "nothing": refused(tmp_path / "nothing"),
        "empty": refused(tmp_path / "empty"),
        "shallow": refused(tmp_path / "shallow"),
        "alone": refused(alone),
        "partial": refused(partial),
        "rev": refused(plain, "nowhere"),
    }
    assert codes == {
        "missing": "not_found",
        "nothing": "not_a_repository",
        "empty": "no_history",
        "shallow": "shallow_repository",
        "alone": "no_history",
        "partial": "partial_clone",
        "rev": "no_history",
    }


def test_a_file_name_that_is_not_utf8_is_refused(repository: Path) -> None:
    """The commit that has it is named, and a way around it."""
    blob = sandbox.git(repository, "hash-object", "-w", "history.txt")
    line = b"100644 blob %b\tb\xff\n" % blob.encode()
    tree = sandbox.git(repository, "mktree", stdin=line)
    commit = sandbox.git(repository, "commit-tree", "-p", "main", "-m", "bad", tree)
    assert refused(repository, commit) == "bad_path"


def test_objects_are_read_until_closed(repository: Path) -> None:
    """One git answers any number of questions, also about what does not exist."""
    objects = Objects(str(repository / ".git"))
    try:
        read = [objects.find("main:history.txt"), objects.find("main:none")]
    finally:
        objects.close()
    assert read == [b"line 0\nline 1\nline 2\n", None]
