"""A blocking conversation with the hub that survives the hub's death: it reconnects and resends.

Only the standard library: the hot verbs import this file.
"""

import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tatami.client.start import reach
from tatami.net import local
from tatami.protocol import frames
from tatami.store.locate import Place
from tatami.values.errors import BusyError, HubError, UsageError, from_wire
from tatami.values.ids import incarnation
from tatami.values.limits import COMMIT_BYTES_MAX
from tatami.version import VERSION

Json = dict[str, Any]
RESEND_SECONDS_MAX = 120.0
"""How long a client keeps trying to get an answer while hubs come and go."""


class Connection:
    """One request at a time; not for several threads. A command is resent under its own id."""

    def __init__(self, place: Place, start: bool = True) -> None:
        self.place = place
        self._incarnation = ""
        self._horizon = ""
        self._start = start
        self._sequence = 0
        self._n = 0
        self._socket: socket.socket | None = None
        self._resent = False
        self._closed = False

    def close(self) -> None:
        """Ends the conversation for good; another thread's request or events end too."""
        self._closed = True
        self._hang_up()

    def _hang_up(self) -> None:
        """Closes the socket; the next request opens a new one."""
        hung_up, self._socket = self._socket, None
        if hung_up:
            # Another thread may be reading: closing alone would leave it waiting for ever.
            with contextlib.suppress(OSError):
                hung_up.shutdown(socket.SHUT_RDWR)
            hung_up.close()

    def keep(self) -> None:
        """Connects again, starting a hub if need be, where the hub has hung up meanwhile."""
        hub = self._socket
        if hub is None or select.select([hub], [], [], 0)[0]:
            self._hang_up()
            self._connected()

    def command_id(self) -> str:
        """A fresh id for a request that changes something."""
        if not self._incarnation:
            self._incarnation = incarnation(int(time.time()), os.urandom(8).hex(), self._horizon)
            self._sequence = 0
        self._sequence += 1
        return f"{self._incarnation}:{self._sequence}"

    def command(
        self, verb: str, fields: Json, body: Iterable[bytes] = ()
    ) -> tuple[Json, memoryview]:
        """Sends a request that changes something, once in effect however often it is resent."""
        body = list(body)
        if not self._incarnation and not self._socket:
            self._meet()
        self._resent = False
        try:
            return self.ask(verb, {"id": self.command_id(), **fields}, body)
        except UsageError as error:
            if error.code != "expired" or self._resent:
                raise
            # The hub has forgotten this long silent client, and was never asked this before.
            self._incarnation = ""
            self._meet()
            return self.ask(verb, {"id": self.command_id(), **fields}, body)

    def _meet(self) -> None:
        """Learns up to where the hub has forgotten clients: a new one has to begin after that."""
        self._greeted(self.ask("hello", {"version": VERSION})[0])

    def _greeted(self, hub: Json) -> None:
        self._horizon = hub.get("horizon", "")

    def ask(self, verb: str, fields: Json, body: Iterable[bytes] = ()) -> tuple[Json, memoryview]:
        """Sends a request and returns its result and the bytes behind it; raises `TatamiError`.

        A wait for queue entries lasts as long as they do, however many hubs it takes.
        """
        body = list(body)
        if sum(map(len, body)) > COMMIT_BYTES_MAX:
            raise UsageError(
                f"more than {COMMIT_BYTES_MAX} bytes in one request",
                code="commit_too_large",
                fix="commit in parts",
            )
        waits, give_up = bool(fields.get("wait")), 0.0
        while True:
            try:
                connection = self._send(verb, fields, body)
                if waits:
                    give_up = 0.0
                return self._receive(connection)
            except (OSError, EOFError) as error:
                self._hang_up()
                self._resent = True
                if waits and isinstance(error, TimeoutError):
                    continue
                if not self._start:
                    raise HubError(f"the hub went away: {error}", code="not_running") from None
                give_up = give_up or time.monotonic() + RESEND_SECONDS_MAX
                if time.monotonic() > give_up:
                    raise BusyError(f"the hub does not answer: {error}", code="hub") from None
                time.sleep(0.01)
            except UnicodeEncodeError as error:
                part = ascii(error.object[max(0, error.start - 20) : error.end])
                raise UsageError(f"{part} is not Unicode text", code="bad_text") from None
            except BusyError as error:
                give_up = give_up or time.monotonic() + RESEND_SECONDS_MAX
                if error.code != "stopping" or time.monotonic() > give_up:
                    raise
                self._hang_up()
                time.sleep(0.05)
            except frames.FrameError as error:
                self._hang_up()
                raise HubError(str(error), code="hub_version", fix="tatami stop") from None

    def events(self, after: int | None) -> Iterator[Json]:
        """Yields events until `close`, over the death of hubs; the connection is used up by it.

        A hub that was stopped is waited for, not started: listening is not work.
        """
        give_up, cursor = 0.0, after
        while True:
            try:
                for told, event in self._stream(cursor):
                    give_up, cursor = 0.0, told
                    if event:
                        yield event
            except (OSError, EOFError, HubError, BusyError) as error:
                # Busy is a hub that stops, or one that had more to tell than was read in time.
                if self._closed:
                    return
                self._hang_up()
                self._start = False
                give_up = give_up or time.monotonic() + RESEND_SECONDS_MAX
                if time.monotonic() > give_up:
                    raise HubError(f"no hub any more: {error}", code="not_running") from None
                time.sleep(0.1)

    def _stream(self, after: int | None) -> Iterator[tuple[int, Json | None]]:
        """Yields the cursor to go on from and its event; first the cursor alone."""
        connection = self._connected()
        self._n += 1
        header = {"verb": "subscribe", "n": self._n, "after": after}
        connection.sendall(frames.encode_json(header))
        first, _ = local.receive(connection)
        yield self._result(json.loads(first))["after"], None
        connection.settimeout(None)
        while True:
            received, _ = local.receive(connection)
            told = json.loads(received)
            event = told["event"] if "event" in told else self._result(told)
            yield event["cursor"], event

    def _send(self, verb: str, fields: Json, body: list[bytes]) -> socket.socket:
        connection = self._connected()
        self._n += 1
        connection.sendall(frames.encode_json({"verb": verb, "n": self._n, **fields}, body))
        return connection

    def _receive(self, connection: socket.socket) -> tuple[Json, memoryview]:
        while True:
            header, rest = local.receive(connection)
            answer = json.loads(header)
            # A hub that cannot read a request cannot know its number either.
            if answer["n"] in {self._n, 0}:
                return self._result(answer), memoryview(rest)

    def _connected(self) -> socket.socket:
        found = self._socket
        if found is None:
            self._require_open()
            found = self._socket = reach(self.place, self._start)
            # Whoever closed meanwhile could not see this socket.
            self._require_open()
            self._n += 1
            hello = {"verb": "hello", "n": self._n, "version": VERSION}
            found.sendall(frames.encode_json(hello))
            header, _ = local.receive(found)
            self._greeted(self._result(json.loads(header)))
        return found

    def _require_open(self) -> None:
        if self._closed:
            self._hang_up()
            raise HubError("the connection to the hub is closed", code="closed")

    @staticmethod
    def _result(answer: Json) -> Json:
        if "error" in answer:
            raise from_wire(
                answer["error"],
                answer["code"],
                answer["fix"],
                answer["exit_code"],
                answer["retryable"],
            )
        result: Json = answer["result"]
        return result
