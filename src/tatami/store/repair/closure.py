"""Which operations are whole with everything they reach, and what newer ones still have to give.

Looks at the repository as if another operation were its head, through a jj repository of links in a
scratch folder: nothing of the real one is written.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tatami import _core
from tatami.store import git
from tatami.store.fsck import files
from tatami.store.fsck.files import KEEP_REF, ROOT_COMMIT
from tatami.store.locate import Marker, Place
from tatami.store.repository import who

ROOT_OPERATION = "0" * 128
LINKED = ("store", "op_store", "submodule_store", "workspace_store")
WALK_BACK_MAX = 10_000
"""Commits of a line that are tried, newest first, until one is whole."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What can be kept. head: the newest operation that is whole with all it reaches.

    bookmarks: those that newer operations moved on. grafts: commits that only newer ones name.
    newer: operations newer than `head` that can be read, oldest first. broken_heads: the op heads
    that are not whole.
    """

    head: str
    bookmarks: dict[str, str] = field(default_factory=dict)
    grafts: tuple[str, ...] = ()
    newer: tuple[_core.Operation, ...] = ()
    broken_heads: tuple[str, ...] = ()
    bad: frozenset[str] = frozenset()
    """Places of damage: "operation ID", "view ID", or the id of a git object."""


@contextmanager
def looking(
    place: Place, marker: Marker, scratch: str, head: str, index: bool = False
) -> Iterator[_core.Repo]:
    """Opens the repository with `head` as its only op head; raises `CoreError`.

    index: with a copy of the index there is, which needs no operation below to be readable.
    """
    repo = os.path.join(scratch, "repo")
    shutil.rmtree(repo, ignore_errors=True)
    os.makedirs(os.path.join(repo, "op_heads", "heads"))
    for name in os.listdir(marker.jj_repo):
        source = os.path.join(marker.jj_repo, name)
        if name in LINKED:
            os.symlink(os.path.realpath(source), os.path.join(repo, name))
        elif name == "index" and index:
            shutil.copytree(source, os.path.join(repo, name))
        elif name == "index":
            _empty_like(source, os.path.join(repo, name))
    shutil.copy(os.path.join(marker.jj_repo, "op_heads", "type"), os.path.join(repo, "op_heads"))
    with open(os.path.join(repo, "op_heads", "heads", head), "w", encoding="ascii"):
        pass
    core = _core.Repo.open(repo, place.common, who(), False)
    try:
        yield core
    finally:
        core.close()


def choose(place: Place, marker: Marker, scratch: str, heads: Sequence[str]) -> Sound | None:
    """The newest whole operation and what newer ones add; None where none is whole.

    heads: the op heads there are; where none can be read, every operation is a candidate.
    """
    operations = _readable(place, marker, scratch)
    newest = _newest_first(operations, [head for head in heads if head in operations])

    def holds(number: int) -> bool:
        try:
            with looking(place, marker, scratch, newest[number].id) as core:
                return not any(p.invariant == "I2" for p in core.verify().problems)
        except _core.CoreError:
            return False

    at = _first(len(newest), holds)
    if at is None:
        return None
    head = newest[at].id
    whole = {operation.id for operation in newest[at:]}
    broken = tuple(id for id in heads if id not in whole)
    found = Sound(head)
    if at > 0 or head not in heads:
        found = _with_grafts(place, marker, scratch, newest, at)
    folder = os.path.join(marker.jj_repo, "op_store", "operations")
    unreadable = {f"operation {id}" for id in os.listdir(folder) if id not in operations}
    return replace(found, broken_heads=broken, bad=found.bad | unreadable)


def _with_grafts(
    place: Place, marker: Marker, scratch: str, newest: Sequence[_core.Operation], at: int
) -> Sound:
    """Adds the newest whole commit of every line in the newest view that can be read."""
    head = newest[at].id
    with looking(place, marker, scratch, head) as core:
        before = core.view()
        below = {operation.id for operation in core.operations(None)}
    bad, wanted = _newest_view(place, marker, scratch, newest[:at])
    if wanted is None:
        wanted = before
    bad_operations = {words[1] for words in map(str.split, bad) if words[0] == "operation"}
    bookmarks = {}
    for name, target in wanted.bookmarks.items():
        found = _newest_whole(place.common, target, bad) if target else None
        found = _ahead(place.common, name, found, bad)
        if found and found != before.bookmarks.get(name):
            bookmarks[name] = found
    named = [id for id in wanted.heads if id != ROOT_COMMIT]
    grafts = {c for c in named if is_whole(place.common, c, bad)} | set(bookmarks.values())
    newer = [o for o in reversed(newest[:at]) if o.id not in below and o.id not in bad_operations]
    return Sound(
        head,
        bookmarks=bookmarks,
        grafts=tuple(sorted(grafts)),
        newer=tuple(newer),
        bad=frozenset(bad),
    )


def _newest_view(
    place: Place, marker: Marker, scratch: str, newest: Sequence[_core.Operation]
) -> tuple[set[str], _core.ViewOf | None]:
    """What is damaged as seen from the newest operation whose own view is whole, and that view."""
    damaged = _unreadable_views(place, marker, scratch, newest)
    for operation in newest:
        for index in (False, True):
            try:
                with looking(place, marker, scratch, operation.id, index) as core:
                    own, all, view = core.verify(1).problems, core.verify().problems, core.view()
            except _core.CoreError:
                continue
            damaged |= {p.place for p in (*own, *all) if p.invariant == "I2"}
            if not any(p.place.startswith(("operation ", "view ")) for p in own):
                return damaged, view
    return damaged, None


def _unreadable_views(
    place: Place, marker: Marker, scratch: str, operations: Sequence[_core.Operation]
) -> set[str]:
    found = set()
    with looking(place, marker, scratch, ROOT_OPERATION) as core:
        for operation in operations:
            try:
                core.view(operation.id)
            except _core.CoreError:
                path = os.path.join(marker.jj_repo, "op_store", "operations", operation.id)
                with open(path, "rb") as file:
                    record = file.read(len(files.LINK) + files.LINK_BYTES)
                # jj's record of an operation begins like an index link: with the id of its view.
                found.add(f"view {record[len(files.LINK) :].hex()}")
    return found


def _readable(place: Place, marker: Marker, scratch: str) -> dict[str, _core.Operation]:
    """Every operation that can be read, head or not, by its id."""
    folder = os.path.join(marker.jj_repo, "op_store", "operations")
    found = {}
    with looking(place, marker, scratch, ROOT_OPERATION) as core:
        found[ROOT_OPERATION] = core.operations(1, [ROOT_OPERATION])[0]
        for id in os.listdir(folder):
            try:
                found[id] = core.operations(1, [id])[0]
            except (_core.CoreError, IndexError):
                continue
    return found


def _newest_first(
    operations: dict[str, _core.Operation], heads: Sequence[str]
) -> list[_core.Operation]:
    """These heads and what is below them; where there are none, everything."""
    wanted, following = set(), list(heads or operations)
    while following:
        id = following.pop()
        if id not in operations:
            # Nobody can tell what lies below it.
            wanted = set(operations)
            break
        if id not in wanted:
            wanted.add(id)
            following += operations[id].parents
    # What lies above the heads was never published, or was undone by jj: not to be raised again.
    wanted.discard(ROOT_OPERATION)
    return sorted((operations[id] for id in wanted), key=lambda one: one.end_ms, reverse=True)


def _first(count: int, holds: Callable[[int], bool]) -> int | None:
    """The first number below `count` that it holds for, if it holds for all that follow."""
    bad, step = -1, 1
    while True:
        good = min(bad + step, count - 1)
        if good <= bad:
            return None
        if holds(good):
            break
        bad, step = good, step * 2
    while good - bad > 1:
        middle = (good + bad) // 2
        if holds(middle):
            good = middle
        else:
            bad = middle
    return good


def _ahead(common: str, name: str, found: str | None, bad: Collection[str]) -> str | None:
    """The commit that git's branch is at, where it is whole and goes on from what was found."""
    at = git.run(common, "rev-parse", "--verify", "--quiet", f"refs/heads/{name}", check=False)
    id = at.stdout.decode("ascii").strip()
    if found and id and id != found and is_whole(common, id, bad):
        below = git.run(common, "merge-base", "--is-ancestor", found, id, check=False)
        return found if below.returncode else id
    return found


def _newest_whole(common: str, commit: str, bad: Collection[str]) -> str | None:
    """The newest commit of a line that is whole with everything it reaches."""
    if is_whole(common, commit, bad):
        return commit
    done = git.run(
        common, "rev-list", "--first-parent", f"--max-count={WALK_BACK_MAX}", commit, check=False
    )
    for id in done.stdout.decode("ascii").split()[1:]:
        if is_whole(common, id, bad):
            return id
    return None


def is_whole(common: str, commit: str, bad: Collection[str]) -> bool:
    """Whether git finds all that a commit reaches, and nothing of it is known to be damaged."""
    kept = git.text(common, "for-each-ref", "--format=%(objectname)", KEEP_REF).split()
    # What is held was there before us, or is git's own; git fsck speaks of that.
    words = ["rev-list", "--objects", commit, *(["--not", *kept] if kept else [])]
    done = git.run(common, *words, check=False)
    if done.returncode:
        return False
    ids = (row.split(b" ")[0].decode("ascii") for row in done.stdout.splitlines())
    return not any(id in bad for id in ids)


def _empty_like(source: str, target: str) -> None:
    """Makes an index with nothing in it."""
    os.makedirs(target)
    for entry in os.scandir(source):
        if entry.is_dir():
            os.mkdir(os.path.join(target, entry.name))
    shutil.copy(os.path.join(source, "type"), target)
