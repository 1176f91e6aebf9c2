"""A colocated jj repository that becomes a Tatami one: the user goes on with jj, git and agents."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tatami
from tatami.store.initialise import NOWHERE, fresh_log
from tatami.store.locate import find, write_marker
from tests import sandbox
from tests.compat.conftest import Used
from tests.conftest import stop_hubs

Jj = Callable[..., str]


@pytest.fixture
def colocated(repository: Path, stock_jj: Jj) -> Path:
    """The user's repository with a jj working copy of its own on top of the trunk."""
    stock_jj(repository, "git", "init", "--colocate")
    (repository / "wip.txt").write_bytes(b"user's work\n")
    stock_jj(repository, "describe", "-m", "user's change")
    return repository


@pytest.fixture
def adopted(colocated: Path) -> Iterator[Used]:
    """That repository, initialised, with a running hub."""
    with tatami.Swarm.open(str(colocated), init=True) as swarm:
        yield Used(colocated, swarm)
    stop_hubs(colocated)


def listed(jj: Jj, root: Path, revset: str) -> list[str]:
    """First lines of the descriptions jj finds, sorted."""
    found = jj(root, "log", "-r", revset, "--no-graph", "-T", 'description.first_line() ++ "\\n"')
    return sorted(line for line in found.splitlines() if line)


def test_the_users_jj_repository_is_the_one_that_is_used(adopted: Used) -> None:
    """There is one operation log, in the user's `.jj`."""
    assert adopted.jj_root == adopted.root
    assert not (adopted.root / ".git" / "tatami" / "jj").exists()


def test_init_changes_nothing_of_the_users(colocated: Path, stock_jj: Jj) -> None:
    """Working copy, bookmarks and files are what they were."""
    words = ("log", "-r", "all()", "--no-graph", "-T", 'commit_id ++ bookmarks ++ "\\n"')
    before = stock_jj(colocated, *words)
    sandbox.tatami_json(colocated, "init")
    assert stock_jj(colocated, *words) == before
    assert (colocated / "wip.txt").read_bytes() == b"user's work\n"


def test_agents_commits_and_the_users_stand_side_by_side(adopted: Used, stock_jj: Jj) -> None:
    """jj shows agents' lines; the user's working copy stays on its change."""
    adopted.commit("coder-1", "a.txt")
    stock_jj(adopted.root, "new", "-m", "user's next")
    adopted.commit("coder-1", "b.txt")
    stock_jj(adopted.root, "st")
    expected = ["coder-1: a.txt", "coder-1: b.txt"]
    assert listed(stock_jj, adopted.root, "main..agent/coder-1") == expected
    assert listed(stock_jj, adopted.root, "main..@") == ["user's change", "user's next"]
    assert listed(stock_jj, adopted.root, "divergent()") == []
    assert adopted.git("rev-parse", "agent/coder-1") == adopted.acked[-1]
    assert adopted.problems() == []


def test_a_landing_moves_the_trunk_for_jj_too(adopted: Used, stock_jj: Jj) -> None:
    """git's branch and jj's bookmark agree; the user's change is not moved."""
    adopted.commit("coder-1", "a.txt")
    assert adopted.land("coder-1").state == "landed"
    stock_jj(adopted.root, "st")
    assert adopted.git("rev-parse", "main") == adopted.acked[-1]
    bookmarks = stock_jj(
        adopted.root, "bookmark", "list", "main", "-T", "normal_target.commit_id()"
    )
    assert bookmarks == adopted.acked[-1]
    assert (adopted.root / "wip.txt").read_bytes() == b"user's work\n"
    assert adopted.problems() == []


def test_a_change_the_user_puts_on_the_trunk_with_jj_is_kept(adopted: Used, stock_jj: Jj) -> None:
    """`jj bookmark move main` between landings: both are on the trunk."""
    adopted.commit("coder-1", "a.txt")
    adopted.land("coder-1")
    stock_jj(adopted.root, "new", "main", "-m", "user's landing")
    (adopted.root / "user.txt").write_bytes(b"user\n")
    stock_jj(adopted.root, "bookmark", "move", "main", "--to", "@")
    stock_jj(adopted.root, "new")
    adopted.commit("coder-2", "b.txt")
    assert adopted.land("coder-2").state == "landed"
    stock_jj(adopted.root, "st")
    subjects = adopted.git("log", "--reverse", "--format=%s", "main").splitlines()[3:]
    assert subjects == ["coder-1: a.txt", "user's landing", "coder-2: b.txt"]
    assert listed(stock_jj, adopted.root, "divergent()") == []
    assert adopted.problems() == []


def test_both_sides_at_once(adopted: Used, stock_jj: Jj) -> None:
    """Under load nobody's work is lost and the log ends with one head."""
    with adopted.load("coder-1", "coder-2"):
        for number in range(4):
            (adopted.root / f"user-{number}.txt").write_bytes(b"user\n")
            stock_jj(adopted.root, "commit", "-m", f"user's {number}")
    adopted.commit("coder-1", "last.txt")
    stock_jj(adopted.root, "st")
    adopted.commit("coder-1", "very-last.txt")
    found = listed(stock_jj, adopted.root, "main..@")
    assert found == ["user's 0", "user's 1", "user's 2", "user's 3"]
    assert listed(stock_jj, adopted.root, "divergent()") == []
    assert len(list((adopted.root / ".jj/repo/op_heads/heads").iterdir())) == 1
    assert adopted.problems() == []


@pytest.mark.parametrize("running", [True, False], ids=["hub runs", "hub stopped"])
def test_a_clean_that_takes_the_users_jj_loses_no_commit(adopted: Used, running: bool) -> None:
    """`git clean -ffdx` deletes the adopted log: that is said, and `tatami init` begins a new one.

    Every acknowledged commit is on its agent's line again; what was queued still is.
    """
    adopted.commit("coder-1", "a.txt")
    adopted.swarm.queue_action("pause")
    (entry,) = adopted.agents["coder-1"].land().entries
    if not running:
        sandbox.tatami_json(adopted.root, "stop")
    adopted.git("clean", "-ffdx", "--quiet")
    done = sandbox.tatami(adopted.root, "status", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["code"], document["fix"]) == (1, "log_gone", "tatami init")
    sandbox.tatami_json(adopted.root, "init")
    lines = {
        row["name"]: row["head"] for row in sandbox.tatami_json(adopted.root, "status")["agents"]
    }
    assert lines == {"coder-1": adopted.acked[-1]}
    adopted.commit("coder-1", "b.txt")
    adopted.swarm.queue_action("resume")
    assert adopted.swarm.finished([entry])[0]["state"] == "landed"
    assert adopted.land("coder-1").state == "landed"
    assert adopted.problems() == []


def test_a_new_log_is_out_of_the_reach_of_a_clean(adopted: Used) -> None:
    """What `tatami init` makes then lies in the git directory."""
    adopted.commit("coder-1", "a.txt")
    adopted.git("clean", "-ffdx", "--quiet")
    sandbox.tatami_json(adopted.root, "init")
    adopted.git("clean", "-ffdx", "--quiet")
    adopted.commit("coder-1", "b.txt")
    assert adopted.problems() == []


def test_a_client_that_was_there_hears_that_the_log_is_gone(adopted: Used) -> None:
    """An open connection's next request says what happened, not that a file is missing."""
    adopted.commit("coder-1", "a.txt")
    adopted.git("clean", "-ffdx", "--quiet")
    with pytest.raises(tatami.TatamiError) as refused:
        adopted.commit("coder-1", "b.txt")
    assert (refused.value.code, refused.value.fix) == ("log_gone", "tatami init")


def test_a_rebuild_that_was_interrupted_is_done_again(adopted: Used) -> None:
    """A crash before the new log was whole leaves a repository that says so, not an empty one."""
    adopted.commit("coder-1", "a.txt")
    sandbox.tatami_json(adopted.root, "stop")
    adopted.git("clean", "-ffdx", "--quiet")
    place = find(str(adopted.root))
    write_marker(place, {"format": 1, "trunk": "main", "jj": NOWHERE})
    fresh_log(place, "main", adopted.git("rev-parse", "main")).close()
    with pytest.raises(tatami.TatamiError) as refused:
        tatami.Swarm.open(adopted.root)
    assert refused.value.code == "log_gone"
    sandbox.tatami_json(adopted.root, "init")
    adopted.commit("coder-1", "b.txt")
    assert adopted.problems() == []
