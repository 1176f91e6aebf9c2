"""A client's conversation with the hub: how long it waits, and that it ends when it is closed."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tatami
from tatami.client import connection, start
from tatami.net import local
from tatami.protocol import frames
from tatami.protocol.hub import Answer
from tatami.store.ledger import Ledger
from tatami.store.locate import Place
from tatami.values.ids import CommandId
from tests import sandbox


def waited_for(root: Path, before: Callable[[], None], meanwhile: Callable[[], None]) -> str:
    """Queues a commit in a paused queue, waits for it, resumes; returns how it ended.

    before: called when only the wait is still to be asked for. meanwhile: while it waits.
    """
    with tatami.Swarm.open(root) as swarm, ThreadPoolExecutor(1) as pool:
        agent = swarm.agent("coder", workspace=False)
        agent.commit("Add a file", {"new": b"1\n"})
        swarm.queue_action("pause")
        entries = agent.land().entries
        before()
        with tatami.Swarm(swarm.place) as waiter:
            finished = pool.submit(waiter.finished, entries)
            meanwhile()
            swarm.queue_action("resume")
            return str(finished.result()[0]["state"])


def test_a_landing_is_waited_for_however_long_it_takes(
    tatami_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait that outlasts the socket's patience asks again."""

    def patience() -> None:
        monkeypatch.setattr(start, "ANSWER_SECONDS_MAX", 0.2)
        monkeypatch.setattr(connection, "RESEND_SECONDS_MAX", 0.0)

    assert waited_for(tatami_repository, patience, lambda: time.sleep(0.5)) == "landed"


def test_a_late_death_of_the_hub_does_not_end_a_wait(
    tatami_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time for resending begins with the first error, not with the request."""

    def patience() -> None:
        monkeypatch.setattr(connection, "RESEND_SECONDS_MAX", 0.3)

    def kill() -> None:
        time.sleep(0.5)
        for hub in sandbox.hubs_under(tatami_repository):
            sandbox.kill_hub(hub)

    assert waited_for(tatami_repository, patience, kill) == "landed"


def test_a_cancelled_stream_of_events_ends_its_thread(tatami_repository: Path) -> None:
    """Nothing reads on after the task that listened was cancelled."""
    before = set(threading.enumerate())

    async def listen() -> None:
        async with tatami.AsyncSwarm.open(str(tatami_repository)) as swarm:
            task = asyncio.create_task(anext(swarm.events()))
            await asyncio.sleep(0.3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(listen())
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert set(threading.enumerate()) - before == set()


def answered(peer: socket.socket, *documents: dict[str, Any]) -> dict[str, Any]:
    """Reads a request and sends frames under its number; returns the request."""
    header, _ = local.receive(peer)
    request: dict[str, Any] = json.loads(header)
    for document in documents:
        peer.sendall(frames.encode_json({"n": request["n"], **document}))
    return request


def test_a_subscriber_that_was_cut_off_comes_back_with_its_cursor(tmp_path: Path) -> None:
    """A hub that has more to tell than is read in time is asked again for what came after."""
    (tmp_path / "hub").mkdir()
    place = Place(*[str(tmp_path)] * 5)
    refusal = {"error": "e", "code": "too_slow", "fix": "", "exit_code": 75, "retryable": True}
    asked = []

    def serve(listening: socket.socket) -> None:
        for after, end in ((0, [refusal]), (2, [])):
            peer, _ = listening.accept()
            with peer:
                answered(peer, {"result": {}})
                events = [{"event": {"cursor": after + n}} for n in (1, 2)]
                asked.append(answered(peer, {"result": {"after": after}}, *events, *end)["after"])

    with local.listen(str(tmp_path / "hub")) as listening, ThreadPoolExecutor(1) as pool:
        listening.setblocking(True)
        served = pool.submit(serve, listening)
        client = connection.Connection(place)
        events = client.events(0)
        assert [next(events)["cursor"] for _ in range(4)] == [1, 2, 3, 4]
        client.close()
        served.result()
    assert asked == [0, 2]


def forget_clients(root: Path, second: int) -> None:
    """The hub's table forgets a client that began in some second, as it does with many."""
    ledger = Ledger(str(root / ".git/tatami/hub/ledger"))
    ids = [CommandId(f"{began:08x}{0:016x}", 1) for began in (second, second + 1)]
    ledger.save(answers=[(id, Answer({})) for id in ids])
    ledger.trim_answers(1)
    ledger.close()


def test_a_client_whose_clock_is_late_is_not_taken_for_a_forgotten_one(
    tatami_repository: Path,
) -> None:
    """The hub says up to where it has forgotten clients, and a new one begins after that.

    The story: after the clock had jumped back, every command of every new client was `expired`.
    """
    forget_clients(tatami_repository, int(time.time()) + 400 * 86_400)
    with tatami.Swarm.open(tatami_repository) as swarm:
        commit = swarm.agent("coder", workspace=False).commit("Add a file", {"new": b"1\n"})
        assert [row["commit"] for row in swarm.log("agent/coder", limit=1)] == [commit.id]


def test_a_client_that_was_forgotten_while_it_lived_begins_anew(tatami_repository: Path) -> None:
    """It was silent, and the next hub knows younger ones only; what it asks next is done."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        agent = swarm.agent("coder", workspace=False)
        sandbox.tatami(tatami_repository, "stop")
        forget_clients(tatami_repository, int(time.time()) + 400 * 86_400)
        swarm.status()
        commit = agent.commit("Add a file", {"new": b"1\n"})
        assert [row["commit"] for row in swarm.log("agent/coder", limit=1)] == [commit.id]
