"""Which queued commits were on the trunk at an operation, and as which commits.

A hub knows that of now. What the operations since have changed is read from the log.
"""

from collections.abc import Mapping
from typing import NamedTuple

from tatami.store.repository import Operation, Repository, landed_rows, relanded_ids


class Landed(NamedTuple):
    """A queued commit on the trunk: as which commit, and with which queue entry (0: long ago)."""

    commit: str
    entry: int


Landings = dict[str, Landed]
"""By queued commit."""


def landings_at(repository: Repository, op: str, now: Mapping[str, str]) -> Landings:
    """What had landed at an operation; `now`: queued commit -> commit on the trunk.

    The log says it of everything that it tells the landing of. What it does not (because the log is
    younger) is as it is now.
    """
    log = repository.operations(None)
    told = {queued for one in log for _, queued, _ in landed_rows(one.attributes)}
    found = {queued: Landed(commit, 0) for queued, commit in now.items() if queued not in told}
    for one in reversed(repository.operations(None, [op])):
        _apply(found, one)
    return found


def _apply(found: Landings, op: Operation) -> None:
    for entry, queued, commit in landed_rows(op.attributes):
        found[queued] = Landed(commit, entry)
    moved = relanded_ids(op.attributes)
    for queued, landed in list(found.items()) if moved else ():
        commit = moved.get(landed.commit, landed.commit)
        if commit:
            found[queued] = landed._replace(commit=commit)
        else:
            del found[queued]


def changes(
    now: Mapping[str, str], then: Landings
) -> tuple[list[tuple[int, str, str]], dict[str, str]]:
    """What makes one the other: rows of commits that have landed again, and ids that changed.

    The id "" is that of a commit that is off the trunk.
    """
    again = [
        (landed.entry, queued, landed.commit)
        for queued, landed in then.items()
        if queued not in now
    ]
    moved = {
        commit: then[queued].commit if queued in then else ""
        for queued, commit in now.items()
        if queued not in then or then[queued].commit != commit
    }
    return again, moved
