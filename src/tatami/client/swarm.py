"""The blocking SDK: a swarm is a repository with its hub, an agent a line of changes in it."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from tatami.client import syncing, working
from tatami.client import workspaces as spaces
from tatami.client.connection import Connection
from tatami.client.undoing import restore as restoring
from tatami.client.undoing import undo as undoing
from tatami.client.undoing.restore import Restored
from tatami.client.undoing.undo import Undo
from tatami.client.values import CommitResult, Json, LandingResult
from tatami.store.initialise import initialise
from tatami.store.locate import Place, find, marker
from tatami.values.errors import UsageError
from tatami.values.ids import agent_name
from tatami.workspaces import git, worktree
from tatami.workspaces.kinds import choosing
from tatami.workspaces.kinds.settling import settle

FileContent = bytes | tuple[int, bytes | str] | None
"""New content of a path; (mode, content) for an executable or a symlink; (mode, object id) for what
is in the repository already, as a submodule's commit always is named; None deletes it."""
REGULAR = 0o100644


class Swarm:
    """A repository and its hub, which is started when none runs. One thread at a time."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.written: dict[str, worktree.Workspace] = {}
        """Workspaces whose index may be split, since it was written many times a second."""
        self._connection = Connection(place)

    @classmethod
    def open(cls, path: str | os.PathLike[str] = ".", init: bool = False) -> "Swarm":
        """Opens the repository around `path`; with `init` it is made a Tatami one if needed."""
        place = find(os.fspath(path))
        if init:
            initialise(place, None)
        marker(place)
        swarm = cls(place)
        try:
            swarm.status()
        except BaseException:
            swarm.close()
            raise
        return swarm

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; the hub goes on for others and ends when idle."""
        self._connection.close()
        for space in self.written.values():
            settle(space)
        self.written.clear()

    def agents(
        self,
        names: Sequence[str],
        base: str | None = None,
        workspace: bool = True,
        existing: bool = True,
        *,
        kind: str | None = None,
        sparse: Sequence[str] = (),
        fresh: bool = False,
    ) -> list["Agent"]:
        """Returns these agents, making those that do not exist at `base` (None: the trunk).

        With `workspace` each gets a git worktree; all missing ones are made side by side. existing:
        False refuses names that are in use; fresh: refuse workspaces that are there. kind: "auto",
        "checkout", "overlay" or "sparse" (None: as the machine's settings say). sparse: the only
        directories that a sparse one has.
        """
        wanted = choosing.wanted(self.place.root, kind, sparse)
        base = base and self._meant(base)
        fields = {"names": [agent_name(n) for n in names], "base": base, "existing": existing}
        if workspace:
            spaces.require_possible(self.place, names)
        result, _ = self._connection.command("agents", fields)
        rows = result["agents"]
        found = spaces.ensure(self.place, rows, wanted, fresh) if workspace else {}
        return [Agent(self, name, found.get(name)) for name in names]

    def agent(
        self,
        name: str,
        base: str | None = None,
        workspace: bool = True,
        *,
        kind: str | None = None,
        sparse: Sequence[str] = (),
    ) -> "Agent":
        """As `agents`, for one."""
        return self.agents([name], base, workspace, kind=kind, sparse=sparse)[0]

    def known_agent(self, name: str) -> "Agent":
        """An agent that exists, with its workspace if it has one that is ready; makes nothing."""
        space = worktree.get(self.place.common, agent_name(name))
        if space:
            worktree.require_ready(space)
        return Agent(self, name, space)

    def workspaces(self, *names: str) -> list[Json]:
        """Workspaces (of these agents, or all), as `tatami workspace list --json` prints them."""
        return spaces.describe(self.place, self.status(), names)

    def remove_workspace(self, name: str, force: bool = False) -> spaces.Removal:
        """Removes a workspace after everything in it is saved; a landed agent is forgotten too.

        force: changes that the agent's line cannot take are saved under a ref of their own.
        """
        return spaces.remove(self.place, self.command, name, force)

    def status(self) -> Json:
        """Hub, agents, queue, trunk and warnings, as `tatami status --json` prints them."""
        return self._connection.ask("status", {})[0]

    def log(
        self, *revs: str, all: bool = False, limit: int | None = None
    ) -> Iterator[Json]:  # `all` is the command line's word
        """Yields commits, newest first, as `tatami log --json` prints them."""
        for page in self.log_pages(*revs, all=all, limit=limit):
            yield from page

    def log_pages(
        self, *revs: str, all: bool = False, limit: int | None = None
    ) -> Iterator[list[Json]]:  # `all` is the command line's word
        """As `log`, as many rows at a time as the hub sends at once."""
        fields = {"revs": [self._meant(rev) for rev in revs], "all": all}
        for answer in self._pages("log", fields, "revs", limit):
            yield answer["commits"]

    def operations(self, limit: int | None = None, start: str | None = None) -> list[Json]:
        """The operation log, newest first; from `start` backwards."""
        return [row for page in self.operation_pages(limit, start) for row in page]

    def operation_pages(
        self, limit: int | None = None, start: str | None = None
    ) -> Iterator[list[Json]]:
        """As `operations`, as many rows at a time as the hub sends at once."""
        fields = {"starts": [start] if start else []}
        for answer in self._pages("op-log", fields, "starts", limit):
            yield answer["operations"]

    def _pages(self, verb: str, fields: Json, heads: str, limit: int | None) -> Iterator[Json]:
        """Asks until no history is left; `heads` is the field that says where an answer begins."""
        left = limit
        while True:
            answer, _ = self._connection.ask(verb, {**fields, "limit": left})
            yield answer
            if left is not None:
                left -= answer["rows"]
            if not answer["rest"] or left == 0:
                return
            fields = {heads: answer["rest"]}

    def read(self, rev: str, paths: Sequence[str]) -> list[bytes | None]:
        """Contents of files at a revision; None where a path is absent."""
        fields = {"rev": self._meant(rev), "paths": list(paths)}
        result, body = self._connection.ask("read", fields)
        contents: list[bytes | None] = []
        at = 0
        for _, size in result["files"]:
            contents.append(None if size < 0 else bytes(body[at : at + size]))
            at += max(size, 0)
        return contents

    def resolve(self, rev: str) -> str:
        """The commit id a name means; `HEAD` is that of the worktree this was opened in."""
        commit: str = self._connection.ask("resolve", {"rev": self._meant(rev)})[0]["commit"]
        return commit

    def diff(self, old: str, new: str) -> list[tuple[str, int, str, int, str]]:
        """Paths that differ: path, old mode and id, new mode and id."""
        fields = {"old": self._meant(old), "new": self._meant(new)}
        rows = self._connection.ask("diff", fields)[0]["files"]
        return [tuple(row) for row in rows]

    def _meant(self, rev: str) -> str:
        return git.meant_here(self.place.worktree, rev)

    def queue(self, done: bool = False) -> list[Json]:
        """The landing queue; with `done` also what has landed."""
        entries: list[Json] = self._connection.ask("queue", {"done": done})[0]["entries"]
        return entries

    def finished(self, entries: Sequence[int]) -> list[Json]:
        """Waits until these entries have landed, were handed back or rejected; returns them."""
        rows: list[Json] = self._connection.ask("queue", {"wait": list(entries)})[0]["entries"]
        return rows

    def queue_action(self, action: str, entries: Sequence[int] = ()) -> Json:
        """Retries or rejects entries, or pauses or resumes the queue."""
        fields = {"action": action, "entries": list(entries)}
        return self._connection.command("queue-action", fields)[0]

    def conflict(self, entry: int) -> Json:
        """A handed-back entry with the contents of every side of each conflict."""
        result, body = self._connection.ask("conflict", {"entry": entry})
        contents, at = [], 0
        for size in result["sizes"]:
            contents.append(None if size < 0 else bytes(body[at : at + size]))
            at += max(size, 0)
        for index, row in enumerate(result["entry"]["conflicts"]):
            for offset, side in enumerate(("base", "ours", "theirs")):
                row[side + "_content"] = contents[3 * index + offset]
        shown: Json = result["entry"]
        return shown

    def land(self, agents: Sequence[str], verify: str | None = None) -> "Landing":
        """Queues several agents' lines, in this order."""
        for name in agents:
            agent_name(name)
        fields = {"agents": list(agents), "verify": verify}
        result, _ = self._connection.command("land", fields)
        return Landing(self, result["entries"])

    def events(self, after: int | None = None) -> Iterator[Json]:
        """Yields every event after a cursor (None: from now on), for ever, on its own socket."""
        return Connection(self.place).events(after)

    def restore(self, op: str, dry_run: bool = False) -> Restored:
        """Puts every agent's line and the trunk back to where they were at an operation.

        dry_run: only tells what would be done.
        """
        if dry_run:
            return restoring.preview(self.command, op)
        return restoring.restore(self.place, self.command, op)

    def retire(self, name: str) -> Json:
        """Forgets an agent whose work has landed."""
        return self._connection.command("retire", {"agent": agent_name(name)})[0]

    def visible(self) -> None:
        """Waits until every commit acknowledged so far is on its agent's git branch."""
        self._connection.ask("visible", {"agent": None})

    def stop(self) -> None:
        """Stops the hub after it has finished what it accepted."""
        self._connection.ask("stop", {})

    def ask(self, verb: str, fields: Json) -> Json:
        """Asks a raw question; the protocol's own fields."""
        return self._connection.ask(verb, fields)[0]

    def command(self, verb: str, fields: Json, body: Sequence[bytes] = ()) -> Json:
        """Sends a raw command; the protocol's own fields."""
        return self._connection.command(verb, fields, body)[0]


class Landing:
    """A place in the landing queue."""

    def __init__(self, swarm: Swarm, entries: list[int]) -> None:
        self._swarm = swarm
        self.entries = entries

    def results(self) -> list[LandingResult]:
        """Waits until every entry has landed, was handed back, or was rejected."""
        return [LandingResult.from_json(row) for row in self._swarm.finished(self.entries)]

    def result(self) -> LandingResult:
        """As `results`, for the only entry."""
        return self.results()[0]


class Agent:
    """A named writer with a line of changes and, mostly, a workspace."""

    def __init__(self, swarm: Swarm, name: str, workspace: worktree.Workspace | None) -> None:
        self.swarm = swarm
        self.name = name
        self.workspace = workspace

    @property
    def path(self) -> str:
        """The workspace's directory; raises `UsageError` for an agent without one."""
        return self._workspace().path

    def commit(
        self,
        message: str,
        changes: Mapping[str, FileContent] | None = None,
        amend: bool = False,
        paths: Sequence[str] | None = None,
        expected: str | None = None,
        *,
        verify: bool = True,
    ) -> CommitResult:
        """Commits explicit contents, or (without them) a snapshot of the workspace; durable.

        paths restricts the snapshot. expected refuses if the line's head is another commit. verify:
        run the user's git hooks on a snapshot. Without a workspace the agent's git branch follows
        within a moment (`CommitResult.visible` waits for it).
        """
        begun = time.perf_counter()
        warnings: tuple[str, ...] = ()
        if changes is None:
            space = self._workspace()
            result, warnings = working.snapshot(
                self._send, space, message, paths, amend, expected=expected, verify=verify
            )
            if space.kind == "overlay":
                self.swarm.written[space.name] = space
        else:
            rows, body = _rows(changes)
            fields = {"message": message, "changes": rows, "amend": amend, "expected": expected}
            if self.workspace:
                result, warnings = working.commit_bytes(
                    self._send, self.workspace, fields, changes, body
                )
            else:
                result = self._send({**fields, "visible": False}, body)
        ack_ms = (time.perf_counter() - begun) * 1000
        return CommitResult(
            result["commit"],
            result["change"],
            result["op"],
            self.name,
            ack_ms,
            warnings,
            self.visible,
        )

    def visible(self) -> None:
        """Waits until every commit acknowledged so far is on this agent's git branch."""
        self.swarm.ask("visible", {"agent": self.name})

    def land(self, verify: str | None = None) -> Landing:
        """Queues what this agent has not landed yet."""
        return self.swarm.land([self.name], verify)

    def sync(self) -> syncing.Synced:
        """Puts the line (and the workspace, its edits kept) on the trunk; landed commits go."""
        if self.workspace is None:
            return syncing.sync_line(self.swarm.command, self.name)
        trunk = self.swarm.resolve(marker(self.swarm.place).trunk)
        return syncing.sync(self.swarm.command, self.workspace, trunk)

    def undo(self, to: str | None = None, dry_run: bool = False) -> Undo:
        """Takes back this agent's last step, or all after operation `to`; nobody else's.

        dry_run: only tells what would be done.
        """
        command = self.swarm.command
        if dry_run:
            return undoing.preview(command, self.name, to, self.workspace)
        if self.workspace is None:
            return undoing.undo_line(command, self.name, to)
        return undoing.undo(command, self.workspace, to)

    def reset(self, rev: str) -> None:
        """Moves the line (and a clean workspace) to `rev`; old commits stay in the op log."""
        here = self.workspace.path if self.workspace else self.swarm.place.worktree
        rev = git.meant_here(here, rev)
        old = working.require_clean(self.workspace) if self.workspace else ""
        self.swarm.command("reset", {"agent": self.name, "rev": rev})
        if self.workspace:
            working.check_out(self.workspace, old)

    def _send(self, fields: Json, body: Sequence[bytes]) -> Json:
        return self.swarm.command("commit", {"agent": self.name, **fields}, body)

    def _workspace(self) -> worktree.Workspace:
        if self.workspace is None:
            raise UsageError(
                f"{self.name} has no workspace",
                code="no_workspace",
                fix=f"tatami workspace add {self.name}",
            )
        return self.workspace


def _rows(
    changes: Mapping[str, FileContent],
) -> tuple[list[tuple[str, int, int | str | None]], list[bytes]]:
    rows: list[tuple[str, int, int | str | None]] = []
    body: list[bytes] = []
    for path, content in changes.items():
        if content is None:
            rows.append((path, 0, None))
            continue
        mode, data = content if isinstance(content, tuple) else (REGULAR, content)
        if isinstance(data, str):
            rows.append((path, mode, data))
            continue
        rows.append((path, mode, len(data)))
        body.append(data)
    return rows, body
