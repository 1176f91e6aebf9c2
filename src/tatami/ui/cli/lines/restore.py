"""`op restore`: the whole repository as it was at an operation."""

import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from tatami.client.swarm import Swarm
from tatami.client.undoing.restore import Restored
from tatami.ui.cli.output import document, guarded, say, visible
from tatami.values.errors import UsageError

AGENTS_SHOWN = 20


def restore(
    op: str,
    *,
    dry_run: Annotated[bool, Parameter("--dry-run", negative="")] = False,
    yes: Annotated[bool, Parameter(["--yes", "-y"], negative="")] = False,
    json: Annotated[bool, Parameter("--json", negative="")] = False,
) -> int:
    """Put every agent's line and the trunk back to where they were at an operation.

    It is an operation itself: restoring the one before it undoes it. Agents made since stay.

    Parameters
    ----------
    op
        The operation's id, or the beginning of it.
    dry_run
        Only say what would be done.
    yes
        Do not ask.
    json
        Print one JSON document.
    """

    def work() -> int:
        with Swarm.open() as swarm:
            planned = swarm.restore(op, dry_run=True)
            if not (dry_run or yes) and not _confirmed(planned):
                say("nothing was changed")
                return 1
            done = planned if dry_run else swarm.restore(planned.to)
        if json:
            document(asdict(done))
        else:
            _show(done)
        return 0

    return guarded(json, work)


def _confirmed(planned: Restored) -> bool:
    """Shows what would happen and asks; raises `UsageError` where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"{len(planned.agents)} agents' lines and the trunk would move",
            code="not_confirmed",
            fix=f"tatami op restore {planned.to[:12]} --yes",
        )
    _show(planned)
    say("restore? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _show(done: Restored) -> None:
    would = "would move" if done.dry_run else "moved"
    trunk = done.trunk
    if trunk["from"] != trunk["commit"]:
        print(f"{would} the trunk  {trunk['from'][:12]} -> {trunk['commit'][:12]}")
    for row in done.agents[:AGENTS_SHOWN]:
        before = (row["from"] or "(retired)")[:12]
        print(f"{would} {row['agent']}  {before} -> {row['commit'][:12]}")
    if done.agents[AGENTS_SHOWN:]:
        print(f"{would} {len(done.agents) - AGENTS_SHOWN} more agents")
    if done.kept:
        say(f"made since, so they stay: {', '.join(done.kept[:AGENTS_SHOWN])}")
    for agent, ref in (done.recovery or {}).items():
        say(f"what workspace {agent} held was saved as {ref}")
    for agent, why in (done.waiting or {}).items():
        say(f"workspace {agent} has not followed: {visible(why)}")
    if done.op:
        say(f"this was operation {done.op[:12]}; restoring the one before it undoes it")
