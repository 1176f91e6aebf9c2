"""The end of a thread pool without a thread to wait for it: short of memory, there is none."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


async def drained(pool: ThreadPoolExecutor) -> None:
    """Waits until a pool of one thread has done what it was given, and closes it."""
    try:
        last = pool.submit(int)
    except RuntimeError:  # it has no thread, and cannot start one: nothing is being done
        pass
    else:
        await asyncio.wrap_future(last)
    pool.shutdown(wait=False)
