"""Which commit a workspace's files are based on, and bringing them along when its line moved.

After a commit the hub has moved `agent/<name>`, and then the client makes index and files agree. A
client that dies in between, or a commit of bytes by somebody who has no workspace, leaves them
behind: committed as they are, they would take that commit back. So each workspace records its base.
Only the standard library, unless the workspace is behind: the hot verbs import this file.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote
from typing import NamedTuple

from tatami.values.errors import ConflictError
from tatami.workspaces.head import first_line
from tatami.workspaces.index import IndexEntry
from tatami.workspaces.worktree import RECORD, Workspace

_REFLOG_TAIL_BYTES = 8192
_ARGUMENTS_MAX = 400
"""Paths given to one git process: of any length they fit into a command line."""
_RECORD_BYTES = 192
"""The longest record, with room for a reflog of any size; blanks fill a shorter one."""


class Base(NamedTuple):
    """The commit that index and files agree with, apart from the agent's own edits.

    sent: digest of a snapshot that was on its way when this was written ("-": none); if it became
    the head, the files are ahead of the index. reflog: bytes of HEAD's reflog then. agreed: the
    last bytes (hex) of an index that was the commit's tree ("": not known).
    """

    commit: str
    sent: str
    reflog: int
    agreed: str = ""


def record(
    space: Workspace, commit: str, sent: Iterable[IndexEntry] | None = None, index: str = ""
) -> None:
    """Writes down the base."""
    digest = "-" if sent is None else _digest(sent)
    put_back(space, Base(commit, digest, _reflog_bytes(space), index))


def put_back(space: Workspace, known: Base) -> None:
    """Writes a base down as it was recorded before, so that it is the old one or the new one.

    It is overwritten where it lies, in one sector: each commit does so twice, and a file that
    replaces another is written out at once, and makes the disk forget the other one's blocks.
    """
    path = os.path.join(space.git_dir, RECORD)
    text = " ".join(map(str, known)).rstrip().ljust(_RECORD_BYTES - 1) + "\n"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        with open(path + ".new", "w", encoding="ascii") as new:
            new.write(text)
        os.rename(path + ".new", path)
        return
    try:
        os.pwrite(file, text.encode(), 0)
    finally:
        os.close(file)


def base(space: Workspace) -> Base | None:
    """What was recorded last; None for a record that cannot be read."""
    try:
        commit, sent, reflog, *index = first_line(os.path.join(space.git_dir, RECORD)).split()
        return Base(commit, sent, int(reflog), *index)
    except (ValueError, TypeError):
        return None


def behind(space: Workspace, head: str) -> Base | None:
    """The base where the hub moved the line to `head` and the workspace has not followed.

    Where git itself has moved HEAD since the base was recorded, it took care of index and files:
    then the base is where git put it, and None where that is `head`.
    """
    known = base(space)
    if known is None or known.commit == head:
        return None
    now = _reflog_bytes(space)
    if known.reflog != now:
        last = _last_in_reflog(space)
        if last == head:
            return None
        # A reflog that is shorter now was cut, and its end may be older than the record.
        if now > known.reflog and last and last != known.commit:
            return Base(last, "-", now)
    return known


def moved_by_git(space: Workspace) -> bool:
    """Whether git has moved HEAD here since the base was recorded."""
    known = base(space)
    return known is None or known.reflog != _reflog_bytes(space)


def follow(space: Workspace, known: Base, head: str, same: Sequence[IndexEntry] = ()) -> None:
    """Makes index and files go from a base to `head`, as git's two-way merge does.

    The caller holds the index's lock. same: entries of `head` whose files are as it wants them.
    Raises `ConflictError` (`line_moved`) where an edited file stands against it; nothing changed.
    """
    from tatami.workspaces import git, staging  # noqa: PLC0415 - the hot path does without git

    with staging.staging_index(space, ()) as index:
        extra = {"GIT_INDEX_FILE": index}
        staging.set_entries(space, same, extra)
        git.run(space.path, "update-index", "-q", "--refresh", extra=extra, check=False)
        # What was a snapshot is in the files already, with whatever was edited since.
        ours = known.sent != "-" and known.sent == _digest(between(space, known.commit, head))
        how = "-i" if ours else "-u"
        # git refuses to overwrite new files, but since 2.34 it overwrites those that are ignored.
        ignored = ("--ignored", "--exclude-standard")
        there = "" if ours else in_the_way(space, known.commit, head, ignored, extra)
        said = f"{there} is ignored here, and the new commit has a file there" if there else ""
        if not there:
            done = git.run(
                space.path, "read-tree", "-m", how, known.commit, head, extra=extra, check=False
            )
            said = git.words(done).splitlines()[0] if done.returncode else ""
        if said:
            raise ConflictError(
                f"{space.name}'s line moved from {known.commit[:12]} to {head[:12]}, and its "
                f"workspace cannot follow: {said.removeprefix('error: ')}",
                code="line_moved",
                fix=f"cd {quote(space.path)}, move that file aside, "
                "git restore --staged --worktree it, then try again",
            )
        os.replace(index, os.path.join(space.git_dir, "index"))
    record(space, head)


def leave_files(space: Workspace, head: str) -> None:
    """Makes the index agree with a commit and leaves the files alone, as `git reset` does.

    The caller holds the index's lock.
    """
    from tatami.workspaces import git, staging  # noqa: PLC0415 - the hot path does without git

    with staging.staging_index(space, ()) as index:
        extra = {"GIT_INDEX_FILE": index}
        git.run(space.path, "read-tree", "--reset", head, extra=extra)
        git.run(space.path, "update-index", "-q", "--refresh", extra=extra, check=False)
        os.replace(index, os.path.join(space.git_dir, "index"))
    record(space, head)


def in_the_way(
    space: Workspace,
    old: str,
    new: str,
    which: Sequence[str] = (),
    extra: Mapping[str, str] | None = None,
) -> str:
    """The first file here that git does not track, where a commit adds one; "" for none.

    old: the commit without those that `new` adds. which: options of `git ls-files --others`
    (none: also what is ignored). extra: variables for git.
    """
    from tatami.workspaces import git  # noqa: PLC0415 - the hot path does without git

    words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A")
    added = git.run(space.path, *words, old, new).stdout.split(b"\0")
    places = {_obstacle(os.fsencode(space.path), path) for path in added if path}
    there = sorted(os.fsdecode(place) for place in places if place)
    for name in there:
        # git lists nothing of what is in another repository.
        if os.path.lexists(os.path.join(space.path, name, ".git")):
            return name
    listing = ("--literal-pathspecs", "ls-files", "--others", "-z", *which)
    for start in range(0, len(there), _ARGUMENTS_MAX):
        some = there[start : start + _ARGUMENTS_MAX]
        listed = git.run(space.path, *listing, "--", *some, extra=extra).stdout
        if listed:
            return os.fsdecode(listed.split(b"\0")[0])
    return ""


def _obstacle(root: bytes, path: bytes) -> bytes:
    """What is at a path's place, or in its way to there, relative to the root; b"" for nothing.

    In its way: a file or symlink where a folder is to be, or another repository.
    """
    parts = path.split(b"/")
    for count in range(1, len(parts)):
        above = b"/".join(parts[:count])
        place = os.path.join(root, above)
        if not os.path.isdir(place) or os.path.islink(place):
            return above if os.path.lexists(place) else b""
        if os.path.lexists(os.path.join(place, b".git")):
            return above
    return path if os.path.lexists(os.path.join(root, path)) else b""


def between(space: Workspace, old: str, new: str) -> list[IndexEntry]:
    """What a commit changes against another, as entries of an index."""
    from tatami.workspaces import git, staging  # noqa: PLC0415 - the hot path does without git

    output = git.run(
        space.path, "diff-tree", "-r", "--raw", "-z", "--no-renames", "--no-abbrev", old, new
    ).stdout
    return staging.raw_entries(output)


def _digest(entries: Iterable[IndexEntry]) -> str:
    lines = sorted(f"{entry.path}\0{entry.mode:o} {entry.id}\n" for entry in entries)
    return hashlib.sha1("".join(lines).encode(), usedforsecurity=False).hexdigest()


def _reflog(space: Workspace) -> str:
    return os.path.join(space.git_dir, "logs", "HEAD")


def _reflog_bytes(space: Workspace) -> int:
    try:
        return os.stat(_reflog(space)).st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _last_in_reflog(space: Workspace) -> str:
    """Where git itself put HEAD last."""
    try:
        file = open(_reflog(space), "rb")  # noqa: SIM115 - it is closed below
    except FileNotFoundError:
        return ""
    with file:
        file.seek(max(0, _reflog_bytes(space) - _REFLOG_TAIL_BYTES))
        lines = file.read().splitlines()
    fields = lines[-1].split(b" ", 2) if lines else []
    return fields[1].decode("ascii", "replace") if len(fields) > 1 else ""
