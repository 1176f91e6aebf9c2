"""The native core: objects, packs, publishing, merging in memory, working copies.

Every call is one whole transaction (or none), releases the GIL, and raises `CoreError`. Object ids
are lower-case hex; change ids are jj's reverse hex; paths are `/`-separated text relative to the
root. File modes are git's: 0o100644, 0o100755, 0o120000 (symlink), 0o160000 (submodule).
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias, final

class CoreError(Exception):
    """Raised by every call; `code` is stable, `retryable` tells whether trying again can help.

    Codes: not_found, ambiguous, bad_path, bad_input, bad_content, file_too_large, too_many_paths,
    stale, busy, conflicted, git, corrupt, unsupported, no_space, permission, io, panic, sync_failed
    (this handle writes no more: reopen).
    """

    code: str
    retryable: bool

Signature: TypeAlias = tuple[str, str, int, int]
"""Name, e-mail, seconds since the epoch, minutes east of UTC."""

Identity: TypeAlias = tuple[str, str]
"""User and host, as operations name who made them."""

Change: TypeAlias = tuple[str, int, bytes | str | None]
"""Path, mode, and the new content (bytes), an existing object's id (str), or None: deleted."""

class CommitSpec(Protocol):
    """A commit to build; any object with these attributes will do (`tatami.values.CommitSpec`).

    parents: commit ids, or "@N" for the N-th spec of the same call. changes apply to the tree of
    `base` (a commit or tree id, None: the first parent's tree). change: a change id to keep (amend,
    None: fresh). predecessors: commits that this one rewrites.
    """

    @property
    def parents(self) -> Sequence[str]: ...
    @property
    def changes(self) -> Sequence[Change]: ...
    @property
    def message(self) -> str: ...
    @property
    def author(self) -> Signature: ...
    @property
    def committer(self) -> Signature: ...
    @property
    def base(self) -> str | None: ...
    @property
    def change(self) -> str | None: ...
    @property
    def predecessors(self) -> Sequence[str]: ...

class OpSpec(Protocol):
    """What one operation does to the view besides adding its commits.

    description: one line. attributes: free text map. bookmarks: name -> commit id (None deletes);
    expected current targets are checked by the caller. drop_heads: commits to hide (amended ones;
    one that a bookmark is still at stays visible). foreign: commits written by plain git that the
    operation makes known (barrier 1 is then a syncfs of the object store). git_refs: full ref name
    -> commit id now seen in git.
    """

    @property
    def description(self) -> str: ...
    @property
    def attributes(self) -> dict[str, str]: ...
    @property
    def bookmarks(self) -> dict[str, str | None]: ...
    @property
    def drop_heads(self) -> Sequence[str]: ...
    @property
    def foreign(self) -> Sequence[str]: ...
    @property
    def git_refs(self) -> dict[str, str | None]: ...

@final
class Prepared:
    """A commit built in memory; its ids are final."""

    commit: str
    change: str
    tree: str

@final
class Batch:
    """Commits built in memory by `Repo.prepare`, in the order of their specs."""

    commits: list[Prepared]
    object_bytes: int

@final
class OpResult:
    """A published operation: durable and visible. The *_us fields are microseconds of each step."""

    op: str
    write_us: int
    barrier1_us: int
    swap_us: int
    barrier2_us: int

@final
class Refreshed:
    """What `Repo.refresh` found: the operation now loaded, whether it is new to this handle, and
    whether several op heads were merged to get there."""

    op: str
    changed: bool
    merged: bool

@final
class Commit:
    id: str
    change: str
    parents: list[str]
    tree: str
    message: str
    author: Signature
    committer: Signature
    conflict: bool

@final
class Operation:
    id: str
    parents: list[str]
    description: str
    attributes: dict[str, str]
    start_ms: int
    end_ms: int
    user: str
    hostname: str
    snapshot: bool

@final
class ViewOf:
    """The view of one operation: every head and every local bookmark (None: conflicted)."""

    heads: list[str]
    bookmarks: dict[str, str | None]
    git_refs: dict[str, str | None]

@final
class TreeEntry:
    path: str
    mode: int
    id: str

@final
class FileDiff:
    """One path that differs; a side's mode is 0 and its id "" where the path is absent."""

    path: str
    old_mode: int
    old_id: str
    new_mode: int
    new_id: str

@final
class PathConflict:
    """A path both sides changed differently: mode and id per term, 0 and "" where absent."""

    path: str
    base_mode: int
    base_id: str
    ours_mode: int
    ours_id: str
    theirs_mode: int
    theirs_id: str

@final
class TreeMerge:
    """Three-way merge of trees without looking into files.

    changes: what to apply to *ours* to take over what only *theirs* changed (ready for CommitSpec).
    conflicts: paths for the merge ladder; a file on one side where the other has a directory is a
    conflict of that path (the directory's mode is 0o40000). Modes merge on their own where the
    contents agree.
    """

    changes: list[Change]
    conflicts: list[PathConflict]

@final
class Problem:
    """One broken invariant: its id (I2, I5, I11), the object concerned, and what is wrong."""

    invariant: str
    place: str
    what: str

@final
class Verified:
    operations: int
    views: int
    commits: int
    trees: int
    blobs: int
    problems: list[Problem]

@final
class Repo:
    """An opened repository: the git object store and the jj op log over it. Safe for threads."""

    @staticmethod
    def init(state: str, git_dir: str, trunk: str, head: str | None, who: Identity) -> Repo:
        """Makes <state>/jj over `git_dir` and imports refs/heads/<trunk> and `head`, durably."""
    @staticmethod
    def adopt(jj_repo: str, git_dir: str, trunk: str, head: str | None, who: Identity) -> Repo:
        """Takes over a jj repository that is there, in the same way."""
    @staticmethod
    def open(jj_repo: str, git_dir: str, who: Identity, writes: bool) -> Repo:
        """Opens a repository; only one process may open it to write, the hub."""
    def close(self) -> None: ...
    def refresh(self) -> Refreshed:
        """Loads the op head if it moved; a writer merges several heads into one operation."""
    def op(self) -> str: ...
    def view(self, op: str | None = None) -> ViewOf: ...
    def prepare(self, specs: Sequence[CommitSpec]) -> Batch:
        """Builds blobs, trees and commits in memory; nothing touches the disk."""
    def write(self, batch: Batch) -> None:
        """Makes the batch's objects readable as loose ones, without an operation; git collects
        them like any garbage."""
    def publish(self, batch: Batch | None, op: OpSpec) -> OpResult:
        """Pack, operation, barrier 1, compare-and-swap of the op head, barrier 2.

        Raises `stale` when somebody else moved the op head: `refresh`, decide again, retry.
        """
    def resolve(self, name: str) -> str:
        """The commit a bookmark, a commit or change id (or a unique prefix), or a git ref names."""
    def commit(self, id: str) -> Commit: ...
    def admit(self, id: str) -> None:
        """Raises `bad_path` or `bad_content` where a commit that git made has what none of its
        parents has and `prepare` would have refused."""
    def log(self, heads: Sequence[str], exclude: Sequence[str], limit: int | None) -> list[Commit]:
        """Ancestors of `heads` that are not ancestors of `exclude`, children before parents."""
    def knows(self, id: str) -> bool:
        """Whether the operation log has this commit, visible or hidden."""
    def is_ancestor(self, ancestor: str, descendant: str) -> bool: ...
    def merge_bases(self, a: str, b: str) -> list[str]: ...
    def tree(self, rev: str, prefix: str = "") -> list[TreeEntry]: ...
    def read(self, rev: str, paths: Sequence[str]) -> list[tuple[int, bytes] | None]: ...
    def blob(self, id: str) -> bytes: ...
    def diff(self, old: str, new: str) -> list[FileDiff]: ...
    def merge_trees(self, base: str, ours: str, theirs: str) -> TreeMerge: ...
    def preview(self, ours: str, theirs: str) -> list[str]:
        """Paths that would conflict, contents included, if the two were merged; write-free."""
    def operations(self, limit: int | None, starts: Sequence[str] = ...) -> list[Operation]:
        """The op log from `starts` (none: the head) backwards, newest first."""
    def verify(self, limit: int | None = None) -> Verified:
        """Walks everything reachable from the op heads and checks names, hashes and change ids."""
    def maintain(self) -> int:
        """Moves the objects of small packs of ours into larger ones; how many packs went away."""
    def stats(self) -> dict[str, int]:
        """own_packs, own_pack_bytes, cached_bytes."""

def merge_text(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """git's three-way text merge; None where hunks overlap or a side is binary."""

def move_refs(git_dir: str, refs: Sequence[tuple[str, str, str | None]]) -> list[str]:
    """Moves git refs (full name, new commit id, old one or None for any) as loose refs.

    A ref that does not exist is made. Returns those that were somewhere else; they stay there.
    """

class WorktreeSpec(Protocol):
    """A git worktree to make: its name under .git/worktrees, its directory, and the full name of
    the branch it has checked out."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def branch(self) -> str: ...

@final
class CheckedOut:
    path: str
    files: int
    bytes: int
    skipped: list[str]
    """Paths left to git because an attribute (filter, eol, ident, encoding) changes their bytes."""

def add_worktrees(
    git_dir: str,
    specs: Sequence[WorktreeSpec],
    commit: str,
    lock_reason: str,
    through_git: Sequence[str],
) -> list[CheckedOut]:
    """Makes registered, locked git worktrees of one commit, reading each blob once for all of them.

    through_git: paths not to write (the caller lets git write them). Refuses a directory that is
    not empty, a name that is taken, a tree with a path that must not be written.
    """

def add_sparse_worktrees(
    git_dir: str,
    specs: Sequence[WorktreeSpec],
    commit: str,
    lock_reason: str,
    cone: Sequence[str],
) -> list[CheckedOut]:
    """As `add_worktrees`, with only what a sparse checkout of the directories `cone` has.

    Raises `not_found` for a directory that the commit has not.
    """

def export(git_dir: str, tree: str, directory: str) -> int:
    """Writes a tree's files into an empty directory, without git's metadata; how many files."""

@final
class ScannedFile:
    """One path whose working-copy state differs from the commit: mode 0 when deleted."""

    path: str
    mode: int
    untracked: bool
    """The index has no such path; of a deleted one: it only intended to add it."""
    content: bytes | None
    through_git: bool
    """An attribute or setting changes the bytes: only git can tell the blob (content is None)."""
    stat: tuple[int, int, int, int, int, int, int, int]
    """ctime s, ns, mtime s, ns, dev, ino, uid, gid as taken before reading."""

@final
class Scan:
    files: list[ScannedFile]
    staged: bool
    """The index differs both from the commit and from the files: the index is what was meant."""
    agrees: bool
    """What was compared of the index is what the commit has."""
    repositories: list[str]
    """Untracked repositories inside the working copy; they are left out."""
    entries: int
    stat_us: int
    walk_us: int
    read_us: int

def scan(
    git_dir: str,
    worktree: str,
    commit: str,
    paths: Sequence[str] | None,
    overlay: tuple[str, str, str] | None = None,
) -> Scan:
    """What a commit of the working copy would change against `commit`, ignore rules applied.

    paths: restrict to these files or directories. overlay: the upper directory of a mounted overlay
    workspace, the index beside its lower tree, and the last bytes (hex, or "") of an index that is
    known to be the commit's tree; the result is the same, sooner.
    Stats each file before and after reading: one that changed meanwhile raises `busy`. A name that
    is not UTF-8 raises `bad_path` and names it.
    """

def update_index(git_dir: str, worktree: str, entries: Sequence[tuple[str, int, str]]) -> None:
    """Sets index entries (path, mode, blob id; mode 0 removes) with fresh stats, under `index.lock`
    that the caller holds: writes the lock file and renames it over the index."""

def update_overlay_index(
    git_dir: str,
    worktree: str,
    lower_index: str,
    entries: Sequence[tuple[str, int, str]],
    settle: bool,
    seen: Scan | None = None,
) -> str:
    """As `update_index`, over the index beside a lower tree; returns the new index's last bytes.

    While it is called time and again, it writes a split index; with `settle` always a whole one.
    seen: the scan before it under the same lock, which is used up: nothing is read again.
    """

def make_lower(git_dir: str, tree: str, directory: str) -> CheckedOut:
    """Writes a tree into an empty directory: `files`, and the git `index` that goes with them.

    What it skips is left to git. On an error the caller removes what is there.
    """

def tree_of(git_dir: str, commit: str) -> str:
    """The tree of a commit (or the tree itself)."""

def tree_size(git_dir: str, tree: str) -> int:
    """How many files, symlinks and submodules a tree has."""

def mount_overlay(
    layers: tuple[str, str, str], target: str, user_attributes: bool, volatile: bool = False
) -> None:
    """Mounts (lower, upper, work) at `target`; raises `permission`, or `unsupported` where the
    kernel or the file system cannot. user_attributes: marks that need no privileges. volatile: for
    a trial; unmounting does not wait for the disk."""

def unmount(target: str) -> None:
    """Unmounts; raises `busy` while a process uses it, `not_found` where nothing is mounted."""

def enter_namespaces() -> None:
    """Gives this process, which must have one thread, a user and a mount namespace of its own.

    Raises `permission` where the system forbids it, `unsupported` where the process has threads.
    """

def join_namespaces(pid: int) -> None:
    """Moves this process, which must have one thread, into those of a process of the same user."""
