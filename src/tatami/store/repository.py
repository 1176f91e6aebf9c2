"""The repository as its one writer sees it: bookmarks in memory, publishing by compare-and-swap."""

import json
import os
import pwd
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tatami import _core
from tatami.store.locate import Place, marker
from tatami.values.errors import BusyError, ConflictError, TatamiError, UsageError
from tatami.values.ids import AGENT_BOOKMARK_PREFIX, agent_bookmark, agent_ref
from tatami.values.specs import CommitSpec, OpSpec

Commit = _core.Commit
FileDiff = _core.FileDiff
Operation = _core.Operation
PathConflict = _core.PathConflict
Prepared = _core.Prepared
TreeMerge = _core.TreeMerge
ViewOf = _core.ViewOf
merge_text = _core.merge_text

COMMIT_ID = re.compile("[0-9a-f]{40}")
REFLOG_LINE_BYTES_MAX = 8192
LAG_OPS_MAX = 64
"""How many operations a branch may lag behind and be known for ours without its reflog."""
PUBLISH_ATTEMPTS_MAX = 8
"""A stock tool can win the swap a few times in a row; forever means something is wrong."""
COMMANDS = "tatami:commands"
"""Operation attribute: JSON rows [command id, agent, verb, commit, change]."""
FIRST_EVENT = "tatami:first-event"
"""Operation attribute: the number of the first event this operation stands for."""
LANDED = "tatami:landed"
"""Operation attribute: JSON rows [queue entry, commit as queued, commit as landed]."""
RELANDED = "tatami:relanded"
"""Operation attribute: JSON object, a landing's id -> the one it has now ("" = off the trunk)."""
IMPORTED = "tatami:imported"
"""Operation attribute: JSON rows [agent, before, after] of lines that follow what git did."""
SYNCED = "tatami:synced"
"""Operation attribute: JSON object, where a line was and what of it was dropped."""
UNDID = "tatami:undid"
"""Operation attribute: JSON object, what the undo of the operation's only command took back."""
RESTORED = "tatami:restored"
"""Operation attribute: JSON object, the operation (`to`) that everything was put back to."""

_USAGE = ("not_found", "ambiguous", "bad_path", "bad_input", "bad_content", "unsupported")
_FIXES = {
    "not_found": "tatami log --all; tatami op log",
    "ambiguous": "give more of the id",
    "bad_path": "rename the file, then try again",
    "bad_content": "commit something else at this path, then try again",
    "stale": "try again",
    "busy": "try again",
    "conflicted": "tatami status; jj bookmark list",
    "no_space": "free disk space, then try again",
    "corrupt": "tatami fsck",
    "permission": "make the repository writable for this user",
    "io": "look at the disk (df, dmesg), then try again",
    "sync_failed": "look at the disk (df, dmesg), then try again",
    "panic": "tatami fsck; then report what the hub's log says",
}


def core_error(error: _core.CoreError) -> TatamiError:
    """Turns the core's error into the family's, with the same code."""
    message, code = str(error), error.code
    fix = _FIXES.get(code, "")
    if code in _USAGE:
        return UsageError(message, code=code, fix=fix)
    if code in ("stale", "busy"):
        return BusyError(message, code=code, fix=fix)
    if code == "conflicted":
        return ConflictError(message, code=code, fix=fix)
    retryable = error.retryable or code in ("no_space", "io")
    return TatamiError(message, code=code, fix=fix, retryable=retryable)


def who() -> tuple[str, str]:
    """User and host, as the operation log names who made an operation."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return user, socket.gethostname()


@contextmanager
def core_errors() -> Iterator[None]:
    """Turns the core's errors into the family's while the block runs."""
    try:
        yield
    except _core.CoreError as error:
        raise core_error(error) from error


Finish = Callable[[Sequence[Prepared]], OpSpec | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Commits to build, and what their operation does once their ids are known.

    finish returns None to have everything planned anew (it found a commit it refuses).
    """

    specs: Sequence[CommitSpec]
    finish: Finish


@dataclass(frozen=True, slots=True)
class Published:
    """What is now durable and visible: the operation and its commits, in the order of the plan."""

    op: str
    commits: tuple[Prepared, ...]


class Repository:
    """The opened repository and its bookmarks. One thread writes; reading is safe from any."""

    def __init__(self, core: _core.Repo, git_dir: str, trunk: str) -> None:
        self.core = core
        self.git_dir = git_dir
        self.trunk = trunk
        self.bookmarks: dict[str, str | None] = {}
        self.trees: dict[str, str] = {}
        self.branches: dict[str, str] = {}
        """Where each agent's git branch was when we last moved it or looked."""
        self.lagging: set[str] = set()
        """Agents whose git branch is still to follow their bookmark."""
        self.refresh(force=True)

    @classmethod
    def open(cls, place: Place, writes: bool) -> "Repository":
        """Opens an initialised repository; raises the core's error as a `TatamiError`.

        Only the hub, under its lock, opens one to write.
        """
        known = marker(place)
        with core_errors():
            core = _core.Repo.open(known.jj_repo, place.common, who(), writes)
            return cls(core, place.common, known.trunk)

    def refresh(self, force: bool = False) -> bool:
        """Looks whether a stock tool moved the op head, and if so loads it; True if it had."""
        with core_errors():
            found = self.core.refresh()
            if found.changed or force:
                before = self.agents()
                self.bookmarks = self.core.view().bookmarks
                # A stock tool that moved an agent's line moves its git branch as well.
                moved = self.agents().items() - before.items()
                self.lagging |= {agent for agent, _ in moved if agent in before}
        return found.changed

    def agents(self) -> dict[str, str]:
        """Every agent and the head of its line."""
        start = len(AGENT_BOOKMARK_PREFIX)
        return {
            name[start:]: head
            for name, head in self.bookmarks.items()
            if name.startswith(AGENT_BOOKMARK_PREFIX) and head
        }

    def head(self, agent: str) -> str:
        """The head of an agent's line; raises `unknown_agent`, or `conflicted` after two moves."""
        bookmark = agent_bookmark(agent)
        if bookmark not in self.bookmarks:
            raise UsageError(
                f"no agent is called {agent!r}",
                code="unknown_agent",
                fix=f"tatami workspace add {agent}",
            )
        head = self.bookmarks[bookmark]
        if head is None:
            raise ConflictError(
                f"bookmark {bookmark} was moved two ways by a stock tool",
                code="conflicted",
                fix=f"jj bookmark set {bookmark} -r REV",
            )
        return head

    def trunk_head(self) -> str:
        """The commit the trunk's bookmark is at."""
        head = self.bookmarks.get(self.trunk)
        if head is None:
            raise ConflictError(
                f"the trunk {self.trunk!r} has no single commit",
                code="conflicted",
                fix=f"jj bookmark set {self.trunk} -r REV",
            )
        return head

    def commit(self, id: str) -> Commit:
        """The commit with this full id."""
        with core_errors():
            return self.core.commit(id)

    def bookmark_at(self, op: str, name: str) -> str | None:
        """The commit a bookmark was at in an operation's view."""
        with core_errors():
            return self.core.view(op).bookmarks.get(name)

    def admit(self, id: str) -> None:
        """Raises `UsageError` (bad_path, bad_content) for what a commit of git's own brings."""
        with core_errors():
            self.core.admit(id)

    def is_known(self, id: str) -> bool:
        """Whether the operation log knows this commit (git may have others)."""
        with core_errors():
            return self.core.knows(id)

    def git_head(self, ref: str) -> str | None:
        """The commit a full git ref names, or None."""
        try:
            return self.core.resolve(ref)
        except _core.CoreError:
            return None

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether `descendant` is `ancestor` or contains it."""
        with core_errors():
            return self.core.is_ancestor(ancestor, descendant)

    def is_related(self, a: str, b: str) -> bool:
        """Whether two commits have one in common."""
        with core_errors():
            return bool(self.core.merge_bases(a, b))

    def resolve(self, rev: str) -> str:
        """The commit id a name means; raises `UsageError` (not_found, ambiguous)."""
        with core_errors():
            return self.core.resolve(rev)

    def log(self, heads: Sequence[str], exclude: Sequence[str], limit: int | None) -> list[Commit]:
        """Ancestors of `heads` without those of `exclude`, children first."""
        with core_errors():
            return self.core.log(heads, exclude, limit)

    def operations(self, limit: int | None, starts: Sequence[str] = ()) -> list[Operation]:
        """The operation log from `starts` (none: the head) backwards."""
        with core_errors():
            return self.core.operations(limit, starts)

    def read(self, rev: str, paths: Sequence[str]) -> list[tuple[int, bytes] | None]:
        """Mode and content of files of a revision, None where absent."""
        with core_errors():
            return self.core.read(rev, paths)

    def blob(self, id: str) -> bytes:
        """The content of a blob."""
        with core_errors():
            return self.core.blob(id)

    def diff(self, old: str, new: str) -> list[FileDiff]:
        """The paths that differ between two revisions."""
        with core_errors():
            return self.core.diff(old, new)

    def merge_trees(self, base: str, ours: str, theirs: str) -> TreeMerge:
        """Three-way merge of trees, without looking into files."""
        with core_errors():
            return self.core.merge_trees(base, ours, theirs)

    def prepare(self, specs: Sequence[CommitSpec]) -> list[Prepared]:
        """Builds commits in memory to learn their ids and trees."""
        with core_errors():
            return self.core.prepare(specs).commits

    def build_tree(self, spec: CommitSpec) -> str:
        """The tree a spec makes, so that it can be merged with at once.

        Its objects are loose until an operation packs them; git may collect them any time before.
        """
        with core_errors():
            batch = self.core.prepare((spec,))
            self.core.write(batch)
            return batch.commits[0].tree

    def export(self, spec: Sequence[CommitSpec], directory: str) -> int:
        """Writes the tree of the last of these commits into an empty directory; the file count."""
        with core_errors():
            batch = self.core.prepare(spec)
            self.core.write(batch)
            return _core.export(self.git_dir, batch.commits[-1].tree, directory)

    def move_branches(self, heads: dict[str, str]) -> list[str]:
        """Makes agents' git branches follow their bookmarks (agent -> commit).

        Returns the agents whose branch git has moved since we last looked; those stay.
        """
        moves = [(agent_ref(a), head, self.branches.get(a)) for a, head in heads.items()]
        with core_errors():
            elsewhere = set(_core.move_refs(self.git_dir, moves))
        moved = {a: head for a, head in heads.items() if agent_ref(a) not in elsewhere}
        self.branches |= moved
        self.lagging -= heads.keys()
        return [agent for agent in heads if agent not in moved]

    def follow_branches(self) -> None:
        """Makes the git branches that lag behind their bookmarks follow.

        Raises the error of one that cannot; it alone goes on lagging.
        """
        known = self.agents()
        self.lagging &= known.keys()
        heads = {agent: known[agent] for agent in sorted(self.lagging)}
        if not heads:
            return
        try:
            self.move_branches(heads)
        except TatamiError:
            failed: TatamiError | None = None
            for agent, head in heads.items():
                try:
                    self.move_branches({agent: head})
                except TatamiError as error:
                    failed = error
            if failed:
                raise failed from None

    def branch(self, agent: str) -> str | None:
        """The commit an agent's git branch is at, or None where it has none."""
        ref = agent_ref(agent)
        try:
            with open(os.path.join(self.git_dir, ref), encoding="ascii") as file:
                text = file.read(48).strip()
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            text = ""
        return text if COMMIT_ID.fullmatch(text) else self.git_head(ref)

    def lags(self, agent: str, ref: str | None, head: str) -> bool:
        """Whether an agent's branch, at `ref`, only has to follow its bookmark; no git moved it.

        Where the reflog does not tell who moved the branch last (there is none, or a power cut
        took its end, which git does not sync), it is ours if the line was there before.
        """
        if ref is None:
            return True
        if ref == head or not self.is_known(ref):
            return False
        ours = self._moved_by_us(agent, ref)
        return ours if ours is not None else self._was_at(agent, ref, head)

    def _moved_by_us(self, agent: str, ref: str) -> bool | None:
        try:
            with open(os.path.join(self.git_dir, "logs", agent_ref(agent)), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - REFLOG_LINE_BYTES_MAX))
                last = file.read().rstrip(b"\0").rstrip(b"\n").rpartition(b"\n")[2]
        except OSError:
            return None
        moved_to = last.rpartition(b"\0")[2].split(b" ")[1:2]
        return b" Tatami <tatami@localhost> " in last if moved_to == [ref.encode()] else None

    def _was_at(self, agent: str, ref: str, head: str) -> bool:
        if self.is_ancestor(ref, head):
            return True
        bookmark = agent_bookmark(agent)
        with core_errors():
            ops = self.core.operations(LAG_OPS_MAX)
            return any(self.core.view(op.id).bookmarks.get(bookmark) == ref for op in ops)

    def maintain(self) -> int:
        """Consolidates small packs; how many went away."""
        with core_errors():
            return self.core.maintain()

    def close(self) -> None:
        """Closes the handle."""
        self.core.close()

    def tree(self, commit: str) -> str:
        """The tree id of a commit; kept for the heads of lines, which are asked for again."""
        if commit not in self.trees:
            if len(self.trees) > 4096:
                self.trees.clear()
            self.trees[commit] = self.commit(commit).tree
        return self.trees[commit]

    def publish(self, plan: Callable[[], Plan | None]) -> Published | None:
        """Publishes what `plan` decides on the current view; plans anew when the view moved.

        Returns None when the plan is None. Raises `TatamiError`; nothing is visible then.
        """
        stale = 0
        try:
            while stale < PUBLISH_ATTEMPTS_MAX:
                wanted = plan()
                if wanted is None:
                    return None
                batch = self.core.prepare(wanted.specs) if wanted.specs else None
                commits = tuple(batch.commits) if batch else ()
                operation = wanted.finish(commits)
                if operation is None:
                    continue
                try:
                    result = self.core.publish(batch, operation)
                except _core.CoreError as error:
                    if error.code != "stale":
                        raise
                    stale += 1
                    self.refresh(force=True)
                    continue
                self._follow(operation, commits)
                return Published(result.op, commits)
        except _core.CoreError as error:
            raise core_error(error) from error
        raise BusyError("another program keeps moving the operation log", fix="try again")

    def _follow(self, operation: OpSpec, commits: Sequence[Prepared]) -> None:
        for name, target in operation.bookmarks.items():
            if target is None:
                self.bookmarks.pop(name, None)
            else:
                self.bookmarks[name] = target
        for prepared in commits:
            self.trees[prepared.commit] = prepared.tree


def command_rows(attributes: dict[str, str]) -> list[tuple[str, str, str, str, str]]:
    """Reads an operation's `COMMANDS` attribute; [] for operations that are not the hub's.

    Raises `TatamiError` (`corrupt`) as all that read attributes do.
    """
    return [(r[0], r[1], r[2], r[3], r[4]) for r in _rows(attributes, COMMANDS, (str,) * 5)]


def landed_rows(attributes: dict[str, str]) -> list[tuple[int, str, str]]:
    """Reads an operation's `LANDED` attribute."""
    return [(row[0], row[1], row[2]) for row in _rows(attributes, LANDED, (int, str, str))]


def relanded_ids(attributes: dict[str, str]) -> dict[str, str]:
    """Reads an operation's `RELANDED` attribute."""
    found = attribute_object(attributes, RELANDED)
    if not all(isinstance(id, str) for id in found.values()):
        raise _not_ours(RELANDED)
    return found


def imported_rows(attributes: dict[str, str]) -> list[tuple[str, str, str]]:
    """Reads an operation's `IMPORTED` attribute."""
    return [(row[0], row[1], row[2]) for row in _rows(attributes, IMPORTED, (str,) * 3)]


def attribute_object(attributes: dict[str, str], name: str) -> dict[str, Any]:
    """Reads an attribute that is a JSON object; {} where the operation has none."""
    found = _json(attributes, name, "{}")
    if not isinstance(found, dict):
        raise _not_ours(name)
    return found


def _rows(attributes: dict[str, str], name: str, kinds: tuple[type, ...]) -> list[list[Any]]:
    rows = _json(attributes, name, "[]")
    if not isinstance(rows, list):
        raise _not_ours(name)
    for row in rows:
        if not isinstance(row, list) or len(row) < len(kinds):
            raise _not_ours(name)
        if not all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=False)):
            raise _not_ours(name)
    return rows


def _json(attributes: dict[str, str], name: str, absent: str) -> object:
    try:
        return json.loads(attributes.get(name, absent))
    except (ValueError, RecursionError):
        raise _not_ours(name) from None


def _not_ours(name: str) -> TatamiError:
    return TatamiError(
        f"an operation's attribute {name} is not what Tatami writes",
        code="corrupt",
        fix="tatami fsck; jj op log names who wrote it",
    )
