"""A user's checkout that follows the trunk: tried first, then moved whole or put back."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from subprocess import CompletedProcess
from typing import NamedTuple

from tatami.store import git

MOVE_ATTEMPTS = 20
"""Tries while somebody holds `index.lock`; an editor's `git status` holds it for milliseconds."""
UNDER_WAY = ("rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD")
"""What a git directory holds while somebody is in the middle of something."""
INDEX_COPY = "tatami-index"
"""In a checkout's git directory while it is found out whether the checkout can follow."""
IF_NO_GIT_RUNS = "remove the lock if no git runs there"
CLEAR_THE_WAY = "commit or stash there, then tatami queue"
FREE_SPACE = "free space, then tatami queue"
FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_BYTES = 64 << 10
"""Less than this, and a write that failed for reasons git keeps to itself failed for space."""
_REFUSED = re.compile(rb"^error: (?:Entry|Untracked|Updating) ", re.MULTILINE)
"""What `git read-tree` says before it has touched anything."""
_SUBMODULE = b"160000"
_ARGUMENTS_MAX = 1000
"""Paths named to one git."""


class Checkout(NamedTuple):
    """A worktree that has the trunk checked out, or rebases it."""

    path: str
    git_dir: str


class _Row(NamedTuple):
    """A path that differs between two trees; a blob is "" where a tree has none."""

    path: bytes
    old: str
    new: str


def under_way(place: Checkout) -> list[str]:
    """What somebody is in the middle of there."""
    return [name for name in UNDER_WAY if os.path.exists(os.path.join(place.git_dir, name))]


def refusal(place: Checkout, old: str, new: str) -> str:
    """Why a checkout cannot follow, and the cure ("" = it can); nothing there is touched."""
    try:
        with _copied_index(place) as index:
            if index is None:
                return _obstacle(place, old, new)
            return _obstacle(place, old, new) or _read_trees(place, (old, new), index)
    except OSError as error:
        if error.errno not in FULL:
            raise
        return f"the disk is full; {FREE_SPACE}"


def follow(place: Checkout, old: str, new: str) -> str:
    """Moves index and files of one checkout; returns why it cannot, and the cure, else "".

    Where that fails halfway, the files are those of `old` again.
    """
    if not os.path.exists(os.path.join(place.git_dir, "index")):
        return _said(place, _read_tree(place.path, "-m", "-u", new))
    return _obstacle(place, old, new) or _read_trees(place, (old, new), None)


def reason(stderr: bytes) -> str:
    """The first of git's words about a failure."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ").removeprefix("error: ") if lines else "git failed"


def _obstacle(place: Checkout, old: str, new: str) -> str:
    """What stands against a move that git itself would make."""
    for name in under_way(place):
        return f"{name} is in progress; finish it or abort it there"
    for path in _untracked(place.path, old, new):
        return f"{path!r} is not tracked there and would be overwritten; {CLEAR_THE_WAY}"
    return ""


def _read_trees(place: Checkout, trees: tuple[str, str], copy: str | None) -> str:
    """Moves a checkout from one tree to the other; with a copy of its index, only tries to."""
    git.run(place.path, "update-index", "-q", "--refresh", check=False, index=copy)
    done = _read_tree(place.path, "-m", "-u", *(("-n",) if copy else ()), *trees, index=copy)
    said = _said(place, done)
    if said and not copy and not _REFUSED.search(done.stderr) and b"index.lock" not in done.stderr:
        _put_back(place, *trees)
    return said


def _said(place: Checkout, done: CompletedProcess[bytes]) -> str:
    """Why git failed, and the cure; "" where it did not."""
    if not done.returncode:
        return ""
    said = reason(done.stderr)
    if _REFUSED.search(done.stderr):
        return f"{said}; {CLEAR_THE_WAY}"
    if b".lock': File exists" in done.stderr:
        return f"{said}; {IF_NO_GIT_RUNS}"
    disk = os.statvfs(place.path)
    if b"No space left" in done.stderr or disk.f_bavail * disk.f_frsize < FULL_BYTES:
        return f"the disk is full: {said}; {FREE_SPACE}"
    return f"{said}; git -C {place.path} status"


@contextlib.contextmanager
def _copied_index(place: Checkout) -> Iterator[str | None]:
    """Yields a copy of the index to try things on, or None where there is none.

    With the time of the original, by which git tells files that changed in the same moment.
    """
    copy = os.path.join(place.git_dir, INDEX_COPY)
    try:
        try:
            shutil.copy2(os.path.join(place.git_dir, "index"), copy)
            found = True
        except FileNotFoundError:
            found = False
        yield copy if found else None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(copy)


def _untracked(path: str, old: str, new: str) -> list[str]:
    """Files of the user's where `new` adds one; git would take ignored ones away."""
    options = ("-r", "-z", "--name-only", "--no-renames", "--diff-filter=A")
    added = git.run(path, "diff-tree", *options, old, new).stdout.split(b"\0")
    places = {_place(os.fsencode(path), name) for name in added if name}
    there = sorted(os.fsdecode(place) for place in places if place)
    inside = [name for name in there if os.path.lexists(os.path.join(path, name, ".git"))]
    listing = ("--literal-pathspecs", "ls-files", "--others", "-z", "--")
    for start in range(0, 0 if inside else len(there), _ARGUMENTS_MAX):
        listed = git.run(path, *listing, *there[start : start + _ARGUMENTS_MAX]).stdout
        inside += [os.fsdecode(name) for name in listed.split(b"\0") if name]
    return inside


def _place(root: bytes, path: bytes) -> bytes:
    """What is at a path's place or on the way there, relative to the root; b"" for nothing.

    On the way: a file or symlink where a folder is to be, or another repository.
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


def _read_tree(path: str, *arguments: str, index: str | None = None) -> CompletedProcess[bytes]:
    done = git.run(path, "read-tree", *arguments, check=False, index=index)
    for _ in range(MOVE_ATTEMPTS - 1):
        if not done.returncode or b"index.lock" not in done.stderr:
            break
        done = git.run(path, "read-tree", *arguments, check=False, index=index)
    return done


def _put_back(place: Checkout, old: str, new: str) -> None:
    """Gives files that a failed `git read-tree` has moved to `new` already what `old` has there.

    The index still is the old one. A file is touched only if it holds what git has written of the
    new one, if not all, or is gone: git had found all of them unedited.
    """
    rows = _differing(place.path, old, new)
    written = _written(place.path, rows)
    for row in rows:
        if not row.old and row.path in written:
            _remove(os.fsencode(place.path), row.path)
    # Afterwards: what was removed has made the space for these.
    lost = [r.path for r in rows if r.old and (r.path in written or _is_gone(place.path, r.path))]
    if lost:
        stdin = b"".join(path + b"\0" for path in lost)
        git.run(place.path, "checkout-index", "-f", "-q", "-z", "--stdin", stdin=stdin, check=False)


def _differing(path: str, old: str, new: str) -> list[_Row]:
    """The files and symlinks that differ between two commits."""
    done = git.run(path, "diff-tree", "-r", "-z", "--no-renames", old, new)
    fields = done.stdout.split(b"\0")[:-1]
    rows = []
    for about, name in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, old_id, new_id, _ = about.removeprefix(b":").split(b" ")
        if _SUBMODULE not in (old_mode, new_mode):
            ids = (id.decode().strip("0") and id.decode() for id in (old_id, new_id))
            rows.append(_Row(name, *ids))
    return rows


def _written(path: str, rows: list[_Row]) -> set[bytes]:
    """The paths whose files hold what `new` has there, or the beginning of it."""
    # A line of input names a path: one with a newline in it cannot be asked for.
    wanted = [row for row in rows if row.new and b"\n" not in row.path]
    found = {row.path: _content(path, row.path) for row in wanted}
    wanted = [row for row in wanted if found[row.path] is not None]
    stdin = b"".join(b"%s %s\n" % (row.new.encode(), row.path) for row in wanted)
    output = git.run(path, "cat-file", "--batch", "--filters", stdin=stdin).stdout
    written, at = set[bytes](), 0
    for row in wanted:
        end = output.index(b"\n", at)
        size = int(output[at:end].rpartition(b" ")[2])
        if output[end + 1 : end + 1 + size].startswith(found[row.path] or b""):
            written.add(row.path)
        at = end + 1 + size + 1
    return written


def _content(root: str, path: bytes) -> bytes | None:
    """What a file holds, or where a symlink leads; None where there is neither."""
    full = os.path.join(os.fsencode(root), path)
    try:
        if os.path.islink(full):
            return os.readlink(full)
        with open(full, "rb") as file:
            return file.read()
    except OSError:
        return None


def _is_gone(root: str, path: bytes) -> bool:
    return not os.path.lexists(os.path.join(os.fsencode(root), path))


def _remove(root: bytes, path: bytes) -> None:
    """Removes a file, and the directories that held nothing else."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(root, path))
        while path := os.path.dirname(path):
            os.rmdir(os.path.join(root, path))
