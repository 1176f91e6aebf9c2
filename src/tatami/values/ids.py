"""Names of agents, commands and refs."""

import re
from typing import NamedTuple

from tatami.values.errors import UsageError
from tatami.values.limits import AGENT_NAME_CHARS_MAX

AGENT_REF_PREFIX = "refs/heads/agent/"
AGENT_BOOKMARK_PREFIX = "agent/"
_AGENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
INCARNATION_SECOND_MAX = 0xFFFFFFFF
_COMMAND = re.compile(r"[0-9a-f]{24}:[1-9][0-9]{0,14}")


def agent_name(text: str) -> str:
    """Checks an agent's name: one path and branch component of letters, digits, `.`, `_`, `-`."""
    ok = _AGENT.fullmatch(text) and len(text) <= AGENT_NAME_CHARS_MAX
    if not ok or ".." in text or text.lower().endswith(".lock"):
        raise UsageError(
            f"agent name {text!r} is not usable: 1 to {AGENT_NAME_CHARS_MAX} letters, digits, "
            "'.', '_' or '-', beginning with a letter or digit, not ending in '.' or '.lock'",
            code="bad_agent_name",
            fix="tatami workspace add coder-1",
        )
    return text


def agent_bookmark(agent: str) -> str:
    """The bookmark (and git branch) that holds an agent's line of changes."""
    return AGENT_BOOKMARK_PREFIX + agent


def agent_ref(agent: str) -> str:
    """The full git ref of an agent's branch."""
    return AGENT_REF_PREFIX + agent


class CommandId(NamedTuple):
    """Names a request for ever: the client's incarnation (24 hex digits) and its sequence number.

    A hub answers an id it has seen with the same answer and does nothing.
    """

    incarnation: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.incarnation}:{self.sequence}"

    @classmethod
    def parse(cls, text: str) -> "CommandId":
        """Reads what `str()` wrote; raises `UsageError` for anything else."""
        if not _COMMAND.fullmatch(text):
            raise UsageError(f"{text[:80]!r} is not a command id", code="bad_command_id")
        return cls(text[:24], int(text[25:]))


def incarnation(second: int, random: str, horizon: str = "") -> str:
    """A new client's part of its command ids; their order is that of the clients' ages.

    second: the wall clock, since 1970. random: 16 hex digits. horizon: up to which incarnation the
    hub may have forgotten clients. The new one is younger, though this clock may be late.
    """
    second = max(second, int(horizon[:8] or "0", 16) + 1)
    return f"{min(second, INCARNATION_SECOND_MAX):08x}{random}"


NOT_MOUNTED = "not mounted; use: tatami run {} -- COMMAND"
"""Names the directory that the `.git` file of a workspace points to while it is not mounted. There
is none such: git stops there and prints the name, instead of taking the repository around it."""
