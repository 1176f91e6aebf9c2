"""Snapshots while somebody else writes all the time: whole versions, or an honest refusal."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tatami.values.errors import BusyError
from tatami.workspaces import worktree
from tatami.workspaces.index import IndexLock, update
from tatami.workspaces.snapshot import Snapshot, take
from tatami.workspaces.worktree import Workspace
from tests.sandbox import git

SNAPSHOTS = 25
RENAMES = """
import itertools, os, sys
spare, target = sys.argv[1:]
for number in itertools.count():
    with open(spare, "w") as file:
        file.write(f"{number % 1000:03}\\n" * 5000)
    os.replace(spare, target)
"""
"""Each version replaces the one before at once, as editors write; all have the same size."""
APPENDS = """
import itertools, os, sys
spare, target = sys.argv[1:]
for number in itertools.count():
    with open(target, "ab") as file:
        file.write(b"%d\\n" % number)
    if number % 5000 == 4999:
        os.unlink(target)
"""
REPLACES = """
import itertools, os, shutil, sys
spare, target = sys.argv[1:]
for _ in itertools.count():
    os.mkdir(spare)
    open(os.path.join(spare, "inside"), "w").close()
    os.rename(spare, target)
    os.rename(target, spare)
    shutil.rmtree(spare)
    os.symlink("nowhere", target)
    os.unlink(target)
    with open(target, "w") as file:
        file.write("a file\\n")
    os.unlink(target)
"""


@contextmanager
def writing(space: Workspace, program: str) -> Iterator[Path]:
    """Runs a writer of `moving` in the workspace; yields the path, once it was there."""
    spare, target = Path(space.git_dir) / "spare", Path(space.path) / "moving"
    writer = subprocess.Popen([sys.executable, "-c", program, spare, target])
    try:
        yield target
    finally:
        writer.kill()
        writer.wait()


def snapshots(space: Workspace) -> Iterator[Snapshot]:
    """Takes snapshots, each made the index's; those refused with `busy` are left out."""
    head = worktree.head(space)
    for _ in range(SNAPSHOTS):
        lock = IndexLock(space)
        lock.acquire()
        try:
            taken = take(space, head, ["."])
            for _, _, content in taken.changes:
                if isinstance(content, bytes):
                    git(space.path, "hash-object", "-w", "--stdin", stdin=content)
            update(lock, space, taken.entries)
        except BusyError:
            continue
        finally:
            lock.release()
        yield taken


def is_noticed(space: Workspace, target: Path) -> bool:
    """Whether git sees exactly what the last snapshot did not."""
    if not target.is_file() or target.is_symlink():
        return True
    kept = git(space.path, "ls-files", "--stage", "moving").split(" ")[1:2]
    found = git(space.path, "hash-object", "moving")
    changed = git(space.path, "diff-files", "--name-only", "moving") == "moving"
    return changed or kept in ([], [found])


def test_a_file_replaced_all_the_time_is_taken_whole(space: Workspace) -> None:
    """Every version was written at once, and none is mixed with another."""
    with writing(space, RENAMES) as target:
        for taken in snapshots(space):
            for _, _, content in taken.changes:
                assert isinstance(content, bytes)
                assert (len(content), len(set(content.splitlines()))) == (20_000, 1)
    assert is_noticed(space, target)


def test_a_file_that_grows_all_the_time_is_taken_up_to_a_line(space: Workspace) -> None:
    """A log is taken as it was between two lines, or its writer was too fast for this once."""
    with writing(space, APPENDS) as target:
        for taken in snapshots(space):
            for _, _, content in taken.changes:
                assert isinstance(content, bytes)
                lines = [int(line) for line in content.split()]
                assert content == b"".join(b"%d\n" % n for n in range(len(lines))) or (
                    lines == list(range(lines[0], lines[0] + len(lines)))
                )
    assert is_noticed(space, target)


def test_a_file_that_is_sometimes_a_folder_or_a_link_is_one_of_them(space: Workspace) -> None:
    """What is committed was there."""
    possible = [[], [("moving", b"a file\n")], [("moving", b"")], [("moving", b"nowhere")],
                [("moving/inside", b"")]]  # fmt: skip
    with writing(space, REPLACES) as target:
        for taken in snapshots(space):
            assert [(path, content) for path, _, content in taken.changes] in possible
    assert is_noticed(space, target)


@pytest.mark.parametrize("content", [b"later\n", b"first\nand more\n"])
def test_what_is_written_after_it_was_read_is_in_the_next(space: Workspace, content: bytes) -> None:
    """Between the scan and the index: git sees it, with the same size too, and so does the next."""
    head, file = worktree.head(space), Path(space.path) / "history.txt"
    file.write_bytes(b"first\n")
    lock = IndexLock(space)
    lock.acquire()
    taken = take(space, head)
    file.write_bytes(content)
    update(lock, space, taken.entries)
    assert git(space.path, "diff-files", "--name-only") == "history.txt"
    assert take(space, head, ["."]).changes == [("history.txt", 0o100644, content)]
