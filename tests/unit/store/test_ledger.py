"""The hub's table: what it holds, and what happens where the disk does not take it."""

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import lmdb
import pytest

from tatami.protocol.hub import Answer, Json
from tatami.schedule.landing import Entry
from tatami.store.ledger import PAGE, Ledger
from tatami.values.errors import BusyError, TatamiError
from tatami.values.ids import CommandId
from tests.full_disk import on_another_file

CLIENT = "0000000000000000000000aa"
ANSWERS = [(CommandId(f"{second:08x}{1:016x}", 1), Answer({"n": second})) for second in (1, 2)]
SMALL_MAP_BYTES = 1 << 16
ENTRY = Entry(1, "a", ("c1",), None)
Change = Callable[[Ledger], object]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with nothing in it, whose map holds a few pages."""
    one = Ledger(str(tmp_path / "ledger"), map_bytes=SMALL_MAP_BYTES)
    yield one
    one.close()


WRITES: list[Change] = [
    lambda ledger: ledger.save(entries=[ENTRY]),
    lambda ledger: ledger.forget_entries([1]),
    lambda ledger: ledger.trim_answers(1),
]


@pytest.mark.parametrize("change", WRITES, ids=["save", "forget", "trim"])
def test_a_full_disk_is_said_and_may_be_tried_again(ledger: Ledger, change: Change) -> None:
    """Nothing is recorded; with space the same call goes through."""
    ledger.save(entries=[ENTRY], answers=ANSWERS)
    with on_another_file("/dev/full", os.O_RDWR), pytest.raises(TatamiError) as refused:
        change(ledger)
    assert (refused.value.code, refused.value.retryable) == ("no_space", True)
    assert ledger.entries() == [ENTRY]
    change(ledger)


@pytest.mark.parametrize("change", WRITES, ids=["save", "forget", "trim"])
def test_a_disk_that_fails_is_not_tried_again(ledger: Ledger, change: Change) -> None:
    """The code is the one that makes the writer end the hub without an answer."""
    ledger.save(entries=[ENTRY], answers=ANSWERS)
    with on_another_file("/dev/null", os.O_RDONLY), pytest.raises(TatamiError) as refused:
        change(ledger)
    assert (refused.value.code, refused.value.retryable) == ("sync_failed", False)


def test_what_has_nothing_to_trim_needs_no_disk(ledger: Ledger) -> None:
    """A hub starts where nothing can be written, as long as nothing has to be."""
    ledger.save(answers=ANSWERS)
    with on_another_file("/dev/full", os.O_RDWR):
        ledger.trim_answers(2)
    assert (list(ledger.answers()), ledger.horizon()) == (ANSWERS, "")


def test_the_newest_clients_stay_when_answers_are_trimmed(ledger: Ledger) -> None:
    """The oldest of them is the horizon, whatever it was before."""
    ledger.save(answers=ANSWERS)
    ledger.trim_answers(1)
    assert (list(ledger.answers()), ledger.horizon()) == (ANSWERS[1:], ANSWERS[1][0].incarnation)


def test_a_mistake_of_ours_is_not_the_disk_s(ledger: Ledger) -> None:
    """A key that LMDB does not take must not end the hub."""
    with pytest.raises(lmdb.BadValsizeError):
        ledger.save(answers=[(CommandId("f" * 1000, 1), Answer({}))])


def test_a_full_map_grows(ledger: Ledger) -> None:
    """The size of the map is nobody's problem: what does not fit is saved all the same."""
    events: list[tuple[int, Json]] = [(n, {"text": "x" * 100}) for n in range(1, 5000)]
    ledger.save(events=events)
    assert ledger.events() == events


def test_the_map_grows_beside_a_reader(ledger: Ledger) -> None:
    """Growing waits until nobody reads, because it moves what they look at."""
    done = threading.Event()
    counts = []

    def read() -> None:
        while not done.is_set():
            counts.append(len(ledger.events()))

    reader = threading.Thread(target=read)
    reader.start()
    for first in range(1, 4001, 100):
        ledger.save(events=[(first + n, {"text": "x" * 100}) for n in range(100)])
    done.set()
    reader.join()
    assert counts == sorted(counts)
    assert len(ledger.events()) == 4000


def test_answers_come_back_however_many_there_are(ledger: Ledger) -> None:
    """They are read page by page, each once and in order."""
    answers = [(CommandId(CLIENT, n), Answer({"n": n})) for n in range(1, 2 * PAGE + 2)]
    ledger.save(answers=answers)
    assert list(ledger.answers()) == answers


def test_an_entry_comes_back_as_it_was(ledger: Ledger) -> None:
    """Also what it builds on, and alone."""
    entry = Entry(7, "a", ("c1", "c2"), "make", state="landed", landed=("t1", "t2"), builds_on=(5,))
    ledger.save(entries=[entry])
    assert (ledger.entries(), ledger.entry(7), ledger.entry(8)) == ([entry], entry, None)


def test_an_entry_of_an_earlier_release_can_be_read(tmp_path: Path) -> None:
    """What it builds on was not recorded then."""
    directory = str(tmp_path / "ledger")
    Ledger(directory).close()
    row = {"number": 1, "agent": "a", "commits": ["c1"], "verify": None, "state": "queued"}
    row |= {"reason": "", "landed": [], "conflicts": [], "tree": "", "resolved": 0}
    with lmdb.open(directory, max_dbs=8) as table:
        queue = table.open_db(b"queue")
        with table.begin(write=True, db=queue) as write:
            write.put((1).to_bytes(8, "big"), json.dumps(row).encode())
    assert Ledger(directory).entries() == [ENTRY]


def test_a_landed_commit_of_an_earlier_release_can_be_read(tmp_path: Path) -> None:
    """It was written without a checksum, and is an id: nothing else is taken for one."""
    directory = str(tmp_path / "ledger")
    Ledger(directory).close()
    with lmdb.open(directory, max_dbs=8) as table:
        landed = table.open_db(b"landed")
        with table.begin(write=True, db=landed) as write:
            write.put(b"c" * 40, b"d" * 40)
    ledger = Ledger(directory)
    assert ledger.landed() == {"c" * 40: "d" * 40}
    ledger.close()


def test_a_landing_that_left_the_trunk_is_forgotten(ledger: Ledger) -> None:
    """The others stay."""
    ledger.save(landed={"c1": "t1", "c2": "t2"})
    ledger.save(landed={"c1": ""})
    assert ledger.landed() == {"c2": "t2"}


def test_a_refusal_comes_back_as_it_was(ledger: Ledger) -> None:
    """Class, words, code, fix and whether it may be retried."""
    error = BusyError("somebody is at it", code="locked", fix="wait", retryable=False)
    ledger.save(answers=[(CommandId(CLIENT, 1), Answer(error=error))])
    ((_, answer),) = ledger.answers()
    assert type(answer.error) is BusyError
    assert (answer.error.as_json(), answer.error.retryable) == (error.as_json(), False)


@pytest.mark.parametrize(
    ("number", "free", "code"),
    [
        (errno.EDQUOT, 1 << 30, "no_space"),
        (errno.EIO, 0, "no_space"),
        (errno.EIO, 1 << 30, "sync_failed"),
        (errno.EIO, None, "sync_failed"),
    ],
    ids=["quota", "written in part", "broken", "gone"],
)
def test_a_failed_write_is_told_by_its_error_and_the_space(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, number: int, free: int | None, code: str
) -> None:
    """LMDB has no class for a quota, and calls a write that was cut short an I/O error."""

    def statvfs(path: str) -> SimpleNamespace:
        if free is None:
            raise OSError(errno.EIO, "gone")
        return SimpleNamespace(f_bavail=free, f_frsize=1)

    monkeypatch.setattr(os, "statvfs", statvfs)
    failure = ledger._failure(lmdb.Error(f"commit: {os.strerror(number)}"))
    assert (failure.code, failure.retryable) == (code, code == "no_space")


@pytest.mark.parametrize("row", [b'"agent":"a"', b'"kind"'])
def test_a_row_with_a_flipped_bit_is_not_served(tmp_path: Path, row: bytes) -> None:
    """LMDB would hand it out: the checksum of ours says `corrupt`."""
    directory = str(tmp_path / "ledger")
    ledger = Ledger(directory, map_bytes=SMALL_MAP_BYTES)
    ledger.save(entries=[ENTRY], events=[(1, {"kind": "commit"})])
    ledger.close()
    file = tmp_path / "ledger" / "data.mdb"
    data = file.read_bytes()
    assert row in data
    file.write_bytes(data.replace(row, row[:1] + bytes([row[1] ^ 1]) + row[2:]))
    damaged = Ledger(directory, writes=False, map_bytes=SMALL_MAP_BYTES)
    with pytest.raises(TatamiError) as refused:
        (damaged.entries(), damaged.events())
    damaged.close()
    assert refused.value.code == "corrupt"
