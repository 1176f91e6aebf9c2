"""What fsck says of a workspace's index and record, each damaged in its own way."""

import hashlib
from pathlib import Path

import pytest

from tatami.store.fsck import copies
from tatami.store.fsck.copies import Copy, damaged_index, damaged_record, registered
from tests import sandbox


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Copy:
    """A workspace as the disk has it: a locked worktree with index and record."""
    place = tmp_path / "a"
    sandbox.git(repository, "worktree", "add", "--quiet", "--detach", str(place))
    sandbox.git(repository, "worktree", "lock", "--reason", copies.LOCKED, str(place))
    one = Copy("a", str(repository / ".git/worktrees/a"))
    Path(one.record).write_text(f"{sandbox.git(repository, 'rev-parse', 'main')} - 1\n")
    return one


def test_a_whole_workspace_has_nothing_wrong(repository: Path, copy: Copy) -> None:
    """It is listed, and its record names the commit it is at."""
    common = str(repository / ".git")
    assert list(registered(common)) == [copy]
    assert (damaged_index(copy), damaged_record(common, copy)) == ("", "")
    assert copies.recorded_commit(copy) == sandbox.git(repository, "rev-parse", "main")


def test_what_is_not_ours_or_not_made_yet_is_passed_over(repository: Path, copy: Copy) -> None:
    """A worktree of the user's, and one whose making was interrupted."""
    common = repository / ".git"
    sandbox.git(repository, "worktree", "add", "--quiet", "--detach", str(common.parent / "b"))
    Path(copy.index_file).unlink()
    assert list(registered(str(common))) == [copy]
    Path(copy.record).unlink()
    assert list(registered(str(common))) == []


BODY = b"DIRC and so on"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "is missing"),
        (b"", "is no git index"),
        (b"CRID" + bytes(20), "is no git index"),
        (BODY + bytes(20), ""),
        (BODY + hashlib.sha1(BODY).digest(), ""),
        (BODY + hashlib.sha1(b"DIRC").digest(), "does not have the checksum it ends with"),
    ],
    ids=["missing", "empty", "foreign", "without checksum", "whole", "damaged"],
)
def test_an_index_is_judged_by_its_checksum(
    copy: Copy, content: bytes | None, expected: str
) -> None:
    """Zeros in its place say nothing: git was told to leave it out."""
    Path(copy.index_file).unlink()
    if content is not None:
        Path(copy.index_file).write_bytes(content)
    assert damaged_index(copy) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "is missing"),
        ("", "cannot be read"),
        ("main - 1\n", "cannot be read"),
        (f"{'1' * 40} - 1\n", "names 111111111111, which is no commit"),
    ],
)
def test_a_record_is_judged_by_the_commit_it_names(
    repository: Path, copy: Copy, content: str | None, expected: str
) -> None:
    """It has to be one that git has."""
    Path(copy.record).unlink()
    if content is not None:
        Path(copy.record).write_text(content)
    assert damaged_record(str(repository / ".git"), copy) == expected
