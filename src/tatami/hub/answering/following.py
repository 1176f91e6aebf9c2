"""The trunk as the user's git moves it: noticed when somebody asks, followed as landings are."""

import logging
import time

from tatami.hub.landing.lander import Lander
from tatami.hub.record import Record
from tatami.store import trunk
from tatami.values.errors import TatamiError

log = logging.getLogger("tatami.hub")
RETRY_SECONDS_MAX = 30.0
"""A trunk that waits is tried again without a trace of git's: a file may have been edited back."""


class Following:
    """Knows whether git's trunk branch is where we left it; `trouble` says why it can't be helped.

    `follow` and `retry` run where landings do, one at a time.
    """

    def __init__(self, lander: Lander, record: Record, common: str) -> None:
        self._lander = lander
        self._record = record
        self._common = common
        self._branch = record.repository.trunk
        self._tried: tuple[float, tuple[object, ...]] = (0.0, ())
        self.trouble = ""

    def is_due(self) -> bool:
        """Whether git's branch was moved by somebody else; as cheap as reading a small file.

        Also while there is trouble, which ends only when following succeeds.
        """
        if self.trouble:
            return True
        try:
            return trunk.head(self._common, self._branch) != self._record.trunk_ref
        except (OSError, TatamiError):
            # Following finds the same, and says so.
            return True

    def follow(self) -> None:
        """Brings the bookmark and git's branch together; what is in the way becomes `trouble`."""
        try:
            self._lander.follow()
            trouble = ""
        except Exception as error:  # noqa: BLE001 - the next landing reports it to whoever asked
            fix = f"; {error.fix}" if isinstance(error, TatamiError) and error.fix else ""
            trouble = f"the trunk cannot be followed: {error}{fix}"
        if trouble and trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble

    def retry(self) -> None:
        """Tries a branch that waits again once git has done something there, or after a while."""
        traces = trunk.traces(self._common, self._branch)
        tried, known = self._tried
        now = time.monotonic()
        if traces != known or now - tried > RETRY_SECONDS_MAX:
            self._tried = now, traces
            self.follow()
