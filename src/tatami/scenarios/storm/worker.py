"""One agent of a storm, as a process: `python -m tatami.scenarios.storm.worker ORDERS`.

Says "ready" on stdout, begins when a line comes on stdin, and leaves its measurements as JSON.
Each answer is waited for before the next commit begins; a durable answer goes to the log of acks.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO

import msgspec

from tatami.client.swarm import Agent, Swarm
from tatami.scenarios.storm.values import ArmName, From, Run
from tatami.scenarios.storm.workload import Step
from tatami.store import git
from tatami.store.locate import find
from tatami.values.errors import TatamiError
from tatami.workspaces import snapshot

Commit = Callable[[Step], str]
"""Makes one commit durable; returns its id, or "" where asking for it would cost a process."""
SCANS = 5
"""Scans timed after the storm, of a workspace that is clean."""


class Orders(msgspec.Struct, frozen=True):
    """What a worker does and where it writes: `result` (JSON) and `acks` (a commit id a line)."""

    arm: ArmName
    agent: str
    root: str
    workspace: str
    source: From
    steps: list[Step]
    result: str
    acks: str
    jj: str = ""


class TimedSwarm(Swarm):
    """A swarm that knows how long it waited for the hub."""

    waited_ms = 0.0

    def command(
        self, verb: str, fields: dict[str, object], body: Sequence[bytes] = ()
    ) -> dict[str, object]:
        """As `Swarm.command`."""
        begun = time.perf_counter()
        try:
            return super().command(verb, fields, body)
        finally:
            self.waited_ms += (time.perf_counter() - begun) * 1000


def main(path: str) -> int:
    """Does what the orders in a file say."""
    with open(path, "rb") as file:
        orders = msgspec.msgpack.decode(file.read(), type=Orders)
    swarm = TimedSwarm(find(orders.root)) if orders.arm == "tatami" else None
    with_files = orders.source != "bytes"
    agent = swarm.agent(orders.agent, workspace=with_files) if swarm else None
    if agent:
        commit = _files(agent) if with_files else _bytes(agent)
    else:
        commit = _git(orders) if orders.arm == "git-worktree" else _jj(orders)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        return 1
    with open(orders.acks, "a", encoding="ascii") as acks:
        run = _run(commit, orders.steps, acks)
    scan_ms = _scan_ms(agent) if agent and with_files else 0.0
    result = msgspec.to_builtins(run) | {"hub_ms": swarm.waited_ms if swarm else 0.0}
    with open(orders.result, "wb") as out:
        out.write(msgspec.json.encode(result | {"scan_ms": scan_ms}))
    return 0


def _run(commit: Commit, steps: Sequence[Step], acks: IO[str]) -> Run:
    ack_ms: list[float] = []
    commits: list[str] = []
    failures: list[str] = []
    cpu = _cpu_s()
    begun = time.monotonic()
    for step in steps:
        asked = time.perf_counter()
        try:
            id = commit(step)
        except (TatamiError, OSError) as error:
            failures.append(f"{step.message}: {error}")
            continue
        ack_ms.append((time.perf_counter() - asked) * 1000)
        commits.append(id)
        acks.write(id + "\n")
        acks.flush()
    ended = time.monotonic()
    return Run(begun, ended, ack_ms, commits, _cpu_s() - cpu, failures=failures)


def _cpu_s() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    usages = (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _bytes(agent: Agent) -> Commit:
    return lambda step: agent.commit(step.message, {step.path: step.content}).id


def _files(agent: Agent) -> Commit:
    def commit(step: Step) -> str:
        _write(agent.path, step)
        return agent.commit(step.message).id

    return commit


def _git(orders: Orders) -> Commit:
    def commit(step: Step) -> str:
        _write(orders.workspace, step)
        git.run(orders.workspace, "add", "--", step.path)
        git.run(orders.workspace, "commit", "--quiet", "-m", step.message)
        return ""

    return commit


def _jj(orders: Orders) -> Commit:
    command = [orders.jj, "--quiet", "--no-pager", "--color=never", "commit", "-m"]

    def commit(step: Step) -> str:
        _write(orders.workspace, step)
        done = subprocess.run(
            [*command, step.message], cwd=orders.workspace, capture_output=True, check=False
        )
        if done.returncode:
            raise TatamiError(done.stderr.decode("utf-8", "replace").strip(), code="jj")
        return ""

    return commit


def _write(root: str, step: Step) -> None:
    place = os.path.join(root, step.path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(step.content)


def _scan_ms(agent: Agent) -> float:
    """The median milliseconds of a scan that finds nothing."""
    assert agent.workspace
    head = git.text(agent.path, "rev-parse", "HEAD")
    times = []
    for _ in range(SCANS):
        begun = time.perf_counter()
        snapshot.changed_paths(agent.workspace, head)
        times.append((time.perf_counter() - begun) * 1000)
    return sorted(times)[SCANS // 2]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
