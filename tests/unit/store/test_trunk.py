"""The trunk in git: read without a process, and looked at without disturbing who works there."""

import os
import subprocess
from pathlib import Path

import pytest

from tatami.store import git, trunk
from tests import sandbox


@pytest.fixture
def common(repository: Path) -> str:
    """The git directory of a repository with `main` checked out clean."""
    return str(repository / ".git")


def no_process(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
    """Stands for git where none may run."""
    raise AssertionError("git was run")


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_the_head_is_read_without_a_process(
    repository: Path, common: str, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    """Wherever git keeps the branch, reading it is reading a file."""
    expected = sandbox.git(repository, "rev-parse", "main")
    if packed:
        sandbox.git(repository, "pack-refs", "--all")
        assert not (repository / ".git/refs/heads/main").exists()
    monkeypatch.setattr(git, "run", no_process)
    assert trunk.head(common, "main") == expected


def test_a_branch_that_is_not_there_is_none(
    repository: Path, common: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that only begins like a packed branch is another branch."""
    sandbox.git(repository, "branch", "main-2")
    sandbox.git(repository, "pack-refs", "--all")
    monkeypatch.setattr(git, "run", no_process)
    assert [trunk.head(common, name) for name in ("gone", "ain", "main-")] == [None, None, None]


def test_a_branch_that_stands_for_another_is_followed(repository: Path, common: str) -> None:
    """A symbolic ref is at the commit of the branch it names."""
    sandbox.git(repository, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    assert trunk.head(common, "alias") == sandbox.git(repository, "rev-parse", "main")


@pytest.fixture
def ahead(repository: Path) -> tuple[str, str]:
    """`main` and a commit on top of it that changes `history.txt`."""
    old = sandbox.git(repository, "rev-parse", "main")
    sandbox.git(repository, "checkout", "--quiet", "--detach")
    new = sandbox.commit_file(repository, "history.txt", b"landed\n")
    sandbox.git(repository, "checkout", "--quiet", "main")
    return old, new


def state(path: Path) -> tuple[bytes, int, int]:
    """Everything by which somebody could tell that a file was written."""
    known = path.stat()
    return path.read_bytes(), known.st_mtime_ns, known.st_ino


def test_a_move_that_waits_does_not_touch_the_index(
    repository: Path, common: str, ahead: tuple[str, str]
) -> None:
    """Whether a checkout can follow is found out on a copy of its index, which nobody misses.

    The story: the hub refreshed the index of a dirty checkout once a second, and the user's own
    `git add` failed on `index.lock` now and then.
    """
    (repository / "history.txt").write_bytes(b"edited\n")
    os.utime(repository / "dir0/file1.txt")
    before = state(repository / ".git/index")
    lock = repository / ".git/index.lock"
    lock.touch()
    moved = trunk.move(common, "main", *ahead)
    assert "history.txt" in moved.waiting
    assert state(repository / ".git/index") == before
    assert sorted(path.name for path in (repository / ".git").glob("*index*")) == [
        "index",
        "index.lock",
    ]


def test_a_file_whose_time_alone_changed_holds_nothing_back(
    repository: Path, common: str, ahead: tuple[str, str]
) -> None:
    """A checkout that only looks edited follows."""
    os.utime(repository / "history.txt")
    assert trunk.move(common, "main", *ahead) == trunk.Moved()
    assert sandbox.git(repository, "status", "--porcelain", "--branch") == "## main"


def test_an_edit_in_the_same_moment_as_the_index_is_seen(
    repository: Path, common: str, ahead: tuple[str, str]
) -> None:
    """A file of the same size and time as the index says is compared, as git does itself."""
    index, file = repository / ".git/index", repository / "history.txt"
    known = file.stat()
    file.write_bytes(b"x" * known.st_size)
    os.utime(file, ns=(known.st_mtime_ns, known.st_mtime_ns))
    os.utime(index, ns=(known.st_mtime_ns, known.st_mtime_ns))
    assert "history.txt" in trunk.move(common, "main", *ahead).waiting


def test_traces_stay_while_nothing_happens(repository: Path, common: str) -> None:
    """Looking leaves no trace, nor does git's own looking."""
    before = trunk.traces(common, "main")
    sandbox.git(repository, "--no-optional-locks", "status")
    assert trunk.traces(common, "main") == before


@pytest.mark.parametrize(
    "command",
    [
        ("stash", "--quiet"),
        ("add", "history.txt"),
        ("checkout", "--quiet", "-b", "topic"),
        ("commit", "--quiet", "--all", "-m", "user's"),
        ("update-ref", "refs/heads/main", "main~1"),
    ],
    ids=lambda command: str(command[0]),
)
def test_what_the_user_does_leaves_a_trace(
    repository: Path, common: str, command: tuple[str, ...]
) -> None:
    """Whatever can let a waiting branch follow is worth another try."""
    (repository / "history.txt").write_bytes(b"edited\n")
    before = trunk.traces(common, "main")
    sandbox.git(repository, *command)
    assert trunk.traces(common, "main") != before


def test_the_end_of_a_merge_leaves_a_trace(repository: Path, common: str) -> None:
    """A merge in progress holds the branch back; that it is over is worth another try."""
    merging = repository / ".git/MERGE_HEAD"
    merging.touch()
    before = trunk.traces(common, "main")
    merging.unlink()
    assert trunk.traces(common, "main") != before


def test_a_lock_that_goes_leaves_a_trace(repository: Path, common: str) -> None:
    """The index's lock holds a checkout back; that it is gone is worth another try."""
    lock = repository / ".git/index.lock"
    lock.touch()
    before = trunk.traces(common, "main")
    lock.unlink()
    assert trunk.traces(common, "main") != before


def test_a_checkout_that_fails_halfway_is_as_it_was(repository: Path, common: str) -> None:
    """Files that git had written are taken back, so that nothing is in the way the next time.

    The story: a full disk stopped `git read-tree -u`, and what it had written stayed untracked.
    Here a name that no file system takes stops it, after all other files.
    """
    old = sandbox.git(repository, "rev-parse", "main")
    sandbox.git(repository, "checkout", "--quiet", "--detach")
    (repository / "a").mkdir()
    (repository / "a/new.txt").write_bytes(b"new\n")
    (repository / "history.txt").write_bytes(b"landed\n")
    (repository / "dir0/file1.txt").unlink()
    sandbox.git(repository, "add", "--all")
    blob = sandbox.git(repository, "rev-parse", ":history.txt")
    sandbox.git(repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},{'z' * 300}")
    sandbox.git(repository, "commit", "--quiet", "-m", "landed")
    new = sandbox.git(repository, "rev-parse", "HEAD")
    sandbox.git(repository, "checkout", "--quiet", "--force", "main")
    (repository / "user.txt").write_bytes(b"user\n")
    before = (repository / "history.txt").read_bytes()
    moved = trunk.move(common, "main", old, new)
    assert "File name too long" in moved.waiting
    assert sandbox.git(repository, "status", "--porcelain") == "?? user.txt"
    assert (repository / "history.txt").read_bytes() == before
    assert not (repository / "a").exists()
    assert sandbox.git(repository, "rev-parse", "main") == old


@pytest.mark.parametrize("left", [100 << 10, 0], ids=["files", "index"])
def test_a_full_disk_holds_the_branch_back_and_is_named(tmp_path: Path, left: int) -> None:
    """What a full disk has let through is taken back; with space the branch follows."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not permitted here")
    try:
        root = sandbox.make_repository(place / "repo")
        common, old = str(root / ".git"), sandbox.git(root, "rev-parse", "main")
        sandbox.git(root, "checkout", "--quiet", "--detach")
        for number in range(6):
            (root / f"{number}.bin").write_bytes(os.urandom(40 << 10))
        new = sandbox.commit_file(root, "history.txt", b"landed\n")
        sandbox.git(root, "add", "--all")
        sandbox.git(root, "commit", "--quiet", "--amend", "--no-edit")
        new = sandbox.git(root, "rev-parse", "HEAD")
        sandbox.git(root, "checkout", "--quiet", "main")
        disk = os.statvfs(place)
        (place / "ballast").write_bytes(bytes(disk.f_bavail * disk.f_frsize - left))
        moved = trunk.move(common, "main", old, new)
        assert "the disk is full" in moved.waiting
        (place / "ballast").unlink()
        assert sandbox.git(root, "status", "--porcelain") == ""
        assert [path.name for path in (root / ".git").glob("*index*")] == ["index"]
        assert trunk.move(common, "main", old, new) == trunk.Moved()
        assert sandbox.git(root, "status", "--porcelain") == ""
    finally:
        subprocess.run(["umount", str(place)], check=True)
