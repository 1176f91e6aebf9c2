"""The hub's Unix socket: who may connect, and where it is. Only the standard library."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator

from tatami.protocol import frames

SOCKET = "socket"
SUN_PATH_BYTES_MAX = 100
"""sockaddr_un holds 108 bytes; state folders can lie deeper than that."""


@contextlib.contextmanager
def address(hub_directory: str) -> Iterator[str]:
    """Yields a path for bind or connect that fits, however deep the folder lies."""
    path = os.path.join(hub_directory, SOCKET)
    if len(os.fsencode(path)) <= SUN_PATH_BYTES_MAX:
        yield path
        return
    directory = os.open(hub_directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET}"
    finally:
        os.close(directory)


def listen(hub_directory: str) -> socket.socket:
    """Returns a listening socket for this user only; replaces one a dead hub left behind."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(hub_directory, SOCKET))
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with address(hub_directory) as path:
            server.bind(path)
    finally:
        os.umask(mask)
    server.listen(1024)
    server.setblocking(False)
    return server


def connect(hub_directory: str, timeout_s: float | None) -> socket.socket:
    """Connects to the hub; raises `OSError` where none is listening."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(timeout_s)
        with address(hub_directory) as path:
            client.connect(path)
    except BaseException:
        client.close()
        raise
    return client


def peer_is_same_user(connection: socket.socket) -> bool:
    """Whether the other end runs as this user (or root), as the kernel says."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    data = connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", data)
    return uid in (os.geteuid(), 0)


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    """Reads one frame; raises `EOFError` at the end and `FrameError` for foreign bytes."""
    prefix = frames.parse_prefix(_exactly(connection, frames.PREFIX.size))
    header = _exactly(connection, prefix.header_bytes)
    body = _exactly(connection, prefix.body_bytes) if prefix.body_bytes else b""
    frames.check(prefix, header, body)
    return header, body


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = connection.recv(size)
    if len(data) == size:
        return data
    parts = bytearray(data)
    while data and len(parts) < size:
        data = connection.recv(min(size - len(parts), 1 << 20))
        parts += data
    if len(parts) < size:
        raise EOFError("the hub closed the connection")
    return bytes(parts)
