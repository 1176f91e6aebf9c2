"""The path policy: the corpus shared with its Rust twin, and what the corpus cannot hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tatami.values.errors import UsageError
from tatami.values.limits import PATH_BYTES_MAX
from tatami.values.paths import file_mode, known_path, repo_path

CORPUS = json.loads((Path(__file__).parents[2] / "data" / "paths.json").read_text())


def verdict(path: str) -> str:
    """What is wrong with a path; "" for a good one."""
    try:
        repo_path(path)
    except UsageError as error:
        return f"{error.code}: {error.message}"
    return ""


@pytest.mark.parametrize("row", CORPUS, ids=lambda row: ascii(row["path"])[:40])
def test_every_row_of_the_corpus_has_its_verdict(row: dict[str, Any]) -> None:
    """Python and Rust read the same rows, and refuse for the same reason."""
    said = verdict(row["path"])
    assert (said == "", said.endswith(row["why"]) or row["ok"]) == (row["ok"], True)


def test_a_name_that_is_not_utf8_is_refused() -> None:
    """The bytes of a file name that Python could not decode never become a path."""
    assert verdict("a\udcff").endswith("is not UTF-8")


def test_a_refusal_shows_what_cannot_be_seen() -> None:
    """The message names the path in ASCII, with the invisible character spelled out."""
    assert verdict("a\u200bb").startswith(r"bad_path: path 'a\u200bb' ")


LEADS_ELSEWHERE = ("empty component", "means `.` or `..`", "takes for", "longer than")


@pytest.mark.parametrize("row", CORPUS, ids=lambda row: ascii(row["path"])[:40])
def test_a_known_path_may_be_odd_but_never_lead_elsewhere(row: dict[str, Any]) -> None:
    """Of what the corpus refuses, only names that are merely hard to read are let through."""
    leads = not row["ok"] and any(why in row["why"] for why in LEADS_ELSEWHERE)
    if leads or "\0" in row["path"]:
        with pytest.raises(UsageError, match="path "):
            known_path(row["path"])
    elif row["ok"]:
        assert known_path(row["path"]) == row["path"]


@pytest.mark.parametrize(
    "path", ["a//b", "", "a\\..\\b", ".g\u200bit/config", "x/.GIT\u200b", "a\\.git\\b"]
)
def test_what_hides_another_place_is_no_known_path(path: str) -> None:
    """Neither backslashes nor characters that do not show make a way out."""
    with pytest.raises(UsageError):
        known_path(path)


@pytest.mark.parametrize(
    "path", ["a\nb", "a\tb", "a\\b", "a\\\\b", "\\", "\\a\\", "a\u200bb", "\u200b", "e\u0301"]
)
def test_names_that_are_only_hard_to_read_may_be_known(path: str) -> None:
    """A commit that has them lets them be edited and removed."""
    assert known_path(path) == path


@given(st.text(max_size=40))
def test_a_good_path_stays_inside_and_is_what_it_was(text: str) -> None:
    """Whatever is let through has no component that leads elsewhere, and is not changed."""
    try:
        path = repo_path(text)
    except UsageError:
        return
    parts = path.split("/")
    assert path == text
    assert not {"", ".", "..", ".git", ".jj"} & {part.lower() for part in parts}


@given(st.lists(st.text("ab.~1git", min_size=1, max_size=6), min_size=1, max_size=5))
def test_a_path_is_good_when_each_of_its_components_is(parts: list[str]) -> None:
    """The policy looks at components one by one, and at the whole only for its length."""
    assert (verdict("/".join(parts)) == "") == all(verdict(part) == "" for part in parts)


def test_the_longest_path_is_let_through() -> None:
    """The limit itself is allowed, one more byte is not."""
    longest = "/".join(["a" * 63] * 64)
    assert (len(longest), verdict(longest)) == (PATH_BYTES_MAX - 1, "")
    assert verdict(longest + "bb").endswith(f"is longer than {PATH_BYTES_MAX} bytes")


@pytest.mark.parametrize("mode", [0o100644, 0o100755, 0o120000])
def test_modes_of_files_are_good(mode: int) -> None:
    """git's three modes of a file pass."""
    assert file_mode(mode) == mode


@pytest.mark.parametrize("mode", [0, 0o644, 0o100600, 0o100664, 0o40000, 0o160000, -1])
def test_other_modes_are_refused(mode: int) -> None:
    """Nothing else is stored, a submodule only where it is allowed."""
    with pytest.raises(UsageError) as refusal:
        file_mode(mode)
    assert refusal.value.code == "bad_mode"


def test_a_submodule_is_good_where_it_is_allowed() -> None:
    """An agent of this machine may commit one."""
    assert file_mode(0o160000, allow_submodules=True) == 0o160000


@pytest.mark.parametrize(
    "path", [".gitmodules", "a/.GITMODULES", "gitmod~1", "GI7EBA~1", ".gitmodules ."]
)
def test_gitmodules_is_no_symlink(path: str) -> None:
    """git would read what it points to; `git fsck --strict` refuses it too."""
    with pytest.raises(UsageError):
        file_mode(0o120000, path=path)
    assert file_mode(0o100644, path=path) == 0o100644
