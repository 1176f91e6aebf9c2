"""What `land` and `sync` answer where the repository is not as they would like it."""

from pathlib import Path

from tests.e2e.conftest import Refused
from tests.sandbox import git, tatami, tatami_json


def test_land_says_that_the_checkout_could_not_follow(shared: Path, space: Path) -> None:
    """It has landed; a file in the way of the user's checkout is named in the same breath."""
    (space / "in-the-way.txt").write_text("landed\n")
    tatami_json(space, "commit", "-m", "new file")
    (shared / "in-the-way.txt").write_text("mine\n")
    done = tatami(space, "land")
    assert (done.returncode, "[OK] landed" in done.stdout) == (0, True)
    assert "waits" in done.stderr
    assert "in-the-way.txt" in done.stderr
    assert (shared / "in-the-way.txt").read_text() == "mine\n"
    (shared / "in-the-way.txt").unlink()


def test_a_line_without_the_trunk_is_not_synced(space: Path, refused: Refused) -> None:
    """A root commit has nothing to be rebased from; the refusal says so and what to do.

    The story: the hub looked for its first parent, and failed.
    """
    tree = git(space, "write-tree")
    root = git(space, "commit-tree", "-m", "another beginning", tree)
    git(space, "reset", "--quiet", "--hard", root)
    assert refused(space, "workspace", "sync") == (2, "unrelated")
    assert git(space, "rev-parse", "HEAD") == root
