"""Agents that commit at the same time: one thread and one connection each, public API only."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import perf_counter
from typing import TypeVar

from tatami.client.swarm import Agent, FileContent, Swarm
from tatami.scenarios.history.clone import TRUNK
from tatami.scenarios.history.deal import Part
from tatami.scenarios.history.reading import Objects
from tatami.scenarios.history.writing import as_bytes, write
from tatami.scenarios.replay.values import Acked, Cast, Watcher
from tatami.values.errors import TatamiError

Result = TypeVar("Result")
TRAILER = "Replayed-from: "
ORACLE_TRAILER = "Oracle-for: "


class Crew(ExitStack):
    """K agents and an oracle over one repository; leaving it closes all their connections."""

    def __init__(self, root: str, cast: Cast, watcher: Watcher) -> None:
        super().__init__()
        self.names = list(cast.agents)
        self._watcher = watcher
        if cast.asked.batch_size:
            _set_batch_size(root, cast.asked.batch_size)
        self._objects = Objects(os.path.join(root, ".git"))
        self.callback(self._objects.close)
        self.swarm = self.enter_context(Swarm.open(root, init=True))
        self._pool = ThreadPoolExecutor(len(self.names), "replay")
        self.place = self.swarm.place
        with_files = cast.asked.source == "files"
        made = self.swarm.agents(self.names, workspace=with_files)
        self._agents = [Agent(self._connect(), a.name, a.workspace) for a in made]
        self._oracle = Agent(self._connect(), "oracle", None)
        self.swarm.agent("oracle", workspace=False)
        # Left last, ended first: nobody's connection is closed under its thread.
        self.callback(self._pool.shutdown)

    def reset(self, indices: Iterable[int]) -> None:
        """Puts these agents' lines and workspaces on the trunk, side by side."""
        self._each(indices, lambda index: self._agents[index].reset(TRUNK))

    def commit(self, parts: dict[int, Part]) -> tuple[list[Acked], float]:
        """Lets these agents write and then commit at once; acks and the seconds of the latter."""
        content = {index: self._written(index, part) for index, part in parts.items()}
        begun = perf_counter()
        acked = self._each(parts, lambda index: self._acked(index, parts[index], content[index]))
        return acked, perf_counter() - begun

    def correct(self, history: str, changes: dict[str, FileContent]) -> None:
        """Lands the true text of files that a merge got wrong or left."""
        self._oracle.reset(TRUNK)
        self._oracle.commit(f"Set what history has\n\n{ORACLE_TRAILER}{history}\n", changes)
        result = self._oracle.land().result()
        if result.state != "landed":
            raise TatamiError(
                f"the true text of {history[:12]} did not land: {result.state} {result.reason}",
                code="replay_failed",
                fix="tatami replay REPO --keep, then tatami queue in the kept clone",
            )

    def read(self, name: str) -> bytes:
        """The content of an object; only between the calls above."""
        return self._objects.read(name)

    def _written(self, index: int, part: Part) -> dict[str, FileContent] | None:
        agent = self._agents[index]
        self._watcher.agent(agent.name, "writes", _subject(part))
        if agent.workspace is None:
            return as_bytes(part.changes, self.read)
        write(agent.path, part.changes, self.read)
        return None

    def _acked(self, index: int, part: Part, changes: dict[str, FileContent] | None) -> Acked:
        agent = self._agents[index]
        self._watcher.agent(agent.name, "commits", _subject(part))
        message = f"{part.commit.message.rstrip()}\n\n{TRAILER}{part.commit.id}\n"
        done = agent.commit(message, changes)
        self._watcher.agent(agent.name, "waits", _subject(part))
        self._watcher.acked(agent.name, done.ack_ms)
        return Acked(part, done.id, agent.name, done.ack_ms)

    def _each(self, indices: Iterable[int], call: Callable[[int], Result]) -> list[Result]:
        return list(self._pool.map(call, indices))

    def _connect(self) -> Swarm:
        return self.enter_context(Swarm(self.place))


def _subject(part: Part) -> str:
    return part.commit.message.split("\n", 1)[0]


def _set_batch_size(root: str, size: int) -> None:
    """Writes the clone's own settings, which the hub reads when it starts."""
    folder = os.path.join(root, ".tatami")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "local.toml"), "w", encoding="utf-8") as file:
        file.write(f"[batching]\nbatch_size = {size}\n")
