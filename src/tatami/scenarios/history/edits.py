"""Edits between texts, and taking somebody else's edits back out of a text. Pure.

History only has each change on top of those before it. To replay a change as if it had been made
beside the others, their edits are taken out again; that is possible where the edits are disjoint.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

Level = Literal["line", "token"]
TOKEN_BYTES_MAX = 150_000
"""Longer texts are compared by lines only: a token diff of more takes seconds."""
GAP_PAIRS_MAX = 4_000_000
"""A longer stretch without a piece unique to both sides counts as replaced as a whole."""
BINARY_BYTES = 8000
"""git calls a file binary when one of its first 8 000 bytes is NUL."""
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_TOKEN = re.compile(rb"[A-Za-z_\x80-\xff][\w\x80-\xff]*|\d[\w.]*|\r?\n|[ \t]+|.", re.DOTALL)


class Edit(NamedTuple):
    """Replaces the pieces `start:end` of a text by `new`; positions are of the text before."""

    start: int
    end: int
    new: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """What an agent would have written alone.

    others: what the others did, as edits of this version's pieces; applied, they give the text the
    edits were taken out of. level: the size of the pieces.
    """

    text: bytes
    level: Level
    others: tuple[Edit, ...]


def is_binary(content: bytes) -> bool:
    """Whether git would treat the content as binary."""
    return b"\0" in content[:BINARY_BYTES]


def pieces(text: bytes, level: Level) -> list[bytes]:
    """Cuts a text into lines (with their ends) or tokens; joined they are the text again."""
    return (_LINE if level == "line" else _TOKEN).findall(text)


def edits(old: Sequence[bytes], new: Sequence[bytes]) -> list[Edit]:
    """The edits that turn `old` into `new`, in order, never touching one another."""
    found: list[Edit] = []
    i = j = 0
    for a, b in [*_common(old, new), (len(old), len(new))]:
        if a > i or b > j:
            found.append(Edit(i, a, tuple(new[j:b])))
        i, j = a + 1, b + 1
    return found


def apply(text: Sequence[bytes], changes: Sequence[Edit]) -> list[bytes]:
    """The text after edits that are in order and do not overlap."""
    out: list[bytes] = []
    at = 0
    for edit in changes:
        out += text[at : edit.start]
        out += edit.new
        at = edit.end
    return out + list(text[at:])


def take_out(base: bytes, before: bytes, after: bytes) -> Version | None:
    """What `after` would be without the edits that led from `base` to `before`.

    `before` -> `after` is the change of interest, made on top of the others' `base` -> `before`.
    Returns None where the two touch the same tokens: then the change depends on the others'.
    """
    levels: tuple[Level, ...] = ("line", "token")
    for level in levels:
        if level == "token" and max(map(len, (base, before, after))) > TOKEN_BYTES_MAX:
            return None
        middle = pieces(before, level)
        undo = edits(middle, pieces(base, level))
        own = edits(middle, pieces(after, level))
        version = _without(middle, undo, own, level) if _disjoint(undo, own) else None
        if version:
            return version
    return None


def _without(
    middle: Sequence[bytes], undo: Sequence[Edit], own: Sequence[Edit], level: Level
) -> Version | None:
    """Applies both lists to `middle`, and notes how the first one is reversed in the result.

    None where pieces run together, as when a last line without an end gets a line behind it.
    """
    out: list[bytes] = []
    others: list[Edit] = []
    at = 0
    marked = [(edit.start, edit.end, 0, edit) for edit in undo]
    marked += [(edit.start, edit.end, 1, edit) for edit in own]
    for start, end, is_own, edit in sorted(marked, key=lambda mark: mark[:3]):
        out += middle[at:start]
        if not is_own:
            removed = tuple(middle[start:end])
            others.append(Edit(len(out), len(out) + len(edit.new), removed))
        out += edit.new
        at = end
    out += middle[at:]
    text = b"".join(out)
    return Version(text, level, tuple(others)) if pieces(text, level) == out else None


def _disjoint(left: Sequence[Edit], right: Sequence[Edit]) -> bool:
    """Whether no edit of one list touches a piece, or a place inside a piece, of the other's."""
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = left[i], right[j]
        if max(a.start, b.start) < min(a.end, b.end):
            return False
        if a.start == a.end and b.start < a.start < b.end:
            return False
        if b.start == b.end and a.start < b.start < a.end:
            return False
        if (a.end, a.start) <= (b.end, b.start):
            i += 1
        else:
            j += 1
    return True


def _common(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int]]:
    """Pairs of equal pieces, in order of both: pieces that occur once anchor the rest."""
    pairs: list[tuple[int, int]] = []
    stretches = [(0, len(old), 0, len(new))]
    while stretches:
        i, i_end, j, j_end = stretches.pop()
        while i < i_end and j < j_end and old[i] == new[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        while i < i_end and j < j_end and old[i_end - 1] == new[j_end - 1]:
            i_end, j_end = i_end - 1, j_end - 1
            pairs.append((i_end, j_end))
        if i == i_end or j == j_end:
            continue
        anchors = _anchors(old[i:i_end], new[j:j_end])
        if not anchors:
            pairs += ((i + a, j + b) for a, b in _matched(old[i:i_end], new[j:j_end]))
            continue
        a, b = i, j
        for x, y in anchors:
            stretches.append((a, i + x, b, j + y))
            pairs.append((i + x, j + y))
            a, b = i + x + 1, j + y + 1
        stretches.append((a, i_end, b, j_end))
    return sorted(pairs)


def _anchors(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int]]:
    """The longest run, in order of both, of pieces that occur exactly once on each side."""
    count_old, count_new = Counter(old), Counter(new)
    where = {piece: j for j, piece in enumerate(new) if count_new[piece] == 1}
    once = [(i, where[p]) for i, p in enumerate(old) if count_old[p] == 1 and p in where]
    # Patience sorting: the top of each pile, and the card below each card.
    tops: list[int] = []
    cards: list[int] = []
    below: list[int] = []
    for index, (_, j) in enumerate(once):
        pile = bisect_left(tops, j)
        below.append(cards[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [j]
        cards[pile : pile + 1] = [index]
    chain: list[tuple[int, int]] = []
    index = cards[-1] if cards else -1
    while index >= 0:
        chain.append(once[index])
        index = below[index]
    return chain[::-1]


def _matched(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int]]:
    if len(old) * len(new) > GAP_PAIRS_MAX:
        return []
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]
