"""git's `proc-receive` hook: a push of an agent's line to the trunk goes through the landing queue.

git hands every pushed ref that `receive.procReceiveRefs` names to this hook, which says what became
of it: landed (perhaps as other commits), refused, or left to git itself where the pushed commit is
nobody's line. The protocol is pkt-line, version 1, as `githooks(5)` describes it.
"""

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from tatami.client.swarm import Swarm
from tatami.client.values import LandingResult
from tatami.store.locate import find, marker
from tatami.values.errors import TatamiError, UsageError

FLUSH = b"0000"
REASON_CHARS_MAX = 200
HEX = frozenset(b"0123456789abcdefABCDEF")


class Update(NamedTuple):
    """One pushed ref: where it was, where it is to be, its full name."""

    old: str
    new: str
    ref: str


def run(stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answers one push."""
    offered = next(packets(stdin), b"")
    for _ in packets(stdin):
        pass
    _write(stdout, b"version=1\0" + (b"push-options" if b"push-options" in offered else b""))
    stdout.write(FLUSH)
    stdout.flush()
    updates = [_update(line) for line in packets(stdin)]
    if b"push-options" in offered:
        for _ in packets(stdin):
            pass
    for update in updates:
        for line in report(update):
            _write(stdout, os.fsencode(line))
    stdout.write(FLUSH)
    stdout.flush()


def report(update: Update) -> Sequence[str]:
    """Lands what an update brings; returns what git's protocol says about it."""
    try:
        place = find()
        trunk = f"refs/heads/{marker(place).trunk}"
        with Swarm.open(place.root) as swarm:
            heads = {row["head"]: row["name"] for row in swarm.status()["agents"]}
            if update.ref != trunk or update.new not in heads:
                return (f"ok {update.ref}", "option fall-through")
            result = swarm.land([heads[update.new]]).result()
    except TatamiError as error:
        return (f"ng {update.ref} {_line(error.message)}",)
    return _landed(update, result)


def _landed(update: Update, result: LandingResult) -> Sequence[str]:
    if result.state != "landed":
        return (f"ng {update.ref} {result.state}: {_line(result.reason)}",)
    return (f"ok {update.ref}", f"option new-oid {result.commits[-1]}")


def packets(stream: BinaryIO) -> Iterator[bytes]:
    """Yields the lines of a section, up to its flush packet or the end.

    Raises `UsageError` where that is not what git sends.
    """
    while True:
        head = stream.read(4)
        if len(head) < 4 or head == FLUSH:
            return
        size = int(head, 16) if HEX.issuperset(head) else 0
        line = stream.read(max(size - 4, 0))
        if len(line) != size - 4:
            raise UsageError(f"{head!r} begins no line of git's protocol", code="bad_packet")
        yield line.rstrip(b"\n")


def _update(line: bytes) -> Update:
    fields = os.fsdecode(line).split(" ", 2)
    if len(fields) != 3:
        raise UsageError(f"{line[:60]!r} is no update of a ref", code="bad_packet")
    return Update(*fields)


def _write(stream: BinaryIO, line: bytes) -> None:
    stream.write(b"%04x" % (len(line) + 5) + line + b"\n")


def _line(text: str) -> str:
    return " ".join(text.split())[:REASON_CHARS_MAX]
