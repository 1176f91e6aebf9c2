"""Snapshots of what does not belong into a commit: too much, unreadable, or no file at all."""

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tatami.values.errors import TatamiError
from tatami.values.limits import COMMIT_PATHS_MAX, FILE_BYTES_MAX
from tatami.workspaces import worktree
from tatami.workspaces.snapshot import changed_paths, require_bounded, take
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git

GIBIBYTE = 1 << 30
LINKS_MAX = 60_000
"""ext4 takes 65 000 names for one file."""
TAKE = """
import sys
from tatami.workspaces import worktree
from tatami.workspaces.snapshot import take
space = worktree.get(sys.argv[1], "a")
take(space, worktree.head(space))
"""


def code(space: Workspace) -> str:
    with pytest.raises(TatamiError) as refused:
        take(space, worktree.head(space))
    assert refused.value.fix
    return refused.value.code


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def names(space: Workspace, count: int, size: int) -> None:
    """Makes many names for a few files, which take no room."""
    folder = Path(space.path) / "many"
    folder.mkdir()
    for number in range(count):
        file = folder / f"{number:06}"
        if number % LINKS_MAX == 0:
            sparse(file, size)
            first = file
        else:
            os.link(first, file)


def test_a_file_of_a_gibibyte_is_refused_before_it_is_read(space: Workspace) -> None:
    """Its size alone says that it is too large."""
    sparse(Path(space.path) / "core.dump", GIBIBYTE)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = subprocess.run(
        [sys.executable, "-c", TAKE, space.common], capture_output=True, text=True, check=False
    )
    assert "core.dump has 1073741824 bytes" in done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert max(before, after) < 512 * 1024


def test_what_is_staged_is_committed_beside_a_file_that_is_too_large(space: Workspace) -> None:
    """The large file is not meant."""
    (Path(space.path) / "small").write_bytes(b"small\n")
    git(space.path, "add", "small")
    sparse(Path(space.path) / "core.dump", GIBIBYTE)
    taken = take(space, worktree.head(space))
    assert (taken.staged, taken.changes) == (True, [("small", 0o100644, b"small\n")])


def test_too_many_files_are_refused_before_they_are_read(space: Workspace) -> None:
    """Reading them would have ended at the limit of bytes, which is another refusal."""
    names(space, COMMIT_PATHS_MAX + 1, FILE_BYTES_MAX)
    assert code(space) == "too_many_paths"


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([("a", FILE_BYTES_MAX + 1)], "file_too_large"),
        ([("a", FILE_BYTES_MAX), ("b", FILE_BYTES_MAX)], "commit_too_large"),
        ([("a", 0)] * (COMMIT_PATHS_MAX + 1), "too_many_paths"),
    ],
)
def test_what_is_staged_is_bounded_by_sizes(sizes: list[tuple[str, int]], expected: str) -> None:
    """Before any content is read from git."""
    with pytest.raises(TatamiError) as refused:
        require_bounded(sizes)
    assert (refused.value.code, bool(refused.value.fix)) == (expected, True)


def test_a_name_that_is_not_utf8_is_named(space: Workspace) -> None:
    """As no name of that kind can be in a commit; nothing else is committed either."""
    (Path(space.path) / "new").write_bytes(b"new\n")
    Path(os.fsdecode(os.fsencode(space.path) + b"/caf\xe9")).write_bytes(b"")
    with pytest.raises(TatamiError) as refused:
        take(space, worktree.head(space))
    assert (refused.value.code, "caf\\xe9" in refused.value.message) == ("bad_path", True)


def test_symlinks_in_a_circle_are_symlinks(space: Workspace) -> None:
    """A link is its target's name, wherever that leads."""
    root = Path(space.path)
    (root / "self").symlink_to("self")
    (root / "dir0" / "up").symlink_to("..")
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    taken = take(space, worktree.head(space))
    targets = [(path, content) for path, _, content in taken.changes]
    assert targets == [("dir0/up", b".."), ("one", b"two"), ("self", b"self"), ("two", b"one")]


def test_what_is_no_file_is_left_out(space: Workspace) -> None:
    """Pipes, sockets and devices, as git leaves them out."""
    root = Path(space.path)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        # The name of a socket has to be short.
        folder = os.open(root, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
        if os.geteuid() == 0:
            os.mknod(root / "device", 0o020644, os.makedev(1, 3))
        (root / "new").write_bytes(b"")
        assert changed_paths(space, worktree.head(space)) == ["new"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_cannot_be_read_is_named(space: Workspace, what: str) -> None:
    """Leaving it out would lose it; git leaves out the folder."""
    path = Path(space.path) / "secret"
    if what == "file":
        path.write_bytes(b"")
    else:
        path.mkdir()
        (path / "inside").write_bytes(b"")
    path.chmod(0)
    try:
        with pytest.raises(TatamiError) as refused:
            take(space, worktree.head(space))
    finally:
        path.chmod(0o700)
    assert (refused.value.code, "secret" in refused.value.message) == ("permission", True)


def test_a_repository_in_the_worktree_is_left_alone(space: Workspace) -> None:
    """One that was removed, or a worktree that was pruned, leaves ordinary files behind."""
    root = Path(space.path)
    for name in ("inner", "removed", "pruned"):
        (root / name).mkdir()
        (root / name / "file").write_bytes(b"")
    git(root / "inner", "init", "--quiet")
    (root / "removed" / ".git" / "refs").mkdir(parents=True)
    (root / "pruned" / ".git").write_text("gitdir: /nowhere/worktrees/pruned\n")
    assert changed_paths(space, worktree.head(space)) == ["pruned/file", "removed/file"]
