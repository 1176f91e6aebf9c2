"""Power cuts: agents at work on a small disk that dies at a random moment, again and again."""

import os
import random
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import tatami
from tests import sandbox
from tests.crash import agents, verdict
from tests.crash.image import Image

NOSYNC = Path(__file__).with_name("native") / "nosync.c"
MEGABYTES = 96
NAMES = ("bytes-1", "bytes-2", "lands-1", "space-1")
AFTER_SECONDS_MAX = 0.4
"""The power goes at most this long after a round's first acknowledgement."""
QUIET = 0.25
"""The share of cuts that come when nobody has written for a moment: nothing follows that would
bring to the disk what a missing barrier left in memory."""
STALL_SECONDS_MAX = 60.0
IN_THE_WAY = re.compile(r"cannot follow: [^']*'([^']+)'")
ASIDE_MAX = 10


class PowerCuts:
    """A repository on a disk of its own, its agents, and their acknowledgements elsewhere."""

    def __init__(
        self, directory: Path, seed: int, names: tuple[str, ...] = NAMES, preload: str = ""
    ) -> None:
        """preload: a library that every hub is started with, to take something away from it."""
        self._chance = random.Random(seed)
        self._names = names
        self._environment = {"LD_PRELOAD": preload} if preload else {}
        self._round = 0
        self.image = Image.make(directory, MEGABYTES)
        self.root = self.image.place / "repo"
        self.acks = directory / "acks"
        self.acks.touch()
        sandbox.make_repository(self.root)
        sandbox.tatami_json(self.root, "init")
        subprocess.run(["sync", "--file-system", self.root], check=True)

    @property
    def acked(self) -> int:
        """How many commits were acknowledged so far, landed ones counted twice."""
        return len(self.acks.read_bytes()) // 41

    def cut(self) -> list[str]:
        """One round: work, a cut, and what is wrong afterwards."""
        self._round += 1
        before = self.acked
        hub = self._start_hub()
        words = verdict.interpreter(
            agents.__file__, self.root, self.acks, str(self._round), *self._names
        )
        writer = subprocess.Popen(words, stderr=subprocess.DEVNULL, cwd="/")
        try:
            give_up = time.monotonic() + STALL_SECONDS_MAX
            while self.acked == before and time.monotonic() < give_up:
                time.sleep(0.002)
            time.sleep(self._chance.random() * AFTER_SECONDS_MAX)
            if self._chance.random() < QUIET:
                writer.kill()
                writer.wait()
                time.sleep(self._chance.random() * 0.02)
            self.image.cut()
        finally:
            self._everybody_dies(writer, hub)
        self.image.unmount()
        self.image.mount()
        return self._problems()

    def close(self) -> None:
        """Ends whoever is left and unmounts."""
        for hub in sandbox.hubs_under(self.image.place):
            sandbox.kill_hub(hub)
        with suppress(subprocess.CalledProcessError):
            self.image.unmount()

    def _start_hub(self) -> subprocess.Popen[bytes]:
        """Starts the hub of a round; a later one (of a client that missed it) is as good."""
        ours, theirs = os.pipe()
        words = verdict.interpreter("-m", "tatami.hub", self.root, str(theirs))
        environment = os.environ | self._environment
        hub = subprocess.Popen(
            words, pass_fds=(theirs,), cwd="/", env=environment, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            pipe.readline()
        return hub

    def _everybody_dies(self, *ours: subprocess.Popen[bytes]) -> None:
        for process in ours:
            process.kill()
            process.wait()
        for hub in sandbox.hubs_under(self.image.place):
            sandbox.kill_hub(hub)

    def _problems(self) -> list[str]:
        """What is wrong once a hub has started on what the disk kept."""
        try:
            verdict.recover(self.root)
        except tatami.TatamiError as error:
            return [f"no hub starts: {error.code} {error.message}"]
        found = verdict.problems(self.root, self.acks)
        # Each line is cut off where the last round ended: what is on the trunk is there once, and
        # so is what is on a line.
        for rev in ("main", *(f"agent/{name}" for name in self._names)):
            with suppress(AssertionError):
                found += [f"{rev}: {what}" for what in verdict.twice(self._subjects(rev))]
        self._reboot()
        for name in self._names:
            if name.startswith("space"):
                found += self._workspace_problems(name)
        return found

    def _reboot(self) -> None:
        """Makes locks older than the machine's start, which a real power cut would have moved."""
        for lock in (self.root / ".git/worktrees").glob("*/index.lock"):
            os.utime(lock, (1, 1))

    def _subjects(self, rev: str) -> list[str]:
        return [line for line in verdict.subjects(self.root, rev) if "." in line]

    def _workspace_problems(self, name: str) -> list[str]:
        """git and the agent can go on in a workspace: whatever is left is an edit like any."""
        space = self.root / ".tatami/workspaces" / name
        if not space.exists():
            return []
        words = ("commit", "-m", f"{name} {self._round}.after", "--json")
        done = sandbox.tatami(space, *words)
        for _ in range(ASIDE_MAX):
            # What was not on the disk yet stands against what the line has: the error says so.
            in_the_way = IN_THE_WAY.search(done.stdout)
            if not in_the_way:
                break
            with suppress(FileNotFoundError):
                (space / in_the_way[1]).rename(space / f"{in_the_way[1]}.aside-{self._round}")
            sandbox.git(space, "restore", "--staged", "--worktree", in_the_way[1])
            done = sandbox.tatami(space, *words)
        if done.returncode and "nothing_to_commit" not in done.stdout:
            return [f"{name}: {(done.stdout + done.stderr).strip()}"]
        changed = sandbox.run(space, "git", "status", "--porcelain", check=False)
        said = (changed.stdout + changed.stderr).decode().strip()
        return [f"{name}: after a commit git says {said}"] if said else []


@contextmanager
def power_cuts(
    directory: Path, seed: int, names: tuple[str, ...] = NAMES, preload: str = ""
) -> Iterator[PowerCuts]:
    """A disk with a repository; afterwards nothing is mounted and nobody is left."""
    cuts = PowerCuts(directory, seed, names, preload)
    try:
        yield cuts
    finally:
        cuts.close()


def without_barrier(barrier: int, directory: Path) -> Path:
    """Compiles the library that takes a barrier away; raises `OSError` or `CalledProcessError`."""
    directory.mkdir(parents=True, exist_ok=True)
    library = directory / "nosync.so"
    words = ["cc", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", f"-DBARRIER={barrier}"]
    subprocess.run(
        [*words, "-o", str(library), str(NOSYNC), "-ldl"], check=True, capture_output=True
    )
    return library
