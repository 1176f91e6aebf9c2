"""How every verb answers: one JSON document or text on stdout, prose and errors on stderr.

Only the standard library: the hot verbs import this file.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from tatami.values.errors import TatamiError

Json = dict[str, Any]


def document(value: object) -> None:
    """Prints one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """Prints prose for people, where it does not disturb programs."""
    print(text, file=sys.stderr)


def visible(text: str) -> str:
    """Text of a repository made safe for a terminal: control characters are escaped."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def failure(error: TatamiError, as_json: bool) -> int:
    """Prints an error the way it was asked for and returns its exit code."""
    if as_json:
        document(error.as_json())
    else:
        say(f"error: {visible(error.message)}")
        if error.fix:
            say(f"  fix: {visible(error.fix)}")
    return error.exit_code


def guarded(as_json: bool, verb: Callable[[], int | None]) -> int:
    """Runs a verb; its `TatamiError` becomes output and exit code."""
    try:
        return verb() or 0
    except TatamiError as error:
        return failure(error, as_json)
    except BrokenPipeError:
        raise  # whoever read our output has seen enough: `main` ends quietly
    except OSError as error:
        known = {13: "permission", 1: "permission", 30: "permission", 28: "no_space"}
        code = known.get(error.errno or 0, "io")
        wrapped = TatamiError(str(error), code=code, fix="check the path, its owner and free space")
        return failure(wrapped, as_json)


def one_line(message: str, width: int = 72) -> str:
    """The first line of a message, cut to a width."""
    first = visible(message.strip().split("\n", 1)[0])
    return first if len(first) <= width else first[: width - 1] + "…"
