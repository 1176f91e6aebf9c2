"""Reads the first-parent line of a repository with git; never writes there."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tatami.scenarios.history.deal import Entry, FileChange, HistoryCommit
from tatami.store import git
from tatami.values.errors import TatamiError, UsageError

EMPTY_SLACK = 50
"""Commits asked for beyond those wanted, because some change nothing."""
_FORMAT = "%H%x00%P%x00%T%x00%B"
_ABSENT = "000000"


@dataclass(frozen=True, slots=True)
class Source:
    """A repository to replay: its shared git directory, object folder, and the commit to end at."""

    path: str
    git_dir: str
    objects: str
    head: str


def source(path: str, rev: str = "HEAD") -> Source:
    """Checks that `path` is a repository with a whole history; raises `UsageError`."""
    if not os.path.isdir(path):
        raise UsageError(
            f"{path} is not a directory", code="not_found", fix="tatami replay PATH-OF-A-CLONE"
        )
    asked = git.run(path, "rev-parse", "--path-format=absolute", "--git-common-dir", check=False)
    if asked.returncode:
        words = asked.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
        raise UsageError(
            f"{path} is not a git repository: {words}",
            code="not_a_repository",
            fix="tatami replay PATH-OF-A-CLONE",
        )
    common = os.fsdecode(asked.stdout.rstrip(b"\n"))
    if git.text(common, "rev-parse", "--is-shallow-repository") == "true":
        raise UsageError(
            f"{path} is a shallow clone; history is missing",
            code="shallow_repository",
            fix=f"git -C {path} fetch --unshallow",
        )
    promisor = ("config", "--get-regexp", r"^remote\..*\.promisor$")
    if git.run(common, *promisor, check=False).stdout:
        raise UsageError(
            f"{path} is a partial clone; contents are missing",
            code="partial_clone",
            fix="clone it without --filter, then replay that clone",
        )
    head = git.run(path, "rev-parse", "--verify", "--quiet", rev + "^{commit}", check=False)
    if head.returncode:
        raise UsageError(
            f"{path} has no commit {rev!r}", code="no_history", fix=f"git -C {path} log --all"
        )
    objects = git.text(path, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    return Source(path, common, objects, head.stdout.decode().strip())


def last_commits(found: Source, count: int) -> list[HistoryCommit]:
    """The newest `count` commits of the first-parent line that change something, oldest first.

    Fewer where history is shorter. Raises `UsageError` where there is none to replay.
    """
    limit = count + EMPTY_SLACK
    while True:
        rows = log(found.git_dir, [found.head], limit)
        changing = [commit for commit in rows if commit.changes and commit.parent]
        if len(changing) >= count or len(rows) < limit:
            break
        limit *= 2
    if not changing:
        raise UsageError(
            f"{found.path} has no history to replay: no commit on top of another one",
            code="no_history",
            fix=f"git -C {found.path} log --first-parent",
        )
    return changing[:count][::-1]


def log(git_dir: str, revs: Sequence[str], limit: int | None = None) -> list[HistoryCommit]:
    """Commits reachable from `revs` ("^rev" excludes) with their changes, newest first.

    With a limit only the first-parent line is followed.
    """
    line = [] if limit is None else ["--first-parent", f"--max-count={limit}"]
    done = git.run(
        git_dir,
        *("--no-replace-objects", "-c", "i18n.logOutputEncoding=UTF-8", "log", "-z", "--raw"),
        *("--no-abbrev", "--no-renames", "--diff-merges=first-parent", f"--format={_FORMAT}"),
        *("--stdin", *line),
        stdin="".join(f"{rev}\n" for rev in revs).encode(),
    )
    words = iter(done.stdout.split(b"\0"))
    commits: list[HistoryCommit] = []
    word = next(words, b"")
    while word:
        id = word.decode()
        parents, tree = next(words).decode().split(), next(words).decode()
        message = next(words).decode("utf-8", "replace")
        changes: list[FileChange] = []
        word = next(words, b"")
        while word.lstrip(b"\n").startswith(b":"):
            changes.append(_change(word.decode(), next(words), id))
            word = next(words, b"")
        parent = parents[0] if parents else ""
        commits.append(HistoryCommit(id, parent, tree, message, tuple(changes)))
    return commits


def _change(meta: str, name: bytes, commit: str) -> FileChange:
    old_mode, new_mode, old_id, new_id, _ = meta.lstrip("\n:").split(" ")
    try:
        path = name.decode()
    except UnicodeDecodeError:
        raise UsageError(
            f"{commit[:12]} changes {name!r}: file names that are not UTF-8 are not supported",
            code="bad_path",
            fix=f"tatami replay REPO --rev {commit[:12]}~1",
        ) from None
    old = None if old_mode == _ABSENT else Entry(int(old_mode, 8), old_id)
    new = None if new_mode == _ABSENT else Entry(int(new_mode, 8), new_id)
    return FileChange(path, old, new)


class Objects:
    """Reads objects of a repository through one running `git cat-file`; for one thread."""

    def __init__(self, git_dir: str) -> None:
        self._process = subprocess.Popen(
            ["git", "-C", git_dir, "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=git.clean_environment(),
        )

    def read(self, name: str) -> bytes:
        """The content of the object a name means; raises `TatamiError` where there is none."""
        found = self.find(name)
        if found is None:
            raise TatamiError(f"git has no object {name}", code="corrupt", fix="git fsck")
        return found

    def find(self, name: str) -> bytes | None:
        """As `read`, but None where there is no such object."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(name.encode() + b"\n")
        stdin.flush()
        header = stdout.readline().split()
        if len(header) != 3:
            return None
        size = int(header[2])
        content = stdout.read(size)
        stdout.read(1)
        return content

    def close(self) -> None:
        """Ends git."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def trees_of(git_dir: str, commits: list[str]) -> list[str]:
    """The tree id of every commit, as git reads them."""
    if not commits:
        return []
    asked = "".join(f"{commit}^{{tree}}\n" for commit in commits).encode()
    done = git.run(git_dir, "cat-file", "--batch-check=%(objectname)", stdin=asked)
    return done.stdout.decode().split("\n")[: len(commits)]


def differing(git_dir: str, left: str, right: str) -> Iterator[FileChange]:
    """The paths where two trees differ, as git compares them."""
    done = git.run(git_dir, "diff-tree", "-r", "-z", "--raw", "--no-renames", left, right)
    words = iter(done.stdout.split(b"\0"))
    for word in words:
        if word:
            yield _change(word.decode(), next(words), right)


def divergent(git_dir: str, commits: Sequence[str]) -> int:
    """How many change ids stand in the headers of more than one of these commits."""
    changes: Counter[bytes] = Counter()
    objects = Objects(git_dir)
    try:
        for commit in commits:
            header, _, _ = objects.read(commit).partition(b"\n\n")
            changes.update(line for line in header.split(b"\n") if line.startswith(b"change-id "))
    finally:
        objects.close()
    return sum(count > 1 for count in changes.values())
