"""The merge ladder: rungs in order, the first one that is sure answers; none sure, it abstains.

Rungs that need native code or a parser are passed in as functions, so that this room stays pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

REGULAR = (0o100644, 0o100755)


@dataclass(frozen=True, slots=True)
class Side:
    """One term of a conflict: mode 0 and no content where the path is absent."""

    mode: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Sides:
    """A path that both sides changed: the common base, the trunk (ours), the agent (theirs)."""

    path: str
    base: Side
    ours: Side
    theirs: Side


@dataclass(frozen=True, slots=True)
class Resolution:
    """The merged file and the rung that was sure of it."""

    mode: int
    content: bytes
    rung: str


Value = TypeVar("Value")
Rung = Callable[[Sides], Side | None]
TextMerge = Callable[[bytes, bytes, bytes], "bytes | None"]


def identical(sides: Sides) -> Side | None:
    """Both sides made the same change."""
    return sides.ours if sides.ours == sides.theirs else None


def one_side(sides: Sides) -> Side | None:
    """Only one side changed anything, or one changed a file's mode and the other its content."""
    whole = _pick(sides.base, sides.ours, sides.theirs)
    if whole is not None or not _all_regular(sides):
        return whole
    mode = _pick(sides.base.mode, sides.ours.mode, sides.theirs.mode)
    content = _pick(sides.base.content, sides.ours.content, sides.theirs.content)
    return None if mode is None or content is None else Side(mode, content)


def text(merge: TextMerge) -> Rung:
    """git's three-way text merge, where all three are regular files."""

    def rung(sides: Sides) -> Side | None:
        mode = _pick(sides.base.mode, sides.ours.mode, sides.theirs.mode)
        if mode is None or not _all_regular(sides):
            return None
        merged = merge(sides.base.content, sides.ours.content, sides.theirs.content)
        return None if merged is None else Side(mode, merged)

    return rung


def climb(sides: Sides, rungs: Sequence[tuple[str, Rung]]) -> Resolution | None:
    """Returns the first sure answer with its rung's name, or None: handed back."""
    for name, rung in rungs:
        side = rung(sides)
        if side is not None:
            return Resolution(side.mode, side.content, name)
    return None


def _all_regular(sides: Sides) -> bool:
    # A link's target is no text of a file: mixed kinds are for people to sort out.
    return all(side.mode in REGULAR for side in (sides.base, sides.ours, sides.theirs))


def _pick(base: Value, ours: Value, theirs: Value) -> Value | None:
    if ours in (theirs, base):
        return theirs
    return ours if theirs == base else None
