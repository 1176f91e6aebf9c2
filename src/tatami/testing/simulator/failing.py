"""What fails: carries out the faults of a plan, and those that wait for a call of the disk."""

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from tatami.testing.disk import Call
from tatami.testing.simulator.model.hub import HubDiedError
from tatami.testing.simulator.plan import DISK_KINDS, Fault, Kind

if TYPE_CHECKING:
    from tatami.testing.simulator.world import World

CALLS: dict[Kind, Call] = {"sync_error": "sync", "no_space": "write"}
"""The calls a fault counts; others count all that change something."""


class Failing:
    """The faults of one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._armed: dict[Kind, Fault] = {}

    def clear(self) -> None:
        """What is still to come does not come."""
        self._armed.clear()

    def strike(self, fault: Fault) -> None:
        """Makes a fault happen, or its count-down begin."""
        world = self._world
        if fault.kind in (*DISK_KINDS, "power_at_answer"):
            self._armed[fault.kind] = fault
            return
        self._saw(fault.kind)
        match fault.kind:
            case "kill" | "power":
                world.hub_died(power=fault.kind == "power")
            case "clock":
                world.clock.set_wall(max(0.0, world.clock.time() + fault.size))
            case "hang_up":
                for wire in list(world.wires.values()):
                    wire.close()
            case "agent_death":
                world.rng.choice(world.agents).die()
            case "swizzle":
                world.swizzle(fault.size)

    def _saw(self, kind: str) -> None:
        hub = self._world.hub
        none = "recovering" if self._world.is_starting else "down"
        self._world.saw("fault", kind, hub.phase if hub else none)

    def before(self, call: Call, path: str) -> None:
        """Stands before every call of the disk; the hub dies here, or the call fails."""
        for kind, fault in list(self._armed.items()):
            if kind == "power_at_answer":
                continue
            if fault.kind in CALLS and call != CALLS[fault.kind]:
                continue
            if not path.startswith(fault.folder):
                continue
            left = fault.size - 1
            self._armed[kind] = replace(fault, size=left)
            if left <= 0:
                del self._armed[kind]
            if left <= 0 or kind == "no_space":
                self._fail(fault)

    def _fail(self, fault: Fault) -> None:
        self._saw(fault.kind)
        match fault.kind:
            case "no_space":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case "sync_error":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case kind:
                if fault.then:
                    self._armed["power_at_answer"] = Fault("power_at_answer", 0.0, fault.then)
                raise HubDiedError(power=kind == "power_at_call")

    def answered(self) -> None:
        """Stands behind every answer of success: the power may go right after it."""
        fault = self._armed.pop("power_at_answer", None)
        if fault is None:
            return
        if fault.size > 1:
            self._armed["power_at_answer"] = replace(fault, size=fault.size - 1)
            return
        self._saw("power_at_answer")
        self._world.hub_died(power=True)
