"""A snapshot of any overlay workspace is that of a checkout, and the tree that git makes of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tatami.values.errors import TatamiError
from tatami.workspaces.index import IndexLock, update
from tatami.workspaces.kinds import mounting
from tatami.workspaces.kinds.choosing import Wanted
from tatami.workspaces.snapshot import Snapshot, take
from tatami.workspaces.worktree import Workspace
from tests.mounts import needs_mounts
from tests.sandbox import run
from tests.unit.workspaces.copies import Copy, check
from tests.unit.workspaces.edits import EDITS, Edit
from tests.unit.workspaces.test_snapshot_generated import SHAPES

pytestmark = needs_mounts

MOVES = (
    "mv d moved && echo more >> moved/a",
    "git mv d moved && rm moved/e/a",
    "git mv d moved && git commit -qm moved && echo new > moved/new && rm -r moved/e",
    "rm -r d && mkdir d && echo other > d/a",
    "rm -r d && git commit -qam gone && mkdir -p d/e && echo other > d/e/a",
    "mv d x && mkdir -p d/e && echo other > d/e/a && mv x/e d/f",
    "mv d/e e && mv d e/d",
    "rm -r a b.txt d d.x kept deep",
    "git rm -r --cached -q d && rm d/a",
    "git rm -r --cached -q . && git add d",
    "git reset -q --soft HEAD && rm a && git add -A && echo back > a",
    "git checkout -q --detach && git rm -rq d && git commit -qm gone && git checkout -q -",
    "chmod 600 a && chmod 644 a && touch d/a && cat d/b.txt > copy && mv copy d/b.txt",
    "ln -s . loop && ln -s loop/loop/d through && rm -r d && ln -s d.x d",
)
"""What a shell does to folders that the lower tree has."""


@pytest.mark.parametrize("name", SHAPES)
def test_a_known_shape_is_what_git_would_add(original: Path, tmp_path: Path, name: str) -> None:
    """What is right of a checkout is right of an overlay."""
    with overlay(original, tmp_path) as copy:
        copy.edit([SHAPES[name]])
        check_as_checkout(copy)


@pytest.mark.parametrize("script", MOVES)
def test_folders_that_move_are_what_git_would_add(
    original: Path, tmp_path: Path, script: str
) -> None:
    """Folders that were renamed, made anew, or took each other's places."""
    with overlay(original, tmp_path) as copy:
        run(copy.root, "sh", "-ec", script)
        check_as_checkout(copy)


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(EDITS, min_size=1, max_size=2))
def test_an_overlay_is_scanned_like_a_checkout(original: Path, rounds: list[list[Edit]]) -> None:
    """Any edits of any commit: looking at the upper directory finds what looking at all does."""
    with (
        tempfile.TemporaryDirectory(prefix="overlay-") as folder,
        overlay(original, Path(folder)) as copy,
    ):
        copy.edit(rounds)
        check_as_checkout(copy)


@contextmanager
def overlay(original: Path, folder: Path) -> Iterator[Copy]:
    """A copy whose workspace is an overlay, mounted while the block runs."""
    copy = Copy(original, folder, Wanted("overlay"))
    try:
        assert copy.space.kind == "overlay"
        yield copy
    finally:
        mounting.detach_below(str(folder))


def check_as_checkout(copy: Copy) -> None:
    """The upper directory alone says what all files do, and both what git does.

    The index, split or whole, is one for git.
    """
    whole = copy.space._replace(kind="checkout")
    found = taken(copy.space, copy.head)
    assert found == taken(whole, copy.head)
    if isinstance(found, str):
        return
    check(copy)
    before, status = copy.tree(copy.index), copy.status(copy.index)
    lock = IndexLock(copy.space)
    lock.acquire()
    update(lock, copy.space, (), settle=True)
    lock.release()
    assert (before, status) == (copy.tree(copy.index), copy.status(copy.index))


def taken(space: Workspace, head: str) -> Snapshot | str:
    """What a commit would hold, or the code of the refusal."""
    try:
        return take(space, head)._replace(seen=None, agrees=False)
    except TatamiError as error:
        return error.code
