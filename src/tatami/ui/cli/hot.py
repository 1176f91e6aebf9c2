"""The hot verbs, parsed by hand: `status` and `commit`. The full parser takes anything unusual."""

import os
from collections.abc import Sequence

from tatami.client.connection import Connection
from tatami.store.locate import find, marker
from tatami.ui.cli.output import Json, document, guarded, one_line, say, visible
from tatami.values.errors import TatamiError
from tatami.workspaces import worktree
from tatami.workspaces.kinds import layers

VALUES = {"-m": "message", "--message": "message", "--agent": "agent", "--ack": "ack"}
FLAGS = {"--json": "json", "--amend": "amend", "--no-verify": "no_verify", "-n": "no_verify"}
ACKS = ("visible", "journal")
"""When a commit is answered; in the op-log mode `shared-log` both are one moment."""


def run(arguments: list[str]) -> int | None:
    """Runs a hot verb; None where these arguments are not for it."""
    if arguments and arguments[0] == "status":
        rest = arguments[1:]
        if rest in ([], ["--json"]):
            return guarded(bool(rest), lambda: status(as_json=bool(rest)))
    if arguments and arguments[0] == "commit":
        options = _commit_options(arguments[1:])
        if options:
            return guarded(bool(options["json"]), lambda: commit(options))
    return None


def status(as_json: bool) -> None:
    """Prints hub, agents with their workspaces, queue, trunk and warnings."""
    place = find()
    marker(place)
    shown, _ = Connection(place).ask("status", {})
    spaces = {space.name: space for space in worktree.registered(place.common)}
    for agent in shown["agents"]:
        space = spaces.get(agent["name"])
        agent["workspace"] = space.path if space else None
    for space in spaces.values():
        shown["warnings"] += worktree.warnings(space)
    shown["warnings"] += layers.lost(place.common)
    if as_json:
        document(shown)
        return
    hub, trunk = shown["hub"], shown["trunk"]
    print(f"hub    pid {hub['pid']}, {hub['mode']}, up {hub['uptime_s']:.0f} s, {hub['rss_mb']} MB")
    waits = " (waits)" if trunk["waiting"] else ""
    print(f"trunk  {trunk['name']} {trunk['commit'][:12]}{waits}")
    for agent in shown["agents"]:
        where = visible(agent["workspace"] or "no workspace")
        print(
            f"agent  {agent['name']}  {agent['head'][:12]}  "
            f"{agent['unlanded']} to land, {agent['behind']} behind  {where}"
        )
    for entry in shown["queue"]:
        words = one_line(entry["reason"])
        print(f"queue  {entry['entry']} {entry['agent']} {entry['state']} {words}".rstrip())
    for warning in shown["warnings"]:
        say(f"warning: {visible(warning)}")
    if not shown["agents"]:
        say("no agents yet: tatami workspace add coder-1 coder-2")


def commit(options: Json) -> None:
    """Commits a snapshot of the workspace the command runs in (or of `--agent`)."""
    from tatami.client import working

    place = find()
    marker(place)
    try:
        space = working.workspace_at(place, options["agent"])
    except TatamiError as error:
        from tatami.client import running

        space = running.step_inside(place, options["agent"], error)
    paths = working.paths_inside(space, options["paths"], os.getcwd())
    connection = Connection(place)

    def send(fields: Json, body: Sequence[bytes]) -> Json:
        return connection.command("commit", {"agent": space.name, **fields}, body)[0]

    result, warnings = working.snapshot(
        send,
        space,
        options["message"],
        paths,
        bool(options["amend"]),
        verify=not options["no_verify"],
    )
    for warning in warnings:
        say(f"warning: {visible(warning)}")
    if options["json"]:
        document({**result, "warnings": list(warnings)})
    else:
        words = one_line(options["message"]) or "(amended)"
        print(f"[{space.name} {result['commit'][:12]}] {words}")


def _commit_options(arguments: list[str]) -> Json | None:
    """The options of `commit`; None where the full parser has to look, and to complain."""
    options: Json = dict.fromkeys((*VALUES.values(), *FLAGS.values(), "paths"))
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in VALUES and rest:
            options[VALUES[word]] = rest.pop(0)
        elif word in FLAGS:
            options[FLAGS[word]] = True
        elif word == "--paths" and rest:
            options["paths"], rest = rest, []
        else:
            return None
    options["message"] = options["message"] or ""
    odd = any(path.startswith("-") for path in options["paths"] or ())
    if odd or options["ack"] not in {None, *ACKS}:
        return None
    return options if options["message"] or options["amend"] else None
