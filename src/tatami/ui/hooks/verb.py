"""`hook`: what git calls."""

import sys

from tatami.ui.cli.output import guarded
from tatami.values.errors import UsageError


def hook(event: str) -> int:
    """Answer one of git's hooks; git starts this, nobody types it.

    Parameters
    ----------
    event
        proc-receive: a push to the trunk goes through the landing queue.
    """

    def work() -> None:
        if event != "proc-receive":
            raise UsageError(
                f"there is no hook {event!r}", code="usage", fix="tatami hook proc-receive"
            )
        from tatami.ui.hooks import proc_receive

        proc_receive.run(sys.stdin.buffer, sys.stdout.buffer)

    return guarded(False, work)
