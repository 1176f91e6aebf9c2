"""A hub's side of a connection: frames in, requests out, answers back, no faster than read."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from tatami.hub.answering import server
from tatami.hub.answering.server import Connection
from tatami.hub.hub import Hub
from tatami.net import local
from tatami.protocol import frames, messages
from tatami.protocol.hub import Answer
from tatami.values.errors import BusyError

Talk = Callable[[Connection, socket.socket, "Asked"], Awaitable[None]]


class Asked:
    """Stands for the hub: notes what a connection hands over."""

    def __init__(self) -> None:
        self.requests: list[tuple[messages.Request, bytes]] = []
        self.gone: list[int] = []

    def joined(self, peer: object) -> int:
        """Gives the connection its number."""
        return 7

    def left(self, number: int) -> None:
        """The connection is gone."""
        self.gone.append(number)

    def asked(self, number: int, request: messages.Request, body: bytes) -> None:
        """A request arrived."""
        self.requests.append((request, body))


def talk(conversation: Talk) -> None:
    """Runs a conversation over a real pair of sockets."""

    async def run() -> None:
        hub = Asked()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, connection = await loop.connect_accepted_socket(
            lambda: Connection(cast(Hub, hub)), ours
        )
        try:
            await conversation(connection, theirs, hub)
        finally:
            transport.close()
            theirs.close()
            await asyncio.sleep(0)

    asyncio.run(run())


async def sent_back(peer: socket.socket) -> dict[str, Any]:
    """The header of the next frame the peer receives."""
    header, _ = await asyncio.to_thread(local.receive, peer)
    answer: dict[str, Any] = json.loads(header)
    return answer


async def until(condition: Callable[[], object]) -> None:
    """Lets the loop run until something has happened."""
    while not condition():  # noqa: ASYNC110 - the other side is not ours to signal from
        await asyncio.sleep(0.001)


def test_requests_are_handed_over_with_their_bodies() -> None:
    """Two frames in one piece are two requests, in order."""

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        peer.sendall(
            frames.encode_json({"verb": "status", "n": 1})
            + frames.encode_json({"verb": "resolve", "n": 2, "rev": "main"}, [b"body"])
        )
        await until(lambda: len(hub.requests) == 2)
        assert hub.requests == [
            (messages.Status(n=1), b""),
            (messages.Resolve(n=2, rev="main"), b"body"),
        ]

    talk(conversation)


def test_a_bad_request_is_answered_and_the_connection_goes_on() -> None:
    """An unknown verb gets `bad_request` under its own number; the next request is heard."""

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        peer.sendall(frames.encode_json({"verb": "steal", "n": 5}))
        answer = await sent_back(peer)
        assert (answer["n"], answer["code"], answer["exit_code"]) == (5, "bad_request", 64)
        peer.sendall(frames.encode_json({"verb": "status", "n": 6}))
        await until(lambda: hub.requests)

    talk(conversation)


@pytest.mark.parametrize("header", [b'{"verb":"status","n":5,"\xb0":1}', b'{"n":' + b"[" * 5000])
def test_a_request_that_is_no_text_is_answered(header: bytes) -> None:
    """Bytes that are no UTF-8, and nesting without end, are bad requests like any."""

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        peer.sendall(frames.encode(header))
        assert (await sent_back(peer))["code"] == "bad_request"
        peer.sendall(frames.encode_json({"verb": "status", "n": 6}))
        await until(lambda: hub.requests)

    talk(conversation)


def test_another_protocol_is_told_what_to_do() -> None:
    """A client of another release learns that the hub has to be stopped."""

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        frame = bytearray(frames.encode_json({"verb": "status", "n": 3}))
        frame[3] += 1
        peer.sendall(frame)
        answer = await sent_back(peer)
        assert (answer["n"], answer["code"], answer["fix"]) == (3, "hub_version", "tatami stop")

    talk(conversation)


def test_foreign_bytes_end_the_connection() -> None:
    """Nothing is answered to a peer that speaks another language."""

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: hub.gone)
        assert hub.gone == [7]

    talk(conversation)


def test_an_error_travels_with_everything_it_says() -> None:
    """What the client rebuilds the error from is all there."""

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        connection.reply(4, Answer(error=BusyError("wait", code="stopping", fix="try again")))
        assert await sent_back(peer) == {
            "n": 4,
            "error": "wait",
            "code": "stopping",
            "fix": "try again",
            "exit_code": 75,
            "retryable": True,
        }

    talk(conversation)


def test_an_answer_that_fits_no_frame_is_an_error_not_a_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client hears that it asked for too much.

    The story: encoding the answer failed on the event loop, and the client waited for ever.
    """
    monkeypatch.setattr(frames, "HEADER_BYTES_MAX", 300)

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        connection.reply(9, Answer({"commits": "x" * 400}))
        answer = await sent_back(peer)
        assert (answer["n"], answer["code"]) == (9, "answer_too_large")

    talk(conversation)


async def settle() -> None:
    """Gives the loop more turns than anything that is due needs."""
    for _ in range(50):
        await asyncio.sleep(0.001)


def test_who_does_not_read_is_not_listened_to() -> None:
    """While a large answer is unread no further request is taken; once it is read, they are.

    The story: a client that asked for the log again and again, and read nothing, had the hub hold
    all the answers.
    """

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        peer.sendall(frames.encode_json({"verb": "status", "n": 1}))
        await until(lambda: hub.requests)
        connection.reply(1, Answer({"commits": "x" * 4 * server.WRITE_BUFFER_BYTES_HIGH}))
        peer.sendall(frames.encode_json({"verb": "status", "n": 2}))
        await settle()
        assert [request.n for request, _ in hub.requests] == [1]
        assert (await sent_back(peer))["n"] == 1
        await until(lambda: len(hub.requests) == 2)

    talk(conversation)


def test_requests_wait_while_too_many_are_unanswered() -> None:
    """However many arrive in one piece, some are open at a time; every answer lets one more in."""

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        asked = server.REQUESTS_OPEN_MAX + 3
        peer.sendall(
            b"".join(frames.encode_json({"verb": "status", "n": n}) for n in range(1, asked + 1))
        )
        await settle()
        assert len(hub.requests) == server.REQUESTS_OPEN_MAX
        for n in range(1, asked + 1):
            connection.reply(n, Answer({}))
            assert (await sent_back(peer))["n"] == n
        await until(lambda: len(hub.requests) == asked)
        assert [request.n for request, _ in hub.requests] == list(range(1, asked + 1))

    talk(conversation)


def pushed(connection: Connection, first: int, count: int, missed: bool) -> None:
    """Pushes events of a kilobyte each."""
    for cursor in range(first, first + count):
        connection.push(8, {"cursor": cursor, "reason": "x" * 1000}, missed)


def test_a_subscriber_that_stays_behind_is_told_and_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It gets a prefix without gaps, then why that is all, then the end of the connection."""
    monkeypatch.setattr(server, "SUBSCRIBER_QUEUE_MAX", 5)

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        pushed(connection, 1, 4000, missed=False)
        cursors = []
        while "event" in (told := await sent_back(peer)):
            cursors.append(told["event"]["cursor"])
        assert cursors == list(range(1, len(cursors) + 1))
        assert (told["n"], told["code"], told["retryable"]) == (8, "too_slow", True)
        assert await asyncio.to_thread(peer.recv, 1) == b""
        await until(lambda: hub.gone)

    talk(conversation)


def test_what_a_subscriber_missed_is_not_held_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of before the subscription arrive, many as they are, and those that follow."""
    monkeypatch.setattr(server, "SUBSCRIBER_QUEUE_MAX", 5)

    async def conversation(connection: Connection, peer: socket.socket, hub: Asked) -> None:
        pushed(connection, 1, 4000, missed=True)
        pushed(connection, 4001, 3, missed=False)
        cursors = [(await sent_back(peer))["event"]["cursor"] for _ in range(4003)]
        assert cursors == list(range(1, 4004))

    talk(conversation)
