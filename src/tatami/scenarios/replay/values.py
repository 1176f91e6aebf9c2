"""What a replay is asked, what it watches, and what it found; frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tatami.scenarios.history.deal import HistoryCommit, Part
from tatami.scenarios.history.reading import Source

From = Literal["files", "bytes"]
Kind = Literal["clean_wrong", "auto_correct", "auto_wrong", "left"]
State = Literal["waits", "syncs", "writes", "commits", "lands", "landed", "handed back"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to replay. agents None: ten, or as many as there are commits."""

    repo: str
    agents: int | None = None
    commits: int = 200
    rev: str = "HEAD"
    source: From = "files"
    mode: str = "shared-log"
    batch_size: int | None = None
    compare: bool = False
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays what: the repository, its commits oldest first, the agents' names."""

    asked: Asked
    source: Source
    commits: Sequence[HistoryCommit]
    agents: Sequence[str]

    @property
    def base(self) -> str:
        """The commit everything begins on."""
        return self.commits[0].parent


@dataclass(frozen=True, slots=True)
class Acked:
    """A commit an agent was told is durable. part: the share of history it holds."""

    part: Part
    id: str
    agent: str
    ack_ms: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A file whose landing has to be told: it conflicted, or it differs from history."""

    commit: str
    path: str
    kind: Kind


@dataclass(slots=True)
class Played:
    """What happened, in order. commit_seconds: the time agents spent committing at once."""

    acked: list[Acked] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    landed: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    oracles: list[str] = field(default_factory=list)
    shared: int = 0
    dependent: int = 0
    seconds: float = 0.0
    commit_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Audit:
    """The repository after the hub has stopped, as git and the disk tell it.

    altered: commit of history and path where the agent's commit holds other bytes than it wrote
    (line endings and filters change them on the way). differs: paths of the trunk that are not
    what history has at the end. fsck: problems, in words.
    """

    in_history: int
    altered: tuple[tuple[str, str], ...]
    lost: tuple[str, ...]
    duplicated: tuple[str, ...]
    divergent: int
    op_heads: int
    differs: tuple[str, ...]
    fsck: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one arm committed. fsync: what git was told ("" = not git)."""

    arm: str
    fsync: str
    commits: int
    seconds: float
    ack_ms: Sequence[float]


class Watcher(Protocol):
    """Is told what happens while it happens; called from several threads."""

    def stage(self, words: str) -> None:
        """What begins now, in words."""

    def begins(self, commits: int, agents: Sequence[str]) -> None:
        """The replay itself begins."""

    def agent(self, name: str, state: State, subject: str) -> None:
        """An agent does something else now; `subject` is its commit's."""

    def acked(self, agent: str, ack_ms: float) -> None:
        """A commit is durable."""

    def landed(self, count: int) -> None:
        """So many more of history's commits are on the trunk."""


class Unwatched:
    """Nobody watches."""

    def stage(self, words: str) -> None:
        """Does nothing."""

    def begins(self, commits: int, agents: Sequence[str]) -> None:
        """Does nothing."""

    def agent(self, name: str, state: State, subject: str) -> None:
        """Does nothing."""

    def acked(self, agent: str, ack_ms: float) -> None:
        """Does nothing."""

    def landed(self, count: int) -> None:
        """Does nothing."""
