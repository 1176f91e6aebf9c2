"""Commits that take landings back: the trunk as it is, without what an entry changed there."""

from collections.abc import Sequence
from dataclasses import dataclass

from tatami.hub.rebasing import Stuck, Tip, joined, tree_of
from tatami.schedule.landing import Entry
from tatami.store.repository import Repository, landed_rows
from tatami.values.specs import CommitSpec, Signature

SUBJECT_CHARS_MAX = 60


@dataclass(frozen=True, slots=True)
class Landing:
    """What one operation put on the trunk for an entry.

    before: the trunk right below it. landed: its commits there, oldest first.
    """

    entry: Entry
    before: str
    landed: tuple[str, ...]


def landing(repository: Repository, op: str, entry: Entry) -> Landing:
    """The landing of an entry in an operation, as it was then."""
    found = repository.operations(1, [op])[0]
    rows = landed_rows(found.attributes)
    first = next(at for at, row in enumerate(rows) if row[0] == entry.number)
    trunk = repository.core.view(found.parents[0]).bookmarks[repository.trunk]
    before = rows[first - 1][2] if first else trunk or ""
    return Landing(entry, before, tuple(row[2] for row in rows if row[0] == entry.number))


def inverses(
    repository: Repository, landings: Sequence[Landing], trunk: str, signature: Signature
) -> list[CommitSpec] | Stuck:
    """Commits on the trunk that take these landings back, in this order.

    None for a landing of which nothing is left there. A conflict names the landing's last commit.
    """
    tip = Tip(trunk, repository.tree(trunk))
    specs: list[CommitSpec] = []
    for one in landings:
        base, theirs = repository.tree(one.landed[-1]), repository.tree(one.before)
        changes, conflicts, _ = joined(repository, base, tip.tree, theirs)
        if conflicts:
            return Stuck(one.landed[-1], tuple(conflicts))
        if not changes:
            continue
        message = _message(repository, one)
        spec = CommitSpec((tip.commit,), changes, message, signature, signature, base=tip.tree)
        specs.append(spec)
        tip = Tip(f"@{len(specs) - 1}", tree_of(repository, tip.tree, changes, spec))
    return specs


def _message(repository: Repository, one: Landing) -> str:
    subjects = [_subject(repository.commit(id).message) for id in one.landed]
    what = f'"{subjects[0]}"' if len(subjects) == 1 else f"{len(subjects)} commits"
    rows = zip(one.landed, subjects, strict=True)
    body = "".join(f"    {id[:12]} {subject}\n" for id, subject in rows)
    lead = f"This takes back what {one.entry.agent} landed with queue entry {one.entry.number}:"
    return f"Undo the landing of {what}\n\n{lead}\n\n{body}"


def _subject(message: str) -> str:
    return message.strip().split("\n", 1)[0][:SUBJECT_CHARS_MAX]
