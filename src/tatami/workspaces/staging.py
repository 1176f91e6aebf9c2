"""What git alone can say about a working copy: staged changes, filtered contents, whole snapshots.

Everything here works on git's index or on a temporary copy of it; the workspace's own index is
only read. The plain commit of a workspace never comes here.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from shlex import quote
from typing import NamedTuple

from tatami import _core
from tatami.values.errors import BusyError, ConflictError, TatamiError, UsageError
from tatami.values.paths import SUBMODULE
from tatami.values.specs import Change
from tatami.workspaces import git, hooks
from tatami.workspaces.index import IndexEntry, stat_of
from tatami.workspaces.snapshot import Snapshot, require_bounded
from tatami.workspaces.worktree import Workspace

_STAGING = "tatami-index-"
"""Begins the name of a folder with a temporary index; the process that made it follows."""
_STORED = frozenset({stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR})
"""The kinds of files that git stores."""
_STAGE_OPTIONS = ("--add", "--remove", "--replace", "--ignore-skip-worktree-entries")
"""Entries that git is told to leave alone stay: --remove alone would take them out."""


def staged(
    space: Workspace, head: str, index: str | None = None, extra: Mapping[str, str] | None = None
) -> tuple[list[Change], list[IndexEntry]]:
    """What an index (None: the workspace's) changes against a commit, with contents and as entries.

    extra: variables for git. Raises `ConflictError` (`unmerged`) while the index holds a conflict,
    `UsageError` for more than one commit takes, before any content is read.
    """
    extra = {**(extra or {}), **({"GIT_INDEX_FILE": index} if index else {})}
    # What is only intended to be added is no part of what is staged.
    options = ("--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ita-invisible-in-index")
    output = git.run(space.path, "diff-index", *options, head, "--", extra=extra).stdout
    entries = raw_entries(output)
    blobs = [entry for entry in entries if entry.mode not in {0, SUBMODULE}]
    wanted = [entry.id for entry in blobs]
    sizes = zip(blobs, git.sizes(space.path, wanted, extra), strict=True)
    require_bounded([(entry.path, size) for entry, size in sizes])
    contents = git.blobs(space.path, wanted, extra)
    changes: list[Change] = []
    for path, mode, id in entries:
        if mode in {0, SUBMODULE}:
            changes.append((path, mode, id or None))
        else:
            changes.append((path, mode, next(contents)))
    return changes, entries


class Hooked(NamedTuple):
    """What the user's hooks left to commit."""

    taken: Snapshot
    message: str


def hooked(
    space: Workspace, head: str, taken: Snapshot, *, installed: Sequence[str], message: str,
    partial: bool,
) -> Hooked:  # fmt: skip
    """Runs hooks on what is about to be committed, staged as git would stage it.

    A hook may stage more or change the message. partial: other staged changes are not part of it.
    Raises `ConflictError` (`hook_failed`) when one refuses.
    """
    rows = taken.changes if not taken.staged else []
    paths, gone = (
        [path for path, mode, _ in rows if bool(mode) is there] for there in (True, False)
    )
    with staging_index(space, paths, head if partial else None, gone=gone) as index:
        before = set(staged(space, head, index)[1])
        if "pre-commit" in installed:
            hooks.run(space, "pre-commit", (), index)
        if "commit-msg" in installed:
            message = hooks.edited_message(space, message, index)
        changes, after = staged(space, head, index)
    entries = [e for e in after if e not in before] if taken.staged else after
    return Hooked(taken._replace(changes=changes, entries=entries), message)


def filtered(
    space: Workspace, head: str, files: Sequence[_core.ScannedFile], gone: Sequence[str] = ()
) -> dict[str, bytes]:
    """Contents as `git add` would store them, where they differ from those in commit `head`.

    git applies filters, line endings and encodings. gone: paths that the commit takes out, which
    git shall not read attributes from. Raises `BusyError` where a file was written
    since the core looked at it.
    """
    paths = [file.path for file in files]
    with _quarantine(space) as extra, staging_index(space, paths, head, extra, gone=gone) as index:
        changes, _ = staged(space, head, index, extra)
    for file in files:
        if stat_of(os.path.join(space.path, file.path)) != file.stat:
            raise BusyError(f"{file.path} changed while it was read", fix="try again")
    return {path: content for path, _, content in changes if isinstance(content, bytes)}


def submodule_head(space: Workspace, path: str) -> str:
    """The commit a submodule's checkout is at; raises `UsageError` where it has none.

    A submodule that is not checked out is at the commit its index entry names.
    """
    if not os.path.lexists(os.path.join(space.path, path, ".git")):
        # git would look in the folders above, and answer with the workspace's own commit.
        listed = git.run(space.path, "--literal-pathspecs", "ls-files", "--stage", "--", path)
        mode, _, rest = listed.stdout.decode().partition(" ")
        if mode == f"{SUBMODULE:o}":
            return rest.split()[0]
    head = _commit_in(space, path)
    if not head:
        raise UsageError(
            f"{path} is a repository without a commit",
            code="bad_submodule",
            fix=f"commit in {path} first, or add it to .gitignore",
        )
    return head


def _commit_in(space: Workspace, path: str) -> str:
    """The commit that a repository inside of the workspace is at, "" where it has none."""
    inside = os.path.join(space.path, path)
    words = ("rev-parse", "--verify", "--quiet", "HEAD")
    return git.run(inside, *words, check=False).stdout.decode().strip()


@contextmanager
def staging_index(
    space: Workspace,
    paths: Iterable[str],
    base: str | None = None,
    extra: Mapping[str, str] | None = None,
    *,
    gone: Sequence[str] = (),
) -> Iterator[str]:
    """Yields the name of a temporary index in which these paths are staged as they are on disk.

    It begins as a copy of the workspace's index, or with `base` as that commit's tree. extra:
    variables for git. gone: paths to take out; what was a file may be the folder of another now.
    """
    _sweep(space)
    directory = tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=space.git_dir)
    try:
        index = os.path.join(directory, "index")
        extra = {**(extra or {}), "GIT_INDEX_FILE": index}
        if base is None:
            shutil.copyfile(os.path.join(space.git_dir, "index"), index)
            _take_time(space, index)
        else:
            git.run(space.path, "read-tree", base, extra=extra)
        # Without --force-remove git refuses to look below what is a symlink now.
        for listed, options in ((list(gone), ("--force-remove",)), (list(paths), _STAGE_OPTIONS)):
            refused = _stage(space, listed, options, extra)
            if refused:
                raise _refusal(space, *refused)
            if listed:
                _take_time(space, index)
        yield index
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _stage(
    space: Workspace,
    paths: Sequence[str],
    options: Sequence[str],
    extra: Mapping[str, str],
    settings: Sequence[str] = (),
) -> tuple[str, str] | None:
    """Stages paths one after the other; returns the one that git refuses, and git's words."""
    if not paths:
        return None
    stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
    words = ("update-index", "--verbose", *options, "-z", "--stdin")
    done = git.run(space.path, *settings, *words, stdin=stdin, extra=extra, check=False)
    if not done.returncode:
        return None
    # git says of each path that it was added, up to the one it stops at.
    at = 0
    for path in paths:
        said = b"add '%b'\n" % os.fsencode(path)
        if not done.stdout.startswith(said, at):
            return path, git.words(done)
        at += len(said)
    raise TatamiError(f"git update-index failed: {git.words(done)}", code="git")


def _refusal(space: Workspace, path: str, words: str) -> UsageError:
    fatal = [row.removeprefix("fatal: ") for row in words.splitlines() if "fatal: " in row]
    return UsageError(
        f"git does not take {path}: {(fatal or [words])[-1]}",
        code="not_staged",
        fix=f"correct the file, or what git -C {quote(space.path)} check-attr --all "
        f"{quote(path)} says of it; or add it to .gitignore",
    )


def add_all(space: Workspace, extra: Mapping[str, str], settings: Sequence[str] = ()) -> list[str]:
    """Stages all that the workspace holds in the index of `extra`, as `git add --all` does.

    Returns what that leaves out: repositories without a commit, for which git has no entry, and
    pipes and the like in the place of files, which stay as they were. A file that git refuses to
    convert as its attributes say is staged as it is. settings: for git.
    """
    done = git.run(space.path, *settings, "add", "--all", "--sparse", extra=extra, check=False)
    if not done.returncode:
        return []
    which = ("--modified", "--deleted", "--others", "--exclude-standard", "-z")
    listed = git.run(space.path, *settings, "ls-files", *which, extra=extra).stdout
    names = dict.fromkeys(os.fsdecode(path) for path in listed.split(b"\0") if path)
    left = [name for name in names if name.endswith("/") and not _commit_in(space, name)]
    modes = {name: _mode(space, name) for name in names if name not in left}
    gone = [name for name, mode in modes.items() if mode is None]
    left += [name for name, mode in modes.items() if mode and stat.S_IFMT(mode) not in _STORED]
    _stage(space, gone, ("--force-remove",), extra, settings)
    paths = [name.removesuffix("/") for name in modes if name not in {*left, *gone}]
    while refused := _stage(space, paths, _STAGE_OPTIONS, extra, settings):
        path, _ = refused
        _stage_as_it_is(space, path, extra)
        paths = paths[paths.index(path) + 1 :]
    return left


def _mode(space: Workspace, path: str) -> int | None:
    """The mode of what is at a path; None where nothing is, or a symlink is on the way there."""
    at = space.path
    for name in path.removesuffix("/").split("/"):
        if at != space.path and not stat.S_ISDIR(os.lstat(at).st_mode):
            return None
        at = os.path.join(at, name)
        if not os.path.lexists(at):
            return None
    return os.lstat(at).st_mode


def _stage_as_it_is(space: Workspace, path: str, extra: Mapping[str, str]) -> None:
    words = ("hash-object", "-w", "--no-filters", "--", path)
    id = git.run(space.path, *words, extra=extra).stdout.decode().strip()
    executable = os.lstat(os.path.join(space.path, path)).st_mode & 0o100
    set_entries(space, [IndexEntry(path, 0o100755 if executable else 0o100644, id)], extra)


def _sweep(space: Workspace) -> None:
    """Removes the folders of temporary indexes whose process was killed before it could."""
    for name in os.listdir(space.git_dir):
        pid = name.removeprefix(_STAGING).partition("-")[0]
        if name.startswith(_STAGING) and pid.isdecimal():
            try:
                os.kill(int(pid), 0)
            except (ProcessLookupError, OverflowError):
                shutil.rmtree(os.path.join(space.git_dir, name), ignore_errors=True)
            except PermissionError:
                continue


def _take_time(space: Workspace, index: str) -> None:
    """Gives a copy of the workspace's index its time.

    git compares the contents of files that are as young as their index; in a younger one it would
    take them for unmodified.
    """
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(os.path.join(space.git_dir, "index"))
        os.utime(index, ns=(found.st_atime_ns, found.st_mtime_ns))


def diff(space: Workspace, base: str, options: Sequence[str] = ()) -> bytes:
    """git's diff of all that is in the workspace, new files included, against a commit.

    Writes nothing that stays.
    """
    with staging_index(space, ()) as index, _quarantine(space) as quarantine:
        extra = {"GIT_INDEX_FILE": index, **quarantine}
        add_all(space, extra)
        return git.run(space.path, "diff", "--cached", *options, base, "--", extra=extra).stdout


@contextmanager
def _quarantine(space: Workspace) -> Iterator[dict[str, str]]:
    """Yields variables under which git's new objects go to a folder that is thrown away."""
    # Quoted: git takes a colon for the beginning of the next one.
    objects = os.path.join(space.common, "objects").replace("\\", "\\\\").replace('"', '\\"')
    with tempfile.TemporaryDirectory(prefix="tatami-objects-") as directory:
        yield {
            "GIT_OBJECT_DIRECTORY": directory,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{objects}"',
        }


def raw_entries(output: bytes) -> list[IndexEntry]:
    """Reads the new side of git's raw diff format (`--raw -z`); raises for conflicts."""
    fields = iter(output.split(b"\0")[:-1])
    return [_entry(meta, path) for meta, path in zip(fields, fields, strict=True)]


def set_entries(
    space: Workspace, entries: Sequence[IndexEntry], extra: Mapping[str, str] | None = None
) -> None:
    """Sets entries of an index without vouching for the files: git compares them when it looks."""
    if not entries:
        return
    gone = "0" * 40
    lines = (f"{entry.mode:o} {entry.id or gone}\t{entry.path}\0" for entry in entries)
    stdin = "".join(lines).encode()
    git.run(space.path, "update-index", "-z", "--index-info", stdin=stdin, extra=extra)


def _entry(meta: bytes, path: bytes) -> IndexEntry:
    """Reads one record of git's raw diff format."""
    _, mode, _, id, status = meta.decode().split()
    try:
        name = path.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"file name {path!r} is not UTF-8", code="bad_path", fix="rename the file"
        ) from None
    if status.startswith("U"):
        raise ConflictError(
            f"{name} holds a conflict that is not resolved",
            code="unmerged",
            fix=f"resolve it, then git add {name}",
        )
    if status.startswith("D"):
        return IndexEntry(name, 0, "")
    if int(id, 16) == 0:
        raise TatamiError(f"git has no content for {name}", code="git", fix="git status")
    return IndexEntry(name, int(mode, 8), id)
