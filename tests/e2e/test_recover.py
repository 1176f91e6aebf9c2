"""`workspace recover`: whatever was saved or committed is found again and brought back."""

from pathlib import Path
from typing import Any

import pytest

import tatami
from tatami.workspaces import recovery
from tests import sandbox
from tests.e2e.conftest import Refused
from tests.sandbox import git, tatami_json


def found(root: Path, agent: str, *options: str) -> list[dict[str, Any]]:
    """What `workspace recover --json` lists of an agent."""
    rows: list[dict[str, Any]] = tatami_json(
        root, "workspace", "recover", "--agent", agent, *options
    )
    return rows


def amended(swarm: tatami.Swarm, name: str) -> str:
    """The commit that an amend of this agent's took away; it added `precious line`."""
    agent = swarm.known_agent(name)
    (Path(agent.path) / "new.txt").write_text("precious line\n")
    old = agent.commit("First try").id
    (Path(agent.path) / "new.txt").write_text("something else\n")
    agent.commit("Second try", amend=True)
    return old


def test_nothing_is_lost_at_first(space: Path, name: str, shared: Path) -> None:
    """What a branch reaches is not listed, unless all is asked for."""
    (space / "new.txt").write_text("new\n")
    commit = tatami_json(space, "commit", "-m", "one")["commit"]
    assert found(shared, name) == []
    assert [(row["id"], row["source"]) for row in found(shared, name, "--all")] == [
        (commit, "line")
    ]


def test_what_was_amended_away_is_listed(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """With agent, time, what became of it, its files and the first lines that it added."""
    old = amended(swarm, name)
    row = found(shared, name)[0]
    assert (row["id"], row["agent"], row["reason"]) == (old, name, "amended away")
    assert (row["files"], row["file_count"], row["lines"]) == (["new.txt"], 1, ["precious line"])
    assert row["time"] == git(shared, "log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ",
                              "--format=%cd", old)  # fmt: skip
    assert row["message"] == "First try\n"


def test_what_was_reset_away_is_listed_whole(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """Every commit of the line that was left, the newest first."""
    agent = swarm.known_agent(name)
    commits = []
    for number in range(3):
        (space / "new.txt").write_text(f"{number}\n")
        commits.append(agent.commit(f"commit {number}").id)
    agent.reset("main")
    rows = found(shared, name)
    assert {row["id"] for row in rows} == set(commits)
    assert {row["reason"] for row in rows} == {"reset away"}


def test_what_plain_git_dropped_is_listed(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """Whether the hub saw it or only the reflog did."""
    commit = sandbox.commit_file(space, "new.txt", b"by git\n")
    git(space, "reset", "--hard", "--quiet", "HEAD~1")
    swarm.known_agent(name).visible()
    assert [(row["id"], row["agent"]) for row in found(shared, name)] == [(commit, name)]


@pytest.mark.parametrize("text", ["PRECIOUS", "first try", "new.t"])
def test_search_finds_text_in_lines_messages_and_paths(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path, text: str
) -> None:
    """In any case; what has it nowhere is not listed."""
    old = amended(swarm, name)
    assert [row["id"] for row in found(shared, name, "--search", text)] == [old]
    assert found(shared, name, "--search", "nowhere at all") == []


def test_search_finds_what_was_only_staged(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """The recovery commit is listed; what was staged is its second commit."""
    (space / "new.txt").write_text("staged words\n")
    git(space, "add", "new.txt")
    (space / "new.txt").write_text("other words\n")
    workspace = swarm.known_agent(name).workspace
    assert workspace
    recovery.save(workspace, "before a test")
    row = found(shared, name, "--search", "staged words")[0]
    assert (row["source"], row["reason"]) == ("saved", "saved before a test")
    assert git(shared, "show", f"{row['staged']}:new.txt") == "staged words"


def test_it_comes_back_as_a_new_agent(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """With a workspace that holds it; the first agent's is not touched."""
    old = amended(swarm, name)
    back = tatami_json(shared, "workspace", "recover", old[:10], "--to", f"{name}-back")
    assert (back["agent"], back["commit"]) == (f"{name}-back", old)
    assert (Path(back["path"]) / "new.txt").read_text() == "precious line\n"
    assert (space / "new.txt").read_text() == "something else\n"
    assert found(shared, name) == []


def test_without_a_name_it_gets_one(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """After the agent whose it was; a second one gets another."""
    old = amended(swarm, name)
    names = [tatami_json(shared, "workspace", "recover", old)["agent"] for _ in range(2)]
    assert names == [f"{name}-recovered", f"{name}-recovered-2"]


def test_it_comes_back_as_a_branch(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path, refused: Refused
) -> None:
    """A name that is taken, or would be an agent's line, is refused."""
    old = amended(swarm, name)
    tatami_json(shared, "workspace", "recover", old, "--branch", f"kept/{name}")
    assert git(shared, "rev-parse", f"kept/{name}") == old
    again = ("workspace", "recover", old, "--branch")
    assert refused(shared, *again, f"kept/{name}") == (64, "branch_exists")
    assert refused(shared, *again, "agent/new") == (64, "bad_branch")
    assert refused(shared, *again, "a..b") == (64, "bad_branch")


def test_a_recovery_commit_comes_back_as_one_commit(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """What was staged is no part of the history that is made of it."""
    (space / "new.txt").write_text("staged\n")
    git(space, "add", "new.txt")
    (space / "new.txt").write_text("edited\n")
    workspace = swarm.known_agent(name).workspace
    assert workspace
    ref = recovery.save(workspace, "before a test")
    assert ref
    back = tatami_json(shared, "workspace", "recover", ref, "--branch", f"kept/{name}")
    assert git(shared, "log", "--format=%P", "-1", back["commit"]) == git(
        shared, "rev-parse", "main"
    )
    assert git(shared, "show", f"kept/{name}:new.txt") == "edited"
    assert git(shared, "show", f"{back['staged']}:new.txt") == "staged"


def test_it_comes_back_as_edits(swarm: tatami.Swarm, space: Path, name: str, shared: Path) -> None:
    """Beside other edits of the workspace, which stay; nothing is staged or committed."""
    (space / "new.txt").write_text("precious line\n")
    agent = swarm.known_agent(name)
    old = agent.commit("one").id
    agent.reset("main")
    (space / "other.txt").write_text("other\n")
    done = tatami_json(shared, "workspace", "recover", old, "--into")
    assert (done["path"], done["files"]) == (str(space), ["new.txt"])
    assert git(space, "status", "--porcelain").splitlines() == ["?? new.txt", "?? other.txt"]
    assert (space / "new.txt").read_text() == "precious line\n"


def test_edits_are_not_overwritten(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path, refused: Refused
) -> None:
    """Where one is in the way, even an ignored one, nothing at all is brought back."""
    (space / "a.txt").write_text("lost\n")
    (space / "b.txt").write_text("lost\n")
    agent = swarm.known_agent(name)
    old = agent.commit("two files").id
    agent.reset("main")
    (space / ".gitignore").write_text("b.txt\n")
    (space / "b.txt").write_text("mine\n")
    again = ("workspace", "recover", old, "--into")
    assert refused(shared, *again) == (2, "would_overwrite")
    assert (space / "b.txt").read_text() == "mine\n"
    assert not (space / "a.txt").exists()
    assert [row for row in found(shared, name) if row["source"] == "saved"] == []


def test_removed_workspaces_are_searched_too(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """Of a retired agent whose amended commit nobody has any more."""
    old = amended(swarm, name)
    swarm.known_agent(name).land().result()
    tatami_json(shared, "workspace", "remove", name)
    assert name not in [row["name"] for row in tatami_json(shared, "status")["agents"]]
    assert [row["id"] for row in found(shared, name)] == [old]


def test_what_landed_as_a_copy_is_not_lost(swarm: tatami.Swarm, shared: Path, name: str) -> None:
    """Its original and the copy are listed with everything, and marked."""
    agents = swarm.agents([name, f"{name}-b"], workspace=False)
    ids = [agent.commit("x", {f"{agent.name}.txt": b"x\n"}).id for agent in agents]
    for agent in agents:
        landing = agent.land().result()
        assert landing.state == "landed"
        swarm.retire(agent.name)
    assert found(shared, f"{name}-b") == []
    rows = found(shared, f"{name}-b", "--all")
    assert {(row["id"], row["landed"]) for row in rows} == {
        (ids[1], True),
        (*landing.commits, True),
    }


def test_bad_questions(shared: Path, refused: Refused) -> None:
    """An id that names nothing, two ways at once, a way without an id, a bad name."""
    verb = ("workspace", "recover")
    assert refused(shared, *verb, "feedfeed") == (64, "not_found")
    assert refused(shared, *verb, "--into") == (64, "usage")
    assert refused(shared, *verb, "main", "--into", "--branch", "b") == (64, "usage")
    assert refused(shared, *verb, "main", "--to", "a/b") == (64, "bad_agent_name")
    assert refused(shared, *verb, "--agent", "a b") == (64, "bad_agent_name")


def test_names_and_lines_of_the_repository_are_escaped(
    swarm: tatami.Swarm, space: Path, name: str, shared: Path
) -> None:
    """A terminal is never told anything by what an agent wrote."""
    agent = swarm.known_agent(name)
    agent.commit("\x1b[31mred", {"a.txt": b"\x1b]0;title\x07 text\n"})
    agent.reset("main")
    done = sandbox.tatami(shared, "workspace", "recover", "--agent", name)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\\x1b[31mred" in done.stdout
