"""What each agent of a storm commits. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from tatami.scenarios.storm.values import Workload

NEW_FILE_BYTES = 2_000
"""About the size of a small source file."""


class Step(NamedTuple):
    """One commit: its message, which names it among all, and the one file it writes."""

    message: str
    path: str
    content: bytes


def steps(
    agent: int, agents: int, commits: int, workload: Workload, files: Sequence[tuple[str, bytes]]
) -> list[Step]:
    """The commits of agent number `agent` (from 0). No two agents touch the same file.

    new: files beside those there are. edit: one line in the middle of an existing one.
    """
    if workload == "edit" and len(files) < agents:
        raise ValueError(f"{len(files)} files are too few for {agents} agents to edit")
    found = []
    own = len(files) // agents
    for number in range(commits):
        message = f"storm agent {agent} commit {number}"
        if workload == "edit":
            path, content = files[agent + agents * (number % own)]
            found.append(Step(message, path, _edited(content, message)))
            continue
        folder = files[(agent * commits + number) % len(files)][0].rpartition("/")[0]
        path = f"{folder}/agent{agent}_{number}.py".lstrip("/")
        found.append(Step(message, path, _new(message)))
    return found


def _edited(content: bytes, message: str) -> bytes:
    lines = content.splitlines(keepends=True)
    lines[len(lines) // 2] = f"# {message}\n".encode()
    return b"".join(lines)


def _new(message: str) -> bytes:
    line = f"# {message}\n".encode()
    return line * (NEW_FILE_BYTES // len(line) + 1)
