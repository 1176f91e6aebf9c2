"""The full parser: every verb with its help; usage errors leave with 64 and the nearest verb."""

import difflib
import sys
from collections.abc import Sequence

import cyclopts
from rich.console import Console

from tatami.ui.cli.output import document, say
from tatami.version import VERSION

VERBS = {
    "init": "tatami.ui.cli.repository:init",
    "serve": "tatami.ui.cli.repository:serve",
    "stop": "tatami.ui.cli.repository:stop",
    "status": "tatami.ui.cli.repository:status",
    "fsck": "tatami.ui.cli.repository:fsck",
    "workspace": "tatami.ui.cli.workspace:app",
    "commit": "tatami.ui.cli.commit:commit",
    "log": "tatami.ui.cli.history:log",
    "op": "tatami.ui.cli.history:app",
    "land": "tatami.ui.cli.land:land",
    "queue": "tatami.ui.cli.land:queue_app",
    "conflicts": "tatami.ui.cli.land:conflicts_app",
    "replay": "tatami.ui.cli.scenario:replay",
    "scenario": "tatami.ui.cli.scenario:app",
}
ALIASES = {"ws": "workspace", "worktree": "workspace", "ops": "op"}


def build() -> cyclopts.App:
    """The parser with every verb, each imported only when it is called."""
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
    for name, where in VERBS.items():
        app.command(where, name=name)
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
    app = build()
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
