"""Sparse workspaces: git's own sparse checkout in cone mode, made by the core in one go.

Only the standard library: the hot verbs import this file.
"""

import os
from collections.abc import Sequence

from tatami.values.errors import UsageError
from tatami.values.paths import repo_path

_ON = "sparsecheckout = true"
_CONFIG = "[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = true\n"


def kind(git_dir: str) -> str:
    """The kind of a worktree that is no overlay, by what git is told about it."""
    try:
        with open(os.path.join(git_dir, "config.worktree"), encoding="utf-8") as file:
            return "sparse" if _ON in file.read().lower() else "checkout"
    except (OSError, UnicodeDecodeError):
        return "checkout"


def directories(given: Sequence[str]) -> list[str]:
    """Checks the directories of a cone; raises `UsageError` for one that cannot be in a tree."""
    found = []
    for path in given:
        inner = path.rstrip("/").removeprefix("./")
        if inner in {"", "."}:
            raise UsageError(
                f"{path!r} is the whole repository", code="bad_path", fix="leave --sparse out"
            )
        found.append(str(repo_path(inner)))
    return sorted(set(found))


def describe(git_dir: str, cone: Sequence[str]) -> None:
    """Tells git about the cone of a worktree, as `git sparse-checkout set --cone` does."""
    os.makedirs(os.path.join(git_dir, "info"), exist_ok=True)
    with open(os.path.join(git_dir, "info", "sparse-checkout"), "w", encoding="utf-8") as file:
        file.write(patterns(cone))
    with open(os.path.join(git_dir, "config.worktree"), "w", encoding="utf-8") as file:
        file.write(_CONFIG)


def patterns(cone: Sequence[str]) -> str:
    """git's patterns for these directories: all files at the root and on the way are in, too."""
    parents = {
        path[:position] for path in cone for position, c in enumerate(path) if c == "/"
    } - set(cone)
    lines = ["/*", "!/*/"]
    for path in sorted({*cone, *parents}):
        if any(path.startswith(above + "/") for above in cone):
            continue
        lines.append(f"/{_escaped(path)}/")
        if path in parents:
            lines.append(f"!/{_escaped(path)}/*/")
    return "".join(line + "\n" for line in lines)


def allow_worktree_config(common: str) -> None:
    """Makes git read each worktree's own settings, once for the repository.

    What is meant for the main worktree alone becomes its own setting first, as git does it.
    """
    from tatami.workspaces import git  # noqa: PLC0415 - only where a sparse workspace is made

    done = git.run(common, "config", "--type=bool", "extensions.worktreeConfig", check=False)
    if done.stdout.strip() == b"true":
        return
    file = os.path.join(common, "config.worktree")
    for name in ("core.worktree", "core.bare"):
        found = git.run(
            common, "config", "--file", os.path.join(common, "config"), name, check=False
        )
        value = found.stdout.decode("utf-8", "replace").rstrip("\n")
        if found.returncode == 0 and (name, value) != ("core.bare", "false"):
            git.run(common, "config", "--file", file, name, value)
            git.run(common, "config", "--file", os.path.join(common, "config"), "--unset", name)
    git.run(common, "config", "extensions.worktreeConfig", "true")


def _escaped(path: str) -> str:
    """A path as a pattern that means nothing but itself."""
    return "".join("\\" + c if c in "*?[\\" else c for c in path)
