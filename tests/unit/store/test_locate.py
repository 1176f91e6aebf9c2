"""Where a path is: told by git's files as git would, and by the marker that `init` wrote."""

import json
from pathlib import Path

import pytest

from tatami.store.locate import MARKER, Marker, Place, find, main_worktree, marker, recorded
from tatami.values.errors import TatamiError, UsageError
from tatami.values.ids import NOT_MOUNTED
from tests import sandbox


def refusal(path: Path) -> tuple[str, str]:
    """The code with which a path is refused, and the fix."""
    with pytest.raises(UsageError) as refused:
        find(str(path))
    return refused.value.code, refused.value.fix


def test_a_folder_of_a_checkout_belongs_to_it(repository: Path) -> None:
    """The innermost repository around a path is the one that counts."""
    common = str(repository / ".git")
    expected = Place(str(repository), common, common, str(repository), f"{common}/tatami")
    assert [find(str(repository / name)) for name in (".", "dir0", ".git/refs")] == [expected] * 3
    assert expected.workspaces == str(repository / ".tatami/workspaces")


def test_a_linked_worktree_shares_the_git_directory(repository: Path, tmp_path: Path) -> None:
    """It has a git directory of its own; root and state are those of the main worktree."""
    linked = tmp_path / "linked"
    sandbox.git(repository, "worktree", "add", "--quiet", "--detach", str(linked))
    common = str(repository / ".git")
    own = f"{common}/worktrees/linked"
    assert find(str(linked)) == Place(str(linked), own, common, str(repository), f"{common}/tatami")


def test_a_workspace_that_is_not_mounted_is_still_found(repository: Path, tmp_path: Path) -> None:
    """Its `.git` points to nothing on purpose; where it belongs is told by the agent's name."""
    place = tmp_path / "a"
    place.mkdir()
    folder = repository / ".git/tatami/overlay/a"
    (place / ".git").write_text(f"gitdir: {folder / NOT_MOUNTED.format('a')}\n")
    own = repository / ".git/worktrees/a"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    folder.mkdir(parents=True)
    assert find(str(place)).git_dir == str(own)
    assert find(str(place)).root == str(repository)


def test_what_is_no_repository_is_refused(repository: Path, tmp_path: Path) -> None:
    """Each way has its code, and where there is one, a way on."""
    sandbox.git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
    foreign, broken = tmp_path / "foreign", tmp_path / "broken"
    for place, text in ((foreign, "elsewhere"), (broken, "gitdir: ../nowhere\n")):
        place.mkdir()
        (place / ".git").write_text(text)
    assert refusal(tmp_path / "nothing") == ("not_found", "cd into a repository")
    assert refusal(tmp_path)[0] == "not_a_repository"
    assert refusal(foreign) == ("not_a_repository", "")
    assert refusal(broken) == ("not_a_repository", "git worktree repair")
    assert refusal(tmp_path / "bare.git")[0] == "bare_repository"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("[core]\n\tbare = false\n\tworktree = ../work\n", "work"),
        ('[Core]\n\tWorkTree = "../work"\n', "work"),
        ("[other]\n\tworktree = ../work\n", None),
        ("", None),
    ],
)
def test_a_separate_git_directory_may_name_its_worktree(
    tmp_path: Path, config: str, expected: str | None
) -> None:
    """As a submodule's does; where it does not, nobody guesses."""
    common = tmp_path / "separate"
    common.mkdir()
    (common / "config").write_text(config)
    assert main_worktree(str(common)) == (expected and str(tmp_path / expected))


def place_with(repository: Path, text: str) -> Place:
    """The place of a repository whose marker is this text."""
    place = find(str(repository))
    (repository / ".git/tatami").mkdir(exist_ok=True)
    (Path(place.state) / MARKER).write_text(text)
    return place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": "x", "trunk": "main"}',
        '{"format": 1, "trunk": ""}',
        '{"format": 1, "trunk": "a\\u0000b"}',
        '{"format": 1, "trunk": "main", "jj": 3}',
        '{"format": Infinity, "trunk": "main"}',
        "[" * 100_000,
    ],
)
def test_a_damaged_marker_is_named(repository: Path, text: str) -> None:
    """It is never taken for a repository that was not initialised."""
    with pytest.raises(TatamiError) as refused:
        recorded(place_with(repository, text))
    assert (refused.value.code, refused.value.fix) == ("corrupt", "tatami fsck --repair")


def test_a_marker_says_where_the_operation_log_is(repository: Path) -> None:
    """Our own in the state folder, or the one that was adopted; gone is not damaged."""
    place = place_with(repository, json.dumps({"format": 1, "trunk": "main"}))
    assert recorded(place) == Marker("main", f"{place.state}/jj/.jj/repo")
    with pytest.raises(TatamiError) as refused:
        marker(place)
    assert (refused.value.code, refused.value.fix) == ("log_gone", "tatami init")
    record = {"format": 1, "trunk": "main", "jj": "../refs"}
    place = place_with(repository, json.dumps(record))
    assert marker(place) == Marker("main", f"{place.state}/../refs")


def test_a_newer_format_is_left_alone(repository: Path) -> None:
    """Only a newer Tatami knows what is in it."""
    with pytest.raises(UsageError) as refused:
        recorded(place_with(repository, '{"format": 2, "trunk": "main"}'))
    assert (refused.value.code, refused.value.fix) == ("newer_format", "upgrade tatami")


@pytest.mark.parametrize(
    ("begun", "words"),
    [(False, "is not a Tatami repository yet"), (True, "is not wholly initialised")],
)
def test_what_was_not_initialised_says_whether_it_was_begun(
    repository: Path, begun: bool, words: str
) -> None:
    """An interrupted `init` is told from none."""
    if begun:
        (repository / ".git/tatami/hub").mkdir(parents=True)
    with pytest.raises(UsageError, match=words) as refused:
        marker(find(str(repository)))
    assert (refused.value.code, refused.value.fix) == ("not_initialised", "tatami init")
