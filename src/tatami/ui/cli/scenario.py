"""`replay`, `scenario list`, `scenario run`."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from tatami.ui.cli.output import Json, document, guarded, say, visible
from tatami.values.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tatami.scenarios.replay.values import Asked
    from tatami.scenarios.storm.values import Asked as Storm

Flag = Annotated[bool, Parameter(negative="")]
MODES = ("shared-log",)
SCENARIOS = {
    "storm": "many processes commit as fast as each gets its answer, beside git worktrees and jj"
}

app = App(name="scenario", help="The main job and its measurements, run on this machine.")


def replay(  # noqa: PLR0913 - the flags of a verb
    repo: str,
    *,
    agents: int | None = None,
    commits: int = 200,
    from_: Annotated[Literal["files", "bytes"], Parameter("--from")] = "files",
    mode: str = "shared-log",
    batch_size: int | None = None,
    rev: str = "HEAD",
    compare: Flag = False,
    keep: Flag = False,
    json: Flag = False,
) -> int:
    """Deal a repository's last commits to agents, who commit at once and land in history's order.

    Works in a temporary clone; the repository is only read. The result is compared with history.

    Parameters
    ----------
    repo
        Any clone of a repository, bare or not.
    agents
        How many work at the same time (default: 10, or as many as there are commits).
    commits
        How many of the newest commits; all there are where history is shorter.
    from_
        Agents commit their workspaces' files, or bytes without a workspace.
    mode
        The op-log mode.
    batch_size
        Most commits of one operation (default: the hub's own).
    rev
        The commit to end at.
    compare
        Commit the same changes in git worktrees afterwards, and show both.
    keep
        Keep the clone, and say where it is.
    json
        Print one JSON document.
    """

    def work() -> int:
        from tatami.scenarios.replay.values import Asked

        _require_mode(mode)
        asked = Asked(repo, agents, commits, rev, from_, mode, batch_size, compare, keep)
        told = _watched(asked, quiet=json)
        if json:
            document(told)
        else:
            _print_replay(told)
        return 0 if told["ok"] else 1

    return guarded(json, work)


def _watched(asked: "Asked", quiet: bool) -> Json:
    from rich.console import Console

    from tatami.scenarios.replay.run import replay as play
    from tatami.scenarios.replay.values import Unwatched

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return dict(play(asked, Unwatched()))
    from tatami.scenarios.replay.live import LiveView

    with LiveView(console) as view:
        return dict(play(asked, view))


def _print_replay(told: Json) -> None:
    from tatami.scenarios.replay.report import summary

    for name, words in summary(told):
        print(f"{name:11} {words}")
    for name in ("differs", "oracle_files", "altered_files"):
        for path in told[name][:10]:
            say(f"  {name.replace('_', ' ')}: {visible(path)}")
    for problem in told["fsck"]["problems"][:10]:
        say(f"  fsck: {visible(problem)}")
    if "compare" in told:
        _print_compare(told["compare"])
    if "kept" in told:
        say(f"kept: {told['kept']}")


def _print_compare(rows: "Sequence[Mapping[str, object]]") -> None:
    print()
    print("commits only, all agents at once:")
    columns = ("arm", "core.fsync", "commits/s", "ack p50 ms", "ack p99 ms", "tatami is")
    table = [
        (
            row["arm"],
            row["fsync"] or "-",
            row["commits_per_s"],
            row["ack_ms"]["p50"],  # type: ignore[index]
            row["ack_ms"]["p99"],  # type: ignore[index]
            f"{row['ratio']}x" if row["fsync"] else "",
        )
        for row in rows
    ]
    _print_table(columns, table)
    say("")
    say("next: tatami scenario run storm       the same race with made-up commits, in processes")
    say("      tatami replay REPO --keep       then look around in the clone: tatami log --all")
    say("      docs/promises.md                what durable means, and how it is checked")


def _print_table(columns: "Sequence[str]", rows: "Sequence[Sequence[object]]") -> None:
    cells = [columns, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    for row in cells:
        first = row[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print("  ".join((first, *rest)).rstrip())


@app.command(name="list")
def list_scenarios(*, json: Flag = False) -> int:
    """List what can be run.

    Parameters
    ----------
    json
        Print one JSON document.
    """
    if json:
        document([{"name": name, "does": does} for name, does in SCENARIOS.items()])
    else:
        for name, does in SCENARIOS.items():
            print(f"{name:8} {does}")
    return 0


@app.command
def run(  # noqa: PLR0913 - the flags of a verb
    name: str,
    *,
    agents: int = 10,
    commits: int = 100,
    workload: Literal["new", "edit"] = "new",
    source: Literal["bytes", "checkout", "overlay"] = "bytes",
    mode: str = "shared-log",
    git_fsync: Literal["default", "all", "both"] = "default",
    files: int = 5000,
    repo: str | None = None,
    arms: str = "tatami,git-worktree,jj-workspace",
    out: str | None = None,
    json: Flag = False,
) -> int:
    """Run a scenario: each arm in a fresh folder, one row per arm.

    Parameters
    ----------
    name
        The scenario; `tatami scenario list` shows them.
    agents
        How many processes commit at the same time.
    commits
        How many commits each of them makes.
    workload
        New files, or edits of existing ones.
    source
        Tatami's agents commit bytes, or files of their workspaces: checkouts, or overlays.
    mode
        The op-log mode.
    git_fsync
        What core.fsync is for git: its default, all, or one row for both.
    files
        How many files the made-up repository has.
    repo
        Another repository to run on; it is only read.
    arms
        Which arms, by commas; jj-workspace is left out where stock jj is missing.
    out
        A folder to write storm.json and storm.html to.
    json
        Print one JSON document.
    """

    def work() -> int:
        from tatami.scenarios.storm.values import Asked

        if name not in SCENARIOS:
            raise UsageError(f"there is no scenario {name!r}", fix="tatami scenario list")
        _require_mode(mode)
        asked = Asked(agents, commits, workload, source, mode, git_fsync, files, repo)
        return _run_storm(asked, arms.split(","), out, json)

    return guarded(json, work)


def _run_storm(asked: "Storm", arms: "Sequence[str]", out: str | None, json: bool) -> int:
    from dataclasses import replace

    from tatami.scenarios.storm import report
    from tatami.scenarios.storm.run import storm

    asked = replace(asked, arms=tuple(word.strip() for word in arms), jj=stock_jj())
    rows = storm(asked, (lambda _: None) if json else say)
    if out:
        report.write(out, rows, ["tatami", *sys.argv[1:]])
    if json:
        document(rows)
    else:
        _print_table(report.COLUMNS, report.cells(rows))
        say(f"written: {out}/storm.html" if out else "next: --out FOLDER keeps JSON and plots")
    clean = all(row["in_history"] == row["asked"] and not row["divergent"] for row in rows)
    return 0 if clean else 1


def stock_jj() -> str | None:
    """The stock jj this machine has: the one `make compat` builds, or the first on PATH."""
    import os
    import shutil

    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    built = os.path.join(cache, "tatami", "jj-0.45.1", "bin", "jj")
    return built if os.access(built, os.X_OK) else shutil.which("jj")


def _require_mode(mode: str) -> None:
    if mode not in MODES:
        raise UsageError(
            f"op-log mode {mode!r} is not there; {', '.join(MODES)} is", fix=f"--mode {MODES[0]}"
        )
