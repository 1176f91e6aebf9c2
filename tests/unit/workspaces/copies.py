"""Copies of one rich repository, and what git makes of an edited one: the judge of snapshots."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tatami.workspaces import staging
from tatami.workspaces.index import IndexEntry, IndexLock, update
from tatami.workspaces.kinds.choosing import CHECKOUT, Wanted
from tatami.workspaces.lifetime import making
from tatami.workspaces.snapshot import take
from tests.sandbox import git, run
from tests.unit.workspaces.edits import Edit, Place, apply

GITLINK = b"160000"
LONG_AGO_S = 1_500_000_000
LFS = """\
echo "version https://git-lfs.github.com/spec/v1"
echo "oid sha256:$(sha256sum | cut -c 1-64)"
"""
"""What `git lfs clean` prints, but for the size."""
BASE = {
    "a": b"a\n", "b.txt": b"one\ntwo\n", "d/a": b"a\n", "d/b.txt": b"one\r\ntwo\r\n",
    "d/e/a": b"a\n", "d/e/x.o": b"tracked\n", "d.x/a": b"a\n", "f.up": b"up\n", "kept/a": b"kept\n",
    ".gitignore": b"*.o\n/o/\n!kept.o\n", ".gitattributes": b"*.up filter=up\n*.lfs filter=lfs\n",
    "d/e/.gitignore": b"caf*\n", "deep/er/still/very/deep/a": b"a\n",
}  # fmt: skip
SETTINGS = {
    "filter.up.clean": "tr A-Z a-z", "filter.lfs.required": "true", "core.safecrlf": "false",
    "advice.addEmbeddedRepo": "false",
}  # fmt: skip


def make_original(folder: Path) -> Path:
    """Makes a repository with one of everything, and repositories to be nested in it."""
    for name in ("empty", "one", "repo"):
        git(folder, "init", "--quiet", "--template=", name)
    for number in ("1", "2"):
        (folder / "one" / "inside").write_text(number)
        git(folder / "one", "add", "--all")
        git(folder / "one", "commit", "--quiet", "-m", number)
    repo = folder / "repo"
    for path, content in BASE.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_bytes(content)
    (repo / "d" / "run").write_bytes(b"#!/bin/sh\n")
    (repo / "d" / "run").chmod(0o755)
    (repo / "link").symlink_to("d/a")
    (folder / "lfs").write_text(LFS)
    for key, value in {**SETTINGS, "filter.lfs.clean": f"sh '{folder}/lfs'"}.items():
        git(repo, "config", key, value)
    (repo / ".git" / "info").mkdir(exist_ok=True)
    (repo / ".git" / "info" / "attributes").write_text("[attr]own text eol=crlf ident\n")
    git(repo, "add", "--all", "--force")
    one = git(folder / "one", "rev-parse", "HEAD")
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{one},sub")
    git(repo, "commit", "--quiet", "-m", "base")
    git(repo, "branch", "agent/a")
    return folder


class Copy:
    """A copy of the original with a fresh workspace, of whatever kind, to be edited."""

    def __init__(self, original: Path, folder: Path, wanted: Wanted = CHECKOUT) -> None:
        repo = folder / "repo"
        shutil.copytree(original / "repo" / ".git", repo / ".git", symlinks=True)
        head = git(repo, "rev-parse", "main")
        spaces = str(folder / "spaces")
        self.space = making.make(str(repo / ".git"), spaces, {"a": head}, wanted)[0]
        self.root = Path(self.space.path)
        self.place = Place(self.root, repo / ".git", original)
        shutil.rmtree(self.root / "sub", ignore_errors=True)
        shutil.copytree(original / "one", self.root / "sub")

    @property
    def index(self) -> Path:
        """git's index of the workspace."""
        return Path(self.space.git_dir) / "index"

    @property
    def head(self) -> str:
        """The commit the workspace is at."""
        return git(self.root, "rev-parse", "HEAD")

    def edit(self, rounds: Sequence[Sequence[Edit]]) -> None:
        """Does all edits, with a commit of everything after each round but the last."""
        for edits in rounds[:-1]:
            for edit in edits:
                apply(self.place, edit)
            self.commit()
        for edit in rounds[-1]:
            apply(self.place, edit)
        if any(map(depends_on_the_clock, rounds[-1])):
            os.utime(self.index, (1, 1))

    def commit(self) -> None:
        """Commits everything; no file looks as if it was written in the index's second."""
        run(self.root, "git", "add", "--all", "--force", "--ignore-errors", check=False)
        git(self.root, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "round")
        for path in self.root.rglob("*"):
            if not path.is_symlink() and ".git" not in path.parts:
                os.utime(path, (LONG_AGO_S, LONG_AGO_S))
        run(self.root, "git", "update-index", "-q", "--refresh", check=False)

    def with_index(self, index: Path, *arguments: str, stdin: bytes = b"") -> str:
        """Runs git with another index."""
        words = ("env", f"GIT_INDEX_FILE={index}", "git", *arguments)
        return run(self.root, *words, stdin=stdin).stdout.decode()

    def added(self) -> Path:
        """An index in which everything is added but repositories that are no submodules."""
        index = Path(self.space.git_dir) / "added-index"
        shutil.copy2(self.index, index)
        words = ("env", f"GIT_INDEX_FILE={index}", "git", "add", "--all", "--ignore-errors")
        run(self.root, *words, check=False)
        new = self.links(index) - self.links(self.index)
        gone = b"".join(b"0 %s\t%s\0" % (b"0" * 40, name) for name in new)
        self.with_index(index, "update-index", "-z", "--index-info", stdin=gone)
        return index

    def links(self, index: Path) -> set[bytes]:
        """The paths of an index that are repositories."""
        rows = self.with_index(index, "ls-files", "--stage", "-z").encode().split(b"\0")
        return {row.partition(b"\t")[2] for row in rows if row.startswith(GITLINK)}

    def applied(self, entries: Sequence[IndexEntry]) -> str:
        """The tree that changes make of the commit's."""
        index = Path(self.space.git_dir) / "applied-index"
        self.with_index(index, "read-tree", "HEAD")
        rows = "".join(f"{e.mode:o} {e.id or '0' * 40}\t{e.path}\0" for e in entries)
        self.with_index(index, "update-index", "-z", "--index-info", stdin=rows.encode())
        return self.tree(index)

    def tree(self, index: Path) -> str:
        """The tree of an index, whether or not its contents were ever stored."""
        return self.with_index(index, "write-tree", "--missing-ok").strip()

    def status(self, index: Path) -> list[str]:
        """What git sees with an index, without files that were only intended to be added."""
        words = ("status", "--porcelain", "--untracked-files=no", "--no-renames")
        lines = self.with_index(index, *words).splitlines()
        return [line for line in lines if not line.startswith(" D ")]

    def differences(self, before: str, after: str) -> list[str]:
        """The paths at which two trees differ."""
        words = ("diff-tree", "-r", "-z", "--name-only", before, after)
        return git(self.root, *words).split("\0")[:-1]


def depends_on_the_clock(edit: Edit) -> bool:
    """Whether git sees an edit only where it compares contents, as it does within a second."""
    return edit.verb in {"flip", "setting"} or edit.path.endswith(".gitattributes")


def check(copy: Copy) -> None:
    """Checks the snapshot of a workspace, what hooks would see of it, and the index after it."""
    space, head = copy.space, copy.head
    taken = take(space, head)
    entries = staging.staged(space, head)[1] if taken.staged else list(taken.entries)
    applied, staged, added = copy.applied(entries), copy.tree(copy.index), copy.added()
    before, everything = git(copy.root, "rev-parse", f"{head}^{{tree}}"), copy.tree(added)
    meant = staged if staged not in {before, everything} else everything
    assert copy.differences(meant, applied) == []
    assert copy.differences(before, meant) == [entry.path for entry in entries]
    if taken.staged:
        return
    there, gone = ([e.path for e in entries if bool(e.mode) is w] for w in (True, False))
    with staging.staging_index(space, there, gone=gone) as index:
        assert copy.differences(meant, copy.tree(Path(index))) == []
    lock = IndexLock(space)
    lock.acquire()
    update(lock, space, taken.entries)
    lock.release()
    assert copy.differences(meant, copy.tree(copy.index)) == []
    assert copy.status(added) == copy.status(copy.index)
