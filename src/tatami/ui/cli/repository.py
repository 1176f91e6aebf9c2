"""`init`, `serve`, `stop`, `status`, `fsck`."""

from typing import Annotated

from cyclopts import Parameter

from tatami.client.connection import Connection
from tatami.store.initialise import initialise
from tatami.store.locate import find, marker
from tatami.ui.cli import hot
from tatami.ui.cli.output import document, guarded, say

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
            Connection(place, start=False).ask("stop", {})
            wait_until_stopped(place)
        except TatamiError as error:
            if error.code == "hub_version":
                terminate(place)
                wait_until_stopped(place)
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


def fsck(*, acks: str | None = None, quick: bool = False, json: JsonFlag = False) -> int:
    """Check that nothing acknowledged is missing and everything is what its name says.

    Parameters
    ----------
    acks
        A file with one acknowledged commit id a line, kept outside the repository (I1).
    quick
        Check the newest operations only.
    json
        Print one JSON document.
    """

    def work() -> int:
        from tatami.store.fsck import check

        place = find()
        report = check(place, marker(place), acks_file=acks, quick=quick)
        if json:
            document(report.as_json())
        else:
            for name, count in report.checked.items():
                print(f"{name:12} {count}")
            for problem in report.problems:
                print(f"{problem.invariant}: {problem.where}: {problem.what}")
            print("ok" if report.ok else f"{len(report.problems)} problems")
        return 0 if report.ok else 1

    return guarded(json, work)
