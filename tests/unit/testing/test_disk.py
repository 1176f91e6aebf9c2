"""The disk of two images: what may survive a power cut, what must, and what must not."""

import errno
import random
from collections.abc import Callable

import pytest

from tatami.testing.disk import SECTOR_BYTES, Call, Disk

OUTCOMES = 200
"""Power cuts of one state; each of its outcomes is far more likely than one in twenty."""


def outcomes(make: Callable[[Disk], None], see: Callable[[Disk], object]) -> set[object]:
    """Everything that is seen after a power cut behind the same calls."""
    seen = set()
    for seed in range(OUTCOMES):
        disk = Disk()
        make(disk)
        disk.crash(random.Random(seed))
        seen.add(see(disk))
    return seen


def content(disk: Disk, path: str = "file") -> bytes | None:
    """A file's content, None where there is no file."""
    return disk.read(path) if disk.exists(path) else None


def there(disk: Disk) -> None:
    """A file with durable content and a durable name."""
    disk.write("file", b"old")
    disk.sync("file")
    disk.sync("")


def test_programs_see_what_was_written() -> None:
    """Until the power goes a disk is a file tree like any other."""
    disk = Disk()
    disk.mkdir("folder")
    disk.write("folder/a", b"one")
    disk.write("folder/a", b" two")
    disk.link("folder/a", "folder/b")
    disk.rename("folder/b", "c")
    assert (disk.listdir("folder"), disk.read("c")) == (["a"], b"one two")


def test_what_was_synced_survives() -> None:
    """Content and name: both barriers were taken."""
    assert outcomes(there, content) == {b"old"}


def test_a_synced_file_without_a_synced_name_may_be_gone() -> None:
    """The trap of every program that syncs files and no directories."""

    def make(disk: Disk) -> None:
        disk.write("file", b"new")
        disk.sync("file")

    assert outcomes(make, content) == {None, b"new"}


def test_a_synced_name_may_lead_to_an_empty_file() -> None:
    """The other half: the name is there, what it names is not."""

    def make(disk: Disk) -> None:
        disk.write("file", b"new")
        disk.sync("")

    assert outcomes(make, content) == {b"", b"new"}


def test_any_of_the_writes_that_were_not_synced_survive() -> None:
    """In any order; the holes between them read as zeros."""

    def make(disk: Disk) -> None:
        there(disk)
        disk.write("file", b"1", at=0)
        disk.write("file", b"2", at=4)

    assert outcomes(make, content) == {b"old", b"1ld", b"old\x002", b"1ld\x002"}


def test_a_write_may_be_torn_at_a_sector() -> None:
    """Of two sectors the second can be there without the first."""
    first, second = b"a" * SECTOR_BYTES, b"b" * SECTOR_BYTES

    def make(disk: Disk) -> None:
        disk.write("file", first + second)
        disk.sync("")

    assert bytes(SECTOR_BYTES) + second in outcomes(make, content)


def test_a_rename_is_whole_or_not_there() -> None:
    """Never both names, never none."""

    def make(disk: Disk) -> None:
        there(disk)
        disk.rename("file", "new")

    assert outcomes(make, lambda disk: tuple(disk.listdir(""))) == {("file",), ("new",)}


def test_names_of_a_directory_survive_in_their_order() -> None:
    """A new op head is not lost while the removal of the old one is kept."""

    def make(disk: Disk) -> None:
        there(disk)
        disk.write("next", b"")
        disk.unlink("file")

    assert outcomes(make, lambda disk: tuple(disk.listdir(""))) == {
        ("file",),
        ("file", "next"),
        ("next",),
    }


def test_names_of_different_directories_know_nothing_of_each_other() -> None:
    """The later one can survive without the earlier one."""

    def make(disk: Disk) -> None:
        for folder in ("a", "b"):
            disk.mkdir(folder)
        disk.sync("")
        disk.write("a/1", b"")
        disk.write("b/2", b"")

    seen = outcomes(make, lambda disk: (*disk.listdir("a"), *disk.listdir("b")))
    assert seen == {(), ("1",), ("2",), ("1", "2")}


def test_posix_does_not_even_promise_an_order_within_a_directory() -> None:
    """Asked for, names are shuffled: then both can be gone."""
    seen = set()
    for seed in range(OUTCOMES):
        disk = Disk(shuffles_names=True)
        there(disk)
        disk.write("next", b"")
        disk.unlink("file")
        disk.crash(random.Random(seed))
        seen.add(tuple(disk.listdir("")))
    assert () in seen


def test_a_failed_sync_makes_the_next_one_a_lie() -> None:
    """What it could not write is dropped, though programs still see it: never try it again."""
    disk = Disk()
    there(disk)
    disk.write("file", b"NEW", at=0)

    def fail(call: Call, path: str) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    fine, disk.before = disk.before, fail
    with pytest.raises(OSError, match="broken"):
        disk.sync("file")
    disk.before = fine
    disk.sync("file")
    seen = disk.read("file")
    disk.crash(random.Random(0))
    assert (seen, disk.read("file")) == (b"NEW", b"old")


def test_syncing_everything_is_a_barrier() -> None:
    """Afterwards nothing can be lost."""

    def make(disk: Disk) -> None:
        disk.mkdir("folder")
        disk.write("folder/file", b"x" * 2000)
        disk.sync_all()

    assert outcomes(make, lambda disk: content(disk, "folder/file")) == {b"x" * 2000}


def test_what_is_prevented_is_not_done() -> None:
    """A call that fails leaves both images as they were."""
    disk = Disk()

    def fail(call: Call, path: str) -> None:
        raise OSError(errno.ENOSPC, "full")

    disk.before = fail
    with pytest.raises(OSError, match="full"):
        disk.write("file", b"x")
    assert disk.listdir("") == []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda disk: disk.read("none"), FileNotFoundError),
        (lambda disk: disk.read(""), IsADirectoryError),
        (lambda disk: disk.listdir("file"), NotADirectoryError),
        (lambda disk: disk.read("file/under"), NotADirectoryError),
        (lambda disk: disk.mkdir("file"), FileExistsError),
        (lambda disk: disk.link("file", "file"), FileExistsError),
        (lambda disk: disk.unlink("none"), FileNotFoundError),
    ],
)
def test_errors_are_those_of_a_real_disk(
    wrong: Callable[[Disk], object], error: type[OSError]
) -> None:
    """Code that handles them needs no second way for the model."""
    disk = Disk()
    there(disk)
    with pytest.raises(error):
        wrong(disk)
