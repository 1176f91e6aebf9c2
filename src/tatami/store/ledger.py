"""The hub's table (LMDB): answers, landing queue, events, and up to which operation they go.

What an operation's attributes say is rebuilt from the op log after a crash, so commits cost this
table nothing: they are saved together at checkpoints. What makes no operation is synced at once.
"""

import errno
import json
import os
import re
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TypeVar

import lmdb

from tatami.protocol.hub import Answer, Json
from tatami.schedule.landing import Conflict, Entry
from tatami.values.errors import TatamiError, from_wire
from tatami.values.ids import CommandId
from tatami.values.limits import EVENTS_KEPT

Result = TypeVar("Result")
MAP_BYTES = 1 << 34
"""Address space, not disk: LMDB's file grows as it is used. Doubled when it is full."""
CHECKSUM_BYTES = 4
"""Behind every value: CRC-32 of key and value."""
UNSEALED_ID = re.compile(rb"[0-9a-f]{24}|[0-9a-f]{40}|")
"""A commit or an incarnation, or none, as an earlier release wrote it; anything else was JSON."""
PAGE = 1000
"""Answers read at a time: there may be more of them than fit into memory."""
QUOTA = os.strerror(errno.EDQUOT)
SHORT = os.strerror(errno.EIO)
FREE_BYTES_MIN = 1 << 16
"""Where less is free, what was written in part was too much for the disk."""
MISUSED = (lmdb.BadValsizeError, lmdb.InvalidParameterError, lmdb.BadDbiError, lmdb.BadTxnError)
"""Errors of ours, which say nothing about the disk."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything up to and including operation `op` is in the table ("" = nothing yet)."""

    op: str
    next_event: int


class Ledger:
    """One environment in `<state>/hub`; only the hub, under its lock, opens one to write.

    One thread writes; reading is safe from any. Whatever writes raises `no_space` where the disk
    is full, and may be tried again; or `sync_failed`, after which only a new process can tell what
    the disk holds.
    """

    def __init__(self, directory: str, writes: bool = True, map_bytes: int = MAP_BYTES) -> None:
        self._directory = directory
        self._mapped = threading.Lock()
        """Held while something is read, or the map grows: it must not move under a reader."""
        if writes:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        try:
            self._env = lmdb.open(
                directory, map_size=map_bytes, max_dbs=8, mode=0o600, readonly=not writes
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
                fix="tatami fsck --repair",
            ) from error

    def close(self) -> None:
        """Closes the environment; nothing can be read or written after it."""
        self._env.close()

    def checkpoint(self) -> Checkpoint:
        """The last checkpoint."""
        with self._read(self._meta) as read:
            value = self._get(read, b"checkpoint")
        return Checkpoint(**json.loads(value)) if value else Checkpoint("", 1)

    def paused(self) -> bool:
        """Whether somebody paused the landing queue and nobody has resumed it."""
        with self._read(self._meta) as read:
            return self._get(read, b"paused") == _dumps(True)

    def trunk_ref(self) -> str | None:
        """The commit that git's trunk branch was last known at."""
        with self._read(self._meta) as read:
            value = self._get(read, b"trunk_ref")
        return value.decode() if value else None

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
        """Records everything in one synced transaction.

        landed: queued commit -> commit on the trunk, "" to forget it.
        """

        def save(write: "lmdb.Transaction[bytes]") -> None:
            for command, answer in answers:
                _put(write, self._answers, _command_key(command), _pack_answer(answer))
            for entry in entries:
                _put(write, self._queue, _number(entry.number), _dumps(asdict(entry)))
            newest = 0
            for newest, event in events:
                _put(write, self._events, _number(newest), _dumps(event))
            if newest > EVENTS_KEPT:
                self._trim_events(write, newest - EVENTS_KEPT)
            if checkpoint:
                _put(write, self._meta, b"checkpoint", _dumps(asdict(checkpoint)))
            for queued, commit in (landed or {}).items():
                if commit:
                    _put(write, self._landed, queued.encode(), commit.encode())
                else:
                    write.delete(queued.encode(), db=self._landed)
            if trunk_ref is not None:
                _put(write, self._meta, b"trunk_ref", trunk_ref.encode())
            if paused is not None:
                _put(write, self._meta, b"paused", _dumps(paused))

        self._write(save)

    def forget_entries(self, numbers: Collection[int]) -> None:
        """Drops landing entries that are no longer listed."""

        def forget(write: "lmdb.Transaction[bytes]") -> None:
            for number in numbers:
                write.delete(_number(number), db=self._queue)

        self._write(forget)

    def landed(self) -> dict[str, str]:
        """Every queued commit that has landed, and as which commit; kept for ever."""
        with self._read(self._landed) as read:
            return {key.decode(): value.decode() for key, value in self._rows(read.cursor())}

    def horizon(self) -> str:
        """The oldest client that was known when answers were last trimmed ("" = never).

        An id of an older client that is not known is refused, for ever.
        """
        with self._read(self._meta) as read:
            return (self._get(read, b"horizon") or b"").decode()

    def trim_answers(self, clients: int) -> None:
        """Forgets all but the newest clients' answers; writes nothing where there are no others.

        Incarnations begin with their time, so the table is in the order of their ages.
        """
        with self._read(self._answers) as read, read.cursor() as cursor:
            oldest = _oldest_kept(cursor, clients)
        if oldest is None:
            return
        horizon = max(self.horizon().encode(), oldest)

        def trim(write: "lmdb.Transaction[bytes]") -> None:
            with write.cursor(db=self._answers) as cursor:
                while cursor.first() and cursor.key()[:-8] < oldest:
                    cursor.delete()
            _put(write, self._meta, b"horizon", horizon)

        self._write(trim)

    def answers(self) -> Iterable[tuple[CommandId, Answer]]:
        """Every recorded answer, in order of the sequence of each client."""
        key = b""
        while page := self._page(self._answers, key):
            for key, value in page:
                incarnation, sequence = key[:-8].decode(), int.from_bytes(key[-8:], "big")
                yield CommandId(incarnation, sequence), _unpack_answer(value)

    def entries(self) -> list[Entry]:
        """The landing queue, oldest first."""
        with self._read(self._queue) as read:
            return [_entry(json.loads(value)) for _, value in self._rows(read.cursor())]

    def entry(self, number: int) -> Entry | None:
        """One entry of the landing queue."""
        with self._read(self._queue) as read:
            value = self._get(read, _number(number))
        return _entry(json.loads(value)) if value else None

    def events(self) -> list[tuple[int, Json]]:
        """The recorded events, oldest first."""
        with self._read(self._events) as read:
            rows = self._rows(read.cursor())
            return [(int.from_bytes(key, "big"), json.loads(value)) for key, value in rows]

    @contextmanager
    def _read(self, table: "lmdb._Database") -> Iterator["lmdb.Transaction[bytes]"]:
        with self._mapped, self._env.begin(db=table) as read:
            yield read

    def _page(self, table: "lmdb._Database", after: bytes) -> list[tuple[bytes, bytes]]:
        """The next rows of a table behind a key; none at its end."""
        with self._read(table) as read, read.cursor() as cursor:
            rows = islice(cursor, PAGE) if cursor.set_range(after + b"\0") else ()
            return list(self._rows(rows))

    def _rows(self, rows: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """Rows without their checksums; raises `corrupt` at one that is not what was written."""
        for key, sealed in rows:
            value = sealed[:-CHECKSUM_BYTES]
            if sealed != _sealed(key, value) and _is_unsealed(sealed):
                value = sealed
            elif sealed != _sealed(key, value):
                raise TatamiError(
                    f"the hub's table in {self._directory} has a damaged row {key!r}",
                    code="corrupt",
                    fix="tatami stop; tatami fsck --repair",
                )
            yield key, value

    def _get(
        self,
        read: "lmdb.Transaction[bytes]",
        key: bytes,
        table: "lmdb._Database | None" = None,
    ) -> bytes | None:
        """The value of a key, as `_rows`; table: None is that of the transaction."""
        sealed = read.get(key, db=table) if table else read.get(key)
        return None if sealed is None else next(self._rows([(key, sealed)]))[1]

    def _write(self, change: Callable[["lmdb.Transaction[bytes]"], Result]) -> Result:
        """Makes a change in a transaction of its own, once more where the map was too small."""
        while True:
            try:
                with self._env.begin(write=True) as write:
                    return change(write)
            except lmdb.MapFullError:
                self._grow()
            except MISUSED:
                raise
            except lmdb.Error as error:
                raise self._failure(error) from error

    def _grow(self) -> None:
        """Doubles the map, between transactions."""
        with self._mapped:
            self._env.set_mapsize(2 * self._env.info()["map_size"])

    def _failure(self, error: lmdb.Error) -> TatamiError:
        # LMDB's class for ENOSPC is DiskError; it has none for a quota, nor for a broken disk. What
        # could be written in part only, it calls an I/O error; nothing refers to that part then.
        full = isinstance(error, lmdb.DiskError) or QUOTA in str(error)
        full = full or (SHORT in str(error) and self._is_full())
        return TatamiError(
            f"the hub's table in {self._directory} cannot be written: {error}",
            code="no_space" if full else "sync_failed",
            fix=f"df -h {self._directory}" if full else "look at the disk (df, dmesg)",
            retryable=full,
        )

    def _is_full(self) -> bool:
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return False
        return found.f_bavail * found.f_frsize < FREE_BYTES_MIN

    def _trim_events(self, write: "lmdb.Transaction[bytes]", oldest: int) -> None:
        with write.cursor(db=self._events) as cursor:
            while cursor.first() and int.from_bytes(cursor.key(), "big") < oldest:
                cursor.delete()


def count_rows(directory: str) -> int:
    """Reads every row of a ledger that a hub may be writing; raises whatever a damaged one does."""
    ledger = Ledger(directory, writes=False)
    try:
        ledger.checkpoint()
        ledger.paused(), ledger.trunk_ref()
        tables = (ledger.answers(), ledger.entries(), ledger.events(), ledger.landed())
        return sum(1 for rows in tables for _ in rows)
    finally:
        ledger.close()


def _oldest_kept(answers: "lmdb.Cursor[bytes]", clients: int) -> bytes | None:
    """The oldest of the newest clients, so many of them; None where there are no older ones."""
    seen: list[bytes] = []
    found = answers.last()
    while found:
        client = answers.key()[:-8]
        if client not in seen[-1:]:
            seen.append(client)
        if len(seen) > clients:
            return seen[-2]
        found = answers.prev()
    return None


def _put(
    write: "lmdb.Transaction[bytes]", table: "lmdb._Database", key: bytes, value: bytes
) -> None:
    write.put(key, _sealed(key, value), db=table)


def _sealed(key: bytes, value: bytes) -> bytes:
    """A value as it is stored: LMDB itself would not notice a bit that flipped."""
    return value + zlib.crc32(key + value).to_bytes(CHECKSUM_BYTES, "big")


def _is_unsealed(value: bytes) -> bool:
    """Whether a value is one of an earlier release, without a checksum."""
    if UNSEALED_ID.fullmatch(value):
        return True
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


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
    fields["builds_on"] = tuple(_list(record.get("builds_on", [])))
    fields["conflicts"] = tuple(Conflict(**row) for row in _list(record["conflicts"]))
    if fields["state"] == "landing":
        # The attempt died with the hub; whether it got through is read from the op log.
        fields["state"] = "queued"
    return Entry(**fields)  # type: ignore[arg-type]


def _list(value: object) -> list:  # type: ignore[type-arg]
    assert isinstance(value, list)
    return value
