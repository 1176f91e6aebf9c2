"""`tatami scenario run storm`, and the kill drill: every commit is counted from git's history."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tatami.scenarios.storm.kills import drill, passed
from tatami.scenarios.storm.values import Asked
from tests.conftest import STOCK_JJ
from tests.e2e.conftest import Refused
from tests.mounts import needs_mounts
from tests.sandbox import tatami, tatami_json

SMALL = ("--agents", "3", "--commits", "4", "--files", "60")
Row = dict[str, Any]


def storm(path: Path, *arguments: str) -> list[Row]:
    rows: list[Row] = tatami_json(path, "scenario", "run", "storm", *SMALL, *arguments)
    return rows


def counts(row: Row) -> tuple[int, ...]:
    names = ("asked", "acked", "in_history", "lost", "duplicated", "divergent")
    return tuple(row[name] for name in names)


@pytest.mark.parametrize("workload", ["new", "edit"])
@pytest.mark.parametrize(
    "source", ["bytes", "checkout", pytest.param("overlay", marks=needs_mounts)]
)
def test_every_commit_of_every_arm_is_in_history(
    tmp_path: Path, workload: str, source: str
) -> None:
    """Both arms make the same twelve commits; nothing is lost, doubled or divergent."""
    arms = ("--arms", "tatami,git-worktree", "--workload", workload, "--source", source)
    rows = storm(tmp_path, *arms)
    assert [(row["arm"], *counts(row)) for row in rows] == [
        ("tatami", 12, 12, 12, 0, 0, 0),
        ("git-worktree", 12, 12, 12, 0, 0, 0),
    ]
    assert [(row["workload"], row["source"], row["fsync"]) for row in rows] == [
        (workload, source, "barriers"),
        (workload, "checkout", "default"),
    ]
    assert [row["failures"] for row in rows] == [[], []]


def test_a_row_has_the_names_outside_checks_read(tmp_path: Path) -> None:
    """The contract's fields are there, with the hub's cost apart from the agents'."""
    (row,) = storm(tmp_path, "--arms", "tatami", "--source", "checkout")
    names = {
        *("arm", "agents", "asked", "acked", "in_history", "divergent", "seconds", "per_s"),
        *("ack_ms", "cpu_ms_per_commit", "rss_mb", "workload", "source", "mode", "fsync"),
        *("cpu_hub_ms_per_commit", "cpu_clients_ms_per_commit", "workspace_share", "scan_ms"),
    }
    assert names - row.keys() == set()
    assert set(row["ack_ms"]) == {"p50", "p95", "p99", "max"}
    assert row["rss_mb"] > 0


def test_git_can_be_asked_with_both_kinds_of_fsync(tmp_path: Path) -> None:
    """One row for git's default and one for core.fsync=all."""
    rows = storm(tmp_path, "--arms", "git-worktree", "--git-fsync", "both")
    assert [row["fsync"] for row in rows] == ["default", "all"]


def test_stock_jj_takes_part_where_it_is(
    tmp_path: Path, stock_jj: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workspace of stock jj per agent, counted from jj's own log."""
    del stock_jj
    monkeypatch.setenv("PATH", str(STOCK_JJ.parent), prepend=":")
    (row,) = storm(tmp_path, "--arms", "jj-workspace")
    assert counts(row) == (12, 12, 12, 0, 0, 0)


def test_another_repository_can_be_stormed(repository: Path, tmp_path: Path) -> None:
    """The storm runs over a repository's head; the repository itself keeps its branches."""
    before = tatami(repository, "--version").stdout
    (row,) = storm(tmp_path, "--arms", "tatami", "--repo", str(repository))
    assert (counts(row), before) == ((12, 12, 12, 0, 0, 0), before)


def test_results_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    """JSON with its circumstances, and a page with bars that loads nothing."""
    done = tatami(
        tmp_path, "scenario", "run", "storm", *SMALL, "--arms", "tatami", "--out", "results"
    )
    kept = json.loads((tmp_path / "results" / "storm.json").read_text())
    page = (tmp_path / "results" / "storm.html").read_text()
    assert done.returncode == 0
    assert {"git", "kernel", "date", "command", "cores", "rows"} <= kept.keys()
    assert [page.count("<svg"), page.count("<script"), page.count("http")] == [4, 0, 0]


def test_what_cannot_be_is_refused(tmp_path: Path, refused: Refused) -> None:
    """Unknown scenario or arm, no agents, fewer files than agents, an arm that is missing."""
    run = ("scenario", "run")
    for arguments in (
        (*run, "strom"),
        (*run, "storm", "--arms", "hg"),
        (*run, "storm", "--agents", "0"),
        (*run, "storm", "--commits", "0"),
        (*run, "storm", "--agents", "5", "--files", "4"),
        (*run, "storm", "--mode", "sharded"),
    ):
        assert refused(tmp_path, *arguments) == (64, "usage"), arguments
    assert refused(tmp_path, *run, "storm", "--arms", "jj-workspace") == (64, "jj_missing")


def test_scenarios_are_listed(tmp_path: Path) -> None:
    """The storm is there, with what it does."""
    assert [row["name"] for row in tatami_json(tmp_path, "scenario", "list")] == ["storm"]


@pytest.mark.parametrize("seed", [1, 2])
def test_commits_survive_a_hub_killed_at_random_moments(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents finish by themselves; every acknowledged commit is there once, and fsck is clean."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    row = drill(Asked(agents=4, commits=50, files=40), kills=5, seed=seed)
    assert passed(row), row
    assert row["kills"] == 5
