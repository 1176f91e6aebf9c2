"""Landing on a real repository while the user's git moves the trunk, and what lands only once."""

from dataclasses import replace

import pytest

from tatami.hub.record import Record
from tatami.values.errors import TatamiError
from tests.unit.hub.conftest import Hall


def test_a_landing_is_the_tree_that_was_verified(hall: Hall) -> None:
    """The entry names the tree of the commit on the trunk."""
    entry = hall.queued(1, hall.commit("a", "a.txt"), verify="test -f a.txt")
    (done,) = hall.lander().attempt([entry])
    assert (done.state, done.tree) == ("landed", hall.git("rev-parse", "main^{tree}"))


def test_what_the_user_commits_before_it_is_published_is_verified_too(hall: Hall) -> None:
    """The trunk moved after the command had run: it runs again, on the tree that then lands.

    The story: the writer was busy for a moment, and nobody looked again once it was free.
    """
    hall.before.append(hall.user_commits)
    counted = f"ls | wc -l >> {hall.root.parent}/runs"
    entry = hall.queued(1, hall.commit("a", "a.txt"), verify=counted)
    (done,) = hall.lander().attempt([entry])
    runs = [int(line) for line in (hall.root.parent / "runs").read_text().split()]
    assert [one - runs[0] for one in runs] == [0, 1]
    assert (done.state, done.reason) == ("landed", "")
    assert done.tree == hall.git("rev-parse", "main^{tree}")
    assert hall.landings() == [[(1, entry.commits[0])]]


def test_a_landing_the_user_got_ahead_of_loses_its_proof(hall: Hall) -> None:
    """The user committed between the operation and the move of git's branch: both stay.

    The story: the entry went on naming the tree that was verified, which was never on the trunk.
    """
    hall.after.append(hall.user_commits)
    entry = hall.queued(1, hall.commit("a", "a.txt"), verify="test ! -e user.txt")
    (done,) = hall.lander().attempt([entry])
    assert (done.state, done.tree) == ("landed", "")
    assert done.reason == "the trunk was moved in git after this was verified"
    assert hall.git("log", "-2", "--format=%s", "main").split("\n") == ["a.txt", "by git"]
    assert done.landed == (hall.git("rev-parse", "main"),)
    assert hall.record.ledger.entry(1) == done
    assert hall.corrected == []


def test_a_commit_on_the_trunk_does_not_land_again(hall: Hall) -> None:
    """Another entry has it as well: only the rest of its commits lands, on top."""
    first = hall.commit("a", "a.txt")
    second = hall.commit("a", "b.txt", first)
    lander = hall.lander()
    lander.attempt([hall.queued(1, first)])
    (done,) = lander.attempt([hall.queued(2, first, second)])
    assert (done.state, done.landed) == ("landed", (first, second))
    assert hall.landings() == [[(1, first)], [(2, second)]]


def test_a_commit_in_two_entries_of_an_attempt_lands_once(hall: Hall) -> None:
    """The second of them has landed with the first."""
    hall.user_commits()
    shared = hall.commit("a", "a.txt", hall.git("rev-parse", "main^"))
    entries = [hall.queued(1, shared), hall.queued(2, shared)]
    first, second = hall.lander().attempt(entries)
    assert (first.state, second.state) == ("landed", "landed")
    assert first.landed == second.landed == (hall.git("rev-parse", "main"),)
    assert hall.landings() == [[(1, shared)]]


def test_what_is_left_of_a_landing_lands_alone(hall: Hall) -> None:
    """The user amended the second of two landed commits: the first stays as it is on the trunk.

    The story: a retry landed the first one a second time, as an empty commit.
    """
    first = hall.commit("a", "a.txt")
    second = hall.commit("a", "b.txt", first)
    entry = hall.queued(1, first, second)
    lander = hall.lander()
    lander.attempt([entry])
    (hall.root / "b.txt").write_bytes(b"user's\n")
    hall.git("commit", "--quiet", "--all", "--amend", "-m", "amended")
    lander.follow()
    assert [(e.number, e.state) for e in hall.corrected] == [(1, "handed_back")]
    hall.git("rm", "--quiet", "b.txt")
    hall.git("commit", "--quiet", "-m", "make room")
    (done,) = lander.attempt([replace(hall.corrected[0], state="queued")])
    assert (done.state, done.landed) == ("landed", (first, hall.git("rev-parse", "main")))
    subjects = hall.git("log", "-4", "--format=%s", "main").split("\n")
    assert subjects == ["b.txt", "make room", "amended", "a.txt"]


def test_what_builds_on_a_landing_the_user_took_away_is_handed_back(hall: Hall) -> None:
    """The trunk moved a moment before the attempt, and the queue could not know."""
    first = hall.commit("a", "a.txt")
    second = hall.commit("a", "b.txt", first)
    lander = hall.lander()
    lander.attempt([hall.queued(1, first)])
    (hall.root / "a.txt").write_bytes(b"user's\n")
    hall.git("commit", "--quiet", "--all", "--amend", "-m", "amended")
    (done,) = lander.attempt([replace(hall.queued(2, second), builds_on=(1,))])
    assert (done.state, done.reason) == ("handed_back", "builds on entry 1, which did not land")
    assert hall.git("log", "-1", "--format=%s", "main") == "amended"


def test_a_landing_no_longer_listed_moves_with_the_trunk(hall: Hall) -> None:
    """What a commit is on the trunk stays known after its entry has been forgotten.

    The story: its id was the old one for ever, and `land` took the line for landed where it was.
    """
    commit = hall.commit("a", "a.txt")
    lander = hall.lander()
    lander.attempt([hall.queued(1, commit)])
    hall.record.ledger.forget_entries([1])
    hall.git("reset", "--quiet", "--hard", "main^")
    hall.user_commits()
    lander.follow()
    assert hall.record.landed == {commit: hall.git("rev-parse", "main")}
    assert hall.record.ledger.landed() == hall.record.landed


def test_a_move_of_the_trunk_is_not_looked_at_again(hall: Hall) -> None:
    """What it did to entries is recorded with it: a new hub takes them as they are in the ledger.

    The story: an entry retried after the move was handed back again by the next hub.
    """
    commit = hall.commit("a", "a.txt")
    lander = hall.lander()
    lander.attempt([hall.queued(1, commit)])
    (hall.root / "a.txt").write_bytes(b"user's\n")
    hall.git("commit", "--quiet", "--all", "--amend", "-m", "amended")
    lander.follow()
    retried = hall.queued(1, commit)
    found = Record(hall.record.repository, hall.record.ledger).recover()
    assert found.queue.entries == {1: retried}


def test_a_landing_that_finds_no_space_is_nobody_s_failure(hall: Hall) -> None:
    """However often: the entry stays queued as it is, and the caller hears of the disk.

    The story: the second time in a row the entry was rejected.
    """

    def publish_in_vain() -> None:
        raise TatamiError("the disk is full", code="no_space", retryable=True)

    entry = replace(hall.queued(1, hall.commit("a", "a.txt")), reason="the disk is full")
    hall.before.append(publish_in_vain)
    with pytest.raises(TatamiError) as refused:
        hall.lander().attempt([entry])
    assert refused.value.code == "no_space"
    assert [one.state for one in hall.record.entries()] == ["queued"]
