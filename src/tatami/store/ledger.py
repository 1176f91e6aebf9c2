"""The hub's table (LMDB): answers, landing queue, events, and up to which operation they go.

What an operation's attributes say is rebuilt from the op log after a crash, so commits cost this
table nothing: they are saved together at checkpoints. What makes no operation is synced at once.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import lmdb

from tatami.protocol.hub import Answer, Json
from tatami.schedule.landing import Conflict, Entry
from tatami.values.errors import TatamiError, from_wire
from tatami.values.ids import CommandId
from tatami.values.limits import EVENTS_KEPT

MAP_BYTES = 1 << 34
"""Address space, not disk: LMDB's file grows as it is used."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything up to and including operation `op` is in the table ("" = nothing yet)."""

    op: str
    next_event: int


class Ledger:
    """One environment in `<state>/hub`; only the hub, under its lock, opens one to write."""

    def __init__(self, directory: str, writes: bool = True) -> None:
        if writes:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        try:
            self._env = lmdb.open(
                directory, map_size=MAP_BYTES, max_dbs=8, mode=0o600, readonly=not writes
            )
            self._meta = self._env.open_db(b"meta")
            self._answers = self._env.open_db(b"answers")
            self._queue = self._env.open_db(b"queue")
            self._events = self._env.open_db(b"events")
            self._landed = self._env.open_db(b"landed")
        except lmdb.Error as error:
            raise TatamiError(
                f"the hub's table in {directory} cannot be opened: {error}",
                code="corrupt",
                fix=f"move {directory} aside; it is rebuilt from the operation log",
            ) from error

    def close(self) -> None:
        """Closes the environment; nothing can be read or written after it."""
        self._env.close()

    def checkpoint(self) -> Checkpoint:
        """The last checkpoint."""
        with self._env.begin(db=self._meta) as read:
            value = read.get(b"checkpoint")
        return Checkpoint(**json.loads(value)) if value else Checkpoint("", 1)

    def paused(self) -> bool:
        """Whether somebody paused the landing queue and nobody has resumed it."""
        with self._env.begin(db=self._meta) as read:
            return read.get(b"paused") == _dumps(True)

    def trunk_ref(self) -> str | None:
        """The commit that git's trunk branch was last known at."""
        with self._env.begin(db=self._meta) as read:
            value = read.get(b"trunk_ref")
        return value.decode() if value else None

    def save(
        self,
        answers: Iterable[tuple[CommandId, Answer]] = (),
        entries: Iterable[Entry] = (),
        events: Iterable[tuple[int, Json]] = (),
        checkpoint: Checkpoint | None = None,
        *,
        paused: bool | None = None,
        trunk_ref: str | None = None,
        landed: Mapping[str, str] | None = None,
    ) -> None:
        """Records everything in one synced transaction.

        landed: queued commit -> commit on the trunk, "" to forget it.
        """
        with self._env.begin(write=True) as write:
            for command, answer in answers:
                write.put(_command_key(command), _pack_answer(answer), db=self._answers)
            for entry in entries:
                write.put(_number(entry.number), _dumps(asdict(entry)), db=self._queue)
            newest = 0
            for newest, event in events:
                write.put(_number(newest), _dumps(event), db=self._events)
            if newest > EVENTS_KEPT:
                self._trim_events(write, newest - EVENTS_KEPT)
            if checkpoint:
                write.put(b"checkpoint", _dumps(asdict(checkpoint)), db=self._meta)
            for queued, commit in (landed or {}).items():
                if commit:
                    write.put(queued.encode(), commit.encode(), db=self._landed)
                else:
                    write.delete(queued.encode(), db=self._landed)
            if trunk_ref is not None:
                write.put(b"trunk_ref", trunk_ref.encode(), db=self._meta)
            if paused is not None:
                write.put(b"paused", _dumps(paused), db=self._meta)

    def forget_entries(self, numbers: Iterable[int]) -> None:
        """Drops landing entries that are no longer listed."""
        with self._env.begin(write=True, db=self._queue) as write:
            for number in numbers:
                write.delete(_number(number))

    def landed(self) -> dict[str, str]:
        """Every queued commit that has landed, and as which commit; kept for ever."""
        with self._env.begin(db=self._landed) as read:
            return {key.decode(): value.decode() for key, value in read.cursor()}

    def trim_answers(self, clients: int) -> str:
        """Forgets all but the newest clients' answers; returns the oldest client still known.

        Incarnations begin with their time, so the table is in the order of their ages. An id of
        an older client that is not known is refused, for ever: that is what the return is for.
        """
        with self._env.begin(write=True) as write:
            horizon = write.get(b"horizon", db=self._meta) or b""
            seen: set[bytes] = set()
            with write.cursor(db=self._answers) as cursor:
                found = cursor.last()
                while found:
                    seen.add(cursor.key()[:-8])
                    if len(seen) > clients:
                        horizon = max(horizon, min(seen - {cursor.key()[:-8]}))
                        break
                    found = cursor.prev()
            with write.cursor(db=self._answers) as cursor:
                while len(seen) > clients and cursor.first() and cursor.key()[:-8] < horizon:
                    cursor.delete()
            write.put(b"horizon", horizon, db=self._meta)
        return horizon.decode()

    def answers(self) -> Iterable[tuple[CommandId, Answer]]:
        """Every recorded answer, in order of the sequence of each client."""
        with self._env.begin(db=self._answers) as read:
            for key, value in read.cursor():
                incarnation, sequence = key[:-8].decode(), int.from_bytes(key[-8:], "big")
                yield CommandId(incarnation, sequence), _unpack_answer(value)

    def entries(self) -> list[Entry]:
        """The landing queue, oldest first."""
        with self._env.begin(db=self._queue) as read:
            return [_entry(json.loads(value)) for _, value in read.cursor()]

    def events(self) -> list[tuple[int, Json]]:
        """The recorded events, oldest first."""
        with self._env.begin(db=self._events) as read:
            return [(int.from_bytes(k, "big"), json.loads(v)) for k, v in read.cursor()]

    def _trim_events(self, write: lmdb.Transaction, oldest: int) -> None:
        with write.cursor(db=self._events) as cursor:
            while cursor.first() and int.from_bytes(cursor.key(), "big") < oldest:
                cursor.delete()


def count_rows(directory: str) -> int:
    """Reads every row of a ledger that a hub may be writing; raises whatever a damaged one does."""
    ledger = Ledger(directory, writes=False)
    try:
        ledger.checkpoint()
        return sum(
            1 for rows in (ledger.answers(), ledger.entries(), ledger.events()) for _ in rows
        )
    finally:
        ledger.close()


def _number(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _command_key(command: CommandId) -> bytes:
    return command.incarnation.encode() + _number(command.sequence)


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _pack_answer(answer: Answer) -> bytes:
    error = answer.error
    if error is None:
        return _dumps({"result": answer.result})
    fields = (error.message, error.code, error.fix, error.exit_code, error.retryable)
    return _dumps({"error": fields})


def _unpack_answer(value: bytes) -> Answer:
    record = json.loads(value)
    if "error" in record:
        return Answer(error=from_wire(*record["error"]))
    return Answer(record["result"])


def _entry(record: dict[str, object]) -> Entry:
    fields = dict(record)
    fields["commits"] = tuple(_list(record["commits"]))
    fields["landed"] = tuple(_list(record["landed"]))
    fields["conflicts"] = tuple(Conflict(**row) for row in _list(record["conflicts"]))
    if fields["state"] == "landing":
        # The attempt died with the hub; whether it got through is read from the op log.
        fields["state"] = "queued"
    return Entry(**fields)  # type: ignore[arg-type]


def _list(value: object) -> list:  # type: ignore[type-arg]
    assert isinstance(value, list)
    return value
