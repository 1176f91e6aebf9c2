"""The writer thread: everything that writes the repository or the ledger runs here, in order.

And how a hub's threads come to an end.
"""

import asyncio
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from tatami.values.errors import BusyError

log = logging.getLogger("tatami.hub")
Result = TypeVar("Result")
IDLE_SECONDS = 1.0
"""Quiet time after which the idle work (checkpoint, pack consolidation) is done."""
DIED = 70
"""Exit code of a hub that could not go on (EX_SOFTWARE)."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What to run, who waits for it, and whether idle work waits for a moment after it."""

    call: Callable[[], Any]
    future: "Future[Any]"
    is_work: bool


class Writer(threading.Thread):
    """Runs calls one after another; `idle` runs when nothing came for a moment.

    `broken` is told when the disk no longer takes what is written; nobody gets an answer then.
    """

    def __init__(self, idle: Callable[[], None], broken: Callable[[BaseException], None]) -> None:
        super().__init__(name="tatami-writer", daemon=True)
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._finishing = False
        self._finished: Future[None] = Future()
        self._lock = threading.Lock()
        self._idle = idle
        self._broken = broken

    def submit(self, call: Callable[[], Result]) -> "Future[Result]":
        """Queues a call; its result or exception arrives in the future, set on this thread.

        Raises `BusyError` (`stopping`) once the thread is to end: nobody would carry it out.
        """
        return self._put(call, is_work=True)

    def glance(self, call: Callable[[], Result]) -> "Future[Result]":
        """As `submit`, for what mostly finds nothing to do: the idle work comes no later for it."""
        return self._put(call, is_work=False)

    def _put(self, call: Callable[[], Result], is_work: bool) -> "Future[Result]":
        future: Future[Result] = Future()
        with self._lock:
            if self._finishing:
                raise stopping()
            self._calls.put(_Call(call, future, is_work))
        return future

    def finish(self) -> "Future[None]":
        """What is queued is run, then the idle work; done when the thread has nothing left."""
        with self._lock:
            self._finishing = True
            self._calls.put(None)
        return self._finished

    def run(self) -> None:
        """The thread's body."""
        idle_at: float | None = None
        while True:
            try:
                wait = None if idle_at is None else max(0.0, idle_at - time.monotonic())
                item = self._calls.get(timeout=wait)
            except queue.Empty:
                idle_at = None
                self._rest()
                continue
            if item is None:
                self._rest()
                self._finished.set_result(None)
                return
            self._run(item)
            if item.is_work:
                idle_at = time.monotonic() + IDLE_SECONDS

    def _run(self, item: "_Call") -> None:
        try:
            item.future.set_result(item.call())
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever asked
            if is_fatal(error):
                self._broken(error)
            item.future.set_exception(error)

    def _rest(self) -> None:
        try:
            self._idle()
        except Exception as error:
            if is_fatal(error):
                self._broken(error)
            log.exception("the writer's idle work failed")


async def drained(pool: ThreadPoolExecutor) -> None:
    """Waits until a pool of one thread has done what it was given, and closes it.

    Without another thread to wait for it: a system short of memory gives none.
    """
    try:
        last = pool.submit(int)
    except RuntimeError:  # it has no thread, and cannot start one: nothing is being done
        pass
    else:
        await asyncio.wrap_future(last)
    pool.shutdown(wait=False)


def is_fatal(error: BaseException) -> bool:
    """Whether a sync has failed: then nobody may go on as if what was written were on the disk."""
    return getattr(error, "code", "") == "sync_failed"


def stopping() -> BusyError:
    """What is answered to whom a hub that ends can do no good: the next one will."""
    return BusyError("the hub is stopping", code="stopping", fix="try again")


def die(error: BaseException) -> None:
    """Ends the process at once: only a new hub, from what the disk really holds, can go on.

    Whoever waits gets no answer, resends to the new hub, and is answered by what it finds.
    """
    log.critical("the disk does not take what is written: %s", error)
    logging.shutdown()
    os._exit(DIED)
