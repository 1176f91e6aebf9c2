"""`eject`: leaves plain git behind."""

import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from tatami.client.recovery import ejecting
from tatami.client.recovery.ejecting import Ejection
from tatami.client.swarm import Swarm
from tatami.store.locate import find, marker
from tatami.ui.cli.output import document, guarded, say, visible

Flag = Annotated[bool, Parameter(negative="")]
SHOWN = 8


def eject(
    *,
    dry_run: Flag = False,
    yes: Annotated[bool, Parameter(["--yes", "-y"], negative="")] = False,
    json: Flag = False,
) -> int:
    """Leave plain git behind: a branch for each agent, ordinary worktrees, nothing of Tatami.

    Unsaved work stays where it is. What no branch reaches (amended commits, recovery commits) gets
    a branch tatami-kept/AGENT; only once git reaches all of it is Tatami's state removed.

    Parameters
    ----------
    dry_run
        Only say what would be done.
    yes
        Do not ask.
    json
        Print one JSON document.
    """

    def work() -> None:
        place = find()
        marker(place)
        asks = sys.stdin.isatty() and not (yes or json)
        if dry_run or asks:
            with Swarm.open() as swarm:
                plan = ejecting.plan(swarm)
            if dry_run:
                document(asdict(plan)) if json else _show(plan)
                return
            _show(plan)
            say("eject? [y/N] ")
            if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
                say("nothing was changed")
                return
        done = ejecting.eject(place)
        document(asdict(done)) if json else _show(done)

    return guarded(json, work)


def _show(what: Ejection) -> None:
    would = "" if what.done else "would be "
    print(f"{visible(what.root)} {'is' if what.done else would + 'made'} plain git")
    for agent in what.agents:
        print(f"  branch agent/{agent} stays")
    for path in what.worktrees:
        print(f"  worktree {visible(path)} stays, unlocked")
    for kept in what.kept:
        count = len(kept.commits)
        shown = ", ".join(id[:12] for id in kept.commits[:SHOWN])
        more = f" and {count - SHOWN} more" if count > SHOWN else ""
        print(f"  branch {kept.branch} {would}made for {shown}{more}")
    for path in what.aside:
        print(f"  files of a half-made workspace were moved to {visible(path)}")
    for note in what.notes:
        say(f"note: {visible(note)}")
    if what.done:
        say("next: git worktree list; git branch; tatami init brings Tatami back")
