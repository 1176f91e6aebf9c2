"""What power cuts have left once, staged: each of these was found on a real file system."""

from pathlib import Path

import tatami
from tests import sandbox
from tests.crash import verdict


def stopped(root: Path) -> list[str]:
    """Three commits of an agent without a workspace, and no hub; the commits' ids."""
    with tatami.Swarm.open(root) as swarm:
        agent = swarm.agent("coder-1", workspace=False)
        made = [agent.commit(f"{n}", {"a.txt": b"%d" % n}).id for n in range(3)]
        agent.visible()
        swarm.stop()
    sandbox.tatami(root, "stop")
    return made


def test_a_torn_reflog_does_not_take_the_line_back(tatami_repository: Path) -> None:
    """The branch is behind and its reflog ends in zeros: that is no word of git's.

    The hub once read it as one, and reset the line to where the branch was: commits that had been
    acknowledged were on no line any more.
    """
    made = stopped(tatami_repository)
    (tatami_repository / ".git/refs/heads/agent/coder-1").write_text(f"{made[0]}\n")
    log = tatami_repository / ".git/logs/refs/heads/agent/coder-1"
    log.write_bytes(log.read_bytes()[:150] + bytes(200))
    with tatami.Swarm.open(tatami_repository) as swarm:
        agent = swarm.known_agent("coder-1")
        made.append(agent.commit("goes on", {"b.txt": b"b\n"}).visible().id)
    line = sandbox.git(tatami_repository, "rev-list", "--reverse", "main..agent/coder-1").split()
    assert line == made


def test_a_line_behind_zeros_in_the_reflog_is_read(tatami_repository: Path) -> None:
    """What was appended after a cut stands behind the zeros, without a newline in between."""
    made = stopped(tatami_repository)
    sandbox.git(tatami_repository, "update-ref", "refs/heads/agent/coder-1", made[0])
    log = tatami_repository / ".git/logs/refs/heads/agent/coder-1"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]) + bytes(40) + lines[-1])
    with tatami.Swarm.open(tatami_repository) as swarm:
        last = swarm.known_agent("coder-1").commit("on top", {"b.txt": b"b\n"}).visible().id
    line = sandbox.git(tatami_repository, "rev-list", "--reverse", "main..agent/coder-1").split()
    assert line == [made[0], last]


def test_a_workspace_without_its_reflog_goes_on(tatami_repository: Path) -> None:
    """HEAD's reflog is git's, and may be lost; a commit failed for want of it once."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("coder-1", kind="checkout")
        sandbox.commit_file(Path(agent.path), "a.txt", b"a\n", "by git")
        (Path(agent.path) / "a.txt").write_text("better\n")
        agent.commit("one")
        swarm.command("commit", _bytes_commit())
        (tatami_repository / ".git/worktrees/coder-1/logs/HEAD").unlink()
        (Path(agent.path) / "b.txt").write_text("b\n")
        agent.commit("three")
        found = [row["description"].strip() for row in swarm.log("agent/coder-1", limit=3)]
        swarm.stop()
    assert found == ["three", "two", "one"]
    sandbox.tatami(tatami_repository, "stop")
    assert verdict.problems(tatami_repository, tatami_repository.parent / "acks") == []


def _bytes_commit() -> dict[str, object]:
    changes = [("c.txt", 0o100644, None)]
    return {"agent": "coder-1", "message": "two", "changes": changes, "allow_empty": True}
