"""`workspace sync`: an agent's line on the new trunk."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from tatami.client.swarm import Swarm
from tatami.client.syncing import Synced
from tatami.client.working import agent_here
from tatami.store.locate import find
from tatami.ui.cli.output import Json, document, guarded, say, visible
from tatami.values.errors import TatamiError
from tatami.values.ids import agent_name
from tatami.workspaces import worktree

JsonFlag = Annotated[bool, Parameter("--json", negative="")]
CONFLICTS = 2


def sync(
    *names: str,
    all: Annotated[bool, Parameter("--all", negative="")] = False,
    json: JsonFlag = False,
) -> int:
    """Put agents' lines on the trunk: what has landed goes, the rest is rebased, edits stay.

    Edits that are not committed are saved under refs/tatami/recovery first. Conflicts are left in
    the workspace as git's rebase leaves them; the exit code is then 2.

    Parameters
    ----------
    names
        Whose lines (default: the one of the workspace you are in).
    all
        Every agent that has a workspace.
    json
        Print one JSON document.
    """

    def work() -> int:
        place = find()
        chosen = [agent_name(name) for name in names]
        if all:
            chosen += [s.name for s in worktree.registered(place.common) if s.name not in chosen]
        chosen = chosen or [agent_here(place)]
        code, rows = 0, list[Json]()
        with Swarm.open() as swarm:
            for name in chosen:
                try:
                    done = swarm.known_agent(name).sync()
                except TatamiError as error:
                    if len(chosen) == 1:
                        raise
                    code = code or error.exit_code
                    words = {"error": error.message, "code": error.code, "fix": error.fix}
                    rows.append({"name": name, **words})
                    say(f"{name}: {error.message}\n  fix: {error.fix}")
                    continue
                code = code or (CONFLICTS if done.conflicts else 0)
                rows.append(asdict(done))
                if not json:
                    _show(done)
        if json:
            document(rows)
        return code

    return guarded(json, work)


def _show(one: Synced) -> None:
    if one.conflicts:
        paths = ", ".join(visible(str(row["path"])) for row in one.conflicts[:10])
        print(f"{one.name}  conflicts in {paths}")
        say(f"next: {one.next}")
    else:
        counts = f"{one.rebased} rebased, {one.dropped} dropped"
        print(f"{one.name}  {one.head[:12]} on {one.onto[:12]}  {counts}")
    if one.note:
        say(one.note)
    if one.recovery:
        say(f"edits were saved as {one.recovery}")
