"""One agent as a process of its own: commits (and lands) on, whatever becomes of the hub.

`python writer.py ROOT NAME COMMITS ACKS [land]` appends one line to ACKS for every answer.
"""

import sys

import tatami


def main(root: str, name: str, commits: int, acks: str, land: bool) -> None:
    """Does one thing after another and notes each acknowledgement outside the repository."""
    with tatami.Swarm.open(root) as swarm, open(acks, "a", encoding="ascii") as told:
        agent = swarm.agent(name, workspace=False)
        for number in range(commits):
            content = f"{name} {number}\n".encode()
            commit = agent.commit(f"{name} {number}", {f"{name}/{number}.txt": content})
            print(commit.id, file=told, flush=True)
            if land:
                result = agent.land().result()
                assert result.state == "landed", result


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], "land" in sys.argv[5:])
