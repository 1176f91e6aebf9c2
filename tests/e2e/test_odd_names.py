"""History with names that no commit of ours may add: it is worked with, and kept as it is."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sandbox
from tests.conftest import stop_hubs

ODD = {
    "nfd": b"odd/e\xcc\x81.txt",
    "latin-1": b"odd/\xe9.txt",
    "backslash": b"odd/a\\b.txt",
    "tab": b"odd/a\tb.txt",
    "newline": b"odd/a\nb.txt",
    "zero-width": b"odd/a\xe2\x80\x8bb.txt",
    "crlf": b"odd/\xe9\xe2\x80\x8b.crlf",
}


@pytest.fixture
def odd(repository: Path) -> Iterator[Path]:
    """A repository that tracks files of all odd names; one that git itself has to write."""
    (repository / "odd").mkdir()
    for what, name in ODD.items():
        (repository / os.fsdecode(name)).write_bytes(f"{what}\n".encode())
    (repository / ".gitattributes").write_bytes(b"*.crlf text eol=crlf\n")
    sandbox.git(repository, "add", "--all")
    sandbox.git(repository, "commit", "--quiet", "-m", "odd names")
    sandbox.tatami_json(repository, "init")
    yield repository
    stop_hubs(repository)


@pytest.mark.parametrize("what", [what for what in ODD if what not in {"latin-1", "crlf"}])
def test_files_of_odd_names_are_edited_renamed_and_deleted(odd: Path, what: str) -> None:
    """What is tracked can be worked with; only a new file needs a name that all read alike."""
    sandbox.tatami_json(odd, "workspace", "add", "coder-1")
    space = odd / ".tatami/workspaces/coder-1"
    file = space / os.fsdecode(ODD[what])
    file.write_bytes(b"edited\n")
    sandbox.tatami_json(space, "commit", "-m", "Edit", "--paths", os.fsdecode(ODD[what]))
    assert sandbox.git(space, "status", "--porcelain") == ""
    file.rename(space / "odd/renamed.txt")
    sandbox.tatami_json(space, "commit", "-m", "Rename")
    assert sandbox.git(space, "diff", "--no-renames", "--name-status", "HEAD^^").splitlines()[
        1:
    ] == ["A\todd/renamed.txt"]
    assert sandbox.git(space, "show", "HEAD:odd/renamed.txt") == "edited"
    assert sandbox.git(space, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    "kind",
    [("--kind", "checkout"), ("--kind", "overlay"), ("--sparse", "odd")],
    ids=["checkout", "overlay", "sparse"],
)
def test_odd_names_are_checked_out_and_kept(odd: Path, kind: tuple[str, str]) -> None:
    """A workspace has all of them, another file is committed and lands, and none has changed."""
    before = sandbox.git(odd, "ls-tree", "-r", "HEAD:odd")
    done = sandbox.tatami(odd, "workspace", "add", "coder-1", *kind, "--json")
    if '"not_mounted"' in done.stdout or '"unsupported"' in done.stdout:
        pytest.skip("overlays are not permitted here")
    assert done.returncode == 0, done.stdout
    space = odd / ".tatami/workspaces/coder-1"
    assert sandbox.git(space, "status", "--porcelain") == ""
    (space / "odd/plain.txt").write_bytes(b"plain\n")
    sandbox.tatami_json(space, "commit", "-m", "Add plain.txt")
    sandbox.tatami_json(odd, "land", "coder-1", "--wait")
    rows = sandbox.git(odd, "ls-tree", "-r", "HEAD:odd").splitlines()
    assert [row for row in rows if not row.endswith("\tplain.txt")] == before.splitlines()
    assert sandbox.git(odd, "status", "--porcelain") == ""
    assert sandbox.git(space, "status", "--porcelain") == ""
    for what, name in ODD.items():
        ending = "\r\n" if what == "crlf" else "\n"
        assert (space / os.fsdecode(name)).read_bytes() == f"{what}{ending}".encode()
