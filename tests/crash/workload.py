"""The reference workload: a little of everything that writes, each step noted outside.

`python workload.py ROOT ACKS` appends the id of every commit that was answered to ACKS. It can be
run again after its own death: a step whose effect is there is not taken twice, as a person would
look first.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import tatami

BYTES, CODER, GUEST = "bytes", "coder", "guest"
ON_TRUNK = ("b1", "b2", "w1 amended", "x1")
"""First lines of what has landed at the end, each once."""
LINES = {BYTES: ("b1", "b2"), CODER: ("g1", "w2")}
"""First lines of the lines at the end, oldest first, without what they begin on."""


class Work:
    """The steps, in the order in which they are taken."""

    def __init__(self, swarm: tatami.Swarm, acks: Path) -> None:
        self._swarm = swarm
        self._acks = acks

    def run(self) -> None:
        """Takes every step that has not been taken."""
        self._swarm.agent(BYTES, workspace=False)
        coder = Path(self._swarm.agent(CODER, kind="checkout").path)
        self._commit(BYTES, "b1", {"b/1.txt": b"one\n"})
        self._commit(BYTES, "b2", {"b/2.txt": b"two\n"})
        if "w1 amended" not in self._line(CODER):
            (coder / "w.txt").write_text("w\n")
            self._commit(CODER, "w1")
            (coder / "w.txt").write_text("w, better\n")
            self._commit(CODER, "w1 amended", amend=True)
        self._land(CODER, "w1 amended")
        self._by_git(coder, "g1", "g.txt")
        self._land(BYTES, "b2")
        self._swarm.known_agent(CODER).sync()
        self._commit(CODER, "w2", {"w2.txt": b"w2\n"})
        self._guest()

    def _guest(self) -> None:
        """A workspace that comes, lands one commit, and goes."""
        if "x1" not in self._trunk():
            guest = Path(self._swarm.agent(GUEST, kind="checkout").path)
            (guest / "x.txt").write_text("x\n")
            self._commit(GUEST, "x1")
            self._land(GUEST, "x1")
        if self._has_workspace(GUEST):
            self._swarm.remove_workspace(GUEST)

    def _commit(
        self, name: str, message: str, changes: dict[str, bytes] | None = None, amend: bool = False
    ) -> None:
        if message in self._line(name):
            return
        commit = self._swarm.known_agent(name).commit(message, changes, amend)
        with self._acks.open("a", encoding="ascii") as told:
            print(commit.id, file=told, flush=True)

    def _land(self, name: str, last: str) -> None:
        """Lands a line up to the commit `last`, unless it is on the trunk or on its way there."""
        while last not in self._trunk():
            waiting = [row["entry"] for row in self._swarm.queue() if row["agent"] == name]
            waiting = waiting or self._swarm.land([name]).entries
            (row,) = self._swarm.finished(waiting)
            assert row["state"] == "landed", row

    def _by_git(self, space: Path, message: str, name: str) -> None:
        if message in self._line(CODER):
            return
        # A client that was killed leaves git's lock; the next one takes it over, git would not.
        with suppress(tatami.TatamiError):
            self._swarm.known_agent(CODER).commit("nothing", paths=["w.txt"])
        (space / name).write_text(message)
        for words in (("add", name), ("commit", "--quiet", "--message", message)):
            subprocess.run(["git", *words], cwd=space, check=True)

    def _line(self, name: str) -> list[str]:
        return [row["description"].strip() for row in self._swarm.log(f"agent/{name}")]

    def _trunk(self) -> list[str]:
        return [row["description"].strip() for row in self._swarm.log("main")]

    def _has_workspace(self, name: str) -> bool:
        return any(row["name"] == name for row in self._swarm.workspaces())


def main(root: str, acks: str) -> None:
    """Runs the workload to its end."""
    with tatami.Swarm.open(root) as swarm:
        Work(swarm, Path(acks)).run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
