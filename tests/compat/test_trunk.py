"""The user moves the trunk with plain git between landings, and the checkout is never disturbed."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tatami
from tests import sandbox
from tests.compat.conftest import Used


def landed(used: Used, name: str, path: str) -> str:
    """Commits and lands one file; returns the id it has on the trunk."""
    used.commit(name, path)
    result = used.land(name)
    assert result.state == "landed"
    return result.commits[-1]


def subjects(used: Used, rev: str = "main") -> list[str]:
    """First lines of the commits on top of the three the repository began with, oldest first."""
    lines = used.git("log", "--reverse", "--format=%s", rev).splitlines()
    assert lines[:3] == ["commit 0", "commit 1", "commit 2"]
    return lines[3:]


def agree(used: Used) -> None:
    """git's branch is where the bookmark is, and the user's checkout of it is clean."""
    status = used.swarm.status()["trunk"]
    assert (status["commit"], status["waiting"]) == (used.git("rev-parse", "main"), False)
    assert used.git("status", "--porcelain", "--branch") == "## main"


def test_a_clean_checkout_follows(used: Used) -> None:
    """Branch, index and files are the landed commit's, HEAD stays attached."""
    commit = landed(used, "coder-1", "a.txt")
    assert used.git("rev-parse", "HEAD") == commit
    assert used.git("symbolic-ref", "HEAD") == "refs/heads/main"
    agree(used)


def test_a_commit_by_the_user_is_taken_over(used: Used) -> None:
    """`git commit` between landings stays where it is, the next landing is on top."""
    landed(used, "coder-1", "a.txt")
    theirs = sandbox.commit_file(used.root, "user.txt", b"user\n")
    landed(used, "coder-2", "b.txt")
    assert subjects(used) == ["coder-1: a.txt", "by git", "coder-2: b.txt"]
    assert used.git("rev-parse", "main^") == theirs
    agree(used)
    assert used.problems() == []


def test_what_the_user_commits_is_seen_at_once(used: Used) -> None:
    """Without any landing, the hub's next answer knows the trunk as git has it."""
    questions: list[Callable[[], str]] = [
        lambda: used.swarm.status()["trunk"]["commit"],
        lambda: next(used.swarm.log())["commit"],
        lambda: used.swarm.resolve("main"),
        lambda: used.swarm.resolve(f"agent/{used.swarm.agent('new', workspace=False).name}"),
    ]
    for number, ask in enumerate(questions):
        theirs = sandbox.commit_file(used.root, f"{number}.txt", b"user\n")
        assert ask() == theirs
    agree(used)
    assert used.problems() == []


def test_an_agent_is_reset_to_what_the_user_committed(used: Used) -> None:
    """`reset` to the trunk takes the line to where git's branch is."""
    used.commit("coder-1", "a.txt")
    theirs = sandbox.commit_file(used.root, "user.txt", b"user\n")
    used.agents["coder-1"].reset("main")
    assert used.swarm.resolve("agent/coder-1") == theirs


def test_a_line_the_user_merged_is_not_landed_again(used: Used) -> None:
    """Merged with plain git is landed: there is nothing to land, and the agent may go."""
    used.commit("coder-1", "a.txt")
    used.git("merge", "--quiet", "--no-ff", "--no-edit", "agent/coder-1")
    with pytest.raises(tatami.TatamiError) as refused:
        used.land("coder-1")
    assert refused.value.code == "nothing_to_land"
    assert used.swarm.retire("coder-1")["agent"] == "coder-1"


def test_a_status_does_not_wait_for_a_verification(used: Used) -> None:
    """While a landing is verified the trunk is shown as it was when that began."""
    before = used.git("rev-parse", "main")
    used.commit("coder-1", "a.txt")
    gate = used.root.parent / "gate"
    landing = used.agents["coder-1"].land(verify=f"until test -e {gate}; do sleep 0.05; done")
    theirs = sandbox.commit_file(used.root, "user.txt", b"user\n")
    with tatami.Swarm.open(used.root) as other:
        assert other.status()["trunk"]["commit"] == before
    gate.touch()
    assert landing.result().state == "landed"
    assert used.git("rev-parse", "main^") == theirs


def test_a_commit_amended_by_the_user_replaces_the_old_one(used: Used) -> None:
    """`git commit --amend` of the user's own commit leaves no copy of the old one."""
    sandbox.commit_file(used.root, "user.txt", b"first\n")
    landed(used, "coder-1", "a.txt")
    used.git("reset", "--quiet", "--hard", "main^")
    (used.root / "user.txt").write_bytes(b"second\n")
    used.git("commit", "--quiet", "--all", "--amend", "-m", "by git, better")
    landed(used, "coder-2", "b.txt")
    assert subjects(used) == ["by git, better", "coder-1: a.txt", "coder-2: b.txt"]
    assert (used.root / "user.txt").read_bytes() == b"second\n"
    agree(used)
    assert used.problems() == []


def test_a_landing_amended_by_the_user_comes_back_only_as_far_as_it_fits(used: Used) -> None:
    """`git commit --amend` on a landing: the user's version stays, the landing's is handed back."""
    landed(used, "coder-1", "a.txt")
    (used.root / "a.txt").write_bytes(b"user's\n")
    used.git("commit", "--quiet", "--all", "--amend", "-m", "amended")
    landed(used, "coder-2", "b.txt")
    assert subjects(used) == ["amended", "coder-2: b.txt"]
    states = {row["agent"]: row["state"] for row in used.swarm.queue(done=True)}
    assert states == {"coder-1": "handed_back", "coder-2": "landed"}
    agree(used)
    assert used.problems() == []


def test_a_handed_back_landing_can_be_landed_again(used: Used) -> None:
    """What the user's amend took off the trunk is not counted as landed any more."""
    landed(used, "coder-1", "a.txt")
    (used.root / "a.txt").write_bytes(b"user's\n")
    used.git("commit", "--quiet", "--all", "--amend", "-m", "amended")
    landed(used, "coder-2", "b.txt")
    entry = next(r["entry"] for r in used.swarm.queue(done=True) if r["agent"] == "coder-1")
    used.git("rm", "--quiet", "a.txt")
    used.git("commit", "--quiet", "-m", "make room")
    used.swarm.queue_action("retry", [entry])
    (row,) = used.swarm.finished([entry])
    assert row["state"] == "landed"
    assert (used.root / "a.txt").read_bytes() == b"agent\n"


def test_a_landing_reset_away_comes_back(used: Used) -> None:
    """`git reset --hard` to before a landing: landings are put on top again."""
    landed(used, "coder-1", "a.txt")
    used.git("reset", "--quiet", "--hard", "main^")
    landed(used, "coder-2", "b.txt")
    assert subjects(used) == ["coder-1: a.txt", "coder-2: b.txt"]
    agree(used)


def test_a_commit_of_the_user_reset_away_stays_away(used: Used) -> None:
    """`git reset --hard` to before the user's own commit is the user's to decide."""
    sandbox.commit_file(used.root, "user.txt", b"user\n")
    landed(used, "coder-1", "a.txt")
    used.git("reset", "--quiet", "--hard", "main~2")
    landed(used, "coder-2", "b.txt")
    assert subjects(used) == ["coder-1: a.txt", "coder-2: b.txt"]
    assert not (used.root / "user.txt").exists()
    agree(used)
    assert used.problems() == []


def test_edits_elsewhere_do_not_hold_up_a_landing(used: Used) -> None:
    """A file the user edits and the landing does not touch keeps the edit, staged or not."""
    (used.root / "history.txt").write_bytes(b"edited\n")
    (used.root / "staged.txt").write_bytes(b"staged\n")
    used.git("add", "staged.txt")
    commit = landed(used, "coder-1", "a.txt")
    assert used.git("rev-parse", "HEAD") == commit
    assert used.git("status", "--porcelain").splitlines() == [" M history.txt", "A  staged.txt"]
    assert (used.root / "history.txt").read_bytes() == b"edited\n"


@pytest.mark.parametrize("stage", [False, True], ids=["edited", "staged"])
def test_a_dirty_checkout_holds_the_branch_back(used: Used, stage: bool) -> None:
    """The bookmark moves, the branch waits, and what cures it then lets it follow."""
    before = used.git("rev-parse", "main")
    (used.root / "history.txt").write_bytes(b"edited\n")
    if stage:
        used.git("add", "history.txt")
    used.commit("coder-1", "history.txt")
    assert used.land("coder-1").state == "landed"
    status = used.swarm.status()
    assert status["trunk"]["waiting"]
    assert status["trunk"]["commit"] == used.acked[-1]
    assert "commit or stash" in " ".join(status["warnings"])
    assert used.git("rev-parse", "main") == before
    assert (used.root / "history.txt").read_bytes() == b"edited\n"
    used.git("stash", "--quiet")
    landed(used, "coder-2", "b.txt")
    assert (used.root / "history.txt").read_bytes() == b"agent\n"
    agree(used)


def test_a_branch_that_waited_follows_by_itself(used: Used) -> None:
    """Once the user has stashed what was in the way, nobody has to land or to ask for anything."""
    (used.root / "history.txt").write_bytes(b"edited\n")
    used.commit("coder-1", "history.txt")
    assert used.land("coder-1").state == "landed"
    used.git("stash", "--quiet")
    while used.git("rev-parse", "main") != used.acked[-1]:
        time.sleep(0.05)
    assert used.git("status", "--porcelain", "--branch") == "## main"


def test_a_commit_on_a_branch_that_waits_goes_below_the_landings(used: Used) -> None:
    """The user commits what held the branch back: both are on the trunk, the landing on top."""
    (used.root / "dir0/file1.txt").write_bytes(b"edited\n")
    used.agents["coder-1"] = used.swarm.agent("coder-1", workspace=False)
    used.agents["coder-1"].commit("both", {"dir0/file1.txt": b"agent\n", "a.txt": b"a\n"})
    assert used.land("coder-1").state == "landed"
    assert used.swarm.status()["trunk"]["waiting"]
    used.git("commit", "--quiet", "--all", "-m", "user's edit")
    landed(used, "coder-2", "b.txt")
    # Both changed the same line: the user's stays, the agent's is handed back.
    assert subjects(used) == ["user's edit", "coder-2: b.txt"]
    states = {row["agent"]: row["state"] for row in used.swarm.queue(done=True)}
    assert states == {"coder-1": "handed_back", "coder-2": "landed"}
    agree(used)
    assert used.problems() == []


def test_an_untracked_file_in_the_way_is_kept(used: Used) -> None:
    """A landing that adds a file the user has untracked waits; ignored ones count as well."""
    with (used.root / ".git/info/exclude").open("a") as exclude:
        exclude.write("ignored.txt\n")
    (used.root / "ignored.txt").write_bytes(b"user's\n")
    used.commit("coder-1", "ignored.txt")
    assert used.land("coder-1").state == "landed"
    assert used.swarm.status()["trunk"]["waiting"]
    assert (used.root / "ignored.txt").read_bytes() == b"user's\n"


def test_a_rebase_of_the_trunk_is_not_disturbed(used: Used) -> None:
    """The branch waits until the user's rebase has ended, then it follows."""
    used.git("checkout", "--quiet", "-b", "base", "main~1")
    sandbox.commit_file(used.root, "base.txt", b"base\n")
    used.git("checkout", "--quiet", "main")
    editor = "GIT_SEQUENCE_EDITOR=sed -i s/^pick/edit/"
    sandbox.run(used.root, "env", editor, "git", "rebase", "--quiet", "-i", "base")
    used.commit("coder-1", "a.txt")
    assert used.land("coder-1").state == "landed"
    assert used.swarm.status()["trunk"]["waiting"]
    sandbox.run(used.root, "env", "GIT_EDITOR=true", "git", "rebase", "--continue")
    landed(used, "coder-2", "b.txt")
    agree(used)
    assert subjects_of_base(used) == ["commit 2", "coder-1: a.txt", "coder-2: b.txt"]


def subjects_of_base(used: Used) -> list[str]:
    """First lines of the commits on top of branch `base`, oldest first."""
    return used.git("log", "--reverse", "--format=%s", "base..main").splitlines()


def test_a_lock_on_the_branch_is_waited_for(used: Used) -> None:
    """What another git holds, or left behind when it was killed, is not taken from it."""
    before = used.git("rev-parse", "main")
    lock = used.root / ".git/refs/heads/main.lock"
    lock.touch()
    used.commit("coder-1", "a.txt")
    assert used.land("coder-1").state == "landed"
    assert "main.lock" in used.swarm.status()["warnings"][0]
    assert used.git("rev-parse", "main") == before
    assert used.git("status", "--porcelain") == ""
    lock.unlink()
    landed(used, "coder-2", "b.txt")
    agree(used)


def test_another_branch_checked_out_is_left_alone(used: Used) -> None:
    """The trunk's branch moves though nobody has it checked out; index and files stay."""
    used.git("checkout", "--quiet", "-b", "topic")
    commit = landed(used, "coder-1", "a.txt")
    assert used.git("rev-parse", "main") == commit
    assert used.git("status", "--porcelain", "--branch") == "## topic"
    assert not (used.root / "a.txt").exists()


def test_a_detached_head_is_left_alone(used: Used) -> None:
    """A checkout of a commit does not move with the branch."""
    before = used.git("rev-parse", "HEAD")
    used.git("checkout", "--quiet", "--detach")
    commit = landed(used, "coder-1", "a.txt")
    assert used.git("rev-parse", "main", "HEAD").split() == [commit, before]
    assert used.git("status", "--porcelain") == ""


def test_a_linked_worktree_of_the_trunk_follows(used: Used, tmp_path: Path) -> None:
    """The trunk checked out elsewhere is refreshed there, and holds back there."""
    linked = tmp_path / "linked"
    used.git("checkout", "--quiet", "-b", "topic")
    used.git("worktree", "add", "--quiet", str(linked), "main")
    landed(used, "coder-1", "a.txt")
    assert (linked / "a.txt").read_bytes() == b"agent\n"
    assert sandbox.git(linked, "status", "--porcelain", "--branch") == "## main"
    (linked / "a.txt").write_bytes(b"edited\n")
    used.commit("coder-1", "a.txt", b"again\n")
    assert used.land("coder-1").state == "landed"
    assert used.swarm.status()["trunk"]["waiting"]
    assert (linked / "a.txt").read_bytes() == b"edited\n"


def test_a_trunk_whose_branch_is_gone_is_said(used: Used) -> None:
    """A landing is refused with the command that brings the branch back; nothing is lost."""
    before = used.git("rev-parse", "main")
    used.git("checkout", "--quiet", "--detach")
    used.git("branch", "--quiet", "-D", "main")
    used.commit("coder-1", "a.txt")
    refused = used.land("coder-1")
    assert refused.state == "rejected"
    assert "is gone" in refused.reason
    used.git("branch", "main", before)
    used.swarm.queue_action("retry", [refused.entry])
    assert used.swarm.finished([refused.entry])[0]["state"] == "landed"


def test_a_line_that_merged_the_trunk_lands_as_it_is(used: Used) -> None:
    """An agent that ran `git merge main` lands its merge; nobody else's landing suffers."""
    agent = used.swarm.agent("coder-1")
    space = Path(agent.path)
    (space / "a.txt").write_text("agent\n")
    agent.commit("a")
    landed(used, "coder-2", "b.txt")
    sandbox.git(space, "merge", "--quiet", "--no-edit", "main")
    (space / "c.txt").write_text("agent\n")
    head = agent.commit("c").id
    assert agent.land().result().state == "landed"
    assert used.git("rev-parse", "main") == head
    assert used.problems() == []


def test_a_merge_that_cannot_land_is_rejected_alone(used: Used) -> None:
    """A merge the trunk has moved past is handed to its author, and the others land."""
    agent = used.swarm.agent("coder-1")
    space = Path(agent.path)
    landed(used, "coder-2", "b.txt")
    (space / "a.txt").write_text("agent\n")
    agent.commit("a")
    sandbox.git(space, "merge", "--quiet", "--no-edit", "main")
    agent.commit("", amend=True)
    landed(used, "coder-3", "d.txt")
    used.swarm.queue_action("pause")
    used.commit("coder-4", "e.txt")
    landing = used.swarm.land(["coder-1", "coder-4"])
    used.swarm.queue_action("resume")
    states = [result.state for result in landing.results()]
    assert states == ["rejected", "landed"]
