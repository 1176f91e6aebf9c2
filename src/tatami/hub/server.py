"""Connections: reads frames, asks the hub, writes answers. One task per connection."""

import asyncio
import logging
import socket

import msgspec

from tatami.hub.hub import Hub
from tatami.net import local
from tatami.protocol import frames, messages
from tatami.protocol.hub import Answer, Json
from tatami.values.errors import TatamiError, UsageError
from tatami.values.limits import SUBSCRIBER_QUEUE_MAX

log = logging.getLogger("tatami.hub")
ENCODER = msgspec.json.Encoder()
WRITE_BUFFER_BYTES_MAX = 256 * 1024 * 1024
"""Answers waiting for one slow reader; past this it is cut off."""


class Connection(asyncio.Protocol):
    """One client: cuts its bytes into frames and hands them to the hub in order."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._reader = frames.Reader()
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
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        self.number = self._hub.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Tells the hub that nobody waits here any more."""
        if self.number:
            self._hub.left(self.number)

    def data_received(self, data: bytes) -> None:
        """Hands over every request that is whole now."""
        try:
            for frame in self._reader.feed(data):
                self._request(frame)
        except frames.FrameError as error:
            log.warning("connection %d: %s", self.number, error)
            self._transport.abort()

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
        except msgspec.DecodeError as error:
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

    def push(self, n: int, event: Json) -> None:
        """Sends an event; a subscriber that does not read is cut off at its limit."""
        if self._transport.get_write_buffer_size() > SUBSCRIBER_QUEUE_MAX * 512:
            log.warning("connection %d reads too slowly; cut off", self.number)
            self._transport.abort()
            return
        self._transport.write(frames.encode(ENCODER.encode({"n": n, "event": event})))

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
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return 0
