"""The merge ladder: the laws every rung keeps, and what each of them is sure of."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tatami.merging import ladder
from tatami.merging.ladder import Resolution, Side, Sides

ABSENT = Side(0, b"")
REGULAR, EXECUTABLE, SYMLINK = 0o100644, 0o100755, 0o120000
SOME_SIDES = [
    ABSENT,
    *(Side(mode, text) for mode in (REGULAR, EXECUTABLE, SYMLINK) for text in (b"", b"a", b"b")),
]
SIDES = st.sampled_from(SOME_SIDES)


def by_parts(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """A text merge that can join two appended lines, whatever their order; nothing else."""
    if ours.startswith(base) and theirs.startswith(base):
        return base + b"".join(sorted({ours[len(base) :], theirs[len(base) :]}))
    return None


RUNGS = (
    ("identical", ladder.identical),
    ("one-side", ladder.one_side),
    ("text", ladder.text(by_parts)),
)


def climb(base: Side, ours: Side, theirs: Side) -> Side | None:
    """The whole ladder's answer, without the rung's name."""
    found = ladder.climb(Sides("f", base, ours, theirs), RUNGS)
    return Side(found.mode, found.content) if found else None


@given(SIDES, SIDES)
def test_a_side_that_changed_nothing_yields(base: Side, other: Side) -> None:
    """merge(b, b, x) = x and merge(b, x, b) = x."""
    assert (climb(base, base, other), climb(base, other, base)) == (other, other)


@given(SIDES, SIDES)
def test_two_sides_that_agree_are_taken(base: Side, both: Side) -> None:
    """merge(b, x, x) = x, whatever the base was."""
    assert climb(base, both, both) == both


def test_the_answer_does_not_depend_on_who_is_ours() -> None:
    """merge(b, x, y) = merge(b, y, x), over every kind of three sides."""
    for base, ours, theirs in product(SOME_SIDES, repeat=3):
        assert climb(base, ours, theirs) == climb(base, theirs, ours), (base, ours, theirs)


def test_a_content_comes_only_with_a_mode_it_was_written_for() -> None:
    """No answer pairs a link's target with a file's mode, or the other way round.

    The story: one side turned a link into a file, the other changed where it pointed; the path
    came back as a regular file that held the other side's target.
    """
    for base, ours, theirs in product(SOME_SIDES, repeat=3):
        answer = climb(base, ours, theirs)
        if answer is None or answer.mode == 0:
            continue
        links = {side.mode == SYMLINK for side in (ours, theirs) if side.content == answer.content}
        joined = answer.content not in (ours.content, theirs.content)
        assert joined or (answer.mode == SYMLINK) in links, (base, ours, theirs, answer)


@pytest.mark.parametrize("sides", list(permutations((b"x", b"y", b"z"))))
def test_three_different_contents_without_a_merge_are_handed_back(
    sides: tuple[bytes, bytes, bytes],
) -> None:
    """Where no rung is sure, there is no answer."""
    base, ours, theirs = (Side(REGULAR, content) for content in sides)
    assert climb(base, ours, theirs) is None


@pytest.mark.parametrize("other", [Side(REGULAR, b"b"), Side(EXECUTABLE, b"a")])
def test_deleted_here_and_changed_there_is_handed_back(other: Side) -> None:
    """A deletion never wins over a change, nor a change over a deletion."""
    base = Side(REGULAR, b"a")
    assert (climb(base, ABSENT, other), climb(base, other, ABSENT)) == (None, None)


def test_two_different_new_files_are_handed_back_unless_the_text_merges() -> None:
    """Both sides added the path: there is no base to merge with."""
    assert climb(ABSENT, Side(REGULAR, b"x"), Side(REGULAR, b"y")) is None


def test_mode_and_content_merge_on_their_own() -> None:
    """One side made it executable, the other changed the text: both hold."""
    base = Side(REGULAR, b"a")
    got = climb(base, Side(EXECUTABLE, b"a"), Side(REGULAR, b"b"))
    assert got == Side(EXECUTABLE, b"b")


def test_text_merges_under_the_mode_that_changed() -> None:
    """Both changed the text and one the mode: the merged text gets that mode."""
    got = climb(Side(REGULAR, b"a"), Side(EXECUTABLE, b"ax"), Side(REGULAR, b"ay"))
    assert got == Side(EXECUTABLE, b"axy")


@pytest.mark.parametrize("place", range(3))
def test_text_merge_keeps_its_hands_off_links(place: int) -> None:
    """A link's target is not text to be merged."""
    sides = [Side(REGULAR, b"a"), Side(REGULAR, b"ax"), Side(REGULAR, b"ay")]
    sides[place] = Side(SYMLINK, sides[place].content)
    assert ladder.text(by_parts)(Sides("f", *sides)) is None


def test_the_first_rung_that_is_sure_answers_and_is_named() -> None:
    """The result says how it came about."""
    base, both = Side(REGULAR, b"a"), Side(REGULAR, b"b")
    assert ladder.climb(Sides("f", base, both, both), RUNGS) == Resolution(
        REGULAR, b"b", "identical"
    )
    assert ladder.climb(Sides("f", base, base, both), RUNGS) == Resolution(
        REGULAR, b"b", "one-side"
    )


def test_without_rungs_nothing_is_sure() -> None:
    """An empty ladder hands everything back."""
    side = Side(REGULAR, b"a")
    assert ladder.climb(Sides("f", side, side, side), ()) is None
