"""What a workspace's files and index would make a commit of."""

import os
import subprocess
from pathlib import Path

import pytest

from tatami.values.errors import TatamiError, UsageError
from tatami.workspaces import staging, worktree
from tatami.workspaces.snapshot import blob_id, changed_paths, take
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\0\xff" * 1000])
def test_blob_ids_are_gits(space: Workspace, content: bytes) -> None:
    """The index entries we write name what git would have stored."""
    assert blob_id(content) == git(space.path, "hash-object", "--stdin", stdin=content)


def test_a_file_that_only_looks_different_is_no_change(space: Workspace) -> None:
    """With CRLF in the working copy, git stores what the commit has already."""
    (Path(space.path) / ".gitattributes").write_text("*.txt text eol=crlf\n")
    git(space.path, "add", "--all")
    git(space.path, "commit", "--quiet", "-m", "attributes")
    file = Path(space.path) / "history.txt"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    head = worktree.head(space)
    assert take(space, head).changes == []
    assert changed_paths(space, head) == []


def test_reading_filtered_files_writes_no_object(space: Workspace) -> None:
    """A verb that only looks leaves the repository as it was."""
    (Path(space.path) / ".gitattributes").write_text("*.txt text eol=crlf\n")
    (Path(space.path) / "new.txt").write_bytes(b"one\r\n")
    before = git(space.path, "count-objects")
    assert changed_paths(space, worktree.head(space)) == [".gitattributes", "new.txt"]
    assert git(space.path, "count-objects") == before


def test_the_index_is_taken_where_it_says_more(space: Workspace) -> None:
    """Staged content that differs from the file, with mode and deletion."""
    root = Path(space.path)
    (root / "history.txt").write_text("staged\n")
    (root / "history.txt").chmod(0o755)
    os.symlink("history.txt", root / "link")
    (root / "dir0" / "file0.txt").unlink()
    git(space.path, "add", "--all")
    (root / "history.txt").write_text("later\n")
    taken = take(space, worktree.head(space))
    assert (taken.staged, taken.entries) == (True, ())
    assert taken.changes == [
        ("dir0/file0.txt", 0, None),
        ("history.txt", 0o100755, b"staged\n"),
        ("link", 0o120000, b"history.txt"),
    ]


def test_paths_take_files_whatever_is_staged(space: Workspace) -> None:
    """As `git commit -- PATH`."""
    root = Path(space.path)
    (root / "history.txt").write_text("staged\n")
    git(space.path, "add", "--all")
    (root / "history.txt").write_text("later\n")
    taken = take(space, worktree.head(space), ["history.txt"])
    assert (taken.staged, taken.changes) == (False, [("history.txt", 0o100644, b"later\n")])


def test_a_submodule_is_at_its_checkouts_commit(space: Workspace, tmp_path: Path) -> None:
    """The commit of the inner repository, which the outer one names."""
    git(tmp_path, "init", "--quiet", "inner")
    git(tmp_path / "inner", "commit", "--quiet", "--allow-empty", "-m", "one")
    git(
        space.path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add",
        str(tmp_path / "inner"), "sub",
    )  # fmt: skip
    git(space.path, "commit", "--quiet", "-m", "submodule")
    inner = Path(space.path) / "sub"
    git(inner, "commit", "--quiet", "--allow-empty", "-m", "two")
    taken = take(space, worktree.head(space))
    assert taken.changes == [("sub", 0o160000, git(inner, "rev-parse", "HEAD"))]


def test_unmerged_entries_are_refused(space: Workspace) -> None:
    """A conflict in the index is the user's to resolve."""
    blob = git(space.path, "rev-parse", "HEAD:history.txt")
    rows = "".join(f"100644 {blob} {stage}\thistory.txt\n" for stage in (1, 2, 3))
    git(space.path, "update-index", "--index-info", stdin=rows.encode())
    with pytest.raises(TatamiError):
        take(space, worktree.head(space))


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("working-tree-encoding=UTF-16", "BOM is required"),
        ("working-tree-encoding=none", "failed to encode"),
        ("filter=broken", "clean filter 'broken' failed"),
    ],
)
def test_a_file_that_git_refuses_to_convert_is_named(
    space: Workspace, attributes: str, said: str
) -> None:
    """The error says which file, what git says of it, and what to do."""
    root = Path(space.path)
    git(root, "config", "filter.broken.clean", "false")
    git(root, "config", "filter.broken.required", "true")
    (root / ".gitattributes").write_text(f"*.odd {attributes}\n*.fine text eol=crlf\n")
    (root / "a.fine").write_bytes(b"fine\r\n")
    (root / "b c.odd").write_text("odd\n")
    with pytest.raises(UsageError) as caught:
        take(space, git(root, "rev-parse", "HEAD"))
    assert caught.value.code == "not_staged"
    assert caught.value.message.startswith("git does not take b c.odd: ")
    assert said in caught.value.message
    assert "check-attr --all 'b c.odd'" in (caught.value.fix or "")


def test_what_was_only_intended_and_is_gone_leaves_the_index(space: Workspace) -> None:
    """It is no change, but the index would name a file that is not there for ever."""
    root = Path(space.path)
    (root / "gone.txt").write_text("gone\n")
    git(root, "add", "--intent-to-add", "gone.txt")
    (root / "gone.txt").unlink()
    (root / "new.txt").write_text("new\n")
    taken = take(space, git(root, "rev-parse", "HEAD"))
    assert [path for path, _, _ in taken.changes] == ["new.txt"]
    assert (taken.untracked, list(taken.unintended)) == (1, ["gone.txt"])


def test_an_index_that_a_killed_commit_left_is_swept(space: Workspace) -> None:
    """The next one that needs an index of its own removes it; one of a living process stays."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    for process in (dead.pid, os.getpid()):
        (Path(space.git_dir) / f"tatami-index-{process}-x").mkdir()
    with staging.staging_index(space, ()):
        pass
    left = [path.name for path in Path(space.git_dir).glob("tatami-index-*")]
    assert left == [f"tatami-index-{os.getpid()}-x"]
