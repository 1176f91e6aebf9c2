"""Makes and takes down overlay workspaces, and tells whether this machine lets us.

The caller holds `making.one_at_a_time`. A workspace's own layers are in a folder outside of the
working copy; what was once written there is never deleted before it is saved, only moved aside.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress

from tatami import _core
from tatami.values.errors import TatamiError
from tatami.values.ids import agent_ref
from tatami.workspaces.core import core_errors
from tatami.workspaces.kinds import layers, lower, mounting
from tatami.workspaces.kinds.layers import KEPT, Layers
from tatami.workspaces.worktree import LOCK_REASON, Workspace

LEAVING = ".removing-"
"""Beginning of the name of layers that are being deleted: all in them is saved."""
_PROBE = ".probe-"
_PROBE_SECONDS_MAX = 30
_SYS_ADMIN = 21
"""The number of the capability that mounting needs."""


def why_not(common: str, in_namespaces: bool = False) -> str:
    """Why this process may not mount overlays for all ("" where it may), by trying.

    in_namespaces: whether it may in namespaces of its own instead, tried by another process.
    """
    folder = os.path.join(common, "tatami", "overlay")
    # What another process has mounted proves nothing for one without its privileges.
    if not in_namespaces and _is_privileged() and mounting.is_any_mounted(folder):
        return ""
    os.makedirs(folder, exist_ok=True)
    place = tempfile.mkdtemp(prefix=_PROBE, dir=folder)
    try:
        if not in_namespaces:
            return probe(place)
        # Namespaces cannot be left again, and a process with threads cannot enter them.
        script = (
            "import sys; from tatami.workspaces.kinds import overlay; "
            "print(overlay.probe(sys.argv[1], True), end='')"
        )
        command = [sys.executable, "-P", "-c", script, place]
        done = subprocess.run(command, capture_output=True, check=False, timeout=_PROBE_SECONDS_MAX)
        said = done.stdout.decode("utf-8", "replace")
        return said if done.returncode == 0 else "the trial did not end well"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _is_privileged() -> bool:
    """Whether this process may mount at all (`CAP_SYS_ADMIN`)."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        rows = dict(row.split(":", 1) for row in file if ":" in row)
    return bool(int(rows.get("CapEff", "0"), 16) >> _SYS_ADMIN & 1)


def probe(place: str, in_namespaces: bool = False) -> str:
    """Mounts an empty overlay in an empty folder and unmounts it; returns the error, or ""."""
    parts = [os.path.join(place, name) for name in ("lower", "upper", "work", "shown")]
    for part in parts:
        os.mkdir(part)
    shown = parts[3]
    trial = (parts[0], parts[1], parts[2])
    try:
        with core_errors():
            if in_namespaces:
                _core.enter_namespaces()
            try:
                _core.mount_overlay(trial, shown, in_namespaces, volatile=True)
            except _core.CoreError as error:
                if error.code != "unsupported":
                    raise
                # Kernels before 5.10 know no volatile mounts.
                _core.mount_overlay(trial, shown, in_namespaces)
            _core.unmount(shown)
    except TatamiError as error:
        return error.message
    return ""


def make(space: Workspace, tree: str, visible: bool) -> None:
    """Makes an overlay workspace over a lower tree that is there; on an error nothing is left.

    visible: mount it for all processes; else it is seen inside `tatami run` only.
    """
    parts = Layers(space.common, space.name, tree, user_attributes=not visible)
    _keep(parts)
    try:
        _register(space, parts)
        for folder in (parts.upper, parts.work):
            os.makedirs(folder)
        os.setxattr(parts.upper, parts.mark, b"1")
        mounting.make_pointer(space.git_dir, parts.upper)
        mounting.make_point(parts, space.path)
        # Who changes the index writes a new file, so that all can begin with the same one.
        os.link(parts.lower_index, os.path.join(space.git_dir, "index"))
        if visible:
            mounting.attach(parts, space.path)
    except BaseException:
        discard(space)
        raise


def _register(space: Workspace, parts: Layers) -> None:
    os.makedirs(os.path.dirname(space.git_dir), exist_ok=True)
    os.mkdir(space.git_dir)
    # Locked before it is complete: `git worktree prune` must not see half of it.
    files = {
        "locked": LOCK_REASON,
        "HEAD": f"ref: {agent_ref(space.name)}",
        "commondir": "../..",
        "gitdir": os.path.join(os.path.realpath(space.path), ".git"),
    }
    for name, text in files.items():
        with open(os.path.join(space.git_dir, name), "x", encoding="utf-8") as file:
            file.write(text + "\n")
    layers.record(space.git_dir, parts)


def discard(space: Workspace) -> None:
    """Takes down a workspace that nobody has worked in yet, whatever of it was made."""
    with suppress(TatamiError), core_errors():
        _core.unmount(space.path)
    shutil.rmtree(layers.home(space.common, space.name), ignore_errors=True)
    shutil.rmtree(space.git_dir, ignore_errors=True)
    remove_point(space.path)


def remove_point(path: str) -> None:
    """Removes a mount point where nothing is mounted; anything but our own file in it stays."""
    with suppress(OSError):
        if os.listdir(path) == [".git"]:
            os.unlink(os.path.join(path, ".git"))
        os.rmdir(path)


def take_aside(space: Workspace) -> str | None:
    """Clears away a half-made workspace; returns where its files are, if it had any."""
    mounting.detach(space, space.path)
    parts = layers.of(space.git_dir)
    aside = _keep(parts)
    shutil.rmtree(space.git_dir)
    remove_point(space.path)
    return aside


def begin_removal(space: Workspace) -> None:
    """Gives the layers of an unmounted workspace the name of those that may be deleted."""
    with suppress(FileNotFoundError):
        os.rename(layers.home(space.common, space.name), _leaving(space.common, space.name))


def resume(space: Workspace) -> None:
    """Puts back the layers of a workspace whose removal a crash interrupted."""
    leaving, home = _leaving(space.common, space.name), layers.home(space.common, space.name)
    if os.path.isdir(leaving) and not os.path.lexists(home):
        os.rename(leaving, home)


def sweep(common: str) -> None:
    """Finishes what crashes interrupted: layers that are saved, trees that nobody uses."""
    folder = os.path.join(common, "tatami", "overlay")
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        agent = name.removeprefix(LEAVING)
        unregistered = not layers.is_overlay(os.path.join(common, "worktrees", agent))
        if name.startswith(_PROBE) or (name.startswith(LEAVING) and unregistered):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    lower.sweep(common)


def _keep(parts: Layers) -> str | None:
    """Moves layers aside that an earlier workspace left; returns where, if they hold anything."""
    if not os.path.isdir(parts.home):
        return None
    files = os.listdir(parts.upper) if os.path.isdir(parts.upper) else []
    if files in ([], [".git"]):
        shutil.rmtree(parts.home)
        return None
    aside = tempfile.mkdtemp(prefix=f"{KEPT}{parts.name}-", dir=os.path.dirname(parts.home))
    os.rename(parts.home, aside)
    return os.path.join(aside, "upper")


def _leaving(common: str, name: str) -> str:
    return layers.home(common, LEAVING + name)
