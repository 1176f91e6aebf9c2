"""What a commit of a workspace would change: files as they are, or the index where it says more.

Only the standard library and the core, unless git has to be asked: the hot verbs import this file.
"""

import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tatami import _core
from tatami.values.errors import UsageError
from tatami.values.limits import COMMIT_BYTES_MAX, COMMIT_PATHS_MAX, FILE_BYTES_MAX
from tatami.workspaces import line
from tatami.workspaces.core import core_errors
from tatami.workspaces.index import IndexEntry
from tatami.workspaces.kinds import layers
from tatami.workspaces.worktree import Workspace

if TYPE_CHECKING:
    from tatami.values.specs import Change

SYMLINK = 0o120000
SUBMODULE = 0o160000
TOO_MUCH = frozenset({"file_too_large", "too_many_paths"})
READ_ATTEMPTS = 3
"""Tries while files change under the scan; then somebody is writing all the time."""


class Snapshot(NamedTuple):
    """Changes against a commit, and the index entries they become.

    staged: the index was taken, not the files; it has these entries already. untracked: how many
    files are new to git. agrees: the index was the commit's tree. seen: the scan it is made of.
    unintended: paths that were only intended to be added, whose files are gone: they leave the
    index without being a change.
    """

    changes: "Sequence[Change]"
    entries: Sequence[IndexEntry]
    staged: bool = False
    untracked: int = 0
    agrees: bool = False
    seen: _core.Scan | None = None
    unintended: Sequence[str] = ()


def take(space: Workspace, head: str, paths: Sequence[str] | None = None) -> Snapshot:
    """Reads what a commit on top of `head` would hold; raises `TatamiError`.

    paths: only these files and directories, as they are on disk; raises `not_found` for one that
    names nothing.
    """
    try:
        scan = _scan(space, head, paths)
    except UsageError as error:
        # What is staged may be small all the same: a log file beside it is not meant.
        index = _index(space, head) if paths is None and error.code in TOO_MUCH else None
        if index is None or not index.changes:
            raise
        return index
    if scan.staged and paths is None:
        return _index(space, head)
    for path in paths or ():
        _require_match(space, path, scan.files)
    taken = _read(space, head, scan.files)
    require_bounded([(path, _size(content)) for path, _, content in taken.changes])
    return taken._replace(agrees=scan.agrees and paths is None, seen=scan)


def _index(space: Workspace, head: str) -> Snapshot:
    from tatami.workspaces import staging  # noqa: PLC0415 - the hot path does without git

    changes, _ = staging.staged(space, head)
    return Snapshot(changes, (), staged=True)


def differing(space: Workspace, head: str, paths: Sequence[str]) -> Snapshot:
    """Reads those of these paths whose files differ from commit `head`."""
    return _read(space, head, _scan(space, head, paths).files) if paths else Snapshot((), ())


def changed_paths(space: Workspace, head: str, paths: Sequence[str] | None = None) -> list[str]:
    """The paths that differ from a commit, new files included; [] for a clean workspace."""
    files = _scan(space, head, paths).files
    return [path for path, _, _ in _read(space, head, files).changes]


def _scan(space: Workspace, head: str, paths: Sequence[str] | None) -> _core.Scan:
    overlay = None
    if space.kind == "overlay":
        parts, known = layers.of(space.git_dir), line.base(space)
        agreed = known.agreed if known and known.commit == head else ""
        overlay = (parts.upper, parts.lower_index, agreed)
    with core_errors():
        for attempt in range(READ_ATTEMPTS):
            try:
                return _core.scan(space.common, space.path, head, paths, overlay)
            except _core.CoreError as error:
                if error.code != "busy" or attempt == READ_ATTEMPTS - 1:
                    raise
    raise AssertionError


def _read(space: Workspace, head: str, files: Sequence[_core.ScannedFile]) -> Snapshot:
    contents: dict[str, bytes | str] = {}
    if any(file.content is None and file.mode for file in files):
        from tatami.workspaces import staging  # noqa: PLC0415 - the hot path does without git

        filtered = [f for f in files if f.content is None and f.mode not in {0, SUBMODULE}]
        rules = [f for f in files if os.path.basename(f.path) == ".gitattributes"]
        gone = [f.path for f in rules if f.mode in {0, SYMLINK}]
        contents.update(staging.filtered(space, head, filtered, gone))
        modules = [file.path for file in files if file.mode == SUBMODULE]
        contents.update((path, staging.submodule_head(space, path)) for path in modules)
    changes: list[Change] = []
    entries: list[IndexEntry] = []
    unintended: list[str] = []
    for file in files:
        if file.untracked and not file.mode:
            unintended.append(file.path)
            continue
        content = file.content if file.content is not None else contents.get(file.path)
        if content is None and file.mode:
            # git stores what the commit has already; only the file looks different.
            continue
        id = blob_id(content) if isinstance(content, bytes) else content or ""
        changes.append((file.path, file.mode, content))
        entries.append(IndexEntry(file.path, file.mode, id))
    untracked = sum(file.untracked for file in files) - len(unintended)
    return Snapshot(changes, entries, untracked=untracked, unintended=unintended)


def blob_id(content: bytes) -> str:
    """The id git gives this content."""
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def _size(content: bytes | str | None) -> int:
    return len(content) if isinstance(content, bytes) else 0


def require_bounded(sizes: Sequence[tuple[str, int]]) -> None:
    """Raises `UsageError` for more than one commit takes; sizes: of changed paths, in bytes."""
    if len(sizes) > COMMIT_PATHS_MAX:
        raise UsageError(
            f"{len(sizes)} changed paths in one commit; at most {COMMIT_PATHS_MAX} are taken",
            code="too_many_paths",
            fix="add what does not belong to .gitignore, or commit in parts with --paths",
        )
    for path, size in sizes:
        if size > FILE_BYTES_MAX:
            raise UsageError(
                f"{path} has {size} bytes; at most {FILE_BYTES_MAX} are taken",
                code="file_too_large",
                fix="keep it with git-lfs, or add it to .gitignore",
            )
    total = sum(size for _, size in sizes)
    if total > COMMIT_BYTES_MAX:
        raise UsageError(
            f"{total} bytes of changed files in one commit; at most {COMMIT_BYTES_MAX} are taken",
            code="commit_too_large",
            fix="commit in parts with --paths",
        )


def _require_match(space: Workspace, path: str, files: Sequence[_core.ScannedFile]) -> None:
    if os.path.lexists(os.path.join(space.path, path)):
        return
    if not any(file.path == path or file.path.startswith(path + "/") for file in files):
        raise UsageError(f"{path} matches no file", code="not_found", fix="git status")
