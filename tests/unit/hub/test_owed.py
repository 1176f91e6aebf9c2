"""A disk that is full for a moment, right after an operation that changes queue entries."""

import pytest

from tatami.hub.committing import Identity
from tatami.hub.importing import Importing
from tatami.hub.landing.queue import LandingQueue
from tatami.hub.record import Record
from tatami.hub.undoing.hall import Hall as Around
from tatami.hub.undoing.undo import Undoing
from tatami.protocol.messages import Undo
from tatami.schedule.landing import Entry
from tatami.store.ledger import Ledger
from tatami.values.errors import TatamiError
from tatami.values.ids import CommandId
from tests.unit.hub.conftest import Hall


@pytest.fixture
def full(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> list[TatamiError]:
    """The errors that the next saves of entries end with."""
    errors: list[TatamiError] = []
    save = hall.record.ledger.save

    def failing(self: Ledger, *arguments: object, **named: object) -> None:
        if errors and len(arguments) > 1 and arguments[1]:
            raise errors.pop()
        save(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "save", failing)
    return errors


def recovered(hall: Hall) -> dict[int, Entry]:
    """The queue as the next hub finds it, once this one has had a quiet moment."""
    hall.record.save()
    return dict(Record(hall.record.repository, hall.record.ledger).recover().queue.entries)


def test_what_the_user_took_off_the_trunk_is_handed_back(
    hall: Hall, full: list[TatamiError]
) -> None:
    """Its entry does not stay landed for ever.

    The story: the checkpoint of a quiet moment passed the operation, which nothing looked at again.
    """
    lander = hall.lander()
    lander.attempt([hall.queued(1, hall.commit("a", "a.txt"))])
    (hall.root / "a.txt").write_bytes(b"the user's\n")
    hall.git("commit", "--quiet", "--all", "--amend", "-m", "amended")
    full.append(TatamiError("full", code="no_space"))
    lander.follow()
    assert full == []
    assert [entry.state for entry in hall.corrected] == ["handed_back"]
    assert recovered(hall)[1].state == "handed_back"


class _Queue(LandingQueue):
    """Takes note of what it is told, and does nothing."""

    def __init__(self) -> None:
        self.told: list[Entry] = []

    def queued(self, entries: tuple[Entry, ...]) -> None:
        """Notes the entries."""
        self.told += entries


def test_what_is_to_take_a_landing_back_is_queued(hall: Hall, full: list[TatamiError]) -> None:
    """The undo is answered, and its entry is in the queue of this hub and of the next."""
    hall.lander().attempt([hall.queued(1, hall.commit("a", "a.txt"))])
    queue = _Queue()
    around = Around(hall.write, lambda *_: None, queue, lambda: hall.write(lambda: None))
    undoing = Undoing(hall.record, Importing(hall.record), Identity("T", "t@example.org"), around)
    id = f"{1:024x}:1"
    full.append(TatamiError("full", code="no_space"))
    answer = undoing.undo(CommandId.parse(id), Undo(n=1, id=id, agent="a"))
    assert full == []
    assert answer.error is None
    assert [entry.undoes for entry in queue.told] == [True]
    assert [entry.undoes for entry in recovered(hall).values() if entry.number != 1] == [True]
