"""A workspace follows its line: never backwards, never over an edit."""

from pathlib import Path

import pytest

from tatami.values.errors import ConflictError
from tatami.workspaces import line, worktree
from tatami.workspaces.index import IndexEntry
from tatami.workspaces.snapshot import blob_id
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git


def commit_elsewhere(space: Workspace, path: str, content: bytes) -> str:
    """Moves the agent's branch by one commit, as the hub does: the workspace hears nothing."""
    blob = git(space.path, "hash-object", "-w", "--stdin", stdin=content)
    rows = git(space.path, "ls-tree", "HEAD").splitlines()
    rows = [row for row in rows if not row.endswith(f"\t{path}")]
    rows.append(f"100644 blob {blob}\t{path}\n")
    tree = git(space.path, "mktree", stdin="\n".join(rows).encode())
    head = git(space.path, "commit-tree", "-p", "HEAD", "-m", "elsewhere", tree)
    (Path(space.common) / "refs" / "heads" / "agent" / "a").write_text(head + "\n")
    return head


def behind(space: Workspace) -> line.Base:
    """The base of a workspace that has not followed."""
    known = line.behind(space, worktree.head(space))
    assert known is not None
    return known


def test_a_new_workspace_is_not_behind(space: Workspace) -> None:
    """Its base is its head."""
    head = worktree.head(space)
    assert line.base(space) == line.Base(head, "-", 0)
    assert line.behind(space, head) is None


def test_the_line_moved_by_the_hub_is_noticed_and_followed(space: Workspace) -> None:
    """Files, index and record are those of the new head."""
    head = commit_elsewhere(space, "history.txt", b"new\n")
    line.follow(space, behind(space), head)
    assert (Path(space.path) / "history.txt").read_bytes() == b"new\n"
    assert git(space.path, "status", "--porcelain") == ""
    assert line.behind(space, head) is None


def test_the_line_moved_by_git_is_left_to_git(space: Workspace) -> None:
    """`git commit` and `git reset --soft` know what they do with index and files."""
    (Path(space.path) / "history.txt").write_text("edited\n")
    git(space.path, "commit", "--quiet", "--all", "-m", "by git")
    assert line.behind(space, worktree.head(space)) is None
    git(space.path, "reset", "--quiet", "--soft", "HEAD~1")
    assert line.behind(space, worktree.head(space)) is None
    assert (Path(space.path) / "history.txt").read_text() == "edited\n"


def test_what_git_did_last_is_what_the_files_are_based_on(space: Workspace) -> None:
    """The hub moves the line elsewhere then: what git had committed is no edit that stays."""
    first = worktree.head(space)
    (Path(space.path) / "history.txt").write_text("by git\n")
    git(space.path, "commit", "--quiet", "--all", "-m", "by git")
    second = worktree.head(space)
    (Path(space.common) / "refs" / "heads" / "agent" / "a").write_text(first + "\n")
    head = commit_elsewhere(space, "other.txt", b"new\n")
    assert behind(space).commit == second
    line.follow(space, behind(space), head)
    assert git(space.path, "status", "--porcelain") == ""
    assert git(space.path, "diff", "--name-only", first).splitlines() == ["other.txt"]


def test_a_reflog_that_was_cut_tells_nothing(space: Workspace) -> None:
    """`git gc` expires it: the record stays what the files are based on."""
    (Path(space.path) / "history.txt").write_text("by git\n")
    git(space.path, "commit", "--quiet", "--all", "-m", "by git")
    git(space.path, "commit", "--quiet", "--amend", "-m", "again")
    line.record(space, worktree.head(space))
    recorded = line.base(space)
    log = Path(space.git_dir) / "logs" / "HEAD"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:1]))
    commit_elsewhere(space, "history.txt", b"new\n")
    assert behind(space) == recorded


def test_a_snapshot_that_arrived_moves_only_the_index(space: Workspace) -> None:
    """The files are the new commit already, with what was edited since."""
    entry = IndexEntry("history.txt", 0o100644, blob_id(b"new\n"))
    line.record(space, worktree.head(space), [entry])
    head = commit_elsewhere(space, "history.txt", b"new\n")
    (Path(space.path) / "history.txt").write_text("newer\n")
    line.follow(space, behind(space), head)
    assert git(space.path, "status", "--porcelain") == " M history.txt"
    assert (Path(space.path) / "history.txt").read_text() == "newer\n"


def test_another_commit_is_not_taken_for_the_snapshot(space: Workspace) -> None:
    """A snapshot was on its way, but what arrived is something else: the files have to follow."""
    line.record(space, worktree.head(space), [IndexEntry("other.txt", 0o100644, blob_id(b"x"))])
    head = commit_elsewhere(space, "history.txt", b"new\n")
    line.follow(space, behind(space), head)
    assert (Path(space.path) / "history.txt").read_bytes() == b"new\n"


def test_an_edit_in_the_way_stops_it(space: Workspace) -> None:
    """Nothing changes: not the file, not the index, not the record."""
    head = commit_elsewhere(space, "history.txt", b"new\n")
    (Path(space.path) / "history.txt").write_text("mine\n")
    before = (Path(space.git_dir) / "index").read_bytes()
    with pytest.raises(ConflictError, match=r"history\.txt") as refusal:
        line.follow(space, behind(space), head)
    assert refusal.value.code == "line_moved"
    assert (Path(space.git_dir) / "index").read_bytes() == before
    assert behind(space).commit != head


def test_an_edit_beside_it_stays(space: Workspace) -> None:
    """Only what the line changed has to be clean."""
    head = commit_elsewhere(space, "history.txt", b"new\n")
    (Path(space.path) / "dir0" / "file0.txt").write_text("mine\n")
    line.follow(space, behind(space), head)
    assert git(space.path, "status", "--porcelain") == " M dir0/file0.txt"


@pytest.mark.parametrize("text", ["", "garbage", "abc - x\n"])
def test_a_damaged_record_is_no_record(space: Workspace, text: str) -> None:
    """It can be deleted at any time; then nothing is known to be behind."""
    (Path(space.git_dir) / worktree.RECORD).write_text(text)
    assert line.base(space) is None


def test_an_ignored_file_is_not_overwritten(space: Workspace) -> None:
    """git's two-way merge protects new files, but since 2.34 not the ignored ones: settings.

    A line that moved to a commit with such a file took the agent's own with it.
    """
    root = Path(space.path)
    base = worktree.head(space)
    (root / ".gitignore").write_text(".env\nout\n")
    (root / ".env").write_text("the agent's\n")
    (root / "out").write_text("the agent's\n")
    tree = git(root, "rev-parse", f"{base}^{{tree}}")
    for path in (".env", "out/a.txt"):
        commit = commit_with(root, tree, base, path)
        with pytest.raises(ConflictError) as refused:
            line.follow(space, line.Base(base, "-", 0), commit)
        assert refused.value.code == "line_moved"
    assert [(root / name).read_text() for name in (".env", "out")] == ["the agent's\n"] * 2


def commit_with(root: Path, tree: str, parent: str, path: str) -> str:
    """A commit that adds one file to a tree."""
    blob = git(root, "hash-object", "-w", "--stdin", stdin=b"the line's\n")
    folder, _, name = path.rpartition("/")
    row = f"100644 blob {blob}\t{name}\n"
    if folder:
        row = f"040000 tree {git(root, 'mktree', stdin=row.encode())}\t{folder}\n"
    rows = git(root, "ls-tree", tree) + "\n" + row
    more = git(root, "mktree", stdin=rows.encode())
    return git(root, "commit-tree", "-p", parent, "-m", "more", more)
