"""Workspaces through the command line: made side by side, listed, compared, and removed saved."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tatami import Swarm
from tests import sandbox
from tests.sandbox import git, tatami, tatami_json


def test_add_makes_clean_worktrees_of_the_trunk(shared: Path, name: str) -> None:
    """Each workspace is a git worktree on its own branch, with a clean status."""
    rows = tatami_json(shared, "workspace", "add", name, name + "b")
    trunk = git(shared, "rev-parse", "main")
    assert [
        {key: row[key] for key in ("name", "path", "base", "behind", "dirty", "kind")}
        for row in rows
    ] == [
        {
            "name": name,
            "path": str(shared / ".tatami" / "workspaces" / name),
            "base": trunk,
            "behind": 0,
            "dirty": False,
            "kind": "checkout",
        }
        for name in (name, name + "b")
    ]
    for row in rows:
        assert git(row["path"], "status", "--porcelain") == ""
        assert git(row["path"], "symbolic-ref", "HEAD") == f"refs/heads/agent/{row['name']}"


def test_add_leaves_the_users_checkout_as_it_was(shared: Path, name: str) -> None:
    """The workspaces below the root are excluded, and HEAD stays where it was."""
    tatami_json(shared, "workspace", "add", name)
    tatami_json(shared, "workspace", "add", name + "b")
    exclude = (shared / ".git" / "info" / "exclude").read_text().splitlines()
    assert git(shared, "status", "--porcelain") == ""
    assert git(shared, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert exclude.count(".tatami/") == 1


def test_workspaces_are_locked_worktrees(space: Path) -> None:
    """`git worktree prune` and `gc` leave a workspace alone."""
    git(space, "worktree", "prune")
    listed = git(space, "worktree", "list", "--porcelain")
    assert "locked tatami workspace" in listed.splitlines()
    assert f"worktree {space}" in listed.splitlines()


def test_add_says_where_to_go_and_what_to_do_next(shared: Path, name: str) -> None:
    """The path and the base are data, the next two commands are prose."""
    done = tatami(shared, "workspace", "add", name)
    path = str(shared / ".tatami" / "workspaces" / name)
    base = git(shared, "rev-parse", "--short=12", "main")
    assert done.stdout.splitlines() == [
        f"{name}  {path}",
        f"  checkout, base {base}, 0 behind main",
    ]
    assert done.stderr.splitlines() == [
        f"next: cd {path}",
        "      edit, then: tatami commit -m MESSAGE && tatami land",
    ]


@pytest.mark.parametrize(
    ("noun", "verb"), [("workspace", "create"), ("ws", "new"), ("worktree", "add")]
)
def test_add_has_the_names_people_try(shared: Path, name: str, noun: str, verb: str) -> None:
    """Every synonym makes the workspace."""
    assert len(tatami_json(shared, noun, verb, name)) == 1


def test_base_is_any_revision(shared: Path, name: str) -> None:
    """`--base` begins the line there, and `behind` counts the trunk's commits since."""
    base = git(shared, "rev-parse", "main~2")
    row = tatami_json(shared, "workspace", "add", name, "--base", base)[0]
    assert (row["base"], row["behind"]) == (base, 2)
    assert git(row["path"], "rev-parse", "HEAD") == base


def test_list_tells_dirty_from_clean(space: Path, shared: Path, swarm: Swarm, name: str) -> None:
    """A workspace with a new file is dirty, one whose ignored files changed is clean."""
    other = Path(swarm.agent(name + "b").path)
    (space / "new.txt").write_text("new\n")
    (other / "ignored.txt").write_text("x")
    with (shared / ".git" / "info" / "exclude").open("a") as exclude:
        exclude.write("ignored.txt\n")
    dirty = {row["name"]: row["dirty"] for row in tatami_json(space, "ws", "ls")}
    assert (dirty[space.name], dirty[other.name]) == (True, False)


def test_diff_shows_commits_and_edits_together(space: Path) -> None:
    """The default is everything against the base in the trunk, new files included."""
    (space / "committed.txt").write_text("one\n")
    tatami_json(space, "commit", "-m", "one")
    (space / "edited.txt").write_text("two\n")
    shown = tatami_json(space.parent, "workspace", "diff", space.name)
    unsaved = tatami_json(space, "workspace", "diff", "--unsaved")
    assert [row["path"] for row in shown["files"]] == ["committed.txt", "edited.txt"]
    assert [row["path"] for row in unsaved["files"]] == ["edited.txt"]
    assert "+two" in unsaved["diff"].splitlines()


def test_diff_writes_nothing(space: Path) -> None:
    """A verb that reads leaves no object, no staged path and no changed index behind."""
    (space / "edited.txt").write_text("two\n")
    before = git(space, "count-objects")
    tatami_json(space, "workspace", "diff")
    assert git(space, "count-objects") == before
    assert git(space, "status", "--porcelain") == "?? edited.txt"


def test_remove_forgets_a_landed_agent(space: Path, shared: Path) -> None:
    """Workspace, branch and agent are gone, what landed is in the trunk."""
    (space / "landed.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", "new")
    tatami_json(space, "land")
    done = tatami_json(shared, "workspace", "remove", space.name)[0]
    assert (done["saved"], done["recovery"], done["retired"]) == (None, None, True)
    assert not space.exists()
    assert git(shared, "branch", "--list", f"agent/{space.name}") == ""
    assert git(shared, "show", "main:landed.txt") == "new"
    assert space.name not in [row["name"] for row in tatami_json(shared, "status")["agents"]]
    assert str(space) not in git(shared, "worktree", "list")


def test_remove_commits_first_what_is_not_committed(space: Path, shared: Path) -> None:
    """Edits, new files and staged ones end on the agent's line, which stays."""
    (space / "history.txt").write_text("edited\n")
    (space / "staged.txt").write_text("staged\n")
    git(space, "add", "staged.txt")
    (space / "staged.txt").write_text("edited after\n")
    (space / "new.txt").write_text("new\n")
    done = tatami_json(shared, "workspace", "rm", space.name, "--yes")[0]
    line = f"agent/{space.name}"
    assert (done["saved"], done["retired"]) == (git(shared, "rev-parse", line), False)
    assert git(shared, "show", f"{line}:history.txt") == "edited"
    assert git(shared, "show", f"{line}~1:staged.txt") == "staged"
    assert git(shared, "show", f"{line}:staged.txt") == "edited after"
    assert git(shared, "show", f"{line}:new.txt") == "new"
    assert not space.exists()


def test_an_agent_whose_workspace_was_removed_gets_it_back(space: Path, shared: Path) -> None:
    """`add` of an agent that still has commits makes its workspace at its own head."""
    (space / "new.txt").write_text("new\n")
    tatami_json(shared, "workspace", "remove", space.name)
    row = tatami_json(shared, "workspace", "add", space.name)[0]
    assert (Path(row["path"]) / "new.txt").read_text() == "new\n"
    assert row["dirty"] is False


def test_a_dry_run_removes_nothing(space: Path, shared: Path) -> None:
    """It names what would be saved and which ignored files would go."""
    (space / "new.txt").write_text("new\n")
    (space / ".gitignore").write_text("built/\n")
    (space / "built").mkdir()
    (space / "built" / "a.o").write_text("x")
    plan = tatami_json(shared, "workspace", "remove", space.name, "--dry-run")[0]
    assert (plan["unsaved"], plan["ignored"]) == ([".gitignore", "new.txt"], ["built/"])
    assert (space / "new.txt").exists()


def test_names_of_several_workspaces_are_taken_at_once(shared: Path, name: str) -> None:
    """`remove` takes as many names as `add`."""
    names = [f"{name}{letter}" for letter in "abc"]
    tatami_json(shared, "workspace", "add", *names)
    tatami_json(shared, "workspace", "remove", names[0], names[2])
    left = [row["name"] for row in tatami_json(shared, "workspace", "list")]
    assert [name for name in names if name in left] == [names[1]]


def test_many_may_make_workspaces_at_once(shared: Path, name: str) -> None:
    """Eight processes at one instant: every workspace is made, whole and clean."""
    command = os.path.join(os.path.dirname(sys.executable), "tatami")
    names = [f"{name}-{number}" for number in range(8)]
    processes = [
        subprocess.Popen(
            [command, "workspace", "add", one],
            cwd=shared,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for one in names
    ]
    assert [process.wait() for process in processes] == [0] * 8
    for one in names:
        assert git(shared / ".tatami" / "workspaces" / one, "status", "--porcelain") == ""


def test_one_name_is_given_once(shared: Path, name: str) -> None:
    """Of two processes that want the same name, one is refused."""
    command = os.path.join(os.path.dirname(sys.executable), "tatami")
    processes = [
        subprocess.Popen(
            [command, "workspace", "add", name],
            cwd=shared,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert sorted(process.wait() for process in processes) == [0, 64]
    assert git(shared / ".tatami" / "workspaces" / name, "status", "--porcelain") == ""


def test_special_files_are_checked_out_as_git_does(stop_hubs_after: None, tmp_path: Path) -> None:
    """Executables, symlinks, CRLF by attribute, and names with spaces and other letters."""
    root = sandbox.make_repository(tmp_path / "repo")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    os.symlink("run.sh", root / "link")
    (root / "ünï cödé.txt").write_text("x\n")
    (root / ".gitattributes").write_text("*.bat text eol=crlf\n")
    (root / "a.bat").write_bytes(b"one\r\ntwo\r\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "special")
    tatami_json(root, "init")
    space = Path(tatami_json(root, "workspace", "add", "coder-1")[0]["path"])
    assert os.readlink(space / "link") == "run.sh"
    assert os.access(space / "run.sh", os.X_OK)
    assert (space / "a.bat").read_bytes() == b"one\r\ntwo\r\n"
    assert (space / "ünï cödé.txt").read_text() == "x\n"
    assert git(space, "status", "--porcelain") == ""
