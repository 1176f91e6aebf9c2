"""A relay between real sockets that does to bytes what the simulated network does.

On a stream, lost, doubled or swapped pieces are what no kernel does: they test that the checksum of
a frame notices. Delays, clogging and cuts are what every network does.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from tatami.testing.network import Faults

PIECE_BYTES = 64 * 1024
"""What is read at once, and so the most that one fault hits."""
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Tcp:
    """An address of a TCP socket; port 0 asks for a free one."""

    host: str
    port: int


Address = str | Tcp
"""The path of a Unix socket, or a TCP address."""


class Relay:
    """Listens at one address and passes connections on to another, with faults.

    `faults` may be replaced at any time. Used as `async with Relay(...) as relay`; `address` is
    then where it listens. One event loop; a seed repeats the choices, not the kernel's timing.
    """

    def __init__(self, listen: Address, target: Address, faults: Faults, seed: int = 0) -> None:
        self.address = listen
        self.faults = faults
        self._target = target
        self._rng = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
        self._open = asyncio.Event()
        self._open.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        if isinstance(self.address, Tcp):
            server = await asyncio.start_server(
                self._connected, self.address.host, self.address.port
            )
            self.address = Tcp(*server.sockets[0].getsockname()[:2])
        else:
            server = await asyncio.start_unix_server(self._connected, self.address)
        self._server = server
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def clog(self) -> None:
        """From now on nothing passes."""
        self._open.clear()

    def heal(self) -> None:
        """What was held up passes now, in order."""
        self._open.set()

    def cut(self) -> None:
        """Ends every connection, both ends; new ones are taken."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio would log the cancellation of a task of its own making as an error.
        task = asyncio.ensure_future(self._serve((reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, near: Pair) -> None:
        self._writers.append(near[1])
        try:
            far = await self._reach()
        except OSError:
            near[1].transport.abort()
            return
        self._writers.append(far[1])
        try:
            await asyncio.gather(self._pass(near[0], far[1]), self._pass(far[0], near[1]))
        finally:
            near[1].transport.abort()
            far[1].transport.abort()

    async def _reach(self) -> Pair:
        if isinstance(self._target, Tcp):
            return await asyncio.open_connection(self._target.host, self._target.port)
        return await asyncio.open_unix_connection(self._target)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                if self._rng.random() < self.faults.cut:
                    writer.transport.abort()
                    return
                for piece in self._pieces(data):
                    await asyncio.sleep(self._rng.uniform(*self.faults.delay_s))
                    await self._open.wait()
                    writer.write(piece)
                    await writer.drain()
            writer.write_eof()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """What becomes of a piece that was read."""
        rng, faults = self._rng, self.faults
        pieces = [data]
        if len(data) > 1 and (rng.random() < faults.split or rng.random() < faults.reorder):
            at = rng.randrange(1, len(data))
            pieces = [data[:at], data[at:]]
            if rng.random() < faults.reorder:
                pieces.reverse()
        for piece in pieces:
            if rng.random() < faults.loss:
                continue
            yield piece
            if rng.random() < faults.duplicate:
                yield piece
