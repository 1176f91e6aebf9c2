"""`tatami replay`: real history as concurrent work, compared with history at the end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Refused
from tests.sandbox import commit_file, git, hubs_under, tatami, tatami_json

LINES = [b"line %d\n" % number for number in range(20)]
BINARY = bytes(range(256)) * 8
MODULE = "1" * 40


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder temporary clones are made in, so that a test sees whether one stays."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def history(make_repository: Callable[..., Path]) -> Path:
    """A repository whose last twelve commits touch every kind of thing a tree can hold.

    One conflicts (an edit next to another's), one depends on another, one changes nothing.
    """
    files = {
        "a.txt": b"".join(LINES),
        "call.py": b"f(1, 2)\n",
        "image.bin": BINARY,
        "tool.sh": b"#!/bin/sh\n",
        "folder/old.txt": b"old\n",
        ".gitignore": b"*.log\n",
    }
    path = make_repository(files, "history", commits=1)
    os.symlink("a.txt", path / "link")
    git(path, "add", "link")
    git(path, "update-index", "--add", "--cacheinfo", f"160000,{MODULE},module")
    git(path, "commit", "--quiet", "-m", "link and module")

    edit_line(path, 0, b"first\n")
    edit_line(path, 19, b"last\n")
    edit_line(path, 1, b"second\n")
    commit_file(path, "image.bin", BINARY[::-1])
    git(path, "update-index", "--chmod=+x", "tool.sh")
    git(path, "commit", "--quiet", "-m", "executable")
    (path / "tool.sh").chmod(0o755)
    git(path, "mv", "folder/old.txt", "folder/new name é.txt")
    git(path, "commit", "--quiet", "-m", "rename")
    (path / "link").unlink()
    os.symlink("call.py", path / "link")
    git(path, "commit", "--quiet", "-m", "link", "link")
    git(path, "update-index", "--cacheinfo", f"160000,{MODULE.replace('1', '2')},module")
    (path / "folder" / "beside.txt").write_bytes(b"beside a module\n")
    git(path, "add", "folder/beside.txt")
    git(path, "commit", "--quiet", "-m", "module")
    (path / "debug.log").write_bytes(b"kept\n")
    git(path, "add", "--force", "debug.log")
    git(path, "commit", "--quiet", "--allow-empty-message", "-m", "")
    git(path, "switch", "--quiet", "-c", "side")
    commit_file(path, "side/one.txt", b"1\n")
    commit_file(path, "side/two.txt", b"2\n")
    git(path, "switch", "--quiet", "main")
    git(path, "merge", "--quiet", "--no-ff", "-m", "merge side", "side")
    edit_line(path, 0, b"FIRST\n")
    git(path, "commit", "--quiet", "--allow-empty", "-m", "nothing")
    git(path, "rm", "--quiet", "call.py")
    git(path, "commit", "--quiet", "-m", "remove")
    return path


def edit_line(path: Path, number: int, line: bytes) -> None:
    lines = (path / "a.txt").read_bytes().splitlines(keepends=True)
    lines[number] = line
    commit_file(path, "a.txt", b"".join(lines), f"line {number}")


def state(path: Path) -> dict[str, tuple[int, int]]:
    """Size and time of everything below a directory.

    Times of objects are left out: git renews them when it would have written the same object.
    """
    found = {}
    for place in path.rglob("*"):
        seen = place.lstat()
        time_ns = 0 if ".git/objects/" in str(place) else seen.st_mtime_ns
        found[str(place)] = (seen.st_size, time_ns)
    return found


def nothing_lost(told: dict[str, Any], commits: int) -> None:
    """Every commit was acknowledged, is in history once, and the trunk is history's."""
    wanted = {
        "commits_asked": commits,
        "commits_acked": commits,
        "commits_in_history": commits,
        "lost": 0,
        "duplicated": 0,
        "divergent": 0,
        "op_heads": 1,
        "tree_matches": True,
        "durable": True,
        "clean_wrong": [],
        "altered_files": [],
        "fsck": {"ok": True, "problems": []},
    }
    assert {name: told[name] for name in wanted} == wanted


@pytest.mark.parametrize("source", ["files", "bytes"])
def test_every_kind_of_change_takes_part(history: Path, source: str) -> None:
    """All twelve commits land as history has them; only the conflict may be left, and is told."""
    told = tatami_json(
        history, "replay", ".", "--agents", "12", "--commits", "12", "--from", source
    )
    nothing_lost(told, 12)
    conflicts = told["conflicts"]
    assert (conflicts["files"], conflicts["auto_wrong"]) == (1, 0)
    assert conflicts["auto_correct"] + conflicts["left"] == 1
    assert told["oracle_files"] == ["a.txt"] * conflicts["left"]
    assert told["landed"] + told["rejected"] == 12
    assert (told["dependent"], told["agents"], told["windows"]) == (1, 12, 1)
    assert (told["from"], told["mode"]) == (source, "shared-log")


def test_agents_are_used_again_from_window_to_window(history: Path) -> None:
    """Five agents need three windows for twelve commits."""
    told = tatami_json(history, "replay", ".", "--agents", "5", "--commits", "12")
    nothing_lost(told, 12)
    assert (told["agents"], told["windows"]) == (5, 3)


def test_the_repository_is_only_read(history: Path, scratch: Path) -> None:
    """Not a file of it changes, and nothing stays behind elsewhere."""
    before = state(history)
    tatami_json(history, "replay", str(history), "--agents", "4", "--commits", "4")
    assert state(history) == before
    assert list(scratch.iterdir()) == []


def test_a_bare_repository_and_an_older_revision_can_be_replayed(
    history: Path, tmp_path: Path
) -> None:
    """A mirror without files will do, up to a commit that is named."""
    git(tmp_path, "clone", "--quiet", "--bare", str(history), "mirror.git")
    told = tatami_json(
        tmp_path, "replay", "mirror.git", "--commits", "3", "--rev", "main~4", "--from", "bytes"
    )
    nothing_lost(told, 3)
    assert told["agents"] == 3


def test_a_short_history_is_used_whole(repository: Path) -> None:
    """Two commits of three have one before them; ten agents become two."""
    told = tatami_json(repository, "replay", ".", "--agents", "10")
    nothing_lost(told, 2)
    assert told["agents"] == 2


def test_without_a_terminal_only_the_account_is_printed(repository: Path) -> None:
    """No progress bar, no escape sequences: topics and words on stdout."""
    done = tatami(repository, "replay", ".", "--from", "bytes")
    topics = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert (done.returncode, "\x1b" in done.stdout + done.stderr) == (0, False)
    assert done.stderr.splitlines() in ([], ["  oracle files: history.txt"])
    assert topics == [
        *("replayed", "durable", "in history", "landed", "merged", "the trunk", "fsck", "took")
    ]


def test_the_comparison_has_git_twice(repository: Path) -> None:
    """The same commits, by `git commit` with its default fsync and with all of it."""
    told = tatami_json(repository, "replay", ".", "--from", "bytes", "--compare")
    assert [(row["arm"], row["fsync"], row["commits"]) for row in told["compare"]] == [
        ("tatami (bytes)", "", 2),
        ("git worktrees", "default", 2),
        ("git worktrees", "all", 2),
    ]


def test_the_clone_can_be_kept(repository: Path, scratch: Path) -> None:
    """It is where the account says, with everything in it, and no hub runs for it."""
    told = tatami_json(repository, "replay", ".", "--keep", "--batch-size", "1")
    kept = Path(told["kept"])
    assert kept.is_relative_to(scratch)
    trees = [git(kept, "rev-parse", "main^{tree}"), git(repository, "rev-parse", "main^{tree}")]
    assert trees[0] == trees[1]
    operations = tatami(kept, "op", "log", "--json").stdout.splitlines()
    tatami(kept, "stop")
    agents = [line for line in operations if '"verb": "commit"' in line and '"agent-' in line]
    assert len(agents) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_replay_that_is_ended_leaves_nothing_behind(
    history: Path, scratch: Path, number: signal.Signals
) -> None:
    """Neither a hub nor a clone stays, whichever way it is told to end."""
    command = [os.path.join(os.path.dirname(sys.executable), "tatami"), "replay", str(history)]
    with subprocess.Popen(
        # A run in the background has inherited an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        args=[*command, "--agents", "2"],
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not hubs_under(scratch):
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    assert (list(scratch.iterdir()), hubs_under(scratch)) == ([], [])


def test_wrong_numbers_are_refused(repository: Path, refused: Refused) -> None:
    """Before anything is made: less than one, more agents than commits, a mode that is not."""
    for arguments in (
        ("--commits", "0"),
        ("--agents", "0"),
        ("--agents", "3", "--commits", "2"),
        ("--batch-size", "0"),
        ("--mode", "sharded"),
        ("--from", "nowhere"),
    ):
        assert refused(repository, "replay", ".", *arguments) == (64, "usage"), arguments


def test_wrong_repositories_are_refused(repository: Path, refused: Refused, tmp_path: Path) -> None:
    """Each with its own code: no directory, no repository, no history, not all of history."""
    (tmp_path / "nothing").mkdir()
    git(tmp_path, "init", "--quiet", "empty")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
    codes = {
        name: refused(tmp_path, "replay", name)[1]
        for name in ("missing", "nothing", "empty", "shallow")
    }
    assert codes == {
        "missing": "not_found",
        "nothing": "not_a_repository",
        "empty": "no_history",
        "shallow": "shallow_repository",
    }
