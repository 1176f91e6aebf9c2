"""Plain git verbs at random in many workspaces at once, checked against what git alone does.

Every step runs twice: in a workspace of a repository that a hub watches, and in a worktree of a
twin that Tatami has never seen. Dates are fixed, so that equal work makes equal commit ids; after
each step HEAD, index and status of both must be the same. Only the agent's branch, while something
else is checked out, comes along with us and not alone; it is moved there too before git goes back.

    python -m tests.drills.git_verbs --workspaces 20 --seconds 300 --seed 1
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tatami import Swarm
from tatami.store import git
from tatami.store.initialise import initialise
from tatami.store.locate import find
from tatami.store.repository import Repository

FILES = tuple(f"dir{n % 3}/file{n}.txt" for n in range(9))
LINES = 12
START_S = 1_700_000_000
NOTICED_SECONDS = 3.0
"""The hub looks every half second."""
SETTINGS = {
    "user.name": "Drill",
    "user.email": "drill@example.org",
    "core.editor": "true",
    # The dates are old ones: git's own clean-up would forget where HEAD was before.
    "gc.reflogExpire": "never",
    "gc.reflogExpireUnreachable": "never",
}
CONFIG = tuple(word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}"))


@dataclass(slots=True)
class Side:
    """One of the two worktrees a workspace consists of."""

    path: Path

    def git(self, seconds: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs git with the clock standing at a step's time."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "JJ_"))}
        date = f"{START_S + seconds} +0000"
        kept |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            ["git", "-C", self.path, *CONFIG, *arguments],
            capture_output=True, text=True, check=False, env=kept,
        )  # fmt: skip

    def state(self) -> tuple[str, ...]:
        """HEAD, the branch, what is staged, and what differs."""
        asked = (
            ("rev-parse", "HEAD"),
            ("symbolic-ref", "-q", "HEAD"),
            ("ls-files", "--stage"),
            ("status", "--porcelain"),
        )
        return tuple(self.git(0, *arguments).stdout for arguments in asked)


@dataclass(slots=True)
class Run:
    """What happened in one workspace."""

    name: str
    verbs: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    rested: set[str] = field(default_factory=set)
    """Commits that HEAD was at when the run ended."""


class Workspace(threading.Thread):
    """Does random verbs in both sides of one workspace until the time is over."""

    def __init__(self, name: str, sides: tuple[Side, Side], seed: int, stop: Callable[[], bool]):
        super().__init__(name=name)
        self.sides = sides
        self.random = random.Random(f"{seed}/{name}")
        self.stop = stop
        self.result = Run(name)
        self.step = 0

    def run(self) -> None:
        """The thread's body; ends at the first difference."""
        try:
            while not self.stop() and not self.result.failures:
                self.step += 1
                verb = self.random.choice(VERBS)
                self.result.verbs[verb.__name__] += 1
                for arguments in verb(self):
                    self.both(*arguments)
                self.compare(verb.__name__)
            self.result.rested.add(self.sides[0].git(0, "rev-parse", "HEAD").stdout.strip())
        except Exception as error:
            self.result.failures.append(f"step {self.step}: {error!r}")
            raise

    def both(self, *arguments: str) -> bool:
        """Runs git on both sides; whether it succeeded there."""
        ours, alone = (side.git(self.step, *arguments) for side in self.sides)
        if ours.returncode != alone.returncode:
            self.fail(f"git {arguments} gave {ours.returncode} {ours.stderr!r}, "
                      f"alone {alone.returncode} {alone.stderr!r}")  # fmt: skip
        if "index.lock" in ours.stderr:
            self.fail(f"git {arguments}: {ours.stderr}")
        if alone.returncode:
            self.result.refused[arguments[0]] += 1
        return alone.returncode == 0

    def meet(self) -> None:
        """Lets the agent's branch come along to where HEAD has been, alone as with us."""
        ours, alone = self.sides
        with Swarm.open(ours.path) as swarm:
            swarm.status()
        ref = f"refs/heads/agent/{self.name}"
        moved, unmoved = (side.git(0, "rev-parse", ref).stdout.strip() for side in self.sides)
        if moved != unmoved:
            if moved not in alone.git(0, "reflog", "--format=%H", "HEAD").stdout.split():
                self.fail(f"agent/{self.name} is at {moved}, where HEAD never was")
            alone.git(0, "update-ref", ref, moved)

    def compare(self, verb: str) -> None:
        """Notes a failure where the two sides are not the same."""
        ours, alone = (side.state() for side in self.sides)
        if ours != alone:
            differing = [(a, b) for a, b in zip(ours, alone, strict=True) if a != b]
            self.fail(f"{verb}: ours and alone: {differing} in {alone}")

    def fail(self, words: str) -> None:
        """Notes a failure with what repeats it."""
        self.result.failures.append(f"{self.name} step {self.step}: {words}")

    def write(self, path: str, content: str | None) -> None:
        """Writes a file (None: deletes it) on both sides."""
        for side in self.sides:
            file = side.path / path
            if content is None:
                file.unlink(missing_ok=True)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)

    def edit(self) -> None:
        """Changes a line of a file, adds one, or deletes one."""
        path = self.random.choice(FILES)
        file = self.sides[1].path / path
        lines = file.read_text().splitlines() if file.is_file() else []
        kind = self.random.random()
        if kind < 0.1 and lines:
            self.write(path, None)
        elif kind < 0.25 or not lines:
            new = f"new-{self.name}-{self.step}.txt"
            self.write(new, f"{self.random.random()}\n")
        else:
            lines[self.random.randrange(len(lines))] = f"{self.name} {self.step}"
            self.write(path, "\n".join(lines) + "\n")


Steps = Iterator[tuple[str, ...]]


def add(space: Workspace) -> Steps:
    space.edit()
    yield "add", "--all"


def commit(space: Workspace) -> Steps:
    space.edit()
    yield "add", "--all"
    yield "commit", "-q", "-m", f"{space.name} {space.step}"


def commit_all(space: Workspace) -> Steps:
    space.edit()
    yield "commit", "-q", "-a", "-m", f"{space.name} {space.step}"


def amend(space: Workspace) -> Steps:
    space.edit()
    yield "add", "--all"
    yield "commit", "-q", "--amend", "-m", f"{space.name} amended {space.step}"


def edit(space: Workspace) -> Steps:
    space.edit()
    yield ("status", "--short")


def stash(space: Workspace) -> Steps:
    # The stash is one for all worktrees: push and pop go together.
    space.edit()
    with STASH:
        for words in (("stash", "push", "-q", "--include-untracked"), ("stash", "pop", "-q")):
            if not space.both(*words):
                break
    yield ("status", "--short")


def branch(space: Workspace) -> Steps:
    yield "switch", "-q", "-c", f"{space.name}-{space.step}"


def back(space: Workspace) -> Steps:
    space.meet()
    yield "switch", "-q", "-"


def detach(space: Workspace) -> Steps:
    yield "switch", "-q", "--detach"


def old(space: Workspace) -> Steps:
    yield "checkout", "-q", f"HEAD~{space.random.randrange(3)}"


def rebase(space: Workspace) -> Steps:
    if not space.both("rebase", "-q", "base-side"):
        yield "rebase", "--abort"


def rebase_on(space: Workspace) -> Steps:
    # Edits that do not apply afterwards go to the stash, which is one for all worktrees.
    with STASH:
        if not space.both("rebase", "-q", "--autostash", "--onto", "base-side", "HEAD~1"):
            space.both("checkout", "-q", "--theirs", ".")
            space.both("add", "--all")
            if not space.both("rebase", "--continue"):
                space.both("rebase", "--abort")
    yield ("status", "--short")


def merge(space: Workspace) -> Steps:
    if not space.both("merge", "-q", "--no-edit", "base-side"):
        yield "merge", "--abort"


def merge_theirs(space: Workspace) -> Steps:
    yield "merge", "-q", "--no-edit", "-X", "theirs", "base-other"


def cherry_pick(space: Workspace) -> Steps:
    if not space.both("cherry-pick", "base-other"):
        yield "cherry-pick", "--abort"


def revert(space: Workspace) -> Steps:
    if not space.both("revert", "--no-edit", "HEAD"):
        yield "revert", "--abort"


def reset_hard(space: Workspace) -> Steps:
    yield "reset", "-q", "--hard", f"HEAD~{space.random.randrange(2)}"


def reset_soft(space: Workspace) -> Steps:
    yield "reset", "-q", "--soft", "HEAD~1"


def reset_mixed(space: Workspace) -> Steps:
    yield "reset", "-q", "HEAD~1"


def restore(space: Workspace) -> Steps:
    space.edit()
    yield "restore", "."


def restore_staged(space: Workspace) -> Steps:
    space.edit()
    yield "add", "--all"
    yield "restore", "--staged", "."


def remove(space: Workspace) -> Steps:
    yield "rm", "-q", "-f", "--ignore-unmatch", space.random.choice(FILES)


def move(space: Workspace) -> Steps:
    yield "mv", "-k", space.random.choice(FILES), f"moved-{space.step}.txt"


def clean(space: Workspace) -> Steps:
    space.edit()
    yield "clean", "-q", "-f", "-d"


VERBS = (
    add, commit, commit, commit, commit_all, amend, edit, stash, branch, back, detach, old, rebase,
    rebase_on, merge, merge_theirs, cherry_pick, revert, reset_hard, reset_soft, reset_mixed,
    restore, restore_staged, remove, move, clean,
)  # fmt: skip
STASH = threading.Lock()


def base_repository(root: Path) -> None:
    """A repository with a trunk of a few commits and two branches to merge and pick from."""
    side = Side(root)
    root.mkdir(parents=True)
    side.git(0, "init", "-q", "-b", "main")

    def record(seconds: int, text: str) -> None:
        for number, path in enumerate(FILES):
            file = root / path
            file.parent.mkdir(exist_ok=True)
            file.write_text("".join(f"{text} {number} {line}\n" for line in range(LINES)))
        side.git(seconds, "add", "--all")
        side.git(seconds, "commit", "-q", "-m", text)

    record(0, "first")
    record(1, "second")
    for seconds, name in ((2, "base-side"), (3, "base-other")):
        side.git(seconds, "switch", "-q", "-c", name, "main")
        (root / FILES[seconds]).write_text(f"{name}\n" * LINES)
        (root / f"{name}.txt").write_text(f"{name}\n")
        side.git(seconds, "add", "--all")
        side.git(seconds, "commit", "-q", "-m", name)
    side.git(4, "switch", "-q", "main")


def drill(folder: Path, workspaces: int, seed: int, stop: Callable[[int], bool]) -> list[Run]:
    """Runs the drill; `stop(workspace's steps)` ends each. Raises nothing: failures are in runs."""
    ours, alone = folder / "ours", folder / "alone"
    for root in (ours, alone):
        base_repository(root)
    names = [f"w{number}" for number in range(workspaces)]
    initialise(find(str(ours)), None)
    with Swarm.open(ours) as swarm:
        agents = swarm.agents(names)
        for name in names:
            path = alone / ".worktrees" / name
            Side(alone).git(5, "worktree", "add", "-q", "-b", f"agent/{name}", str(path))
        threads: list[Workspace] = []
        for name, agent in zip(names, agents, strict=True):
            sides = (Side(Path(agent.path)), Side(alone / ".worktrees" / name))
            thread = Workspace(name, sides, seed, lambda: False)
            thread.stop = lambda thread=thread: stop(thread.step)  # type: ignore[misc]
            threads.append(thread)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(NOTICED_SECONDS)
        runs = [thread.result for thread in threads]
        check_known(ours, runs)
        swarm.stop()
    return runs


def check_known(root: Path, runs: list[Run]) -> None:
    """Every commit that a HEAD can reach where its run ended is in the operation log."""
    repository = Repository.open(find(str(root)), writes=False)
    try:
        for run in runs:
            listed = git.text(str(root), "rev-list", *run.rested).split() if run.rested else []
            missing = [commit for commit in listed if not repository.is_known(commit)]
            if missing:
                run.failures.append(f"{run.name}: not in the operation log: {missing}")
    finally:
        repository.close()


def main() -> int:
    """Runs the drill and prints one JSON document; 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspaces", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tatami-git-verbs-") as folder:
        end = time.monotonic() + options.seconds
        runs = drill(
            Path(folder), options.workspaces, options.seed, lambda _: time.monotonic() > end
        )
    verbs = sum((run.verbs for run in runs), Counter[str]())
    failures = [words for run in runs for words in run.failures]
    document = {
        "workspaces": options.workspaces,
        "seconds": options.seconds,
        "seed": options.seed,
        "steps": verbs.total(),
        "verbs": dict(sorted(verbs.items())),
        "refused_by_git": dict(sum((run.refused for run in runs), Counter[str]())),
        "failures": failures,
    }
    print(json.dumps(document, indent=1))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
