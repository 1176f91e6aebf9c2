"""What becomes of a landed queue entry when the user moves the trunk in git."""

from dataclasses import replace

from tatami.hub.record import moved_entry
from tatami.schedule.landing import Entry

LANDED = Entry(1, "a", ("a1", "a2"), None, state="landed", landed=("t1", "t2"))


def test_an_entry_elsewhere_on_the_trunk_stays() -> None:
    """Other commits' new ids are nothing to it."""
    assert moved_entry(LANDED, {"t9": "u9"}) is LANDED


def test_an_entry_put_on_top_again_has_its_new_ids() -> None:
    """Those that kept their id keep it."""
    assert moved_entry(LANDED, {"t2": "u2"}).landed == ("t1", "u2")


def test_what_was_verified_is_not_claimed_of_another_tree() -> None:
    """The tree that was tested is not the one on the trunk: the proof goes, and it says so."""
    verified = replace(LANDED, verify="make test", tree="tested")
    moved = moved_entry(verified, {"t2": "u2"})
    expected = ("landed", "", "the trunk was moved in git after this was verified")
    assert (moved.state, moved.tree, moved.reason) == expected


def test_an_entry_without_a_verification_has_no_proof_to_lose() -> None:
    """Its tree is not the one on the trunk either, and there is nothing to say about that."""
    moved = moved_entry(replace(LANDED, tree="as it was"), {"t2": "u2"})
    assert (moved.state, moved.tree, moved.reason) == ("landed", "", "")


def test_an_entry_that_no_longer_merges_is_handed_back() -> None:
    """It has landed nowhere, and says why."""
    moved = moved_entry(LANDED, {"t1": "u1", "t2": ""})
    assert (moved.state, moved.landed) == ("handed_back", ())
    assert "no longer merges" in moved.reason


def test_an_entry_that_has_not_landed_stays() -> None:
    """A queued entry has no ids on the trunk."""
    queued = Entry(2, "a", ("a1",), None)
    assert moved_entry(queued, {"a1": "u1"}) is queued
