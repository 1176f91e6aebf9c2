"""What of agents' lines is queued for landing, and on top of what."""

import pytest

from tatami.hub.importing import Importing
from tatami.hub.lines import Lines
from tatami.protocol.messages import Land
from tatami.schedule.landing import Entry
from tatami.values.errors import UsageError
from tatami.values.ids import CommandId
from tests.unit.hub.conftest import Hall


def land(hall: Hall, *agents: str) -> tuple[Entry, ...]:
    """Queues lines; returns the new entries."""
    lines = Lines(hall.record, Importing(hall.record))
    id = CommandId("0" * 24, hall.record.next_event)
    return lines.pin(id, Land(n=1, id=str(id), agents=list(agents)))[1]


def test_an_entry_names_what_it_builds_on(hall: Hall) -> None:
    """The line's earlier commits wait in the queue: the new ones are on top of that entry."""
    first = hall.commit("a", "a.txt")
    assert land(hall, "a") == (Entry(1, "a", (first,), None),)
    second = hall.commit("a", "b.txt", first)
    assert land(hall, "a") == (Entry(2, "a", (second,), None, builds_on=(1,)),)


def test_a_line_that_grew_from_another_agent_s_builds_on_its_entry(hall: Hall) -> None:
    """A commit is in one entry, also where two lines with it are queued at once.

    The story: it was in both, and landed twice.
    """
    first = hall.commit("a", "a.txt")
    second = hall.commit("b", "b.txt", first)
    one, two = land(hall, "a", "b")
    assert one == Entry(1, "a", (first,), None)
    assert two == Entry(2, "b", (second,), None, builds_on=(1,))


def test_an_agent_named_twice_is_queued_once(hall: Hall) -> None:
    """The second time there is nothing left to queue."""
    commit = hall.commit("a", "a.txt")
    assert land(hall, "a", "a") == (Entry(1, "a", (commit,), None),)


def test_what_waits_is_not_queued_again(hall: Hall) -> None:
    """There is nothing to land, and the error says so."""
    hall.commit("a", "a.txt")
    land(hall, "a")
    with pytest.raises(UsageError) as refused:
        land(hall, "a")
    assert refused.value.code == "nothing_to_land"
