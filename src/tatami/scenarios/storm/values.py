"""What a storm is asked and what one arm of it measured; frozen values."""

from dataclasses import dataclass, field
from typing import Literal

ArmName = Literal["tatami", "git-worktree", "jj-workspace"]
Workload = Literal["new", "edit"]
From = Literal["bytes", "checkout", "overlay"]
Fsync = Literal["default", "all", "both"]
ARMS: tuple[ArmName, ...] = ("tatami", "git-worktree", "jj-workspace")


@dataclass(frozen=True, slots=True)
class Asked:
    """A storm: `agents` processes, `commits` each, on a made-up repository or on `repo`'s head.

    jj: the command of stock jj (None: there is none).
    """

    agents: int = 10
    commits: int = 100
    workload: Workload = "new"
    source: From = "bytes"
    mode: str = "shared-log"
    git_fsync: Fsync = "default"
    files: int = 5000
    repo: str | None = None
    arms: tuple[str, ...] = ARMS
    jj: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What one worker process measured. seconds are of the machine's monotonic clock.

    hub_ms: of all acks, the part spent waiting for the hub. failures: what went wrong, in words.
    """

    begun: float
    ended: float
    ack_ms: list[float]
    commits: list[str]
    cpu_s: float
    hub_ms: float = 0.0
    scan_ms: float = 0.0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """What an independent reader found in the final history: commit ids by message; divergence."""

    by_message: dict[str, list[str]]
    divergent: int
    problems: tuple[str, ...] = ()
