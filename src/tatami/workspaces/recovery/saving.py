"""Keeps what a workspace holds as a commit of its own, before anything may destroy it.

The commit is like one of `git stash`: its tree is the files, new ones included; its first parent is
where HEAD was; what is staged and differs from the files is a commit too, its second parent. A ref
under `refs/tatami/recovery` keeps it, so that neither the end of the workspace nor `git gc` does.
"""

import os
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tatami.values.errors import BusyError, TatamiError
from tatami.workspaces import git, head, line, worktree
from tatami.workspaces.kinds import layers
from tatami.workspaces.recovery.durable import sync_objects, sync_ref
from tatami.workspaces.staging import add_all, staging_index
from tatami.workspaces.worktree import Workspace

PREFIX = "refs/tatami/recovery/"
"""Followed by the agent, a slash, the UTC time of the commit and a number: names sort by age."""
ATTEMPTS_MAX = 5
"""A `git gc --prune=now` can take new objects just before their ref is there, but not each time."""
UNSAVED_NAMED_MAX = 20
"""Ignored files and folders named in the message; the rest is counted."""
_NOTHING = "0" * 40
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_PLAIN = ("-c", "core.safecrlf=false", "-c", "core.fsmonitor=false")
"""Settings that would refuse a file over its line endings, or trust a daemon about its state."""
_WAITING = (
    "MERGE_HEAD",
    "MERGE_AUTOSTASH",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
    "rebase-apply/autostash",
    "rebase-apply/orig-head",
)
"""Files of git's, while a merge or a rebase is under way, that name commits nothing else may."""


class _Trees(NamedTuple):
    """What there is to keep. head: "" before the first commit. staged: "" where it says no more.

    left: repositories inside of the workspace that cannot be part of a tree.
    """

    head: str
    files: str
    staged: str
    waiting: tuple[str, ...]
    left: tuple[str, ...]


def save(space: Workspace, reason: str, *, base: str | None = None) -> str | None:
    """Keeps all that the workspace holds but ignored files; returns the ref, durable.

    reason: what is about to happen, as in "before it is removed". base: the commit its files are
    based on (None: HEAD's). Where the directory is gone, what is staged is kept. Returns None
    where HEAD's branch holds everything. Raises `TatamiError`: then nothing may be destroyed.
    """
    overlay = space.kind == "overlay" and not layers.is_deleted(space.git_dir)
    if overlay and not os.path.ismount(space.path):
        # What lies at its place is not what it holds.
        worktree.require_ready(space)
    extra = _environment(space)
    failure: TatamiError | None = None
    for _ in range(ATTEMPTS_MAX):
        trees = _trees(space, extra, base)
        if trees is None:
            return None
        try:
            commit = _commit(space, extra, trees, reason)
            objects, seconds = _reached(space, extra, commit)
            ref = _name(space, extra, commit, seconds)
        except TatamiError as error:
            failure = error
            continue
        if sync_objects(space.common, objects):
            sync_ref(space.common, ref)
            return ref
        git.run(space.git_dir, "update-ref", "-d", ref, commit, extra=extra)
    raise BusyError(
        f"what workspace {space.name} holds could not be kept: "
        f"{failure.message if failure else 'something deletes objects of git'}",
        code="not_saved",
        fix="wait until git gc has finished, then try again",
    ) from failure


def _environment(space: Workspace) -> dict[str, str]:
    """Variables for git; a lost `.git` file must not make it look into the repository above."""
    return {
        "GIT_DIR": space.git_dir,
        "GIT_WORK_TREE": space.path if _is_there(space) else space.git_dir,
        "GIT_AUTHOR_NAME": space.name,
        "GIT_AUTHOR_EMAIL": f"{space.name}@localhost",
        "GIT_COMMITTER_NAME": "Tatami",
        "GIT_COMMITTER_EMAIL": "tatami@localhost",
    }


def _trees(space: Workspace, extra: dict[str, str], base: str | None) -> _Trees | None:
    """Writes the workspace's trees; None where its branch has them already."""
    there = _is_there(space)
    found = _git(space, extra, "rev-parse", "--verify", "--quiet", f"{base or 'HEAD'}^{{commit}}")
    at = found[0] if found else ""
    unchanged = _git(space, extra, "rev-parse", f"{at}^{{tree}}")[0] if at else ""
    indexed = os.path.exists(os.path.join(space.git_dir, "index"))
    place = space._replace(path=space.path if there else space.git_dir)
    with staging_index(place, (), None if indexed else at or _EMPTY_TREE, extra) as index:
        inner = {**extra, "GIT_INDEX_FILE": index}
        # An index that holds a conflict has no tree; the files with their markers are kept.
        written = git.run(space.git_dir, "write-tree", extra=inner, check=False)
        staged = written.stdout.decode().strip() if written.returncode == 0 else ""
        left = add_all(space, inner, _PLAIN) if there else []
        files = _git(space, inner, "write-tree")[0] if there else staged or unchanged
    waiting = _waiting(space)
    on_branch = bool(head.first_line(os.path.join(space.git_dir, "HEAD")).startswith("ref: "))
    if on_branch and not waiting and {files, staged or files} <= {unchanged}:
        return None
    staged = "" if staged in {unchanged, files} else staged
    return _Trees(at, files, staged, waiting, tuple(left))


def _is_there(space: Workspace) -> bool:
    """Whether the files are; a directory with another `.git`, or none, is not this working copy."""
    pointer = head.first_line(os.path.join(space.path, ".git")).removeprefix("gitdir: ")
    found = os.path.realpath(os.path.join(space.path, pointer))
    return bool(pointer) and found == os.path.realpath(space.git_dir)


def _waiting(space: Workspace) -> tuple[str, ...]:
    """Commits that only files of a merge or rebase that is under way name."""
    found: list[str] = []
    for name in _WAITING:
        try:
            with open(os.path.join(space.git_dir, name), encoding="ascii") as file:
                found += [id for id in file.read().split() if len(id) == head.ID_DIGITS]
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            continue
    return tuple(dict.fromkeys(found))


def _commit(space: Workspace, extra: dict[str, str], trees: _Trees, reason: str) -> str:
    parents = [trees.head] if trees.head else []
    staged = ""
    if trees.staged:
        words = f"What was staged in workspace {space.name}\n"
        staged = _commit_tree(space, extra, trees.staged, parents, words)
    message = _message(space, reason, staged, (*trees.left, *_ignored(space, extra)))
    parents += [id for id in (staged, *trees.waiting) if id]
    return _commit_tree(space, extra, trees.files, list(dict.fromkeys(parents)), message)


def _commit_tree(
    space: Workspace, extra: dict[str, str], tree: str, parents: Sequence[str], message: str
) -> str:
    words = [word for parent in parents for word in ("-p", parent)]
    command = ("-c", "commit.gpgSign=false", "commit-tree", "--no-gpg-sign", tree, *words)
    done = git.run(space.git_dir, *command, stdin=message.encode("utf-8", "replace"), extra=extra)
    return done.stdout.decode().strip()


def _message(space: Workspace, reason: str, staged: str, left: Iterable[str]) -> str:
    where = head.first_line(os.path.join(space.git_dir, "HEAD"))
    lines = [
        f"Workspace {space.name} {reason}",
        "",
        f"Tatami-Agent: {space.name}",
        f"Tatami-Reason: {reason}",
        f"Tatami-Workspace: {_one_line(space.path)}",
        f"Tatami-Head: {_one_line(where.removeprefix('ref: refs/heads/'))}",
    ]
    if staged:
        lines.append(f"Tatami-Staged: {staged}")
    lines += [f"Tatami-Not-Saved: {_one_line(path)}" for path in left]
    return "\n".join(lines) + "\n"


def _ignored(space: Workspace, extra: dict[str, str]) -> list[str]:
    """What is not kept, for the message; the end says how many more there are."""
    if not _is_there(space):
        return ["every file that was not staged: the directory is gone"]
    options = ("--others", "--ignored", "--exclude-standard", "--directory", "-z")
    output = git.run(space.path, "ls-files", *options, extra=extra).stdout
    paths = [os.fsdecode(path) for path in output.split(b"\0") if path]
    more = len(paths) - UNSAVED_NAMED_MAX
    return paths[:UNSAVED_NAMED_MAX] + ([f"and {more} more"] if more > 0 else [])


def _reached(space: Workspace, extra: dict[str, str], commit: str) -> tuple[list[str], int]:
    """The objects that the commit adds to what was known before, and its time in seconds.

    What the workspace is based on is the hub's, and durable; commits of plain git since, and blobs
    that `git add` wrote before, need not be.
    """
    known = line.base(space)
    stdin = f"{commit}\n" + (f"^{known.commit}\n" if known else "")
    options = ("--objects", "--no-object-names", "--timestamp", "--ignore-missing", "--stdin")
    done = git.run(space.git_dir, "rev-list", *options, stdin=stdin.encode(), extra=extra)
    found = [row.split(" ") for row in done.stdout.decode().splitlines()]
    return [words[-1] for words in found], int(found[0][0])


def _name(space: Workspace, extra: dict[str, str], commit: str, seconds: int) -> str:
    """Makes a ref that nobody has yet; two of one second differ in their numbers."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
    number = 1
    while True:
        ref = f"{PREFIX}{space.name}/{stamp}-{number:03d}"
        done = git.run(
            space.git_dir, "-c", "core.fsync=all", "-c", "core.fsyncMethod=fsync",
            "update-ref", ref, commit, _NOTHING, extra=extra, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return ref
        if not head.commit_of(space.common, ref):
            raise TatamiError(f"git made no ref: {git.words(done)}", code="not_saved")
        number += 1


def _git(space: Workspace, extra: dict[str, str], *arguments: str) -> list[str]:
    """What git printed, as lines; [] where it failed quietly, which `--quiet` asks for."""
    check = "--quiet" not in arguments
    done = git.run(space.git_dir, *arguments, extra=extra, check=check)
    return done.stdout.decode().splitlines()


def _one_line(text: str) -> str:
    """Text as part of one line of a message."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def parts(message: str) -> Iterable[tuple[str, str]]:
    """What the last lines of such a message say: names without `Tatami-`, and values."""
    for row in message.splitlines():
        name, colon, value = row.partition(": ")
        if colon and name.startswith("Tatami-"):
            yield name.removeprefix("Tatami-"), value
