"""Deals a window of history to agents: what each would have written alone, and who must wait. Pure.

Window: consecutive commits c1..cK after a base S. Agent j is taken to have made c_j's change on S.
A file that earlier commits of the window changed too is *shared*; the agent's version of it has
their edits taken out. Where that is impossible, c_j *depends* on an earlier commit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import NamedTuple, TypeVar

from tatami.scenarios.history import edits

Value = TypeVar("Value")
SYMLINK = 0o120000
SUBMODULE = 0o160000


class Entry(NamedTuple):
    """A path in a tree: git's mode and the object's id."""

    mode: int
    id: str


class FileChange(NamedTuple):
    """A path that a commit changed against its first parent; None: absent there."""

    path: str
    old: Entry | None
    new: Entry | None


@dataclass(frozen=True, slots=True)
class HistoryCommit:
    """A commit of the first-parent line and what it changed against its first parent."""

    id: str
    parent: str
    tree: str
    message: str
    changes: tuple[FileChange, ...]


class Shared(NamedTuple):
    """A file that earlier commits of the window also changed: the three sides and the truth.

    level: how the edits were taken apart, "" where contents needed no taking apart.
    """

    path: str
    base: Entry
    before: Entry
    after: Entry
    version: "Content"
    level: str


class Content(NamedTuple):
    """What to write at a path: mode, and bytes, or the id of an existing object."""

    mode: int
    data: bytes | str

    def object_id(self) -> str:
        """The id git gives the content."""
        if isinstance(self.data, str):
            return self.data
        return sha1(b"blob %d\0" % len(self.data) + self.data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Part:
    """One agent's share of a window.

    changes: what the agent writes (None: deletes), on S or, when it depends, on the trunk.
    depends_on_path: the first path that could not have been written concurrently ("" = none).
    """

    commit: HistoryCommit
    changes: dict[str, Content | None]
    shared: tuple[Shared, ...]
    depends_on_path: str = ""


Read = Callable[[str], bytes]
"""Returns the content of a blob."""


def deal(window: Sequence[HistoryCommit], read: Read) -> list[Part]:
    """Returns each commit's part, in the order of the window."""
    base: dict[str, Entry | None] = {}
    folders: set[str] = set()
    parts = []
    for commit in window:
        parts.append(_part(commit, base, folders, read))
        for path, old, _ in commit.changes:
            if path not in base:
                base[path] = old
                if old is not None:
                    folders.update(_parents(path))
    return parts


def groups(parts: Sequence[Part]) -> list[list[int]]:
    """Indices that land together: a group ends behind a part whose merge must be looked at first.

    A part that depends on earlier ones is a group of its own.
    """
    found: list[list[int]] = []
    is_open = False
    for index, part in enumerate(parts):
        if is_open and not part.depends_on_path:
            found[-1].append(index)
        else:
            found.append([index])
        is_open = not part.depends_on_path and not part.shared
    return found


def _part(
    commit: HistoryCommit, base: dict[str, Entry | None], folders: set[str], read: Read
) -> Part:
    changes: dict[str, Content | None] = {}
    shared: list[Shared] = []
    for change in commit.changes:
        path, before, after = change
        if _collides(change, base, folders):
            return _dependent(commit, path)
        if path not in base or base[path] == before:
            changes[path] = _whole(after)
            continue
        found = _version(base[path], before, after, read)
        if found is None:
            return _dependent(commit, path)
        content, level = found
        changes[path] = content
        sides = base[path], before, after
        assert sides[0]
        assert sides[1]
        assert sides[2]
        shared.append(Shared(path, sides[0], sides[1], sides[2], content, level))
    return Part(commit, changes, tuple(shared))


def _dependent(commit: HistoryCommit, path: str) -> Part:
    return Part(commit, {c.path: _whole(c.new) for c in commit.changes}, (), path)


def _collides(change: FileChange, base: dict[str, Entry | None], folders: set[str]) -> bool:
    """Whether the path is a file where S has a folder that others removed, or the reverse."""
    if change.new is None:
        return False
    return change.path in folders or any(base.get(parent) for parent in _parents(change.path))


def _parents(path: str) -> list[str]:
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(1, len(names))]


def _whole(entry: Entry | None) -> Content | None:
    return None if entry is None else Content(entry.mode, entry.id)


def _version(
    base: Entry | None, before: Entry | None, after: Entry | None, read: Read
) -> tuple[Content, str] | None:
    """The agent's version of a file others changed, and how it was found; None where it depends."""
    if base is None or before is None or after is None:
        return None
    kinds = {side.mode & 0o170000 for side in (base, before, after)}
    if len(kinds) > 1:
        return None
    mode = _taken_out(base.mode, before.mode, after.mode)
    if mode is None:
        return None
    id = _taken_out(base.id, before.id, after.id)
    if id is not None:
        return Content(mode, id), ""
    if kinds & {SYMLINK, SUBMODULE}:
        return None
    texts = [read(side.id) for side in (base, before, after)]
    if any(edits.is_binary(text) for text in texts):
        return None
    version = edits.take_out(*texts)
    if version is None or (mode == base.mode and version.text == texts[0]):
        return None
    return Content(mode, version.text), version.level


def _taken_out(base: Value, before: Value, after: Value) -> Value | None:
    """The value without the others' change, where only one of the two changed it."""
    if before == base:
        return after
    return base if before == after else None
