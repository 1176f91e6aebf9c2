"""The kill drill: a storm whose hub is killed at random moments, and the check of what remains."""

import contextlib
import os
import random
import time
from collections.abc import Callable, Sequence

import psutil

from tatami.scenarios.history.clone import folder, hubs
from tatami.scenarios.measure import Json
from tatami.scenarios.storm.arms import Tatami
from tatami.scenarios.storm.race import race
from tatami.scenarios.storm.run import arm, check, field, prepare
from tatami.scenarios.storm.values import Asked
from tatami.store import fsck
from tatami.store.locate import marker

ACK_BYTES = 41
"""A line in a worker's log of acks: a commit id and a newline."""
AGAIN = 0.2
"""How often a kill is followed at once by another one, while the next hub is starting."""
AGAIN_SECONDS_MAX = 0.5
"""The longest time between such two."""
KILLED_UNTIL = 0.95
"""The share of commits after which nothing is killed: somebody has to need the next hub."""
POLL_SECONDS = 0.002
STALL_SECONDS_MAX = 60.0
"""Without an ack, or a hub to kill, for this long the drill ends; the workers say what failed."""


class Killer:
    """Kills hubs of one repository at random points of a storm's progress."""

    def __init__(self, root: str, acks: int, kills: int, seed: int) -> None:
        self._root = root
        self._chance = random.Random(seed)  # noqa: S311 - a drill that can be repeated
        marks = range(int(acks * KILLED_UNTIL))
        self._marks = sorted(self._chance.sample(marks, min(kills, len(marks))))
        self._kills = kills
        self.killed: list[int] = []
        """How many acks there were at each kill."""

    def __call__(self, logs: Sequence[str]) -> None:
        """Kills until it has killed often enough; `logs` are the workers' logs of acks."""
        for mark in self._marks:
            count = _wait_for(logs, mark)
            if count is None or len(self.killed) >= self._kills:
                return
            self._kill(count)
            if self._chance.random() < AGAIN and len(self.killed) < self._kills:
                time.sleep(self._chance.random() * AGAIN_SECONDS_MAX)
                self._kill(_count(logs))

    def _kill(self, acks: int) -> None:
        """Kills the hub, and whatever was just started to become it; counts as one kill."""
        give_up = time.monotonic() + STALL_SECONDS_MAX
        while not (found := hubs(self._root)) and time.monotonic() < give_up:
            time.sleep(POLL_SECONDS)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if found:
            self.killed.append(acks)


def drill(
    asked: Asked, kills: int, seed: int = 1, say: Callable[[str], None] = lambda _: None
) -> Json:
    """Runs a storm of bytes, kills its hub `kills` times, and checks every commit; one row."""
    check(asked)
    with folder(keep=False) as place:
        template = os.path.join(place, "template")
        files = prepare(asked, template)
        say(f"{asked.agents * asked.commits} commits, {kills} kills, seed {seed}")
        with field(template, os.path.join(place, "repository"), files) as there:
            tatami = arm(asked, "tatami", "", there.root)
            assert isinstance(tatami, Tatami)
            killer = Killer(there.root, asked.agents * asked.commits, kills, seed)
            row = race(asked, tatami, there, killer)
            say("checking")
            acks_file = os.path.join(there.folder, "acks")
            _join(there.folder, acks_file)
            report = fsck.check(tatami.place, marker(tatami.place), acks_file=acks_file)
    problems = [f"{p.invariant}: {p.where}: {p.what}" for p in report.problems]
    return row | {
        "kills": len(killer.killed),
        "killed_at": killer.killed,
        "seed": seed,
        "fsck": {"ok": report.ok, "checked": report.checked, "problems": problems[:20]},
    }


def passed(row: Json) -> bool:
    """Whether every commit asked for is in history once and nothing is damaged."""
    fsck_found = row["fsck"]
    assert isinstance(fsck_found, dict)
    return (
        row["acked"] == row["asked"] == row["in_history"]
        and [row["lost"], row["duplicated"], row["divergent"], row["failures"]] == [0, 0, 0, []]
        and bool(fsck_found["ok"])
    )


def _count(logs: Sequence[str]) -> int:
    return sum(os.path.getsize(log) // ACK_BYTES for log in logs)


def _wait_for(logs: Sequence[str], mark: int) -> int | None:
    """Waits until there are `mark` acks; None where nothing moves any more."""
    seen, since = _count(logs), time.monotonic()
    while seen < mark:
        time.sleep(POLL_SECONDS)
        count = _count(logs)
        if count != seen:
            seen, since = count, time.monotonic()
        elif time.monotonic() - since > STALL_SECONDS_MAX:
            return None
    return seen


def _join(directory: str, target: str) -> None:
    logs = sorted(name for name in os.listdir(directory) if name.startswith("acks-"))
    with open(target, "wb") as out:
        for name in logs:
            with open(os.path.join(directory, name), "rb") as log:
                out.write(log.read())
