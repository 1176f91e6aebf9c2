"""Runs a command in a workspace, where that is mounted, in an environment that leads nowhere else.

A command whose workspace everybody sees takes this process's place, so that signals and exit code
are its own. One that needs namespaces gets a child of its own, and this process stays outside:
it passes signals on, and keeps a hub running, since none may start inside.
"""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from tatami.client import working
from tatami.client.connection import Connection
from tatami.client.start import INSIDE
from tatami.store.locate import Place
from tatami.values.errors import TatamiError, UsageError
from tatami.workspaces import worktree
from tatami.workspaces.kinds import mounting
from tatami.workspaces.worktree import Workspace

KEPT = frozenset(
    {
        *("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_TERMINAL_PROMPT"),
        *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
        *("GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER"),
        *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
    }
)
"""Variables of git's that say who works, how to reach a remote, or which settings are the user's.
All others can point git at another repository, index or object store."""
NOT_FOUND, NOT_RUNNABLE = 127, 126
"""Exit codes of a shell for a command that is not there, or cannot be run."""
_FORWARDED = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH),
)
_FROM_KERNEL = 128
"""How a signal is marked that a terminal sent, which it does to the command as well."""
_LOOK_SECONDS = 0.5
"""How long a command inside may have to wait for a hub that died."""


def run(place: Place, name: str, command: Sequence[str], tell: Callable[[TatamiError], int]) -> int:
    """Runs a command in an agent's workspace; returns its exit code if this process stays.

    128 + n where signal n killed it. tell: prints an error of the child's before the command runs.
    Raises `TatamiError` where there is no such workspace or command.
    """
    if not command:
        raise UsageError(
            "no command is given", code="usage", fix=f"tatami run {name} -- git status"
        )
    # Asked, so that one runs: whatever the command calls must not be the first to need it.
    connection = Connection(place)
    connection.ask("status", {})
    try:
        space = working.workspace_at(place, name)
    except TatamiError as error:
        if error.code != "not_mounted":
            raise
        return _run_inside(connection, _known(place, name), command, tell)
    connection.close()
    return _execute(space, command)


def step_inside(place: Place, agent: str | None, refusal: TatamiError) -> Workspace:
    """Makes an unmounted workspace visible for the rest of this process, which has one thread.

    Raises the refusal it comes from where that is of another kind.
    """
    if refusal.code != "not_mounted":
        raise refusal
    connection = Connection(place)
    connection.ask("status", {})
    connection.close()
    space = _known(place, agent)
    mounting.step_inside(space)
    os.environ[INSIDE] = "1"
    return space


def environment(space: Workspace, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables a command in a workspace gets, made of those this process has."""
    kept = {
        name: value
        for name, value in variables.items()
        if name in KEPT or not name.startswith(("GIT_", "JJ_"))
    }
    return kept | {"PWD": space.path, "TATAMI_AGENT": space.name}


def _known(place: Place, agent: str | None) -> Workspace:
    if agent is None:
        space = worktree.containing(place.worktree, place.git_dir, place.common)
    else:
        space = worktree.get(place.common, agent)
    assert space, "it was found a moment ago"
    return space


def _execute(space: Workspace, command: Sequence[str]) -> int:
    """Becomes the command; returns only if there is none."""
    os.chdir(space.path)
    try:
        os.execvpe(command[0], list(command), environment(space, os.environ))  # noqa: S606
    except FileNotFoundError:
        code, words = NOT_FOUND, "is not found"
    except OSError as error:
        code, words = NOT_RUNNABLE, f"cannot be run: {error.strerror}"
    refusal = UsageError(
        f"{command[0]} {words}", code="bad_command", fix=f"tatami run {space.name} -- COMMAND"
    )
    refusal.exit_code = code
    raise refusal


def _run_inside(
    connection: Connection,
    space: Workspace,
    command: Sequence[str],
    tell: Callable[[TatamiError], int],
) -> int:
    watched = {*_FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _child(space, command, tell)
    code = None
    while code is None:
        told = signal.sigtimedwait(watched, _LOOK_SECONDS)
        if told and told.si_signo in _FORWARDED and told.si_code != _FROM_KERNEL:
            with suppress(ProcessLookupError):
                os.kill(child, told.si_signo)
        code = _ended(child)
        with suppress(TatamiError):
            connection.keep()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    connection.close()
    return code


def _child(
    space: Workspace, command: Sequence[str], tell: Callable[[TatamiError], int]
) -> NoReturn:
    code = 1
    try:
        mounting.step_inside(space)
        os.environ[INSIDE] = "1"
        code = _execute(space, command)
    except TatamiError as error:
        code = tell(error)
    finally:
        os._exit(code)


def _ended(child: int) -> int | None:
    """A child's exit code as a shell has it; None while it runs."""
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
