"""`log`, `op` and `queue` by hand: what people type, and what they mistype."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tatami
from tests import sandbox
from tests.e2e.conftest import Refused


def test_the_name_of_an_agent_stands_for_its_line(
    shared: Path, swarm: tatami.Swarm, name: str
) -> None:
    """`tatami log AGENT` begins with the agent's last commit."""
    commit = swarm.agent(name, workspace=False).commit("mine", {f"{name}.txt": b"x\n"}).id
    row = sandbox.tatami_json(shared, "log", name, "--limit", "1")
    assert (row["commit"], row["agent"]) == (commit, name)


def test_head_is_the_workspaces(shared: Path, swarm: tatami.Swarm, space: Path) -> None:
    """HEAD, and what is counted from it, mean what git means by them in this directory."""
    first = sandbox.commit_file(space, "one.txt", b"1\n")
    second = sandbox.commit_file(space, "two.txt", b"2\n")
    rows = {
        rev: sandbox.tatami_json(space, "log", rev, "--limit", "1")["commit"]
        for rev in ("HEAD", "@", "HEAD~1", "@^", "HEAD@{1}")
    }
    assert rows == dict.fromkeys(("HEAD", "@"), second) | dict.fromkeys(
        ("HEAD~1", "@^", "HEAD@{1}"), first
    )
    trunk = sandbox.git(shared, "rev-parse", "HEAD")
    assert sandbox.tatami_json(shared, "log", "HEAD", "--limit", "1")["commit"] == trunk
    sandbox.tatami_json(space, "workspace", "add", f"{space.name}-2", "--base", "HEAD~1")
    other = swarm.known_agent(f"{space.name}-2")
    assert sandbox.git(other.path, "rev-parse", "HEAD") == first
    with tatami.Swarm.open(space) as here:
        assert (here.resolve("HEAD"), here.read("HEAD~1", ["two.txt"])) == (second, [None])
        assert [row[0] for row in here.diff("HEAD~1", "HEAD")] == ["two.txt"]
    swarm.known_agent(space.name).reset("HEAD~1")
    assert sandbox.git(space, "rev-parse", "HEAD") == first


@pytest.mark.parametrize("rev", ["HEAD", "ORIG_HEAD", "HEAD~99"])
def test_a_head_that_is_not_there_is_nobody_elses(
    shared: Path, space: Path, refused: Refused, rev: str
) -> None:
    """On a branch without a commit `HEAD` is not the main worktree's."""
    sandbox.git(shared, "update-ref", "ORIG_HEAD", "HEAD")
    sandbox.git(space, "switch", "--quiet", "--orphan", f"{space.name}-orphan")
    assert refused(space, "log", rev) == (64, "not_found")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("log", "nobody"), 64, "not_found"),
        (("log", "agent/nobody"), 64, "not_found"),
        (("log", "--limit", "-1"), 64, "usage"),
        (("op", "log", "--limit", "-1"), 64, "usage"),
        (("op", "show", "zzzz"), 64, "bad_input"),
        (("op", "show", "abcdef0123456789"), 64, "not_found"),
        (("queue", "retry"), 64, "usage"),
        (("queue", "retry", "4711"), 64, "not_found"),
        (("queue", "reject", "4711"), 64, "not_found"),
        (("conflicts", "show", "4711"), 64, "not_found"),
        (("land", "nobody"), 64, "unknown_agent"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_a_clear_refusal(
    shared: Path, refused: Refused, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    """What cannot be is said with exit code 64 and a code of its own."""
    assert refused(shared, *arguments) == (exit_code, code)


@pytest.mark.parametrize("verb", ["queue", "conflicts"])
def test_an_empty_list_says_so_to_people(tatami_repository: Path, verb: str) -> None:
    """Nothing on stdout, which is for data; one line on stderr."""
    done = sandbox.tatami(tatami_repository, verb)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert sandbox.tatami_json(tatami_repository, verb) == []


def test_who_waits_for_a_paused_queue_is_told(tatami_repository: Path) -> None:
    """`tatami land` says what it waits for, and lands once the queue goes on."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        swarm.agent("coder", workspace=False).commit("mine", {"a.txt": b"x\n"})
        swarm.queue_action("pause")
        command = [os.path.join(os.path.dirname(sys.executable), "tatami"), "land", "coder"]
        with subprocess.Popen(
            command, cwd=tatami_repository, stderr=subprocess.PIPE, text=True
        ) as landing:
            assert landing.stderr
            assert "tatami queue resume" in landing.stderr.readline()
            swarm.queue_action("resume")
            assert landing.wait() == 0
