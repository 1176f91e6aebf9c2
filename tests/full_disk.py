"""A disk that does not take what the hub's table writes, in this process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full_disk() -> Iterator[None]:
    """The table of a hub finds no space left."""
    with on_another_file("/dev/full", os.O_RDWR):
        yield


@contextmanager
def on_another_file(path: str, flags: int) -> Iterator[None]:
    """Lets what is written to the table's file go to another one."""
    target = os.open(path, flags)
    ours = [int(fd) for fd in os.listdir("/proc/self/fd") if leads_to_a_table(fd)]
    kept = {fd: os.dup(fd) for fd in ours}
    assert ours
    for fd in ours:
        os.dup2(target, fd)
    try:
        yield
    finally:
        for fd, real in kept.items():
            os.dup2(real, fd)
            os.close(real)
        os.close(target)


def leads_to_a_table(fd: str) -> bool:
    """Whether a descriptor of this process is LMDB's."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}").endswith("/data.mdb")
    except FileNotFoundError:
        return False
