"""`undo`: an agent's last step, taken back."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from tatami.client.swarm import Swarm
from tatami.client.undoing.undo import Undo
from tatami.client.working import agent_here
from tatami.store.locate import find
from tatami.ui.cli.output import document, guarded, say, visible

JsonFlag = Annotated[bool, Parameter("--json", negative="")]
CONFLICTS = 2


def undo(
    *,
    agent: str | None = None,
    to: str | None = None,
    dry_run: Annotated[bool, Parameter("--dry-run", negative="")] = False,
    json: JsonFlag = False,
) -> int:
    """Take back an agent's last step, and nothing of anybody else's; again for the one before.

    A commit: its work is edits again. A sync or reset: the files go back, edits are kept and saved.
    Queued commits leave the queue. What has landed is taken back by a commit that lands.

    Parameters
    ----------
    agent
        Whose (default: the agent whose workspace you are in).
    to
        Everything this agent did after an operation of `tatami op log`.
    dry_run
        Only say what would be done.
    json
        Print one JSON document.
    """

    def work() -> int:
        name = agent or agent_here(find())
        with Swarm.open() as swarm:
            done = swarm.known_agent(name).undo(to, dry_run=dry_run)
        if json:
            document(asdict(done))
        else:
            _show(done)
        return CONFLICTS if done.conflicts else 0

    return guarded(json, work)


def _show(done: Undo) -> None:
    would = "would undo" if done.dry_run else "undid"
    for step in done.steps:
        entry = f" (queue entry {step['entry']})" if step["entry"] else ""
        print(f"{would} {step['verb']} {step['commit'][:12] or done.before[:12]}{entry}")
    if done.head != done.before:
        how = "the files stay" if done.files == "stay" else "the files follow"
        print(f"{done.name}  {done.before[:12]} -> {done.head[:12]}, {how}")
    for number in done.dequeued:
        out = "would leave" if done.dry_run else "left"
        print(f"queue entry {number} {out} the landing queue")
    if done.entry:
        print(f"queue entry {done.entry} takes it off the trunk: tatami queue")
    if done.conflicts:
        print("conflicts in " + ", ".join(visible(str(row["path"])) for row in done.conflicts[:10]))
    if done.recovery:
        say(f"what the workspace held was saved as {done.recovery}")
    if done.next:
        say(f"next: {done.next}")
