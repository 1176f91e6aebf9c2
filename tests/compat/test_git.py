"""Stock git beside the hub: it sees everything, checks clean, and may collect garbage any time."""

from pathlib import Path

import pytest

import tatami
from tests import sandbox
from tests.compat.conftest import Used
from tests.conftest import stop_hubs

COLLECTIONS = {
    "gc": ("gc", "--prune=now", "--quiet"),
    "repack": ("repack", "-a", "-d", "--quiet"),
    "prune": ("prune", "--expire=now"),
    "prune-packed": ("prune-packed", "--quiet"),
    "pack-refs": ("pack-refs", "--all", "--prune"),
    "multi-pack-index": ("multi-pack-index", "write"),
}


def test_git_finds_nothing_wrong(used: Used) -> None:
    """`git fsck --full --strict` is silent about commits, landings and refs of ours."""
    used.commit("coder-1", "a.txt")
    used.commit("coder-2", "b.txt")
    assert [used.land(name).state for name in ("coder-1", "coder-2")] == ["landed", "landed"]
    said = sandbox.run(used.root, "git", "fsck", "--full", "--strict", "--no-dangling")
    assert (said.stdout, said.stderr) == (b"", b"")


def test_git_log_shows_every_commit(used: Used) -> None:
    """What was acknowledged is in `git log --all` at once."""
    for number in range(3):
        used.commit("coder-1", f"a{number}.txt")
        assert set(used.acked) <= used.in_git()


def test_the_users_checkout_stays_clean(used: Used) -> None:
    """`git status` has nothing to say after commits and landings, on the branch it was on."""
    used.commit("coder-1", "a.txt")
    used.land("coder-1")
    assert used.git("status", "--porcelain", "--branch") == "## main"
    assert (used.root / "a.txt").read_bytes() == b"agent\n"


def test_workspaces_are_clean_worktrees(used: Used) -> None:
    """`git status` is clean in a new workspace and after a commit there, `worktree list` has it."""
    agent = used.swarm.agent("coder-1")
    space = Path(agent.path)
    assert sandbox.git(space, "status", "--porcelain", "--branch") == "## agent/coder-1"
    (space / "new.txt").write_bytes(b"new\n")
    agent.commit("new")
    assert sandbox.git(space, "status", "--porcelain", "--branch") == "## agent/coder-1"
    assert f"{space} " in used.git("worktree", "list")


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_git_may_collect_garbage_while_agents_commit(used: Used, collection: str) -> None:
    """No acknowledged commit is lost to a collection under load, hidden ones included."""
    used.commit("coder-1", "hidden.txt")
    used.agents["coder-1"].commit("instead", {"instead.txt": b"x\n"}, amend=True)
    with used.load("coder-2", "coder-3"):
        for _ in range(8):
            used.git(*COLLECTIONS[collection])
    for name in ("coder-1", "coder-2"):
        used.agents.setdefault(name, used.swarm.agent(name, workspace=False))
        assert used.land(name).state == "landed"
    used.git(*COLLECTIONS[collection])
    assert used.problems() == []


def test_garbage_is_collected_after_the_user_drops_history(used: Used) -> None:
    """Commits of an agent's line live on what the user's branch no longer reaches."""
    used.commit("coder-1", "a.txt")
    used.git("checkout", "--quiet", "--orphan", "fresh")
    used.git("commit", "--quiet", "-m", "fresh start")
    used.git("update-ref", "-d", "refs/heads/agent/coder-1")
    used.git("branch", "-D", "main")
    used.git("reflog", "expire", "--expire=now", "--all")
    used.git("gc", "--prune=now", "--quiet")
    assert used.commit("coder-1", "b.txt") in used.in_git()
    assert used.problems() == ["branches main: git has no such branch, and it is the trunk"]


def test_packs_of_ours_may_be_listed_in_a_multi_pack_index(used: Used) -> None:
    """The hub takes packs away that git's multi-pack-index names, and both still read all."""
    for number in range(30):
        used.commit("coder-1", f"{number}.txt")
    used.git("multi-pack-index", "write")
    used.swarm.stop()
    sandbox.tatami(used.root, "stop")
    for number in range(30):
        used.commit("coder-1", f"more-{number}.txt")
    assert used.swarm.read("agent/coder-1", ["3.txt"]) == [b"agent\n"]
    assert set(used.acked) <= used.in_git()
    assert used.problems() == []


def test_cleaning_takes_no_state(used: Used) -> None:
    """`git clean -ffdx` leaves operation log, ledger and workspaces' commits alone."""
    used.commit("coder-1", "a.txt")
    (used.root / "litter.txt").write_bytes(b"x\n")
    used.git("clean", "-ffdx", "--quiet")
    assert not (used.root / "litter.txt").exists()
    used.commit("coder-1", "b.txt")
    assert used.land("coder-1").state == "landed"
    assert used.problems() == []


def test_stashing_everything_takes_no_state(used: Used) -> None:
    """`git stash --all` takes the user's files, and gives them back."""
    used.commit("coder-1", "a.txt")
    (used.root / "litter.txt").write_bytes(b"x\n")
    used.git("stash", "push", "--all", "--quiet")
    used.commit("coder-1", "b.txt")
    used.git("stash", "pop", "--quiet")
    assert (used.root / "litter.txt").read_bytes() == b"x\n"
    assert used.problems() == []


def test_a_commit_made_with_git_on_another_branch_is_left_alone(used: Used) -> None:
    """The user's other branches are not bookmarks of ours, and nothing moves them."""
    used.git("checkout", "--quiet", "-b", "topic")
    theirs = sandbox.commit_file(used.root, "topic.txt", b"topic\n")
    used.commit("coder-1", "a.txt")
    used.land("coder-1")
    assert used.git("rev-parse", "topic") == theirs
    assert used.git("status", "--porcelain", "--branch") == "## topic"
    assert used.problems() == []


def test_an_agent_can_begin_at_any_commit_of_git(used: Used) -> None:
    """A commit that only git knew is imported, and garbage collection does not take it."""
    used.git("checkout", "--quiet", "-b", "topic")
    theirs = sandbox.commit_file(used.root, "topic.txt", b"topic\n")
    used.agents["coder-1"] = used.swarm.agents(["coder-1"], base=theirs, workspace=False)[0]
    used.git("checkout", "--quiet", "main")
    used.git("branch", "-D", "topic")
    used.git("reflog", "expire", "--expire=now", "--all")
    used.git("gc", "--prune=now", "--quiet")
    new = used.commit("coder-1", "a.txt")
    assert used.git("rev-parse", f"{new}^") == theirs
    assert used.problems() == []


def test_the_same_repository_can_be_moved(used: Used, tmp_path: Path) -> None:
    """Nothing of ours holds the place of the repository."""
    used.commit("coder-1", "a.txt")
    used.swarm.stop()
    sandbox.tatami(used.root, "stop")
    moved = used.root.rename(tmp_path / "moved")
    with tatami.Swarm.open(str(moved)) as swarm:
        commit = swarm.agent("coder-1", workspace=False).commit("b", {"b.txt": b"b\n"})
        assert [row["commit"] for row in swarm.log("agent/coder-1", limit=1)] == [commit.id]
    stop_hubs(moved)
