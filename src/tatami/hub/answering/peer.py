"""Who is answered, and what is said of an error that nobody has foreseen."""

import errno
import logging
from typing import Protocol

from tatami.protocol.hub import Answer, Json
from tatami.values.errors import BusyError, TatamiError

log = logging.getLogger("tatami.hub")
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What the system says when it has no more to give for now."""


class Peer(Protocol):
    """What the hub needs of a connection."""

    def reply(self, n: int, answer: Answer) -> None:
        """Answers request `n`."""

    def push(self, n: int, event: Json, missed: bool) -> None:
        """Sends an event (missed: of before the subscription) to who subscribed with `n`."""

    def close(self) -> None:
        """Closes after what is written has been sent."""


def unexpected(error: BaseException) -> TatamiError:
    """The error itself where it is ours; else one that says the hub failed; the log has more."""
    if isinstance(error, TatamiError):
        return error
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in SHORT:
        log.warning("short of something: %s", error)
        return BusyError(
            f"the hub is short of memory or files: {error}",
            code="overloaded",
            fix="try again; ulimit -n; free -m",
        )
    log.error("unexpected", exc_info=error)
    return TatamiError(
        f"the hub failed: {type(error).__name__}: {error}", code="internal", fix="tatami fsck"
    )
