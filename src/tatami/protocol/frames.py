"""Frames on the wire: a JSON header and the raw bytes of files behind it, checksummed.

    0   2  magic "Tt"
    2   2  protocol number, big endian
    4   4  bytes of the JSON header
    8   8  bytes of the body
    16  4  CRC-32 of header and body

Only the standard library: the hot verbs import this file and must start like bare Python.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tatami.values.limits import FRAME_BYTES_MAX, HEADER_BYTES_MAX

MAGIC = b"Tt"
PROTOCOL = 1
PREFIX = struct.Struct(">2sHIQI")
FOREIGN = "the peer does not speak Tatami's protocol"


class FrameError(Exception):
    """The bytes are not a frame of ours; the connection cannot go on."""


class Prefix(NamedTuple):
    """The fixed part of a frame: what is still to be read, in bytes, and its checksum."""

    protocol: int
    header_bytes: int
    body_bytes: int
    checksum: int


class Frame(NamedTuple):
    """A whole frame whose checksum is right."""

    protocol: int
    header: bytes
    body: bytes


class Reader:
    """Cuts a stream of bytes into frames, however the bytes arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._prefix: Prefix | None = None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Takes bytes and yields the frames that are whole now.

        Raises `FrameError` after the good frames before it; the stream is of no use then.
        """
        self._buffer += data
        while True:
            if self._prefix is None:
                # Foreign bytes are told by the first of them: nobody waits for twenty.
                if not MAGIC.startswith(self._buffer[: len(MAGIC)]):
                    raise FrameError(FOREIGN)
                if len(self._buffer) < PREFIX.size:
                    return
                self._prefix = parse_prefix(bytes(self._buffer[: PREFIX.size]))
                del self._buffer[: PREFIX.size]
            prefix = self._prefix
            size = prefix.header_bytes + prefix.body_bytes
            if len(self._buffer) < size:
                return
            with memoryview(self._buffer) as view:
                header = bytes(view[: prefix.header_bytes])
                body = bytes(view[prefix.header_bytes : size])
            del self._buffer[:size]
            self._prefix = None
            check(prefix, header, body)
            yield Frame(prefix.protocol, header, body)


def parse_prefix(data: bytes) -> Prefix:
    """Reads the fixed part; raises `FrameError` for foreign bytes or sizes over the limits."""
    magic, protocol, header_bytes, body_bytes, checksum = PREFIX.unpack(data)
    if magic != MAGIC:
        raise FrameError(FOREIGN)
    if header_bytes > HEADER_BYTES_MAX or header_bytes + body_bytes > FRAME_BYTES_MAX:
        raise FrameError(f"frame of {header_bytes + body_bytes} bytes is over the limit")
    return Prefix(protocol, header_bytes, body_bytes, checksum)


def check(prefix: Prefix, header: bytes, body: bytes) -> None:
    """Raises `FrameError` where the payload is not what the sender checksummed."""
    if zlib.crc32(body, zlib.crc32(header)) != prefix.checksum:
        raise FrameError("frame checksum does not match")


def encode(header: bytes, body: Iterable[bytes] = ()) -> bytes:
    """Returns a whole frame of an encoded JSON header and the bodies behind it."""
    parts = list(body)
    checksum = zlib.crc32(header)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    size = sum(map(len, parts))
    if len(header) > HEADER_BYTES_MAX or len(header) + size > FRAME_BYTES_MAX:
        raise FrameError(f"frame of {len(header) + size} bytes is over the limit")
    return b"".join((PREFIX.pack(MAGIC, PROTOCOL, len(header), size, checksum), header, *parts))


def encode_json(header: object, body: Iterable[bytes] = ()) -> bytes:
    """Returns a frame of a plain JSON value, for callers without a faster encoder.

    Raises `UnicodeEncodeError` for text that is none: half of a surrogate pair.
    """
    return encode(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode(), body)
