"""The loss drill: the ten most reported ways of losing work, each staged, each recovered.

Every test loses something the way people do, with real git and real files, and brings it back with
a Tatami command, which its docstring names.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tatami
from tests import sandbox
from tests.e2e.conftest import Refused
from tests.sandbox import git, run, tatami_json

COMMITTER = """
import sys, time
from pathlib import Path
from tatami.store.locate import find
from tatami import Swarm
root, name, who = sys.argv[1:]
with Swarm.open(root) as swarm:
    agent = swarm.known_agent(name)
    for number in range(8):
        Path(agent.path, f"{who}-{number}.txt").write_text(who)
        for _ in range(200):
            try:
                agent.commit(f"{who} {number}", paths=[f"{who}-{number}.txt"])
                break
            except Exception as error:
                if not getattr(error, "retryable", False) and error.code != "stale_head":
                    raise
                time.sleep(0.01)
        else:
            raise SystemExit("never got its turn")
"""


@pytest.fixture
def agent(tatami_repository: Path) -> Iterator[tatami.Agent]:
    """An agent with a workspace in a repository of its own."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        yield swarm.agent("coder-1")


@pytest.fixture
def root(tatami_repository: Path) -> Path:
    """The person's checkout."""
    return tatami_repository


def recovered(root: Path, text: str) -> Path:
    """Finds lost work by a text in it, brings it back as a new agent's; returns the workspace."""
    rows: list[dict[str, Any]] = tatami_json(root, "workspace", "recover", "--search", text)
    back = tatami_json(root, "workspace", "recover", rows[0]["id"], "--to", "rescued")
    return Path(back["path"])


def made_again(root: Path) -> Path:
    """Makes the workspace of the agent again; returns its path."""
    (row,) = tatami_json(root, "workspace", "add", "coder-1")
    return Path(row["path"])


def test_a_workspace_with_unsaved_edits_is_removed(agent: tatami.Agent, root: Path) -> None:
    """Recovered by `workspace add`: the edits were committed to its line first."""
    Path(agent.path, "history.txt").write_text("precious edit\n")
    tatami_json(root, "workspace", "remove", "coder-1")
    assert not Path(agent.path).exists()
    assert (made_again(root) / "history.txt").read_text() == "precious edit\n"


def test_a_workspace_with_only_untracked_files_is_removed(
    agent: tatami.Agent, root: Path, refused: Refused
) -> None:
    """Recovered by `workspace recover`: forced, since no commit of ours takes such a name."""
    Path(agent.path, "new\nname.txt").write_text("precious file\n")
    remove = ("workspace", "remove", "coder-1")
    assert refused(root, *remove) == (2, "unsaved")
    (removed,) = tatami_json(root, *remove, "--force")
    assert removed["recovery"].startswith("refs/tatami/recovery/coder-1/")
    git(root, "gc", "--prune=now", "--quiet")
    (row,) = tatami_json(root, "workspace", "recover", "--search", "precious file")
    tatami_json(root, "workspace", "recover", row["id"], "--branch", "rescued")
    assert git(root, "show", "rescued:new\nname.txt") == "precious file"


def test_a_workspace_with_unlanded_commits_is_removed(agent: tatami.Agent, root: Path) -> None:
    """Recovered by `workspace add`: the agent's line stays until all of it has landed."""
    commit = agent.commit("precious commit", {"a.txt": b"precious\n"}).id
    (removed,) = tatami_json(root, "workspace", "remove", "coder-1")
    assert (removed["retired"], git(root, "rev-parse", "agent/coder-1")) == (False, commit)
    assert git(made_again(root), "rev-parse", "HEAD") == commit


def test_a_failed_merge_is_followed_by_clean_up(agent: tatami.Agent, root: Path) -> None:
    """Recovered by `workspace add`: a landing that conflicts is handed back, and nothing is gone.

    Elsewhere the clean-up after a failed merge deleted the only copy.
    """
    with tatami.Swarm.open(root) as swarm:
        other = swarm.agent("coder-2", workspace=False)
        other.commit("theirs", {"history.txt": b"theirs\n"})
        other.land().result()
    commit = agent.commit("precious", {"history.txt": b"precious\n"}).id
    assert sandbox.tatami(agent.path, "land").returncode == 2
    tatami_json(root, "workspace", "remove", "coder-1")
    space = made_again(root)
    assert git(space, "rev-parse", "HEAD") == commit
    assert (space / "history.txt").read_text() == "precious\n"


def test_garbage_is_collected_after_an_amend(agent: tatami.Agent, root: Path) -> None:
    """Recovered by `workspace recover`: the operation log keeps what was amended away."""
    agent.commit("first", {"a.txt": b"precious first version\n"})
    agent.commit("second", {"a.txt": b"another\n"}, amend=True)
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "--prune=now", "--quiet")
    assert (recovered(root, "precious first") / "a.txt").read_text() == "precious first version\n"


def test_the_repository_is_cleaned(agent: tatami.Agent, root: Path) -> None:
    """Recovered by `workspace remove` (staged), `recover` and `workspace add` (commits).

    `git clean -ffdx` deletes every workspace below the repository; state and index lie elsewhere.
    """
    agent.commit("one", {"committed.txt": b"committed\n"})
    Path(agent.path, "staged.txt").write_text("precious staged\n")
    git(agent.path, "add", "staged.txt")
    git(root, "clean", "-ffdx", "--quiet")
    assert not Path(agent.path).exists()
    (removed,) = tatami_json(root, "workspace", "remove", "coder-1")
    assert removed["recovery"]
    assert (recovered(root, "precious staged") / "staged.txt").read_text() == "precious staged\n"
    assert (made_again(root) / "committed.txt").read_text() == "committed\n"


def test_a_workspace_is_deleted_and_pruned(agent: tatami.Agent, root: Path) -> None:
    """Recovered the same way: the lock keeps `git worktree prune` from taking the index.

    The list says that the workspace is gone, and `recover` what to do.
    """
    agent.commit("one", {"committed.txt": b"committed\n"})
    Path(agent.path, "staged.txt").write_text("precious staged\n")
    git(agent.path, "add", "staged.txt")
    shutil.rmtree(agent.path)
    git(root, "worktree", "prune", "--expire=now")
    git(root, "gc", "--prune=now", "--quiet")
    assert [row["state"] for row in tatami_json(root, "workspace", "list")] == ["missing"]
    assert "tatami workspace remove coder-1" in sandbox.tatami(root, "ws", "recover").stderr
    tatami_json(root, "workspace", "remove", "coder-1")
    assert (recovered(root, "precious staged") / "staged.txt").read_text() == "precious staged\n"
    assert (made_again(root) / "committed.txt").read_text() == "committed\n"


def test_everything_is_stashed_in_the_main_checkout(agent: tatami.Agent, root: Path) -> None:
    """Nothing to recover: `git stash --all` takes neither workspaces nor state; `recover` works."""
    Path(agent.path, "a.txt").write_text("unsaved\n")
    agent.commit("one", {"b.txt": b"precious first\n"})
    agent.commit("two", {"b.txt": b"other\n"}, amend=True)
    (root / "mine.txt").write_text("the person's\n")
    run(root, "git", "stash", "push", "--all", "--quiet")
    assert Path(agent.path, "a.txt").read_text() == "unsaved\n"
    tatami_json(agent.path, "commit", "-m", "three")
    assert (recovered(root, "precious first") / "b.txt").read_text() == "precious first\n"
    git(root, "stash", "pop", "--quiet")
    assert (root / "mine.txt").read_text() == "the person's\n"


def test_an_agents_branch_is_deleted(agent: tatami.Agent, root: Path) -> None:
    """Recovered by `workspace add`: the operation log has the line, and makes its branch again."""
    commit = agent.commit("precious", {"a.txt": b"precious\n"}).id
    tatami_json(root, "workspace", "remove", "coder-1")
    git(root, "branch", "-D", "agent/coder-1")
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "--prune=now", "--quiet")
    (row,) = tatami_json(root, "workspace", "recover", "--search", "precious")
    assert (row["id"], row["reason"]) == (commit, "its branch was deleted")
    assert git(made_again(root), "rev-parse", "HEAD") == commit
    assert git(root, "rev-parse", "agent/coder-1") == commit


def test_two_processes_work_in_one_workspace(agent: tatami.Agent, root: Path) -> None:
    """Nothing to recover: each commit is whole and on top of the other's; `tatami log` has all."""
    words = [sys.executable, "-P", "-c", COMMITTER, str(root), "coder-1"]
    workers = [subprocess.Popen([*words, who], stderr=subprocess.PIPE) for who in ("a", "b")]
    said = [worker.communicate(timeout=100)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    expected = {f"{who} {number}" for who in "ab" for number in range(8)}
    subjects = git(root, "log", "--format=%s", "main..agent/coder-1").splitlines()
    assert (set(subjects), len(subjects)) == (expected, len(expected))
    files = git(root, "ls-tree", "--name-only", "agent/coder-1").splitlines()
    assert {f"{who}-{number}.txt" for who in "ab" for number in range(8)} <= set(files)


def test_a_hard_reset_drops_commits(agent: tatami.Agent, root: Path) -> None:
    """Recovered by `workspace recover`: of Tatami's commits and of plain git's."""
    agent.commit("ours", {"a.txt": b"precious of ours\n"})
    sandbox.commit_file(Path(agent.path), "b.txt", b"precious of git\n")
    git(agent.path, "reset", "--hard", "--quiet", "HEAD~2")
    with tatami.Swarm.open(root) as swarm:
        swarm.known_agent("coder-1").visible()
    space = recovered(root, "precious of git")
    assert [(space / name).read_text() for name in ("a.txt", "b.txt")] == [
        "precious of ours\n",
        "precious of git\n",
    ]
