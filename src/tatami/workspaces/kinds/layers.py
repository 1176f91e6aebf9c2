"""What an overlay workspace is made of: a shared lower tree, and an upper directory of its own.

Everything lies in `<git dir>/tatami`, where `git clean` does not come; only the mount point is
where people look for a workspace. Only the standard library: the hot verbs import this file.
"""

import os
from shlex import quote
from typing import Literal, NamedTuple

from tatami.values.errors import TatamiError
from tatami.values.ids import NOT_MOUNTED
from tatami.workspaces.head import first_line

RECORD = "tatami-overlay"
"""In the worktree's git directory: `TREE MARKS`. It makes a workspace an overlay, and is what
counts as a use of the lower tree."""


KEPT = ".kept-"
"""Beginning of the name of layers that lost their workspace with something in them."""


class Layers(NamedTuple):
    """An overlay workspace's parts. tree: the lower tree's id. home: the folder that is its own.

    user_attributes: the upper directory is marked with attributes that need no privileges.
    """

    common: str
    name: str
    tree: str
    user_attributes: bool

    @property
    def home(self) -> str:
        """The folder of this workspace's own layers."""
        return home(self.common, self.name)

    @property
    def upper(self) -> str:
        """The directory that holds what the workspace has changed."""
        return os.path.join(self.home, "upper")

    @property
    def work(self) -> str:
        """The directory that the kernel needs beside the upper one."""
        return os.path.join(self.home, "work")

    @property
    def lower(self) -> str:
        """The files of the shared tree."""
        return os.path.join(lower_folder(self.common), self.tree, "files")

    @property
    def lower_index(self) -> str:
        """git's index of the shared tree, as it was made."""
        return os.path.join(lower_folder(self.common), self.tree, "index")

    @property
    def mark(self) -> str:
        """An attribute of the upper directory that is seen by who can see the kernel's there."""
        return "user.tatami" if self.user_attributes else "trusted.tatami"

    @property
    def closed(self) -> str:
        """What the `.git` file of the mount point says while nothing is mounted there."""
        return f"gitdir: {os.path.join(self.home, NOT_MOUNTED.format(self.name))}\n"


def home(common: str, name: str) -> str:
    """The folder of an agent's own layers."""
    return os.path.join(common, "tatami", "overlay", name)


def lower_folder(common: str) -> str:
    """The folder of all shared trees."""
    return os.path.join(common, "tatami", "lower")


def is_overlay(git_dir: str) -> bool:
    """Whether the worktree with this git directory is an overlay workspace."""
    return os.path.exists(os.path.join(git_dir, RECORD))


def is_hollow(git_dir: str) -> bool:
    """Whether this is an overlay workspace whose lower tree somebody deleted under it."""
    return is_overlay(git_dir) and not os.path.isdir(of(git_dir).lower)


def of(git_dir: str) -> Layers:
    """The layers of the overlay workspace with this git directory; raises `TatamiError`."""
    path = os.path.join(git_dir, RECORD)
    try:
        tree, marks = first_line(path).split()
    except ValueError:
        raise TatamiError(
            f"{path} cannot be read", code="corrupt", fix=f"cat {quote(path)}"
        ) from None
    common = os.path.dirname(os.path.dirname(git_dir))
    return Layers(common, os.path.basename(git_dir), tree, marks == "user")


def record(git_dir: str, layers: Layers) -> None:
    """Writes down what an overlay workspace is made of."""
    marks = "user" if layers.user_attributes else "trusted"
    with open(os.path.join(git_dir, RECORD), "x", encoding="ascii") as file:
        file.write(f"{layers.tree} {marks}\n")


def warnings(git_dir: str, path: str, state: str) -> list[str]:
    """What a person should know about an overlay workspace in this state, with what to do."""
    parts = of(git_dir)
    name, found = parts.name, []
    if state == "unmounted":
        verb = f"tatami run {name} -- COMMAND"
        found.append(f"workspace {name} at {path} is not mounted; {verb} mounts it")
    elif state == "emptied":
        found.append(f"all files of workspace {name} were deleted: git -C {path} checkout .")
    elif state != "ready":
        found.append(f"workspace {name} at {path} is {state}")
    if not os.path.isdir(parts.lower):
        lost = f"the shared tree under workspace {name} was deleted"
        found.append(f"{lost}; tatami workspace remove {name} saves what it changed")
    return found


def lost(common: str) -> list[str]:
    """What a person should know about layers that lost their workspace with something in them."""
    folder = os.path.join(common, "tatami", "overlay")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else ()
    kept = [os.path.join(folder, name, "upper") for name in names if name.startswith(KEPT)]
    return [f"changes of a workspace whose registration is gone lie in {path}" for path in kept]


def is_deleted(git_dir: str) -> bool:
    """Whether the upper directory of an overlay workspace is gone, with all that it held."""
    return not os.path.isdir(of(git_dir).upper)


def unseen(git_dir: str, path: str) -> Literal["unmounted", "emptied", "missing"]:
    """Why an overlay workspace is not what its directory shows."""
    if is_deleted(git_dir):
        return "missing"
    if os.path.ismount(path):
        return "missing" if os.listdir(path) else "emptied"
    try:
        found = os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return "missing" if os.path.lexists(path) else "unmounted"
    return "unmounted" if found in ([], [".git"]) else "missing"
