"""Commits of working copies: what a workspace holds goes to the hub, and index and files follow.

The worktree's `index.lock` is held from the scan until the index agrees with the new commit, so
that neither git nor another commit sees anything in between. Only the standard library, the core,
and files that keep to both, unless git has to be asked: the hot verbs import this file.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from shlex import quote
from typing import Any

from tatami.store.locate import Place
from tatami.values.errors import BusyError, ConflictError, TatamiError, UsageError
from tatami.values.limits import SWEEP_PATHS_WARN
from tatami.workspaces import hooks, line, worktree
from tatami.workspaces.index import IndexEntry, IndexLock, update
from tatami.workspaces.snapshot import Snapshot, changed_paths, differing, take
from tatami.workspaces.worktree import Workspace

Json = dict[str, Any]
Send = Callable[[Json, Sequence[bytes]], Json]
"""Sends a commit's fields and the contents behind them; returns the hub's result."""
FileContent = bytes | tuple[int, bytes | str] | None
REGULAR = 0o100644
BRANCH_SECONDS_MAX = 2.0
"""Branches follow a batch of commits within milliseconds of its answer."""
INDEX_LOCK_SECONDS_MAX = 2.0
"""An editor's `git status` holds the index for milliseconds; a lock that stays is somebody's."""


def workspace_at(place: Place, agent: str | None = None) -> Workspace:
    """The workspace of `agent`, or the one `place` lies in; raises `UsageError` for none."""
    if agent is None:
        space = worktree.containing(place.worktree, place.git_dir, place.common)
        fix = "cd into one of `tatami workspace list`, or name it with --agent"
        missing = f"{place.worktree} is not an agent's workspace"
    else:
        space = worktree.get(place.common, agent)
        missing, fix = f"agent {agent!r} has no workspace here", f"tatami workspace add {agent}"
    if space is None:
        raise UsageError(missing, code="no_workspace", fix=fix)
    worktree.require_ready(space)
    return space


def agent_here(place: Place) -> str:
    """The agent whose workspace `place` lies in; raises `UsageError` where it is nobody's."""
    return workspace_at(place).name


def snapshot(
    send: Send,
    space: Workspace,
    message: str,
    paths: Sequence[str] | None = None,
    amend: bool = False,
    *,
    expected: str | None = None,
    verify: bool = True,
) -> tuple[Json, tuple[str, ...]]:
    """Commits what the workspace holds; returns the hub's result and warnings.

    paths: only these files and directories, relative to the workspace. What is staged is committed
    instead where it differs from the files, as git would. expected: refuse on any other head.
    verify: run the user's hooks. Raises `TatamiError`; the workspace is then as it was.
    """
    paths = paths_inside(space, paths)
    try:
        message.encode()
    except UnicodeEncodeError:
        raise UsageError(
            "the commit message is not UTF-8", code="bad_message", fix="tatami commit -m MESSAGE"
        ) from None

    def commit() -> tuple[Json, tuple[str, ...]]:
        return _snapshot(send, space, {"message": message, "amend": amend}, paths, verify)

    return _on_moving_line(space, expected, commit)


def _snapshot(
    send: Send, space: Workspace, fields: Json, paths: Sequence[str] | None, verify: bool
) -> tuple[Json, tuple[str, ...]]:
    message, amend = fields["message"], fields["amend"]
    with held(space) as lock:
        head = base_commit(space)
        taken = take(space, head, paths)
        installed = hooks.installed(space) if verify else []
        if installed and (taken.changes or amend):
            from tatami.workspaces import staging  # noqa: PLC0415 - only where there are hooks

            partial = paths is not None
            taken, message = staging.hooked(
                space, head, taken, installed=installed, message=message, partial=partial
            )
        if not taken.changes and not amend:
            why = "".join(f"; {text}" for text in _left_out(taken))
            raise UsageError(
                f"{space.name} has nothing to commit{why}",
                code="nothing_to_commit",
                fix="git status",
            )
        rows, body = _rows(taken)
        fields = {"message": message, "changes": rows, "amend": amend, "expected": head}
        with _on_its_way(space, head, taken.entries):
            result = send(fields, body)
        settled = _settle(lock, space, taken, result["commit"])
    return result, (*_warnings(taken, paths), *settled)


def commit_bytes(
    send: Send,
    space: Workspace,
    fields: Json,
    changes: Mapping[str, FileContent],
    body: Sequence[bytes],
) -> tuple[Json, tuple[str, ...]]:
    """Commits given contents and writes them into the workspace; returns result and warnings.

    Raises `ConflictError` (`modified_here`) where one of the files was edited in the workspace.
    """

    def commit() -> tuple[Json, tuple[str, ...]]:
        with held(space) as lock:
            head = base_commit(space)
            there = _already_there(space, head, changes)
            with _on_its_way(space, head):
                result = send({**fields, "expected": head}, body)
            if len(there.entries) == len(changes):
                return result, tuple(_settle(lock, space, there, result["commit"]))
            try:
                line.follow(space, line.Base(head, "-", 0), result["commit"], there.entries)
                if not worktree.on_own_branch(space):
                    move_head(space, head, result["commit"])
            except TatamiError as error:
                return result, (f"committed, but {error.message}",)
        return result, ()

    return _on_moving_line(space, fields.get("expected"), commit)


def require_clean(space: Workspace) -> str:
    """The head of a clean workspace; raises `ConflictError` (`dirty`) that names what is not."""
    with held(space):
        head = base_commit(space)
        changed = changed_paths(space, head)
    if changed:
        more = f" and {len(changed) - 3} more" if changed[3:] else ""
        raise ConflictError(
            f"workspace {space.name} has changes that are not committed: "
            f"{', '.join(changed[:3])}{more}",
            code="dirty",
            fix=f"tatami commit --agent {space.name} -m MESSAGE",
        )
    return head


def check_out(space: Workspace, old: str) -> None:
    """Makes index and files go from commit `old` to the one the workspace's line was moved to."""
    with held(space):
        head = worktree.head(space)
        if head != old:
            line.follow(space, line.Base(old, "-", 0), head)


def paths_inside(
    space: Workspace, paths: Sequence[str] | None, cwd: str | None = None
) -> list[str] | None:
    """Paths as a user gives them (absolute, or relative to `cwd`), relative to the workspace.

    cwd: the workspace itself where it is None. Returns None for all of the workspace; raises
    `UsageError` (`bad_path`) for a path outside.
    """
    if paths is None:
        return None
    found = []
    for path in paths:
        inner = os.path.relpath(os.path.join(cwd or space.path, path), space.path)
        if inner == os.pardir or inner.startswith("../") or not path:
            raise UsageError(
                f"{path!r} is outside workspace {space.path}",
                code="bad_path",
                fix=f"cd {quote(space.path)}",
            )
        found.append(inner)
    return None if os.curdir in found else found


def _on_moving_line(
    space: Workspace, expected: str | None, commit: Callable[[], tuple[Json, tuple[str, ...]]]
) -> tuple[Json, tuple[str, ...]]:
    """Commits, once more where the line has moved elsewhere and git's branch only follows now."""
    if expected is not None and worktree.head(space) != expected:
        head = worktree.head(space)
        raise ConflictError(
            f"{space.name}'s head is {head[:12]}, not {expected[:12]}",
            code="stale_head",
            fix="tatami log",
        )
    try:
        return commit()
    except ConflictError as error:
        known = line.base(space)
        if error.code != "stale_head" or expected is not None or known is None:
            raise
        give_up = time.monotonic() + BRANCH_SECONDS_MAX
        while worktree.branch_head(space) == known.commit:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.005)
    return commit()


def base_commit(space: Workspace) -> str:
    """The commit the workspace's files are based on, once they have followed their line."""
    worktree.require_nothing_begun(space)
    head = worktree.head(space)
    known = line.behind(space, head)
    if known:
        line.follow(space, known, head)
    elif not worktree.on_own_branch(space):
        return _followed(space, head)
    return head


@contextmanager
def _on_its_way(
    space: Workspace, head: str, sent: Sequence[IndexEntry] | None = None
) -> Iterator[None]:
    """Records the base while a commit is sent; one that is refused leaves the record as it was."""
    before = line.base(space)
    line.record(space, head, sent)
    try:
        yield
    except (ConflictError, UsageError):
        if before:
            line.put_back(space, before)
        raise


def _followed(space: Workspace, head: str) -> str:
    """As `base_commit`, where HEAD is detached or on a branch that the hub does not move."""
    tip = worktree.branch_head(space)
    known = line.base(space)
    if tip in {"", head} or known is None or known.commit != head or line.moved_by_git(space):
        return head
    line.follow(space, known, tip)
    move_head(space, head, tip)
    return tip


def move_head(space: Workspace, old: str, new: str) -> None:
    """Moves the branch HEAD is on, or a detached HEAD, which only the agent's side knows of."""
    from tatami.workspaces import git  # noqa: PLC0415 - the hot path does without git

    git.run(space.path, "update-ref", "-m", "tatami", "HEAD", new, old)


@contextmanager
def held(space: Workspace) -> Iterator[IndexLock]:
    """Holds the index's lock while the block runs; waits a moment where an editor has it."""
    give_up = time.monotonic() + INDEX_LOCK_SECONDS_MAX
    lock = IndexLock(space)
    while True:
        try:
            lock.acquire()
            break
        except BusyError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.005)
    try:
        yield lock
    finally:
        lock.release()


def _already_there(space: Workspace, head: str, changes: Mapping[str, FileContent]) -> Snapshot:
    """The paths whose files hold already what is to be committed."""
    found = differing(space, head, list(changes))
    for path, mode, content in found.changes:
        wanted = changes.get(path)
        if wanted is not None and not isinstance(wanted, tuple):
            wanted = (REGULAR, wanted)
        if path not in changes or (None if mode == 0 else (mode, content)) != wanted:
            raise ConflictError(
                f"{path} was edited in workspace {space.path}; committing other content would "
                "lose that edit",
                code="modified_here",
                fix=f"tatami commit --agent {space.name} -m MESSAGE --paths {quote(path)}",
            )
    return found


def _settle(lock: IndexLock, space: Workspace, taken: Snapshot, commit: str) -> list[str]:
    """Makes HEAD and index agree with the new commit; returns a warning where that has to wait."""
    try:
        if not worktree.on_own_branch(space):
            move_head(space, worktree.head(space), commit)
        entries = [*taken.entries, *(IndexEntry(path, 0, "") for path in taken.unintended)]
        written = update(lock, space, entries, seen=taken.seen)
        line.record(space, commit, index=written if taken.agrees else "")
    except TatamiError as error:
        return [f"committed; git's index follows at the next commit: {error.message}"]
    return []


def _rows(taken: Snapshot) -> tuple[list[tuple[str, int, int | str | None]], list[bytes]]:
    rows: list[tuple[str, int, int | str | None]] = []
    body: list[bytes] = []
    for path, mode, content in taken.changes:
        if isinstance(content, bytes):
            rows.append((path, mode, len(content)))
            body.append(content)
        else:
            rows.append((path, mode, content))
    return rows, body


def _warnings(taken: Snapshot, paths: Sequence[str] | None) -> list[str]:
    if taken.staged:
        return ["what was staged is committed; changes that are not staged stay in the files"]
    found = _left_out(taken)
    if paths is None and taken.untracked > SWEEP_PATHS_WARN:
        swept = f"{taken.untracked} new files were swept into this commit"
        found += [f"{swept}; not meant? .gitignore them, git rm --cached, tatami commit --amend"]
    return found


def _left_out(taken: Snapshot) -> list[str]:
    """Says which repositories inside the workspace are no part of the commit."""
    paths = taken.seen.repositories if taken.seen else []
    if not paths:
        return []
    more = f" and {len(paths) - 3} more" if paths[3:] else ""
    cure = "`git submodule add` it, or add it to .gitignore"
    return [f"{', '.join(paths[:3])}{more}: a repository of its own, left out; {cure}"]
