"""Plain git in a workspace is a full member: branches, detached HEADs, rebases, the watch."""

import time
from pathlib import Path
from typing import Any

from tatami import Swarm
from tests.e2e.conftest import Refused
from tests.sandbox import git, run, tatami_json

NOTICE_SECONDS_MAX = 20.0
"""It takes half a second; a machine that is busy with other tests takes its time."""


def write(space: Path, path: str, content: str) -> None:
    (space / path).write_text(content)


def git_commit(space: Path, path: str, content: str) -> str:
    """Writes a file and commits it with git alone."""
    write(space, path, content)
    git(space, "add", "--all")
    git(space, "commit", "--quiet", "-m", f"git: {path}")
    return git(space, "rev-parse", "HEAD")


def tatami_commit(space: Path, path: str, content: str) -> str:
    """Writes a file and commits it with Tatami."""
    write(space, path, content)
    return str(tatami_json(space, "commit", "-m", f"tatami: {path}")["commit"])


def line_of(space: Path) -> str:
    """Where the hub says the line of the agent is."""
    agents: list[dict[str, Any]] = tatami_json(space, "status")["agents"]
    return str(next(agent["head"] for agent in agents if agent["name"] == space.name))


def noticed(space: Path, commit: str) -> bool:
    """Whether the hub sees by itself that the agent's line is at a commit."""
    give_up = time.monotonic() + NOTICE_SECONDS_MAX
    while line_of(space) != commit:
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def test_a_branch_of_its_own_is_the_line(space: Path) -> None:
    """`git switch -c` does not lead an agent out of Tatami: its branch moves with its commits."""
    git(space, "switch", "--quiet", "-c", f"feature-{space.name}")
    by_git = git_commit(space, "one.txt", "one\n")
    by_tatami = tatami_commit(space, "two.txt", "two\n")
    assert git(space, "rev-parse", "HEAD~1", f"feature-{space.name}").split() == [by_git, by_tatami]
    assert git(space, "symbolic-ref", "--short", "HEAD") == f"feature-{space.name}"
    assert git(space, "rev-parse", f"agent/{space.name}") == by_tatami
    assert git(space, "status", "--porcelain") == ""


def test_the_agents_branch_follows_a_branch_of_its_own(space: Path) -> None:
    """Without another command: git goes on from it as soon as the hub has seen the commit."""
    git_commit(space, "one.txt", "one\n")
    git(space, "switch", "--quiet", "-c", "side", "HEAD~1")
    git_commit(space, "two.txt", "two\n")
    git(space, "merge", "--quiet", "--no-edit", f"agent/{space.name}")
    merged = git(space, "rev-parse", "HEAD")
    assert noticed(space, merged)
    assert git(space, "rev-parse", f"agent/{space.name}") == merged
    git(space, "switch", "--quiet", f"agent/{space.name}")
    tatami_commit(space, "three.txt", "three\n")


def test_a_detached_head_is_the_line(space: Path) -> None:
    """Commits on a detached HEAD are kept on the agent's line, and HEAD stays detached."""
    git(space, "switch", "--quiet", "--detach")
    git_commit(space, "one.txt", "one\n")
    by_tatami = tatami_commit(space, "two.txt", "two\n")
    assert git(space, "rev-parse", "HEAD", f"agent/{space.name}").split() == [by_tatami] * 2
    assert run(space, "git", "symbolic-ref", "-q", "HEAD", check=False).returncode == 1
    assert git(space, "status", "--porcelain") == ""


def test_the_hub_notices_a_git_commit_by_itself(space: Path) -> None:
    """No verb has to come by for a plain `git commit` to be in the operation log."""
    commit = git_commit(space, "one.txt", "one\n")
    assert noticed(space, commit)


def test_amend_and_reset_on_its_own_branch_are_followed(space: Path) -> None:
    """What git rewrote on the branch an agent works on is its line now."""
    git(space, "switch", "--quiet", "-c", f"feature-{space.name}")
    git_commit(space, "one.txt", "one\n")
    first = tatami_commit(space, "two.txt", "two\n")
    git(space, "commit", "--quiet", "--amend", "-m", "amended")
    amended = git(space, "rev-parse", "HEAD")
    assert noticed(space, amended)
    assert amended != first
    git(space, "reset", "--quiet", "--hard", "HEAD~1")
    assert noticed(space, git(space, "rev-parse", "HEAD"))


def test_looking_at_an_old_commit_gives_nothing_up(space: Path, refused: Refused) -> None:
    """A detached HEAD in the past is not the line, and no commit is made there by mistake."""
    tatami_commit(space, "one.txt", "one\n")
    tip = tatami_commit(space, "two.txt", "two\n")
    git(space, "checkout", "--quiet", "HEAD~1")
    write(space, "three.txt", "three\n")
    for _ in range(2):
        assert refused(space, "commit", "-m", "m") == (2, "not_on_line")
    assert line_of(space) == tip
    git(space, "switch", "--quiet", f"agent/{space.name}")
    tatami_json(space, "commit", "-m", "three")
    assert git(space, "log", "--format=%s", "main..").splitlines() == [
        "three",
        "tatami: two.txt",
        "tatami: one.txt",
    ]


def test_what_git_commits_off_the_line_is_kept(swarm: Swarm, space: Path) -> None:
    """Commits made on an older one are known to the operation log, while the line stays."""
    tatami_commit(space, "one.txt", "one\n")
    tip = tatami_commit(space, "two.txt", "two\n")
    git(space, "checkout", "--quiet", "HEAD~1")
    aside = git_commit(space, "aside.txt", "aside\n")
    tatami_json(space, "status")
    time.sleep(1.2)
    assert line_of(space) == tip
    git(space, "switch", "--quiet", f"agent/{space.name}")
    git(space, "reflog", "expire", "--expire=now", "--all")
    git(space, "gc", "--quiet", "--prune=now")
    assert git(space, "cat-file", "-t", aside) == "commit"
    assert swarm.status()["trunk"]["name"] == "main"


def test_the_trunk_is_nobodys_line(shared: Path, space: Path, refused: Refused) -> None:
    """An agent that checked out the trunk cannot go round the landing queue with a commit."""
    git(shared, "switch", "--quiet", "-c", f"elsewhere-{space.name}")
    try:
        git(space, "switch", "--quiet", "main")
        before = git(space, "rev-parse", "main")
        write(space, "one.txt", "one\n")
        assert refused(space, "commit", "-m", "m") == (2, "not_on_line")
        assert git(space, "rev-parse", "main") == before
        git(space, "switch", "--quiet", f"agent/{space.name}")
    finally:
        git(shared, "switch", "--quiet", "main")


def test_a_new_branch_on_a_newer_trunk_is_followed(shared: Path, space: Path) -> None:
    """Nothing is left behind where all of the line has landed, so the line starts anew there."""
    tatami_commit(space, f"{space.name}.txt", "one\n")
    tatami_json(space, "land", space.name, "--wait")
    write(shared, f"user-{space.name}.txt", "user\n")
    git(shared, "add", "--all")
    git(shared, "commit", "--quiet", "-m", "user")
    git(space, "switch", "--quiet", "-c", f"next-{space.name}", "main")
    made = tatami_commit(space, f"{space.name}-next.txt", "next\n")
    assert git(space, "rev-parse", f"agent/{space.name}", "HEAD").split() == [made, made]


def test_a_rebase_under_way_is_not_imported(space: Path, refused: Refused) -> None:
    """The line is where the rebase began until git has finished it; then it is the result."""
    tatami_commit(space, "one.txt", "one\n")
    tip = tatami_commit(space, "history.txt", "mine\n")
    run(space, "git", "-c", "sequence.editor=sed -i 1s/pick/edit/", "rebase", "-i", "HEAD~2")
    time.sleep(1.2)
    assert line_of(space) == tip
    assert refused(space, "commit", "-m", "m") == (2, "operation_in_progress")
    git(space, "commit", "--quiet", "--amend", "-m", "edited")
    git(space, "rebase", "--continue")
    assert noticed(space, git(space, "rev-parse", "HEAD"))
    assert git(space, "log", "--format=%s", "main..").splitlines() == [
        "tatami: history.txt",
        "edited",
    ]


def test_a_merge_is_part_of_the_line(shared: Path, space: Path) -> None:
    """Merging the trunk into the line with git is imported as it is."""
    tatami_commit(space, "one.txt", "one\n")
    write(shared, f"user-{space.name}.txt", "user\n")
    git(shared, "add", "--all")
    git(shared, "commit", "--quiet", "-m", "user")
    git(space, "merge", "--quiet", "-m", "merged", "main")
    assert noticed(space, git(space, "rev-parse", "HEAD"))
    made = tatami_commit(space, "two.txt", "two\n")
    assert git(space, "log", "--format=%s", "-2", made).splitlines() == [
        "tatami: two.txt",
        "merged",
    ]


def test_a_stash_is_left_alone(space: Path) -> None:
    """A stash moves nothing; what it put away comes back."""
    tip = tatami_commit(space, "one.txt", "one\n")
    write(space, "one.txt", "edited\n")
    git(space, "stash", "--quiet")
    tatami_commit(space, "two.txt", "two\n")
    git(space, "stash", "pop", "--quiet")
    assert git(space, "status", "--porcelain") == " M one.txt"
    assert git(space, "rev-parse", "HEAD~1") == tip


def test_a_push_to_the_trunk_goes_through_the_queue(shared: Path, space: Path) -> None:
    """`git push . HEAD:main` lands the line: the user's checkout follows, the queue knows it."""
    made = tatami_commit(space, f"{space.name}.txt", "one\n")
    git(space, "merge", "--quiet", "--no-edit", "main")
    git(space, "push", "--quiet", ".", "HEAD:main")
    entries = tatami_json(shared, "queue", "--all")
    assert [e["state"] for e in entries if made in e["commits"]] == ["landed"]
    assert (shared / f"{space.name}.txt").exists()
    assert git(shared, "status", "--porcelain") == ""


def test_a_push_of_what_is_nobodys_line_is_gits(shared: Path, space: Path) -> None:
    """git itself answers such a push, and refuses it as it would without Tatami."""
    tip = tatami_commit(space, f"{space.name}.txt", "one\n")
    before = git(shared, "rev-parse", "main")
    tatami_commit(space, f"{space.name}-2.txt", "two\n")
    done = run(space, "git", "push", ".", f"{tip}:refs/heads/main", check=False)
    assert done.returncode == 1
    assert git(shared, "rev-parse", "main") == before
