"""The hub's table of the model: the names and meanings of `tatami.store.ledger.Ledger`."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from tatami.protocol.hub import Answer, Json
from tatami.schedule.landing import Entry
from tatami.store.ledger import Checkpoint
from tatami.testing.disk import Disk
from tatami.testing.simulator.model.storage import (
    FILE_BYTES,
    CorruptError,
    Save,
    Vaults,
    disk_error,
)
from tatami.values.ids import CommandId


class Table:
    """One file of records, and a mark that says how many of them count.

    As in LMDB, what a transaction adds is durable before the mark that makes it count is moved.
    """

    def __init__(self, disk: Disk, vaults: Vaults, clients_kept: int) -> None:
        self._disk = disk
        self._vaults = vaults
        self._clients_kept = clients_kept
        self._answers: dict[CommandId, Answer] = {}
        self._entries: dict[int, Entry] = {}
        self._events: dict[int, Json] = {}
        self._landed: dict[str, str] = {}
        self._checkpoint = Checkpoint("", 1)
        self._paused = False
        self._trunk_ref: str | None = None
        self._horizon = ""
        self._count = 0
        self._load()

    def _load(self) -> None:
        self._count = int(self._disk.read("hub/mark"))
        content = self._disk.read("hub/ledger")
        for start in range(0, self._count * FILE_BYTES, FILE_BYTES):
            save = self._vaults.saves.get(content[start : start + FILE_BYTES])
            if save is None:
                raise CorruptError(f"record {start // FILE_BYTES} of the table is not whole")
            self._apply(save)

    def _commit(self, save: Save) -> None:
        """Makes a transaction durable; raises `TatamiError` as the ledger does."""
        name = f"save {len(self._vaults.saves.values)}"
        record = self._vaults.saves.keep(name, save)
        try:
            self._disk.write("hub/ledger", record, at=self._count * FILE_BYTES)
            self._disk.sync("hub/ledger")
            self._disk.write("hub/mark", str(self._count + 1).zfill(12).encode(), at=0)
            self._disk.sync("hub/mark")
        except OSError as error:
            raise disk_error(error) from error
        self._count += 1
        self._apply(save)

    def _apply(self, save: Save) -> None:
        self._answers.update(save.answers)
        for command in save.forgotten:
            self._answers.pop(command, None)
        self._entries.update((entry.number, entry) for entry in save.entries)
        self._events.update(save.events)
        for queued, commit in save.landed:
            if commit:
                self._landed[queued] = commit
            else:
                self._landed.pop(queued, None)
        self._checkpoint = save.checkpoint or self._checkpoint
        self._horizon = save.horizon or self._horizon
        if save.paused is not None:
            self._paused = save.paused
        if save.trunk_ref is not None:
            self._trunk_ref = save.trunk_ref

    def checkpoint(self) -> Checkpoint:
        """The last checkpoint."""
        return self._checkpoint

    def paused(self) -> bool:
        """Whether the landing queue is paused."""
        return self._paused

    def trunk_ref(self) -> str | None:
        """Where git's trunk branch was last known to be."""
        return self._trunk_ref

    def save(
        self,
        answers: Collection[tuple[CommandId, Answer]] = (),
        entries: Collection[Entry] = (),
        events: Collection[tuple[int, Json]] = (),
        checkpoint: Checkpoint | None = None,
        *,
        paused: bool | None = None,
        trunk_ref: str | None = None,
        landed: Mapping[str, str] | None = None,
    ) -> None:
        """Records everything in one synced transaction."""
        rows = tuple((landed or {}).items())
        told = tuple(answers), tuple(entries), tuple(events)
        self._commit(Save(*told, checkpoint, paused, trunk_ref, rows))

    def forget_entries(self, numbers: Collection[int]) -> None:
        """Drops landing entries that are no longer listed."""
        for number in numbers:
            self._entries.pop(number, None)

    def landed(self) -> dict[str, str]:
        """Every queued commit that has landed, and as which commit."""
        return dict(self._landed)

    def horizon(self) -> str:
        """The oldest client that was known when answers were last trimmed."""
        return self._horizon

    def trim_answers(self, clients: int) -> None:  # noqa: ARG002 - the model keeps fewer
        """Forgets all but the newest clients' answers."""
        known = sorted({command.incarnation for command in self._answers})
        gone = known[: max(0, len(known) - self._clients_kept)]
        if not gone:
            return
        horizon = max(self._horizon, known[len(gone)])
        forgotten = tuple(c for c in self._answers if c.incarnation in gone)
        self._commit(Save(horizon=horizon, forgotten=forgotten))

    def answers(self) -> Iterable[tuple[CommandId, Answer]]:
        """Every recorded answer, in order of the sequence of each client."""
        return sorted(self._answers.items(), key=lambda one: one[0])

    def entries(self) -> list[Entry]:
        """The landing queue, oldest first; an attempt under way has died with its hub."""
        entries = (entry for _, entry in sorted(self._entries.items()))
        return [replace(e, state="queued") if e.state == "landing" else e for e in entries]

    def entry(self, number: int) -> Entry | None:
        """One entry of the landing queue."""
        return self._entries.get(number)

    def events(self) -> list[tuple[int, Json]]:
        """The recorded events, oldest first."""
        return sorted(self._events.items())
