"""The user's own git hooks, run as `git commit` runs them: `pre-commit` and `commit-msg`.

Only the standard library, unless there is a hook: the hot verbs import this file.
"""

import os
from collections.abc import Mapping

from tatami.values.errors import ConflictError
from tatami.workspaces.worktree import Workspace

NAMES = ("pre-commit", "commit-msg")
OUTPUT_CHARS_KEPT = 8_000
"""The end of what a failing hook printed is what explains it."""
_SYSTEM_CONFIGS = ("/etc/gitconfig", "/usr/local/etc/gitconfig", "/opt/homebrew/etc/gitconfig")


def installed(space: Workspace) -> list[str]:
    """Which of these hooks the user has, `core.hooksPath` respected."""
    directory = os.path.join(space.common, "hooks")
    if _may_be_configured(space):
        from tatami.workspaces import git  # noqa: PLC0415 - only where a hook may be elsewhere

        found = git.text(space.path, "rev-parse", "--git-path", "hooks")
        directory = os.path.join(space.path, found)
    return [name for name in NAMES if os.access(os.path.join(directory, name), os.X_OK)]


def run(space: Workspace, name: str, arguments: tuple[str, ...], index: str) -> None:
    """Runs a hook in the workspace on a staged index; raises `ConflictError` when it refuses."""
    from tatami.workspaces import git  # noqa: PLC0415 - only where there is a hook

    extra: Mapping[str, str] = {"GIT_INDEX_FILE": index, "TATAMI_AGENT": space.name}
    command = ("hook", "run", "--ignore-missing", name, "--", *arguments)
    done = git.run(space.path, *command, extra=extra, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
        raise ConflictError(
            f"the {name} hook refused: {said[-OUTPUT_CHARS_KEPT:] or f'exit {done.returncode}'}",
            code="hook_failed",
            fix="repair what it names, then commit again (or: tatami commit --no-verify)",
        )


def edited_message(space: Workspace, message: str, index: str) -> str:
    """Lets `commit-msg` check and change a message; returns what it made of it."""
    path = os.path.join(space.git_dir, "COMMIT_EDITMSG")
    given = message if message.endswith("\n") else message + "\n"
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(given)
    run(space, "commit-msg", (path,), index)
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        left = file.read()
    return message if left == given else left


def _may_be_configured(space: Workspace) -> bool:
    """Whether any configuration git would read may set `core.hooksPath`.

    Looking is far cheaper than starting git for each commit; a file that includes others, or only
    mentions the setting, is left to git.
    """
    home = os.path.expanduser("~")
    config_home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    configs = (
        os.path.join(space.common, "config"),
        os.path.join(space.git_dir, "config.worktree"),
        os.path.join(home, ".gitconfig"),
        os.path.join(config_home, "git", "config"),
        *_SYSTEM_CONFIGS,
    )
    return any(_mentions(path) for path in configs)


def _mentions(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            text = file.read().lower()
    except OSError:
        return False
    return b"hookspath" in text or b"[include" in text
