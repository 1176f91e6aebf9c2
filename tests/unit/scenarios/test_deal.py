"""Dealing a window of history: versions, dependence, and who lands together."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from tatami.scenarios.history.deal import (
    Content,
    Entry,
    FileChange,
    HistoryCommit,
    Part,
    deal,
    groups,
)

FILE = 0o100644
PROGRAM = 0o100755
LINK = 0o120000
MODULE = 0o160000
Tree = Mapping[str, tuple[int, bytes]]


def entry(file: tuple[int, bytes] | None) -> Entry | None:
    return None if file is None else Entry(file[0], Content(*file).object_id())


def window(*trees: Tree) -> tuple[list[HistoryCommit], dict[str, bytes]]:
    """The commits between the trees, the first of which is the base, and all contents by id."""
    commits = []
    for number, (old, new) in enumerate(pairwise(trees), start=1):
        changes = tuple(
            FileChange(path, entry(old.get(path)), entry(new.get(path)))
            for path in sorted(old.keys() | new.keys())
            if old.get(path) != new.get(path)
        )
        commits.append(HistoryCommit(f"c{number}", f"c{number - 1}", "", "message", changes))
    contents = {Content(*file).object_id(): file[1] for tree in trees for file in tree.values()}
    return commits, contents


def dealt(*trees: Tree) -> list[Part]:
    commits, contents = window(*trees)
    return deal(commits, contents.__getitem__)


def test_a_file_nobody_else_touched_is_taken_as_it_is() -> None:
    """Commits of different files are independent and share nothing."""
    base = {"a": (FILE, b"1"), "b": (FILE, b"1")}
    parts = dealt(base, base | {"a": (FILE, b"2")}, {"a": (FILE, b"2"), "b": (PROGRAM, b"2")})
    assert [(part.changes, part.shared) for part in parts] == [
        ({"a": Content(FILE, Content(FILE, b"2").object_id())}, ()),
        ({"b": Content(PROGRAM, Content(FILE, b"2").object_id())}, ()),
    ]


def test_the_others_edits_are_taken_out_of_a_shared_file() -> None:
    """The second agent's version has its own line only; the file is shared at line level."""
    parts = dealt(
        {"a": (FILE, b"1\nx\n2\n")},
        {"a": (FILE, b"one\nx\n2\n")},
        {"a": (FILE, b"one\nx\ntwo\n")},
    )
    assert parts[1].changes == {"a": Content(FILE, b"1\nx\ntwo\n")}
    assert [(shared.path, shared.level) for shared in parts[1].shared] == [("a", "line")]


def test_a_change_back_and_forth_is_not_shared() -> None:
    """A file that is again as it was on the base needs nothing taken out."""
    one, two = {"a": (FILE, b"1")}, {"a": (FILE, b"2")}
    parts = dealt(one, two, one, two)
    assert [part.shared for part in parts] == [(), (), ()]
    assert [part.depends_on_path for part in parts] == ["", "a", ""]


def test_mode_and_content_are_taken_apart() -> None:
    """One commit edits, the next one makes executable: on the base the mode alone changes."""
    parts = dealt({"a": (FILE, b"1")}, {"a": (FILE, b"2")}, {"a": (PROGRAM, b"2")})
    assert parts[1].changes == {"a": Content(PROGRAM, Content(FILE, b"1").object_id())}


@pytest.mark.parametrize(
    ("base", "first", "second"),
    [
        pytest.param({}, {"a": (FILE, b"1")}, {"a": (FILE, b"2")}, id="edits another's new file"),
        pytest.param({"a": (FILE, b"1")}, {"a": (FILE, b"2")}, {}, id="deletes what was edited"),
        pytest.param({"a": (FILE, b"1")}, {}, {"a": (FILE, b"2")}, id="brings a file back"),
        pytest.param(
            {"a": (FILE, b"1\n")}, {"a": (FILE, b"2\n")}, {"a": (FILE, b"3\n")}, id="same token"
        ),
        pytest.param(
            {"a": (FILE, b"1\0\n2\n")},
            {"a": (FILE, b"3\0\n2\n")},
            {"a": (FILE, b"3\0\n4\n")},
            id="binary",
        ),
        pytest.param({"a": (LINK, b"x")}, {"a": (LINK, b"y")}, {"a": (LINK, b"z")}, id="symlink"),
        pytest.param(
            {"a": (MODULE, b"1")}, {"a": (MODULE, b"2")}, {"a": (MODULE, b"3")}, id="submodule"
        ),
        pytest.param(
            {"a": (FILE, b"1")}, {"a": (LINK, b"1")}, {"a": (FILE, b"1")}, id="file and symlink"
        ),
        pytest.param({"a": (FILE, b"1")}, {}, {"a/b": (FILE, b"2")}, id="folder where a file was"),
        pytest.param({"a/b": (FILE, b"1")}, {}, {"a": (FILE, b"2")}, id="file where a folder was"),
    ],
)
def test_a_change_of_what_others_did_depends_on_it(base: Tree, first: Tree, second: Tree) -> None:
    """Where the edits cannot be told apart the second commit waits, and writes history's text."""
    commits, contents = window(base, first, second)
    part = deal(commits, contents.__getitem__)[1]
    wanted = {
        change.path: None if change.new is None else Content(change.new.mode, change.new.id)
        for change in commits[1].changes
    }
    assert (part.depends_on_path, part.changes) == (commits[1].changes[0].path, wanted)


def test_a_rename_takes_part_as_deletion_and_addition() -> None:
    """A file renamed after others edited it depends on them; one they left alone does not."""
    base = {"a": (FILE, b"1"), "b": (FILE, b"2")}
    edited = base | {"a": (FILE, b"3")}
    parts = dealt(base, edited, _renamed(edited, "b", "c"))
    assert parts[1].depends_on_path == ""
    parts = dealt(base, edited, _renamed(edited, "a", "c"))
    assert parts[1].depends_on_path == "a"


def _renamed(tree: Tree, old: str, new: str) -> Tree:
    return {new if path == old else path: file for path, file in tree.items()}


def _part(shared: bool = False, depends: bool = False) -> Part:
    commit, contents = window({"a": (FILE, b"1\n2\n")}, {"a": (FILE, b"0\n2\n")})
    again, more = window(
        {"a": (FILE, b"1\n2\n")}, {"a": (FILE, b"0\n2\n")}, {"a": (FILE, b"0\n3\n")}
    )
    if shared:
        return deal(again, more.__getitem__)[1]
    part = deal(commit, contents.__getitem__)[0]
    return Part(part.commit, part.changes, (), "a") if depends else part


def test_a_group_ends_where_its_result_has_to_be_looked_at() -> None:
    """Nothing lands behind a merge before it was compared; a dependent part lands alone."""
    parts = [
        _part(),
        _part(),
        _part(shared=True),
        _part(),
        _part(depends=True),
        _part(depends=True),
        _part(shared=True),
        _part(),
    ]
    assert groups(parts) == [[0, 1, 2], [3], [4], [5], [6], [7]]


def test_object_ids_are_gits() -> None:
    """The empty blob has the id that git is known to give it."""
    assert Content(FILE, b"").object_id() == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
