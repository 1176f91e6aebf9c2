"""The model's lander: `tatami.hub.landing.lander` with merges of one path at a time and no git.

It runs beside the writer, and hands it what is to be published or recorded.
"""

from collections import ChainMap
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from tatami.hub.record import Record
from tatami.protocol.hub import Json
from tatami.schedule.landing import FAILED, Conflict, Entry, StateName, handed_back_with
from tatami.store.repository import FIRST_EVENT, LANDED
from tatami.testing.simulator.flaws import Flaw
from tatami.testing.simulator.model import storage
from tatami.testing.simulator.model.storage import TRUNK, Commit, OpLog, Steps, digest
from tatami.values.errors import TatamiError

if TYPE_CHECKING:
    from tatami.testing.simulator.model.hub import Done, Surroundings

Entries = tuple[Entry, ...]
Write = Callable[[], Steps[None]]
Attempt = Generator["float | Write", None, Entries]
"""Yields seconds, or work for the writer; goes on when they have passed, or it is done."""
REF = f"refs/{TRUNK}"


@dataclass(slots=True)
class _Group:
    """Entries of one attempt, what became of them, and the commits to make for them."""

    tip: Commit
    made: list[Commit] = field(default_factory=list)
    rows: list[tuple[int, str, str]] = field(default_factory=list)
    results: dict[int, Entry] = field(default_factory=dict)
    recorded: dict[int, Entry] = field(default_factory=dict)

    def landed_as(self) -> dict[str, str]:
        """What the group lands, and as what."""
        return {queued: commit for _, queued, commit in self.rows}


class Lander:
    """Carries out attempts, one at a time."""

    def __init__(
        self,
        record: Record,
        log: OpLog,
        world: "Surroundings",
        submit: "Callable[[Write, Done[None]], None]",
        *,
        tell: Callable[[int, Sequence[Json]], None],
        reached: Callable[[str], None],
    ) -> None:
        self._reached = reached
        self._record = record
        self._log = log
        self._world = world
        self._submit = submit
        self._tell = tell

    def follow(self) -> None:
        """Rolls git's branch forward to the bookmark, where a hub died in between."""
        before = self._record.trunk_ref
        self._move_ref()
        if self._record.trunk_ref != before:
            self._submit(lambda: self._keep(()), lambda _: None)

    def attempt(
        self, entries: Entries, done: Callable[[Entries | TatamiError, Entries], None]
    ) -> None:
        """Begins an attempt; `done` hears every entry in its new state, recorded durably."""
        self._go_on(self._attempt(entries), None, lambda result: done(result, entries))

    def _go_on(
        self,
        attempt: Attempt,
        error: TatamiError | None,
        done: Callable[[Entries | TatamiError], None],
    ) -> None:
        try:
            step = attempt.throw(error) if error else next(attempt)
        except StopIteration as stop:
            self._world.soon(partial(done, stop.value))
        except TatamiError as failure:
            self._world.soon(partial(done, failure))
        else:
            go_on = partial(self._go_on, attempt, done=done)
            if isinstance(step, float):
                self._world.soon(partial(go_on, None), step)
            else:
                self._submit(step, go_on)

    def _attempt(self, entries: Entries) -> Attempt:
        try:
            return (yield from self._landed(entries))
        except TatamiError as error:
            if error.code == "no_space":
                raise
            reason = f"{error}"
            again = error.retryable and entries[0].reason != reason
            state: StateName = "queued" if again else "rejected"
            done = tuple(replace(entry, state=state, reason=reason) for entry in entries)
            yield partial(self._keep, done)
            return done

    def _landed(self, entries: Entries) -> Attempt:
        group = _Group(self._log.commits[self._log.bookmarks[TRUNK]])
        yield 0.002
        for entry in entries:
            placed = self._placed(group, entry)
            if placed.state == "landed" and entry.verify is not None and placed.commits:
                self._world.saw("state", "verifying")
                yield 0.05
            group.results[entry.number] = placed
        if group.rows:
            yield partial(self._publish, group)
            self._move_ref()
            yield 0.001
        done = tuple(group.results[entry.number] for entry in entries)
        yield partial(self._keep, tuple(e for e in done if group.recorded.get(e.number) != e))
        return done

    def _placed(self, group: _Group, entry: Entry) -> Entry:
        """Adds an entry to the group if it merges and verifies; its state tells."""
        landed = self._known()
        if all(commit in landed for commit in entry.commits):
            ids = tuple(landed[commit] for commit in entry.commits)
            return replace(entry, state="landed", reason="", landed=ids)
        below = self._missing(entry)
        if below:
            return handed_back_with(entry, below)
        known = ChainMap(group.landed_as(), dict(landed))
        line = [self._log.commits[id] for id in entry.commits if id not in known]
        if not line:
            return replace(entry, state="landed", reason="")
        placed = _rebased(self._log, line, group.tip)
        if isinstance(placed, Conflict):
            reason = f"conflicts with the trunk in {placed.path}"
            return replace(entry, state="handed_back", reason=reason, conflicts=(placed,))
        if entry.verify is not None and self._world.chance(0.3):
            return replace(entry, state="rejected", reason="verify failed")
        group.made += [commit for commit in placed if commit.id not in self._log.commits]
        group.tip = placed[-1]
        group.rows += [(entry.number, c.id, at.id) for c, at in zip(line, placed, strict=True)]
        return replace(entry, state="landed", reason="", tree=placed[-1].id)

    def _known(self) -> Mapping[str, str]:
        return {} if self._world.flaw is Flaw.LANDS_TWICE else self._record.landed

    def _missing(self, entry: Entry) -> int:
        if self._world.flaw is Flaw.SKIPS_HAND_BACK:
            return 0
        for number in entry.builds_on:
            below = self._record.entry(number)
            if below is None or below.state not in FAILED:
                continue
            if any(commit not in self._record.landed for commit in below.commits):
                return number
        return 0

    def _publish(self, group: _Group) -> Steps[None]:
        """Publishes the group as one operation, and records at once that it landed."""
        record = self._record
        attributes = {LANDED: storage.rows(group.rows), FIRST_EVENT: str(record.next_event)}
        first = record.next_event
        seen = dict(attributes)
        if self._world.flaw is Flaw.UNRECORDED_LANDING:
            seen = {}
        self._world.saw("state", "landing")
        op = self._log.prepare(tuple(group.made), {TRUNK: group.tip.id}, seen)
        yield from self._log.publish(op, self._reached)
        told = record.happened(op.id, attributes)
        self._tell(first, told)
        ids = ChainMap(group.landed_as(), record.landed)
        group.recorded = {
            number: replace(entry, landed=tuple(ids[commit] for commit in entry.commits))
            for number, entry in group.results.items()
            if entry.state == "landed"
        }
        group.results |= group.recorded
        first = record.next_event
        self._tell(first, record.record_entries(tuple(group.recorded.values()), []))

    def _keep(self, entries: Entries) -> Steps[None]:
        first = self._record.next_event
        self._tell(first, self._record.record_entries(entries, []))
        yield 0.001

    def _move_ref(self) -> None:
        """Moves git's branch; a disk that is full leaves it to the next landing or start."""
        disk, head = self._world.disk, self._log.bookmarks[TRUNK]
        if disk.read(REF).decode() != head:
            try:
                storage.durably(disk, REF, head.encode())
                disk.sync("refs")
            except OSError:
                return
        self._record.trunk_ref = head


def _rebased(log: OpLog, line: Sequence[Commit], tip: Commit) -> list[Commit] | Conflict:
    """The line on the tip: itself where it grows there, else copies; or where it does not merge."""
    if line[0].parent == tip.id:
        return list(line)
    copies = []
    for commit in line:
        base = log.commits[commit.parent].tree.get(commit.path, "")
        ours = tip.tree.get(commit.path, "")
        if ours not in (base, commit.value):
            return Conflict(commit.path, base, ours, commit.value)
        tree = {**tip.tree, commit.path: commit.value}
        id = digest("copy", commit.id, tip.id)
        tip = Commit(id, tip.id, commit.agent, commit.path, commit.value, tree)
        copies.append(tip)
    return copies
