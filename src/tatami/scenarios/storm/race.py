"""Runs one arm of a storm: worker processes behind a barrier, then the count."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from tatami.scenarios.measure import Json, latencies, per_second
from tatami.scenarios.storm.arms import Arm, JjWorkspaces
from tatami.scenarios.storm.values import Asked, Run
from tatami.scenarios.storm.worker import Orders
from tatami.scenarios.storm.workload import Step, steps
from tatami.store import git
from tatami.values.errors import TatamiError


@dataclass(frozen=True, slots=True)
class Field:
    """Where a race is run.

    files: names and contents that can be edited. folder: for measurements, outside the repository.
    """

    root: str
    folder: str
    files: Sequence[tuple[str, bytes]]


def race(
    asked: Asked, arm: Arm, field: Field, meanwhile: Callable[[list[str]], None] = lambda _: None
) -> Json:
    """Lets all agents commit at once; returns the arm's row.

    meanwhile: is called once they run, with the names of their logs of acks.
    """
    orders = _orders(asked, arm, field)
    environment = arm.environment if isinstance(arm, JjWorkspaces) else git.clean_environment()
    processes = [_start(order, field.folder, environment) for order in orders]
    try:
        for process in processes:
            if _line_of(process) != "ready":
                raise TatamiError("a worker did not start", code="storm", fix="see its message")
        cpu = arm.cpu_s()
        for process in processes:
            assert process.stdin
            process.stdin.write(b"go\n")
            process.stdin.flush()
        meanwhile([order.acks for order in orders])
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
    if any(codes):
        raise TatamiError(f"workers left with {codes}", code="storm", fix="see their messages")
    hub_cpu, rss = max(0.0, arm.cpu_s() - cpu), arm.rss_mb()
    runs = [_run(order.result) for order in orders]
    return _row(asked, arm, orders, runs) | _cost(hub_cpu, runs) | {"rss_mb": rss}


def _orders(asked: Asked, arm: Arm, field: Field) -> list[Orders]:
    jj = arm.command if isinstance(arm, JjWorkspaces) else ""
    return [
        Orders(
            arm=arm.name,
            agent=f"agent-{number + 1}",
            root=field.root,
            workspace=arm.workspaces[number],
            source=asked.source,
            steps=steps(number, asked.agents, asked.commits, asked.workload, field.files),
            result=os.path.join(field.folder, f"result-{number + 1}.json"),
            acks=os.path.join(field.folder, f"acks-{number + 1}"),
            jj=jj,
        )
        for number in range(asked.agents)
    ]


def _start(order: Orders, folder: str, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    path = os.path.join(folder, f"orders-{order.agent}")
    with open(path, "wb") as file:
        file.write(msgspec.msgpack.encode(order))
    with open(order.acks, "wb"):
        pass
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tatami.scenarios.storm.worker", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )


def _line_of(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout
    return process.stdout.readline().decode().strip()


def _run(path: str) -> Run:
    with open(path, "rb") as file:
        return msgspec.json.decode(file.read(), type=Run)


def _row(asked: Asked, arm: Arm, orders: Sequence[Orders], runs: Sequence[Run]) -> Json:
    found = arm.found()
    wanted: list[Step] = [step for order in orders for step in order.steps]
    in_history = sum(len(found.by_message.get(step.message, ())) == 1 for step in wanted)
    twice = sum(len(found.by_message.get(step.message, ())) > 1 for step in wanted)
    known = {id for ids in found.by_message.values() for id in ids}
    acked = [id for run in runs for id in run.commits]
    seconds = max(run.ended for run in runs) - min(run.begun for run in runs)
    acks = [ms for run in runs for ms in run.ack_ms]
    row: Json = {
        "arm": arm.name,
        "agents": asked.agents,
        "asked": len(wanted),
        "acked": len(acked),
        "in_history": in_history,
        "lost": sum(bool(id) and id not in known for id in acked),
        "duplicated": twice,
        "divergent": found.divergent,
        "seconds": round(seconds, 3),
        "per_s": per_second(in_history, seconds),
        "ack_ms": latencies(acks),
        "workload": asked.workload,
        "source": asked.source if arm.name == "tatami" else "checkout",
        "mode": asked.mode if arm.name == "tatami" else "",
        "fsync": arm.fsync,
        "failures": [words for run in runs for words in run.failures][:20],
    }
    if row["source"] != "bytes" and arm.name == "tatami":
        hub = sum(run.hub_ms for run in runs)
        row["workspace_share"] = round(1 - hub / sum(acks), 3) if acks else 0.0
        row["scan_ms"] = round(sum(run.scan_ms for run in runs) / len(runs), 2)
    return row


def _cost(hub_cpu_s: float, runs: Sequence[Run]) -> Json:
    """CPU milliseconds a commit, of the hub and of the agents' processes with their children."""
    commits = max(1, sum(len(run.commits) for run in runs))
    clients = sum(run.cpu_s for run in runs)
    return {
        "cpu_ms_per_commit": round((hub_cpu_s + clients) * 1000 / commits, 2),
        "cpu_hub_ms_per_commit": round(hub_cpu_s * 1000 / commits, 2),
        "cpu_clients_ms_per_commit": round(clients * 1000 / commits, 2),
    }
