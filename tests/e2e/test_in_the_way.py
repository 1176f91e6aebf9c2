"""What others take away or put in the way: branches, folders, files, a reader; told and cured."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import sandbox
from tests.e2e.conftest import Refused


def test_a_branch_called_agent_is_renamed_before_init(repository: Path, refused: Refused) -> None:
    """git cannot have `agent` and `agent/NAME` side by side; init says so, with the cure."""
    sandbox.git(repository, "branch", "agent")
    assert refused(repository, "init") == (64, "branch_exists")
    sandbox.git(repository, "branch", "-m", "agent", "agent-old")
    assert sandbox.tatami_json(repository, "init")["trunk"] == "main"


def test_a_branch_called_agent_refuses_agents(tatami_repository: Path, refused: Refused) -> None:
    """One made later is named when an agent is added, whether it is packed or not."""
    sandbox.git(tatami_repository, "branch", "agent")
    add = ("workspace", "add", "coder-1")
    assert refused(tatami_repository, *add) == (64, "branch_exists")
    sandbox.git(tatami_repository, "pack-refs", "--all")
    assert refused(tatami_repository, *add) == (64, "branch_exists")
    sandbox.git(tatami_repository, "branch", "-m", "agent", "agent-old")
    assert [row["name"] for row in sandbox.tatami_json(tatami_repository, *add)] == ["coder-1"]


def test_a_branch_that_somebody_deleted_is_made_again_as_told(
    tatami_repository: Path,
) -> None:
    """A workspace whose branch is gone names its commit, and goes on once that is a branch."""
    (row,) = sandbox.tatami_json(tatami_repository, "workspace", "add", "coder-1")
    space = Path(row["path"])
    (space / "a.txt").write_bytes(b"a\n")
    head = sandbox.git(space, "rev-parse", "HEAD")
    sandbox.git(space, "update-ref", "-d", "refs/heads/agent/coder-1")
    fix = f"git -C {space} branch agent/coder-1 {head}"
    told = json.loads(sandbox.tatami(space, "commit", "-m", "a", "--json").stdout)
    assert (told["code"], told["fix"]) == ("no_branch", fix)
    sandbox.git(space, "branch", "agent/coder-1", head)
    sandbox.tatami_json(space, "commit", "-m", "a")
    assert sandbox.git(space, "status", "--porcelain") == ""


def test_a_trunk_that_is_back_is_no_trouble_any_more(tatami_repository: Path) -> None:
    """The warning that the trunk's branch is gone ends with the cure that it names."""
    sandbox.git(tatami_repository, "branch", "-m", "main", "elsewhere")
    assert "is gone" in " ".join(sandbox.tatami_json(tatami_repository, "status")["warnings"])
    sandbox.git(tatami_repository, "branch", "main")
    assert sandbox.tatami_json(tatami_repository, "status")["warnings"] == []


def test_a_lock_of_jj_that_a_dead_hub_left_is_removed(tatami_repository: Path) -> None:
    """The next hub imports the commit that it is for.

    The story: a hub killed at its 361st write left one; every hub after it died of it at once.
    """
    (row,) = sandbox.tatami_json(tatami_repository, "workspace", "add", "coder-1")
    sandbox.tatami(tatami_repository, "stop")
    commit = sandbox.commit_file(Path(row["path"]), "a.txt", b"a\n")
    lock = tatami_repository / f".git/refs/jj/keep/{commit}.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    agents = sandbox.tatami_json(tatami_repository, "status")["agents"]
    assert [agent["head"] for agent in agents] == [commit]
    assert not lock.exists()


def test_a_folder_of_the_hub_that_was_deleted_is_made_again(tatami_repository: Path) -> None:
    """What lies in it can be deleted at any time, and so can it."""
    sandbox.tatami_json(tatami_repository, "workspace", "add", "coder-1")
    sandbox.tatami(tatami_repository, "stop")
    shutil.rmtree(tatami_repository / ".git/tatami/hub")
    agents = sandbox.tatami_json(tatami_repository, "status")["agents"]
    assert [agent["name"] for agent in agents] == ["coder-1"]


def test_ignored_files_that_went_with_a_workspace_are_named(tatami_repository: Path) -> None:
    """They are the only ones that nothing keeps."""
    (row,) = sandbox.tatami_json(tatami_repository, "workspace", "add", "coder-1")
    space = Path(row["path"])
    (space / ".gitignore").write_bytes(b"*.log\n")
    (space / "x.log").write_bytes(b"x\n")
    remove = ("workspace", "remove", "coder-1")
    (planned,) = sandbox.tatami_json(tatami_repository, *remove, "--dry-run")
    (removed,) = sandbox.tatami_json(tatami_repository, *remove)
    assert planned["ignored"] == removed["ignored"] == ["x.log"]


def test_a_message_that_is_not_utf8_is_named(tatami_repository: Path, refused: Refused) -> None:
    """The refusal speaks of the message, not of how it would have been sent."""
    (row,) = sandbox.tatami_json(tatami_repository, "workspace", "add", "coder-1")
    told = refused(Path(row["path"]), "commit", "-m", os.fsdecode(b"caf\xe9"))
    assert told == (64, "bad_message")


def test_a_reader_that_has_seen_enough_ends_a_verb_quietly(tatami_repository: Path) -> None:
    """Closed output is no error of a path."""
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "tatami.ui.cli.main", "workspace", "add", "coder-1"]
    done = subprocess.run(
        command, cwd=tatami_repository, stdout=theirs, stderr=subprocess.PIPE, check=False
    )
    os.close(theirs)
    assert (done.returncode, b"error" in done.stderr) == (0, False)
