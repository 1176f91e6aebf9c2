"""`op restore`: the whole repository back at an operation, and forward again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tatami
from tests.e2e.conftest import Refused
from tests.sandbox import commit_file, git, tatami_json
from tests.sandbox import tatami as tatami_run


@pytest.fixture
def swarm(tatami_repository: Path) -> Iterator[tatami.Swarm]:
    """A repository of this test's own: what is restored is everybody's."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        yield swarm


def last_op(root: Path) -> str:
    return str(tatami_json(root, "op", "log", "--limit", "1")["op"])


def restore(root: Path, op: str) -> dict[str, Any]:
    done: dict[str, Any] = tatami_json(root, "op", "restore", op, "--yes")
    return done


def commit(space: Path, path: str, content: str) -> str:
    (space / path).write_text(content)
    return str(tatami_json(space, "commit", "-m", path)["commit"])


def state(root: Path, swarm: tatami.Swarm) -> tuple[dict[str, str], str, dict[int, Any]]:
    """Every line, the trunk, and how queue entries are."""
    shown = swarm.status()
    entries = {row["entry"]: (row["state"], row["landed"]) for row in swarm.queue(done=True)}
    return {r["name"]: r["head"] for r in shown["agents"]}, shown["trunk"]["commit"], entries


def test_lines_trunk_and_files_go_back_and_forward(
    tatami_repository: Path, swarm: tatami.Swarm
) -> None:
    """Landed entries come back handed back; the operation before the restore undoes all of it."""
    root = tatami_repository
    one, two = (Path(swarm.agent(name).path) for name in ("one", "two"))
    commit(one, "1.txt", "1\n")
    tatami_json(one, "land", "--wait")
    then = state(root, swarm)
    op = last_op(root)
    commit_file(root, "user.txt", b"user\n")
    commit(two, "2.txt", "2\n")
    commit(one, "1b.txt", "1b\n")
    entry = tatami_json(two, "land", "--wait")[0]["entry"]
    now, before = state(root, swarm), last_op(root)
    done = restore(root, op)
    back = state(root, swarm)
    assert (back[0], back[1]) == (then[0], then[1])
    assert (back[2][entry], done["waiting"]) == (("handed_back", []), {})
    assert git(root, "rev-parse", "main") == then[1]
    assert git(root, "status", "--porcelain") == ""
    assert not (root / "user.txt").exists()
    for space in (one, two):
        assert git(space, "status", "--porcelain") == ""
        assert git(space, "rev-parse", "HEAD") == then[0][space.name]
    restore(root, before)
    assert state(root, swarm) == now
    assert (root / "user.txt").read_bytes() == b"user\n"
    assert (two / "2.txt").read_text() == "2\n"
    assert tatami_json(root, "fsck")["ok"]


def test_what_was_taken_off_the_trunk_can_land_again(
    tatami_repository: Path, swarm: tatami.Swarm
) -> None:
    """A handed-back entry is retried, or the line landed once more."""
    op = last_op(tatami_repository)
    one = Path(swarm.agent("one").path)
    op = last_op(tatami_repository)
    tip = commit(one, "1.txt", "1\n")
    after = last_op(tatami_repository)
    tatami_json(one, "land", "--wait")
    restore(tatami_repository, after)
    assert git(tatami_repository, "rev-parse", "main") != tip
    rows = tatami_json(one, "land", "--wait")
    assert (rows[0]["state"], rows[0]["commits"]) == ("landed", [tip])
    assert op != after


def test_unsaved_edits_are_saved_and_kept(tatami_repository: Path, swarm: tatami.Swarm) -> None:
    """An edit in nobody's way is still there, and in a recovery commit as well."""
    one = Path(swarm.agent("one").path)
    op = last_op(tatami_repository)
    commit(one, "1.txt", "1\n")
    (one / "unsaved.txt").write_text("unsaved\n")
    done = restore(tatami_repository, op)
    assert git(one, "status", "--porcelain") == "?? unsaved.txt"
    assert git(one, "show", f"{done['recovery']['one']}:unsaved.txt") == "unsaved"


def test_agents_made_since_stay(tatami_repository: Path, swarm: tatami.Swarm) -> None:
    """They had no line to go back to; the answer names them."""
    one = swarm.agent("one", workspace=False)
    op = last_op(tatami_repository)
    one.commit("1", {"1.txt": b"1\n"})
    two = swarm.agent("two", workspace=False)
    made = two.commit("2", {"2.txt": b"2\n"})
    done = restore(tatami_repository, op)
    assert (done["kept"], state(tatami_repository, swarm)[0]["two"]) == (["two"], made.id)


def test_a_retired_agent_comes_back(tatami_repository: Path, swarm: tatami.Swarm) -> None:
    """With its line and its git branch."""
    one = swarm.agent("one", workspace=False)
    made = one.commit("1", {"1.txt": b"1\n"})
    one.land().result()
    op = last_op(tatami_repository)
    swarm.retire("one")
    restore(tatami_repository, op)
    assert state(tatami_repository, swarm)[0] == {"one": made.id}
    assert git(tatami_repository, "rev-parse", "agent/one") == made.id


def test_undo_after_a_restore_goes_on_from_there(
    tatami_repository: Path, swarm: tatami.Swarm
) -> None:
    """What the restore went back over is not undone a second time."""
    one = swarm.agent("one", workspace=False)
    first = one.commit("1", {"1.txt": b"1\n"})
    op = last_op(tatami_repository)
    one.commit("2", {"2.txt": b"2\n"})
    restore(tatami_repository, op)
    steps = one.undo().steps
    assert [step["commit"] for step in steps] == [first.id]


def test_a_dry_run_changes_nothing(tatami_repository: Path, swarm: tatami.Swarm) -> None:
    """It says which lines would move."""
    one = swarm.agent("one", workspace=False)
    op = last_op(tatami_repository)
    made = one.commit("1", {"1.txt": b"1\n"})
    planned = tatami_json(tatami_repository, "op", "restore", op, "--dry-run")
    assert [row["from"] for row in planned["agents"]] == [made.id]
    assert state(tatami_repository, swarm)[0]["one"] == made.id


def test_it_asks(tatami_repository: Path, swarm: tatami.Swarm, refused: Refused) -> None:
    """Without a terminal it needs --yes."""
    one = swarm.agent("one", workspace=False)
    op = last_op(tatami_repository)
    one.commit("1", {"1.txt": b"1\n"})
    assert refused(tatami_repository, "op", "restore", op) == (64, "not_confirmed")


def test_bad_operations(tatami_repository: Path, refused: Refused) -> None:
    """Unknown ones, and the one everything is at, are refused by name."""
    here = last_op(tatami_repository)
    assert refused(tatami_repository, "op", "restore", "abc123", "--yes") == (64, "not_found")
    code = refused(tatami_repository, "op", "restore", here, "--yes")
    assert code == (64, "nothing_to_restore")


def test_not_while_commits_wait_to_land(
    tatami_repository: Path, swarm: tatami.Swarm, refused: Refused
) -> None:
    """They would land on what is restored; a paused queue is somebody's decision."""
    one = swarm.agent("one", workspace=False)
    op = last_op(tatami_repository)
    one.commit("1", {"1.txt": b"1\n"})
    landing = one.land(verify="sleep 3")
    assert refused(tatami_repository, "op", "restore", op, "--yes") == (75, "queued")
    landing.result()


def test_a_dirty_checkout_of_the_trunk_waits(tatami_repository: Path, swarm: tatami.Swarm) -> None:
    """The user's edits are not touched; status says that the trunk waits."""
    root = tatami_repository
    one = Path(swarm.agent("one").path)
    op = last_op(root)
    commit(one, "history.txt", "landed\n")
    tatami_json(one, "land", "--wait")
    (root / "history.txt").write_text("the user's edit\n")
    restore(root, op)
    assert (root / "history.txt").read_text() == "the user's edit\n"
    assert swarm.status()["trunk"]["waiting"]
    git(root, "checkout", "--quiet", "history.txt")
    assert tatami_run(root, "status").returncode == 0
