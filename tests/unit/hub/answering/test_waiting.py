"""Who asks for the landing queue is answered once, when what it waits for is finished."""

from typing import cast

from tatami.hub.answering.waiting import Waiting, unfinished
from tatami.protocol.hub import Answer, Json
from tatami.protocol.messages import Queue
from tatami.schedule.landing import Entry, StateName

PLAIN: Json = {"paused": False, "waiting": ""}


def entry(number: int, state: StateName, *commits: str) -> Entry:
    """An entry of agent `a`."""
    return Entry(number, "a", commits or (f"c{number}",), None, state=state)


def queue(*entries: Entry) -> dict[int, Entry]:
    """A queue by number, in no particular order."""
    return {entry.number: entry for entry in reversed(entries)}


def listed(answer: Answer) -> list[object]:
    """The numbers of the entries in an answer."""
    return [row["entry"] for row in cast(list[Json], answer.result["entries"])]


def test_a_wait_is_answered_when_all_of_it_is_finished() -> None:
    """Landed, handed back and rejected are ends; the answer is given once."""
    waiting = Waiting()
    waiting.add(1, Queue(n=7, wait=[1, 2]))
    assert waiting.answers(queue(entry(1, "landed"), entry(2, "landing")), PLAIN) == []
    ((connection, n, answer),) = waiting.answers(
        queue(entry(1, "landed"), entry(2, "handed_back"), entry(3, "queued")), PLAIN
    )
    assert (connection, n, listed(answer)) == (1, 7, [1, 2])
    assert len(waiting) == 0


def test_a_wait_for_nothing_that_exists_is_refused() -> None:
    """Whoever waits for an entry that is not there hears so at once."""
    waiting = Waiting()
    waiting.add(1, Queue(n=7, wait=[9]))
    ((_, _, answer),) = waiting.answers(queue(), PLAIN)
    assert answer.error
    assert answer.error.code == "not_found"


def test_a_connection_that_left_is_not_answered() -> None:
    """Its waits go with it; others stay."""
    waiting = Waiting()
    waiting.add(1, Queue(n=7, wait=[1]))
    waiting.add(2, Queue(n=8, wait=[1]))
    waiting.forget(1)
    answers = waiting.answers(queue(entry(1, "landed")), PLAIN)
    assert [(connection, n) for connection, n, _ in answers] == [(2, 8)]


def test_all_of_the_queue_is_listed_when_asked_for() -> None:
    """`done` lists what has landed too, in arrival order."""
    waiting = Waiting()
    waiting.add(1, Queue(n=7, done=True))
    ((_, _, answer),) = waiting.answers(
        queue(entry(1, "landed"), entry(2, "queued")), PLAIN | {"paused": True}
    )
    assert (listed(answer), answer.result["paused"]) == ([1, 2], True)


def test_what_was_queued_again_is_not_listed_twice() -> None:
    """Of entries for the same commits the newest tells; one for more of them is still open.

    The story: what was rejected stayed in the list for ever, though its commits had landed since.
    """
    entries = queue(
        entry(1, "rejected", "x", "y"),
        entry(2, "handed_back", "x", "z"),
        entry(3, "landed", "x", "y"),
        entry(4, "queued", "w"),
    )
    assert [found.number for found in unfinished(entries)] == [2, 4]
