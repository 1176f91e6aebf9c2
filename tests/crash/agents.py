"""Agents side by side in one process, who commit and land until the machine dies.

`python agents.py ROOT ACKS ROUND NAME...`: one thread an agent, each with its own connection; a
name that begins with `space` has a workspace and commits its files, a name that begins with `lands`
lands what it commits. The id in every answer is appended to ACKS, which lies on another disk.
"""

import contextlib
import os
import sys
import threading
from itertools import count

import tatami


def work(root: str, acks: int, round: str, name: str) -> None:
    """One agent's work; ends with the hub, which nobody starts again."""
    with contextlib.suppress(tatami.TatamiError, OSError), tatami.Swarm.open(root) as swarm:
        agent = swarm.agent(name, workspace=name.startswith("space"), kind="checkout")
        for number in count():
            subject = f"{name} {round}.{number}"
            path = f"{name}/{number % 50}.txt"
            content = f"{subject}\n".encode() * 20
            if agent.workspace:
                target = os.path.join(agent.path, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as file:
                    file.write(content)
                commit = agent.commit(subject)
            else:
                commit = agent.commit(subject, {path: content})
            os.write(acks, f"{commit.id}\n".encode())
            if name.startswith("lands"):
                result = agent.land().result()
                assert result.state == "landed", result
                os.write(acks, "".join(f"{id}\n" for id in result.commits).encode())


def main(root: str, acks: str, round: str, names: list[str]) -> None:
    """Starts the agents and waits for their end."""
    file = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    threads = [threading.Thread(target=work, args=(root, file, round, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
