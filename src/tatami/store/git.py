"""Runs git: the few things where git's own behaviour is the specification."""

import os
import subprocess

from tatami.values.errors import TatamiError

GIT_MIN = (2, 36)
"""`git hook run` appeared in 2.36."""


def clean_environment() -> dict[str, str]:
    """The environment without variables that would point git at another repository or prompt."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "JJ_"))}
    kept["GIT_TERMINAL_PROMPT"] = "0"
    kept["GIT_OPTIONAL_LOCKS"] = "0"
    kept["LC_ALL"] = "C.UTF-8"
    return kept


def run(
    directory: str,
    *arguments: str,
    stdin: bytes | None = None,
    check: bool = True,
    index: str | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs git in `directory`; raises `TatamiError` (code git) with git's words when it fails.

    index: a file to use in place of the worktree's own index.
    """
    environment = clean_environment()
    if index:
        environment["GIT_INDEX_FILE"] = index
    try:
        done = subprocess.run(
            ["git", "-C", directory, *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise TatamiError("git is not installed", code="git_missing", fix="install git") from None
    if check and done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
        raise TatamiError(f"git {arguments[0]} failed: {words}", code="git")
    return done


def text(directory: str, *arguments: str) -> str:
    """Returns git's output without the last newline; raises as `run` does."""
    return run(directory, *arguments).stdout.decode("utf-8", "replace").rstrip("\n")
