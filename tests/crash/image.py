"""A small ext4 file system on a loop device, whose power can be cut."""

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import stop_hubs

FS_IOC_SHUTDOWN = 0x8004587D
"""`_IOR('X', 125, __u32)` of `linux/fs.h`'s ext4 and xfs."""
WITHOUT_LOG_FLUSH = 2
"""What is in the journal's memory is lost as well: nothing is written from this moment on."""
UNMOUNT_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Image:
    """An image file and the directory it is mounted at."""

    file: Path
    place: Path

    @classmethod
    def make(cls, directory: Path, megabytes: int) -> "Image":
        """Makes and mounts one; raises `OSError` or `CalledProcessError` where that cannot be."""
        image = cls(directory / "disk.img", directory / "disk")
        image.place.mkdir(parents=True, exist_ok=True)
        with image.file.open("wb") as file:
            file.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image.file))
        image.mount()
        return image

    def mount(self) -> None:
        """Mounts it; the journal is replayed as after a power cut."""
        _run("mount", "-o", "loop", str(self.file), str(self.place))

    def cut(self) -> None:
        """Cuts the power: what has not reached the disk never will."""
        place = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(place, FS_IOC_SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        finally:
            os.close(place)

    def unmount(self) -> None:
        """Unmounts it, as soon as nobody uses it any more.

        A mount namespace that was made meanwhile, as overlay workspaces make them, still has it:
        mounted again before that ends, it would be the disk whose power is off.
        """
        give_up = time.monotonic() + UNMOUNT_SECONDS_MAX
        while os.path.ismount(self.place) or _attached(self.file):
            done = subprocess.run(["umount", self.place], capture_output=True, check=False)
            if time.monotonic() > give_up:
                subprocess.run(["umount", "--lazy", self.place], check=False)
                raise TimeoutError(done.stderr.decode() or f"{self.file} stays in use")
            time.sleep(0.01)


@contextmanager
def small_image(directory: Path, megabytes: int) -> Iterator[Path]:
    """Yields where a new one is mounted; skips where this machine does not let us mount one."""
    try:
        image = Image.make(directory, megabytes)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"file systems on loop devices are not permitted here: {error}")
    try:
        yield image.place
    finally:
        stop_hubs(image.place)
        image.unmount()


def _attached(file: Path) -> bool:
    words = ["losetup", "--associated", str(file)]
    return bool(subprocess.run(words, capture_output=True, check=True).stdout)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
