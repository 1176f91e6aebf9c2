"""Connections: reads frames, asks the hub, writes answers, and lets no slow reader fill memory."""

import asyncio
import logging
import socket
from collections import deque

import msgspec

from tatami.hub.hub import Hub
from tatami.net import local
from tatami.protocol import frames, messages
from tatami.protocol.hub import Answer, Json
from tatami.values.errors import BusyError, TatamiError, UsageError
from tatami.values.limits import SUBSCRIBER_QUEUE_MAX

log = logging.getLogger("tatami.hub")
ENCODER = msgspec.json.Encoder()
WRITE_BUFFER_BYTES_HIGH = 1024 * 1024
"""Bytes a reader may leave unread before nothing more is read from it, nor pushed to it."""
REQUESTS_OPEN_MAX = 64
"""Requests of one connection without an answer yet: each may be answered with megabytes."""


class Connection(asyncio.Protocol):
    """One client: cuts its bytes into frames and hands them to the hub in order."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._frames = frames.Reader()
        self._open = 0
        self._full = False
        self._unsent: deque[tuple[int, Json]] = deque()
        self._unsent_max = SUBSCRIBER_QUEUE_MAX
        self.number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuses other users, then waits for the hello."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("socket")
        raw = socket.socket(fileno=socket.dup(peer.fileno()))
        with raw:
            if not local.peer_is_same_user(raw):
                log.warning("refused a connection of another user")
                transport.abort()
                return
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_HIGH)
        self.number = self._hub.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Tells the hub that nobody waits here any more."""
        self._unsent.clear()
        if self.number:
            self._hub.left(self.number)

    def pause_writing(self) -> None:
        """The client does not read: it is not listened to until it does."""
        self._full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up: what waited for that goes on."""
        self._full = False
        self._send_events()
        self._listen()

    def data_received(self, data: bytes) -> None:
        """Hands over the requests that are whole now, as far as there is room for answers."""
        try:
            for frame in self._frames.feed(data):
                self._open += 1
                self._request(frame)
                if self._is_busy:
                    self._transport.pause_reading()
                    return
        except frames.FrameError as error:
            log.warning("connection %d: %s", self.number, error)
            self._transport.abort()

    @property
    def _is_busy(self) -> bool:
        return self._full or self._open >= REQUESTS_OPEN_MAX

    def _listen(self) -> None:
        """Goes on with requests that have arrived already, then with reading."""
        if not self._is_busy and not self._transport.is_closing():
            self._transport.resume_reading()
            self.data_received(b"")

    def _request(self, frame: frames.Frame) -> None:
        header = frame.header
        try:
            if frame.protocol != frames.PROTOCOL:
                raise UsageError(
                    f"the hub speaks protocol {frames.PROTOCOL}, this client {frame.protocol}",
                    code="hub_version",
                    fix="tatami stop",
                )
            request = messages.REQUEST.decode(header)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            number = _number_of(header)
            self.reply(
                number, Answer(error=UsageError(f"bad request: {error}", code="bad_request"))
            )
        except UsageError as error:
            self.reply(_number_of(header), Answer(error=error))
        else:
            self._hub.asked(self.number, request, frame.body)

    def reply(self, n: int, answer: Answer) -> None:
        """Sends an answer, with the file contents it carries."""
        if answer.error is None:
            header: Json = {"n": n, "result": answer.result}
        else:
            header = {"n": n, **error_json(answer.error)}
        try:
            frame = frames.encode(ENCODER.encode(header), answer.body)
        except frames.FrameError as error:
            refusal = UsageError(
                f"the answer is too large: {error}",
                code="answer_too_large",
                fix="ask for less: --limit N, or fewer paths",
            )
            frame = frames.encode(ENCODER.encode({"n": n, **error_json(refusal)}))
        self._transport.write(frame)
        self._open -= 1
        if not self._transport.is_reading():
            asyncio.get_running_loop().call_soon(self._listen)

    def push(self, n: int, event: Json, missed: bool) -> None:
        """Sends an event when its turn comes; who stays too far behind is told so and cut off.

        missed: it happened before the client subscribed. Those wait however many they are: they are
        in memory anyway.
        """
        if self._transport.is_closing():
            return
        self._unsent.append((n, event))
        if missed:
            self._unsent_max = len(self._unsent) + SUBSCRIBER_QUEUE_MAX
        self._send_events()
        if len(self._unsent) > self._unsent_max:
            self._cut_off(n)

    def _send_events(self) -> None:
        while self._unsent and not self._full:
            n, event = self._unsent.popleft()
            self._transport.write(frames.encode(ENCODER.encode({"n": n, "event": event})))

    def _cut_off(self, n: int) -> None:
        log.warning("connection %d reads too slowly; cut off", self.number)
        self._unsent.clear()
        error = BusyError(
            "events came faster than they were read",
            code="too_slow",
            fix="subscribe again after the last cursor",
        )
        self._transport.write(frames.encode(ENCODER.encode({"n": n, **error_json(error)})))
        self._transport.close()

    def close(self) -> None:
        """Closes after what is written has been sent."""
        self._transport.close()


def error_json(error: TatamiError) -> Json:
    """An error as it travels: everything `from_wire` needs."""
    return {
        "error": error.message,
        "code": error.code,
        "fix": error.fix,
        "exit_code": error.exit_code,
        "retryable": error.retryable,
    }


def _number_of(header: bytes) -> int:
    try:
        value = msgspec.json.decode(header)
        return int(value["n"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, RecursionError):
        return 0
