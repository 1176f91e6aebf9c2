"""Overlay workspaces: one shared tree below, an agent's own changes above, git none the wiser."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tatami
from tests import sandbox
from tests.conftest import stop_hubs
from tests.e2e.conftest import Refused
from tests.mounts import needs_mounts
from tests.sandbox import git, tatami_json

pytestmark = needs_mounts


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of an initialised repository that the tests of this module share."""
    root = sandbox.make_repository(tmp_path_factory.mktemp("shared") / "repo", 120)
    sandbox.tatami_json(root, "init")
    yield root
    stop_hubs(root)


@pytest.fixture
def space(shared: Path, name: str) -> Path:
    """The overlay workspace of a new agent."""
    return Path(add(shared, name)["path"])


def add(root: Path, *words: str) -> Any:
    return tatami_json(root, "workspace", "add", *words, "--kind", "overlay")[0]


def upper(root: Path, name: str) -> Path:
    return root / ".git" / "tatami" / "overlay" / name / "upper"


def lower(root: Path, name: str) -> Path:
    tree = (root / ".git" / "worktrees" / name / "tatami-overlay").read_text().split()[0]
    return root / ".git" / "tatami" / "lower" / tree


def row(root: Path, name: str) -> Any:
    return next(r for r in tatami_json(root, "workspace", "list") if r["name"] == name)


def unmount(space: Path) -> None:
    subprocess.run(["umount", str(space)], check=True)


def test_it_is_clean_and_takes_no_disk(shared: Path, space: Path, name: str) -> None:
    """git status is clean, the upper directory holds git's pointer only, the index is shared."""
    assert git(space, "status", "--porcelain") == ""
    assert os.listdir(upper(shared, name)) == [".git"]
    index = shared / ".git" / "worktrees" / name / "index"
    assert index.samefile(lower(shared, name) / "index")
    assert row(shared, name)["kind"] == "overlay"


def test_a_commit_holds_what_changed(shared: Path, space: Path, name: str) -> None:
    """Edited, new, deleted, executable and linked files; clean afterwards, and in history."""
    (space / "dir0" / "file0.txt").write_text("edited\n")
    (space / "dir0" / "file1.txt").unlink()
    (space / "new.sh").write_text("#!/bin/sh\n")
    (space / "new.sh").chmod(0o755)
    (space / "link").symlink_to("new.sh")
    tatami_json(space, "commit", "-m", "all kinds")
    assert git(space, "status", "--porcelain") == ""
    shown = git(space, "show", "--format=", "--raw", "--no-abbrev", "HEAD").splitlines()
    assert [(line.split()[1], line.split()[4], line.split("\t")[1]) for line in shown] == [
        ("100644", "M", "dir0/file0.txt"),
        ("000000", "D", "dir0/file1.txt"),
        ("120000", "A", "link"),
        ("100755", "A", "new.sh"),
    ]


def test_neighbours_share_a_tree_and_see_nothing_of_each_other(
    shared: Path, space: Path, name: str
) -> None:
    """What one writes is in its own upper directory; the tree below stays as it was made."""
    other = Path(add(shared, name + "-b")["path"])
    (space / "dir0" / "file2.txt").write_text("mine\n")
    assert (other / "dir0" / "file2.txt").read_bytes() == b"file 2\nsecond line\n"
    below = lower(shared, name)
    assert below == lower(shared, name + "-b")
    assert (below / "files" / "dir0" / "file2.txt").read_bytes() == b"file 2\nsecond line\n"


def test_the_last_one_takes_the_tree_along(tatami_repository: Path) -> None:
    """Shared trees are there as long as a workspace names them."""
    root = tatami_repository
    add(root, "a", "b")
    below = lower(root, "a")
    tatami_json(root, "workspace", "remove", "a")
    assert below.is_dir()
    tatami_json(root, "workspace", "remove", "b")
    assert not below.exists()
    assert not any((root / ".git" / "tatami" / "overlay").iterdir())
    assert list((root / ".tatami" / "workspaces").iterdir()) == []


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_a_tree_that_a_crash_left_goes_with_the_next_workspace(
    tatami_repository: Path, verb: str
) -> None:
    """Whichever kind that one is, and whether it comes or goes; a tree in use stays."""
    root = tatami_repository
    add(root, "a")
    tatami_json(root, "workspace", "add", "b", "--kind", "checkout")
    left = root / ".git" / "tatami" / "lower" / ("0" * 40)
    shutil.copytree(lower(root, "a"), left)
    tatami_json(root, "workspace", verb, *(("c", "--kind", "checkout") if verb == "add" else "b"))
    assert not left.exists()
    assert lower(root, "a").is_dir()


def test_remove_saves_what_is_not_committed(shared: Path, space: Path, name: str) -> None:
    """Edits and new files become a commit on the agent's line."""
    (space / "dir0" / "file0.txt").write_text("unsaved\n")
    (space / "new.txt").write_text("new\n")
    removed = tatami_json(shared, "workspace", "remove", name)[0]
    assert removed["saved"] == git(shared, "rev-parse", f"agent/{name}")
    assert git(shared, "show", f"agent/{name}:dir0/file0.txt") == "unsaved"
    assert not space.exists()


def test_remove_by_force_saves_what_no_commit_takes(
    shared: Path, space: Path, name: str, refused: Refused
) -> None:
    """A file that git refuses to convert is kept as it is; nothing of ours is still in there."""
    (space / ".gitattributes").write_text("*.odd working-tree-encoding=UTF-16\n")
    (space / "a.odd").write_text("odd\n")
    assert refused(shared, "workspace", "remove", name) == (2, "unsaved")
    removed = tatami_json(shared, "workspace", "remove", name, "--force")[0]
    assert git(shared, "show", f"{removed['recovery']}:a.odd") == "odd"
    assert not space.exists()
    back = tatami_json(shared, "workspace", "recover", removed["recovery"], "--to", f"{name}-back")
    assert back["agent"] == f"{name}-back"


def test_remove_waits_for_who_works_there(
    shared: Path, space: Path, name: str, refused: Refused
) -> None:
    """It is refused with the processes' names, and everything stays in place."""
    (space / "new.txt").write_text("new\n")
    with subprocess.Popen(["sleep", "60"], cwd=space) as worker:
        done = sandbox.tatami(shared, "workspace", "remove", name, "--json")
        worker.kill()
    assert (done.returncode, json.loads(done.stdout)["code"]) == (75, "workspace_in_use")
    assert f"{worker.pid} sleep" in json.loads(done.stdout)["error"]
    assert (space / "new.txt").read_text() == "new\n"
    tatami_json(shared, "workspace", "remove", name)


def test_git_stops_where_nothing_is_mounted(shared: Path, space: Path, name: str) -> None:
    """It names the command to use, and leaves the repository around alone."""
    unmount(space)
    done = sandbox.run(space, "git", "status", check=False)
    assert done.returncode == 128
    assert f"tatami run {name} -- COMMAND" in done.stderr.decode()
    warnings = tatami_json(shared, "status")["warnings"]
    assert [f"tatami run {name}" in w for w in warnings if name in w] == [True]


@pytest.mark.parametrize("verb", ["commit", "list", "diff", "run", "inside", "remove"])
def test_every_verb_mounts_what_is_not(shared: Path, space: Path, name: str, verb: str) -> None:
    """After a restart of the machine nobody has to know: edits are there, and are committed."""
    (space / "new.txt").write_text("before\n")
    unmount(space)
    match verb:
        case "commit":
            tatami_json(shared, "commit", "--agent", name, "-m", "after")
        case "list":
            assert row(shared, name)["dirty"] is True
        case "diff":
            assert "+before" in tatami_json(shared, "workspace", "diff", name)["diff"]
        case "run":
            assert sandbox.tatami(shared, "run", name, "--", "cat", "new.txt").stdout == "before\n"
        case "inside":
            tatami_json(space, "commit", "-m", "from the covered directory")
        case "remove":
            tatami_json(shared, "workspace", "remove", name)
            assert git(shared, "show", f"agent/{name}:new.txt") == "before"
            return
    assert (space / "new.txt").read_text() == "before\n"
    assert git(space, "rev-parse", "--abbrev-ref", "HEAD") == f"agent/{name}"


def test_rm_of_everything_is_said_and_undone(shared: Path, space: Path, name: str) -> None:
    """A mount point cannot be removed: what is left is empty, and git would take the outer one."""
    subprocess.run(["rm", "-rf", str(space)], check=False, capture_output=True)
    assert os.listdir(space) == []
    warnings = tatami_json(shared, "status")["warnings"]
    assert [w for w in warnings if name in w and "checkout ." in w]
    done = sandbox.tatami(shared, "commit", "--agent", name, "-m", "nothing", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["code"]) == (2, "workspace_emptied")
    git(space, "checkout", ".")
    assert git(space, "status", "--porcelain") == ""
    assert (space / "dir0" / "file0.txt").read_bytes() == b"file 0\nsecond line\n"


def test_what_lies_in_the_way_is_not_covered(
    shared: Path, space: Path, name: str, refused: Refused
) -> None:
    """Files that somebody put where nothing was mounted stay visible, and the upper ones safe."""
    (space / "mine.txt").write_text("mine\n")
    unmount(space)
    (space / "theirs.txt").write_text("theirs\n")
    assert refused(shared, "run", name, "--json", "--", "true") == (2, "directory_in_the_way")
    assert refused(shared, "workspace", "remove", name) == (2, "directory_in_the_way")
    space.rename(space.with_name(name + "-old"))
    assert sandbox.tatami(shared, "run", name, "--", "cat", "mine.txt").stdout == "mine\n"
    shutil.rmtree(space.with_name(name + "-old"))


def test_a_deleted_tree_is_made_anew(tatami_repository: Path) -> None:
    """Nothing of it may look like a deletion, and what was edited is still there."""
    root = tatami_repository
    space = Path(add(root, "a")["path"])
    (space / "dir0" / "file0.txt").write_text("edited\n")
    shutil.rmtree(lower(root, "a"))
    assert [w for w in tatami_json(root, "status")["warnings"] if "was deleted" in w]
    tatami_json(root, "commit", "--agent", "a", "-m", "after")
    assert git(space, "show", "--format=", "--name-status", "HEAD") == "M\tdir0/file0.txt"
    assert git(space, "status", "--porcelain") == ""


def test_a_half_made_workspace_is_made_again(tatami_repository: Path) -> None:
    """What a power cut left of it is moved aside, with whatever is in it."""
    root = tatami_repository
    space = Path(add(root, "a")["path"])
    (space / "new.txt").write_text("kept\n")
    for name in ("index", "tatami-base"):
        (root / ".git" / "worktrees" / "a" / name).unlink()
    tatami_json(root, "workspace", "remove", "a")
    kept = list((root / ".git" / "tatami" / "overlay").glob(".kept-a-*/upper/new.txt"))
    assert [path.read_text() for path in kept] == ["kept\n"]
    assert git(add(root, "a")["path"], "status", "--porcelain") == ""


def test_many_commits_a_second_leave_an_index_for_everybody(shared: Path, name: str) -> None:
    """It is split while it is written time and again, and whole at the end; git reads both."""
    git_dir = shared / ".git" / "worktrees" / name
    with tatami.Swarm.open(shared) as swarm:
        agent = swarm.agent(name, kind="overlay")
        space = Path(agent.path)
        for number in range(6):
            (space / "dir0" / "file0.txt").write_text(f"edit {number}\n")
            (space / f"new{number}.txt").write_text("new\n")
            (space / f"dir0/file{number + 1}.txt").unlink()
            agent.commit(f"number {number}")
            assert git(space, "status", "--porcelain") == ""
        assert list(git_dir.glob("sharedindex.*"))
        assert git(space, "ls-files", "--stage", "dir0/file1.txt", "new5.txt").count("\n") == 0
    assert not list(git_dir.glob("sharedindex.*"))
    assert git(space, "status", "--porcelain") == ""
    assert git(space, "write-tree") == git(space, "rev-parse", "HEAD^{tree}")


def test_the_line_moves_through_the_mount(shared: Path, space: Path, name: str) -> None:
    """A commit of bytes by another client brings its files into the upper directory."""
    with tatami.Swarm.open(shared) as swarm:
        swarm.agent(name, workspace=False).commit("bytes", {"dir0/file0.txt": b"from afar\n"})
    (space / "new.txt").write_text("here\n")
    tatami_json(space, "commit", "-m", "behind")
    assert (space / "dir0" / "file0.txt").read_text() == "from afar\n"
    assert git(space, "status", "--porcelain") == ""


def test_attributes_of_git_hold_below_too(tatami_repository: Path) -> None:
    """Files whose bytes a checkout changes are written by git, once for all."""
    root = tatami_repository
    sandbox.commit_file(root, ".gitattributes", b"*.crlf text eol=crlf\n")
    sandbox.commit_file(root, "a.crlf", b"one\ntwo\n")
    tatami_json(root, "status")
    space = Path(add(root, "a", "--base", "main")["path"])
    assert (space / "a.crlf").read_bytes() == b"one\r\ntwo\r\n"
    assert git(space, "status", "--porcelain") == ""
    assert row(root, "a")["dirty"] is False


def test_deleted_layers_are_said_and_cleared_away(
    tatami_repository: Path, refused: Refused
) -> None:
    """Their edits are gone with them; the line, and everybody else's work, is not."""
    root = tatami_repository
    space = Path(add(root, "a")["path"])
    unmount(space)
    shutil.rmtree(upper(root, "a").parent)
    assert refused(root, "commit", "--agent", "a", "-m", "m") == (64, "workspace_missing")
    assert [w for w in tatami_json(root, "status")["warnings"] if "a at" in w and "missing" in w]
    tatami_json(root, "workspace", "remove", "a")
    assert git(add(root, "a")["path"], "status", "--porcelain") == ""


def test_layers_without_a_workspace_are_kept(tatami_repository: Path) -> None:
    """Whoever deletes git's registration by hand finds the files where the status says."""
    root = tatami_repository
    space = Path(add(root, "a")["path"])
    (space / "new.txt").write_text("kept\n")
    unmount(space)
    shutil.rmtree(root / ".git" / "worktrees" / "a")
    shutil.rmtree(space)
    add(root, "a")
    warnings = tatami_json(root, "status")["warnings"]
    place = next(w for w in warnings if "registration is gone" in w).rpartition(" in ")[2]
    assert (Path(place) / "new.txt").read_text() == "kept\n"
