"""Brings a commit back as work: as one commit on its base, or as edits of a workspace."""

import os
import subprocess
from shlex import quote

from tatami.values.errors import BusyError, ConflictError, UsageError
from tatami.workspaces import git
from tatami.workspaces.worktree import Workspace

_NOTHING = "0" * 40


def plain(common: str, commit: str) -> str:
    """The commit with its first parent alone; itself, where it has no other.

    What a recovery commit keeps besides (what was staged, a merge's other side) is no history.
    Raises `ConflictError` for one whose tree is jj's picture of a conflict.
    """
    raw = next(git.blobs(common, [commit]))
    header, _, message = raw.partition(b"\n\n")
    lines = header.split(b"\n")
    if any(line.startswith(b"jj:trees ") for line in lines):
        raise ConflictError(
            f"{commit[:12]} holds a conflict, which git cannot show",
            code="conflicted",
            fix=f"jj new {commit[:12]}",
        )
    parents = [line for line in lines if line.startswith(b"parent ")]
    if len(parents) < 2 or not message.startswith(b"Workspace "):
        return commit
    kept = [line for line in lines if line not in parents[1:]]
    text = b"\n".join(kept) + b"\n\n" + message
    done = git.run(common, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text)
    return done.stdout.decode().strip()


def make_branch(common: str, branch: str, commit: str) -> None:
    """Makes a git branch; raises `UsageError` for a bad name, or one that exists."""
    if git.run(common, "check-ref-format", f"refs/heads/{branch}", check=False).returncode:
        raise UsageError(f"{branch!r} is no branch name", code="bad_branch", fix="give another")
    if branch.startswith("agent/"):
        raise UsageError(
            f"{branch} would be an agent's line",
            code="bad_branch",
            fix=f"give it to an agent: --to {branch.removeprefix('agent/')}",
        )
    done = git.run(
        common, "update-ref", "-m", "tatami: recover", f"refs/heads/{branch}", commit, _NOTHING,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise UsageError(
            f"git made no branch {branch}: {git.words(done)}",
            code="branch_exists",
            fix=f"git log {quote(branch)}, or give another name",
        )


def fitting(space: Workspace, commit: str, base: str) -> bytes:
    """What a commit changes, as a patch that fits a workspace's files; b"" for nothing.

    Raises `ConflictError` (`would_overwrite`) where an edit or a new file is in the way.
    """
    options = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
    words = ("diff", "--binary", "--full-index", *options, base, commit)
    patch = git.run(space.path, *words).stdout
    done = _apply(space, patch, "--check") if patch else None
    if done and done.returncode:
        said = "; ".join(row.removeprefix("error: ") for row in git.words(done).splitlines()[:3])
        raise ConflictError(
            f"workspace {space.name} has something in the way: {said}; nothing was changed",
            code="would_overwrite",
            fix=f"tatami workspace recover {commit[:12]}",
        )
    return patch


def apply(space: Workspace, patch: bytes) -> list[str]:
    """Makes a patch that fits edits of a workspace that nothing has committed; the paths."""
    if not patch:
        return []
    done = _apply(space, patch, "--numstat", "-z", "--apply")
    if done.returncode:
        raise BusyError(
            f"workspace {space.name} changed meanwhile: {git.words(done)}", fix="try again"
        )
    rows = (row.split(b"\t", 2) for row in done.stdout.split(b"\0"))
    return [os.fsdecode(row[2]) for row in rows if len(row) == 3]


def _apply(space: Workspace, patch: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    words = ("apply", "--whitespace=nowarn", *options, "-")
    return git.run(space.path, *words, stdin=patch, check=False)
