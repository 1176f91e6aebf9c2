"""Has git hand pushes to the trunk to Tatami: one setting and one hook in the repository."""

import os
import sys
from shlex import quote

from tatami.store import git

HOOK = "proc-receive"
SETTING = "receive.procReceiveRefs"
MARK = "# Tatami: a push of an agent's line to the trunk goes through the landing queue.\n"


def install(common: str, trunk: str) -> str:
    """Installs the hook; returns why not ("" where it is installed).

    A hook of somebody else stays, and so does a shared `core.hooksPath`: an agent then lands with
    `tatami land` only.
    """
    shared = git.run(common, "config", "core.hooksPath", check=False).stdout.strip()
    if shared:
        return "core.hooksPath is set"
    path = os.path.join(common, "hooks", HOOK)
    if os.path.lexists(path) and not is_ours(path):
        return f"{path} is somebody else's"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    program = os.path.join(os.path.dirname(sys.executable), "tatami")
    script = f"#!/bin/sh\n{MARK}exec {quote(program)} hook {HOOK}\n"
    with open(path + ".tatami", "w", encoding="utf-8") as file:
        file.write(script)
    os.chmod(path + ".tatami", 0o700)
    os.rename(path + ".tatami", path)
    ref = f"refs/heads/{trunk}"
    known = git.run(common, "config", "--local", "--get-all", SETTING, check=False).stdout
    if ref not in known.decode("utf-8", "replace").split():
        git.run(common, "config", "--local", "--add", SETTING, ref)
    return ""


def uninstall(common: str, trunk: str) -> None:
    """Takes hook and setting away again."""
    path = os.path.join(common, "hooks", HOOK)
    if is_ours(path):
        os.unlink(path)
    value = f"^refs/heads/{trunk}$".replace(".", r"\.")
    git.run(common, "config", "--local", "--unset-all", SETTING, value, check=False)


def is_ours(path: str) -> bool:
    """Whether a hook is the one that `install` wrote."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return MARK in file.read(1024)
    except OSError:
        return False
