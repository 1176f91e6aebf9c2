"""A checkout that follows the trunk where folders, files and symlinks become one another."""

import os
import shutil
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from tatami.store.checkout import Checkout, follow, refusal
from tests import sandbox


def folder(root: Path) -> None:
    """`d` is a folder with one file."""
    (root / "d").mkdir()
    (root / "d/x").write_text("x\n")


def file(root: Path) -> None:
    """`d` is a file."""
    (root / "d").write_text("d\n")


def link(root: Path) -> None:
    """`d` leads to a folder that has a file of that name too."""
    (root / "real").mkdir()
    (root / "real/x").write_text("x\n")
    (root / "d").symlink_to("real")


def committed(root: Path, make: Callable[[Path], None]) -> str:
    """Makes `d` one of these and commits it; returns the commit."""
    if (root / "d").is_dir() and not (root / "d").is_symlink():
        shutil.rmtree(root / "d")
    else:
        (root / "d").unlink(missing_ok=True)
    shutil.rmtree(root / "real", ignore_errors=True)
    make(root)
    sandbox.git(root, "add", "--all")
    sandbox.git(root, "commit", "--quiet", "-m", make.__name__)
    return sandbox.git(root, "rev-parse", "HEAD")


def behind(root: Path, before: Callable[[Path], None], after: Callable[[Path], None]) -> list[str]:
    """Commits one and the other, and leaves the checkout at the first; returns their ids."""
    commits = [committed(root, before), committed(root, after)]
    sandbox.git(root, "reset", "--quiet", "--hard", commits[0])
    return commits


KINDS = (folder, file, link)


@pytest.mark.parametrize(("before", "after"), [*permutations(KINDS, 2)], ids=lambda k: k.__name__)
def test_what_is_tracked_makes_way(
    repository: Path, before: Callable[[Path], None], after: Callable[[Path], None]
) -> None:
    """A clean checkout follows whatever a folder, a file or a symlink becomes.

    The story: what the folder held, or the symlink led to, was taken for the user's own, and the
    checkout waited for ever for a clean user to clean up.
    """
    old, new = behind(repository, before, after)
    place = Checkout(str(repository), str(repository / ".git"))
    assert (refusal(place, old, new), follow(place, old, new)) == ("", "")
    sandbox.git(repository, "reset", "--quiet", "--soft", new)
    assert sandbox.git(repository, "status", "--porcelain") == ""


def test_a_file_in_a_folder_that_becomes_a_file_stays(repository: Path) -> None:
    """One that is not tracked is named, and nothing is touched."""
    old, new = behind(repository, folder, file)
    (repository / "d/mine").write_text("mine\n")
    place = Checkout(str(repository), str(repository / ".git"))
    assert refusal(place, old, new).startswith("'d/mine' is not tracked there")
    assert (repository / "d/mine").read_text() == "mine\n"


def test_a_repository_in_the_way_stays(repository: Path) -> None:
    """Whatever git says of it: it lists nothing of what another repository holds."""
    old = sandbox.git(repository, "rev-parse", "HEAD")
    new = committed(repository, folder)
    sandbox.git(repository, "reset", "--quiet", "--hard", old)
    sandbox.git(repository, "init", "--quiet", "d")
    (repository / "d/.git/info/exclude").write_text("x\n")
    (repository / "d/x").write_text("secret\n")
    place = Checkout(str(repository), str(repository / ".git"))
    assert refusal(place, old, new).startswith("'d' is not tracked there")
    assert follow(place, old, new) != ""
    assert os.listdir(repository / "d") != []
    assert (repository / "d/x").read_text() == "secret\n"
