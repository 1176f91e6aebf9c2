"""Lands queued lines: rebase in memory, verify, publish, move the trunk's git branch.

Rebasing, verifying and git run on the lander's own thread; only publishing and recording are handed
to the writer, so that commits of other agents never wait for a landing.
"""

import json
import logging
from collections import ChainMap
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from tatami.hub.answering.peer import unexpected
from tatami.hub.landing.verifying import Verifier, clear_left_overs
from tatami.hub.rebasing import Rebased, Stuck, Tip, rebase
from tatami.hub.record import Record, moved_entry
from tatami.protocol.hub import Json
from tatami.schedule.landing import FAILED, Entry, StateName, handed_back_with
from tatami.store import trunk
from tatami.store.repository import FIRST_EVENT, LANDED, RELANDED, Plan, Prepared
from tatami.values.errors import BusyError, TatamiError, UsageError
from tatami.values.specs import CommitSpec, OpSpec

log = logging.getLogger("tatami.hub")
Result = TypeVar("Result")
Tell = Callable[[int, Sequence[Json]], None]
Corrected = Callable[[tuple[Entry, ...]], None]
RACES_MAX = 5
"""Times in a row that the user may move the trunk while we land; then the entry waits."""


class Write(Protocol):
    """Runs a call on the writer thread."""

    def __call__(self, call: Callable[[], Result], /) -> "Future[Result]":
        """Queues the call; its result or exception arrives in the future."""


class TrunkMovedError(Exception):
    """The trunk's bookmark is not where the attempt began."""


@dataclass(slots=True)
class _Group:
    """Entries of one attempt and what became of them, with the copies to build for them.

    rows: entry, commit as queued, commit as landed ("@N": a copy). recorded: entries as they were
    recorded with the operation that landed them.
    """

    start: str
    tip: Tip
    built: list[CommitSpec] = field(default_factory=list)
    rows: list[tuple[int, str, str]] = field(default_factory=list)
    results: dict[int, Entry] = field(default_factory=dict)
    recorded: dict[int, Entry] = field(default_factory=dict)

    def landed_as(self) -> dict[str, str]:
        """What the group lands, and as what."""
        return {queued: commit for _, queued, commit in self.rows}


class Lander:
    """Carries out attempts, one at a time."""

    def __init__(
        self, record: Record, common: str, write: Write, tell: Tell, corrected: Corrected
    ) -> None:
        self._record = record
        self._repository = record.repository
        self._common = common
        self._write = write
        self._tell = tell
        self._corrected = corrected
        self._verifier = Verifier()
        self.waiting = ""
        """Why the trunk's git branch is behind its bookmark ("" = it is not)."""

    def attempt(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """Returns every entry in its new state, recorded durably; "queued" means try again.

        Raises where nothing could be recorded, and on a full disk, which is nobody's fault.
        """
        try:
            done = self._attempt(entries)
        except (TatamiError, OSError) as error:
            code = error.code if isinstance(error, TatamiError) else ""
            if code == "stopping":
                return tuple(entries)
            if code == "no_space":
                raise
            log.warning("landing failed: %s", error)
            reason = f"{error}"
            retry = isinstance(error, TatamiError) and error.retryable
            again = retry and entries[0].reason != reason
            state: StateName = "queued" if again else "rejected"
            done = tuple(replace(e, state=state, reason=reason) for e in entries)
            self._keep(done)
        return done

    def clear_up(self) -> None:
        """Removes what a hub that was killed while it verified left behind."""
        clear_left_overs()

    def stop_verifying(self) -> None:
        """Ends a verify command under way; its entries stay queued as they were."""
        self._verifier.stop()

    def follow(self) -> None:
        """Brings git's trunk branch and the bookmark together (start, or after a race)."""
        before = self._record.trunk_ref
        self._reconcile()
        if self._record.trunk_ref != before:
            self._keep(())

    def _attempt(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        for _ in range(RACES_MAX):
            start = self._reconcile()
            group = _Group(start, Tip(start, self._repository.tree(start)))
            for entry in entries:
                group.results[entry.number] = self._placed_alone(group, entry)
            if group.rows:
                try:
                    self._publish(group)
                except TrunkMovedError:
                    continue
                self._catch_up(group)
            done = tuple(group.results[entry.number] for entry in entries)
            self._keep(tuple(e for e in done if group.recorded.get(e.number) != e))
            return done
        raise BusyError("the trunk keeps moving", fix="tatami queue retry")

    def _placed_alone(self, group: _Group, entry: Entry) -> Entry:
        """As `_place`; what stands against one entry is not held against the others."""
        landed = self._record.landed
        if all(commit in landed for commit in entry.commits):
            ids = tuple(landed[commit] for commit in entry.commits)
            return replace(entry, state="landed", reason="", landed=ids)
        below = self._missing(entry)
        if below:
            return handed_back_with(entry, below)
        try:
            self._admit(entry)
            return self._place(group, entry)
        except Exception as error:
            # Whatever it is, the entry alone is to blame: nothing else was looked at.
            failure = unexpected(error)
            if failure.retryable or failure.code == "no_space":
                raise failure from error
            log.warning("entry %d cannot land: %s", entry.number, failure)
            return replace(entry, state="rejected", reason=f"{failure}")

    def _admit(self, entry: Entry) -> None:
        """Refuses commits of git's own that would spoil every checkout of the trunk."""
        for commit in entry.commits:
            try:
                self._repository.admit(commit)
            except UsageError as error:
                raise UsageError(
                    f"{commit[:12]} cannot land: {error}; mend it in that commit "
                    f"(git rebase -i {commit[:12]}^), then: tatami land {entry.agent}",
                    code=error.code,
                ) from None

    def _missing(self, entry: Entry) -> int:
        """What the entry builds on and is off the trunk; 0 where there is nothing.

        The user may have moved the trunk a moment ago, and the queue does not know it yet.
        """
        for number in entry.builds_on:
            below = self._record.entry(number)
            if below is None or below.state not in FAILED:
                continue
            if any(commit not in self._record.landed for commit in below.commits):
                return number
        return 0

    def _place(self, group: _Group, entry: Entry) -> Entry:
        """Adds an entry to the group if it merges and verifies; its state tells.

        What of it is on the trunk already stays as it is: no commit lands twice.
        """
        landed = ChainMap(group.landed_as(), self._record.landed)
        line = [commit for commit in entry.commits if commit not in landed]
        if not line:
            return replace(entry, state="landed", reason="")
        placed = rebase(self._repository, line, group.tip, group.built, landed)
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
            tree = specs or [_only(placed)]
            verdict = self._verifier.verify(self._repository, tree, entry.verify)
            if not verdict.passed:
                return replace(entry, state="rejected", reason=verdict.output)
        group.built = specs
        group.tip = placed.tip
        numbers = [entry.number] * len(line)
        group.rows += zip(numbers, line, placed.landed, strict=True)
        landed_tree, resolved = placed.tip.tree, placed.resolved
        return replace(entry, state="landed", reason="", tree=landed_tree, resolved=resolved)

    def _publish(self, group: _Group) -> None:
        """Publishes the group as one operation and fills in the ids that landed."""
        record, repository = self._record, self._repository
        landed: list[tuple[int, str, str]] = []
        attributes: dict[str, str] = {}
        seen: str | None = None

        def plan() -> Plan | None:
            nonlocal seen
            # Looked at as late as can be: what was verified is what lands, on nothing newer.
            seen = trunk.head(self._common, repository.trunk)
            if seen != record.trunk_ref or repository.trunk_head() != group.start:
                raise TrunkMovedError
            return Plan(group.built, finish)

        def finish(commits: Sequence[Prepared]) -> OpSpec:
            landed[:] = [
                (number, queued, _id(commit, commits)) for number, queued, commit in group.rows
            ]
            attributes[LANDED] = json.dumps(landed, separators=(",", ":"))
            attributes[FIRST_EVENT] = str(record.next_event)
            attributes["tatami:tree"] = group.tip.tree
            agents = sorted({group.results[number].agent for number, _, _ in landed})
            return OpSpec(
                description="land " + ", ".join(agents[:8]) + (" ..." if agents[8:] else ""),
                attributes=dict(attributes),
                bookmarks={repository.trunk: _id(group.tip.commit, commits)},
                # Where git's branch is now; that it follows is recorded by the next landing.
                git_refs={f"refs/heads/{repository.trunk}": seen},
            )

        def write() -> None:
            first = record.next_event
            published = repository.publish(plan)
            assert published
            self._tell(first, record.happened(published.op, attributes))
            group.rows = landed
            self._record_landed(group)

        self._write(write).result()

    def _record_landed(self, group: _Group) -> None:
        """At once: after a checkpoint behind the group's operation nothing else would tell."""
        ids = ChainMap(group.landed_as(), self._record.landed)
        group.recorded = {
            number: replace(entry, landed=tuple(ids[commit] for commit in entry.commits))
            for number, entry in group.results.items()
            if entry.state == "landed"
        }
        group.results |= group.recorded
        first = self._record.next_event
        self._tell(first, self._record.record_entries(tuple(group.recorded.values()), []))

    def _catch_up(self, group: _Group) -> None:
        """Moves git's branch to what was published, which has landed whatever becomes of that."""
        try:
            self._reconcile(group)
        except (TatamiError, OSError) as error:
            log.warning("git's trunk branch waits: %s", error)
            self.waiting = str(error)

    def _reconcile(self, group: _Group | None = None) -> str:
        """Makes git's branch and the bookmark agree; returns the trunk's head.

        group: the one just landed, corrected where its landings got new ids.
        """
        repository, record = self._repository, self._record
        for _ in range(RACES_MAX):
            bookmark = repository.trunk_head()
            ref = trunk.head(self._common, repository.trunk)
            if ref == bookmark:
                self.waiting = ""
                record.trunk_ref = ref
                return bookmark
            if ref is None:
                raise TatamiError(
                    f"the trunk's branch {repository.trunk!r} is gone",
                    code="no_trunk",
                    fix=f"git branch {repository.trunk} {bookmark[:12]}",
                )
            if self._lags(ref, bookmark):
                moved = trunk.move(self._common, repository.trunk, ref, bookmark)
                if moved.raced:
                    continue
                self.waiting = moved.waiting
                record.trunk_ref = ref if moved.waiting else bookmark
                return bookmark
            self._take_over(ref, bookmark, group)
        raise BusyError("the trunk's git branch keeps moving", fix="try again")

    def _lags(self, ref: str, bookmark: str) -> bool:
        """Whether git's branch is where we left it, so that only the bookmark has moved."""
        if self._record.trunk_ref is not None:
            return ref == self._record.trunk_ref
        repository = self._repository
        return repository.is_known(ref) and repository.is_ancestor(ref, bookmark)

    def _take_over(self, ref: str, bookmark: str, group: _Group | None) -> None:
        """The user moved the trunk: imports that commit and puts our landings on top again."""
        repository, record = self._repository, self._record
        name = f"refs/heads/{repository.trunk}"
        seen = OpSpec("import trunk moved by git", {}, {}, (), (ref,), {name: ref})
        self._write(lambda: repository.publish(lambda: Plan((), lambda _: seen))).result()
        tip, built, rows = Tip(ref, repository.tree(ref)), list[CommitSpec](), []
        stuck: dict[str, Stuck] = {}
        for commit in self._ours(ref, bookmark):
            placed = self._placed(commit, tip, built)
            if isinstance(placed, Stuck):
                stuck[commit] = placed
                continue
            built += placed.specs
            tip = placed.tip
            rows.append((commit, placed.landed[0]))
        moved: dict[str, str] = {}
        listed = {entry.number: entry for entry in record.entries()}

        def plan() -> Plan:
            if repository.trunk_head() != bookmark:
                raise TrunkMovedError
            return Plan(built, finish)

        def finish(commits: Sequence[Prepared]) -> OpSpec:
            new = {old: _id(commit, commits) for old, commit in rows}
            moved.update({old: commit for old, commit in new.items() if commit != old})
            moved.update(dict.fromkeys(stuck, ""))
            return OpSpec(
                description=f"move {repository.trunk} after git",
                attributes={RELANDED: json.dumps(moved)} if moved else {},
                bookmarks={repository.trunk: _id(tip.commit, commits)},
            )

        def write() -> None:
            published = repository.publish(plan)
            assert published
            record.trunk_ref = ref
            record.relanded(published.op, moved)
            self._correct(_corrections(listed, moved, stuck), group)

        try:
            self._write(write).result()
        except TrunkMovedError:
            return

    def _ours(self, ref: str, bookmark: str) -> list[str]:
        """What stays on the trunk besides git's branch, oldest first.

        That is what git has not seen, and our landings; not the user's own commits that the user
        took off the branch (an amended one, say).
        """
        seen = self._record.trunk_ref
        dropped = set(self._line(seen, ref)) if seen else set()
        landed = set(self._record.landed.values())
        return [c for c in self._line(bookmark, ref) if c not in dropped or c in landed]

    def _placed(self, commit: str, tip: Tip, built: Sequence[CommitSpec]) -> Rebased | Stuck:
        try:
            return rebase(self._repository, [commit], tip, built)
        except UsageError as error:
            log.warning("%s stays off the trunk: %s", commit, error)
            return Stuck(commit, ())

    def _line(self, head: str, exclude: str) -> list[str]:
        return [commit.id for commit in reversed(self._repository.log([head], [exclude], None))]

    def _correct(self, changed: dict[int, Entry], group: _Group | None) -> None:
        """Records entries whose landings got new ids or no longer fit, and that all is recorded."""
        first = self._record.next_event
        self._tell(first, self._record.owe_entries(tuple(changed.values())))
        if group:
            # Who waits for the attempt learns it from there.
            own = {number: changed.pop(number) for number in group.results.keys() & changed.keys()}
            group.results |= own
            group.recorded |= own
        if changed:
            self._corrected(tuple(changed.values()))

    def _keep(self, entries: tuple[Entry, ...]) -> None:
        def write() -> None:
            first = self._record.next_event
            self._tell(first, self._record.record_entries(entries, []))

        self._write(write).result()


def _id(commit: str, commits: Sequence[Prepared]) -> str:
    return commits[int(commit[1:])].commit if commit.startswith("@") else commit


def _corrections(
    listed: dict[int, Entry], moved: dict[str, str], stuck: dict[str, Stuck]
) -> dict[int, Entry]:
    """The entries that are something else after landed commits got new ids or left the trunk."""
    changed = {}
    for number, entry in listed.items():
        corrected = moved_entry(entry, moved)
        if corrected == entry:
            continue
        failed = next((stuck[id] for id in entry.landed if id in stuck), None)
        if failed:
            corrected = replace(corrected, conflicts=failed.conflicts)
        changed[number] = corrected
    return changed


def _only(placed: Rebased) -> CommitSpec:
    """A commit with nothing but the tree of a line that fast-forwards, to export it."""
    nobody = ("tatami", "tatami@localhost", 0, 0)
    return CommitSpec((), (), "", nobody, nobody, base=placed.tip.tree)
