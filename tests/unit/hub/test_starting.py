"""A hub outlives whoever started it."""

import os

from tatami.hub.__main__ import _say


def test_who_asked_for_the_hub_may_be_gone() -> None:
    """Nobody reads that it is ready; that is no reason to end.

    The story: the client was killed while its hub started, and the hub went with it.
    """
    reader, writer = os.pipe()
    os.close(reader)
    _say(writer, "ready")
