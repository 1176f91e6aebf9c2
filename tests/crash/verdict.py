"""What must be true after every crash: nothing lost, nothing twice, all readable."""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import tatami
from tatami.store.fsck import check
from tatami.store.locate import find, marker
from tests import sandbox
from tests.conftest import STOCK_JJ
from tests.crash import workload

MODES = ("shared-log",)
"""The op-log modes that every suite runs in."""


def with_stock_jj() -> None:
    """Puts stock jj on the PATH, where it is built, so that fsck asks it as well."""
    path = os.environ["PATH"].split(os.pathsep)
    if STOCK_JJ.exists() and str(STOCK_JJ.parent) not in path:
        os.environ["PATH"] = os.pathsep.join([str(STOCK_JJ.parent), *path])


def recover(root: Path) -> None:
    """Lets a hub start on what the crash left, and stop again."""
    with tatami.Swarm.open(root) as swarm:
        swarm.visible()
        swarm.stop()
    sandbox.tatami(root, "stop")


def problems(root: Path, acks: Path) -> list[str]:
    """What fsck, stock git and stock jj find; acks: file with the acknowledged commits."""
    acks.touch()
    place = find(str(root))
    report = check(place, marker(place), acks_file=str(acks))
    return [f"{p.invariant} {p.where}: {p.what}" for p in report.problems]


def twice(subjects: Iterable[str]) -> list[str]:
    """What is there more than once."""
    return [f"{subject} is there {n} times" for subject, n in Counter(subjects).items() if n > 1]


def subjects(root: Path, *revs: str) -> list[str]:
    """First lines of commits as git has them, oldest first."""
    return sandbox.git(root, "log", "--reverse", "--format=%s", *revs).splitlines()


def work_problems(root: Path, acks: Path) -> list[str]:
    """As `problems`, and whether the reference workload had the effect it is to have, once."""
    recover(root)
    found = problems(root, acks)
    trunk = [line for line in subjects(root, "main") if not line.startswith("commit ")]
    if sorted(trunk) != sorted(workload.ON_TRUNK):
        found.append(f"the trunk has {trunk}")
    for name, wanted in workload.LINES.items():
        line = subjects(root, "main.." + f"agent/{name}")
        if tuple(line) != wanted:
            found.append(f"the line of {name} has {line}")
    for place in (root, root / ".tatami/workspaces" / workload.CODER):
        if changed := sandbox.git(place, "status", "--porcelain"):
            found.append(f"{place.name} is not clean: {changed}")
    return found


def interpreter(*words: str | Path) -> list[str]:
    """The command that runs a program with this interpreter."""
    return [sys.executable, "-P", *map(str, words)]
