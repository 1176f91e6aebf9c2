"""The full parser: every verb with its help; usage errors leave with 64 and the nearest verb."""

import difflib
import sys
from collections.abc import Sequence

import cyclopts
from rich.console import Console

from tatami.ui.cli.output import document, say
from tatami.version import VERSION

VERBS = {
    "init": ("cli.repository:init", "Make a git repository a Tatami one."),
    "serve": ("cli.repository:serve", "Run the hub in the foreground."),
    "stop": ("cli.repository:stop", "Stop the hub after it has finished what it accepted."),
    "status": ("cli.repository:status", "Show hub, agents, landing queue, trunk and warnings."),
    "workspace": ("cli.workspace:app", "Make, list and remove agents' workspaces (alias ws)."),
    "run": ("cli.run:run", "Run a command in an agent's workspace; its exit code is ours."),
    "commit": ("cli.lines.commit:commit", "Commit the workspace you are in, durably."),
    "undo": ("cli.lines.undo:undo", "Take back an agent's last step, and nothing of others'."),
    "land": ("cli.land:land", "Land agents' lines on the trunk."),
    "queue": ("cli.land:queue_app", "Show and steer the landing queue."),
    "orient": ("cli.recovery.orient:orient", "Say where an agent is and what to know first."),
    "conflicts": ("cli.land:conflicts_app", "Show landings that were handed back, every side."),
    "log": ("cli.history:log", "Show commits, newest first."),
    "op": ("cli.history:app", "Show the operation log."),
    "hook": ("hooks.verb:hook", "Answer one of git's hooks; git starts this."),
    "fsck": ("cli.repository:fsck", "Check that nothing acknowledged is missing."),
    "eject": ("cli.recovery.eject:eject", "Leave plain git behind, and nothing of Tatami."),
    "replay": ("cli.scenario:replay", "Deal a repository's real history to agents, all at once."),
    "scenario": ("cli.scenario:app", "Measure Tatami beside git worktrees and stock jj."),
}
"""Verb -> where in `tatami.ui` it is, and one line about it; in the order of the help page."""
ALIASES = {"ws": "workspace", "worktree": "workspace", "ops": "op"}


def build(summaries: bool = False) -> cyclopts.App:
    """The parser with every verb, each imported only when it is called.

    summaries: one line for each verb, instead of what the verb says of itself.
    """
    app = cyclopts.App(
        name="tatami",
        help="Version control for swarms of coding agents: one repository, many writers, "
        "nothing lost.",
        version=VERSION,
        console=Console(),
        error_console=Console(stderr=True),
        print_error=False,
        exit_on_error=False,
        result_action="return_value",
    )
    for order, (name, (where, words)) in enumerate(VERBS.items()):
        help = words if summaries else None
        app.command(f"tatami.ui.{where}", name=name, help=help, sort_key=order)
    return app


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; returns the exit code."""
    words = list(arguments)
    if words and words[0] in ALIASES:
        words[0] = ALIASES[words[0]]
    as_json = "--json" in words
    if words and not words[0].startswith("-") and words[0] not in VERBS:
        near = difflib.get_close_matches(words[0], [*VERBS, *ALIASES], 1)
        again = " ".join(["tatami", ALIASES.get(near[0], near[0]), *words[1:]]) if near else ""
        return _usage(f"there is no verb {words[0]!r}", again or "tatami --help", as_json)
    app = build(summaries=not words or words[0].startswith("-"))
    try:
        code = app(words)
    except cyclopts.CycloptsError as error:
        fix = _nearest(app, words) or " ".join(["tatami", *words[:1], "--help"])
        return _usage(str(error).strip(), fix, as_json)
    return code if isinstance(code, int) else 0


def _nearest(app: cyclopts.App, words: list[str]) -> str:
    """The command with its second word corrected; "" where that was not what is wrong."""
    known = [name for name in app[words[0]] if not name.startswith("-")] if words[1:] else []
    if not known or words[1] in known or words[1].startswith("-"):
        return ""
    near = difflib.get_close_matches(words[1], known, 1)
    return " ".join(["tatami", words[0], *near, *words[2:]]) if near else ""


def _usage(message: str, fix: str, as_json: bool) -> int:
    if as_json:
        document({"error": message, "code": "usage", "fix": fix})
    else:
        say(f"error: {message}")
        say(f"  fix: {fix}")
    sys.stderr.flush()
    return 64
