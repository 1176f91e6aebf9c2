"""What the writer keeps in step: repository, ledger, numbers of events; and how it recovers them.

The operation log is the truth. The ledger holds what operations do not say (queue, refusals) and a
copy of the rest up to a checkpoint; at start the operations after the checkpoint fill the gap.
"""

from dataclasses import dataclass, field, replace

from tatami.protocol import hub as protocol
from tatami.protocol.hub import Answer, Json
from tatami.schedule import landing
from tatami.schedule.landing import Entry
from tatami.store.ledger import Checkpoint, Ledger
from tatami.store.repository import (
    FIRST_EVENT,
    Operation,
    Repository,
    command_rows,
    landed_rows,
    relanded_ids,
)
from tatami.values.ids import CommandId
from tatami.values.limits import CLIENTS_KEPT

PAGE = 200
"""Operations read first while looking for a known one."""
ENTRIES_KEPT = 10_000
"""Landed queue entries kept for `queue --json`; the op log keeps all of them."""


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
        self.trunk_ref = ledger.trunk_ref()
        self.pinned: set[str] = set()
        self._answers: list[tuple[CommandId, Answer]] = []
        self._events: list[tuple[int, Json]] = []
        self._op = ""

    def recover(self) -> Recovered:
        """Reads the ledger, then the operations it has not seen; saves what was missing."""
        found = Recovered()
        found.conversation.horizon = self.ledger.trim_answers(CLIENTS_KEPT)
        for command, answer in self.ledger.answers():
            protocol.remember(found.conversation, command, answer)
        for entry in self.ledger.entries():
            found.queue.entries[entry.number] = entry
            self._note_landed(entry)
        found.queue.paused = self.ledger.paused()
        events = dict(self.ledger.events())
        checkpoint = self.ledger.checkpoint()
        self.next_event = max(checkpoint.next_event, max(events, default=0) + 1)
        changed = self._replay(checkpoint.op, found, events)
        for number in sorted(events):
            found.conversation.events.append((number, {"cursor": number, **events[number]}))
        found.conversation.next_event = self.next_event
        self.next_entry = max(self.next_entry, max(found.queue.entries, default=0) + 1)
        found.queue.next_number = self.next_entry
        self._note_pinned(found.queue)
        self.ledger.save(entries=changed)
        self.save()
        return found

    def answered(self, command: CommandId, answer: Answer) -> None:
        """Notes an answer for the next checkpoint."""
        self._answers.append((command, answer))

    def happened(self, op: str, attributes: dict[str, str]) -> list[Json]:
        """Numbers the events of a published operation; the attributes must name that number."""
        told = facts(op, attributes)
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
        told = [entry_fact(entry) for entry in entries]
        numbered = list(enumerate(told, start=self.next_event))
        ref = self.trunk_ref
        for entry in entries:
            self._note_landed(entry)
        landed = self._unsaved_landed
        self.ledger.save(answers, entries, numbered, paused=paused, trunk_ref=ref, landed=landed)
        self._unsaved_landed = {}
        self.next_event += len(told)
        for entry in entries:
            pin = self.pinned.update if entry.state == "queued" else self.pinned.difference_update
            pin(entry.commits)
        return told

    @property
    def unsaved(self) -> int:
        """Answers and events since the last checkpoint."""
        return len(self._answers) + len(self._events)

    def save(self) -> None:
        """Makes a checkpoint."""
        checkpoint = Checkpoint(self._op or self.ledger.checkpoint().op, self.next_event)
        landed = self._unsaved_landed
        self.ledger.save(self._answers, (), self._events, checkpoint, landed=landed)
        self._answers, self._events, self._unsaved_landed = [], [], {}

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
            changed.update((e.number, e) for e in _landed_entries(found.queue, op.attributes))
            changed.update((e.number, e) for e in _moved_entries(found.queue, op.attributes))
            self._note_rows(op.attributes)
            self._op = op.id
        for entry in changed.values():
            self._note_landed(entry)
        return list(changed.values())

    def _note_rows(self, attributes: dict[str, str]) -> None:
        """What an operation landed is known from it alone, should the ledger have been deleted."""
        for number, queued, commit in landed_rows(attributes):
            self._set_landed(queued, commit)
            self.next_entry = max(self.next_entry, number + 1)
        moved = relanded_ids(attributes)
        for queued, commit in list(self.landed.items()) if moved else ():
            self._set_landed(queued, moved.get(commit, commit))

    def _note_landed(self, entry: Entry) -> None:
        if entry.state == "landed":
            for queued, commit in zip(entry.commits, entry.landed, strict=True):
                self._set_landed(queued, commit)
        elif entry.state == "handed_back":
            # It may have been on the trunk before the user moved that; it has to land again.
            for queued in entry.commits:
                self._set_landed(queued, "")

    def _set_landed(self, queued: str, commit: str) -> None:
        """Notes as what a queued commit is on the trunk; "" where it is not."""
        if self.landed.get(queued, "") == commit:
            return
        self._unsaved_landed[queued] = commit
        if commit:
            self.landed[queued] = commit
        else:
            del self.landed[queued]

    def _note_pinned(self, queue: landing.State) -> None:
        for entry in queue.entries.values():
            if entry.state == "queued":
                self.pinned.update(entry.commits)


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
    return told


def answers_of(op: str, attributes: dict[str, str]) -> list[tuple[CommandId, Answer]]:
    """The answers an operation's commands got, as rebuilt from its attributes."""
    answers: dict[CommandId, Answer] = {}
    for command, agent, verb, commit, change in command_rows(attributes):
        parsed = CommandId.parse(command)
        row: Json = {"agent": agent, "commit": commit, "change": change, "op": op}
        if verb == "agent":
            rows = answers[parsed].result["agents"] if parsed in answers else []
            assert isinstance(rows, list)
            answers[parsed] = Answer(
                {"agents": [*rows, {"agent": agent, "head": commit}], "op": op}
            )
        else:
            answers[parsed] = Answer(row)
    return list(answers.items())


def entry_fact(entry: Entry) -> Json:
    """The event of a queue entry that changed state."""
    fact: Json = {"kind": "queue", "entry": entry.number, "agent": entry.agent}
    return fact | {"state": entry.state, "reason": entry.reason}


def _landed_entries(queue: landing.State, attributes: dict[str, str]) -> list[Entry]:
    """Queue entries that an operation landed though the ledger does not know it yet."""
    landed: dict[int, list[str]] = {}
    for number, _, commit in landed_rows(attributes):
        landed.setdefault(number, []).append(commit)
    changed = []
    for number, commits in landed.items():
        entry = queue.entries.get(number)
        if entry and entry.state != "landed":
            entry = replace(entry, state="landed", reason="", landed=tuple(commits))
            queue.entries[number] = entry
            changed.append(entry)
    return changed


def moved_entry(entry: Entry, moved: dict[str, str]) -> Entry:
    """The entry after landed commits got new ids; handed back where one ("") no longer merges."""
    if entry.state != "landed" or moved.keys().isdisjoint(entry.landed):
        return entry
    landed = tuple(moved.get(commit, commit) for commit in entry.landed)
    if all(landed):
        return replace(entry, landed=landed)
    reason = "no longer merges after the trunk was moved in git"
    return replace(entry, state="handed_back", reason=reason, landed=())


def _moved_entries(queue: landing.State, attributes: dict[str, str]) -> list[Entry]:
    """Landed queue entries that an operation put elsewhere though the ledger does not know it."""
    moved = relanded_ids(attributes)
    changed = [e for entry in queue.entries.values() if (e := moved_entry(entry, moved)) != entry]
    queue.entries.update((entry.number, entry) for entry in changed)
    return changed
