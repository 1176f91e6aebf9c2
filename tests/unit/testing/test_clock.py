"""The clock that is set and advanced, and the appointments kept by it."""

import pytest

from tatami.testing.clock import Agenda, Clock


def test_time_passes_when_it_is_told_to() -> None:
    """Both clocks advance together."""
    clock = Clock(wall_s=1000.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.time()) == (2.5, 1002.5)


def test_a_jump_of_the_wall_clock_is_not_noticed_by_the_other() -> None:
    """Leases and timers go by monotonic time, whatever the wall clock says."""
    clock = Clock()
    clock.advance(1.0)
    clock.set_wall(0.0)
    assert (clock.monotonic(), clock.time()) == (1.0, 0.0)


def test_the_wall_clock_can_stand_still() -> None:
    """A frozen clock is one of the faults."""
    clock = Clock(wall_s=7.0)
    clock.wall_rate = 0.0
    clock.advance(10.0)
    assert clock.time() == 7.0


def test_time_does_not_go_back() -> None:
    """Going back is a jump, and said so."""
    with pytest.raises(ValueError, match="does not go back"):
        Clock().advance(-1.0)


def test_appointments_are_kept_in_order() -> None:
    """The earlier first; of those at once, the one that was made first."""
    agenda, kept = Agenda(Clock()), list[tuple[str, float]]()
    for name, time in (("late", 2.0), ("first", 1.0), ("second", 1.0)):
        agenda.at(time, lambda name=name: kept.append((name, agenda.clock.monotonic())))  # type: ignore[misc]
    while agenda.run_next():
        pass
    assert kept == [("first", 1.0), ("second", 1.0), ("late", 2.0)]


def test_an_appointment_in_the_past_is_kept_now() -> None:
    """Nothing makes the clock go back."""
    agenda = Agenda(Clock())
    agenda.clock.advance(5.0)
    agenda.at(1.0, lambda: None)
    agenda.run_next()
    assert agenda.clock.monotonic() == 5.0
