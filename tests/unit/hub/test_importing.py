"""A look at what git did that comes to nothing: put off, unless the disk has failed for good."""

import pytest

from tatami.hub.importing import Importing
from tatami.values.errors import BusyError, TatamiError
from tests.unit.hub.conftest import Hall


def looking(hall: Hall, monkeypatch: pytest.MonkeyPatch, error: TatamiError) -> Importing:
    """An import whose publication ends with an error."""

    def publish(_: object) -> None:
        raise error

    hall.commit("a", "a.txt")
    hall.git("branch", "agent/a", "main")
    monkeypatch.setattr(hall.record.repository, "publish", publish)
    return Importing(hall.record)


def test_a_look_that_is_not_possible_now_is_put_off(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one finds the same."""
    looking(hall, monkeypatch, BusyError("locked")).look_at_all()


def test_a_sync_that_fails_while_looking_is_told(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer ends the process.

    The story: it was logged as something that waits, and the hub went on.
    """
    failure = TatamiError("the disk", code="sync_failed")
    with pytest.raises(TatamiError) as failed:
        looking(hall, monkeypatch, failure).look_at_all()
    assert failed.value is failure
