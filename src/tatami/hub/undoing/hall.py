"""What undoing needs of the hub around it: its threads, its queue, its subscribers."""

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError

from tatami.hub.landing.lander import Tell, Write
from tatami.hub.landing.queue import LandingQueue

FOLLOW_SECONDS_MAX = 10.0
"""A landing that is being verified goes first; git's trunk branch follows after it."""


class Hall:
    """Handed to whoever works beside the writer and the event loop; usable from any thread."""

    def __init__(
        self, write: Write, tell: Tell, queue: LandingQueue, follow: Callable[[], "Future[None]"]
    ) -> None:
        self.write = write
        self.tell = tell
        self.queued = queue.queued
        self.reject = queue.reject
        self._follow = follow

    def follow(self) -> None:
        """Has git's trunk branch follow its bookmark; not on the writer's thread."""
        try:
            self._follow().result(FOLLOW_SECONDS_MAX)
        except LateError:
            return
