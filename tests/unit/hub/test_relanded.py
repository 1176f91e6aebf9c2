"""What becomes of a landed queue entry when the user moves the trunk in git."""

from tatami.hub.record import moved_entry
from tatami.schedule.landing import Entry

LANDED = Entry(1, "a", ("a1", "a2"), None, state="landed", landed=("t1", "t2"))


def test_an_entry_elsewhere_on_the_trunk_stays() -> None:
    """Other commits' new ids are nothing to it."""
    assert moved_entry(LANDED, {"t9": "u9"}) is LANDED


def test_an_entry_put_on_top_again_has_its_new_ids() -> None:
    """Those that kept their id keep it."""
    assert moved_entry(LANDED, {"t2": "u2"}).landed == ("t1", "u2")


def test_an_entry_that_no_longer_merges_is_handed_back() -> None:
    """It has landed nowhere, and says why."""
    moved = moved_entry(LANDED, {"t1": "u1", "t2": ""})
    assert (moved.state, moved.landed) == ("handed_back", ())
    assert "no longer merges" in moved.reason


def test_an_entry_that_has_not_landed_stays() -> None:
    """A queued entry has no ids on the trunk."""
    queued = Entry(2, "a", ("a1",), None)
    assert moved_entry(queued, {"a1": "u1"}) is queued
