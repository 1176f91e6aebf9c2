"""The repository and the hub's table of the model, on the disk of two images.

What a file holds is a name of a value, long enough to be torn; the values themselves are kept aside
for ever. So a file is the value it names or nothing, as with hashes, and no time goes into bytes.
"""

import errno
import hashlib
import json
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tatami.protocol.hub import Answer, Json
from tatami.schedule.landing import Entry
from tatami.store.ledger import Checkpoint
from tatami.testing.disk import Disk
from tatami.values.errors import TatamiError
from tatami.values.ids import CommandId

Value = TypeVar("Value")
ROOT = "0" * 40
TRUNK = "main"
FILE_BYTES = 1500
"""Three sectors: a torn file is one that is there in part."""
Steps = Generator[float, None, Value]
"""Work of the writer: yields seconds at the points where others get their turn."""
Bookmarks = Mapping[str, str]


class CorruptError(Exception):
    """The disk holds what no crash may leave behind."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of one path set to one value; `tree` is what all paths are then."""

    id: str
    parent: str
    agent: str
    path: str
    value: str
    tree: Mapping[str, str]
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation with its view and the commits of its pack."""

    id: str
    parent: str
    bookmarks: Bookmarks
    attributes: dict[str, str]
    commits: tuple[Commit, ...]


@dataclass(frozen=True, slots=True)
class Save:
    """One transaction of the table."""

    answers: tuple[tuple[CommandId, Answer], ...] = ()
    entries: tuple[Entry, ...] = ()
    events: tuple[tuple[int, Json], ...] = ()
    checkpoint: Checkpoint | None = None
    paused: bool | None = None
    trunk_ref: str | None = None
    landed: tuple[tuple[str, str], ...] = ()
    horizon: str = ""
    forgotten: tuple[CommandId, ...] = ()


@dataclass(slots=True)
class Vault(Generic[Value]):
    """Values by the content of the file that names them."""

    values: dict[bytes, Value] = field(default_factory=dict)

    def keep(self, name: str, value: Value) -> bytes:
        """Keeps a value; returns what its file holds."""
        content = name.encode().ljust(FILE_BYTES, b".")
        self.values[content] = value
        return content

    def get(self, content: bytes) -> Value | None:
        """The value of a file, or None where the file is not whole."""
        return self.values.get(content)


@dataclass(slots=True)
class Vaults:
    """What has ever been written, whatever the disk still has of it."""

    operations: Vault[Operation] = field(default_factory=Vault)
    packs: Vault[tuple[Commit, ...]] = field(default_factory=Vault)
    saves: Vault[Save] = field(default_factory=Vault)


@dataclass(frozen=True, slots=True)
class Barriers:
    """The syncs that publishing makes; a mutant leaves one out."""

    contents: bool = True
    names: bool = True
    heads: bool = True
    start: bool = True


def digest(*parts: object) -> str:
    """The id of a value made of these."""
    return hashlib.sha1(repr(parts).encode(), usedforsecurity=False).hexdigest()


def lay_out(disk: Disk, vaults: Vaults) -> None:
    """Makes the folders and the first operation, all of it durable."""
    for folder in ("pack", "op", "heads", "hub", "refs"):
        disk.mkdir(folder)
    first = Commit(ROOT, "", "", "", "", {})
    root = Operation(digest("root"), "", {TRUNK: ROOT}, {}, (first,))
    disk.write(f"pack/{root.id}", vaults.packs.keep(root.id, root.commits))
    disk.write(f"op/{root.id}", vaults.operations.keep(root.id, root))
    disk.write(f"heads/{root.id}", b"")
    disk.write("hub/ledger", b"")
    disk.write("hub/mark", b"0".zfill(12))
    disk.write(f"refs/{TRUNK}", ROOT.encode())
    disk.sync_all()


def durably(disk: Disk, path: str, content: bytes, sync: bool = True) -> None:
    """Writes a file under another name, syncs it, and renames it; its name is not durable yet."""
    disk.write(f"{path}.tmp", content, at=0)
    if sync:
        disk.sync(f"{path}.tmp")
    disk.rename(f"{path}.tmp", path)


def disk_error(error: OSError) -> TatamiError:
    """What the store says of a disk: full, or broken for good."""
    full = error.errno == errno.ENOSPC
    code = "no_space" if full else "sync_failed"
    return TatamiError(f"the disk: {error}", code=code, retryable=full, fix="tatami status")


class OpLog:
    """The operation log as its one writer has it open."""

    def __init__(self, disk: Disk, vaults: Vaults, barriers: Barriers) -> None:
        self.disk = disk
        self._vaults = vaults
        self._barriers = barriers
        self.newest_first = read_log(disk, vaults)
        self.commits = {c.id: c for op in self.newest_first for c in op.commits}
        self.bookmarks = dict(self.head.bookmarks)
        self._clear_leftovers()
        if barriers.start:
            # A hub that died between the swap and its barrier left a head that is only seen.
            disk.sync("heads")

    @property
    def head(self) -> Operation:
        """The newest operation."""
        return self.newest_first[0]

    def operations(self, limit: int | None) -> list[Operation]:
        """The newest operations, newest first."""
        return self.newest_first[:limit]

    def line(self, head: str, stop: Collection[str]) -> list[Commit]:
        """The commits from `head` down to one of `stop`, newest first."""
        found = []
        while head and head not in stop:
            found.append(self.commits[head])
            head = self.commits[head].parent
        return found

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether `descendant` is `ancestor` or contains it."""
        while descendant and descendant != ancestor:
            descendant = self.commits[descendant].parent
        return descendant == ancestor

    def prepare(
        self, commits: tuple[Commit, ...], bookmarks: Bookmarks, attributes: dict[str, str]
    ) -> Operation:
        """The operation to publish, its id known; nothing is on the disk."""
        view = {**self.bookmarks, **bookmarks}
        id = digest(self.head.id, view, attributes, [commit.id for commit in commits])
        return Operation(id, self.head.id, view, attributes, commits)

    def publish(self, operation: Operation, reached: Callable[[str], None]) -> Steps[None]:
        """Publishes an operation: durable and visible at the end; `reached` names the steps.

        Raises `TatamiError` (`no_space`: nothing is visible; `sync_failed`: nobody knows).
        """
        try:
            reached("writing")
            self._write(operation)
            yield 0.001
            reached("barrier 1")
            self._barrier_1()
            yield 0.002
        except OSError as error:
            raise disk_error(error) from error
        try:
            reached("swap")
            self.disk.write(f"heads/{operation.id}", b"")
            yield 0.0001
            self.disk.unlink(f"heads/{operation.parent}")
            yield 0.0001
            reached("barrier 2")
            if self._barriers.heads:
                self.disk.sync("heads")
            yield 0.001
        except OSError as error:
            # Whether the head has moved only a fresh look at the disk can tell.
            raise TatamiError(f"the disk: {error}", code="sync_failed") from error
        reached("published")
        self.newest_first.insert(0, operation)
        self.commits.update((commit.id, commit) for commit in operation.commits)
        self.bookmarks = dict(operation.bookmarks)

    def _write(self, operation: Operation) -> None:
        contents = self._barriers.contents
        if operation.commits:
            pack = self._vaults.packs.keep(operation.id, operation.commits)
            durably(self.disk, f"pack/{operation.id}", pack, contents)
        content = self._vaults.operations.keep(operation.id, operation)
        durably(self.disk, f"op/{operation.id}", content, contents)

    def _barrier_1(self) -> None:
        if self._barriers.names:
            self.disk.sync("pack")
            self.disk.sync("op")

    def _clear_leftovers(self) -> None:
        for folder in ("pack", "op"):
            for name in self.disk.listdir(folder):
                if name.endswith(".tmp"):
                    self.disk.unlink(f"{folder}/{name}")
        for head in self.disk.listdir("heads"):
            if head != self.head.id:
                self.disk.unlink(f"heads/{head}")


def read_log(disk: Disk, vaults: Vaults) -> list[Operation]:
    """Every operation reachable from the op head, newest first; raises `CorruptError`."""
    heads = disk.listdir("heads")
    logs = {head: _chain(disk, vaults, head) for head in heads}
    ends = [
        head
        for head in heads
        if not any(head in {op.id for op in logs[other]} for other in heads if other != head)
    ]
    if len(ends) != 1:
        raise CorruptError(f"there are {len(ends)} op heads")
    return logs[ends[0]]


def _chain(disk: Disk, vaults: Vaults, head: str) -> list[Operation]:
    found = []
    while head:
        operation = read_operation(disk, vaults, head)
        if operation is None:
            raise CorruptError(f"operation {head[:12]} is reachable and not whole")
        found.append(operation)
        head = operation.parent
    return found


def read_operation(disk: Disk, vaults: Vaults, id: str) -> Operation | None:
    """An operation with its commits as the disk has it; None where a part is not whole."""
    if not disk.exists(f"op/{id}"):
        return None
    operation = vaults.operations.get(disk.read(f"op/{id}"))
    if operation is None or operation.id != id:
        return None
    if operation.commits:
        pack = f"pack/{id}"
        if not disk.exists(pack) or vaults.packs.get(disk.read(pack)) != operation.commits:
            return None
    return operation


def rows(values: object) -> str:
    """Rows of an attribute, as the operation log has them."""
    return json.dumps(values, separators=(",", ":"))
