"""The async SDK: the blocking twin on threads, one connection per agent, so that agents overlap."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from tatami.client import swarm as blocking
from tatami.client.connection import Connection
from tatami.client.swarm import FileContent
from tatami.client.syncing import Synced
from tatami.client.undoing.restore import Restored
from tatami.client.undoing.undo import Undo
from tatami.client.values import CommitResult, Json, LandingResult
from tatami.client.workspaces import Removal
from tatami.store.locate import Place
from tatami.workspaces.worktree import Workspace

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
THREADS_MAX = 256
"""Agents that can have a request under way at the same time in one process."""


class _Threads:
    """Runs blocking calls beside the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS_MAX, "tatami-client")

    async def run(
        self, call: Callable[Parameters, Result], *args: Parameters.args, **kw: Parameters.kwargs
    ) -> Result:
        """Runs one call and returns what it returns."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(call, *args, **kw))

    def close(self) -> None:
        """Takes no further calls; those under way end by themselves."""
        self._pool.shutdown(wait=False)


class AsyncSwarm:
    """A repository and its hub; `async with AsyncSwarm.open(path) as swarm`."""

    def __init__(self, path: str, init: bool = False) -> None:
        self._path = path
        self._init = init
        self._threads = _Threads()
        self._lock = asyncio.Lock()
        self._open: list[blocking.Swarm | Connection] = []

    @classmethod
    def open(cls, path: str = ".", init: bool = False) -> "AsyncSwarm":
        """Opens the repository around `path` when entered; starts or joins the hub."""
        return cls(path, init)

    async def __aenter__(self) -> Self:
        self._swarm = await self._threads.run(blocking.Swarm.open, self._path, self._init)
        self._open.append(self._swarm)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for connection in self._open:
            connection.close()
        self._threads.close()

    async def agents(
        self,
        names: Sequence[str],
        base: str | None = None,
        workspace: bool = True,
        *,
        kind: str | None = None,
        sparse: Sequence[str] = (),
    ) -> list["AsyncAgent"]:
        """Returns these agents, making those that do not exist yet, as `Swarm.agents` does."""
        make = partial(self._swarm.agents, kind=kind, sparse=sparse)
        found = await self._ask(make, names, base, workspace)
        return [self._own(agent) for agent in found]

    async def agent(
        self,
        name: str,
        base: str | None = None,
        workspace: bool = True,
        *,
        kind: str | None = None,
        sparse: Sequence[str] = (),
    ) -> "AsyncAgent":
        """As `agents`, for one."""
        return (await self.agents([name], base, workspace, kind=kind, sparse=sparse))[0]

    async def workspaces(self, *names: str) -> list[Json]:
        """Workspaces (of these agents, or all), as `tatami workspace list --json` prints them."""
        return await self._ask(self._swarm.workspaces, *names)

    async def remove_workspace(self, name: str, force: bool = False) -> Removal:
        """Removes a workspace after everything in it is saved."""
        return await self._ask(self._swarm.remove_workspace, name, force)

    async def status(self) -> Json:
        """Hub, agents, queue, trunk and warnings."""
        return await self._ask(self._swarm.status)

    async def log(
        self, *revs: str, all: bool = False, limit: int | None = None
    ) -> AsyncIterator[Json]:
        """Yields commits, newest first."""
        pages = self._swarm.log_pages(*revs, all=all, limit=limit)
        while page := await self._ask(next, pages, None):
            for row in page:
                yield row

    async def operations(self, limit: int | None = None) -> list[Json]:
        """The operation log, newest first."""
        return await self._ask(self._swarm.operations, limit)

    async def read(self, rev: str, paths: Sequence[str]) -> list[bytes | None]:
        """Contents of files at a revision; None where a path is absent."""
        return await self._ask(self._swarm.read, rev, paths)

    async def resolve(self, rev: str) -> str:
        """The commit id a name means."""
        return await self._ask(self._swarm.resolve, rev)

    async def queue(self, done: bool = False) -> list[Json]:
        """The landing queue."""
        return await self._ask(self._swarm.queue, done)

    async def conflict(self, entry: int) -> Json:
        """A handed-back entry with the contents of every side."""
        return await self._ask(self._swarm.conflict, entry)

    async def restore(self, op: str, dry_run: bool = False) -> Restored:
        """Puts every agent's line and the trunk back to where they were at an operation."""
        return await self._ask(self._swarm.restore, op, dry_run)

    async def visible(self) -> None:
        """Waits until every commit acknowledged so far is on its agent's git branch."""
        await self._ask(self._swarm.visible)

    async def stop(self) -> None:
        """Stops the hub."""
        await self._ask(self._swarm.stop)

    async def events(self, after: int | None = None) -> AsyncGenerator[Json, None]:
        """Yields every event after a cursor, until the swarm is closed."""
        connection = Connection(self._swarm.place)
        self._open.append(connection)
        stream = connection.events(after)

        def following() -> Json | None:
            return next(stream, None)

        try:
            while event := await self._threads.run(following):
                yield event
        finally:
            connection.close()
            self._open.remove(connection)

    def _own(self, agent: blocking.Agent) -> "AsyncAgent":
        """Gives an agent its own connection, so that its requests do not wait for others'."""
        swarm = blocking.Swarm(self._swarm.place)
        self._open.append(swarm)
        return AsyncAgent(blocking.Agent(swarm, agent.name, agent.workspace), self._threads)

    async def _ask(
        self, call: Callable[Parameters, Result], *args: Parameters.args, **kw: Parameters.kwargs
    ) -> Result:
        async with self._lock:
            return await self._threads.run(call, *args, **kw)


class AsyncAgent:
    """A named writer with a line of changes; its requests run one after another."""

    def __init__(self, agent: blocking.Agent, threads: _Threads) -> None:
        self._agent = agent
        self._threads = threads
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._agent.name

    @property
    def workspace(self) -> Workspace | None:
        """The agent's working copy; None for one that commits bytes only."""
        return self._agent.workspace

    @property
    def path(self) -> str:
        """The workspace's directory; raises `UsageError` for an agent without one."""
        return self._agent.path

    async def commit(
        self,
        message: str,
        changes: Mapping[str, FileContent] | None = None,
        amend: bool = False,
        paths: Sequence[str] | None = None,
        expected: str | None = None,
        *,
        verify: bool = True,
    ) -> CommitResult:
        """Commits explicit contents, or a snapshot of the workspace; durable."""
        return await self._ask(
            self._agent.commit, message, changes, amend, paths, expected, verify=verify
        )

    async def land(self, verify: str | None = None) -> "AsyncLanding":
        """Queues what this agent has not landed yet."""
        landing = await self._ask(self._agent.land, verify)
        return AsyncLanding(self._agent.swarm.place, landing.entries, self._threads)

    async def sync(self) -> Synced:
        """Puts the line (and the workspace, its edits kept) on the trunk; landed commits go."""
        return await self._ask(self._agent.sync)

    async def undo(self, to: str | None = None, dry_run: bool = False) -> Undo:
        """Takes back this agent's last step, or all after operation `to`; nobody else's."""
        return await self._ask(self._agent.undo, to, dry_run)

    async def reset(self, rev: str) -> None:
        """Moves the line (and a clean workspace) to `rev`."""
        await self._ask(self._agent.reset, rev)

    async def _ask(
        self, call: Callable[Parameters, Result], *args: Parameters.args, **kw: Parameters.kwargs
    ) -> Result:
        async with self._lock:
            return await self._threads.run(call, *args, **kw)


class AsyncLanding:
    """A place in the landing queue."""

    def __init__(self, place: Place, entries: list[int], threads: _Threads) -> None:
        self._place = place
        self._threads = threads
        self.entries = entries

    async def result(self) -> LandingResult:
        """Waits until the entry has landed, was handed back, or was rejected."""
        return await self._threads.run(self._wait)

    def _wait(self) -> LandingResult:
        # On a connection of its own: the agent goes on committing meanwhile.
        with blocking.Swarm(self._place) as swarm:
            return blocking.Landing(swarm, self.entries).result()
