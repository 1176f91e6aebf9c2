"""`eject`: plain git is left behind, with everything that anybody could want in it."""

from pathlib import Path

import pytest

import tatami
from tatami.store.locate import find
from tatami.workspaces import recovery
from tests import sandbox
from tests.e2e.conftest import Refused
from tests.sandbox import git, run, tatami_json


def refs(root: Path) -> dict[str, str]:
    """Every ref of a repository, with its commit."""
    rows = git(root, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(row.split(" ") for row in rows)


def fsck(root: Path) -> tuple[bytes, bytes]:
    """What git finds wrong, after it has collected all garbage."""
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "--prune=now", "--quiet")
    done = run(root, "git", "fsck", "--full", "--strict", "--no-dangling")
    return done.stdout, done.stderr


@pytest.fixture
def agent(tatami_repository: Path) -> tatami.Agent:
    """An agent with a commit on its line, one amended away, and unsaved and staged edits."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("coder-1")
        root = Path(agent.path)
        (root / "a.txt").write_text("first try\n")
        agent.commit("first try")
        (root / "a.txt").write_text("second try\n")
        agent.commit("second try", amend=True)
        (root / "a.txt").write_text("unsaved\n")
        (root / "b.txt").write_text("staged\n")
        git(root, "add", "b.txt")
    return agent


def test_lines_stay_branches_and_workspaces_worktrees(
    agent: tatami.Agent, tatami_repository: Path
) -> None:
    """Files, index and HEAD of each are as they were; git's commands work there."""
    space = Path(agent.path)
    before = (git(space, "status", "--porcelain", "--branch"), git(space, "rev-parse", "HEAD"))
    done = tatami_json(tatami_repository, "eject", "--yes")
    assert (done["agents"], done["worktrees"]) == (["coder-1"], [str(space)])
    assert (
        git(space, "status", "--porcelain", "--branch"),
        git(space, "rev-parse", "HEAD"),
    ) == before
    assert "locked" not in git(tatami_repository, "worktree", "list", "--porcelain")
    git(space, "add", "--all")
    git(space, "commit", "--quiet", "-m", "by git")
    assert fsck(tatami_repository) == (b"", b"")


def test_nothing_of_ours_is_left(agent: tatami.Agent, tatami_repository: Path) -> None:
    """No state, no refs, no marks on packs, no setting, no hub; the checkout is as it was."""
    common = tatami_repository / ".git"
    tatami_json(tatami_repository, "eject", "--yes")
    assert sandbox.hubs_under(tatami_repository) == []
    assert list(common.glob("tatami*")) == []
    assert [ref for ref in refs(tatami_repository) if "heads" not in ref] == []
    assert list((common / "objects" / "pack").glob("*.keep")) == []
    settings = git(tatami_repository, "config", "--local", "--list")
    assert "tatami" not in settings
    assert "procreceive" not in settings
    assert git(tatami_repository, "status", "--porcelain", "--branch") == "## main"


def test_what_no_branch_had_gets_one(agent: tatami.Agent, tatami_repository: Path) -> None:
    """Amended commits, recovery commits and what was reset away, each agent's in one branch."""
    space = agent.workspace
    assert space
    with tatami.Swarm.open(tatami_repository) as swarm:
        (amended,) = (row["commit"] for row in swarm.ask("hidden", {})["commits"])
    ref = recovery.save(space, "before a test")
    saved = git(tatami_repository, "rev-parse", str(ref))
    done = tatami_json(tatami_repository, "eject", "--yes")
    (kept,) = done["kept"]
    assert (kept["branch"], set(kept["commits"])) == ("tatami-kept/coder-1", {amended, saved})
    assert fsck(tatami_repository) == (b"", b"")
    reached = git(tatami_repository, "rev-list", kept["branch"]).split()
    assert {amended, saved} <= set(reached)
    assert git(tatami_repository, "show", f"{saved}:a.txt") == "unsaved"
    message = git(tatami_repository, "log", "-1", "--format=%B", kept["branch"])
    assert f"{amended[:12]} " in message
    assert "amended away: first try" in message


def test_a_dry_run_changes_nothing(agent: tatami.Agent, tatami_repository: Path) -> None:
    """It says what would be done, and all is as before."""
    before = refs(tatami_repository)
    plan = tatami_json(tatami_repository, "eject", "--dry-run")
    assert (plan["done"], plan["worktrees"]) == (False, [agent.path])
    assert [kept["branch"] for kept in plan["kept"]] == ["tatami-kept/coder-1"]
    assert refs(tatami_repository) == before
    assert tatami_json(tatami_repository, "status")["agents"][0]["name"] == "coder-1"


def test_init_brings_tatami_back(agent: tatami.Agent, tatami_repository: Path) -> None:
    """And the worktrees can be adopted, unsaved work and all."""
    before = git(agent.path, "status", "--porcelain")
    tatami_json(tatami_repository, "eject", "--yes")
    assert tatami_json(tatami_repository, "init")["new"]
    tatami_json(tatami_repository, "workspace", "adopt", agent.path)
    assert git(agent.path, "status", "--porcelain") == before
    tatami_json(agent.path, "commit", "-m", "goes on")
    assert tatami_json(tatami_repository, "fsck")["ok"]
    assert [row["state"] for row in tatami_json(agent.path, "land")] == ["landed"]


def test_staged_work_of_a_deleted_workspace_is_kept(
    agent: tatami.Agent, tatami_repository: Path
) -> None:
    """git prunes a worktree that is gone, and its index with it."""
    run(tatami_repository, "rm", "-rf", agent.path)
    done = tatami_json(tatami_repository, "eject", "--yes")
    assert done["worktrees"] == []
    (kept,) = done["kept"]
    git(tatami_repository, "worktree", "prune")
    assert fsck(tatami_repository) == (b"", b"")
    contents = [
        run(tatami_repository, "git", "show", f"{id}:b.txt", check=False).stdout
        for id in kept["commits"]
    ]
    assert b"staged\n" in contents


def test_an_empty_swarm_leaves_no_trace(tatami_repository: Path) -> None:
    """`init` and `eject` leave refs, settings, excludes and status as they were."""
    exclude = (tatami_repository / ".git" / "info" / "exclude").read_text()
    tatami_json(tatami_repository, "eject", "--yes")
    assert refs(tatami_repository).keys() == {"refs/heads/main"}
    assert (tatami_repository / ".git" / "info" / "exclude").read_text() == exclude
    assert not (tatami_repository / ".tatami").exists()


def test_a_jj_repository_of_the_users_stays(
    repository: Path, stop_hubs_after: None, stock_jj: "object"
) -> None:
    """Its operations go on, and what they name is not collected."""
    assert callable(stock_jj)
    stock_jj(repository, "git", "init", "--git-repo", ".")
    tatami_json(repository, "init")
    with tatami.Swarm.open(repository) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        old = agent.commit("one", {"a.txt": b"one\n"}).id
        agent.commit("two", {"a.txt": b"two\n"}, amend=True)
    tatami_json(repository, "eject", "--yes")
    git(repository, "gc", "--prune=now", "--quiet")
    assert "two" in stock_jj(repository, "log", "-r", "all()", "-T", "description", "--no-graph")
    assert stock_jj(repository, "file", "show", "-r", old, "a.txt") == "one\n"
    assert not (repository / ".git" / "tatami").exists()


def test_it_refuses_outside(repository: Path, refused: Refused) -> None:
    """What is no Tatami repository has nothing to leave."""
    assert refused(repository, "eject", "--yes") == (64, "not_initialised")
    assert not Path(find(str(repository)).state).exists()
