"""`commit`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from tatami.ui.cli import hot
from tatami.ui.cli.output import guarded
from tatami.values.errors import UsageError


def commit(
    *,
    message: Annotated[str, Parameter(["-m", "--message"])] = "",
    agent: str | None = None,
    paths: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    amend: Annotated[bool, Parameter("--amend", negative="")] = False,
    no_verify: Annotated[bool, Parameter(["--no-verify", "-n"], negative="")] = False,
    ack: Literal["visible", "journal"] = "visible",
    json: Annotated[bool, Parameter("--json", negative="")] = False,
) -> int:
    """Commit the workspace you are in; durable when this returns, and `git status` is clean.

    Parameters
    ----------
    message
        The commit message.
    agent
        Whose workspace (default: the one this directory belongs to).
    paths
        Only these files or directories.
    amend
        Replace the last commit.
    no_verify
        Do not run the git hooks `pre-commit` and `commit-msg`.
    ack
        When to answer; in the op-log mode `shared-log` both mean durable and visible.
    json
        Print one JSON document.
    """
    options = {
        "message": message,
        "agent": agent,
        "paths": paths,
        "amend": amend,
        "no_verify": no_verify,
        "ack": ack,
        "json": json,
    }

    def work() -> None:
        if not message and not amend:
            raise UsageError(
                "the commit message is empty", code="empty_message", fix="tatami commit -m MESSAGE"
            )
        hot.commit(options)

    return guarded(json, work)
