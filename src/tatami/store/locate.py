"""Finds the repository a path belongs to, by looking at files as git does, without running git.

Only the standard library: the hot verbs import this file.
"""

import json
import os
from typing import NamedTuple

from tatami.values.errors import TatamiError, UsageError
from tatami.values.ids import NOT_MOUNTED

MARKER = "tatami.json"
STATE_FORMAT = 1
JJ_REPO = os.path.join("jj", ".jj", "repo")
"""Our own jj repository in the state folder; an adopted one is recorded with its path."""


class Place(NamedTuple):
    """Where a path is: its worktree's root and git directory, and the repository's shared parts.

    root: the main worktree's root. common: the git directory all worktrees share. state: ours.
    """

    worktree: str
    git_dir: str
    common: str
    root: str
    state: str

    @property
    def workspaces(self) -> str:
        """The directory agents' workspaces are made in."""
        return os.path.join(self.root, ".tatami", "workspaces")


class Marker(NamedTuple):
    """What `init` recorded: the trunk's branch name, and where jj's repository is."""

    trunk: str
    jj_repo: str


def find(path: str = ".") -> Place:
    """Returns the place of the innermost repository around `path`; raises `UsageError`."""
    start = os.path.realpath(path)
    if not os.path.isdir(start):
        raise UsageError(f"{path} is not a directory", code="not_found", fix="cd into a repository")
    directory = start
    while True:
        dot_git = os.path.join(directory, ".git")
        if os.path.isdir(dot_git):
            return _place(directory, dot_git)
        if os.path.isfile(dot_git):
            return _place(directory, _pointer(dot_git))
        if _is_git_dir(directory):
            return _inside_git_dir(start, directory)
        parent = os.path.dirname(directory)
        if parent == directory:
            raise UsageError(
                f"{start} is not inside a git repository",
                code="not_a_repository",
                fix="git init && git commit --allow-empty -m start",
            )
        directory = parent


def marker(place: Place) -> Marker:
    """Reads what `init` recorded; raises `UsageError` where there is nothing or a newer format.

    Raises `TatamiError` (`log_gone`) where the operation log it names is not there any more.
    """
    known = recorded(place)
    if not os.path.isdir(known.jj_repo):
        raise TatamiError(
            f"the operation log is gone: there is no {os.path.normpath(known.jj_repo)} any more "
            "(git clean -x deletes one in a checkout); commits are in git and stay there",
            code="log_gone",
            fix="tatami init",
        )
    return known


def recorded(place: Place) -> Marker:
    """As `marker`, whether the operation log is there or not."""
    try:
        with open(os.path.join(place.state, MARKER), encoding="utf-8") as file:
            record = json.load(file)
        number, trunk = int(record["format"]), str(record["trunk"])
        jj_repo = os.path.join(place.state, record.get("jj", JJ_REPO))
        if not trunk or "\0" in trunk + jj_repo:
            raise ValueError("a name that is none")
    except FileNotFoundError:
        message = f"{place.root} is not a Tatami repository yet"
        if os.path.isdir(os.path.join(place.state, "hub")):
            message = f"{place.root} is not wholly initialised: there is no {place.state}/{MARKER}"
        raise UsageError(message, code="not_initialised", fix="tatami init") from None
    except PermissionError as error:
        raise TatamiError(str(error), code="permission", fix=f"ls -ld {place.state}") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise TatamiError(
            f"{place.state}/tatami.json is damaged: {error}",
            code="corrupt",
            fix="tatami fsck --repair",
        ) from None
    if number > STATE_FORMAT:
        raise UsageError(
            f"{place.state} was written by a newer Tatami (format {number}, this one knows "
            f"{STATE_FORMAT}); nothing was changed",
            code="newer_format",
            fix="upgrade tatami",
        )
    return Marker(trunk, jj_repo)


def write_marker(place: Place, record: dict[str, object]) -> None:
    """Records, durably and in one step, what `marker` is to read."""
    path = os.path.join(place.state, MARKER)
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _place(worktree: str, git_dir: str) -> Place:
    common = git_dir
    try:
        with open(os.path.join(git_dir, "commondir"), encoding="utf-8") as file:
            common = os.path.realpath(os.path.join(git_dir, file.read().strip()))
    except FileNotFoundError:
        pass
    main = main_worktree(common) or worktree
    return Place(worktree, git_dir, common, main, os.path.join(common, "tatami"))


def main_worktree(common: str) -> str | None:
    """The main worktree of a git directory; None where that does not say (`--separate-git-dir`).

    A submodule's git directory lies in that of the repository around it, and names its worktree.
    """
    if os.path.basename(common) == ".git":
        return os.path.dirname(common)
    section = ""
    with open(os.path.join(common, "config"), encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            name, _, value = (word.strip() for word in line.partition("="))
            section = name.lower() if name.startswith("[") else section
            if (section, name.lower()) == ("[core]", "worktree"):
                return os.path.realpath(os.path.join(common, value.strip('"')))
    return None


def _pointer(dot_git: str) -> str:
    with open(dot_git, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(8192)
    if not text.startswith("gitdir: "):
        raise UsageError(f"{dot_git} does not point to a git directory", code="not_a_repository")
    target = os.path.join(os.path.dirname(dot_git), text[len("gitdir: ") :].rstrip("\n"))
    if not os.path.isdir(target):
        folder, name = os.path.split(target)
        agent = os.path.basename(folder)
        if name == NOT_MOUNTED.format(agent):
            # <common>/tatami/overlay/AGENT: where to mount what belongs here is recorded.
            common = os.path.join(folder, *[os.pardir] * 3)
            return os.path.realpath(os.path.join(common, "worktrees", agent))
        raise UsageError(
            f"{dot_git} points to {target}, which does not exist",
            code="not_a_repository",
            fix="git worktree repair",
        )
    return os.path.realpath(target)


def _is_git_dir(directory: str) -> bool:
    return all(
        os.path.exists(os.path.join(directory, name)) for name in ("HEAD", "objects", "refs")
    )


def _inside_git_dir(start: str, directory: str) -> Place:
    parent = os.path.dirname(directory)
    if os.path.basename(directory) == ".git":
        return _place(parent, directory)
    raise UsageError(
        f"{start} is a bare repository; agents need one with a working tree",
        code="bare_repository",
        fix=f"git clone {start} work && cd work && tatami init",
    )
