"""What is told of a landing, and how the account is summed up."""

import pytest

from tatami.scenarios.history.deal import FileChange, HistoryCommit, Part
from tatami.scenarios.measure import Json, latencies
from tatami.scenarios.replay.judge import judge
from tatami.scenarios.replay.report import document, passed
from tatami.scenarios.replay.values import Acked, Asked, Audit, Judged, Played

COMMIT = HistoryCommit("c", "p", "t", "message", (FileChange("a", None, None),))
CLEAN = Audit(1, (), (), (), 0, 1, (), ())


@pytest.mark.parametrize(
    ("has_landed", "wrong", "conflicted", "kinds"),
    [
        pytest.param(True, set(), set(), [], id="clean and right"),
        pytest.param(True, {"a"}, set(), ["clean_wrong"], id="clean and wrong"),
        pytest.param(True, set(), {"a"}, ["auto_correct"], id="resolved and right"),
        pytest.param(True, {"a"}, {"a"}, ["auto_wrong"], id="resolved and wrong"),
        pytest.param(False, {"a", "b"}, {"a"}, ["left"], id="one file of two handed back"),
        pytest.param(False, {"a", "b"}, set(), ["left", "left"], id="handed back, no conflict"),
    ],
)
def test_every_conflict_and_every_wrong_file_is_told(
    has_landed: bool, wrong: set[str], conflicted: set[str], kinds: list[str]
) -> None:
    """A file is told once, as what became of it; clean and right ones are not."""
    assert [one.kind for one in judge(COMMIT, has_landed, wrong, conflicted)] == kinds


def account(audit: Audit = CLEAN, *judged: Judged) -> Json:
    acked = Acked(Part(COMMIT, {}, ()), "id", "agent-1", 2.0)
    played = Played(acked=[acked], judged=list(judged), landed=["c"], seconds=2.0)
    return document(Asked("repo"), 1, 1, played, audit)


def test_the_account_has_the_names_outside_checks_read() -> None:
    """Every field of the contract is there, with its value."""
    told = account(CLEAN, Judged("c", "a", "left"), Judged("c", "b", "clean_wrong"))
    wanted = {
        "repo": "repo",
        "agents": 1,
        "commits_asked": 1,
        "commits_acked": 1,
        "commits_in_history": 1,
        "lost": 0,
        "duplicated": 0,
        "conflicts": {"files": 1, "auto_correct": 0, "auto_wrong": 0, "left": 1},
        "oracle_files": ["a", "b"],
        "clean_wrong": ["b"],
        "landed": 1,
        "rejected": 0,
        "tree_matches": True,
        "seconds": 2.0,
        "commits_per_s": 0.5,
        "ack_ms": {"p50": 2.0, "p95": 2.0, "p99": 2.0, "max": 2.0},
        "mode": "shared-log",
        "durable": True,
    }
    assert {name: told[name] for name in wanted} == wanted


def test_a_file_altered_on_the_way_is_not_a_wrong_merge() -> None:
    """What line-ending rules changed before the commit is told apart from what a merge did."""
    altered = Audit(1, (("c", "a"),), (), (), 0, 1, (), ())
    told = account(altered, Judged("c", "a", "clean_wrong"))
    assert [told["clean_wrong"], told["altered_files"]] == [[], ["a"]]


@pytest.mark.parametrize(
    ("audit", "ok"),
    [
        pytest.param(CLEAN, True, id="clean"),
        pytest.param(Audit(1, (), (), (), 0, 1, ("a",), ()), True, id="only a left file differs"),
        pytest.param(Audit(1, (), (), (), 0, 1, ("b",), ()), False, id="another file differs"),
        pytest.param(Audit(0, (), ("id",), (), 0, 1, (), ()), False, id="lost"),
        pytest.param(Audit(1, (), (), ("c",), 0, 1, (), ()), False, id="twice"),
        pytest.param(Audit(1, (), (), (), 1, 1, (), ()), False, id="divergent"),
        pytest.param(Audit(1, (), (), (), 0, 2, (), ()), False, id="two op heads"),
        pytest.param(Audit(1, (), (), (), 0, 1, (), ("I2: x",)), False, id="damaged"),
    ],
)
def test_a_replay_passes_when_nothing_is_lost_and_the_tree_is_right(audit: Audit, ok: bool) -> None:
    """Only files that were left in conflict may differ."""
    assert passed(account(audit, Judged("c", "a", "left"))) is ok


def test_latencies_are_values_that_occurred() -> None:
    """A percentile is one of the values; of none it is 0."""
    assert latencies([float(n) for n in range(1, 101)]) == {
        "p50": 50.0,
        "p95": 95.0,
        "p99": 99.0,
        "max": 100.0,
    }
    assert latencies([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}
