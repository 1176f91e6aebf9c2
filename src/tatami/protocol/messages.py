"""Requests a client may send, as the hub decodes them; unknown fields and verbs are refused.

`n` numbers a request on its connection. `id` names a command for ever (`CommandId`): a request that
changes anything has one. File contents travel in the frame's body, in the order of `changes`.
"""

from typing import Literal

import msgspec

ChangeRow = tuple[str, int, int | str | None]
"""Path, mode, and the size of its content in the body, or an existing blob's id, or None (gone)."""


class Request(
    msgspec.Struct, forbid_unknown_fields=True, tag_field="verb", frozen=True, kw_only=True
):
    """Base of every request."""

    n: int


class Hello(Request, tag="hello", frozen=True):
    """First on every connection; `version` is the client's release."""

    version: str


class Commit(Request, tag="commit", frozen=True):
    """Commits `changes` on the agent's line; `expected` refuses if its head is another.

    amend replaces the head. allow_empty commits without a change. author is name and e-mail.
    visible: answer once the agent's git branch has the commit, not as soon as it is durable.
    """

    id: str
    agent: str
    message: str
    changes: list[ChangeRow]
    amend: bool = False
    allow_empty: bool = False
    expected: str | None = None
    author: tuple[str, str] | None = None
    visible: bool = True


class Agents(Request, tag="agents", frozen=True):
    """Makes lines of changes for new agents at `base` (None: the trunk).

    Known ones are returned as they are when `existing` allows it. branches: git branches of theirs
    that are at `base` become their lines.
    """

    id: str
    names: list[str]
    base: str | None = None
    existing: bool = False
    branches: bool = False


class Reset(Request, tag="reset", frozen=True):
    """Moves an agent's line to `rev`; its commits stay in the operation log."""

    id: str
    agent: str
    rev: str


class Sync(Request, tag="sync", frozen=True):
    """Puts an agent's line on the trunk; `expected` refuses if its head is another commit."""

    id: str
    agent: str
    expected: str | None = None


class Undo(Request, tag="undo", frozen=True):
    """Takes back the agent's last step, or all of them after operation `to`.

    expected refuses if its head is another commit, `step` (as a dry run named it) if another step
    would be taken back. dry_run: only say what would be done.
    """

    id: str
    agent: str
    to: str | None = None
    expected: str | None = None
    step: str | None = None
    dry_run: bool = False


class Restore(Request, tag="restore", frozen=True):
    """Puts every line and the trunk back to where they were at operation `op`."""

    id: str
    op: str
    dry_run: bool = False


class Retire(Request, tag="retire", frozen=True):
    """Forgets an agent whose work has landed; refuses (`unlanded`) while commits would vanish."""

    id: str
    agent: str


class Land(Request, tag="land", frozen=True):
    """Queues the agents' lines for landing in this order.

    `verify` is a shell command that must succeed on exactly the tree that would land.
    """

    id: str
    agents: list[str]
    verify: str | None = None


class QueueAction(Request, tag="queue-action", frozen=True):
    """Retries or rejects entries of the landing queue, or pauses and resumes it."""

    id: str
    action: Literal["retry", "reject", "pause", "resume"]
    entries: list[int] = []


class Queue(Request, tag="queue", frozen=True):
    """Lists the landing queue; `wait` answers only when these entries are finished."""

    wait: list[int] = []
    done: bool = False


class Conflict(Request, tag="conflict", frozen=True):
    """Shows a handed-back landing with the contents of every side."""

    entry: int


class Status(Request, tag="status", frozen=True):
    """Asks for hub, agents, queue, trunk and warnings."""


class Log(Request, tag="log", frozen=True):
    """Asks for commits, newest first; `all` means every agent's line and the trunk."""

    revs: list[str] = []
    all: bool = False
    limit: int | None = None


class Hidden(Request, tag="hidden", frozen=True):
    """Asks for commits that no bookmark reaches any more, newest first, but for some newest."""

    skip: int = 0


class OpLog(Request, tag="op-log", frozen=True):
    """Asks for operations, newest first, from `starts` (none: the head)."""

    limit: int | None = None
    starts: list[str] = []


class Read(Request, tag="read", frozen=True):
    """Asks for file contents of a revision; they come in the body, absent ones with size -1."""

    rev: str
    paths: list[str]


class Visible(Request, tag="visible", frozen=True):
    """Answered once git branches have every commit acknowledged before (None: all agents')."""

    agent: str | None = None


class Resolve(Request, tag="resolve", frozen=True):
    """Asks which commit a name means."""

    rev: str


class Diff(Request, tag="diff", frozen=True):
    """Asks which paths differ between two revisions."""

    old: str
    new: str


class Subscribe(Request, tag="subscribe", frozen=True):
    """Asks for every event after a cursor (None: from now on)."""

    after: int | None = None


class Stop(Request, tag="stop", frozen=True):
    """Asks the hub to finish what it has accepted and to end."""


AnyRequest = (
    Hello
    | Commit
    | Agents
    | Reset
    | Sync
    | Undo
    | Restore
    | Retire
    | Land
    | QueueAction
    | Queue
    | Conflict
    | Status
    | Log
    | Hidden
    | OpLog
    | Read
    | Visible
    | Resolve
    | Diff
    | Subscribe
    | Stop
)
Mutation = Commit | Agents | Reset | Sync | Undo | Restore | Retire | Land | QueueAction
REQUEST = msgspec.json.Decoder(AnyRequest)
