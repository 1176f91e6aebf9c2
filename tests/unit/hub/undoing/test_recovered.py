"""An undo that a hub published right before it died: its queue entry and its answer come back."""

import json
from dataclasses import replace

from tatami.hub.record import Record
from tatami.schedule.landing import Entry
from tatami.store.repository import (
    COMMANDS,
    FIRST_EVENT,
    IMPORTED,
    LANDED,
    UNDID,
    Plan,
)
from tatami.values.ids import CommandId
from tatami.values.specs import OpSpec
from tests.unit.hub.conftest import Hall

ID = CommandId("0000000000000000000000aa", 1)
UNDONE = {"from": "c1", "files": "stay", "entry": 7, "inverse": ["r1"], "verify": "make"}
ENTRY = Entry(7, "a", ("r1",), "make", undoes=True)


def publish(hall: Hall, attributes: dict[str, str]) -> str:
    """Publishes an operation with these attributes and nothing else."""
    published = hall.record.repository.publish(
        lambda: Plan((), lambda _: OpSpec("undo a", attributes))
    )
    assert published
    return published.op


def undo(hall: Hall) -> str:
    rows = [[str(ID), "a", "undo", "c0", ""]]
    first = str(hall.record.next_event)
    attributes = {COMMANDS: json.dumps(rows), UNDID: json.dumps(UNDONE), FIRST_EVENT: first}
    return publish(hall, attributes)


def again(hall: Hall) -> Record:
    """What the next hub has to begin with."""
    return Record(hall.record.repository, hall.record.ledger)


def test_what_takes_a_landing_back_is_queued_again(hall: Hall) -> None:
    """The hub died before its queue knew of the entry; the next one lands it."""
    undo(hall)
    record = again(hall)
    assert record.recover().queue.entries == {7: ENTRY}
    assert (record.ledger.entry(7), record.next_entry, record.pinned) == (ENTRY, 8, {"r1": 7})


def test_the_answer_is_what_it_would_have_been(hall: Hall) -> None:
    """A client that resends is told all that the first answer would have said."""
    op = undo(hall)
    answers = again(hall).recover().conversation.clients[ID.incarnation].answers
    row = {"agent": "a", "commit": "c0", "change": "", "op": op}
    assert answers[1].result == row | UNDONE


def test_an_entry_that_is_known_stays_as_it_is(hall: Hall) -> None:
    """What became of it is in the table."""
    undo(hall)
    rejected = replace(ENTRY, state="rejected", reason="by hand")
    hall.record.record_entries((rejected,), [])
    assert again(hall).recover().queue.entries == {7: rejected}


def test_one_that_landed_is_landed(hall: Hall) -> None:
    """The landing is the later operation."""
    undo(hall)
    publish(hall, {LANDED: json.dumps([[7, "r1", "t1"]]), FIRST_EVENT: "9"})
    assert again(hall).recover().queue.entries[7].state == "landed"


def test_imports_are_events(hall: Hall) -> None:
    """Subscribers hear of what git did, also after the hub's death."""
    first = hall.record.next_event
    rows = [["a", "c0", "c1"]]
    op = publish(hall, {IMPORTED: json.dumps(rows), FIRST_EVENT: str(first)})
    found = again(hall).recover().conversation.events[-1]
    event = {"kind": "imported", "agent": "a", "before": "c0", "commit": "c1", "op": op}
    assert found == (first, {"cursor": first, **event})
