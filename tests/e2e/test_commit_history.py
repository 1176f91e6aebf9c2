"""Real history as edits: a commit of what git checks out has the tree that history has."""

import os
from pathlib import Path

import pytest

from tests.conftest import stop_hubs
from tests.sandbox import git, run, tatami_json

ROOT = Path(__file__).parents[2]
STEPS = 4


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone of the repository")
def test_edits_between_commits_far_apart_become_the_same_trees(tmp_path: Path) -> None:
    """Back and forth through this project's own history, each time in one commit."""
    repo = tmp_path / "repo"
    git(tmp_path, "clone", "--quiet", "--no-tags", str(ROOT), str(repo))
    commits = git(repo, "rev-list", "--first-parent", "HEAD").splitlines()
    chosen = commits[:: max(1, len(commits) // STEPS)]
    try:
        tatami_json(repo, "init")
        space = Path(tatami_json(repo, "workspace", "add", "a")[0]["path"])
        for target in [*chosen, commits[-1], commits[0], commits[-1]]:
            check_out(space, target)
            if git(space, "status", "--porcelain"):
                tatami_json(space, "commit", "-m", f"as in {target}")
            assert git(space, "diff", "--stat", "HEAD", target) == ""
            assert git(space, "status", "--porcelain") == ""
    finally:
        stop_hubs(tmp_path)


def check_out(space: Path, target: str) -> None:
    """Makes the files those of another commit as git does it; HEAD and the index stay."""
    index = space.parent / "another-index"
    index.unlink(missing_ok=True)
    for words in (("read-tree", "HEAD"), ("update-index", "-q", "--refresh"),
                  ("read-tree", "-m", "-u", "HEAD", target)):  # fmt: skip
        run(space, "env", f"GIT_INDEX_FILE={index}", "git", *words)
    os.unlink(index)
