"""Mounts overlay workspaces: for all processes where that is permitted, else for one command.

A user without privileges may mount only in namespaces of his own, where nobody else sees it. One
upper directory must never be mounted twice at a time, so whoever comes second goes where the first
one is; a lock is held while that is found out.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shlex import quote

from tatami import _core
from tatami.values.errors import BusyError, ConflictError, TatamiError
from tatami.workspaces import worktree
from tatami.workspaces.core import core_errors
from tatami.workspaces.kinds import layers, lower
from tatami.workspaces.kinds.layers import Layers
from tatami.workspaces.worktree import Workspace

LOCK = "lock"
"""In a workspace's own folder: `flock`ed while somebody finds out whether to mount it."""
_OCTAL = re.compile(rb"\\([0-7]{3})")
_UPPER = re.compile(rb"upperdir=([^,]*)")
_NOT_PERMITTED = ("permission", "unsupported")


def mount(space: Workspace) -> None:
    """Mounts a workspace for all processes, unless it is mounted; raises `TatamiError`.

    `not_mounted` where this process may not.
    """
    parts = layers.of(space.git_dir)
    with _alone(parts):
        if not os.path.isdir(parts.lower):
            # What is mounted shows an empty tree; nothing of it may be taken for deletions.
            detach(space, space.path)
        if worktree.state(space) != "unmounted":
            return
        pid = inside(parts)
        if pid:
            raise not_mounted(space, f"process {pid} has it mounted for itself")
        remade = _require_lower(parts)
        make_point(parts, space.path)
        try:
            attach(parts, space.path)
        except TatamiError as error:
            if error.code not in _NOT_PERMITTED:
                raise
            raise not_mounted(space, error.message) from error
        _stand_inside(space.path)
        if remade:
            _refresh(space)


def make_point(parts: Layers, path: str) -> None:
    """Makes the directory to mount at, in which git refuses to work while nothing is mounted."""
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, ".git"), "w", encoding="utf-8") as file:
        file.write(parts.closed)


def attach(parts: Layers, path: str) -> None:
    """Mounts layers at a directory, in this process's mount namespace."""
    with core_errors():
        _core.mount_overlay((parts.lower, parts.upper, parts.work), path, parts.user_attributes)


def detach(space: Workspace, path: str) -> None:
    """Unmounts a workspace from a directory; raises `BusyError` (`workspace_in_use`).

    A process that works there would go on writing what nobody saves.
    """
    try:
        with core_errors():
            _core.unmount(path)
    except TatamiError as error:
        if error.code == "busy":
            raise in_use(space, users(path)) from None
        if error.code != "not_found":
            raise


def is_any_mounted(folder: str) -> bool:
    """Whether this process sees an overlay mounted whose upper directory is below a folder."""
    with suppress(OSError):
        return any(upper.startswith(folder + os.sep) for _, upper in _overlays("self"))
    return False


def detach_below(folder: str) -> None:
    """Unmounts every overlay below a folder that is to be deleted; raises `TatamiError`."""
    with suppress(FileNotFoundError):
        for path, _ in reversed(_overlays("self")):
            if path.startswith(folder + os.sep):
                with core_errors():
                    _core.unmount(path)


def step_inside(space: Workspace) -> None:
    """Moves this process, which must have one thread, to where the workspace is mounted.

    That is into namespaces of its own, or those where somebody has it mounted already. Raises
    `TatamiError` (`not_mounted`) where the system forbids it.
    """
    parts, here = layers.of(space.git_dir), os.getcwd()
    with _alone(parts):
        pid = inside(parts)
        remade = not pid and _require_lower(parts)
        make_point(parts, space.path)
        try:
            with core_errors():
                if pid:
                    _core.join_namespaces(pid)
                else:
                    _core.enter_namespaces()
            if not pid:
                attach(parts, space.path)
        except TatamiError as error:
            if error.code not in {*_NOT_PERMITTED, "not_found"}:
                raise
            raise not_mounted(space, error.message) from error
    # Whoever joins a namespace stands at its root; whoever mounts, under the mount.
    os.chdir(here)
    if remade:
        _refresh(space)


def inside(parts: Layers) -> int | None:
    """A process in another namespace that has the workspace mounted; None for nobody."""
    ours = os.readlink("/proc/self/ns/mnt")
    seen = {ours}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
            if namespace not in seen:
                seen.add(namespace)
                if any(upper == parts.upper for _, upper in _overlays(pid)):
                    return int(pid)
    return None


def users(path: str) -> list[str]:
    """The processes with their working directory, root or an open file at or below a directory.

    As `PID COMMAND`; only those that this user may look at.
    """
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            folder = os.path.join("/proc", pid)
            files = (f"fd/{name}" for name in os.listdir(os.path.join(folder, "fd")))
            places = (os.readlink(os.path.join(folder, n)) for n in ("cwd", "root", "exe", *files))
            if any(place == path or place.startswith(path + "/") for place in places):
                with open(os.path.join(folder, "comm"), encoding="utf-8", errors="replace") as file:
                    found.append(f"{pid} {file.read().strip()}")
    return found


def in_the_way(space: Workspace) -> TatamiError:
    """The refusal to mount over what somebody put into the workspace's directory."""
    return ConflictError(
        f"{space.path} holds something else than workspace {space.name}, whose own changes are "
        f"in {layers.of(space.git_dir).upper}",
        code="directory_in_the_way",
        fix=f"mv {quote(space.path)} {quote(space.path + '.old')}",
    )


def in_use(space: Workspace, processes: list[str]) -> BusyError:
    """The refusal to take a workspace away from processes that work in it."""
    who = ", ".join(processes[:5]) or "a process of another user"
    return BusyError(
        f"workspace {space.name} is in use by {who}",
        code="workspace_in_use",
        fix="end them (cd elsewhere, close editors), then try again",
    )


def emptied(space: Workspace) -> TatamiError:
    """Lets git work again where all files were deleted, and says what happened.

    `rm -rf` cannot remove a mount point: it leaves an empty directory, in which git would take the
    repository around it.
    """
    make_pointer(space.git_dir, space.path)
    return ConflictError(
        f"all files of workspace {space.name} were deleted; what was committed is on "
        f"agent/{space.name}",
        code="workspace_emptied",
        fix=f"git -C {quote(space.path)} checkout .  (or: tatami workspace remove {space.name})",
    )


def make_pointer(git_dir: str, directory: str) -> None:
    """Writes the `.git` file that makes a directory a worktree."""
    with open(os.path.join(directory, ".git"), "w", encoding="utf-8") as file:
        file.write(f"gitdir: {git_dir}\n")


def not_mounted(space: Workspace, why: str) -> TatamiError:
    """The error that says where a workspace can be seen."""
    return TatamiError(
        f"workspace {space.name} is not mounted here: {why}",
        code="not_mounted",
        fix=f"tatami run {quote(space.name)} -- COMMAND",
    )


@contextmanager
def _alone(parts: Layers) -> Iterator[None]:
    """Keeps others from mounting the workspace while the block runs."""
    lock = os.open(os.path.join(parts.home, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _overlays(pid: str) -> list[tuple[str, str]]:
    """Where a process sees overlays mounted, and their upper directories; raises `OSError`."""
    found = []
    with open(f"/proc/{pid}/mountinfo", "rb") as file:
        for line in file:
            row = line.rstrip(b"\n").split(b" ")
            kind, _, options = row[row.index(b"-") + 1 :]
            if kind == b"overlay":
                upper = _UPPER.search(options)
                shown = _plain(upper[1]) if upper else ""
                found.append((_plain(row[4]), re.sub(r"\\(.)", r"\1", shown)))
    return found


def _plain(text: bytes) -> str:
    """A path as the kernel lists it, where blanks are octal numbers."""
    return os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), text))


def _require_lower(parts: Layers) -> bool:
    """Makes the lower tree anew where somebody deleted it; whether it did."""
    if os.path.isdir(parts.lower):
        return False
    lower.ensure(parts.common, parts.tree)
    return True


def _stand_inside(path: str) -> None:
    """Follows into what was just mounted over this process's working directory."""
    with suppress(OSError):
        here = os.getcwd()
        if here == path or here.startswith(path + os.sep):
            os.chdir(here)


def _refresh(space: Workspace) -> None:
    """Lets git note the times and inode numbers of a lower tree that was made anew."""
    from tatami.workspaces import git  # noqa: PLC0415 - mostly git is not needed

    git.run(space.path, "update-index", "-q", "--refresh", check=False)
