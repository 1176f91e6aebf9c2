"""Taking the others' edits out of a text, and putting them back."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tatami.scenarios.history.edits import apply, edits, is_binary, pieces, take_out

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c = 1 + d\n", b"c = 2 + d\n", b"\n", b"e"]))
TEXTS = LINES.map(b"".join)


@given(LINES, LINES)
def test_edits_turn_old_into_new(old: list[bytes], new: list[bytes]) -> None:
    """The edits between two texts, applied to the first, give the second."""
    assert apply(old, edits(old, new)) == new


@given(LINES, LINES)
def test_edits_are_apart_and_in_order(old: list[bytes], new: list[bytes]) -> None:
    """Between two edits at least one piece stays as it is."""
    found = edits(old, new)
    assert all(a.end < b.start for a, b in itertools.pairwise(found))


@given(st.binary(max_size=200))
def test_pieces_join_to_the_text(text: bytes) -> None:
    """No byte is lost by cutting a text into lines or tokens."""
    assert [b"".join(pieces(text, "line")), b"".join(pieces(text, "token"))] == [text, text]


@settings(max_examples=300)
@given(TEXTS, TEXTS, TEXTS)
def test_the_others_edits_on_the_version_give_the_text(
    base: bytes, before: bytes, after: bytes
) -> None:
    """What was taken out can be put back: the version with the others' edits is c_j's text."""
    version = take_out(base, before, after)
    if version is not None:
        restored = b"".join(apply(pieces(version.text, version.level), version.others))
        assert restored == after


@given(TEXTS, TEXTS)
def test_without_an_own_change_the_version_is_the_base(base: bytes, before: bytes) -> None:
    """Taking the others' edits out of their own result gives what they started from."""
    version = take_out(base, before, before)
    assert version is not None
    assert version.text == base


@given(TEXTS, TEXTS)
def test_without_others_the_version_is_the_text(base: bytes, after: bytes) -> None:
    """Where the others changed nothing, nothing is taken out."""
    version = take_out(base, base, after)
    assert version is not None
    assert (version.text, version.others) == (after, ())


def test_edits_of_neighbouring_lines_are_disjoint() -> None:
    """Lines next to each other are told apart, though git would call them a conflict."""
    version = take_out(b"1\n2\n", b"one\n2\n", b"one\ntwo\n")
    assert version is not None
    assert (version.text, version.level) == (b"1\ntwo\n", "line")


def test_edits_of_one_line_are_told_apart_by_tokens() -> None:
    """Two arguments of one call are different tokens of the same line."""
    version = take_out(b"f(1, 2)\n", b"f(10, 2)\n", b"f(10, 20)\n")
    assert version is not None
    assert (version.text, version.level) == (b"f(1, 20)\n", "token")


@pytest.mark.parametrize(
    ("base", "before", "after"),
    [
        (b"f(1)\n", b"f(2)\n", b"f(3)\n"),
        (b"", b"new\n", b"newer\n"),
        (b"a\nb\n", b"a\nx\ny\nb\n", b"a\nx\nz\ny\nb\n"),
    ],
)
def test_an_edit_of_what_others_wrote_depends_on_it(
    base: bytes, before: bytes, after: bytes
) -> None:
    """Text that the others wrote cannot have been edited without them."""
    assert take_out(base, before, after) is None


def test_a_long_text_is_not_compared_by_tokens() -> None:
    """Beyond the token limit a text whose lines overlap counts as dependent."""
    filler = b"x\n" * 100_000
    assert take_out(b"f(1, 2)\n" + filler, b"f(3, 2)\n" + filler, b"f(3, 4)\n" + filler) is None


def test_a_byte_zero_makes_a_text_binary() -> None:
    """git's rule: NUL among the first 8 000 bytes."""
    contents = (b"a\0", b"a" * 8000 + b"\0", b"")
    assert [is_binary(content) for content in contents] == [True, False, False]
