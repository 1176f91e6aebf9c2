"""Checks a repository after its hub has stopped, from the disk and by git alone."""

import os
from collections import Counter
from collections.abc import Sequence

from tatami.scenarios.history import reading
from tatami.scenarios.history.clone import TRUNK
from tatami.scenarios.history.deal import Content, HistoryCommit
from tatami.scenarios.replay.crew import TRAILER
from tatami.scenarios.replay.values import Acked, Audit
from tatami.store import fsck
from tatami.store.locate import Place, marker
from tatami.store.repository import Repository


def audit(place: Place, acked: Sequence[Acked], base: str, truth: HistoryCommit) -> Audit:
    """Looks for every acknowledged commit, for doubles, and compares the trunk with history.

    base: the commit the replay began on. truth: the commit of history it should end like.
    """
    git_dir = place.common
    op_heads = len(_op_heads(place))
    heads = _heads(place)
    made = reading.log(git_dir, [*heads, f"^{base}"])
    on_trunk = {commit.id for commit in reading.log(git_dir, [TRUNK, f"^{base}"])}
    by_id = {commit.id: commit for commit in made}
    lost = tuple(one.id for one in acked if one.id not in by_id)
    (tree,) = reading.trees_of(git_dir, [TRUNK])
    return Audit(
        in_history=len({one.id for one in acked} & by_id.keys()),
        altered=tuple(_altered(acked, by_id)),
        lost=lost,
        duplicated=tuple(_doubles(made, on_trunk)),
        divergent=reading.divergent(git_dir, list(by_id)),
        op_heads=op_heads,
        differs=tuple(c.path for c in reading.differing(git_dir, tree, truth.tree)),
        fsck=_fsck(place, [one.id for one in acked]),
    )


def _heads(place: Place) -> list[str]:
    """The visible heads as the operation log on the disk has them, by a handle of our own."""
    repository = Repository.open(place, writes=False)
    try:
        return repository.core.view().heads
    finally:
        repository.close()


def _op_heads(place: Place) -> list[str]:
    return os.listdir(os.path.join(marker(place).jj_repo, "op_heads", "heads"))


def _doubles(made: Sequence[HistoryCommit], on_trunk: set[str]) -> list[str]:
    """Commits of history that were made twice, on agents' lines or on the trunk."""
    seen = Counter(
        (commit.id in on_trunk, line.removeprefix(TRAILER))
        for commit in made
        for line in commit.message.splitlines()[-1:]
        if line.startswith(TRAILER)
    )
    return sorted({original for (_, original), count in seen.items() if count > 1})


def _altered(acked: Sequence[Acked], made: dict[str, HistoryCommit]) -> list[tuple[str, str]]:
    """Files that were committed with other bytes, or another mode, than the agent wrote."""
    found = []
    for one in acked:
        if one.id not in made:
            continue
        got = {change.path: change.new for change in made[one.id].changes}
        for path, content in one.part.changes.items():
            if path not in got or not _same(content, got.pop(path)):
                found.append((one.part.commit.id, path))
        found += [(one.part.commit.id, path) for path in got]
    return found


def _same(wanted: Content | None, got: object) -> bool:
    if wanted is None or got is None:
        return wanted is got
    return got == (wanted.mode, wanted.object_id())


def _fsck(place: Place, acks: Sequence[str]) -> tuple[str, ...]:
    folder = os.path.dirname(place.root)
    acks_file = os.path.join(folder, "acks")
    with open(acks_file, "w", encoding="ascii") as file:
        file.writelines(f"{commit}\n" for commit in acks)
    report = fsck.check(place, marker(place), acks_file=acks_file, quick=True)
    return tuple(f"{p.invariant}: {p.where}: {p.what}" for p in report.problems)
