"""The landing queue: what lands next, together with what, and what becomes of the rest."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tatami.schedule import landing
from tatami.schedule.landing import (
    GROUP_MAX,
    Asked,
    Attempt,
    Attempted,
    Changed,
    Entry,
    Queued,
    State,
    StateName,
    forget_finished,
)
from tatami.values.errors import ConflictError, TatamiError, UsageError

Effects = list[Attempt | Changed]


def entry(number: int, agent: str = "", verify: str | None = None) -> Entry:
    """A queued entry; every one is of another agent unless one is named."""
    return Entry(number, agent or f"agent{number}", (f"c{number}",), verify)


def feed(state: State, *happenings: Queued | Attempted | Asked) -> Effects:
    """Steps through inputs; returns the effects of the last one."""
    effects: Effects = []
    for one in happenings:
        effects = landing.step(state, one, 0.0)[1]
    return effects


def attempted(effects: Effects) -> list[int]:
    """The numbers of the entries an attempt was started with."""
    return [e.number for effect in effects if isinstance(effect, Attempt) for e in effect.entries]


def ended(state: State, *numbers: int, as_: StateName = "landed", reason: str = "") -> Attempted:
    """The attempt ends with these entries in a state."""
    done = (replace(state.entries[n], state=as_, reason=reason) for n in numbers)
    return Attempted(tuple(done))


def states(state: State) -> dict[int, str]:
    """The state of every entry."""
    return {number: e.state for number, e in sorted(state.entries.items())}


def test_what_is_queued_is_attempted_at_once() -> None:
    """A free queue starts with the first entry."""
    state = State()
    assert feed(state, Queued((entry(1),))) == [Attempt((entry(1),))]
    assert states(state) == {1: "landing"}


def test_there_is_one_attempt_at_a_time() -> None:
    """What arrives meanwhile waits."""
    assert feed(State(), Queued((entry(1),)), Queued((entry(2),))) == []


def test_entries_land_in_the_order_they_came() -> None:
    """Those that wait share the next attempt, oldest first."""
    state = State()
    feed(state, Queued((entry(1),)), Queued((entry(3), entry(2))))
    assert attempted(feed(state, ended(state, 1))) == [2, 3]


def test_a_group_has_a_most() -> None:
    """More entries than one attempt takes are attempted one group after the other."""
    state = State()
    effects = feed(state, Queued(tuple(entry(n) for n in range(1, GROUP_MAX + 3))))
    assert attempted(effects) == list(range(1, GROUP_MAX + 1))
    rest = feed(state, ended(state, *range(1, GROUP_MAX + 1)))
    assert attempted(rest) == [GROUP_MAX + 1, GROUP_MAX + 2]


def test_a_verified_entry_goes_alone() -> None:
    """Its command has to see exactly its own tree; those before it land first."""
    state = State(paused=True)
    feed(state, Queued((entry(1), entry(2, verify="make"), entry(3))))
    order = [attempted(feed(state, Asked("resume", ())))]
    order.append(attempted(feed(state, ended(state, 1))))
    order.append(attempted(feed(state, ended(state, 2))))
    assert order == [[1], [2], [3]]


def test_two_entries_of_an_agent_are_never_in_one_group() -> None:
    """The later one builds on the earlier one, so it waits until that has landed."""
    state = State(paused=True)
    feed(state, Queued((entry(1, "a"), entry(2, "b"), entry(3, "a"), entry(4, "c"))))
    assert attempted(feed(state, Asked("resume", ()))) == [1, 2]
    assert attempted(feed(state, ended(state, 1, 2))) == [3, 4]


@pytest.mark.parametrize("as_", ["handed_back", "rejected"])
def test_what_builds_on_an_entry_that_did_not_land_is_handed_back_too(as_: StateName) -> None:
    """The agent's later commits do not land without the earlier ones.

    The story: two landings of one agent were queued, the first conflicted, and the second landed
    as if its parent had never been there.
    """
    state = State(paused=True)
    feed(state, Queued((entry(1, "a"), entry(2, "a"), entry(3, "b"))), Asked("resume", ()))
    effects = feed(state, ended(state, 1, as_=as_))
    assert (states(state), attempted(effects)) == ({1: as_, 2: "handed_back", 3: "landing"}, [3])
    assert state.entries[2].reason == "builds on entry 1, which did not land"


def test_what_was_handed_back_with_it_is_to_be_recorded() -> None:
    """The attempt recorded its own entries; the queue names the others before it goes on."""
    state = State(paused=True)
    feed(state, Queued((entry(1, "a"), entry(2, "a"), entry(3))), Asked("resume", ()))
    effects = feed(state, ended(state, 1, as_="handed_back"))
    assert effects[0] == Changed((state.entries[2],))


def test_followers_of_several_entries_are_found_behind_the_first() -> None:
    """Whichever of an agent's entries fail together, everything behind the first goes back."""
    state = State(paused=True)
    feed(state, Queued((entry(1, "a"), entry(2, "a"), entry(3, "a"))), Asked("reject", (3, 1)))
    assert states(state) == {1: "rejected", 2: "handed_back", 3: "rejected"}


def test_an_attempt_whose_entries_all_landed_leaves_nothing_to_record() -> None:
    """Who carries out the attempt records its outcome."""
    state = State()
    feed(state, Queued((entry(1),)))
    assert feed(state, ended(state, 1)) == []


def test_an_entry_to_try_again_is_tried_again() -> None:
    """An attempt that was in somebody's way leaves its entries queued, still first."""
    state = State()
    feed(state, Queued((entry(1),)), Queued((entry(2),)))
    assert attempted(feed(state, ended(state, 1, as_="queued", reason="busy"))) == [1, 2]


def test_a_paused_queue_starts_nothing() -> None:
    """Entries are taken in while the queue is paused, but none is attempted."""
    state = State()
    assert attempted(feed(state, Asked("pause", ()), Queued((entry(1),)))) == []
    assert attempted(feed(state, Asked("resume", ()))) == [1]


def test_a_pause_lets_the_attempt_under_way_finish() -> None:
    """What has begun ends; the next does not begin."""
    state = State()
    feed(state, Queued((entry(1),)), Queued((entry(2),)), Asked("pause", ()))
    assert attempted(feed(state, ended(state, 1))) == []
    assert states(state) == {1: "landed", 2: "queued"}


@pytest.mark.parametrize("as_", ["handed_back", "rejected"])
def test_a_retried_entry_is_queued_and_attempted(as_: StateName) -> None:
    """Retry clears why it failed; the state to record is `queued`, before the attempt begins."""
    state = State()
    feed(state, Queued((entry(1),)))
    feed(state, ended(state, 1, as_=as_, reason="conflict"))
    assert feed(state, Asked("retry", (1,))) == [Changed((entry(1),)), Attempt((entry(1),))]


def test_a_retried_entry_keeps_its_place() -> None:
    """It lands before what was queued after it."""
    state = State()
    feed(state, Queued((entry(1),)))
    feed(state, ended(state, 1, as_="handed_back"), Asked("pause", ()), Queued((entry(2),)))
    feed(state, Asked("retry", (1,)))
    assert attempted(feed(state, Asked("resume", ()))) == [1, 2]


def test_a_rejected_entry_is_not_attempted() -> None:
    """Reject takes a queued entry out."""
    state = State(paused=True)
    feed(state, Queued((entry(1), entry(2))))
    effects = feed(state, Asked("reject", (1,)))
    gone = replace(entry(1), state="rejected", reason="rejected by hand")
    assert effects == [Changed((gone,))]
    assert attempted(feed(state, Asked("resume", ()))) == [2]


def test_rejecting_an_entry_hands_back_what_builds_on_it() -> None:
    """As if it had not merged."""
    state = State(paused=True)
    feed(state, Queued((entry(1, "a"), entry(2, "a"))), Asked("reject", (1,)))
    assert states(state) == {1: "rejected", 2: "handed_back"}


@pytest.mark.parametrize("action", ["retry", "reject"])
def test_an_unknown_entry_is_refused(action: str) -> None:
    """There is nothing to act on, and the error says where to look."""
    with pytest.raises(UsageError) as refused:
        feed(State(), Asked(action, (7,)))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.fix) == ("not_found", "tatami queue")


@pytest.mark.parametrize(
    ("action", "past"), [("retry", "retried"), ("reject", "rejected")], ids=["retry", "reject"]
)
def test_an_entry_that_is_landing_or_landed_is_left_alone(action: str, past: str) -> None:
    """What may already be in the trunk cannot be taken back here."""
    state = State()
    feed(state, Queued((entry(1),)))
    with pytest.raises(ConflictError, match=f"entry 1 is landing and cannot be {past}") as refused:
        feed(state, Asked(action, (1,)))  # type: ignore[arg-type]
    assert refused.value.code == "queue_state"


def test_a_refused_action_changes_nothing() -> None:
    """One bad number among good ones leaves all of them as they were."""
    state = State(paused=True)
    feed(state, Queued((entry(1),)))
    with pytest.raises(UsageError):
        feed(state, Asked("reject", (1, 9)))
    assert states(state) == {1: "queued"}


def test_only_the_oldest_landed_entries_are_forgotten() -> None:
    """What waits or was handed back stays, however old; the newest landed ones stay too."""
    state = State()
    for number in range(1, 6):
        feed(state, Queued((entry(number),)))
        feed(state, ended(state, number, as_="handed_back" if number == 1 else "landed"))
    assert forget_finished(state, keep=2) == (2, 3)
    assert states(state) == {1: "handed_back", 4: "landed", 5: "landed"}


class Queue(RuleBasedStateMachine):
    """Drives the queue in any order; the invariants are what users rely on."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.under_way: tuple[Entry, ...] = ()
        self.landed: list[Entry] = []
        self.number = 0

    def feed(self, happening: Queued | Attempted | Asked) -> None:
        """Steps and notes the attempt that begins."""
        if isinstance(happening, Attempted):
            self.under_way = ()
        for effect in landing.step(self.state, happening, 0.0)[1]:
            if isinstance(effect, Attempt):
                assert not self.under_way, "two attempts at a time"
                self.under_way = effect.entries

    @rule(agents=st.lists(st.sampled_from("ab"), max_size=3), verify=st.sampled_from([None, "v"]))
    def queue(self, agents: list[str], verify: str | None) -> None:
        """Somebody lands some lines."""
        first, self.number = self.number + 1, self.number + len(agents)
        new = [entry(first + n, agent, verify) for n, agent in enumerate(agents)]
        self.feed(Queued(tuple(new)))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """The attempt ends, well or badly for each entry."""
        possible: list[StateName] = ["landed", "handed_back", "rejected", "queued"]
        outcomes = st.sampled_from(possible)
        done = [replace(e, state=data.draw(outcomes)) for e in self.under_way]
        self.landed += [e for e in done if e.state == "landed"]
        self.feed(Attempted(tuple(done)))

    @rule(action=st.sampled_from(["retry", "reject", "pause", "resume"]), number=st.integers(1, 9))
    def act(self, action: str, number: int) -> None:
        """Somebody acts on the queue; what is refused changes nothing."""
        before = dict(self.state.entries)
        try:
            self.feed(Asked(action, (number,)))  # type: ignore[arg-type]
        except TatamiError:
            assert self.state.entries == before

    @invariant()
    def landed_once(self) -> None:
        """No entry ever lands twice."""
        numbers = [e.number for e in self.landed]
        assert len(numbers) == len(set(numbers))

    @invariant()
    def attempts_are_fair(self) -> None:
        """An attempt has one entry of each agent, in order, and a verified one is alone."""
        numbers = [e.number for e in self.under_way]
        agents = [e.agent for e in self.under_way]
        assert numbers == sorted(numbers)
        assert len(agents) == len(set(agents))
        assert len(agents) == 1 or all(e.verify is None for e in self.under_way)

    @invariant()
    def the_queue_never_stands_still(self) -> None:
        """Unless it is paused, something is under way while anything is queued."""
        waits = any(e.state == "queued" for e in self.state.entries.values())
        assert not waits or self.state.paused or self.under_way

    @invariant()
    def landing_is_what_is_under_way(self) -> None:
        """Exactly the entries of the attempt are shown as landing."""
        shown = [n for n, e in sorted(self.state.entries.items()) if e.state == "landing"]
        assert shown == [e.number for e in self.under_way]


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
