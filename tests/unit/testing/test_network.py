"""The simulated network: what a link may do to what is sent, and what it may not."""

import random

from tatami.testing.clock import Agenda, Clock
from tatami.testing.network import Faults, Link, swizzle

SLOW = (0.0, 0.01)


def sent(faults: Faults, count: int, ordered: bool = True) -> list[bytes]:
    """What arrives of numbered messages."""
    agenda, arrived = Agenda(Clock()), list[bytes]()
    link = Link(agenda, random.Random(1), faults, arrived.append, ordered=ordered)
    for number in range(count):
        link.send(b"%04d" % number)
    while agenda.run_next():
        pass
    return arrived


def messages(count: int) -> list[bytes]:
    """What was sent."""
    return [b"%04d" % number for number in range(count)]


def test_a_stream_keeps_its_order() -> None:
    """However long each piece takes."""
    assert sent(Faults(delay_s=SLOW), 200) == messages(200)


def test_a_stream_may_arrive_in_pieces() -> None:
    """The bytes are the same."""
    arrived = sent(Faults(delay_s=SLOW, split=0.5), 100)
    assert (b"".join(arrived), len(arrived) > 100) == (b"".join(messages(100)), True)


def test_a_cut_takes_what_is_behind_it() -> None:
    """What arrives is the beginning of what was sent, and the end is heard of once."""
    agenda, arrived, ends = Agenda(Clock()), list[bytes](), list[bool]()
    link = Link(
        agenda,
        random.Random(3),
        Faults(cut=0.05),
        arrived.append,
        lost=lambda: ends.append(True),
    )
    for message in messages(200):
        link.send(message)
    while agenda.run_next():
        pass
    assert b"".join(messages(200)).startswith(b"".join(arrived))
    assert (len(arrived) < 200, ends) == (True, [True])


def test_datagrams_are_lost() -> None:
    """Some, and no others are changed by it."""
    arrived = sent(Faults(loss=0.3), 200, ordered=False)
    assert (set(arrived) < set(messages(200)), len(arrived) > 100) == (True, True)


def test_datagrams_are_doubled() -> None:
    """Some arrive twice; none is missing."""
    arrived = sent(Faults(duplicate=0.3), 200, ordered=False)
    assert (set(arrived), len(arrived) > 200) == (set(messages(200)), True)


def test_datagrams_arrive_in_another_order() -> None:
    """All of them, each once."""
    arrived = sent(Faults(delay_s=SLOW, reorder=0.3), 200, ordered=False)
    assert (sorted(arrived), arrived == sorted(arrived)) == (messages(200), False)


def test_a_clogged_link_keeps_everything_until_it_is_healed() -> None:
    """A clog is no loss."""
    agenda, arrived = Agenda(Clock()), list[bytes]()
    link = Link(agenda, random.Random(1), Faults(), arrived.append)
    link.clog()
    for message in messages(5):
        link.send(message)
    while agenda.run_next():
        pass
    before = list(arrived)
    link.heal()
    assert (before, arrived) == ([], messages(5))


def test_swizzling_heals_what_it_clogs() -> None:
    """After its time everything that was sent has arrived."""
    agenda = Agenda(Clock())
    arrived: dict[int, list[bytes]] = {number: [] for number in range(8)}
    links = [Link(agenda, random.Random(1), Faults(), arrived[number].append) for number in arrived]
    swizzle(agenda, random.Random(2), links, 1.0)
    for step in range(20):
        for link in links:
            agenda.at(step / 20, lambda link=link: link.send(b"x"))  # type: ignore[misc]
    while agenda.run_next():
        pass
    assert {number: len(data) for number, data in arrived.items()} == dict.fromkeys(range(8), 20)
