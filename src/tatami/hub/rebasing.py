"""Puts an agent's commits on another commit, in memory; conflicts come back as values."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from tatami.merging import ladder
from tatami.schedule.landing import Conflict
from tatami.store.repository import Commit, PathConflict, Repository, merge_text
from tatami.values.errors import TatamiError
from tatami.values.specs import Change, CommitSpec

RUNGS = (
    ("identical", ladder.identical),
    ("one-side", ladder.one_side),
    ("text", ladder.text(merge_text)),
)
TREE, SUBMODULE = 0o40000, 0o160000


@dataclass(frozen=True, slots=True)
class Tip:
    """Where the next commit goes: a commit id or "@N", and the tree it has."""

    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class Rebased:
    """A line on its new place. specs: copies to build ([] when it fast-forwards)."""

    specs: tuple[CommitSpec, ...]
    tip: Tip
    landed: tuple[str, ...]
    """Per commit of the line: its id where it lands as it is, "@N" where a copy does."""
    resolved: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """The first commit of the line that does not merge, and where."""

    commit: str
    conflicts: tuple[Conflict, ...]


def rebase(
    repository: Repository,
    line: Sequence[str],
    tip: Tip,
    built: Sequence[CommitSpec],
    landed: Container[str] = (),
) -> Rebased | Stuck:
    """Rebases a line (oldest first) onto `tip`; `built` are specs of the same operation so far.

    landed: commits that are on the trunk as copies, and may come along where they are merged.
    """
    commits = [repository.commit(id) for id in line]
    if _contains(repository, line, tip, landed):
        return Rebased((), Tip(line[-1], commits[-1].tree), tuple(line), 0)
    specs: list[CommitSpec] = []
    copies: list[str] = []
    resolved = 0
    for commit in commits:
        found = merged(repository, commit, tip)
        if isinstance(found, Stuck):
            return found
        changes, count = found
        resolved += count
        spec = CommitSpec(
            parents=(tip.commit,),
            changes=changes,
            message=commit.message,
            author=commit.author,
            committer=commit.committer,
            base=tip.tree,
        )
        specs.append(spec)
        copies.append(f"@{len(built) + len(specs) - 1}")
        tip = Tip(copies[-1], tree_of(repository, tip.tree, changes, spec))
    return Rebased(tuple(specs), tip, tuple(copies), resolved)


def _contains(
    repository: Repository, line: Sequence[str], tip: Tip, landed: Container[str]
) -> bool:
    """Whether the line already has the tip, by growing on it or by a merge the agent made.

    Nothing but the line may come with it, apart from what has landed as a copy.
    """
    head = line[-1]
    if tip.commit.startswith("@") or not repository.is_ancestor(tip.commit, head):
        return False
    new = repository.log([head], [tip.commit], None)
    return all(commit.id in line or commit.id in landed for commit in new)


def tree_of(repository: Repository, base: str, changes: Sequence[Change], spec: CommitSpec) -> str:
    """The tree a spec will have, learnt by building it alone: trees do not depend on parents."""
    if not changes:
        return base
    alone = CommitSpec((), changes, "", spec.author, spec.committer, base=base)
    return repository.build_tree(alone)


def merged(repository: Repository, commit: Commit, tip: Tip) -> tuple[list[Change], int] | Stuck:
    """What a commit changes on the tip, and how many conflicts the ladder resolved on the way."""
    if len(commit.parents) != 1:
        raise TatamiError(
            f"{commit.id[:12]} has {len(commit.parents)} parents; only plain commits are rebased",
            code="unsupported",
            fix="git rebase the branch onto the trunk, then tatami land",
        )
    base = repository.tree(commit.parents[0])
    changes, conflicts, resolved = joined(repository, base, tip.tree, commit.tree)
    return Stuck(commit.id, tuple(conflicts)) if conflicts else (changes, resolved)


def joined(
    repository: Repository, base: str, ours: str, theirs: str
) -> tuple[list[Change], list[Conflict], int]:
    """What to apply to the tree `ours` to merge `theirs` into it, by the ladder.

    Also what no rung merges, and how many conflicts were resolved.
    """
    trees = repository.merge_trees(base, ours, theirs)
    changes: list[Change] = list(trees.changes)
    conflicts: list[Conflict] = []
    resolved = 0
    for conflict in trees.conflicts:
        sides = _sides(repository, conflict)
        answer = ladder.climb(sides, RUNGS) if sides else None
        if answer is None:
            ids = (conflict.base_id, conflict.ours_id, conflict.theirs_id)
            conflicts.append(Conflict(conflict.path, *ids))
        else:
            resolved += 1
            content = answer.content if answer.mode else None
            changes.append((conflict.path, answer.mode, content))
    return changes, conflicts, resolved


def _sides(repository: Repository, conflict: PathConflict) -> ladder.Sides | None:
    modes = (conflict.base_mode, conflict.ours_mode, conflict.theirs_mode)
    if TREE in modes or SUBMODULE in modes:
        return None
    ids = (conflict.base_id, conflict.ours_id, conflict.theirs_id)
    base, ours, theirs = (
        ladder.Side(mode, repository.blob(id) if mode else b"")
        for mode, id in zip(modes, ids, strict=True)
    )
    return ladder.Sides(conflict.path, base, ours, theirs)
