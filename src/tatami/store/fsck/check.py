"""Checks that nothing acknowledged is missing and that everything is what its name says.

Reads only, and works beside a running hub or without one. The invariants I1 to I6 and I11 are those
of docs/promises.md; `landings` says that no commit landed twice; `heads`, `branches`, `trunk` and
`ledger` that the parts of the house agree; `index`, `tables`, `refs`, `keep` and `workspaces` that
files which nobody else compares with their names or checksums are whole.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence

from tatami.store import git, stock
from tatami.store.fsck.copies import check_copies
from tatami.store.fsck.files import ROOT_COMMIT, check_files, check_kept, ledger_damage
from tatami.store.fsck.report import Look, Problem, Report
from tatami.store.locate import MARKER, Marker, Place
from tatami.store.repository import (
    Operation,
    Repository,
    ViewOf,
    command_rows,
    core_errors,
    landed_rows,
    relanded_ids,
)
from tatami.values.errors import TatamiError, UsageError
from tatami.values.ids import AGENT_BOOKMARK_PREFIX, agent_ref

QUICK_OPERATIONS = 200
"""Newest operations that a quick check looks at."""
AT_OPERATIONS = 5
"""Operations, spread over the log, that stock jj is asked about."""
SETTLE_SECONDS = 0.2
"""What a hub or git is in the middle of is over after this long."""
COMMIT_ID = re.compile(r"[0-9a-f]{40}")


def check(
    place: Place, marker: Marker, acks_file: str | None = None, quick: bool = False
) -> Report:
    """Checks a repository, with a file of acknowledged commit ids against I1.

    quick: the newest operations only, and without git's and jj's own checks of everything. Raises
    `UsageError` where the file cannot be used.
    """
    acks = _acknowledged(acks_file) if acks_file else []
    report = _look(place, marker, acks, quick)
    if report.ok:
        return report
    # Others may be writing: what is not there a second time was only on its way.
    time.sleep(SETTLE_SECONDS)
    before = {_same(problem) for problem in report.problems}
    again = _look(place, marker, acks, quick)
    lasting = [problem for problem in again.problems if _same(problem) in before]
    # jj makes an index anew that it finds damaged; that it was is worth knowing.
    mended = [p for p in report.problems if p.invariant == "index" and p not in lasting]
    return Report(again.checked, (*lasting, *mended))


def _same(problem: Problem) -> tuple[str, ...]:
    """What is equal for the same problem seen twice; a branch that lags elsewhere is on its way."""
    where = (problem.invariant, problem.where)
    return (*where, problem.what) if problem.invariant == "branches" else where


def _look(place: Place, marker: Marker, acks: Sequence[str], quick: bool) -> Report:
    one = Look(place, marker, quick)
    try:
        heads = sorted(os.listdir(os.path.join(marker.jj_repo, "op_heads", "heads")))
    except OSError as error:
        heads = []
        one.found("heads", marker.jj_repo, f"op heads cannot be read: {error.strerror}")
    one.checked["op_heads"] = len(heads)
    check_files(one)
    if heads:
        _check_operations(one, acks, heads)
    elif not one.has("heads"):
        one.found("heads", f"{marker.jj_repo}/op_heads/heads", "there is no op head")
    _check_git(one)
    _check_ledger(one)
    check_copies(one)
    return Report(one.checked, tuple(one.problems))


def _check_operations(one: Look, acks: Sequence[str], heads: Sequence[str]) -> None:
    try:
        repository = Repository.open(one.place, writes=False)
    except TatamiError as error:
        one.found("I2", "newest operation", error.message)
        return
    try:
        _check_objects(one, repository)
        operations = _operations(one, repository)
        _check_heads(one, heads, operations)
        _check_commands(one, operations)
        _check_landings(one, operations)
        _check_acknowledged(one, repository, acks, operations)
        _check_branches(one, repository)
        _check_trunk(one, repository)
        check_kept(one, lambda: set().union(*_heads_of_views(repository, operations)))
        _ask_jj(one, operations)
    finally:
        repository.close()


def _check_objects(one: Look, repository: Repository) -> None:
    """I2, I5, I11: the core walks everything the operation log reaches."""
    if one.has("tables"):
        return  # jj reads them without a look, and falls over what is wrong with them
    try:
        with core_errors():
            verified = repository.core.verify(QUICK_OPERATIONS if one.quick else None)
    except TatamiError as error:
        one.found("I2", "operation log", error.message)
        return
    for name in ("operations", "views", "commits", "trees", "blobs"):
        one.checked[name] = getattr(verified, name)
    own = stock.OwnPacks(one.place.common) if verified.problems else None
    for problem in verified.problems:
        pack = own.holding(problem.place) if own and COMMIT_ID.fullmatch(problem.place) else None
        where = f" (in {pack})" if pack else ""
        one.found(problem.invariant, problem.place, problem.what + where)


def _operations(one: Look, repository: Repository) -> list[Operation]:
    """The operation log, newest first; empty where it cannot be read to its end."""
    try:
        return repository.operations(QUICK_OPERATIONS if one.quick else None)
    except TatamiError as error:
        if not one.has("I2"):
            one.found("I2", "operation log", error.message)
        return []


def _check_heads(one: Look, heads: Sequence[str], operations: Sequence[Operation]) -> None:
    """One op head; an older one that a crash left beside it is dropped by whoever loads next."""
    older = {parent for operation in operations for parent in operation.parents}
    apart = [head for head in heads if head not in older]
    if operations and len(apart) > 1:
        what = f"{len(apart)} op heads stand side by side; the next command merges them"
        one.found("heads", f"{one.marker.jj_repo}/op_heads/heads", what)


def _check_commands(one: Look, operations: Sequence[Operation]) -> None:
    """I6: each command id occurs in at most one operation."""
    seen: dict[str, str] = {}
    for operation in operations:
        try:
            commands = {row[0] for row in command_rows(operation.attributes)}
        except TatamiError as error:
            what = f"its commands cannot be read: {error.message}"
            one.found("I6", f"operation {operation.id}", what)
            continue
        for command in commands:
            other = seen.setdefault(command, operation.id)
            if other != operation.id:
                what = f"carried out by operations {operation.id[:12]} and {other[:12]}"
                one.found("I6", f"command {command}", what)
    one.checked["commands"] = len(seen)


def _check_landings(one: Look, operations: Sequence[Operation]) -> None:
    """No commit lands while it is on the trunk already; git may have taken it off in between."""
    on_trunk: dict[str, str] = {}
    landings: dict[str, str] = {}
    one.checked["landings"] = 0
    damaged = {p.where.removeprefix("operation ") for p in one.problems if p.invariant == "I2"}
    for operation in reversed(operations):
        if operation.id in damaged:
            continue
        try:
            rows, moved = landed_rows(operation.attributes), relanded_ids(operation.attributes)
            moves = [(queued, moved.get(id, id)) for queued, id in on_trunk.items()]
        except TatamiError as error:
            what = f"its landings cannot be read: {error.message}"
            one.found("landings", f"operation {operation.id}", what)
            continue
        on_trunk.update(moves)
        for _, queued, commit in rows:
            if on_trunk.get(queued):
                what = f"landed by operations {operation.id[:12]} and {landings[queued][:12]}"
                one.found("landings", f"commit {queued}", what)
            on_trunk[queued], landings[queued] = commit, operation.id
        one.checked["landings"] += len(rows)


def _check_acknowledged(
    one: Look, repository: Repository, acks: Sequence[str], operations: Sequence[Operation]
) -> None:
    """I1: every acknowledged commit is reachable from an operation that an op head reaches."""
    one.checked["acknowledged"] = len(acks)
    missing = set(acks)
    for heads in _heads_of_views(repository, operations):
        if not missing:
            return
        missing -= _history(one.place, repository, heads, missing)
    for id in sorted(missing):
        one.found("I1", id, "was acknowledged, and no operation reaches it")


def _heads_of_views(repository: Repository, operations: Sequence[Operation]) -> Iterator[set[str]]:
    """The heads of today's view, which mostly reach everything; then those of all others."""
    with core_errors():
        today = set(repository.core.view().heads)
        yield today
        views = (_view(repository, op) for op in operations)
        yield {head for view in views if view for head in view.heads} - today


def _view(repository: Repository, operation: Operation) -> ViewOf | None:
    """The view of an operation; None where it cannot be read, which is told elsewhere."""
    try:
        with core_errors():
            return repository.core.view(operation.id)
    except TatamiError:
        return None


def _history(place: Place, repository: Repository, heads: set[str], wanted: set[str]) -> set[str]:
    """Every commit these reach, as git walks them; what git cannot read is asked of jj's index."""
    stdin = "\n".join(heads - {ROOT_COMMIT}).encode()
    done = git.run(place.common, "rev-list", "--stdin", stdin=stdin, check=False)
    if done.returncode:
        return {id for id in wanted if repository.is_known(id)}
    return set(done.stdout.decode("ascii").split())


def _check_branches(one: Look, repository: Repository) -> None:
    """Agents' git branches are at their bookmarks, or ahead by what the agent did with git."""
    names = [n for n in repository.bookmarks if n.startswith(AGENT_BOOKMARK_PREFIX)]
    one.checked["branches"] = len(names)
    trunk = one.marker.trunk
    wanted = (agent_ref(""), f"refs/heads/{trunk}")
    refs = git.text(one.place.common, "for-each-ref", "--format=%(refname) %(objectname)", *wanted)
    if f"refs/heads/{trunk} " not in refs:
        one.found("branches", trunk, "git has no such branch, and it is the trunk")
    at = dict(line.split(" ") for line in refs.splitlines())
    for name in sorted(names):
        bookmark, ref = repository.bookmarks[name], at.get(f"refs/heads/{name}")
        if bookmark is None:
            one.found("branches", name, "the bookmark was moved two ways by a stock tool")
        elif ref is None:
            one.found("branches", name, f"git has no such branch; it belongs at {bookmark[:12]}")
        elif ref != bookmark and not _reaches(one.place, ref, bookmark):
            what = (
                f"git's branch is at {ref[:12]}, the bookmark at {bookmark[:12]}; the agent's next"
            )
            what += " command or the hub's next start settles it"
            one.found("branches", name, what)


def _check_trunk(one: Look, repository: Repository) -> None:
    """The branch that the marker names is one that the operation log has."""
    if one.marker.trunk not in repository.bookmarks:
        where = os.path.join(one.place.state, MARKER)
        one.found("trunk", where, f"the operation log has no trunk {one.marker.trunk!r}")


def _reaches(place: Place, descendant: str, ancestor: str) -> bool:
    done = git.run(place.common, "merge-base", "--is-ancestor", ancestor, descendant, check=False)
    return done.returncode == 0


def _ask_jj(one: Look, operations: Sequence[Operation]) -> None:
    """I4: stock jj reads the repository, also as of a sample of operations."""
    one.checked["jj_commands"] = 0
    jj = stock.find_jj()
    # What is broken below jj cannot read either; it is reported already.
    if jj is None or not operations or one.has("I2"):
        return
    count = 1 if one.quick else AT_OPERATIONS
    step = max(1, -(-len(operations) // count))
    sample = [operation.id for operation in operations[::step]]
    for _, failure in stock.ask_jj(jj, one.marker.jj_repo, sample):
        one.checked["jj_commands"] += 1
        if failure:
            one.found("I4", *failure)


def _check_git(one: Look) -> None:
    """I3: git finds no damage, and nothing of ours that it would not have written."""
    one.checked["git_fsck"] = int(not one.quick)
    if one.quick:
        return
    known = {id for p in one.problems for id in stock.ID.findall(p.where)}
    verdict = stock.ask_git(one.place.common, known)
    one.checked["imported_oddities"] = verdict.imported
    for where, what in verdict.findings:
        one.found("I3", where, what)


def _check_ledger(one: Look) -> None:
    """The hub's table can be read; a repository whose hub never ran has none."""
    directory = os.path.join(one.place.state, "hub", "ledger")
    one.checked["ledger_rows"] = 0
    if not os.path.isdir(directory):
        return
    one.checked["ledger_rows"], what = ledger_damage(directory)
    if what:
        one.found("ledger", directory, what)


def _acknowledged(path: str) -> list[str]:
    """The commit ids of a client's own log, one a line."""
    try:
        with open(path, encoding="ascii") as file:
            ids = [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", code="bad_acks", fix="tatami fsck --acks FILE"
        ) from None
    for id in ids:
        if not COMMIT_ID.fullmatch(id):
            raise UsageError(
                f"{path} has {id[:60]!r} where a commit id of 40 hex digits belongs",
                code="bad_acks",
                fix="tatami fsck --acks FILE",
            )
    return ids
