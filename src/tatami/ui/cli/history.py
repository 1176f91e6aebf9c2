"""`log`, `op log`, `op show`."""

from itertools import chain
from typing import Annotated

from cyclopts import App, Parameter

from tatami.client.swarm import Swarm
from tatami.ui.cli.output import Json, document, guarded, one_line, visible
from tatami.values.errors import UsageError

JsonFlag = Annotated[bool, Parameter("--json", negative="")]
AllFlag = Annotated[bool, Parameter("--all", negative="")]
SHOWN = 20
"""Commits or operations shown to people unless `--limit` says otherwise; JSON is not cut."""

app = App(name="op", help="The operation log: everything that was ever done, in order.")
app.command("tatami.ui.cli.lines.restore:restore", name="restore")


def log(*revs: str, all: AllFlag = False, limit: int | None = None, json: JsonFlag = False) -> int:
    """Show commits, newest first: of the trunk, of revisions, or of every line.

    Parameters
    ----------
    revs
        Agents, bookmarks, commit or change ids, git refs (default: the trunk).
    all
        Every agent's line and the trunk.
    limit
        At most this many.
    json
        One JSON object a line, not cut unless `--limit` is given.
    """

    def work() -> None:
        count = limit if json or limit is not None else SHOWN
        with Swarm.open() as swarm:
            for row in swarm.log(*revs, all=all, limit=count):
                if json:
                    document(row)
                    continue
                marks = ("landed " if row["landed"] else "") + ("conflict " * row["conflict"])
                who = f"{row['agent']} " if row["agent"] else ""
                print(
                    f"{row['commit'][:12]} {row['time']} {who}{marks}{one_line(row['description'])}"
                )

    return guarded(json, work)


@app.command(name="log")
def op_log(*, limit: int | None = None, json: JsonFlag = False) -> int:
    """Show operations, newest first.

    Parameters
    ----------
    limit
        At most this many.
    json
        One JSON object a line, not cut unless `--limit` is given.
    """

    def work() -> None:
        count = limit if json or limit is not None else SHOWN
        with Swarm.open() as swarm:
            for row in chain.from_iterable(swarm.operation_pages(count)):
                if json:
                    document(row)
                else:
                    print(f"{row['op'][:12]} {row['time']} {visible(row['description'])}")

    return guarded(json, work)


@app.command
def show(op: str, *, json: JsonFlag = False) -> int:
    """Show one operation: its commands, agents and commits.

    Parameters
    ----------
    op
        The operation's id, or the beginning of it.
    json
        Print one JSON document.
    """

    def work() -> None:
        with Swarm.open() as swarm:
            found = swarm.operations(1, op)
            if not found:
                raise UsageError(f"no operation {op!r}", code="not_found", fix="tatami op log")
            _show(found[0], json)

    return guarded(json, work)


def _show(row: Json, as_json: bool) -> None:
    if as_json:
        document(row)
        return
    print(f"operation {row['op']}")
    print(f"time      {row['time']} by {visible(row['user'])}")
    for parent in row["parents"]:
        print(f"parent    {parent}")
    print(f"          {visible(row['description'])}")
    for command in row["commands"]:
        print(f"{command['verb']:9} {command['agent']} {command['commit'][:12]} ({command['id']})")
    for key, value in row["attributes"].items():
        print(f"{key} = {visible(value)}")
