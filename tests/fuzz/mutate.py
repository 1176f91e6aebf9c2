"""Bytes made from other bytes, the same ones from the same seed."""

import random
from collections.abc import Iterator, Sequence

WORDS = (
    *(b"\0", b"\xff", b"\x7f", b"-1", b"0", b"null", b"[]", b"{}", b'""', b"\\u0000", b"1e999"),
    *(b"..", b".git", b"/", b"\\", b"~1", b"\xe2\x80\x8b", b"\xed\xa0\x80", b"0001", b"0004"),
    *(b"[" * 3000, b"9" * 30, b"A" * 300),
)
"""What parsers stumble over."""
STEPS_MAX = 5


def mutated(corpus: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Yields for ever: pieces of the corpus, changed in a few places."""
    chance = random.Random(seed)
    while True:
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.randint(1, STEPS_MAX)):
            _change(data, chance, corpus)
        yield bytes(data)


def _change(data: bytearray, chance: random.Random, corpus: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice((1, 1, 2, 4, 16)))
    match chance.randrange(6):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            data[at:end] = b""
        case 2:
            data[at:at] = chance.choice(WORDS)
        case 3:
            data[at:end] = chance.choice(WORDS)
        case 4:
            other = chance.choice(corpus)
            begin = chance.randint(0, len(other))
            data[at:] = other[begin:]
        case _:
            data[at:at] = data[at:end] * chance.randint(1, 4)
