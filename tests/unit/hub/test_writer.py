"""The writer's thread: all that it accepts is done; what it could not do it does not accept."""

from functools import partial

import pytest

from tatami.hub.writer import Writer
from tatami.values.errors import BusyError


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
