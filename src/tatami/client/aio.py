"""The async SDK: the blocking twin on threads, one connection per agent, so that agents overlap."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, TypeVar

from tatami.client import swarm as blocking
from tatami.client.swarm import FileContent
from tatami.client.values import CommitResult, Json, LandingResult

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
THREADS_MAX = 256
"""Agents that can have a request under way at the same time in one process."""


class AsyncSwarm:
    """A repository and its hub; `async with AsyncSwarm.open(path) as swarm`."""

    def __init__(self, path: str, init: bool = False) -> None:
        self._path = path
        self._init = init
        self._pool = ThreadPoolExecutor(THREADS_MAX, "tatami-client")
        self._lock = asyncio.Lock()
        self._open: list[blocking.Swarm] = []

    @classmethod
    def open(cls, path: str = ".", init: bool = False) -> "AsyncSwarm":
        """Opens the repository around `path` when entered; starts or joins the hub."""
        return cls(path, init)

    async def __aenter__(self) -> "AsyncSwarm":
        self._swarm = await self._run(blocking.Swarm.open, self._path, self._init)
        self._open.append(self._swarm)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for swarm in self._open:
            swarm.close()
        self._pool.shutdown(wait=False)

    async def agents(
        self, names: Sequence[str], base: str | None = None, workspace: bool = True
    ) -> list["AsyncAgent"]:
        """Returns these agents, making those that do not exist yet."""
        found = await self._ask(self._swarm.agents, names, base, workspace)
        return [self._own(agent) for agent in found]

    async def agent(
        self, name: str, base: str | None = None, workspace: bool = True
    ) -> "AsyncAgent":
        """As `agents`, for one."""
        return (await self.agents([name], base, workspace))[0]

    async def status(self) -> Json:
        """Hub, agents, queue, trunk and warnings."""
        return await self._ask(self._swarm.status)

    async def log(
        self, *revs: str, all: bool = False, limit: int | None = None
    ) -> AsyncIterator[Json]:
        """Yields commits, newest first."""
        rows = await self._ask(lambda: list(self._swarm.log(*revs, all=all, limit=limit)))
        for row in rows:
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

    async def stop(self) -> None:
        """Stops the hub."""
        await self._ask(self._swarm.stop)

    async def events(self, after: int | None = None) -> AsyncIterator[Json]:
        """Yields every event after a cursor, for ever."""
        stream = self._swarm.events(after)
        while True:
            yield await self._run(next, stream)

    def _own(self, agent: blocking.Agent) -> "AsyncAgent":
        """Gives an agent its own connection, so that its requests do not wait for others'."""
        swarm = blocking.Swarm(self._swarm.place)
        self._open.append(swarm)
        return AsyncAgent(blocking.Agent(swarm, agent.name, agent.workspace), self._run)

    async def _ask(
        self, call: Callable[Parameters, Result], *args: Parameters.args, **kw: Parameters.kwargs
    ) -> Result:
        async with self._lock:
            return await self._run(call, *args, **kw)

    async def _run(
        self, call: Callable[Parameters, Result], *args: Parameters.args, **kw: Parameters.kwargs
    ) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(call, *args, **kw))


class AsyncAgent:
    """A named writer with a line of changes; its requests run one after another."""

    def __init__(
        self, agent: blocking.Agent, run: Callable[..., "asyncio.Future[object]"] | object
    ) -> None:
        self._agent = agent
        self._run: Callable[..., object] = run  # type: ignore[assignment]
        self._lock = asyncio.Lock()
        self.name = agent.name
        self.workspace = agent.workspace

    @property
    def path(self) -> str:
        """The workspace's directory."""
        return self._agent.path

    async def commit(
        self,
        message: str,
        changes: Mapping[str, FileContent] | None = None,
        amend: bool = False,
        paths: Sequence[str] | None = None,
        expected: str | None = None,
    ) -> CommitResult:
        """Commits explicit contents, or a snapshot of the workspace; durable."""
        async with self._lock:
            return await self._run(  # type: ignore[no-any-return, misc]
                self._agent.commit, message, changes, amend, paths, expected
            )

    async def land(self, verify: str | None = None) -> "AsyncLanding":
        """Queues what this agent has not landed yet."""
        async with self._lock:
            landing = await self._run(self._agent.land, verify)  # type: ignore[misc]
        return AsyncLanding(landing, self._run)

    async def reset(self, rev: str) -> None:
        """Moves the line (and a clean workspace) to `rev`."""
        async with self._lock:
            await self._run(self._agent.reset, rev)  # type: ignore[misc]


class AsyncLanding:
    """A place in the landing queue."""

    def __init__(self, landing: blocking.Landing, run: Callable[..., object]) -> None:
        self._landing = landing
        self._run = run
        self.entries = landing.entries

    async def result(self) -> LandingResult:
        """Waits until the entry has landed, was handed back, or was rejected."""
        return await self._run(self._landing.result)  # type: ignore[no-any-return, misc]
