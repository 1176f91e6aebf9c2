"""The relay between real sockets: bytes pass, late or in pieces, or the connection ends."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tatami.protocol import frames
from tatami.testing.network import Faults
from tatami.testing.relay import Relay, Tcp

FRAME = frames.encode(b'{"n":1}', [b"x" * 5000])


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that sends back what it gets."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.write_eof()
        await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def through(relay: Relay, data: bytes) -> bytes:
    """What comes back of bytes that are sent through a relay."""
    if isinstance(relay.address, Tcp):
        pair = await asyncio.open_connection(relay.address.host, relay.address.port)
    else:
        pair = await asyncio.open_unix_connection(relay.address)
    reader, writer = pair
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except OSError:
        return b""
    finally:
        writer.transport.abort()


def play(folder: Path, faults: Faults, seed: int = 1) -> bytes:
    """Sends a frame through a relay of Unix sockets to an echo and back."""

    async def run() -> bytes:
        server = await asyncio.start_unix_server(echo, folder / "server")
        async with server, Relay(f"{folder}/relay", f"{folder}/server", faults, seed) as relay:
            return await through(relay, FRAME)

    return asyncio.run(run())


def test_bytes_pass(tmp_path: Path) -> None:
    """Without faults a relay is a wire."""
    assert play(tmp_path, Faults()) == FRAME


def test_bytes_pass_in_pieces(tmp_path: Path) -> None:
    """A reader gets the same frame however it was cut."""
    received = list(frames.Reader().feed(play(tmp_path, Faults(split=1.0))))
    assert received == [frames.Frame(frames.PROTOCOL, b'{"n":1}', b"x" * 5000)]


def test_tcp_passes_too() -> None:
    """Port 0 asks for a free one, and the relay says which."""

    async def run() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        target = Tcp(*server.sockets[0].getsockname()[:2])
        async with server, Relay(Tcp("127.0.0.1", 0), target, Faults()) as relay:
            return await through(relay, FRAME)

    assert asyncio.run(run()) == FRAME


@pytest.mark.parametrize("faults", [Faults(loss=0.7), Faults(duplicate=1.0), Faults(reorder=1.0)])
def test_a_frame_notices_what_no_kernel_does(tmp_path: Path, faults: Faults) -> None:
    """Lost and swapped bytes never make another frame; a whole one may come twice."""
    for seed in range(5):
        received = play(tmp_path, faults, seed)
        got: list[frames.Frame] = []
        with contextlib.suppress(frames.FrameError):
            got.extend(frames.Reader().feed(received))
        assert {frame.body for frame in got} <= {b"x" * 5000}
        for name in ("server", "relay"):
            (tmp_path / name).unlink(missing_ok=True)


def test_a_cut_ends_the_connection(tmp_path: Path) -> None:
    """Who waits for an answer hears the end, not silence."""
    assert play(tmp_path, Faults(cut=1.0)) == b""


def test_a_clogged_relay_holds_everything_until_it_is_healed(tmp_path: Path) -> None:
    """Nothing passes meanwhile, and nothing is lost."""

    async def run() -> tuple[bool, bytes]:
        server = await asyncio.start_unix_server(echo, tmp_path / "server")
        async with server, Relay(f"{tmp_path}/relay", f"{tmp_path}/server", Faults()) as relay:
            relay.clog()
            sent = asyncio.ensure_future(through(relay, FRAME))
            done, _ = await asyncio.wait([sent], timeout=0.05)
            relay.heal()
            return bool(done), await sent

    assert asyncio.run(run()) == (False, FRAME)


def test_where_nobody_listens_the_connection_ends(tmp_path: Path) -> None:
    """As it would without a relay."""

    async def run() -> bytes:
        async with Relay(f"{tmp_path}/relay", f"{tmp_path}/nobody", Faults()) as relay:
            return await through(relay, FRAME)

    assert asyncio.run(run()) == b""
