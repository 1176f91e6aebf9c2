"""Packs of ours, entry by entry: which objects in a damaged one are whole, and saving those.

Our packs have no deltas: every entry stands for itself (docs/formats.md).
"""

import hashlib
import os
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from tatami.store import git
from tatami.store.repair.quarantine import Quarantine
from tatami.store.stock import OUR_KEEP

HEADER_BYTES = 12
TRAILER_BYTES = 20
CHUNK_BYTES = 1 << 16
KINDS = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
MARK = OUR_KEEP.decode() + "0"
"""The keep mark of a pack that a repair wrote: it is consolidated like a batch's."""


class Entry(NamedTuple):
    """An object in a pack: its id, and its bytes as they lie there."""

    id: str
    raw: bytes


class Pack(NamedTuple):
    """A pack's files. base: the path without its suffix."""

    base: str

    @property
    def pack(self) -> str:
        """The file with the objects."""
        return self.base + ".pack"

    @property
    def idx(self) -> str:
        """The index: derived from the pack."""
        return self.base + ".idx"

    @property
    def keep(self) -> str:
        """What tells git to leave it alone, and us that it is ours."""
        return self.base + ".keep"

    @property
    def ours(self) -> bool:
        """Whether its mark says so."""
        return _read(self.keep).startswith(OUR_KEEP)


def listed(common: str) -> list[Pack]:
    """Every pack of which at least one file but the mark is there."""
    folder = os.path.join(common, "objects", "pack")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    bases = {n.rpartition(".")[0] for n in names if n.endswith((".pack", ".idx", ".keep"))}
    return [Pack(os.path.join(folder, b)) for b in sorted(bases) if b.startswith("pack-")]


def mend(pack: Pack, quarantine: Quarantine) -> set[str]:
    """Makes a pack of ours whole again, with the objects that are; returns the ids of the lost.

    Those can be named only where the index is whole.
    """
    data, rows = _read(pack.pack), _rows(_read(pack.idx))
    whole = data[-TRAILER_BYTES:] == _sha1(data[:-TRAILER_BYTES])
    # A pack's checksum says nothing about the objects if it was made over damaged ones.
    entries = list(_entries(data, rows))
    lost = {row.id for row in rows} - {entry.id for entry in entries}
    name = os.path.basename(pack.base)
    if whole and not lost and rows:
        return set()
    if not entries and not os.path.exists(pack.pack):
        quarantine.take(pack.idx)
        quarantine.did(f"{name}: the pack is gone, its index was set aside")
        return lost
    if whole and not lost:
        quarantine.did(f"{name}: the index was made anew")
        if not quarantine.dry:
            _index_anew(pack, quarantine)
        return set()
    quarantine.did(f"{name}: {len(entries)} whole objects were copied to a new pack")
    for path in (pack.pack, pack.idx, pack.keep):
        if os.path.exists(path) and not quarantine.dry:
            quarantine.take(path)
    if entries and not quarantine.dry:
        _write(entries, os.path.dirname(pack.base))
    return lost


def mark(pack: Pack, quarantine: Quarantine) -> bool:
    """Gives a pack its mark back; False where it has deltas, and so was not written by us."""
    rows = _rows(_read(pack.idx))
    if len(list(_entries(_read(pack.pack), rows))) != len(rows):
        return False
    quarantine.did(f"{os.path.basename(pack.base)}: its mark was written anew")
    if os.path.exists(pack.keep):
        quarantine.take(pack.keep)
    with open(pack.keep + ".new", "w", encoding="ascii") as file:
        file.write(MARK + "\n")
    os.rename(pack.keep + ".new", pack.keep)
    return True


def _index_anew(pack: Pack, quarantine: Quarantine) -> None:
    new = os.path.join(quarantine.scratch(), "new.idx")
    git.run(os.path.dirname(pack.base), "index-pack", "-o", new, pack.pack)
    if os.path.exists(pack.idx):
        quarantine.take(pack.idx)
    os.rename(new, pack.idx)


def _write(entries: list[Entry], folder: str) -> None:
    """Writes a pack of these objects, with its mark, through git itself."""
    body = b"PACK" + (2).to_bytes(4, "big") + len(entries).to_bytes(4, "big")
    body += b"".join(entry.raw for entry in entries)
    command = ("index-pack", "--stdin", f"--keep={MARK}")
    durably = ("-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync")
    git.run(folder, *durably, *command, stdin=body + _sha1(body))


class _Row(NamedTuple):
    id: str
    offset: int


def _rows(index: bytes) -> list[_Row]:
    """What a pack index (version 2) says; [] where it is damaged."""
    if len(index) < 1072 or index[:8] != b"\xfftOc\0\0\0\2":
        return []
    if _sha1(index[:-TRAILER_BYTES]) != index[-TRAILER_BYTES:]:
        return []
    count = int.from_bytes(index[1028:1032], "big")
    ids, offsets = 1032, 1032 + 24 * count
    far = offsets + 4 * count
    rows = []
    for number in range(count):
        id = index[ids + 20 * number : ids + 20 * number + 20].hex()
        at = int.from_bytes(index[offsets + 4 * number : offsets + 4 * number + 4], "big")
        if at & 0x80000000:
            place = far + 8 * (at & 0x7FFFFFFF)
            at = int.from_bytes(index[place : place + 8], "big")
        rows.append(_Row(id, at))
    return sorted(rows, key=lambda row: row.offset)


def _entries(data: bytes, rows: list[_Row]) -> Iterator[Entry]:
    """The whole entries: by the index, or one behind the other where there is none."""
    for row in rows:
        found = _entry(data, row.offset)
        if found and found.id == row.id:
            yield found
    if rows or data[:4] != b"PACK":
        return
    at = HEADER_BYTES
    for _ in range(int.from_bytes(data[8:12], "big")):
        found = _entry(data, at)
        if found is None:
            return
        yield found
        at += len(found.raw)


def _entry(data: bytes, begin: int) -> Entry | None:
    """The object that begins there; None where it is not whole, or a delta."""
    head = data[begin : begin + 10]
    kind = KINDS.get(head[0] >> 4 & 7) if head else None
    end = next((at for at, byte in enumerate(head) if not byte & 0x80), None)
    if kind is None or end is None:
        return None
    size = head[0] & 15
    for number, byte in enumerate(head[1 : end + 1]):
        size |= (byte & 0x7F) << (4 + 7 * number)
    inflate, content, at = zlib.decompressobj(), bytearray(), begin + end + 1
    try:
        while not inflate.eof and at < len(data) and len(content) <= size:
            content += inflate.decompress(data[at : at + CHUNK_BYTES])
            at += CHUNK_BYTES
    except zlib.error:
        return None
    if len(content) != size or not inflate.eof:
        return None
    stop = min(at, len(data)) - len(inflate.unused_data)
    id = hashlib.sha1(kind + b" %d\0" % size + content, usedforsecurity=False).hexdigest()
    return Entry(id, data[begin:stop])


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
