"""Frames: whatever is sent arrives whole, once, however the bytes are cut; foreign bytes do not."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tatami.protocol import frames
from tatami.protocol.frames import PREFIX, PROTOCOL, Frame, FrameError, Reader
from tatami.values.limits import FRAME_BYTES_MAX, HEADER_BYTES_MAX

BODIES = st.lists(st.binary(max_size=40), max_size=4)
MESSAGES = st.lists(st.tuples(st.binary(max_size=40), BODIES), max_size=5)


def stream(messages: list[tuple[bytes, list[bytes]]]) -> bytes:
    """The bytes of several frames, one behind the other."""
    return b"".join(frames.encode(header, body) for header, body in messages)


def expected(messages: list[tuple[bytes, list[bytes]]]) -> list[Frame]:
    """What a reader should make of `stream(messages)`."""
    return [Frame(PROTOCOL, header, b"".join(body)) for header, body in messages]


@given(MESSAGES)
def test_what_is_encoded_is_read(messages: list[tuple[bytes, list[bytes]]]) -> None:
    """Frames sent in one piece come out as they went in."""
    assert list(Reader().feed(stream(messages))) == expected(messages)


@given(MESSAGES, st.data())
def test_pieces_of_any_size_make_the_same_frames(
    messages: list[tuple[bytes, list[bytes]]], data: st.DataObject
) -> None:
    """The reader does not care where the network cuts."""
    left = stream(messages)
    reader, got = Reader(), list[Frame]()
    while left:
        size = data.draw(st.integers(1, len(left)))
        got += reader.feed(left[:size])
        left = left[size:]
    assert got == expected(messages)


def test_every_single_cut_makes_the_same_frames() -> None:
    """Two frames cut in two at every byte come out whole."""
    messages = [(b'{"n":1}', [b"file", b""]), (b"{}", [])]
    whole = stream(messages)
    for cut in range(len(whole) + 1):
        reader = Reader()
        assert [*reader.feed(whole[:cut]), *reader.feed(whole[cut:])] == expected(messages), cut


def test_byte_by_byte_makes_the_same_frames() -> None:
    """The slowest sender is understood too."""
    messages = [(b'{"n":1}', [b"file"]), (b'{"n":2}', [])]
    reader = Reader()
    whole = stream(messages)
    got = [frame for at in range(len(whole)) for frame in reader.feed(whole[at : at + 1])]
    assert got == expected(messages)


@given(st.binary(max_size=60), st.binary(max_size=60), st.data())
def test_a_flipped_bit_behind_the_prefix_is_noticed(
    header: bytes, body: bytes, data: st.DataObject
) -> None:
    """No change of header or body passes the checksum."""
    damaged = bytearray(frames.encode(header + b"x", [body]))
    at = data.draw(st.integers(PREFIX.size, len(damaged) - 1))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(FrameError, match="checksum"):
        list(Reader().feed(bytes(damaged)))


def test_frames_before_a_damaged_one_are_still_read() -> None:
    """What arrived whole is handed over before the error is raised."""
    damaged = bytearray(frames.encode(b"second"))
    damaged[-1] ^= 1
    feed = Reader().feed(frames.encode(b"first") + bytes(damaged))
    assert next(feed) == Frame(PROTOCOL, b"first", b"")
    with pytest.raises(FrameError):
        next(feed)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"G", b"TG", b"\0"])
def test_foreign_bytes_are_refused_at_once(sent: bytes) -> None:
    """The first wrong byte is enough; a peer that sends no more is not waited for."""
    with pytest.raises(FrameError, match="does not speak"):
        list(Reader().feed(sent))


def test_a_foreign_prefix_is_refused() -> None:
    """Also by itself, as those read it who ask for exactly so many bytes."""
    with pytest.raises(FrameError, match="does not speak"):
        frames.parse_prefix(b"GE" + bytes(PREFIX.size - 2))


@pytest.mark.parametrize(
    ("header_bytes", "body_bytes"),
    [
        (HEADER_BYTES_MAX + 1, 0),
        (0, FRAME_BYTES_MAX + 1),
        (1, FRAME_BYTES_MAX),
        (2**32 - 1, 2**64 - 1),
    ],
)
def test_a_promised_size_over_the_limit_is_refused_before_it_is_read(
    header_bytes: int, body_bytes: int
) -> None:
    """Twenty bytes cannot make the reader keep a gigabyte."""
    prefix = struct.pack(">2sHIQI", b"Tt", PROTOCOL, header_bytes, body_bytes, 0)
    with pytest.raises(FrameError, match=f"of {header_bytes + body_bytes} bytes is over the limit"):
        list(Reader().feed(prefix))


@pytest.mark.parametrize(
    ("header_bytes", "body_bytes"),
    [
        (HEADER_BYTES_MAX, 0),
        (0, FRAME_BYTES_MAX),
        (HEADER_BYTES_MAX, FRAME_BYTES_MAX - HEADER_BYTES_MAX),
    ],
)
def test_sizes_at_the_limit_are_taken(header_bytes: int, body_bytes: int) -> None:
    """The limit itself is allowed."""
    prefix = struct.pack(">2sHIQI", b"Tt", PROTOCOL, header_bytes, body_bytes, 7)
    assert frames.parse_prefix(prefix) == frames.Prefix(PROTOCOL, header_bytes, body_bytes, 7)


def test_a_header_over_the_limit_is_not_sent() -> None:
    """The sender notices before the peer does."""
    with pytest.raises(FrameError, match="over the limit"):
        frames.encode(bytes(HEADER_BYTES_MAX + 1))


def test_a_header_at_the_limit_is_sent() -> None:
    """The limit itself is allowed to the sender too."""
    header = bytes(HEADER_BYTES_MAX)
    assert len(frames.encode(header)) == PREFIX.size + HEADER_BYTES_MAX


def test_a_frame_at_the_limit_is_sent_and_one_over_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Header and all bodies count together (a smaller limit stands for the gigabyte)."""
    monkeypatch.setattr(frames, "FRAME_BYTES_MAX", 10)
    assert len(frames.encode(b"1234", [b"123", b"123"])) == PREFIX.size + 10
    with pytest.raises(FrameError, match="frame of 11 bytes is over the limit"):
        frames.encode(b"1234", [b"123", b"1234"])


def test_text_is_sent_as_utf8_and_nothing_else_is() -> None:
    """A header is as small as its text; half of a surrogate pair is nobody's text."""
    (frame,) = Reader().feed(frames.encode_json({"name": "caf\u00e9", "n": 1}))
    assert frame.header == b'{"name":"caf\xc3\xa9","n":1}'
    with pytest.raises(UnicodeEncodeError):
        frames.encode_json({"name": "\ud800"})


def test_another_protocol_number_is_read_and_named() -> None:
    """A frame of another release is whole, so that it can be answered with what to do."""
    sent = bytearray(frames.encode(b"{}"))
    sent[2:4] = (PROTOCOL + 1).to_bytes(2, "big")
    assert [frame.protocol for frame in Reader().feed(bytes(sent))] == [PROTOCOL + 1]


def test_the_bytes_of_a_frame_are_the_documented_ones() -> None:
    """A frame is what docs/formats.md says: another program may rely on it."""
    assert (
        frames.encode_json({"n": 1}, [b"ab", b"c"])
        == bytes.fromhex("5474 0001 00000007 0000000000000003 b6f7736c") + b'{"n":1}abc'
    )
