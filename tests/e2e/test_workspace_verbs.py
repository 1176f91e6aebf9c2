"""What scripts hold on to: verbs, options, exit codes, the fields of JSON documents."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cyclopts
import pytest

from tatami.ui.cli.app import VERBS, build
from tests.e2e.conftest import Refused
from tests.sandbox import git, tatami, tatami_json


def commands(app: cyclopts.App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of the parser that does something."""
    for name in app:
        if name.startswith("-"):
            continue
        nested = app[name]
        found = list(commands(nested, (*words, name)))
        yield from found or [(*words, name)]


FOR_PROGRAMS = (("hook",),)
"""What git calls: it answers in git's own protocols."""
VERBS_OF_PEOPLE = [words for words in commands(build()) if words not in FOR_PROGRAMS]


@pytest.mark.parametrize("words", VERBS_OF_PEOPLE, ids=" ".join)
def test_every_verb_has_json_and_help(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each says what it does, and can answer in JSON."""
    build()([*words, "--help"])
    assert "--json" in capsys.readouterr().out


def test_the_verbs_of_this_release_are_there() -> None:
    """A verb that was there once stays."""
    expected = (
        "init serve stop status fsck workspace commit log op land queue conflicts replay scenario"
    )
    assert set(expected.split()) <= set(VERBS)


def test_status_has_the_agreed_fields(space: Path, name: str) -> None:
    """Hub, agents, queue, trunk, warnings."""
    status = tatami_json(space, "status")
    assert {"hub", "agents", "queue", "trunk", "warnings"} <= set(status)
    assert {"pid", "mode", "uptime_s", "rss_mb"} <= set(status["hub"])
    assert {"name", "commit", "waiting"} == set(status["trunk"])
    agent = next(row for row in status["agents"] if row["name"] == name)
    head = git(space, "rev-parse", "HEAD")
    expected = {"head": head, "unlanded": 0, "behind": 0, "workspace": str(space)}
    assert {key: agent[key] for key in expected} == expected


def test_log_has_one_object_a_line(space: Path, name: str) -> None:
    """Each commit with the agreed fields, not cut, newest first."""
    (space / "new.txt").write_text("new\n")
    done = tatami_json(space, "commit", "-m", "subject")
    lines = tatami(space, "log", "--all", "--json").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    fields = {"commit", "change", "agent", "parents", "description", "time", "op", "landed"}
    assert all({*fields, "conflict"} <= set(row) for row in rows)
    row = next(row for row in rows if row["commit"] == done["commit"])
    assert (row["agent"], row["change"], row["op"]) == (name, done["change"], done["op"])
    assert (row["description"].strip(), row["landed"], row["conflict"]) == ("subject", False, False)
    assert len(tatami(space, "log", "--json", "--limit", "2").stdout.splitlines()) == 2


def test_land_ends_with_a_fixed_line(space: Path, name: str) -> None:
    """Scripts look for the last line of each landing."""
    (space / f"{name}.txt").write_text("new\n")
    head = tatami_json(space, "commit", "-m", "m")["commit"]
    done = tatami(space, "land")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"[OK] landed {name} onto main @ {head[:12]}"


def test_a_conflict_is_handed_back_with_a_way_out(
    space: Path, swarm: object, name: str, shared: Path
) -> None:
    """Exit code 2, both sides, the commands that resolve it; after them it lands."""
    other = Path(tatami_json(shared, "workspace", "add", name + "b")[0]["path"])
    for place, text in ((space, "mine\n"), (other, "theirs\n")):
        (place / "history.txt").write_text(text)
        tatami_json(place, "commit", "-m", text)
    tatami_json(other, "land")
    done = tatami(space, "land")
    entry = tatami_json(space, "queue")[-1]["entry"]
    assert done.returncode == 2
    line = f"[CONFLICT] {name} did not land onto main; queue entry {entry}"
    assert done.stdout.splitlines()[-1] == line
    assert [row["entry"] for row in tatami_json(space, "conflicts")] == [entry]
    shown = tatami_json(space, "conflicts", "show", str(entry))["conflicts"][0]
    assert (shown["ours_content"], shown["theirs_content"]) == ("theirs\n", "mine\n")
    said = tatami(space, "conflicts", "show", str(entry)).stderr
    assert f"cd {space} && git rebase main" in said
    subprocess.run(["git", "rebase", "main"], cwd=space, capture_output=True, check=False)
    (space / "history.txt").write_text("both\n")
    git(space, "add", "--all")
    git(space, "-c", "core.editor=true", "rebase", "--continue")
    assert tatami(space, "land").returncode == 0
    assert git(shared, "show", "main:history.txt") == "both"


@pytest.mark.parametrize(
    "words",
    [
        ("queue", "retry"),
        ("queue", "reject"),
        ("queue", "retry", "x"),
        ("log", "--limit", "x"),
        ("status", "--frob"),
        ("workspace", "frob"),
        ("frobnicate",),
    ],
    ids=" ".join,
)
def test_wrong_usage_leaves_with_64(shared: Path, refused: Refused, words: tuple[str, ...]) -> None:
    """Whatever parses the command line, and with `--json` as JSON."""
    assert refused(shared, *words) == (64, "usage")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("comit", "-m", "m"), "tatami commit -m m"),
        (("worksapce", "list"), "tatami workspace list"),
        (("ws", "lst"), "tatami workspace list"),
        (("op", "lgo"), "tatami op log"),
        (("queue", "retyr", "1"), "tatami queue retry 1"),
    ],
)
def test_a_wrong_word_names_the_nearest(shared: Path, typed: tuple[str, ...], meant: str) -> None:
    """The fix is the whole command with the word corrected."""
    done = tatami(shared, *typed)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (64, f"  fix: {meant}")


@pytest.mark.parametrize(
    ("answer", "gone"), [("y\n", True), ("n\n", False), ("\n", False)], ids=["yes", "no", "enter"]
)
def test_on_a_terminal_removing_asks(space: Path, shared: Path, answer: str, gone: bool) -> None:
    """Only there: a script's command is its answer."""
    ours, theirs = pty.openpty()
    command = [os.path.join(os.path.dirname(sys.executable), "tatami"), "ws", "rm", space.name]
    with subprocess.Popen(
        command, cwd=shared, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.write(ours, answer.encode())
        process.wait()
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, space.exists()) == (0, not gone)


def test_nothing_but_json_is_on_stdout(space: Path, name: str) -> None:
    """Warnings and prose go to stderr, so that a program can read stdout whole."""
    (space / "history.txt").write_text("staged\n")
    git(space, "add", "--all")
    (space / "history.txt").write_text("later\n")
    done = tatami(space, "commit", "-m", "m", "--json")
    assert json.loads(done.stdout)["agent"] == name
    assert done.stderr.startswith("warning: ")
