"""`workspace`: add, list, diff, remove."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Literal

from cyclopts import App, Parameter

from tatami.client import workspaces
from tatami.client.swarm import Swarm
from tatami.client.working import workspace_at
from tatami.client.workspaces import Removal
from tatami.store.locate import Place, find, marker
from tatami.ui.cli.output import Json, document, guarded, say, visible
from tatami.values.errors import TatamiError, UsageError
from tatami.values.ids import agent_name
from tatami.workspaces import git, line, staging, worktree
from tatami.workspaces.kinds import choosing
from tatami.workspaces.lifetime import making
from tatami.workspaces.worktree import Workspace

JsonFlag = Annotated[bool, Parameter("--json", negative="")]
SHOWN_PATHS = 10
"""Paths listed to people before the rest is counted."""
ELSEWHERE = {
    "sync": ("lines.sync:sync", "Rebase a line on the trunk, and take the workspace along."),
    "recover": ("recovery.recover:recover", "Find work that seems lost; bring it back."),
    "adopt": ("recovery.adopt:adopt", "Take over an existing git worktree, unsaved work included."),
}
"""Verb -> where it is, imported only when it is called, and one line about it."""

app = App(name="workspace", help="Agents' workspaces: git worktrees with a line of changes each.")
for _name, (_where, _words) in ELSEWHERE.items():
    app.command(f"tatami.ui.cli.{_where}", name=_name, help=_words)


@app.command(name=["add", "create", "new"])
def add(
    *names: str,
    base: str | None = None,
    kind: Literal["auto", "checkout", "overlay", "sparse"] | None = None,
    sparse: Annotated[list[str] | None, Parameter(negative="")] = None,
    json: JsonFlag = False,
) -> int:
    """Make workspaces for agents, side by side.

    Parameters
    ----------
    names
        The agents' names.
    base
        Where their lines begin: a bookmark, commit or git ref (default: the trunk).
    kind
        How they get their files (default: what this machine's settings say, or auto): checkout
        writes them all; overlay shows one shared tree and keeps what an agent changes; sparse
        writes some directories; auto is overlay where that works and pays, else checkout.
    sparse
        A directory that a sparse workspace has, with all below it; can be given several times.
    json
        Print one JSON document.
    """

    def work() -> None:
        if not names:
            raise UsageError("no name is given", code="usage", fix="tatami workspace add coder-1")
        with Swarm.open() as swarm:
            known = _known(swarm, names, base)
            wanted = choosing.wanted(swarm.place.root, kind, sparse or ())
            swarm.agents(names, base, existing=known, kind=kind, sparse=sparse or (), fresh=True)
            rows = swarm.workspaces(*names)
            rows = [_noted(swarm.place, wanted, row) for row in rows]
            trunk = marker(swarm.place).trunk
        if json:
            document(rows)
            return
        for row in rows:
            print(f"{row['name']}  {row['path']}")
            print(f"  {row['kind']}, base {row['base'][:12]}, {row['behind']} behind {trunk}")
            if "note" in row:
                say(f"  note: {row['note']}")
        first = rows[0]
        say(f"next: cd {first['path']}")
        say("      edit, then: tatami commit -m MESSAGE && tatami land")

    return guarded(json, work)


@app.command(name=["list", "ls"])
def show_all(*, json: JsonFlag = False) -> int:
    """List workspaces: where they are, their base in the trunk, and whether all is committed.

    Parameters
    ----------
    json
        Print one JSON document.
    """

    def work() -> None:
        with Swarm.open() as swarm:
            rows = swarm.workspaces()
        if json:
            document(rows)
            return
        for row in rows:
            state = "dirty" if row["dirty"] else "clean"
            state = state if row["state"] == "ready" else row["state"]
            print(
                f"{row['name']}  {row['kind']}  {row['base'][:12] or '-'}  "
                f"{row['behind']} behind  {state}  "
                f"{visible(row['path'])}"
            )
        if not rows:
            say("no workspaces yet: tatami workspace add coder-1 coder-2")

    return guarded(json, work)


@app.command
def diff(
    name: str | None = None,
    *,
    unsaved: Annotated[bool, Parameter("--unsaved", negative="")] = False,
    json: JsonFlag = False,
) -> int:
    """Show what a workspace changes against its base in the trunk, uncommitted edits included.

    Parameters
    ----------
    name
        Whose workspace (default: the one you are in).
    unsaved
        Only what is not committed yet.
    json
        Print one JSON document: the changed paths and the patch.
    """

    def work() -> None:
        place = find()
        trunk = f"refs/heads/{marker(place).trunk}"
        space = _seen(place, name)
        head = worktree.head(space)
        behind = line.behind(space, head)
        head = behind.commit if behind else head
        base = head if unsaved else git.text(space.path, "merge-base", trunk, head)
        if json:
            patch = staging.diff(space, base)
            rows = _changed(staging.diff(space, base, ("--name-status", "-z", "--no-renames")))
            text = patch.decode("utf-8", "replace")
            document({"name": space.name, "base": base, "files": rows, "diff": text})
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(staging.diff(space, base))

    return guarded(json, work)


@app.command(name=["remove", "rm", "destroy"])
def remove(
    *names: str,
    dry_run: Annotated[bool, Parameter("--dry-run", negative="")] = False,
    yes: Annotated[bool, Parameter(["--yes", "-y"], negative="")] = False,
    force: Annotated[bool, Parameter("--force", negative="")] = False,
    json: JsonFlag = False,
) -> int:
    """Remove workspaces; what is not committed is committed first, and nothing is lost.

    Parameters
    ----------
    names
        Whose workspaces.
    dry_run
        Only say what would be done.
    yes
        Do not ask.
    force
        Where the agent's line cannot take the changes, keep them under refs/tatami/recovery.
    json
        Print one JSON document.
    """

    def work() -> None:
        if not names:
            raise UsageError("no name is given", code="usage", fix="tatami workspace list")
        place = find()
        marker(place)
        for name in names:
            if worktree.state(workspaces.named(place, name)) == "unmounted":
                _seen(place, name)
        if dry_run:
            _print_all([workspaces.preview(place, name) for name in names], json, _planned)
            return
        asks = sys.stdin.isatty() and not (yes or json)
        if asks and not _confirmed([workspaces.preview(place, name) for name in names]):
            say("nothing was removed")
            return
        with Swarm.open() as swarm:
            done = [swarm.remove_workspace(name, force) for name in names]
        _print_all(done, json, _removed)

    return guarded(json, work)


def _noted(place: Place, wanted: choosing.Wanted, row: Json) -> Json:
    """A row with a note where the workspace is not quite what was asked for."""
    note = choosing.note(place.common, wanted, row["name"], row["kind"])
    return {**row, "note": note} if note else row


def _seen(place: Place, name: str | None) -> Workspace:
    """The workspace, where need be made visible to this process alone."""
    try:
        return workspace_at(place, name)
    except TatamiError as error:
        from tatami.client import running

        return running.step_inside(place, name, error)


def _known(swarm: Swarm, names: tuple[str, ...], base: str | None) -> bool:
    """Whether some of these are agents already, without a workspace: they may get one.

    Raises `UsageError` for names that are in use.
    """
    place = swarm.place
    checked = [agent_name(name) for name in names]
    making.require_free(place.common, place.workspaces, checked)
    known = {row["name"] for row in swarm.status()["agents"]}
    taken = [name for name in names if name in known]
    if base is not None and taken:
        raise UsageError(
            f"agent {taken[0]} exists, with a line of its own; --base is for new ones",
            code="agent_exists",
            fix=f"tatami workspace add {taken[0]}",
        )
    return bool(taken)


def _confirmed(plans: list[Removal]) -> bool:
    """Shows what would happen and asks; only on a terminal, a script's command is its answer."""
    for plan in plans:
        say(_planned(plan))
    say("remove? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _print_all(removals: Sequence[Removal], as_json: bool, words: Callable[[Removal], str]) -> None:
    if as_json:
        document([asdict(removal) for removal in removals])
        return
    for removal in removals:
        print(words(removal))


def _planned(plan: Removal) -> str:
    words = [f"{plan.name}  {visible(plan.path)}"]
    if plan.unsaved:
        words.append(f"  would be committed first: {_some(plan.unsaved)}")
    if plan.ignored:
        words.append(f"  ignored, would go: {_some(plan.ignored)}")
    if plan.note:
        words.append(f"  {visible(plan.note)}")
    return "\n".join(words)


def _removed(removal: Removal) -> str:
    words = [f"removed {removal.name}"]
    if removal.saved:
        words.append(f"  its changes are saved as commit {removal.saved[:12]}")
    if removal.recovery:
        words.append(f"  what it held is saved as {removal.recovery}")
    if removal.ignored:
        words.append(f"  ignored, gone with it: {_some(removal.ignored)}")
    if removal.note:
        words.append(f"  {visible(removal.note)}")
    if not removal.retired:
        words.append(f"  agent/{removal.name} stays; tatami land {removal.name}")
    return "\n".join(words)


def _some(paths: Sequence[str]) -> str:
    shown = ", ".join(map(visible, paths[:SHOWN_PATHS]))
    left = len(paths) - SHOWN_PATHS
    return f"{shown} and {left} more" if left > 0 else shown


def _changed(output: bytes) -> list[Json]:
    """Reads git's `--name-status -z`."""
    fields = iter(output.decode("utf-8", "replace").split("\0")[:-1])
    return [{"path": path, "status": status} for status, path in zip(fields, fields, strict=True)]
