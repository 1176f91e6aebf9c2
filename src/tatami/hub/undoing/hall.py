"""What undoing needs of the hub around it: its threads, its queue, its subscribers."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from typing import Protocol, TypeVar

from tatami.hub.record import Record
from tatami.protocol.hub import Answer, Json
from tatami.schedule import landing
from tatami.schedule.landing import Entry
from tatami.values.errors import TatamiError
from tatami.values.ids import CommandId

Result = TypeVar("Result")
Entries = tuple[Entry, ...]
FOLLOW_SECONDS_MAX = 10.0
"""A landing that is being verified goes first; git's trunk branch follows after it."""


class Write(Protocol):
    """Runs a call on the writer thread."""

    def __call__(self, call: Callable[[], Result], /) -> "Future[Result]":
        """Queues the call; its result or exception arrives in the future."""


class Apply(Protocol):
    """Advances the landing queue; on the event loop only."""

    def __call__(
        self,
        happening: landing.Queued | landing.Asked,
        keep: Callable[[Entries], None] | None = None,
        /,
    ) -> None:
        """Carries out what follows; `keep` records the entries that changed."""


class Hall:
    """Handed to whoever works beside the writer and the event loop; usable from any thread."""

    def __init__(
        self,
        record: Record,
        write: Write,
        apply: Apply,
        *,
        tell: Callable[[int, Sequence[Json]], None],
        soon: Callable[[Callable[[], None]], object],
        follow: Callable[[], "Future[None]"],
    ) -> None:
        self.write = write
        self.tell = tell
        self._record = record
        self._apply = apply
        self._soon = soon
        self._follow = follow

    def queued(self, entries: Entries) -> None:
        """Tells the queue of entries that are new, or not what they were; they are recorded."""
        self._soon(lambda: self._apply(landing.Queued(entries)))

    def reject(
        self, numbers: Sequence[int], reason: str, answers: Sequence[tuple[CommandId, Answer]]
    ) -> None:
        """Takes entries out of the queue, recorded together with these answers.

        Raises `TatamiError` (`queue_state`) where one is landing, or has; nothing is changed then.
        """
        asked: Future[Future[None]] = Future()

        def keep(entries: Entries) -> None:
            asked.set_result(self.write(lambda: self._keep(entries, answers)))

        def ask() -> None:
            try:
                self._apply(landing.Asked("reject", tuple(numbers), reason), keep)
            except TatamiError as error:
                asked.set_exception(error)

        self._soon(ask)
        asked.result().result()

    def follow(self) -> None:
        """Has git's trunk branch follow its bookmark; not on the writer's thread."""
        try:
            self._follow().result(FOLLOW_SECONDS_MAX)
        except LateError:
            return

    def _keep(self, entries: Entries, answers: Sequence[tuple[CommandId, Answer]]) -> None:
        first = self._record.next_event
        self.tell(first, self._record.record_entries(entries, list(answers)))
