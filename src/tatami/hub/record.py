"""What the writer keeps in step: repository, ledger, numbers of events; and how it recovers them.

The operation log is the truth. The ledger holds what operations do not say (queue, refusals) and a
copy of the rest up to a checkpoint; at start the operations after the checkpoint fill the gap.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tatami.hub.writer import is_fatal
from tatami.protocol import hub as protocol
from tatami.protocol.hub import Answer, Json
from tatami.schedule import landing
from tatami.schedule.landing import Entry
from tatami.store.ledger import Checkpoint, Ledger
from tatami.store.repository import (
    FIRST_EVENT,
    RESTORED,
    UNDID,
    Operation,
    Repository,
    attribute_object,
    command_rows,
    imported_rows,
    landed_rows,
    relanded_ids,
)
from tatami.values.errors import TatamiError, UsageError
from tatami.values.ids import CommandId
from tatami.values.limits import CLIENTS_KEPT

log = logging.getLogger("tatami.hub")
TAKEN_OFF = "was taken off the trunk by op restore"
PAGE = 200
"""Operations read first while looking for a known one."""
ENTRIES_KEPT = 10_000
"""Landed queue entries kept for `queue --json`; the op log keeps all of them."""
UNSAVED_MAX = 4000
"""Answers and events kept in memory only (the op log has them) before a checkpoint is made."""


@dataclass(slots=True)
class Recovered:
    """The deciders' states as they were when the last hub ended."""

    conversation: protocol.State = field(default_factory=protocol.State)
    queue: landing.State = field(default_factory=landing.State)


class Record:
    """Used by the writer thread only, after `recover`."""

    def __init__(self, repository: Repository, ledger: Ledger) -> None:
        self.repository = repository
        self.ledger = ledger
        self.next_event = 1
        self.next_entry = 1
        self.landed: dict[str, str] = ledger.landed()
        self._unsaved_landed: dict[str, str] = {}
        self._unsaved_entries: tuple[Entry, ...] = ()
        """As operations say they are, where the disk was full when that was to be recorded."""
        self._untrimmed = False
        self.trunk_ref = ledger.trunk_ref()
        self.pinned: dict[str, int] = {}
        """Commits that wait in the landing queue, and with which entry."""
        self._answers: list[tuple[CommandId, Answer]] = []
        self._events: list[tuple[int, Json]] = []
        self._op = ""

    def recover(self) -> Recovered:
        """Reads the ledger, then the operations it has not seen; saves what was missing.

        On a full disk that waits: it is saved before anything else is, or found again.
        """
        found = Recovered()
        self._trim_answers()
        found.conversation.horizon = self.ledger.horizon()
        for command, answer in self.ledger.answers():
            protocol.remember(found.conversation, command, answer)
        for entry in self.ledger.entries():
            found.queue.entries[entry.number] = entry
            self._note_landed(entry)
        found.queue.paused = self.ledger.paused()
        events = dict(self.ledger.events())
        checkpoint = self.ledger.checkpoint()
        self.next_event = max(checkpoint.next_event, max(events, default=0) + 1)
        self._unsaved_entries = tuple(self._replay(checkpoint.op, found, events))
        self._note_pinned(found.queue.entries.values())
        try:
            self.save()
            self._finish_hand_backs(found.queue, events)
        except TatamiError as error:
            if error.code != "no_space":
                raise
            log.warning("what was found is not saved yet: %s", error)
        for number in sorted(events):
            found.conversation.events.append((number, {"cursor": number, **events[number]}))
        found.conversation.next_event = self.next_event
        self.next_entry = max(self.next_entry, max(found.queue.entries, default=0) + 1)
        return found

    def answered(self, command: CommandId, answer: Answer) -> None:
        """Notes an answer for the next checkpoint."""
        self._answers.append((command, answer))

    def happened(self, op: str, attributes: dict[str, str]) -> list[Json]:
        """Numbers the events of a published operation; the attributes must name that number."""
        told = facts(op, attributes)
        # In the same checkpoint as the operation: the replay after it would not look again.
        self._note_rows(attributes)
        self._op = op
        self._events += enumerate(told, start=self.next_event)
        self.next_event += len(told)
        return told

    def record_entries(
        self,
        entries: tuple[Entry, ...],
        answers: list[tuple[CommandId, Answer]],
        paused: bool | None = None,
    ) -> list[Json]:
        """Makes queue entries (and answers about them) durable now; returns their events.

        paused: whether the queue is now paused (None: as it was).
        """
        if self._unsaved_entries:
            self.save()
        told = [entry_fact(entry) for entry in entries]
        numbered = list(enumerate(told, start=self.next_event))
        ref = self.trunk_ref
        for entry in entries:
            self._note_landed(entry)
        landed = self._unsaved_landed
        self.ledger.save(answers, entries, numbered, paused=paused, trunk_ref=ref, landed=landed)
        self._unsaved_landed = {}
        self.next_event += len(told)
        self._note_pinned(entries)
        return told

    def owe_entries(self, entries: tuple[Entry, ...]) -> list[Json]:
        """As `record_entries`, for what a published operation has done to entries.

        On a full disk they are recorded with the next checkpoint: none is made without them, for
        nothing looks at the operation again after it.
        """
        told = [entry_fact(entry) for entry in entries]
        numbers = {entry.number for entry in entries}
        others = (entry for entry in self._unsaved_entries if entry.number not in numbers)
        self._unsaved_entries = (*others, *entries)
        self._events += enumerate(told, start=self.next_event)
        self.next_event += len(told)
        for entry in entries:
            self._note_landed(entry)
        self._note_pinned(entries)
        try:
            self.save()
        except TatamiError as error:
            if error.code != "no_space":
                raise
            log.warning("what was done is recorded later: %s", error)
        return told

    def entries(self) -> list[Entry]:
        """The landing queue as it was last recorded, oldest first; from any thread."""
        late = {entry.number: entry for entry in self._unsaved_entries}
        found = {entry.number: entry for entry in self.ledger.entries()} | late
        return [entry for _, entry in sorted(found.items())]

    def entry(self, number: int) -> Entry | None:
        """One entry of the landing queue, as `entries`."""
        late = (entry for entry in self._unsaved_entries if entry.number == number)
        return next(late, None) or self.ledger.entry(number)

    def relanded(self, op: str, moved: dict[str, str]) -> None:
        """Notes that an operation gave commits on the trunk other ids, or ("") took them off it.

        Of every entry there ever was; the ones still listed are the caller's to record and save.
        """
        self._op = op
        for queued, commit in list(self.landed.items()) if moved else ():
            self._set_landed(queued, moved.get(commit, commit))

    def put(self, op: str, attributes: dict[str, str]) -> None:
        """Notes what an operation landed, and what it put elsewhere or took off the trunk."""
        self._note_rows(attributes)
        self.relanded(op, relanded_ids(attributes))

    @property
    def unsaved(self) -> int:
        """Answers, events and entries since the last checkpoint."""
        return len(self._answers) + len(self._events) + len(self._unsaved_entries)

    def save(self) -> None:
        """Makes a checkpoint."""
        checkpoint = Checkpoint(self._op or self.ledger.checkpoint().op, self.next_event)
        entries, landed, ref = self._unsaved_entries, self._unsaved_landed, self.trunk_ref
        self.ledger.save(
            self._answers, entries, self._events, checkpoint, trunk_ref=ref, landed=landed
        )
        self._answers, self._events, self._unsaved_landed = [], [], {}
        self._unsaved_entries = ()
        if self._untrimmed:
            self._trim_answers()

    def save_some(self) -> None:
        """Makes a checkpoint where one is due; raises only where the disk has failed for good.

        What happened is durable in the operation log whether this table takes it or not.
        """
        if self.unsaved <= UNSAVED_MAX:
            return
        try:
            self.save()
        except Exception as error:
            if is_fatal(error):
                raise
            log.exception("the hub's table could not be saved")

    def _trim_answers(self) -> None:
        """Forgets the oldest clients' answers; on a full disk not yet."""
        try:
            self.ledger.trim_answers(CLIENTS_KEPT)
            self._untrimmed = False
        except TatamiError as error:
            if error.code != "no_space":
                raise
            if not self._untrimmed:
                log.warning("old answers are kept for now: %s", error)
            self._untrimmed = True

    def _replay(self, until: str, found: Recovered, events: dict[int, Json]) -> list[Entry]:
        """Applies the operations after `until`, oldest first; returns the entries they changed."""
        missed = operations_until(self.repository, until)
        changed: dict[int, Entry] = {}
        for op in reversed(missed):
            first = int(op.attributes.get(FIRST_EVENT, "0"))
            for number, fact in enumerate(facts(op.id, op.attributes), start=first):
                if first:
                    events[number] = fact
                    self._events.append((number, fact))
                    self.next_event = max(self.next_event, number + 1)
            for command, answer in answers_of(op.id, op.attributes):
                protocol.remember(found.conversation, command, answer)
                self.answered(command, answer)
            undo = undoing_entry(op.attributes)
            if undo and until and undo.number not in found.queue.entries:
                # The last hub died after it had published the undo, before its queue knew.
                changed[undo.number] = found.queue.entries[undo.number] = undo
            self.put(op.id, op.attributes)
            numbers = {number for number, _, _ in landed_rows(op.attributes)}
            for entry in _landed_entries(found.queue, numbers, self.landed):
                changed[entry.number] = entry
            for entry in _moved_entries(found.queue, op.attributes):
                changed[entry.number] = entry
        return list(changed.values())

    def _finish_hand_backs(self, queue: landing.State, events: dict[int, Json]) -> None:
        """The last hub may have died before what builds on a failed entry was handed back."""
        before = dict(queue.entries)
        followers = landing.hand_back_followers(queue)
        if not followers:
            return
        first = self.next_event
        try:
            events.update(enumerate(self.record_entries(followers, []), start=first))
        except TatamiError:
            # The queue does it with its first step, and records it when it can.
            queue.entries.update(before)
            raise

    def _note_rows(self, attributes: dict[str, str]) -> None:
        """What an operation landed is known from it alone, should the ledger have been deleted."""
        for number, queued, commit in landed_rows(attributes):
            self._set_landed(queued, commit)
            self.next_entry = max(self.next_entry, number + 1)

    def _note_landed(self, entry: Entry) -> None:
        if entry.state == "landed":
            for queued, commit in zip(entry.commits, entry.landed, strict=True):
                self._set_landed(queued, commit)

    def _set_landed(self, queued: str, commit: str) -> None:
        """Notes as what a queued commit is on the trunk; "" where it is not."""
        if self.landed.get(queued, "") == commit:
            return
        self._unsaved_landed[queued] = commit
        if commit:
            self.landed[queued] = commit
        else:
            del self.landed[queued]

    def _note_pinned(self, entries: Iterable[Entry]) -> None:
        """A commit may be in several entries, of which one at most is queued."""
        for entry in entries:
            if entry.state == "queued":
                self.pinned.update(dict.fromkeys(entry.commits, entry.number))
                continue
            for commit in entry.commits:
                if self.pinned.get(commit) == entry.number:
                    del self.pinned[commit]


def operations_until(repository: Repository, until: str) -> list[Operation]:
    """Operations newer than `until` (all, where it is unknown), newest first.

    Always read from the head: where a stock tool's operation runs beside ours, a page that begins
    at the last one of the page before would miss the other side of the merge.
    """
    limit = PAGE
    while True:
        page = repository.operations(limit)
        for index, op in enumerate(page):
            if op.id == until:
                return page[:index]
        if len(page) < limit:
            return page
        limit *= 4


def facts(op: str, attributes: dict[str, str]) -> list[Json]:
    """The events an operation stands for, in the order of its attributes."""
    told: list[Json] = [
        {"kind": verb, "agent": agent, "commit": commit, "change": change, "op": op}
        for _, agent, verb, commit, change in command_rows(attributes)
    ]
    told += [
        {"kind": "landed", "entry": entry, "queued": queued, "commit": commit, "op": op}
        for entry, queued, commit in landed_rows(attributes)
    ]
    told += [
        {"kind": "imported", "agent": agent, "before": before, "commit": after, "op": op}
        for agent, before, after in imported_rows(attributes)
    ]
    return told


def answers_of(op: str, attributes: dict[str, str]) -> list[tuple[CommandId, Answer]]:
    """The answers an operation's commands got, as rebuilt from its attributes.

    A command whose id is not one today (of an early release, say) has none: nobody can resend it.
    """
    answers: dict[CommandId, Answer] = {}
    for command, agent, verb, commit, change in command_rows(attributes):
        try:
            parsed = CommandId.parse(command)
        except UsageError:
            continue
        row: Json = {"agent": agent, "commit": commit, "change": change, "op": op}
        if verb == "agent":
            rows = answers[parsed].result.get("agents") if parsed in answers else None
            rows = rows if isinstance(rows, list) else []
            answers[parsed] = Answer(
                {"agents": [*rows, {"agent": agent, "head": commit}], "op": op}
            )
        elif verb == "undo":
            answers[parsed] = Answer(row | attribute_object(attributes, UNDID))
        elif verb == "restore":
            answers[parsed] = Answer({"op": op, **attribute_object(attributes, RESTORED)})
        else:
            answers[parsed] = Answer(row)
    return list(answers.items())


def undoing_entry(attributes: dict[str, str]) -> Entry | None:
    """The queue entry that is to land what an undo takes back on the trunk; None for none."""
    undid = attribute_object(attributes, UNDID)
    rows = command_rows(attributes)
    if not undid.get("entry") or not rows:
        return None
    inverse, verify = tuple(undid.get("inverse") or ()), undid.get("verify")
    return Entry(undid["entry"], rows[0][1], inverse, verify, undoes=True)


def entry_fact(entry: Entry) -> Json:
    """The event of a queue entry that changed state."""
    fact: Json = {"kind": "queue", "entry": entry.number, "agent": entry.agent}
    return fact | {"state": entry.state, "reason": entry.reason}


def landed_again(entry: Entry, numbers: Iterable[int], landed: Mapping[str, str]) -> Entry:
    """The entry after an operation landed some (`numbers`), itself perhaps."""
    if entry.number not in numbers or entry.state == "landed":
        return entry
    ids = tuple(landed.get(commit, "") for commit in entry.commits)
    if not all(ids):
        return entry
    return replace(entry, state="landed", reason="", landed=ids, conflicts=())


def _landed_entries(
    queue: landing.State, numbers: Iterable[int], landed: Mapping[str, str]
) -> list[Entry]:
    """Queue entries that an operation landed though the ledger does not know it yet.

    Some of an entry's commits may have been on the trunk before: `landed` knows all of them.
    """
    known = set(numbers)
    entries = [(entry, landed_again(entry, known, landed)) for entry in queue.entries.values()]
    changed = [after for before, after in entries if after != before]
    queue.entries.update((entry.number, entry) for entry in changed)
    return changed


def moved_entry(entry: Entry, moved: dict[str, str], why: str = "") -> Entry:
    """The entry after landed commits got new ids; handed back where one ("") is off the trunk.

    What is on the trunk now is not the tree that landed, and nobody has verified it.
    """
    if entry.state != "landed" or moved.keys().isdisjoint(entry.landed):
        return entry
    landed = tuple(moved.get(commit, commit) for commit in entry.landed)
    if not all(landed):
        reason = why or "no longer merges after the trunk was moved in git"
        return replace(entry, state="handed_back", reason=reason, landed=(), tree="")
    unproven = "the trunk was moved in git after this was verified"
    reason = entry.reason if entry.verify is None else unproven
    return replace(entry, reason=reason, landed=landed, tree="")


def _moved_entries(queue: landing.State, attributes: dict[str, str]) -> list[Entry]:
    """Landed queue entries that an operation put elsewhere though the ledger does not know it."""
    moved = relanded_ids(attributes)
    why = TAKEN_OFF if RESTORED in attributes else ""
    entries = [(entry, moved_entry(entry, moved, why)) for entry in queue.entries.values()]
    changed = [after for before, after in entries if after != before]
    queue.entries.update((entry.number, entry) for entry in changed)
    return changed
