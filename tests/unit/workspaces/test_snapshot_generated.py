"""A snapshot of any working copy is the tree that `git add --all && git write-tree` make of it.

`pytest --hypothesis-profile thorough --timeout 0` on this file looks much longer.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workspaces.copies import Copy, check
from tests.unit.workspaces.edits import EDITS, Edit

SHAPES = {
    "modes do not count": [
        Edit("setting", "core.fileMode", "false"), Edit("executable", "a", 0o755),
        Edit("write", "new"), Edit("executable", "new", 0o755), Edit("append", "d/run"),
        Edit("executable", "d/run", 0o644),
    ],
    "links are files": [
        Edit("setting", "core.symlinks", "false"), Edit("remove", "link"),
        Edit("write", "link", b"d/b.txt"),
    ],
    "ignore rules behind a link": [
        Edit("write", "rules", b"x*\n"), Edit("link", ".gitignore", "rules"), Edit("write", "x1"),
        Edit("link", "new/.gitignore", "../rules"), Edit("write", "new/x1"),
    ],
    "attributes behind a link": [
        Edit("write", "rules", b"* text\n"), Edit("link", "d/.gitattributes", "../rules"),
        Edit("link", ".gitattributes", "rules"), Edit("write", "d/t", b"a\r\n"),
        Edit("write", "g.up", b"UP"),
    ],
    "deleted attributes": [
        Edit("remove", ".gitattributes"), Edit("write", "f.up", b"UP\n"),
        Edit("write", "g.up", b"UP\n"),
    ],
    "deleted attributes above others": [
        Edit("remove", ".gitattributes"), Edit("write", "d/f.up", b"UP\n"),
        Edit("write", "d/.gitattributes", b"*.up filter=up\n"), Edit("write", "g.up", b"UP\n"),
    ],
    "folders for rules": [
        Edit("directory", ".gitattributes"), Edit("directory", ".gitignore"),
        Edit("write", "x.o"), Edit("write", "g.up", b"UP\n"),
    ],
    "the last line": [
        Edit("ignore", ".gitignore", "x1\ny1\r"), Edit("write", "x1"), Edit("write", "y1"),
        Edit("exclude", "user", "z1\r"), Edit("write", "z1"),
    ],
    "a byte order mark": [Edit("ignore", ".gitignore", "\ufeffx1\n"), Edit("write", "x1")],
    "dollars": [
        Edit("ignore", ".gitignore", "$x\n\\$y\n!$z\n"), Edit("write", "$x"), Edit("write", "$y"),
    ],
    "rules below an ignored folder": [
        Edit("ignore", ".gitignore", "n/\n*.tmp\n!d/\n"), Edit("ignore", "n/.gitignore", "!*\n"),
        Edit("write", "n/a"), Edit("write", "d/x.tmp"),
    ],
    "a user's rules and the repository's": [
        Edit("exclude", "user", "x1\ny1\n"), Edit("exclude", "info/exclude", "!x1\nz1\n"),
        Edit("write", "x1"), Edit("write", "y1"), Edit("write", "z1"),
        Edit("ignore", "d/.gitignore", "!z1\n"), Edit("write", "d/z1"),
    ],
    "letter case": [
        Edit("setting", "core.ignoreCase", "true"), Edit("ignore", ".gitignore", "X1\n"),
        Edit("write", "x1"),
    ],
    "classes": [
        Edit("ignore", ".gitignore", "[[:alpha:]]1\n[!x]2\n[^x]3\n[]4\n[a-]5\n"),
        *(Edit("write", name) for name in ("x1", "y2", "x2", "y3", "-5", "a5")),
    ],
    "stars": [
        Edit("ignore", ".gitignore", "/**/x1\na**b\nn/**\n!n/k\nq/*/z\n"),
        *(Edit("write", n) for n in ("x1", "m/x1", "acb", "a/c/b", "n/k", "q/r/z", "q/r/s/z")),
    ],
    "a gitfile to nowhere": [
        Edit("write", "n/.git", b"gitdir: /nowhere\n"), Edit("write", "n/a"),
        Edit("write", "m/.git", b"garbage"), Edit("write", "m/a"),
        Edit("write", "k/.git/HEAD", b"ref: refs/heads/x\n"), Edit("write", "k/a"),
    ],
    "a repository around tracked files": [
        Edit("repository", "d", "one"), Edit("write", "d/new"), Edit("append", "d/a"),
    ],
    "a file becomes a repository": [Edit("repository", "a", "one")],
    "a file that is to be added again": [
        Edit("by_git", "a", "rm --cached"), Edit("by_git", "a", "add --intent-to-add"),
    ],
    "links in a circle": [Edit("link", "l", "l"), Edit("link", "m", "m/x"), Edit("link", "d", "d")],
    "a folder a hundred deep": [Edit("write", "/".join(["deep"] * 100))],
    "skipped and staged": [
        Edit("write", "d/a"), Edit("by_git", "d/a", "add"),
        Edit("by_git", "d/a", "update-index --skip-worktree"), Edit("remove", "d/a"),
    ],
    "assumed and staged": [
        Edit("write", "d/a"), Edit("by_git", "d/a", "add"),
        Edit("by_git", "d/a", "update-index --assume-unchanged"), Edit("write", "d/a", b"zzz"),
        Edit("write", "b.txt"),
    ],
    "skipped attributes": [
        Edit("by_git", ".gitattributes", "update-index --skip-worktree"),
        Edit("remove", ".gitattributes"), Edit("write", "g.up", b"UP"),
    ],
    "a submodule without its repository": [Edit("submodule", "sub", "forget")],
    "a submodule that is a file": [Edit("write", "sub", b"a file")],
    "a submodule without a commit": [
        Edit("submodule", "sub", "forget"), Edit("repository", "sub", "empty"),
    ],
    "large files beside folders that were files": [
        Edit("remove", "d"), Edit("write", "d", b"x"), Edit("remove", "a"),
        Edit("write", "a/x.lfs", b"q"), Edit("write", "a/b.up", b"UP"),
    ],
    "line endings that are staged": [
        Edit("write", "c.txt", b"a\r\n"), Edit("by_git", "c.txt", "add"),
        Edit("setting", "core.autocrlf", "true"), Edit("write", "c.txt", b"b\r\n"),
    ],
    "an encoding": [
        Edit("ignore", ".gitattributes", "u16 working-tree-encoding=UTF-16LE-BOM\n"),
        Edit("write", "u16", "\ufeffh\u00e9\r\n".encode("utf-16-le")),
    ],
    "macros": [
        Edit("ignore", ".gitattributes", "m own\n"), Edit("write", "m", b"a\r\n$Id: x$\r\n"),
        Edit("ignore", "d/.gitattributes", "[attr]mine text\n* mine\n"),
        Edit("write", "d/m", b"a\r\n"),
    ],
    "an edit that keeps size and time": [Edit("flip", "a")],
    "an edit of another second": [Edit("touch", "a"), Edit("touch", "d/a"), Edit("flip", "d/a")],
    "an index of many files": [
        Edit("setting", "feature.manyFiles", "true"), Edit("setting", "core.splitIndex", "true"),
        Edit("write", "n"), Edit("by_git", "n", "add"), Edit("write", "m"),
    ],
    "an index without its checksum": [
        Edit("setting", "index.skipHash", "true"), Edit("setting", "index.version", "4"),
        Edit("write", "n"), Edit("by_git", "n", "add"), Edit("write", "m"),
    ],
}  # fmt: skip
"""Edits that went wrong once, or might."""


@pytest.mark.parametrize("name", SHAPES)
def test_a_known_shape_is_what_git_would_add(original: Path, tmp_path: Path, name: str) -> None:
    """Each was found, or thought of, as a way to differ from git."""
    copy = Copy(original, tmp_path)
    copy.edit([SHAPES[name]])
    check(copy)


@settings(max_examples=settings().max_examples // 2)
@given(st.lists(EDITS, min_size=1, max_size=2))
def test_a_snapshot_is_what_git_would_add(original: Path, rounds: list[list[Edit]]) -> None:
    """Any edits of any commit; where only a part is staged, that part."""
    with tempfile.TemporaryDirectory(prefix="snapshot-") as folder:
        copy = Copy(original, Path(folder))
        copy.edit(rounds)
        check(copy)
