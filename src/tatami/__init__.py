"""Version control for swarms of coding agents: one repository, many writers, nothing lost."""

from typing import TYPE_CHECKING

from tatami.version import VERSION as __version__

if TYPE_CHECKING:
    from tatami.client.aio import AsyncAgent, AsyncSwarm
    from tatami.client.swarm import Agent, Landing, Swarm
    from tatami.client.values import CommitResult, LandingResult, PathConflict
    from tatami.values.errors import BusyError, ConflictError, TatamiError, UsageError

_WHERE = {
    "AsyncAgent": "tatami.client.aio",
    "AsyncSwarm": "tatami.client.aio",
    "Agent": "tatami.client.swarm",
    "Landing": "tatami.client.swarm",
    "Swarm": "tatami.client.swarm",
    "CommitResult": "tatami.client.values",
    "LandingResult": "tatami.client.values",
    "PathConflict": "tatami.client.values",
    "BusyError": "tatami.values.errors",
    "ConflictError": "tatami.values.errors",
    "TatamiError": "tatami.values.errors",
    "UsageError": "tatami.values.errors",
}
__all__ = [*_WHERE, "__version__"]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    # Imported on first use: `tatami status` must start like bare Python.
    if name not in _WHERE:
        raise AttributeError(f"module 'tatami' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_WHERE[name]), name)
