"""Version control for swarms of coding agents: one repository, many writers, nothing lost."""

from typing import TYPE_CHECKING

from tatami.version import VERSION as __version__  # noqa: N811

if TYPE_CHECKING:
    from tatami.client.aio import AsyncAgent, AsyncSwarm
    from tatami.client.swarm import Agent, Landing, Swarm
    from tatami.client.syncing import Synced
    from tatami.client.values import CommitResult, LandingResult, PathConflict
    from tatami.values.errors import BusyError, ConflictError, TatamiError, UsageError

__all__ = [
    "Agent",
    "AsyncAgent",
    "AsyncSwarm",
    "BusyError",
    "CommitResult",
    "ConflictError",
    "Landing",
    "LandingResult",
    "PathConflict",
    "Swarm",
    "Synced",
    "TatamiError",
    "UsageError",
    "__version__",
]
_WHERE = {
    "tatami.client.aio": ("AsyncAgent", "AsyncSwarm"),
    "tatami.client.swarm": ("Agent", "Landing", "Swarm"),
    "tatami.client.syncing": ("Synced",),
    "tatami.client.values": ("CommitResult", "LandingResult", "PathConflict"),
    "tatami.values.errors": ("BusyError", "ConflictError", "TatamiError", "UsageError"),
}


def __getattr__(name: str) -> object:
    # Imported on first use: `tatami status` must start like bare Python.
    for module, names in _WHERE.items():
        if name in names:
            import importlib

            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'tatami' has no attribute {name!r}")
