"""Runs git in a working copy, for what git itself specifies: filters, hooks, merging an index.

Imported only when git is needed: the plain commit of a workspace does without.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tatami.values.errors import TatamiError, UsageError

_OF_A_WORKTREE = re.compile(
    r"(?:@|HEAD|(?:ORIG|FETCH|MERGE|REBASE|BISECT|CHERRY_PICK|REVERT)_HEAD)(?:[~^@{:].*)?",
    re.DOTALL,
)
"""What a revision of git's begins with where each worktree has its own."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without variables that point git elsewhere or make it prompt."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "JJ_"))}
    kept |= {"GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": ":", "LC_ALL": "C.UTF-8"}
    return kept | dict(extra or {})


def run(
    directory: str,
    *arguments: str,
    stdin: bytes = b"",
    extra: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Runs git in `directory`; raises `TatamiError` (`git`) with git's words when it fails.

    extra: environment variables on top of `environment()`.
    """
    try:
        done = subprocess.run(
            ["git", "-C", directory, *arguments],
            input=stdin,
            capture_output=True,
            env=environment(extra),
            check=False,
        )
    except FileNotFoundError:
        raise TatamiError("git is not installed", code="git_missing", fix="install git") from None
    if check and done.returncode:
        raise TatamiError(f"git {arguments[0]} failed: {words(done)}", code="git")
    return done


def words(done: subprocess.CompletedProcess[bytes]) -> str:
    """What git said about a failure."""
    said = done.stderr.decode("utf-8", "replace").strip()
    return said or f"exit code {done.returncode}"


def text(directory: str, *arguments: str) -> str:
    """Returns git's output without the last newline; raises as `run` does."""
    return run(directory, *arguments).stdout.decode("utf-8", "replace").rstrip("\n")


def meant_here(directory: str, rev: str) -> str:
    """The commit id of a revision that means another commit in each worktree, such as `HEAD~2`.

    Any other revision is returned as it is. Raises `UsageError` (`not_found`) where git knows none.
    """
    if not _OF_A_WORKTREE.fullmatch(rev):
        return rev
    options = ("--verify", "--quiet", "--end-of-options")
    done = run(directory, "rev-parse", *options, f"{rev}^{{commit}}", check=False)
    if done.returncode:
        # Whoever resolves names for all would take the main worktree's.
        raise UsageError(f"{rev} names no commit here", code="not_found", fix="git reflog")
    return done.stdout.decode("ascii", "replace").strip()


def sizes(directory: str, ids: Sequence[str], extra: Mapping[str, str] | None = None) -> list[int]:
    """The sizes of objects in bytes, in order; 0 for one that is missing."""
    if not ids:
        return []
    stdin = "".join(f"{id}\n" for id in ids).encode()
    format = "--batch-check=%(objectsize)"
    lines = run(directory, "cat-file", format, stdin=stdin, extra=extra).stdout.splitlines()
    return [int(line) if line.isdigit() else 0 for line in lines]


def blobs(
    directory: str, ids: Iterable[str], extra: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """Yields the contents of objects, in order; raises `TatamiError` for one that is missing."""
    wanted = list(ids)
    stdin = "".join(f"{id}\n" for id in wanted).encode()
    output = run(directory, "cat-file", "--batch", stdin=stdin, extra=extra).stdout
    at = 0
    for id in wanted:
        end = output.index(b"\n", at)
        fields = output[at:end].split()
        if len(fields) != 3:
            raise TatamiError(f"object {id} is missing", code="corrupt", fix="git fsck")
        size = int(fields[2])
        yield output[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
