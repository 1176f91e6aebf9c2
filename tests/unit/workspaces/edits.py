"""Generated edits of a working copy: what people, editors and git do to files, index and settings.

An edit is a value, so that a failing example can be printed and kept. Paths come from a small set,
so that files, links, directories and repositories often take each other's places.
"""

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.sandbox import git, run

DIRECTORIES = ("d", "d/e", "d.x", "o", "deep/er/still/very/deep")
NAMES = (
    "a", "b.txt", "b.txt ", "x.o", "f.up", "big.lfs", "u16", "-dash", "#hash", "!not", "caf\u00e9",
    "d", "e",
)  # fmt: skip
CONTENTS = (
    b"", b"x\n", b"y\n", b"UP and down\n", b"one\r\ntwo\r\n", b"mixed\n\r\n\r", b"\0binary\r\n",
    b"$Id$\r\n", b"$Id: 12 $\n", "\ufeff\u00e9\r\n".encode("utf-16-le"), b"no end",
    b"long\n" * 9999,
)  # fmt: skip
TARGETS = ("nowhere", "../elsewhere", "kept", "../kept", "/dev/null")
ATOMS = (
    "a", "b.txt", "x.o", "*.o", "*", "?", "??", "[ab]", "[!a]*", "[a-d]*", "**", "d", "e", "o",
    "d*", "*e*", "\\#hash", "\\!not", "caf\u00e9", "*.txt", "deep", "still", "#hash", "-dash",
)  # fmt: skip
ATTRIBUTES = (
    "text", "-text", "text=auto", "eol=crlf", "eol=lf", "text=auto eol=crlf", "binary", "crlf",
    "-crlf", "crlf=input", "ident", "filter=up", "filter=lfs", "filter=unknown", "-filter", "own",
    "!text", "text eol=lf ident",
)  # fmt: skip
SETTINGS = (
    ("core.autocrlf", "true"), ("core.autocrlf", "input"), ("core.autocrlf", "false"),
    ("core.eol", "crlf"), ("core.fileMode", "false"), ("core.symlinks", "false"),
    ("core.trustctime", "false"), ("core.checkStat", "minimal"), ("core.untrackedCache", "true"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing done to a working copy: the name of a function below, and what it is given."""

    verb: str
    path: str
    value: bytes | str | int = b""


@dataclass(frozen=True, slots=True)
class Place:
    """The working copy that is edited. spare: a folder with repositories that can be copied."""

    root: Path
    common: Path
    spare: Path


def apply(place: Place, edit: Edit) -> None:
    """Does one edit; one that does not fit what is there (a file to remove) does nothing."""
    VERBS[edit.verb](place, edit)


def write(place: Place, edit: Edit) -> None:
    path = made_way(place, edit.path)
    assert isinstance(edit.value, bytes)
    path.write_bytes(edit.value)


def append(place: Place, edit: Edit) -> None:
    path = place.root / edit.path
    if is_file(path):
        with path.open("ab") as file:
            file.write(b"more\r\n")


def truncate(place: Place, edit: Edit) -> None:
    path = place.root / edit.path
    if is_file(path):
        os.truncate(path, path.stat().st_size // 2)


def flip(place: Place, edit: Edit) -> None:
    """Another content of the same size and with the same modification time."""
    path = place.root / edit.path
    if is_file(path):
        before = path.stat()
        path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def touch(place: Place, edit: Edit) -> None:
    path = place.root / edit.path
    if is_file(path):
        os.utime(path, (1, 1))


def remove(place: Place, edit: Edit) -> None:
    path = place.root / edit.path
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def executable(place: Place, edit: Edit) -> None:
    path = place.root / edit.path
    if is_file(path):
        assert isinstance(edit.value, int)
        path.chmod(edit.value)


def link(place: Place, edit: Edit) -> None:
    assert isinstance(edit.value, str)
    made_way(place, edit.path).symlink_to(edit.value)


def directory(place: Place, edit: Edit) -> None:
    made_way(place, edit.path).mkdir()


def repository(place: Place, edit: Edit) -> None:
    """A repository of somebody else: with a commit, or without one."""
    path = place.root / edit.path
    if not path.is_dir() or path.is_symlink():
        path = made_way(place, edit.path)
        path.mkdir()
    assert isinstance(edit.value, str)
    if not (path / ".git").exists():
        shutil.copytree(place.spare / edit.value / ".git", path / ".git")


def ignore(place: Place, edit: Edit) -> None:
    assert isinstance(edit.value, str)
    made_way(place, edit.path).write_text(edit.value, newline="")


def exclude(place: Place, edit: Edit) -> None:
    """Rules that are in no tree: `info/exclude`, or the user's own file."""
    assert isinstance(edit.value, str)
    if edit.path == "info/exclude":
        (place.common / "info").mkdir(exist_ok=True)
        (place.common / "info" / "exclude").write_text(edit.value, newline="")
    else:
        file = place.spare / "excludes"
        file.write_text(edit.value, newline="")
        git(place.root, "config", "core.excludesFile", str(file))


def setting(place: Place, edit: Edit) -> None:
    assert isinstance(edit.value, str)
    git(place.root, "config", edit.path, edit.value)


def by_git(place: Place, edit: Edit) -> None:
    """A command of git's about one path; one that fails has done nothing."""
    assert isinstance(edit.value, str)
    run(place.root, "git", *edit.value.split(), "--", edit.path, check=False)


def submodule(place: Place, edit: Edit) -> None:
    """The submodule of the base goes to another commit, loses its checkout, or is a folder."""
    inner = place.root / "sub"
    if inner.is_dir() and edit.value == "move":
        run(inner, "git", "checkout", "--quiet", "--detach", "HEAD~1", check=False)
    elif inner.is_dir() and edit.value == "forget":
        shutil.rmtree(inner / ".git", ignore_errors=True)
    elif inner.is_dir() and edit.value == "remove":
        shutil.rmtree(inner)


def is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def made_way(place: Place, name: str) -> Path:
    """A path at which nothing is, in a folder that is one."""
    path = place.root / name
    for above in reversed(path.relative_to(place.root).parents):
        folder = place.root / above
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        folder.mkdir(exist_ok=True)
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    return path


VERBS: dict[str, Callable[[Place, Edit], None]] = {
    verb.__name__: verb
    for verb in (
        write, append, truncate, flip, touch, remove, executable, link, directory, repository,
        ignore, exclude, setting, by_git, submodule,
    )
}  # fmt: skip

FOLDERS = st.sampled_from(("", *(f"{name}/" for name in DIRECTORIES)))
PATHS = st.builds("{}{}".format, FOLDERS, st.sampled_from(NAMES))
REPOSITORIES = st.sampled_from(("n", "o/n", "d/n", "kept"))
PLACES = PATHS | st.sampled_from((*DIRECTORIES, "sub", ".gitignore", ".gitattributes"))


def one(
    verb: str, path: st.SearchStrategy[str], *values: bytes | str | int
) -> st.SearchStrategy[Edit]:
    return st.builds(Edit, st.just(verb), path, st.sampled_from(values or (b"",)))


RULES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(("", "", "!", "!", "\\!")),
    st.sampled_from(("", "", "/", "**/")),
    st.lists(st.sampled_from(ATOMS), min_size=1, max_size=3).map("/".join),
    st.sampled_from(("", "", "/", "/**", "/*", " ", "\\ ", "\t", "\r")),
)
IGNORED = st.builds(
    "{}{}{}".format,
    st.sampled_from(("", "", "", "\ufeff", "# no rule\n\n")),
    st.lists(RULES, min_size=1, max_size=4).map("\n".join),
    st.sampled_from(("\n", "")),
)
ASSIGNED = st.builds(
    "{} {}".format, st.sampled_from((*(a for a in ATOMS if a[0] != "#"), "d/*")),
    st.sampled_from(ATTRIBUTES),
)  # fmt: skip
ASSIGNMENTS = st.lists(ASSIGNED, min_size=1, max_size=4).map(lambda lines: "\n".join(lines) + "\n")
GIT = (
    "add --force", "add --all", "add --intent-to-add --force", "rm --cached -r --quiet",
    "update-index --assume-unchanged", "update-index --skip-worktree", "restore --staged",
    "restore", "stash push --quiet --include-untracked",
)  # fmt: skip
EDITS = st.lists(
    one("write", PATHS, *CONTENTS)
    | one("write", PATHS, *CONTENTS)
    | one("append", PATHS)
    | one("truncate", PATHS)
    | one("flip", PATHS)
    | one("touch", PATHS)
    | one("remove", PLACES)
    | one("executable", PATHS, 0o755, 0o644, 0o700, 0o655)
    | one("link", PLACES, *TARGETS)
    | one("directory", PLACES)
    | one("repository", REPOSITORIES, "one", "empty")
    | one("submodule", st.just("sub"), "move", "forget", "remove")
    | one("by_git", PLACES, *GIT)
    | st.builds(Edit, st.just("ignore"), FOLDERS.map("{}.gitignore".format), IGNORED)
    | st.builds(Edit, st.just("ignore"), FOLDERS.map("{}.gitattributes".format), ASSIGNMENTS)
    | st.builds(Edit, st.just("exclude"), st.sampled_from(("info/exclude", "user")), IGNORED)
    | st.sampled_from([Edit("setting", key, value) for key, value in SETTINGS]),
    min_size=1,
    max_size=12,
)
"""A few edits, one after the other."""
