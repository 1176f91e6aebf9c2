"""`run`."""

import sys
from typing import Annotated

from cyclopts import Parameter

from tatami.ui.cli.output import failure, guarded


def run(
    name: str,
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    json: Annotated[bool, Parameter("--json", negative="")] = False,
) -> int:
    """Run a command in an agent's workspace: `tatami run NAME -- COMMAND`; its exit code is ours.

    It works in the workspace's directory, with TATAMI_AGENT set, and without the variables that
    could point git elsewhere. An overlay workspace that this user may not mount for everybody is
    seen by this command, and what it starts, alone.

    Parameters
    ----------
    name
        Whose workspace.
    command
        The command and its arguments, behind `--`.
    json
        Print our own errors as JSON; what the command prints is its own.
    """

    def work() -> int:
        from tatami.client import running
        from tatami.store.locate import find, marker

        place = find()
        marker(place)
        sys.stdout.flush()
        return running.run(place, name, command, lambda error: failure(error, json))

    return guarded(json, work)
