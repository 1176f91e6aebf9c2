"""Group commit: who waits, for how long, and in which order they are flushed."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tatami.schedule import batch
from tatami.schedule.batch import Arrived, Flush, Flushed, Settings, State, Tick, WakeAt
from tatami.values.limits import BATCH_BYTES_MAX

Happening = Arrived[str] | Flushed | Tick
WINDOW_S = 0.004
FLUSH_S = 0.003


def state(size: int = 100, timeout_s: float = 0.5, window_s: float = WINDOW_S) -> State[str]:
    """A hub that has done nothing yet."""
    return State(Settings(size, timeout_s, window_s, recent_s=0.05))


def arrive(agent: str, work: str = "", size: int = 10) -> Arrived[str]:
    """A commit of an agent."""
    return Arrived(agent, work or agent, size)


def feed(at: State[str], *inputs: tuple[float, Happening]) -> list[Flush[str] | WakeAt]:
    """Steps through timed inputs; returns the effects of the last one."""
    effects: list[Flush[str] | WakeAt] = []
    for now, happening in inputs:
        effects = batch.step(at, happening, now)[1]
    return effects


def test_an_idle_hub_flushes_at_once() -> None:
    """A lone commit waits for nobody."""
    assert feed(state(), (1.0, arrive("a"))) == [Flush(("a",))]


def test_commits_gather_while_a_flush_is_under_way() -> None:
    """There is one flush at a time."""
    assert feed(state(), (1.0, arrive("a")), (1.001, arrive("b")), (1.002, arrive("c"))) == []


def test_nothing_is_flushed_where_nothing_waits() -> None:
    """The end of a flush on an idle hub is just that."""
    assert feed(state(), (1.0, arrive("a")), (1.006, Flushed(FLUSH_S))) == []


def test_after_a_flush_those_just_answered_are_waited_for() -> None:
    """The window begins when the flush ends, not when the first of the waiting arrived.

    The story: counted from the arrival it was over before the flush was, and ten agents fell into
    two waves of five that never met.
    """
    hub = state()
    effects = feed(hub, (1.0, arrive("a")), (1.001, arrive("b")), (1.006, Flushed(FLUSH_S)))
    assert effects == [WakeAt(1.006 + WINDOW_S)]


def test_where_flushes_are_dear_the_window_is_as_long_as_one() -> None:
    """Waiting longer than the window pays while it may save a whole flush."""
    hub = state()
    effects = feed(hub, (1.0, arrive("a")), (1.001, arrive("b")), (1.02, Flushed(0.02)))
    assert effects == [WakeAt(1.02 + 0.02)]


def test_without_a_window_nobody_is_waited_for() -> None:
    """A window of 0 switches the waiting off."""
    hub = state(window_s=0.0)
    effects = feed(hub, (1.0, arrive("a")), (1.001, arrive("b")), (1.02, Flushed(0.02)))
    assert effects == [Flush(("b",))]


def test_once_everybody_is_back_nobody_waits_longer() -> None:
    """The last of those who were active a moment ago completes the batch."""
    hub = state()
    feed(hub, (1.0, arrive("a")), (1.001, arrive("b")), (1.006, Flushed(FLUSH_S)))
    assert feed(hub, (1.007, arrive("a", "a2"))) == [Flush(("b", "a2"))]


def test_the_window_ends_the_waiting() -> None:
    """Who does not come back in time is not waited for."""
    hub = state()
    feed(hub, (1.0, arrive("a")), (1.001, arrive("b")), (1.006, Flushed(FLUSH_S)))
    assert feed(hub, (1.006 + WINDOW_S, Tick())) == [Flush(("b",))]


def test_a_tick_that_comes_early_only_asks_again() -> None:
    """A stale timer flushes nothing before its time."""
    hub = state()
    feed(hub, (1.0, arrive("a")), (1.001, arrive("b")), (1.006, Flushed(FLUSH_S)))
    assert feed(hub, (1.007, Tick())) == [WakeAt(1.006 + WINDOW_S)]


def test_who_was_silent_for_a_while_is_not_waited_for() -> None:
    """An agent that went away costs the others nothing."""
    hub = state()
    feed(hub, (1.0, arrive("a")), (1.006, Flushed(FLUSH_S)), (1.01, arrive("b")))
    assert feed(hub, (1.02, Tick()), (1.03, Flushed(FLUSH_S)), (2.0, arrive("b", "b2"))) == [
        Flush(("b2",))
    ]


def test_nobody_waits_for_others_beyond_the_timeout() -> None:
    """A commit that arrived during a long flush is flushed right behind it."""
    hub = state(timeout_s=0.01, window_s=0.5)
    effects = feed(hub, (1.0, arrive("a")), (1.001, arrive("b")), (1.02, Flushed(0.02)))
    assert effects == [Flush(("b",))]


def test_what_a_full_batch_left_behind_has_waited_since_it_arrived() -> None:
    """The timeout of a commit that did not fit counts from its arrival."""
    hub = state(size=1, timeout_s=0.02, window_s=0.5)
    feed(hub, (1.0, arrive("a")), (1.0, arrive("b")), (1.0, arrive("c")))
    assert feed(hub, (1.5, Flushed(0.5))) == [Flush(("b",))]
    hub.settings = Settings(size=9, timeout_s=0.02, window_s=0.5)
    assert feed(hub, (1.51, Flushed(0.01))) == [Flush(("c",))]


def test_a_batch_holds_at_most_its_size() -> None:
    """What does not fit is flushed next."""
    hub = state(size=3)
    feed(hub, (1.0, arrive("first")))
    for number in range(5):
        feed(hub, (1.001, arrive(f"a{number}")))
    assert feed(hub, (1.006, Flushed(FLUSH_S))) == [Flush(("a0", "a1", "a2"))]
    assert feed(hub, (1.012, Flushed(FLUSH_S)), (1.02, Tick())) == [Flush(("a3", "a4"))]


def test_large_contents_fill_a_batch_too() -> None:
    """Bytes are bounded: one large file does not travel with many others."""
    hub = state()
    feed(hub, (1.0, arrive("first")))
    feed(hub, (1.001, arrive("a", size=BATCH_BYTES_MAX)), (1.001, arrive("b")))
    assert feed(hub, (1.006, Flushed(FLUSH_S))) == [Flush(("a",))]


def test_a_commit_larger_than_a_batch_goes_alone() -> None:
    """The bound delays nobody for ever."""
    assert feed(state(), (1.0, arrive("a", size=BATCH_BYTES_MAX * 4))) == [Flush(("a",))]


def test_an_agent_with_many_commits_crowds_nobody_out() -> None:
    """A batch takes one commit of each agent in turn, an agent's own in order."""
    hub = state(size=4)
    feed(hub, (1.0, arrive("first")))
    for work in ("a1", "a2", "a3", "a4", "a5"):
        feed(hub, (1.001, arrive("a", work)))
    feed(hub, (1.002, arrive("b", "b1")), (1.003, arrive("c", "c1")))
    assert feed(hub, (1.006, Flushed(FLUSH_S))) == [Flush(("a1", "b1", "c1", "a2"))]


def test_those_left_out_come_first_next_time() -> None:
    """Nobody is left out twice in a row while others are taken again."""
    hub = state(size=2)
    feed(hub, (1.0, arrive("first")))
    for agent in "abc":
        feed(hub, (1.001, arrive(agent, agent + "1")), (1.001, arrive(agent, agent + "2")))
    assert feed(hub, (1.01, Flushed(FLUSH_S))) == [Flush(("a1", "b1"))]
    assert feed(hub, (1.02, Flushed(FLUSH_S))) == [Flush(("c1", "a2"))]


def waiting(size: int, content: int = 10) -> State[str]:
    """A hub that flushes `a` while `b` and `c` have come, `b` with so many bytes."""
    hub = state(size, window_s=0.5)
    feed(hub, (1.0, arrive("a")), (1.001, arrive("b", size=content)), (1.001, arrive("c")))
    return hub


@pytest.mark.parametrize(
    ("size", "content", "expected"),
    [
        (3, 10, [WakeAt(1.501)]),
        (2, 10, [Flush(("b", "c"))]),
        (3, BATCH_BYTES_MAX - 10, [Flush(("b", "c"))]),
        (3, BATCH_BYTES_MAX - 11, [WakeAt(1.501)]),
    ],
    ids=["room", "full", "full of bytes", "room for a byte"],
)
def test_a_full_batch_waits_for_nobody(
    size: int, content: int, expected: list[Flush[str] | WakeAt]
) -> None:
    """Where nobody else would fit, those of a moment ago are not waited for."""
    assert feed(waiting(size, content), (1.002, Flushed(FLUSH_S))) == expected


def test_one_dear_flush_among_many_does_not_make_the_window_long() -> None:
    """What a flush costs is averaged: a fifth of the newest counts."""
    hub = state(timeout_s=9.0)
    feed(hub, (1.0, arrive("a")), (1.25, Flushed(0.25)), (2.0, arrive("a")))
    effects = feed(hub, (2.001, arrive("b")), (2.5, Flushed(0.5)))
    assert effects == [WakeAt(2.5 + (0.8 * 0.25 + 0.2 * 0.5))]


def slow(cost_s: float) -> State[str]:
    """A hub on which `a` was heard of at 1.0 and flushed for so long, and which is free again."""
    hub = State[str](Settings(size=9, timeout_s=9.0, window_s=0.125, recent_s=0.5))
    feed(hub, (1.0, arrive("a")), (1.0 + cost_s, Flushed(cost_s)))
    return hub


@pytest.mark.parametrize(
    ("cost_s", "now", "expected"),
    [
        (0.125, 1.5, [WakeAt(1.625)]),
        (0.125, 1.5625, [Flush(("b",))]),
        (0.25, 1.75, [WakeAt(2.0)]),
        (0.25, 1.8125, [Flush(("b",))]),
    ],
    ids=["recent", "silent", "recent for a slow hub", "silent even for a slow hub"],
)
def test_who_was_heard_of_recently_is_waited_for(
    cost_s: float, now: float, expected: list[Flush[str] | WakeAt]
) -> None:
    """Recent is half a second here, or three flushes where those take longer; not more."""
    assert feed(slow(cost_s), (now, arrive("b"))) == expected


@dataclass
class Loop:
    """A hub with its clock and timer, driven as `hub.Hub` does: a flush takes `FLUSH_S`."""

    hub: State[str]
    now: float = 1.0
    wake: float | None = None
    ends: float | None = None
    flushed: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    free_since: list[float] = field(default_factory=lambda: [0.0])

    def step(self, happening: Happening) -> None:
        """Feeds one input now."""
        for effect in batch.step(self.hub, happening, self.now)[1]:
            if isinstance(effect, WakeAt):
                self.wake = effect.time
            else:
                assert self.ends is None, "two flushes at a time"
                self.flushed.append((self.now, effect.work))
                self.ends, self.wake = self.now + FLUSH_S, None

    def run_until(self, time: float) -> None:
        """Lets timers and flush ends happen until a time."""
        while True:
            due = min((t for t in (self.wake, self.ends) if t is not None), default=None)
            if due is None or due > time:
                self.now = time
                return
            self.now = due
            if due == self.ends:
                self.ends = None
                self.free_since.append(due)
                self.step(Flushed(FLUSH_S))
            else:
                self.wake = None
                self.step(Tick())


ARRIVALS = st.lists(
    st.tuples(st.floats(0, 0.03), st.sampled_from("abcd"), st.integers(1, BATCH_BYTES_MAX)),
    max_size=30,
)


@given(ARRIVALS, st.integers(1, 6), st.sampled_from([0.0, 0.002, 0.02]))
def test_every_commit_is_flushed_once_in_its_agents_order(
    arrivals: list[tuple[float, str, int]], size: int, window_s: float
) -> None:
    """Whatever arrives whenever: nothing is lost, doubled or overtaken by its own agent."""
    loop = Loop(state(size, window_s=window_s))
    sent: dict[str, list[str]] = {agent: [] for agent in "abcd"}
    for number, (pause, agent, content) in enumerate(arrivals):
        loop.run_until(loop.now + pause)
        sent[agent].append(f"{agent}{number}")
        loop.step(Arrived(agent, f"{agent}{number}", content))
    loop.run_until(loop.now + 10)
    got: dict[str, list[str]] = {agent: [] for agent in "abcd"}
    for _, works in loop.flushed:
        assert 1 <= len(works) <= size
        for work in works:
            got[work[0]].append(work)
    assert got == sent
    assert (loop.hub.count, loop.hub.bytes, loop.hub.waiting) == (0, 0, {})


@given(ARRIVALS, st.sampled_from([0.0, 0.002, 0.02, 1.0]), st.sampled_from([0.001, 0.5]))
def test_a_free_hub_keeps_nobody_longer_than_window_and_timeout(
    arrivals: list[tuple[float, str, int]], window_s: float, timeout_s: float
) -> None:
    """Waiting for others ends with the window, and in any case at the timeout."""
    loop = Loop(state(timeout_s=timeout_s, window_s=window_s))
    arrived: dict[str, float] = {}
    for number, (pause, agent, _) in enumerate(arrivals):
        loop.run_until(loop.now + pause)
        arrived[str(number)] = loop.now
        loop.step(Arrived(agent, str(number), 1))
    loop.run_until(loop.now + 10)
    for time, works in loop.flushed:
        free = max(end for end in loop.free_since if end <= time)
        for work in works:
            could = max(arrived[work], free)
            window = max(window_s, FLUSH_S) if window_s else 0.0
            assert time - could <= min(window, timeout_s) + 1e-9


@pytest.mark.parametrize("agents", [2, 10, 50])
def test_agents_in_a_closed_loop_share_their_flushes(agents: int) -> None:
    """Agents that commit again right after each answer settle into one batch of all of them."""
    loop = Loop(state())
    for number in range(agents):
        loop.run_until(loop.now + 0.0005)
        loop.step(arrive(f"a{number}"))
    for answered in range(12):
        while len(loop.free_since) < answered + 2:
            loop.run_until(min(t for t in (loop.wake, loop.ends) if t is not None))
        for agent in loop.flushed[answered][1]:
            loop.run_until(loop.now + 0.00005)
            loop.step(arrive(agent))
    assert [len(works) for _, works in loop.flushed[-4:]] == [agents] * 4
