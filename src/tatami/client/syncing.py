"""Brings an agent's workspace onto the trunk: the line moves in the hub, the files follow here.

Edits that are not committed stay. Where one touches a file that the trunk changed, git merges it as
`git checkout --merge` does; where a commit of the line conflicts, git's own rebase stops in the
workspace, as everybody knows it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from tatami.client import working
from tatami.values.errors import ConflictError, TatamiError
from tatami.workspaces import git, line, staging, worktree
from tatami.workspaces.head import commit_of
from tatami.workspaces.recovery import save
from tatami.workspaces.snapshot import changed_paths, take
from tatami.workspaces.worktree import Workspace

Json = dict[str, Any]
Command = Callable[[str, Json, Sequence[bytes]], Json]
"""Sends a command to the hub: verb, fields, contents."""
SAVE_REASON = "before it is synced"


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did.

    head: the line's commit now. onto: the trunk it is on. rebased, dropped: commits of the line put
    on the trunk, and those that were there already. conflicts: paths left with markers in the
    workspace. recovery: the ref that holds the edits as they were. next: how to go on then.
    """

    name: str
    head: str
    onto: str
    rebased: int = 0
    dropped: int = 0
    conflicts: tuple[Json, ...] = ()
    recovery: str | None = None
    note: str = ""
    next: str = ""


def sync_line(command: Command, agent: str) -> Synced:
    """Syncs the line of an agent without a workspace; raises `ConflictError` where it conflicts."""
    result = command("sync", {"agent": agent}, ())
    if result["commit"] is None:
        paths = ", ".join(row["path"] for row in result["conflicts"][:5])
        raise ConflictError(
            f"{agent}'s line conflicts with the trunk in {paths or 'a merge'}",
            code="conflict",
            fix=f"tatami workspace add {agent}; tatami workspace sync {agent}",
        )
    return _done(agent, result)


def sync(command: Command, space: Workspace, trunk: str) -> Synced:
    """Syncs a workspace; edits are saved under a recovery ref first.

    trunk: where it is now. Raises `TatamiError`, nothing is touched then: `would_overwrite` where
    an untracked file is in the way of one of the trunk's. Should the trunk get such a file in just
    this moment, `line_moved` says that the line is on it and the files are not.
    """
    with working.held(space):
        head = working.base_commit(space)
        taken = edited(space, head)
        fork = git.run(space.path, "merge-base", head, trunk, check=False).stdout.decode().strip()
        require_free(space, fork or head, trunk, "the trunk", "tatami workspace sync")
        recovery = save(space, SAVE_REASON) if taken else None
        result = command("sync", {"agent": space.name, "expected": head}, ())
        new = result["commit"]
        done = replace(_done(space.name, result), recovery=recovery)
        if new == head:
            return done
        overlapping = new and taken & set(between(space, head, new))
        if new and not overlapping:
            line.follow(space, line.Base(head, "-", 0), new)
            bring_head(space, head, new)
            return done
    if new is None:
        return _handed(space, result, done)
    rows, words = merged_edits(space, head, new)
    return replace(done, conflicts=rows, next=words)


def _done(agent: str, result: Json) -> Synced:
    rebased, dropped = result.get("rebased", 0), result.get("dropped", 0)
    return Synced(agent, result["commit"] or "", result.get("onto", ""), rebased, dropped)


def edited(space: Workspace, head: str) -> set[str]:
    """Paths with changes that are not committed, staged or not, new files included.

    Refuses where what is staged is not what the file holds: a merge can keep only one of them.
    """
    edited = set(changed_paths(space, head))
    edits = take(space, head)
    if edits.staged:
        _require_no_mixed(space)
        edited |= {path for path, _, _ in edits.changes}
    return edited


def require_free(space: Workspace, old: str, new: str, whose: str, again: str) -> None:
    """Raises `ConflictError` where a file that is not committed is in the way of one of `new`'s.

    old: the commit without it. whose: of whom the file is. again: the command to try again with.
    """
    words = ("diff-index", "--cached", "--quiet", "--diff-filter=A", "HEAD")
    path = line.in_the_way(space, old, new)
    if not path and git.run(space.path, *words, check=False).returncode:
        with staging.staging_index(space, (), "HEAD") as index:
            path = line.in_the_way(space, old, new, extra={"GIT_INDEX_FILE": index})
    if path:
        raise ConflictError(
            f"{path} is not committed here, and in the way of a file that {whose} has at "
            f"{new[:12]}; nothing was changed",
            code="would_overwrite",
            fix=f"cd {quote(space.path)}, move {quote(path)} aside, then: {again}",
        )


def _require_no_mixed(space: Workspace) -> None:
    output = git.run(space.path, "status", "--porcelain", "-z", "--untracked-files=no").stdout
    for row in output.decode("utf-8", "replace").split("\0"):
        if len(row) > 3 and row[0] in "MARC" and row[1] in "MD":
            raise ConflictError(
                f"{row[3:]} is staged with other content than its file has",
                code="staged",
                fix=f"cd {quote(space.path)} && git add {quote(row[3:])}, or tatami commit first",
            )


def between(space: Workspace, old: str, new: str) -> list[str]:
    """Paths that differ between two commits."""
    output = git.run(space.path, "diff-tree", "-r", "-z", "--name-only", old, new).stdout
    return [os.fsdecode(path) for path in output.split(b"\0") if path]


def bring_head(space: Workspace, old: str, new: str) -> None:
    """Moves a HEAD that is not on the agent's own branch, whose files have followed."""
    if not worktree.on_own_branch(space):
        working.move_head(space, old, new)
        line.record(space, new)


def merged_edits(space: Workspace, old: str, new: str) -> tuple[tuple[Json, ...], str]:
    """Takes edits along to files that differ, as `git checkout --merge` merges them.

    Returns the paths left with conflict markers, and how to go on then.
    """
    ref = worktree.head_ref(space)
    git.run(space.path, "update-ref", "--no-deref", "-m", "tatami: sync", "HEAD", old)
    target = ref.removeprefix("refs/heads/") if ref else new
    if ref and commit_of(space.common, ref) != new:
        git.run(space.path, "update-ref", "-m", "tatami: sync", ref, new, old)
    staged = _unstaged(space)
    ran = git.run(space.path, "checkout", "--quiet", "--merge", target, check=False)
    if ran.returncode:
        _stage(space, staged)
        # Nothing was touched: HEAD goes back to its branch, and index and files follow later.
        if ref:
            git.run(space.path, "symbolic-ref", "-m", "tatami: sync", "HEAD", ref)
        # The files are still those of the old commit, whatever HEAD's reflog says.
        line.record(space, old)
        raise ConflictError(
            f"{space.name}'s line is at {new[:12]}, but its files cannot follow: {git.words(ran)}",
            code="line_moved",
            fix=f"cd {quote(space.path)}, move that file aside, then tatami workspace sync",
        )
    line.record(space, new)
    paths = _unmerged(space)
    _stage(space, {path: stay for path, stay in staged.items() if path not in paths})
    rows = tuple({"path": path, "commit": None} for path in paths)
    return rows, f"cd {quote(space.path)}, edit, git add" if paths else ""


def _unstaged(space: Workspace) -> dict[str, bool]:
    """Takes out of the index what is staged, since `git checkout --merge` refuses it.

    Returns the paths, each with whether it was to stay: a file may be taken out of the index alone.
    """
    words = ("diff-index", "--cached", "--name-status", "-z", "--no-renames", "HEAD")
    fields = git.run(space.path, *words).stdout.split(b"\0")[:-1]
    if fields:
        git.run(space.path, "reset", "--quiet")
    rows = zip(fields[::2], fields[1::2], strict=True)
    return {os.fsdecode(path): status != b"D" for status, path in rows}


def _stage(space: Workspace, paths: Mapping[str, bool]) -> None:
    stays = ("--add", "--remove", "--replace")
    for options, kept in ((("--force-remove",), False), (stays, True)):
        listed = [os.fsencode(path) + b"\0" for path, stay in paths.items() if stay is kept]
        if listed:
            words = ("update-index", *options, "-z", "--stdin")
            git.run(space.path, *words, stdin=b"".join(listed))


def _handed(space: Workspace, result: Json, done: Synced) -> Synced:
    """Begins git's rebase (or merge) of a line that conflicts; it stops at the conflict."""
    words: tuple[str, ...] = ("merge", "--no-edit", "--autostash", result["onto"])
    go_on = "git commit"
    if result["how"] == "rebase":
        words = ("rebase", "--autostash", "--onto", result["onto"], result["upstream"])
        go_on = "git rebase --continue"
    ran = git.run(space.path, *words, check=False)
    paths = _unmerged(space)
    if ran.returncode and not paths:
        raise TatamiError(
            f"git {words[0]} of {space.name} failed: {git.words(ran)}",
            code="git",
            fix=f"git -C {quote(space.path)} status",
        )
    known = {row["path"]: row for row in result["conflicts"]}
    rows = tuple(known.get(path, {"path": path, "commit": None}) for path in paths)
    if not paths:
        return replace(done, head=worktree.head(space), note=f"git {words[0]} brought it along")
    words_next = f"cd {quote(space.path)}, edit, git add, {go_on} (or git {words[0]} --abort)"
    return replace(done, head=worktree.head(space), conflicts=rows, next=words_next)


def _unmerged(space: Workspace) -> list[str]:
    output = git.run(space.path, "diff", "--name-only", "-z", "--diff-filter=U").stdout
    return [os.fsdecode(path) for path in output.split(b"\0") if path]
