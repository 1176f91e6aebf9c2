"""`workspace recover`: finds work that seems lost, and brings it back."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from tatami.client.recovery import finding, returning
from tatami.client.recovery.finding import Found
from tatami.client.recovery.returning import Returned
from tatami.client.swarm import Swarm
from tatami.ui.cli.output import document, guarded, one_line, say, visible
from tatami.values.errors import UsageError
from tatami.values.ids import agent_name
from tatami.workspaces import git

Flag = Annotated[bool, Parameter(negative="")]
SHOWN = 20
"""Finds listed to people; JSON is not cut."""
PATHS_SHOWN = 4


def recover(
    id: str | None = None,
    *,
    search: str = "",
    agent: str | None = None,
    to: str | None = None,
    branch: str | None = None,
    into: Flag = False,
    all: Flag = False,
    json: Flag = False,
) -> int:
    """Find work again that agents saved or committed and that no branch has; bring it back.

    Lists it, the newest first, also of removed workspaces and of retired agents. With an id it
    comes back as a new agent's line and workspace, or as --branch or --into say; what is there is
    not touched.

    Parameters
    ----------
    id
        What to bring back: a commit, or the end of a recovery ref, as they are listed.
    search
        Only what has this text in its message, paths or added lines.
    agent
        Only what was this agent's; with --into, whose workspace.
    to
        The name of the new agent that gets it.
    branch
        Make a git branch of it instead.
    into
        Make it uncommitted edits of the agent's workspace.
    all
        Also what a branch still reaches, or has landed.
    json
        Print one JSON document.
    """

    def work() -> None:
        ways = [way for way in (to, branch, into) if way]
        if len(ways) > 1 or (ways and id is None):
            what = "one of --to, --branch and --into" if ways[1:] else "the id of what comes back"
            raise UsageError(f"give {what}", code="usage", fix="tatami workspace recover")
        owner = None if agent is None else agent_name(agent)
        with Swarm.open() as swarm:
            if id is None:
                limit = None if json else SHOWN
                rows = finding.find(swarm, search, owner, all, limit)
                _list(rows, finding.gone(swarm), json)
                return
            text = git.meant_here(swarm.place.worktree, id)
            found = finding.named(finding.candidates(swarm, True), text, swarm.place.common)
            if branch:
                done = returning.to_branch(swarm, found, branch)
            elif into:
                done = returning.into(swarm, found, owner)
            else:
                done = returning.to_agent(swarm, found, to)
        document(asdict(done)) if json else _say_done(found, done)

    return guarded(json, work)


def _list(rows: Sequence[Found], hints: Sequence[str], as_json: bool) -> None:
    if as_json:
        document([asdict(row) for row in rows])
        return
    for row in rows[:SHOWN]:
        print(f"{row.id[:12]}  {row.time}  {row.agent or '-'}  {visible(row.reason)}")
        files = ", ".join(_escaped(path) for path in row.files[:PATHS_SHOWN])
        more = row.file_count - len(row.files[:PATHS_SHOWN])
        print(f"  {one_line(row.message)}")
        if files:
            print(f"  {files}{f' and {more} more' if more > 0 else ''}")
        for line in row.lines:
            print(f"    + {_escaped(line)}")
        if row.unsaved:
            print(f"  not in it: {', '.join(map(_escaped, row.unsaved[:PATHS_SHOWN]))}")
    for hint in hints:
        say(f"note: {_escaped(hint)}")
    if len(rows) > SHOWN:
        say(f"{len(rows) - SHOWN} older ones are not shown; --search TEXT, --agent NAME or --json")
    if rows:
        say(f"next: tatami workspace recover {rows[0].id[:12]} --to NAME (or --branch B, --into)")
    else:
        say("nothing is lost that was saved; --all lists what branches have")


def _say_done(found: Found, done: Returned) -> None:
    if done.branch:
        print(f"branch {done.branch} is at {done.commit[:12]}")
    elif done.edits:
        print(f"{len(done.files)} files are edits of {_escaped(done.path)} now, not committed")
    else:
        print(f"{done.agent}  {_escaped(done.path)}  {done.commit[:12]}")
    if done.staged:
        say(f"what was staged then is commit {done.staged[:12]}")
    if found.unsaved:
        say(f"ignored files were not saved: {', '.join(map(_escaped, found.unsaved[:8]))}")
    for number, step in enumerate(done.next):
        say(f"{'next: ' if number == 0 else '      '}{_escaped(step)}")


def _escaped(text: str) -> str:
    """Text of a repository on one line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")
