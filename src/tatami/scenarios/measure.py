"""Percentiles, and what a measurement has to say about where it was taken."""

import datetime as dt
import math
import os
import platform
from collections.abc import Sequence

from tatami.store import git
from tatami.version import VERSION

Json = dict[str, object]


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed; 0 of none."""
    if not sorted_values:
        return 0.0
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def latencies(values_ms: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the longest, in milliseconds."""
    ordered = sorted(values_ms)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(ordered, share), 2) for name, share in shares.items()}


def per_second(count: int, seconds: float) -> float:
    """A rate with two decimals; 0 where no time passed."""
    return round(count / seconds, 2) if seconds else 0.0


def circumstances(command: Sequence[str]) -> Json:
    """Machine, kernel, versions, date and command: what makes a figure worth keeping."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "tatami": VERSION,
        "git": git.text(".", "version").removeprefix("git version "),
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "command": list(command),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if "model name" in line]
    except OSError:
        return platform.processor()
    return names[0] if names else platform.processor()
