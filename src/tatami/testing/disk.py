"""A file tree with two images: what programs see, and what the disk holds when the power goes.

The rules are the weakest that ext4, xfs and btrfs keep, so that what survives here survives there:

- content: of the writes since a file was last synced any subset survives, the holes between them
  read as zeros, and one of them may be torn at a sector;
- names: changes within one directory survive in the order they were made; those of different
  directories know nothing of each other. A rename is whole or not there;
- syncing a file makes its content durable and says nothing of its name; syncing a directory makes
  its names durable and says nothing of what is in the files;
- a failed sync drops what it could not write: the next one succeeds and makes nothing good.
"""

import errno
import os
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

SECTOR_BYTES = 512
Call = Literal["write", "sync", "rename", "link", "unlink", "mkdir"]
Before = Callable[[Call, str], None]
"""Sees every changing call before it is done, with its path; what it raises prevents the call."""


@dataclass(slots=True, eq=False)
class _File:
    """live: what programs read. durable: what is on the platter. unsynced: writes in between."""

    live: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Directory:
    """Names as programs see them, and as the disk holds them."""

    live: "dict[str, _Node]" = field(default_factory=dict)
    durable: "dict[str, _Node]" = field(default_factory=dict)


_Node = _File | _Directory
_Naming = list[tuple[_Directory, str, "_Node | None"]]
"""One change of names, whole or not there: directory, name, and what it names from now on."""


class Disk:
    """Paths are relative, `/`-separated; "" is the root. Errors are the `OSError`s of a real one.

    before: called with each call that changes or syncs something. shuffles_names: the order of
    changes within a directory is not kept either, which POSIX allows and no file system does.
    """

    def __init__(self, shuffles_names: bool = False) -> None:
        self._root = _Directory()
        self._namings: list[_Naming] = []
        self._shuffles_names = shuffles_names
        self.before: Before = _nothing_fails

    # What programs see.

    def read(self, path: str) -> bytes:
        """The content of a file."""
        return bytes(self._file(path).live)

    def exists(self, path: str) -> bool:
        """Whether something has this name."""
        try:
            self._find(path)
        except FileNotFoundError:
            return False
        return True

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, sorted."""
        return sorted(self._directory(path).live)

    def mkdir(self, path: str) -> None:
        """Makes a directory."""
        parent, name = self._place(path)
        if name in parent.live:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        self.before("mkdir", path)
        self._name([(parent, name, _Directory())])

    def write(self, path: str, data: bytes, at: int | None = None) -> None:
        """Writes at an offset, or (None) at the end, of a file that is made where there is none."""
        parent, name = self._place(path)
        self.before("write", path)
        if name not in parent.live:
            self._name([(parent, name, _File())])
        file = self._file(path)
        at = len(file.live) if at is None else at
        _put(file.live, at, data)
        file.unsynced.append((at, bytes(data)))

    def rename(self, old: str, new: str) -> None:
        """Gives a file another name, replacing what had it."""
        source, was = self._place(old)
        target, name = self._place(new)
        node = self._find(old)
        self.before("rename", new)
        self._name([(source, was, None), (target, name, node)])

    def link(self, old: str, new: str) -> None:
        """Gives a file a second name."""
        file = self._file(old)
        target, name = self._place(new)
        if name in target.live:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
        self.before("link", new)
        self._name([(target, name, file)])

    def unlink(self, path: str) -> None:
        """Takes a name away."""
        parent, name = self._place(path)
        self._file(path)
        self.before("unlink", path)
        self._name([(parent, name, None)])

    # What the disk holds.

    def sync(self, path: str) -> None:
        """Makes a file's content, or a directory's names, durable (`fsync`).

        Where `before` raises, what was to be synced is forgotten: programs still see it, the disk
        never gets it, and the next sync succeeds nevertheless.
        """
        node = self._find(path)
        try:
            self.before("sync", path)
        except OSError:
            if isinstance(node, _File):
                node.unsynced.clear()
            raise
        if isinstance(node, _Directory):
            self._keep_names(self._touching(node))
        else:
            _write_back(node)

    def sync_all(self) -> None:
        """Makes everything durable (`syncfs`)."""
        self.before("sync", "")
        self._keep_names(list(self._namings))
        for file in _files(self._root):
            _write_back(file)

    def crash(self, rng: random.Random) -> None:
        """Cuts the power: programs see from now on what the disk happened to hold."""
        cut: set[int] = set()
        kept = []
        for naming in self._namings:
            touched = {id(directory) for directory, _, _ in naming}
            if rng.random() < 0.5 and not touched & cut:
                kept.append(naming)
            elif not self._shuffles_names:
                cut |= touched
        self._keep_names(kept)
        self._namings.clear()
        seen: set[int] = set()
        _revert(self._root, rng, seen)

    def _keep_names(self, namings: Iterable[_Naming]) -> None:
        for naming in namings:
            for directory, name, node in naming:
                _set(directory.durable, name, node)
        kept = {id(naming) for naming in namings}
        self._namings = [naming for naming in self._namings if id(naming) not in kept]

    def _touching(self, directory: _Directory) -> list[_Naming]:
        """The changes of a directory's names, with what must have come before them."""
        wanted, found = {id(directory)}, []
        for naming in reversed(self._namings):
            touched = {id(place) for place, _, _ in naming}
            if touched & wanted:
                wanted |= touched
                found.append(naming)
        return found[::-1]

    def _name(self, naming: _Naming) -> None:
        for directory, name, node in naming:
            _set(directory.live, name, node)
        self._namings.append(naming)

    def _place(self, path: str) -> tuple[_Directory, str]:
        parent, _, name = path.rpartition("/")
        return self._directory(parent), name

    def _directory(self, path: str) -> _Directory:
        node = self._find(path)
        if not isinstance(node, _Directory):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return node

    def _file(self, path: str) -> _File:
        node = self._find(path)
        if not isinstance(node, _File):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return node

    def _find(self, path: str) -> _Node:
        node: _Node = self._root
        for name in path.split("/") if path else ():
            if not isinstance(node, _Directory):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            if name not in node.live:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            node = node.live[name]
        return node


def _nothing_fails(call: Call, path: str) -> None:
    """Lets every call be done."""


def _write_back(file: _File) -> None:
    """What a failed sync has dropped is not among the writes any more."""
    for at, data in file.unsynced:
        _put(file.durable, at, data)
    file.unsynced.clear()


def _set(names: dict[str, _Node], name: str, node: _Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _put(content: bytearray, at: int, data: bytes) -> None:
    """Writes into a content; a hole before it reads as zeros."""
    content.extend(bytes(max(0, at - len(content))))
    content[at : at + len(data)] = data


def _revert(directory: _Directory, rng: random.Random, seen: set[int]) -> None:
    """Makes the live image below a directory what of it is durable, plus what luck kept."""
    directory.live = dict(directory.durable)
    for node in directory.live.values():
        if isinstance(node, _Directory):
            _revert(node, rng, seen)
        elif id(node) not in seen:
            seen.add(id(node))
            for at, data in node.unsynced:
                _keep_some(node.durable, (at, data), rng)
            node.unsynced.clear()
            node.live = bytearray(node.durable)


def _keep_some(content: bytearray, write: tuple[int, bytes], rng: random.Random) -> None:
    """A write that was not synced: there, not there, or some sectors of it."""
    at, data = write
    luck = rng.random()
    if luck < 0.4:
        _put(content, at, data)
    elif luck < 0.7:
        for start in range(0, len(data), SECTOR_BYTES):
            if rng.random() < 0.5:
                _put(content, at + start, data[start : start + SECTOR_BYTES])


def _files(directory: _Directory) -> Iterator[_File]:
    for node in directory.live.values():
        if isinstance(node, _Directory):
            yield from _files(node)
        else:
            yield node
