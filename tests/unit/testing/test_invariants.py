"""Each invariant broken by hand: its checker says so, and says nothing where nothing is wrong."""

import random
from dataclasses import replace

import pytest

from tatami.testing import invariants
from tatami.testing.invariants import Call, Operation, Violation

FIRST = Operation("op1", (), (("a:1", "a", "c1"),))
SECOND = Operation("op2", ("op1",), (("b:1", "b", "c2"),), ((1, "c1", "t1"),))
LOG = {"op1": FIRST, "op2": SECOND}


def numbers(violations: list[Violation]) -> list[str]:
    """Which invariants were found broken."""
    return [violation.invariant for violation in violations]


def test_i1_an_acknowledged_commit_that_is_gone_is_reported() -> None:
    """Its operation is not reachable, or holds another commit under the command's id."""
    acks = {"a:1": "c1", "b:1": "c2"}
    assert invariants.acknowledged_survive(acks, LOG.values()) == []
    assert numbers(invariants.acknowledged_survive(acks, [FIRST])) == ["I1"]
    other = replace(SECOND, commands=(("b:1", "b", "c3"),))
    assert numbers(invariants.acknowledged_survive(acks, [FIRST, other])) == ["I1"]


def test_i2_what_is_reachable_and_not_whole_is_reported() -> None:
    """A missing parent, and a log without a head."""
    assert invariants.closed(["op2"], LOG.get) == ([SECOND, FIRST], [])
    assert numbers(invariants.closed(["op2"], {"op2": SECOND}.get)[1]) == ["I2"]
    assert numbers(invariants.closed([], LOG.get)[1]) == ["I2"]


def test_i6_a_command_in_two_operations_is_reported() -> None:
    """Several rows of one operation are one effect."""
    twice = replace(FIRST, commands=FIRST.commands * 2)
    assert invariants.one_effect([twice, SECOND]) == []
    redone = replace(SECOND, commands=FIRST.commands)
    assert numbers(invariants.one_effect([FIRST, redone])) == ["I6"]


def test_i6_two_different_answers_are_reported() -> None:
    """Who resends is told what it was told before."""
    assert invariants.same_answer({"a:1": ["c1", "c1"]}) == []
    assert numbers(invariants.same_answer({"a:1": ["c1", "c2"]})) == ["I6"]


def test_i7_what_lands_twice_is_reported() -> None:
    """Through two entries, or through one entry twice."""
    assert invariants.landed_once(LOG.values()) == []
    again = replace(SECOND, id="op3", landed=((2, "c1", "t2"),))
    assert numbers(invariants.landed_once([SECOND, again])) == ["I7"]


def test_i7_what_is_dropped_is_reported() -> None:
    """What somebody was told of is held."""
    assert invariants.nothing_dropped({"entry 1": "queued"}, {"entry 1"}) == []
    assert numbers(invariants.nothing_dropped({"entry 1": "queued"}, set())) == ["I7"]


def test_i7_a_landing_without_its_parent_is_reported() -> None:
    """The parent has landed before it, or is on the trunk as it is."""
    parent = {"c1": "root", "c2": "c1"}
    both = replace(SECOND, landed=((1, "c1", "t1"), (2, "c2", "t2")))
    alone = replace(SECOND, landed=((2, "c2", "t2"),))
    assert invariants.lands_on_its_parents([both], parent, {"root"}) == []
    assert numbers(invariants.lands_on_its_parents([alone], parent, {"root"})) == ["I7"]


def test_i10_an_effect_before_one_that_was_answered_already_is_reported() -> None:
    """Who asks after an answer comes after it; those at once come in any order."""
    early, late = Call("a:1", 0.0, 1.0, 1), Call("b:1", 2.0, 3.0, 2)
    at_once = Call("c:1", 0.5, 2.5, 3)
    assert invariants.linearizable([early, late, at_once]) == []
    swapped = [replace(early, position=2), replace(late, position=1)]
    assert numbers(invariants.linearizable(swapped)) == ["I10"]


def test_i10_a_place_taken_twice_is_reported() -> None:
    """There is one order."""
    calls = [Call("a:1", 0.0, 1.0, 1), Call("b:1", 0.0, 1.0, 1)]
    assert numbers(invariants.linearizable(calls)) == ["I10"]


def test_i10_agrees_with_the_definition() -> None:
    """The quick checker finds exactly the histories in which some pair is the wrong way round."""
    rng = random.Random(7)
    for _ in range(300):
        places = rng.sample(range(6), 6)
        calls = []
        for number, place in enumerate(places):
            sent = rng.random()
            calls.append(Call(str(number), sent, sent + rng.random() / 3, place))
        wrong = any(a.acked < b.sent and a.position > b.position for a in calls for b in calls)
        assert bool(invariants.linearizable(calls)) == wrong


@pytest.mark.parametrize("broken", [[2, 4], [2, 3, 3], [3, 4], [2, 1]])
def test_i10_a_stream_with_a_gap_or_a_double_is_reported(broken: list[int]) -> None:
    """From its cursor on, every event once and in order."""
    whole = [(number, f"event {number}") for number in (2, 3, 4)]
    assert invariants.prefixes({"a": (1, whole)}, {}) == []
    stream = [(number, f"event {number}") for number in broken]
    assert "I10" in numbers(invariants.prefixes({"a": (1, stream)}, {}))


def test_i10_subscribers_that_see_different_events_are_reported() -> None:
    """One number is one event, to everybody and in the operation log."""
    streams = {"a": (0, [(1, "x")]), "b": (0, [(1, "y")])}
    assert numbers(invariants.prefixes(streams, {})) == ["I10"]
    assert numbers(invariants.prefixes({"a": (0, [(1, "x")])}, {1: "z"})) == ["I10"]


def test_i12_what_grows_over_its_limit_is_reported() -> None:
    """At the limit all is well."""
    assert invariants.bounded({"events": 3}, {"events": 3}) == []
    assert numbers(invariants.bounded({"events": 4}, {"events": 3})) == ["I12"]
