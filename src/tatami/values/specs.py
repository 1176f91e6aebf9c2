"""What the core is asked to build: commits and operations, as plain frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass, field

Signature = tuple[str, str, int, int]
"""Name, e-mail, seconds since the epoch, minutes east of UTC."""
Change = tuple[str, int, "bytes | str | None"]
"""Path, mode, content: bytes, or an existing object's id, or None for a deletion."""


@dataclass(frozen=True, slots=True)
class CommitSpec:
    """A commit to build; `parents` may name specs of the same call as "@0", "@1"..."""

    parents: Sequence[str]
    changes: Sequence[Change]
    message: str
    author: Signature
    committer: Signature
    base: str | None = None
    change: str | None = None
    predecessors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class OpSpec:
    """What one operation does to the view besides adding the commits of its batch."""

    description: str
    attributes: dict[str, str] = field(default_factory=dict)
    bookmarks: dict[str, str | None] = field(default_factory=dict)
    drop_heads: Sequence[str] = ()
    foreign: Sequence[str] = ()
    git_refs: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorktreeSpec:
    """A git worktree to make: registered name, directory, full name of its branch."""

    name: str
    path: str
    branch: str
