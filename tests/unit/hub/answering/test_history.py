"""History in pages: together they are the whole, in the same order, wherever they are cut."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from tatami.hub.answering import history
from tatami.hub.answering.history import History
from tatami.hub.record import Record
from tatami.protocol import messages
from tatami.protocol.hub import Json
from tatami.store.initialise import initialise
from tatami.store.ledger import Ledger
from tatami.store.locate import find
from tatami.store.repository import Repository
from tests import sandbox
from tests.unit.hub.conftest import Hall


@pytest.fixture(scope="module")
def branchy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with side branches, merges of them, a long message, and one line unmerged."""
    root = sandbox.make_repository(tmp_path_factory.mktemp("history") / "repo")
    for number in range(4):
        sandbox.git(root, "checkout", "--quiet", "-b", f"side-{number}", "main~1")
        for part in "ab":
            sandbox.commit_file(root, f"{number}{part}.txt", b"x\n", f"{number}{part}")
        sandbox.git(root, "checkout", "--quiet", "main")
        sandbox.git(root, "merge", "--quiet", "--no-ff", "-m", f"merge {number}", f"side-{number}")
    sandbox.commit_file(root, "long.txt", b"x\n", "long " * 500)
    sandbox.git(root, "checkout", "--quiet", "-b", "open", "main~3")
    sandbox.commit_file(root, "open.txt", b"x\n")
    sandbox.git(root, "checkout", "--quiet", "main")
    initialise(find(str(root)), None)
    return root


@pytest.fixture
def asked(branchy: Path, tmp_path: Path) -> Iterator[History]:
    """Reads that repository's history, of which Tatami has made nothing."""
    repository = Repository.open(find(str(branchy)), writes=False)
    ledger = Ledger(str(tmp_path / "ledger"))
    yield History(repository, Record(repository, ledger))
    ledger.close()
    repository.close()


def pages(asked: History, revs: list[str], limit: int | None = None) -> list[list[str]]:
    """The commits of every page until none is left."""
    found = []
    while True:
        answer = asked.commits(messages.Log(n=1, revs=revs, limit=limit))
        rows = cast(list[Json], answer["commits"])
        assert answer["rows"] == len(rows)
        found.append([str(row["commit"]) for row in rows])
        revs = cast(list[str], answer["rest"])
        if not revs:
            return found


def in_git(branchy: Path, *revs: str) -> set[str]:
    """What git finds there."""
    return set(sandbox.git(branchy, "rev-list", *revs).split())


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_pages_together_are_the_whole(
    asked: History, branchy: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Through merges and from several heads, no commit is missing, none comes twice."""
    heads = [sandbox.git(branchy, "rev-parse", name) for name in ("main", "side-2", "main~2")]
    (whole,) = pages(asked, heads)
    assert set(whole) == in_git(branchy, *heads)
    monkeypatch.setattr(history, "ROWS_MAX", rows)
    cut = pages(asked, heads)
    assert [commit for page in cut for commit in page] == whole
    assert {len(page) for page in cut[:-1]} == {rows}


def test_a_page_is_cut_by_bytes_too(
    asked: History, branchy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message larger than a page comes alone; all that is small shares one."""
    monkeypatch.setattr(history, "PAGE_BYTES_MAX", 1000)
    first, *others = pages(asked, ["main"])
    assert first == [sandbox.git(branchy, "rev-parse", "main")]
    assert [len(page) for page in others] == [len(in_git(branchy, "main")) - 1]


def test_a_limit_is_kept_within_a_page(asked: History) -> None:
    """Whoever asks for few gets no more."""
    answer = asked.commits(messages.Log(n=1, revs=["main"], limit=2))
    assert answer["rows"] == 2


def test_operations_come_in_pages(asked: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operation log too; each page begins where the one before ended."""
    whole = asked.operations(messages.OpLog(n=1))
    assert whole["rest"] == []
    monkeypatch.setattr(history, "ROWS_MAX", 1)
    found: list[object] = []
    starts: list[str] = []
    while not found or starts:
        answer = asked.operations(messages.OpLog(n=1, starts=starts))
        found += cast(list[object], answer["operations"])
        starts = cast(list[str], answer["rest"])
    assert found == whole["operations"]


def test_a_copy_names_whose_it_is_and_the_landing(hall: Hall) -> None:
    """`log` knows agent and operation of a landing that was rebased.

    The story: only operations of commits were looked at, and landed copies were nobody's.
    """
    record = hall.record
    entry = hall.queued(1, hall.commit("a", "a.txt"))
    hall.user_commits()
    (done,) = hall.lander().attempt([entry])
    (row, *_) = cast(
        list[Json], History(record.repository, record).commits(messages.Log(n=1))["commits"]
    )
    (op, *_) = record.repository.operations(1)
    assert (row["commit"], row["agent"]) == (done.landed[0], "a")
    assert row["op"] == op.id
