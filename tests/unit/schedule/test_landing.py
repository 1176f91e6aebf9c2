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
    Conflict,
    Entry,
    Queued,
    State,
    StateName,
    forget_finished,
    hand_back_followers,
)
from tatami.values.errors import ConflictError, TatamiError, UsageError

Effects = list[Attempt | Changed]


def entry(
    number: int, agent: str = "", verify: str | None = None, on: tuple[int, ...] = ()
) -> Entry:
    """A queued entry on top of others; every one is of another agent unless one is named."""
    return Entry(number, agent or f"agent{number}", (f"c{number}",), verify, builds_on=on)


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
    queued = Queued((entry(1, "a"), entry(2, "a", on=(1,)), entry(3, "b")))
    feed(state, queued, Asked("resume", ()))
    effects = feed(state, ended(state, 1, as_=as_))
    assert (states(state), attempted(effects)) == ({1: as_, 2: "handed_back", 3: "landing"}, [3])
    assert state.entries[2].reason == "builds on entry 1, which did not land"


def test_what_was_handed_back_with_it_is_to_be_recorded() -> None:
    """The attempt recorded its own entries; the queue names the others before it goes on."""
    state = State(paused=True)
    feed(state, Queued((entry(1), entry(2, on=(1,)), entry(3))), Asked("resume", ()))
    effects = feed(state, ended(state, 1, as_="handed_back"))
    assert effects[0] == Changed((state.entries[2],))


def test_followers_of_followers_are_handed_back_at_once() -> None:
    """What builds on what builds on it goes back with it; each says what it builds on."""
    state = State(paused=True)
    feed(state, Queued((entry(1), entry(2, on=(1,)), entry(3, on=(2,)))), Asked("reject", (1,)))
    assert states(state) == {1: "rejected", 2: "handed_back", 3: "handed_back"}
    assert state.entries[3].reason == "builds on entry 2, which did not land"


def test_an_entry_of_the_agent_that_builds_on_something_else_stays() -> None:
    """An agent that went back to the trunk lands its new line though the old one was rejected."""
    state = State(paused=True)
    feed(state, Queued((entry(1, "a"), entry(2, "a"))), Asked("reject", (1,)))
    assert states(state) == {1: "rejected", 2: "queued"}


def test_an_entry_waits_for_what_it_builds_on() -> None:
    """A line that grew from another agent's is attempted after that one, not with it.

    The story: both were in one attempt, the first conflicted, and the second landed.
    """
    state = State(paused=True)
    feed(state, Queued((entry(1), entry(2, on=(1,)), entry(3))))
    assert attempted(feed(state, Asked("resume", ()))) == [1]
    assert attempted(feed(state, ended(state, 1))) == [2, 3]


def test_what_builds_on_a_landing_that_left_the_trunk_is_handed_back() -> None:
    """The user moved the trunk, and a landing no longer merges: what waits on it goes back."""
    state = State(paused=True)
    gone = replace(entry(1), state="handed_back")
    feed(state, Queued((replace(entry(1), state="landed"), entry(2, on=(1,)))))
    assert feed(state, Queued((gone,))) == [Changed((state.entries[2],))]
    assert states(state) == {1: "handed_back", 2: "handed_back"}


def test_what_a_hub_left_half_done_is_finished_by_the_next() -> None:
    """The failure was recorded, and the hub died before what follows from it was."""
    state = State({1: replace(entry(1), state="rejected"), 2: entry(2, on=(1,)), 3: entry(3)})
    assert hand_back_followers(state) == (state.entries[2],)
    assert states(state) == {1: "rejected", 2: "handed_back", 3: "queued"}


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


def test_a_retried_entry_forgets_its_conflicts() -> None:
    """They were those of an attempt on another trunk."""
    conflict = Conflict("a.txt", "b1", "b2", "b3")
    failed = replace(entry(1), state="handed_back", conflicts=(conflict,))
    state = State({1: failed}, paused=True)
    assert feed(state, Asked("retry", (1,))) == [Changed((entry(1),))]


@pytest.mark.parametrize("action", ["pause", "resume", "retry"])
def test_whatever_was_asked_is_recorded(action: str) -> None:
    """Also where no entry changed: the answer is recorded with it."""
    assert feed(State(), Asked(action, ())) == [Changed(())]  # type: ignore[arg-type]


def test_an_entry_named_twice_changes_once() -> None:
    """And what is recorded of several is recorded oldest first."""
    state = State(paused=True)
    feed(state, Queued((entry(1), entry(2))))
    effects = feed(state, Asked("reject", (2, 1, 2)))
    assert effects == [Changed((state.entries[1], state.entries[2]))]


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
    feed(state, Queued((entry(1), entry(2, on=(1,)))), Asked("reject", (1,)))
    assert states(state) == {1: "rejected", 2: "handed_back"}


def chain() -> State:
    """Three entries, each on the one before; the first conflicted. The queue is paused."""
    state = State()
    feed(state, Queued((entry(1),)), Queued((entry(2, on=(1,)), entry(3, on=(2,)))))
    feed(state, ended(state, 1, as_="handed_back"), Asked("pause", ()))
    return state


def test_a_follower_is_not_retried_before_what_it_builds_on() -> None:
    """It would land alone; the error names all that has to be retried, in order."""
    with pytest.raises(ConflictError, match="entry 3 builds on entry 2, which did") as refused:
        feed(chain(), Asked("retry", (3,)))
    expected = ("queue_state", "tatami queue retry 1 2 3")
    assert (refused.value.code, refused.value.fix) == expected


def test_all_that_an_entry_builds_on_is_named() -> None:
    """Also where it builds on two lines, each with something below it."""
    lines = entry(1), entry(2), entry(3, on=(1,)), entry(4, on=(2,)), entry(5, on=(3, 4))
    state = State({e.number: replace(e, state="handed_back") for e in lines}, paused=True)
    with pytest.raises(ConflictError) as refused:
        feed(state, Asked("retry", (5,)))
    assert refused.value.fix == "tatami queue retry 1 2 3 4 5"


def test_a_follower_may_be_rejected_whatever_it_builds_on() -> None:
    """Only a retry needs what is below: rejecting it lands nothing."""
    state = chain()
    feed(state, Asked("reject", (3,)))
    assert states(state) == {1: "handed_back", 2: "handed_back", 3: "rejected"}


def test_a_chain_is_retried_together_in_any_order() -> None:
    """Entries of one call count as retried for those that build on them."""
    state = chain()
    feed(state, Asked("retry", (3, 1, 2)))
    assert states(state) == {1: "queued", 2: "queued", 3: "queued"}


def test_a_follower_is_retried_once_what_it_builds_on_has_landed() -> None:
    """One after the other is as good as together."""
    state = chain()
    feed(state, Asked("retry", (1,)), Asked("resume", ()), ended(state, 1))
    assert attempted(feed(state, Asked("retry", (2,)))) == [2]


@pytest.mark.parametrize(
    ("as_", "fix"),
    [("queued", "tatami queue"), ("landing", "tatami queue"), ("landed", "tatami land a")],
)
def test_a_commit_is_not_retried_while_another_entry_has_it(as_: StateName, fix: str) -> None:
    """The line was queued anew meanwhile: an old entry would land the same commits again."""
    new = Entry(2, "a", ("c1", "c2"), None, state=as_)
    state = State({1: replace(entry(1, "a"), state="handed_back"), 2: new}, paused=True)
    with pytest.raises(ConflictError, match=f"c1 of entry 1 is {as_} with entry 2") as refused:
        feed(state, Asked("retry", (1,)))
    assert (refused.value.code, refused.value.fix) == ("queue_state", fix)


def test_two_entries_with_one_commit_are_not_retried_together() -> None:
    """The first of them counts as queued for the second."""
    lines = (entry(1), Entry(2, "a", ("c1", "c2"), None))
    state = State({e.number: replace(e, state="rejected") for e in lines}, paused=True)
    with pytest.raises(ConflictError, match="c1 of entry 2 is queued with entry 1"):
        feed(state, Asked("retry", (2, 1)))
    assert states(state) == {1: "rejected", 2: "rejected"}


def test_what_landed_through_another_entry_is_not_missed() -> None:
    """The commits below were queued anew and landed: what builds on them may follow."""
    fallen = replace(entry(1), state="rejected"), replace(entry(2, on=(1,)), state="handed_back")
    again = Entry(3, "agent1", ("c1",), None, state="landed")
    state = State({e.number: e for e in (*fallen, again)}, paused=True)
    feed(state, Asked("retry", (2,)))
    assert states(state) == {1: "rejected", 2: "queued", 3: "landed"}


@pytest.mark.parametrize("action", ["retry", "reject"])
def test_an_unknown_entry_is_refused(action: str) -> None:
    """There is nothing to act on, and the error says where to look."""
    with pytest.raises(UsageError, match=r"^the landing queue has no entry 7$") as refused:
        feed(State(), Asked(action, (7,)))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.fix) == ("not_found", "tatami queue")


@pytest.mark.parametrize(
    ("action", "past"), [("retry", "retried"), ("reject", "rejected")], ids=["retry", "reject"]
)
def test_an_entry_that_is_landing_or_landed_is_left_alone(action: str, past: str) -> None:
    """What may already be in the trunk cannot be taken back here."""
    state = State()
    feed(state, Queued((entry(1),)))
    with pytest.raises(
        ConflictError, match=f"^entry 1 is landing and cannot be {past}$"
    ) as refused:
        feed(state, Asked(action, (1,)))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.fix) == ("queue_state", "tatami queue")
    feed(state, ended(state, 1))
    with pytest.raises(ConflictError, match=f"entry 1 is landed and cannot be {past}"):
        feed(state, Asked(action, (1,)))  # type: ignore[arg-type]


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


def test_nothing_is_forgotten_while_there_are_few() -> None:
    """As many landed entries as are to be kept, or fewer, all stay."""
    state = State()
    feed(state, Queued((entry(1),)))
    feed(state, ended(state, 1))
    assert [forget_finished(state, keep) for keep in (3, 1)] == [(), ()]
    assert states(state) == {1: "landed"}


class Queue(RuleBasedStateMachine):
    """Drives the queue in any order; the invariants are what users rely on.

    Lines grow, are queued as the hub queues them (what is neither on the trunk nor in the queue,
    on top of what is in the queue), and may grow from the line of another agent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.under_way: tuple[Entry, ...] = ()
        self.landed: list[Entry] = []
        self.number = 0
        self.parent: dict[str, str] = {}
        self.heads = {"a": "", "b": ""}
        self.on_trunk: set[str] = set()

    def feed(self, happening: Queued | Attempted | Asked) -> None:
        """Steps and notes the attempt that begins."""
        if isinstance(happening, Attempted):
            self.under_way = ()
        for effect in landing.step(self.state, happening, 0.0)[1]:
            if isinstance(effect, Attempt):
                assert not self.under_way, "two attempts at a time"
                self.under_way = effect.entries

    def line(self, agent: str) -> list[str]:
        """The commits of an agent's line, oldest first."""
        commit = self.heads[agent]
        found: list[str] = []
        while commit:
            found.insert(0, commit)
            commit = self.parent[commit]
        return found

    @rule(
        agent=st.sampled_from("ab"),
        onto=st.sampled_from(["head", "head", "amended", "trunk", "other"]),
        land=st.booleans(),
    )
    def commit(self, agent: str, onto: str, land: bool) -> None:
        """An agent commits on a line, or instead of its newest commit, and may land that."""
        starts = {
            "head": self.heads[agent],
            "amended": self.parent.get(self.heads[agent], ""),
            "trunk": "",
            "other": self.heads["b" if agent == "a" else "a"],
        }
        new = f"c{len(self.parent)}"
        self.parent[new] = starts[onto]
        self.heads[agent] = new
        if land:
            self.queue(agent, None)

    @rule(agents=st.sampled_from(["a", "b", "ab"]), verify=st.sampled_from([None, "v"]))
    def queue(self, agents: str, verify: str | None) -> None:
        """Somebody lands some lines."""
        waiting = [e for e in self.state.entries.values() if e.state in ("queued", "landing")]
        holders = {commit: e.number for e in waiting for commit in e.commits}
        entries = []
        for agent in agents:
            line = [c for c in self.line(agent) if c not in self.on_trunk]
            own = tuple(c for c in line if c not in holders)
            below = tuple(sorted({holders[c] for c in line if c in holders}))
            if own:
                self.number += 1
                entries.append(Entry(self.number, agent, own, verify, builds_on=below))
                holders.update(dict.fromkeys(own, self.number))
        self.feed(Queued(tuple(entries)))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """The attempt ends, well or badly for each entry."""
        possible: list[StateName] = ["landed", "handed_back", "rejected", "queued"]
        outcomes = st.sampled_from(possible)
        done = [replace(e, state=data.draw(outcomes)) for e in self.under_way]
        before = set(self.on_trunk)
        for one in done:
            if one.state == "landed":
                self.land(one, before)
        self.feed(Attempted(tuple(done)))

    def land(self, entry: Entry, before: set[str]) -> None:
        """Each commit lands for the first time, and after its parent.

        before: what was on the trunk before the attempt: which entries of it land is not known.
        """
        self.landed.append(entry)
        assert self.on_trunk.isdisjoint(entry.commits), "a commit landed twice"
        for commit in entry.commits:
            below = {"", *before, *entry.commits}
            assert self.parent[commit] in below, "a commit landed before its parent"
        self.on_trunk.update(entry.commits)

    @rule()
    def die(self) -> None:
        """The hub is killed; the next one knows what was recorded."""
        for number, one in self.state.entries.items():
            if one.state == "landing":
                self.state.entries[number] = replace(one, state="queued")
        self.state.attempting = False
        self.under_way = ()
        hand_back_followers(self.state)
        self.feed(Queued(()))

    @precondition(lambda self: self.failed())
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Somebody retries some of what did not land."""
        some = st.lists(st.sampled_from(self.failed()), min_size=1, max_size=3)
        self.act("retry", data.draw(some))

    @rule(action=st.sampled_from(["retry", "reject", "pause", "resume"]), number=st.integers(1, 9))
    def meddle(self, action: str, number: int) -> None:
        """Somebody acts on the queue without looking at it."""
        self.act(action, [number])

    def act(self, action: str, numbers: list[int]) -> None:
        """What is refused changes nothing."""
        before = dict(self.state.entries)
        try:
            self.feed(Asked(action, tuple(numbers)))  # type: ignore[arg-type]
        except TatamiError:
            assert self.state.entries == before

    def failed(self) -> list[int]:
        """The entries that did not land."""
        entries = sorted(self.state.entries.items())
        return [n for n, e in entries if e.state in ("handed_back", "rejected")]

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
TestQueue.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
