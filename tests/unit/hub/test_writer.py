"""The writer's thread: all that it accepts is done; what it could not do it does not accept."""

import threading
from functools import partial

import pytest

from tatami.hub import writer as writers
from tatami.hub.writer import Writer
from tatami.values.errors import BusyError, TatamiError


@pytest.fixture
def writer() -> Writer:
    """A running writer without idle work."""
    writer = Writer(lambda: None, lambda error: None)
    writer.start()
    return writer


def test_what_was_accepted_is_done_before_the_end(writer: Writer) -> None:
    """Calls run in their order, the last ones included."""
    done = [writer.submit(partial(int, n)) for n in range(100)]
    writer.finish().result(10)
    assert [future.result(0) for future in done] == list(range(100))


def test_a_writer_that_ends_takes_nothing_more(writer: Writer) -> None:
    """The caller is told to try again, instead of waiting for a future that never ends."""
    writer.finish()
    with pytest.raises(BusyError) as refused:
        writer.submit(lambda: 1)
    assert (refused.value.code, refused.value.retryable) == ("stopping", True)


def broken() -> None:
    """A sync that fails."""
    raise TatamiError("the disk", code="sync_failed")


def test_a_sync_that_fails_breaks_the_writer() -> None:
    """Whoever it was for: the process has to end before anybody hears of it."""
    told: list[BaseException] = []
    writer = Writer(lambda: None, told.append)
    writer.start()
    future = writer.submit(broken)
    assert told == [future.exception(10)]


def test_a_sync_that_fails_in_idle_work_breaks_the_writer() -> None:
    """Nobody waits for it, and it counts all the same.

    The story: it was logged, and the hub went on answering from what might not be on the disk.
    """
    told: list[BaseException] = []
    writer = Writer(broken, told.append)
    writer.start()
    writer.finish().result(10)
    assert [getattr(error, "code", "") for error in told] == ["sync_failed"]


def test_idle_work_is_done_though_somebody_always_glances(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds nothing to do is not work.

    The story: the hub looked at git twice a second, and never came to its idle work.
    """
    monkeypatch.setattr(writers, "IDLE_SECONDS", 0.01)
    rested = threading.Event()
    writer = Writer(rested.set, lambda _: None)
    writer.start()
    writer.submit(lambda: None)
    for _ in range(2000):
        writer.glance(lambda: None)
        if rested.wait(0.005):
            break
    assert rested.is_set()
