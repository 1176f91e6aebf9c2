"""Which kind a workspace gets, and sparse ones."""

from pathlib import Path

import pytest

import tatami
from tests import sandbox
from tests.e2e.conftest import Refused
from tests.mounts import needs_mounts
from tests.sandbox import git, tatami_json

CONE = ("--sparse", "dir1", "--sparse", "deep/er")


@pytest.fixture
def tree(tmp_path: Path, stop_hubs_after: None) -> Path:
    """An initialised repository with folders to choose from."""
    files = {**sandbox.made_up(300), "deep/er/a": b"a\n", "deep/b": b"b\n", "deep/other/c": b"c\n"}
    root = sandbox.make_repository(tmp_path / "repo", files)
    tatami_json(root, "init")
    return root


def settings(root: Path, text: str) -> None:
    (root / ".tatami").mkdir(exist_ok=True)
    (root / ".tatami" / "local.toml").write_text(text)


def test_a_sparse_workspace_is_what_git_makes_of_the_cone(tree: Path, tmp_path: Path) -> None:
    """Files, patterns and index agree with `git sparse-checkout set`; git calls it clean."""
    added = tatami_json(tree, "workspace", "add", "a", *CONE)[0]
    space, other = Path(added["path"]), tmp_path / "by-git"
    git(tmp_path, "clone", "--quiet", "--no-checkout", str(tree), str(other))
    git(other, "sparse-checkout", "set", "--cone", "dir1", "deep/er")
    git(other, "checkout", "--quiet", "main")
    assert added["kind"] == "sparse"
    assert files(space) == files(other)
    assert git(space, "sparse-checkout", "list").splitlines() == ["deep/er", "dir1"]
    patterns = tree / ".git" / "worktrees" / "a" / "info" / "sparse-checkout"
    assert patterns.read_text() == (other / ".git" / "info" / "sparse-checkout").read_text()
    assert git(space, "ls-files", "-t") == git(other, "ls-files", "-t")
    assert git(space, "status", "--porcelain") == ""


def files(space: Path) -> list[str]:
    found = (path.relative_to(space) for path in space.rglob("*") if not path.is_dir())
    return sorted(str(path) for path in found if ".git" not in path.parts)


def test_what_is_left_out_stays_in_commits(tree: Path) -> None:
    """A commit of a sparse workspace deletes nothing; more directories can be added by git."""
    space = Path(tatami_json(tree, "workspace", "add", "a", *CONE)[0]["path"])
    (space / "dir1" / "file100.txt").write_text("edited\n")
    (space / "deep" / "new").write_text("new\n")
    tatami_json(space, "commit", "-m", "sparse")
    changed = git(space, "show", "--format=", "--name-status", "HEAD").splitlines()
    assert changed == ["A\tdeep/new", "M\tdir1/file100.txt"]
    git(space, "sparse-checkout", "add", "dir0")
    assert (space / "dir0" / "file0.txt").exists()
    assert git(space, "status", "--porcelain") == ""


def test_the_main_checkout_is_not_sparse(tree: Path) -> None:
    """The settings are the worktree's own."""
    tatami_json(tree, "workspace", "add", "a", *CONE)
    other = tatami_json(tree, "workspace", "add", "b")[0]
    assert other["kind"] == "checkout"
    for place in (tree, Path(other["path"])):
        assert git(place, "config", "--default", "no", "--get", "core.sparseCheckout") == "no"
        assert git(place, "status", "--porcelain") == ""


def test_kinds_that_cannot_be_are_refused(tree: Path, refused: Refused) -> None:
    """Nothing is made."""
    add = ("workspace", "add", "a")
    assert refused(tree, *add, "--sparse", "nowhere") == (1, "not_found")
    assert refused(tree, *add, "--sparse", "../outside")[1] == "bad_path"
    assert refused(tree, *add, "--sparse", ".")[1] == "bad_path"
    assert refused(tree, *add, "--kind", "sparse") == (64, "usage")
    assert refused(tree, *add, "--kind", "overlay", "--sparse", "dir1") == (64, "usage")
    assert refused(tree, *add, "--kind", "odd") == (64, "usage")
    assert tatami_json(tree, "workspace", "list") == []


def test_a_small_tree_is_checked_out(tree: Path) -> None:
    """Without a word a workspace of few files is a checkout."""
    assert tatami_json(tree, "workspace", "add", "a")[0]["kind"] == "checkout"


@needs_mounts
def test_a_large_tree_is_shared(tmp_path: Path, stop_hubs_after: None) -> None:
    """From about two thousand files on, a workspace is an overlay where that works."""
    root = sandbox.make_repository(tmp_path / "repo", 2001)
    tatami_json(root, "init")
    assert tatami_json(root, "workspace", "add", "a")[0]["kind"] == "overlay"
    assert tatami_json(root, "workspace", "add", "b", "--kind", "checkout")[0]["kind"] == "checkout"


@needs_mounts
def test_the_machine_can_have_a_kind_of_its_own(tree: Path, refused: Refused) -> None:
    """`[workspace] kind` holds for the command line and the SDK; a flag beats it."""
    settings(tree, '[workspace]\nkind = "overlay"\n')
    assert tatami_json(tree, "workspace", "add", "a")[0]["kind"] == "overlay"
    assert tatami_json(tree, "workspace", "add", "b", "--kind", "auto")[0]["kind"] == "checkout"
    with tatami.Swarm.open(tree) as swarm:
        kinds = [swarm.agent("c").workspace, swarm.agent("d", kind="checkout").workspace]
    assert [space.kind for space in kinds if space] == ["overlay", "checkout"]
    settings(tree, '[workspace]\nkind = "odd"\n')
    assert refused(tree, "workspace", "add", "e") == (64, "bad_settings")
