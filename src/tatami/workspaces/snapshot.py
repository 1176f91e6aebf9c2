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
from tatami.workspaces.core import core_errors
from tatami.workspaces.index import IndexEntry
from tatami.workspaces.worktree import Workspace

if TYPE_CHECKING:
    from tatami.values.specs import Change

SUBMODULE = 0o160000
READ_ATTEMPTS = 3
"""Tries while files change under the scan; then somebody is writing all the time."""


class Snapshot(NamedTuple):
    """Changes against a commit, and the index entries they become.

    staged: the index was taken, not the files; it has these entries already. untracked: how many
    files are new to git.
    """

    changes: "Sequence[Change]"
    entries: Sequence[IndexEntry]
    staged: bool = False
    untracked: int = 0


def take(space: Workspace, head: str, paths: Sequence[str] | None = None) -> Snapshot:
    """Reads what a commit on top of `head` would hold; raises `TatamiError`.

    paths: only these files and directories, as they are on disk; raises `not_found` for one that
    names nothing.
    """
    scan = _scan(space, head, paths)
    if scan.staged and paths is None:
        from tatami.workspaces import staging  # noqa: PLC0415 - the hot path does without git

        changes, _ = staging.staged(space, head)
        return _bounded(Snapshot(changes, (), staged=True))
    for path in paths or ():
        _require_match(space, path, scan.files)
    return _bounded(_read(space, head, scan.files))


def differing(space: Workspace, head: str, paths: Sequence[str]) -> Snapshot:
    """Reads those of these paths whose files differ from commit `head`."""
    return _read(space, head, _scan(space, head, paths).files) if paths else Snapshot((), ())


def changed_paths(space: Workspace, head: str, paths: Sequence[str] | None = None) -> list[str]:
    """The paths that differ from a commit, new files included; [] for a clean workspace."""
    files = _scan(space, head, paths).files
    return [path for path, _, _ in _read(space, head, files).changes]


def _scan(space: Workspace, head: str, paths: Sequence[str] | None) -> _core.Scan:
    with core_errors():
        for attempt in range(READ_ATTEMPTS):
            try:
                return _core.scan(space.common, space.path, head, paths)
            except _core.CoreError as error:
                if error.code != "busy" or attempt == READ_ATTEMPTS - 1:
                    raise
    raise AssertionError


def _read(space: Workspace, head: str, files: Sequence[_core.ScannedFile]) -> Snapshot:
    contents: dict[str, bytes | str] = {}
    if any(file.content is None and file.mode for file in files):
        from tatami.workspaces import staging  # noqa: PLC0415 - the hot path does without git

        filtered = [f for f in files if f.content is None and f.mode not in {0, SUBMODULE}]
        contents.update(staging.filtered(space, head, filtered))
        modules = [file.path for file in files if file.mode == SUBMODULE]
        contents.update((path, staging.submodule_head(space, path)) for path in modules)
    changes: list[Change] = []
    entries: list[IndexEntry] = []
    for file in files:
        content = file.content if file.content is not None else contents.get(file.path)
        if content is None and file.mode:
            # git stores what the commit has already; only the file looks different.
            continue
        id = blob_id(content) if isinstance(content, bytes) else content or ""
        changes.append((file.path, file.mode, content))
        entries.append(IndexEntry(file.path, file.mode, id))
    return Snapshot(changes, entries, untracked=sum(file.untracked for file in files))


def blob_id(content: bytes) -> str:
    """The id git gives this content."""
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


def _bounded(snapshot: Snapshot) -> Snapshot:
    """Raises `UsageError` for more than one commit takes, before anything is sent."""
    if len(snapshot.changes) > COMMIT_PATHS_MAX:
        raise UsageError(
            f"{len(snapshot.changes)} changed paths in one commit; at most {COMMIT_PATHS_MAX} "
            "are taken",
            code="too_many_paths",
            fix="add what does not belong to .gitignore, or commit in parts with --paths",
        )
    total = 0
    for path, _, content in snapshot.changes:
        size = len(content) if isinstance(content, bytes) else 0
        total += size
        if size > FILE_BYTES_MAX:
            raise UsageError(
                f"{path} has {size} bytes; at most {FILE_BYTES_MAX} are taken",
                code="file_too_large",
                fix="keep it with git-lfs, or add it to .gitignore",
            )
    if total > COMMIT_BYTES_MAX:
        raise UsageError(
            f"{total} bytes of changed files in one commit; at most {COMMIT_BYTES_MAX} are taken",
            code="commit_too_large",
            fix="commit in parts with --paths",
        )
    return snapshot


def _require_match(space: Workspace, path: str, files: Sequence[_core.ScannedFile]) -> None:
    if os.path.lexists(os.path.join(space.path, path)):
        return
    if not any(file.path == path or file.path.startswith(path + "/") for file in files):
        raise UsageError(f"{path} matches no file", code="not_found", fix="git status")
