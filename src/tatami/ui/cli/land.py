"""`land`, `queue`, `conflicts`."""

from collections.abc import Callable
from shlex import quote
from typing import Annotated

from cyclopts import App, Parameter

from tatami.client.swarm import Swarm
from tatami.client.values import LandingResult
from tatami.store.locate import Place, marker
from tatami.ui.cli.output import Json, document, failure, guarded, one_line, say, visible
from tatami.values.errors import UsageError
from tatami.workspaces import worktree

JsonFlag = Annotated[bool, Parameter("--json", negative="")]
queue_app = App(name="queue", help="The landing queue, in the order it was asked.")
conflicts_app = App(name="conflicts", help="Landings that were handed back, with every side.")


def land(
    *names: str,
    wait: Annotated[bool, Parameter("--wait", negative="--no-wait")] = True,
    verify: str | None = None,
    json: JsonFlag = False,
) -> int:
    """Land agents' lines on the trunk, in this order; without a name, the workspace you are in.

    Parameters
    ----------
    names
        The agents whose work is to land.
    wait
        Wait until every one has landed or was handed back.
    verify
        A shell command that must succeed on exactly the tree that would land.
    json
        Print one JSON document.
    """

    def work() -> int:
        from tatami.client.working import agent_here

        with Swarm.open() as swarm:
            landing = swarm.land(names or [agent_here(swarm.place)], verify)
            if not wait:
                if json:
                    document({"entries": landing.entries})
                else:
                    print("queued " + " ".join(map(str, landing.entries)))
                return 0
            if swarm.ask("queue", {})["paused"]:
                say("the landing queue is paused; this waits for: tatami queue resume")
            results = landing.results()
            answer = swarm.ask("queue", {"wait": landing.entries})
            if json:
                document([row | {"waiting": answer["waiting"]} for row in answer["entries"]])
            else:
                trunk = marker(swarm.place).trunk
                if answer["waiting"]:
                    say(f"  git's branch {trunk} waits: {visible(answer['waiting'])}")
                for result in results:
                    _print(result, trunk)
            return 0 if all(result.state == "landed" for result in results) else 2

    return guarded(json, work)


def _print(result: LandingResult, trunk: str) -> None:
    """Prints how a landing ended; the line that begins with `[` is always the last."""
    if result.state == "landed":
        print(f"[OK] landed {result.agent} onto {trunk} @ {result.commits[-1][:12]}")
        return
    print(visible(result.reason).rstrip())
    if result.conflicts:
        say(f"  fix: tatami conflicts show {result.entry}")
    word = "CONFLICT" if result.state == "handed_back" else "REJECTED"
    print(f"[{word}] {result.agent} did not land onto {trunk}; queue entry {result.entry}")


@queue_app.default
def queue_list(
    *, all: Annotated[bool, Parameter("--all", negative="")] = False, json: JsonFlag = False
) -> int:
    """Show what waits to land and what was handed back.

    Parameters
    ----------
    all
        Also what has landed.
    json
        Print one JSON document.
    """

    def work() -> None:
        with Swarm.open() as swarm:
            found = swarm.ask("queue", {"done": all})
        rows = found["entries"]
        if found["paused"]:
            say("the queue is paused; tatami queue resume")
        if json:
            document(rows)
            return
        if not rows:
            say("nothing waits to land")
        for row in rows:
            print(f"{row['entry']:4} {row['state']:12} {row['agent']} {one_line(row['reason'])}")

    return guarded(json, work)


queue_app.command(queue_list, name=["list", "status"])


def _act(action: str, entries: tuple[int, ...], as_json: bool) -> int:
    def work() -> None:
        with Swarm.open() as swarm:
            result = swarm.queue_action(action, entries)
        if as_json:
            document(result)
        else:
            print(f"{action} {' '.join(map(str, entries))}".strip())

    return guarded(as_json, work)


def _on_entries(action: str) -> Callable[..., int]:
    """Makes a verb that does something to entries of the queue."""

    def verb(*entries: int, json: JsonFlag = False) -> int:
        """Steer the landing queue.

        Parameters
        ----------
        entries
            Entry numbers.
        json
            Print one JSON document.
        """
        if not entries:
            error = UsageError("no queue entry is given", code="usage", fix="tatami queue")
            return failure(error, json)
        return _act(action, entries, json)

    return verb


for _name, _help in (
    ("retry", "Queue handed-back or rejected entries again."),
    ("reject", "Take entries out of the queue; their commits stay."),
):
    queue_app.command(_on_entries(_name), name=_name, help=_help)


@queue_app.command
def pause(*, json: JsonFlag = False) -> int:
    """Start no further landing until `resume`."""
    return _act("pause", (), json)


@queue_app.command
def resume(*, json: JsonFlag = False) -> int:
    """Go on landing."""
    return _act("resume", (), json)


@conflicts_app.default
def conflicts_list(*, json: JsonFlag = False) -> int:
    """List landings that were handed back because of a conflict.

    Parameters
    ----------
    json
        Print one JSON document.
    """

    def work() -> None:
        with Swarm.open() as swarm:
            rows = [row for row in swarm.queue() if row["conflicts"]]
        if json:
            document(rows)
            return
        if not rows:
            say("no landing is in conflict")
        for row in rows:
            paths = ", ".join(conflict["path"] for conflict in row["conflicts"])
            print(f"{row['entry']:4} {row['agent']} {visible(paths)}")

    return guarded(json, work)


conflicts_app.command(conflicts_list, name="list")


@conflicts_app.command
def show(entry: int, *, json: JsonFlag = False) -> int:
    """Show both sides of a handed-back landing.

    Parameters
    ----------
    entry
        The queue entry.
    json
        Print one JSON document; contents that are not text are left out.
    """

    def work() -> None:
        with Swarm.open() as swarm:
            row = swarm.conflict(entry)
        for conflict in row["conflicts"]:
            for side in ("base", "ours", "theirs"):
                content = conflict[side + "_content"]
                conflict[side + "_content"] = _text(content)
        if json:
            document(row)
        else:
            _show(row, swarm.place)

    return guarded(json, work)


def _text(content: bytes | None) -> str | None:
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _show(row: Json, place: Place) -> None:
    print(f"entry {row['entry']} of {row['agent']}: {visible(row['reason'])}")
    for conflict in row["conflicts"]:
        path = visible(conflict["path"])
        base = (conflict["base_content"] or "").splitlines()
        for side, name in (("ours", "trunk"), ("theirs", row["agent"])):
            lines = (conflict[side + "_content"] or "").splitlines()
            _diff(path, name, base, lines)
    space = worktree.get(place.common, row["agent"])
    where = quote(space.path) if space else f"the workspace of {row['agent']}"
    say(f"  fix: cd {where} && git rebase {marker(place).trunk}")
    say(f"       resolve, git add, git rebase --continue, then: tatami land {row['agent']}")


def _diff(path: str, name: str, base: list[str], lines: list[str]) -> None:
    import difflib

    for line in difflib.unified_diff(
        base, lines, f"{path} (base)", f"{path} ({name})", lineterm=""
    ):
        print(visible(line))
