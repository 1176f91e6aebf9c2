"""Lands queued lines: rebase in memory, verify, publish, move the trunk's git branch.

Rebasing, verifying and git run on the lander's own thread; only publishing and recording are handed
to the writer, so that commits of other agents never wait for a landing.
"""

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tatami.hub.rebasing import Rebased, Stuck, Tip, rebase
from tatami.hub.record import Record
from tatami.hub.verifying import verify
from tatami.protocol.hub import Json
from tatami.schedule.landing import Entry
from tatami.store import trunk
from tatami.store.repository import FIRST_EVENT, LANDED, Plan, Prepared
from tatami.values.errors import BusyError, TatamiError
from tatami.values.specs import CommitSpec, OpSpec

log = logging.getLogger("tatami.hub")
Result = TypeVar("Result")
Tell = Callable[[int, Sequence[Json]], None]
RACES_MAX = 5
"""Times in a row that the user may move the trunk while we land; then the entry waits."""


class TrunkMovedError(Exception):
    """The trunk's bookmark is not where the attempt began."""


@dataclass(slots=True)
class _Group:
    """Entries that made it so far, the copies to build for them, and where the trunk will be."""

    start: str
    tip: Tip
    built: list[CommitSpec] = field(default_factory=list)
    rows: list[tuple[int, str, str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


class Lander:
    """Carries out attempts, one at a time; `write` runs a call on the writer thread."""

    def __init__(
        self,
        record: Record,
        common: str,
        write: Callable[[Callable[[], Result]], "Future[Result]"],
        tell: Tell,
    ) -> None:
        self._record = record
        self._repository = record.repository
        self._common = common
        self._write = write
        self._tell = tell
        self.waiting = ""
        """Why the trunk's git branch is behind its bookmark ("" = it is not)."""

    def attempt(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Returns every entry in its new state, recorded durably; "queued" means try again."""
        try:
            done = self._attempt(entries)
        except (TatamiError, OSError) as error:
            log.warning("landing failed: %s", error)
            reason = f"{error}"
            retry = isinstance(error, TatamiError) and error.retryable
            state = "queued" if retry and entries[0].reason != reason else "rejected"
            done = tuple(replace(e, state=state, reason=reason) for e in entries)  # type: ignore[arg-type]
        self._keep(done)
        return done

    def follow(self) -> None:
        """Brings git's trunk branch and the bookmark together (start, or after a race)."""
        self._reconcile()

    def _attempt(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        for _ in range(RACES_MAX):
            start = self._reconcile()
            group = _Group(start, Tip(start, self._repository.tree(start)))
            results = {entry.number: self._place(group, entry) for entry in entries}
            if group.rows:
                try:
                    self._publish(group, results)
                except TrunkMovedError:
                    continue
                self._reconcile()
            return tuple(results[entry.number] for entry in entries)
        raise BusyError("the trunk keeps moving", fix="tatami queue retry")

    def _place(self, group: _Group, entry: Entry) -> Entry:
        """Adds an entry to the group if it merges and verifies; its state tells."""
        placed = rebase(self._repository, entry.commits, group.tip, group.built)
        if isinstance(placed, Stuck):
            paths = ", ".join(conflict.path for conflict in placed.conflicts[:5])
            return replace(
                entry,
                state="handed_back",
                reason=f"{placed.commit[:12]} conflicts with the trunk in {paths}",
                conflicts=placed.conflicts,
            )
        specs = [*group.built, *placed.specs]
        if entry.verify is not None:
            verdict = verify(self._repository, specs or [_only(placed)], entry.verify)
            if not verdict.passed:
                return replace(entry, state="rejected", reason=verdict.output)
        group.built = specs
        group.tip = placed.tip
        group.rows += [
            (entry.number, queued, landed)
            for queued, landed in zip(entry.commits, placed.landed, strict=True)
        ]
        tree = placed.tip.tree
        return replace(entry, state="landed", reason="", tree=tree, resolved=placed.resolved)

    def _publish(self, group: _Group, results: dict[int, Entry]) -> None:
        """Publishes the group as one operation and fills in the ids that landed."""
        record, repository = self._record, self._repository
        landed: list[tuple[int, str, str]] = []
        attributes: dict[str, str] = {}

        def plan() -> Plan | None:
            if repository.trunk_head() != group.start:
                raise TrunkMovedError
            return Plan(group.built, finish)

        def finish(commits: Sequence[Prepared]) -> OpSpec:
            landed[:] = [
                (number, queued, _id(commit, commits)) for number, queued, commit in group.rows
            ]
            attributes[LANDED] = json.dumps(landed, separators=(",", ":"))
            attributes[FIRST_EVENT] = str(record.next_event)
            attributes["tatami:tree"] = group.tip.tree
            agents = sorted({results[number].agent for number, _, _ in landed})
            return OpSpec(
                description="land " + ", ".join(agents[:8]) + (" ..." if agents[8:] else ""),
                attributes=dict(attributes),
                bookmarks={repository.trunk: _id(group.tip.commit, commits)},
            )

        def write() -> None:
            first = record.next_event
            published = repository.publish(plan)
            assert published
            self._tell(first, record.happened(published.op, attributes))

        self._write(write).result()
        for number, entry in results.items():
            ids = tuple(commit for n, _, commit in landed if n == number)
            if ids:
                results[number] = replace(entry, landed=ids)

    def _reconcile(self) -> str:
        """Makes git's branch and the bookmark agree; returns the trunk's head."""
        repository = self._repository
        for _ in range(RACES_MAX):
            bookmark = repository.trunk_head()
            ref = trunk.head(self._common, repository.trunk)
            if ref == bookmark:
                self.waiting = ""
                return bookmark
            if ref is None:
                raise TatamiError(
                    f"the trunk's branch {repository.trunk!r} is gone",
                    code="no_trunk",
                    fix=f"git branch {repository.trunk} {bookmark[:12]}",
                )
            if repository.is_known(ref) and repository.is_ancestor(ref, bookmark):
                moved = trunk.move(self._common, repository.trunk, ref, bookmark)
                if moved.raced:
                    continue
                self.waiting = moved.waiting
                return bookmark
            self._take_over(ref, bookmark)
        raise BusyError("the trunk's git branch keeps moving", fix="try again")

    def _take_over(self, ref: str, bookmark: str) -> None:
        """The user moved the trunk: imports that commit and puts our landings on top again."""
        repository = self._repository
        name = f"refs/heads/{repository.trunk}"
        seen = OpSpec("import trunk moved by git", {}, {}, (), (ref,), {name: ref})
        self._write(lambda: repository.publish(lambda: Plan((), lambda _: seen))).result()
        ours = [] if repository.is_ancestor(bookmark, ref) else self._line(bookmark, ref)
        tip, built, rows, stuck = Tip(ref, repository.tree(ref)), list[CommitSpec](), [], {}
        for commit in ours:
            placed = rebase(repository, [commit], tip, built)
            if isinstance(placed, Stuck):
                stuck[commit] = placed
                continue
            built += placed.specs
            tip = placed.tip
            rows.append((commit, placed.landed[0]))
        moved: dict[str, str] = {}

        def finish(commits: Sequence[Prepared]) -> OpSpec:
            moved.update({old: _id(new, commits) for old, new in rows})
            return OpSpec(
                description=f"move {repository.trunk} after git",
                attributes={"tatami:relanded": json.dumps(moved)} if moved else {},
                bookmarks={repository.trunk: _id(tip.commit, commits)},
            )

        self._write(lambda: repository.publish(lambda: Plan(built, finish))).result()
        self._correct(moved, stuck)

    def _line(self, head: str, exclude: str) -> list[str]:
        return [commit.id for commit in reversed(self._repository.log([head], [exclude], None))]

    def _correct(self, moved: dict[str, str], stuck: dict[str, Stuck]) -> None:
        """Entries whose landed commits got new ids, or no longer fit, are recorded as such."""
        changed = []
        for entry in self._record.ledger.entries():
            if entry.state != "landed" or not (set(entry.landed) & (moved.keys() | stuck.keys())):
                continue
            failed = next((stuck[id] for id in entry.landed if id in stuck), None)
            if failed:
                reason = f"{failed.commit[:12]} no longer merges after the trunk was moved in git"
                entry = replace(
                    entry, state="handed_back", reason=reason, conflicts=failed.conflicts, landed=()
                )
            else:
                entry = replace(entry, landed=tuple(moved.get(id, id) for id in entry.landed))
            changed.append(entry)
        if changed:
            self._keep(tuple(changed))

    def _keep(self, entries: tuple[Entry, ...]) -> None:
        def write() -> None:
            first = self._record.next_event
            self._tell(first, self._record.record_entries(entries, []))

        self._write(write).result()


def _id(commit: str, commits: Sequence[Prepared]) -> str:
    return commits[int(commit[1:])].commit if commit.startswith("@") else commit


def _only(placed: Rebased) -> CommitSpec:
    """A commit with nothing but the tree of a line that fast-forwards, to export it."""
    nobody = ("", "", 0)
    return CommitSpec((), (), "", nobody, nobody, base=placed.tip.tree)
