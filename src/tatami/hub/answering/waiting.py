"""Those who ask for the landing queue, of whom some wait until entries are finished."""

from collections.abc import Mapping

from tatami.hub.answering.rows import entries_json
from tatami.protocol.hub import Answer, Json
from tatami.protocol.messages import Queue
from tatami.schedule.landing import FINISHED, Entry
from tatami.values.errors import UsageError


class Waiting:
    """Remembers who waits for which entries; used on the event loop."""

    def __init__(self) -> None:
        self._asked: list[tuple[int, Queue]] = []

    def __len__(self) -> int:
        return len(self._asked)

    def add(self, connection: int, request: Queue) -> None:
        """Notes a request; `answers` has its answer as soon as there is one."""
        self._asked.append((connection, request))

    def forget(self, connection: int) -> None:
        """Drops what a connection that is gone waited for."""
        self._asked = [asked for asked in self._asked if asked[0] != connection]

    def answers(
        self, entries: Mapping[int, Entry], standing: Json
    ) -> list[tuple[int, int, Answer]]:
        """Connection, number and answer of every request that can be answered; each once.

        standing: what every answer says of the whole queue besides.
        """
        still, answered = [], []
        for connection, request in self._asked:
            known = [entries[n] for n in request.wait if n in entries]
            if any(entry.state not in FINISHED for entry in known):
                still.append((connection, request))
            else:
                answered.append((connection, request.n, _answer(request, entries, standing)))
        self._asked = still
        return answered


def _answer(request: Queue, entries: Mapping[int, Entry], standing: Json) -> Answer:
    for number in request.wait:
        if number not in entries:
            error = UsageError(
                f"the landing queue has no entry {number}",
                code="not_found",
                fix="tatami queue --all",
            )
            return Answer(error=error)
    if request.wait:
        shown = [entries[number] for number in sorted(set(request.wait))]
    elif request.done:
        shown = [entry for _, entry in sorted(entries.items())]
    else:
        shown = unfinished(entries)
    return Answer({"entries": entries_json(shown), **standing})


def unfinished(entries: Mapping[int, Entry]) -> list[Entry]:
    """What somebody has still to do with: not what landed, nor what was queued again since."""
    found = []
    newer: set[str] = set()
    for _, entry in sorted(entries.items(), reverse=True):
        if entry.state != "landed" and not newer.issuperset(entry.commits):
            found.append(entry)
        newer.update(entry.commits)
    return found[::-1]
