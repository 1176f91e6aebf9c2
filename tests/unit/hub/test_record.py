"""What a hub remembers across its death: the ledger to a checkpoint, the operation log after it."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from tatami.hub.record import Record, Recovered
from tatami.protocol.hub import Answer
from tatami.schedule.landing import Entry
from tatami.store.ledger import Ledger
from tatami.store.repository import COMMANDS, FIRST_EVENT, LANDED, RELANDED, Repository
from tatami.values.errors import TatamiError
from tatami.values.ids import CommandId
from tests.full_disk import full_disk, on_another_file

CLIENT = "0000000000000000000000aa"
Open = Callable[[], Record]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as far as a record reads it."""

    id: str
    attributes: dict[str, str] = field(default_factory=dict)


class OperationLog:
    """An operation log in memory, newest first, read in pages like the real one."""

    def __init__(self) -> None:
        self.newest_first: list[Operation] = [Operation("root")]

    def operations(self, limit: int | None, start: str | None = None) -> list[Operation]:
        """A page of the log from `start` backwards."""
        ids = [op.id for op in self.newest_first]
        first = ids.index(start) if start else 0
        return self.newest_first[first:][:limit]

    def commit(self, record: Record, sequence: int) -> dict[str, str]:
        """Publishes a commit of agent `a`; returns its attributes."""
        row = (f"{CLIENT}:{sequence}", "a", "commit", f"c{sequence}", f"z{sequence}")
        attributes = {COMMANDS: json.dumps([row]), FIRST_EVENT: str(record.next_event)}
        self.newest_first.insert(0, Operation(f"op{sequence}", attributes))
        return attributes


@pytest.fixture
def log() -> OperationLog:
    """An operation log with nothing in it but its root."""
    return OperationLog()


@pytest.fixture
def open_record(tmp_path: Path, log: OperationLog) -> Iterator[Open]:
    """Opens the record as a new hub does; what the last one did not save is gone."""
    ledgers: list[Ledger] = []

    def open_() -> Record:
        for ledger in ledgers:
            ledger.close()
        ledgers[:] = [Ledger(str(tmp_path / "ledger"))]
        return Record(cast(Repository, log), ledgers[0])

    yield open_
    for ledger in ledgers:
        ledger.close()


def commit(record: Record, log: OperationLog, sequence: int) -> None:
    """A commit as the hub carries it out: published, numbered, answered."""
    attributes = log.commit(record, sequence)
    told = record.happened(f"op{sequence}", attributes)
    keys = ("agent", "commit", "change", "op")
    answer = Answer({key: told[0][key] for key in keys})
    record.answered(CommandId(CLIENT, sequence), answer)


def events(found: Recovered) -> list[tuple[int, object, object]]:
    """Number, cursor and commit of every event a subscriber could still read."""
    kept = found.conversation.events
    return [(number, event.get("cursor"), event.get("commit")) for number, event in kept]


@pytest.mark.parametrize("saved", [True, False], ids=["checkpoint", "crash"])
def test_events_come_back_with_their_cursors(
    open_record: Open, log: OperationLog, saved: bool
) -> None:
    """Whether they were in the ledger or only in the operation log, events are the same again.

    The story: those of the ledger came back without a cursor, and a subscriber that had missed
    them while the hub was down failed on the first one.
    """
    record = open_record()
    record.recover()
    for sequence in (1, 2):
        commit(record, log, sequence)
    if saved:
        record.save()
    assert events(open_record().recover()) == [(1, 1, "c1"), (2, 2, "c2")]


@pytest.mark.parametrize("saved", [True, False], ids=["checkpoint", "crash"])
def test_answers_come_back(open_record: Open, log: OperationLog, saved: bool) -> None:
    """A resent command is answered by the next hub exactly as by the last one."""
    record = open_record()
    record.recover()
    commit(record, log, 1)
    if saved:
        record.save()
    found = open_record().recover()
    assert found.conversation.clients[CLIENT].answers[1] == Answer(
        {"agent": "a", "commit": "c1", "change": "z1", "op": "op1"}
    )


def test_without_its_ledger_a_hub_still_knows_what_it_did(
    open_record: Open, log: OperationLog, tmp_path: Path
) -> None:
    """Answers and events come back from the operation log, as if nothing had been deleted."""
    record = open_record()
    record.recover()
    for sequence in (1, 2):
        commit(record, log, sequence)
    record.save()
    before = open_record().recover().conversation
    shutil.rmtree(tmp_path / "ledger")
    after = open_record().recover().conversation
    assert (after.clients, after.events) == (before.clients, before.events)


def test_numbers_go_on_where_they_were(open_record: Open, log: OperationLog) -> None:
    """No event number is given twice, whatever was saved."""
    record = open_record()
    record.recover()
    commit(record, log, 1)
    record.save()
    commit(record, log, 2)
    again = open_record()
    again.recover()
    commit(again, log, 3)
    assert [number for number, _, _ in events(open_record().recover())] == [1, 2, 3]


def test_operations_of_stock_tools_stand_for_no_event(open_record: Open, log: OperationLog) -> None:
    """An operation without our attributes is passed over."""
    record = open_record()
    record.recover()
    log.newest_first.insert(0, Operation("by-jj"))
    commit(record, log, 1)
    log.newest_first.insert(0, Operation("by-jj-too"))
    assert events(open_record().recover()) == [(1, 1, "c1")]


def test_a_long_log_is_read_to_the_checkpoint(open_record: Open, log: OperationLog) -> None:
    """What was missed may be many pages long."""
    record = open_record()
    record.recover()
    commit(record, log, 1)
    record.save()
    for sequence in range(2, 1002):
        commit(record, log, sequence)
    found = open_record().recover()
    assert [number for number, _, _ in events(found)] == list(range(1, 1002))


def test_a_landing_that_got_through_is_known(open_record: Open, log: OperationLog) -> None:
    """The hub died between the trunk's move and the queue's record: the entry has landed."""
    record = open_record()
    record.recover()
    entry = Entry(1, "a", ("c1",), None)
    record.record_entries((entry,), [])
    attributes = {LANDED: json.dumps([[1, "c1", "t1"]]), FIRST_EVENT: str(record.next_event)}
    log.newest_first.insert(0, Operation("land", attributes))
    found = open_record().recover()
    assert found.queue.entries == {1: replace(entry, state="landed", landed=("t1",))}


def test_a_landing_before_a_checkpoint_is_known(open_record: Open, log: OperationLog) -> None:
    """The hub died after the checkpoint behind a landing, before it recorded the entry.

    The story: the queue then landed the entry's commits a second time.
    """
    record = open_record()
    record.recover()
    attributes = {LANDED: json.dumps([[1, "c1", "t1"]]), FIRST_EVENT: str(record.next_event)}
    log.newest_first.insert(0, Operation("op1", attributes))
    record.happened("op1", attributes)
    record.save()
    again = open_record()
    again.recover()
    assert again.landed == {"c1": "t1"}


def test_a_landing_of_what_was_left_of_an_entry_is_known(
    open_record: Open, log: OperationLog
) -> None:
    """The user's git took one commit of an entry off the trunk, and only that one landed again."""
    record = open_record()
    record.recover()
    first = {LANDED: json.dumps([[1, "c1", "t1"], [1, "c2", "t2"]])}
    moved = {RELANDED: json.dumps({"t1": "u1", "t2": ""})}
    again = {LANDED: json.dumps([[1, "c2", "v2"]])}
    for number, attributes in enumerate((first, moved, again)):
        log.newest_first.insert(0, Operation(f"land{number}", attributes))
    record.record_entries((Entry(1, "a", ("c1", "c2"), None),), [])
    record = open_record()
    landed = record.recover().queue.entries[1]
    assert (landed.state, landed.landed) == ("landed", ("u1", "v2"))
    assert record.landed == {"c1": "u1", "c2": "v2"}


def test_commits_of_entries_no_longer_listed_move_too(open_record: Open) -> None:
    """What is known of a landed commit does not depend on its entry, of which only so many stay."""
    record = open_record()
    record.recover()
    landed = Entry(1, "a", ("c1", "c2"), None, state="landed", landed=("t1", "t2"))
    record.record_entries((landed,), [])
    record.ledger.forget_entries([1])
    record.relanded("moved", {"t1": "u1", "t2": ""})
    record.record_entries((), [])
    assert record.landed == {"c1": "u1"}
    assert open_record().landed == {"c1": "u1"}


def test_what_builds_on_a_failed_entry_is_handed_back_at_start(open_record: Open) -> None:
    """The hub died after it had recorded a failure, and before what follows from it was.

    The story: the next hub landed the follower alone.
    """
    record = open_record()
    record.recover()
    failed = Entry(1, "a", ("c1",), None, state="rejected")
    record.record_entries((failed, Entry(2, "a", ("c2",), None, builds_on=(1,))), [])
    record = open_record()
    found = record.recover()
    assert found.queue.entries[2].state == "handed_back"
    assert record.ledger.entry(2) == found.queue.entries[2]
    assert record.pinned == {}
    assert found.conversation.events[-1][1]["reason"] == "builds on entry 1, which did not land"


def test_the_event_of_a_late_hand_back_is_told_once(open_record: Open) -> None:
    """It has the next number, and is there for the hub after that."""
    record = open_record()
    record.recover()
    failed = Entry(1, "a", ("c1",), None, state="rejected")
    record.record_entries((failed, Entry(2, "a", ("c2",), None, builds_on=(1,))), [])
    first = open_record().recover().conversation
    second = open_record().recover().conversation
    assert [number for number, _ in first.events] == [1, 2, 3]
    assert (second.events, second.next_event) == (first.events, 4)


def test_a_commit_stays_pinned_by_the_entry_that_waits(open_record: Open) -> None:
    """An older entry with the same commit, which failed, does not free it.

    The story: rejecting the old entry made `land` queue the commit a second time.
    """
    record = open_record()
    record.recover()
    old = Entry(1, "a", ("c1",), None, state="handed_back")
    record.record_entries((old, Entry(2, "a", ("c1", "c2"), None)), [])
    record.record_entries((replace(old, state="rejected"),), [])
    assert record.pinned == {"c1": 2, "c2": 2}
    again = open_record()
    again.recover()
    assert again.pinned == {"c1": 2, "c2": 2}


def test_a_command_whose_id_is_not_one_today_stops_nobody(
    open_record: Open, log: OperationLog
) -> None:
    """Its operation counts as any other; there is no answer, for nobody can resend it.

    The story: after the ids had become longer, no hub came up on a repository with old ones.
    """
    record = open_record()
    record.recover()
    rows = [("0123456789abcdef:1", "a", "commit", "c1", "z1")]
    rows += [("0123456789abcdef:2", "a", "agent", "c1", "")]
    attributes = {COMMANDS: json.dumps(rows), FIRST_EVENT: "1"}
    log.newest_first.insert(0, Operation("old", attributes))
    record.happened("old", attributes)
    commit(record, log, 3)
    found = open_record().recover()
    assert [event["commit"] for _, event in found.conversation.events] == ["c1", "c1", "c3"]
    assert list(found.conversation.clients) == [CLIENT]


def test_an_attempt_that_died_is_queued_again(open_record: Open) -> None:
    """An entry that was landing, and did not, is tried again."""
    record = open_record()
    record.recover()
    record.record_entries((Entry(1, "a", ("c1",), None, state="landing"),), [])
    assert open_record().recover().queue.entries[1].state == "queued"


def test_an_answer_about_the_queue_is_there_before_it_is_given(open_record: Open) -> None:
    """What makes no operation is in the ledger at once, without a checkpoint."""
    record = open_record()
    record.recover()
    answer = Answer({"entries": [1], "paused": False})
    record.record_entries((Entry(1, "a", ("c1",), None),), [(CommandId(CLIENT, 7), answer)])
    assert open_record().recover().conversation.clients[CLIENT].answers[7] == answer


def test_a_paused_queue_stays_paused(open_record: Open) -> None:
    """A hub that ends because nobody talks to it does not resume what a person has paused."""
    record = open_record()
    record.recover()
    record.record_entries((), [], paused=True)
    record.record_entries((Entry(1, "a", ("c1",), None),), [])
    again = open_record()
    assert again.recover().queue.paused
    again.record_entries((), [], paused=False)
    assert not open_record().recover().queue.paused


def test_a_hub_starts_on_a_full_disk(
    open_record: Open, log: OperationLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows what the disk says; what it could not save it saves with the next thing it can.

    The story: the answers of old clients were trimmed first, and no hub came up, not even to read.
    """
    record = open_record()
    record.recover()
    record.record_entries((Entry(1, "a", ("c1",), None),), [])
    for sequence in (2, 3):
        commit(record, log, sequence)
    old = CommandId("0" * 24, 1)
    record.answered(old, Answer({"n": 1}))
    record.save()
    log.newest_first.insert(0, Operation("land", {LANDED: json.dumps([[1, "c1", "t1"]])}))
    monkeypatch.setattr("tatami.hub.record.CLIENTS_KEPT", 1)
    record = open_record()
    with full_disk():
        found = record.recover()
    assert (found.queue.entries[1].state, record.landed) == ("landed", {"c1": "t1"})
    assert [number for number, _ in found.conversation.events] == [1, 2, 3]
    assert found.conversation.clients.keys() == {CLIENT, old.incarnation}
    assert record.entries() == [record.entry(1)] == [found.queue.entries[1]]
    record.record_entries((), [])
    assert record.ledger.entries() == [found.queue.entries[1]]
    assert (record.ledger.checkpoint().op, record.ledger.horizon()) == ("land", CLIENT)


def test_what_cannot_be_handed_back_on_a_full_disk_stays_queued(open_record: Open) -> None:
    """The queue hands it back with its first step: it has not happened before it is recorded."""
    record = open_record()
    record.recover()
    failed = Entry(1, "a", ("c1",), None, state="rejected")
    follower = Entry(2, "a", ("c2",), None, builds_on=(1,))
    record.record_entries((failed, follower), [])
    record = open_record()
    with full_disk():
        found = record.recover()
    assert found.queue.entries == {1: failed, 2: follower}
    assert [number for number, _ in found.conversation.events] == [1, 2]


def test_a_checkpoint_that_is_due_waits_for_space(
    open_record: Open, log: OperationLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operation log has all of it."""
    monkeypatch.setattr("tatami.hub.record.UNSAVED_MAX", 1)
    record = open_record()
    record.recover()
    commit(record, log, 1)
    with full_disk():
        record.save_some()
    assert record.unsaved == 2
    record.save_some()
    assert record.unsaved == 0


def test_a_checkpoint_the_disk_fails_at_is_fatal(
    open_record: Open, log: OperationLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may answer as if it were there.

    The story: it was logged, and the hub went on.
    """
    monkeypatch.setattr("tatami.hub.record.UNSAVED_MAX", 1)
    record = open_record()
    record.recover()
    commit(record, log, 1)
    with on_another_file("/dev/null", os.O_RDONLY), pytest.raises(TatamiError) as failed:
        record.save_some()
    assert failed.value.code == "sync_failed"
