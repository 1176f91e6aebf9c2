"""`init`, `serve`, `stop`, `status`, `fsck`."""

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tatami.client.connection import Connection
from tatami.store.initialise import initialise
from tatami.store.locate import find, marker
from tatami.ui.cli import hot
from tatami.ui.cli.output import document, guarded, say, visible

if TYPE_CHECKING:
    from tatami.store.fsck import Report
    from tatami.store.repair.repair import Repaired

Flag = Annotated[bool, Parameter(negative="")]
JsonFlag = Annotated[bool, Parameter("--json", negative="")]


def init(path: str = ".", *, trunk: str | None = None, json: JsonFlag = False) -> int:
    """Make a git repository a Tatami one; running it again changes nothing.

    Parameters
    ----------
    path
        Any directory of the repository.
    trunk
        The branch that landings go to (default: the one checked out).
    json
        Print one JSON document.
    """

    def work() -> None:
        place = find(path)
        made, new = initialise(place, trunk)
        if json:
            document({"root": place.root, "trunk": made.trunk, "new": new})
        else:
            print(f"{'initialised' if new else 'already initialised'} {place.root}")
            print(f"trunk {made.trunk}")
            say("next: tatami workspace add coder-1 coder-2")

    return guarded(json, work)


def serve(path: str = ".", *, json: JsonFlag = False) -> int:
    """Run the hub in the foreground until it is stopped (any verb starts one when none runs).

    Parameters
    ----------
    path
        Any directory of the repository.
    json
        Print one JSON document when it has stopped.
    """

    def work() -> None:
        from tatami.hub.__main__ import serve as serve_hub

        place = find(path)
        say(f"hub for {place.root}; stop it with Ctrl-C or tatami stop")
        serve_hub(place, None)
        if json:
            document({"root": place.root, "stopped": True})

    return guarded(json, work)


def stop(*, json: JsonFlag = False) -> int:
    """Stop the hub after it has finished what it accepted.

    Parameters
    ----------
    json
        Print one JSON document.
    """

    def work() -> None:
        from tatami.client.start import terminate, wait_until_stopped
        from tatami.values.errors import TatamiError

        place = find()
        marker(place)
        running = True
        try:
            stopping, _ = Connection(place, start=False).ask("stop", {})
            wait_until_stopped(place, stopping["pid"])
        except TatamiError as error:
            if error.code == "hub_version":
                wait_until_stopped(place, terminate(place))
            elif error.code == "not_running":
                running = False
            else:
                raise
        if json:
            document({"stopped": running})
        else:
            print("hub stopped" if running else "no hub was running")

    return guarded(json, work)


def status(*, json: JsonFlag = False) -> int:
    """Show hub, agents, landing queue, trunk and warnings.

    Parameters
    ----------
    json
        Print one JSON document.
    """
    return guarded(json, lambda: hot.status(json))


def fsck(
    *,
    acks: str | None = None,
    quick: bool = False,
    repair: Flag = False,
    dry_run: Flag = False,
    yes: Annotated[bool, Parameter(["--yes", "-y"], negative="")] = False,
    json: JsonFlag = False,
) -> int:
    """Check that nothing acknowledged is missing and everything is what its name says.

    Parameters
    ----------
    acks
        A file with one acknowledged commit id a line, kept outside the repository (I1).
    quick
        Check the newest operations only.
    repair
        Go on with what is whole, and set aside what is not; nothing is deleted, no hub may run.
    dry_run
        With --repair: only say what would be done.
    yes
        With --repair: do not ask.
    json
        Print one JSON document.
    """

    def work() -> int:
        if repair:
            return _repair(acks, dry_run=dry_run, yes=yes, json=json)
        from tatami.store.fsck import check

        place = find()
        report = check(place, marker(place), acks_file=acks, quick=quick)
        document(report.as_json()) if json else _show(report)
        return 0 if report.ok else 1

    return guarded(json, work)


def _repair(acks: str | None, *, dry_run: bool, yes: bool, json: bool) -> int:
    from tatami.store.repair.repair import repair
    from tatami.values.errors import UsageError

    place = find()
    if not dry_run and not yes:
        if json or not sys.stdin.isatty():
            raise UsageError(
                "a repair changes the operation log's head and sets files aside",
                code="needs_yes",
                fix="tatami fsck --repair --dry-run; tatami fsck --repair --yes",
            )
        _show_repair(repair(place, acks, dry=True), dry=True)
        say("repair? [y/N] ")
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            say("nothing was changed")
            return 0
    found = repair(place, acks, dry=dry_run)
    if json:
        document(found.as_json())
    else:
        _show_repair(found, dry=dry_run)
        _show(found.report)
    return 0 if found.report.ok else 1


def _show(report: "Report") -> None:
    for name, count in report.checked.items():
        print(f"{name:12} {count}")
    for problem in report.problems:
        print(f"{problem.invariant}: {problem.where}: {problem.what}")
    print("ok" if report.ok else f"{len(report.problems)} problems")
    if not report.ok:
        say("next: tatami fsck --repair --dry-run")


def _show_repair(found: "Repaired", *, dry: bool) -> None:
    would = "would be " if dry else ""
    for path in found.set_aside:
        print(f"{would}set aside: {visible(path)}")
    for words in found.done:
        print(f"{would and 'would be done: '}{visible(words)}")
    if found.quarantine and not dry:
        print(f"what was set aside is in {visible(found.quarantine)}")
    for id in found.missing:
        print(f"acknowledged, and gone: {id}")
    if not found.set_aside and not found.done:
        print("nothing to repair")
