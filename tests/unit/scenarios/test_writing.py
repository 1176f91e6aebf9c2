"""Putting changes into a working copy: git then sees exactly those."""

import os
from pathlib import Path

from tatami.scenarios.history.deal import Content
from tatami.scenarios.history.writing import as_bytes, write
from tests.sandbox import git

FILE = 0o100644
MODULE = Content(0o160000, "1" * 40)


def nothing(name: str) -> bytes:
    raise AssertionError(f"{name} was not to be read")


def staged(path: Path) -> list[str]:
    """What `git add --all` finds: mode and path."""
    git(path, "add", "--all")
    rows = git(path, "diff", "--cached", "--raw", "--no-renames", "HEAD").splitlines()
    return [" ".join((row.split()[1], row.split("\t")[1])) for row in rows]


def test_files_are_written_as_git_would_check_them_out(repository: Path) -> None:
    """New folders, an executable, a symlink, a replaced file, a submodule, a file given by id."""
    write(
        str(repository),
        {
            "new/deep/file": Content(FILE, b"1"),
            "program": Content(0o100755, b"#!"),
            "link": Content(0o120000, b"history.txt"),
            "history.txt": Content(0o120000, b"program"),
            "module": MODULE,
            "by-id": Content(FILE, "some id"),
        },
        {"some id": b"content"}.__getitem__,
    )
    assert os.readlink(repository / "link") == "history.txt"
    assert (repository / "by-id").read_bytes() == b"content"
    assert staged(repository) == [
        *("100644 by-id", "120000 history.txt", "120000 link"),
        *("160000 module", "100644 new/deep/file", "100755 program"),
    ]


def test_deletions_take_empty_folders_with_them(repository: Path) -> None:
    """A folder whose last file goes is gone, and a file can take its name."""
    folder = repository / "dir0"
    gone = {f"dir0/{name}": None for name in os.listdir(folder)}
    write(str(repository), {**gone, "dir0": Content(FILE, b"now a file")}, nothing)
    assert folder.read_bytes() == b"now a file"


def test_a_file_can_become_a_folder(repository: Path) -> None:
    """The file goes first, then its name is a folder's."""
    write(str(repository), {"history.txt": None, "history.txt/x": Content(FILE, b"")}, nothing)
    assert staged(repository) == ["000000 history.txt", "100644 history.txt/x"]


def test_what_is_ignored_but_in_history_is_added_by_force(repository: Path) -> None:
    """An ignored file would otherwise not be part of a snapshot."""
    (repository / ".gitignore").write_text("*.log\n")
    write(str(repository), {"x.log": Content(FILE, b""), "y.txt": Content(FILE, b"")}, nothing)
    assert git(repository, "ls-files", "x.log", "y.txt") == "x.log"


def test_a_submodule_is_not_committed_without_the_files_beside_it(repository: Path) -> None:
    """Where the index has to be used at all, it holds everything that was written."""
    changes = {"module": MODULE, "new": Content(FILE, b""), "history.txt": None}
    write(str(repository), changes, nothing)
    assert git(repository, "diff", "--cached", "--name-only", "HEAD").split() == [
        *("history.txt", "module", "new"),
    ]


def test_changes_as_bytes_name_submodules_by_id() -> None:
    """Contents are sent, a submodule's commit is named, a deletion is None."""
    changes = {"a": Content(FILE, "id"), "b": Content(FILE, b"2"), "c": None, "d": MODULE}
    assert as_bytes(changes, {"id": b"1"}.__getitem__) == {
        "a": (FILE, b"1"),
        "b": (FILE, b"2"),
        "c": None,
        "d": (0o160000, "1" * 40),
    }
