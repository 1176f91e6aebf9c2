"""Real repositories, real git and the real command, where nothing of this machine leaks in."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Files = Mapping[str, bytes]
COMMIT_TIME_S = 1_700_000_000
"""When the first commit of every repository of the tests was made."""
VARIABLES_OF_OTHERS = (
    "GIT_",
    "JJ_",
    "TATAMI_",
    "XDG_",
    "LC_",
    "EMAIL",
    "EDITOR",
    "VISUAL",
    "PAGER",
)
GIT_CONFIG = """\
[user]
    name = Test Author
    email = author@example.org
[init]
    defaultBranch = main
[commit]
    gpgSign = false
[gc]
    auto = 0
[maintenance]
    auto = false
[advice]
    detachedHead = false
"""
JJ_CONFIG = """\
[user]
name = "Test Author"
email = "author@example.org"
[ui]
color = "never"
paginate = "never"
"""


@dataclass(frozen=True, slots=True)
class Hub:
    """A running hub process and the repository it was started for."""

    pid: int
    root: str


def hermetic(environment: Mapping[str, str], home: Path) -> dict[str, str]:
    """Returns an environment with nobody's settings in it but those written to `home`."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(GIT_CONFIG)
    (home / "jj.toml").write_text(JJ_CONFIG)
    kept = {k: v for k, v in environment.items() if not k.startswith(VARIABLES_OF_OTHERS)}
    folders = ("CONFIG", "CACHE", "DATA", "STATE", "RUNTIME")
    return kept | {
        "HOME": str(home),
        **{f"XDG_{kind}_{'DIR' if kind == 'RUNTIME' else 'HOME'}": str(home) for kind in folders},
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_TERMINAL_PROMPT": "0",
        "JJ_CONFIG": str(home / "jj.toml"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
        "COLUMNS": "100",
    }


def run(
    path: str | os.PathLike[str], *command: str, stdin: bytes | None = None, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command in `path`; a failure shows what it said."""
    done = subprocess.run(
        command, cwd=path, input=stdin, capture_output=True, timeout=110, check=False
    )
    if check and done.returncode:
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        raise AssertionError(f"{' '.join(command)} left with {done.returncode}:\n{said}")
    return done


def git(path: str | os.PathLike[str], *arguments: str, stdin: bytes | None = None) -> str:
    """Runs stock git and returns what it printed, without the last newline."""
    return run(path, "git", *arguments, stdin=stdin).stdout.decode().removesuffix("\n")


def tatami(
    path: str | os.PathLike[str], *arguments: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the installed `tatami` command in `path`, whatever its exit code will be."""
    command = os.path.join(os.path.dirname(sys.executable), "tatami")
    return subprocess.run(
        [command, *arguments],
        cwd=path,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        encoding="utf-8",
        timeout=110,
        check=False,
    )


def tatami_json(path: str | os.PathLike[str], *arguments: str) -> Any:
    """Runs `tatami ... --json`, which has to succeed, and returns its one document."""
    done = tatami(path, *arguments, "--json")
    assert done.returncode == 0, f"tatami {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def make_repository(path: Path, files: Files | int = 3, commits: int = 3) -> Path:
    """Makes a git repository with `main` checked out clean; returns its root.

    files: contents by path, or how many small ones to make up. The first commit has all of them;
    each later one appends a line to `history.txt`.
    """
    contents = made_up(files) if isinstance(files, int) else files
    stream: list[bytes] = []
    for number in range(commits):
        who = b"Test Author <author@example.org> %d +0000" % (COMMIT_TIME_S + number)
        stream.append(b"commit refs/heads/main\nauthor %b\ncommitter %b\n" % (who, who))
        stream.append(_data(b"commit %d\n" % number))
        changed = contents if number == 0 else {}
        history = b"".join(b"line %d\n" % n for n in range(number + 1))
        for name, content in {**changed, "history.txt": history}.items():
            stream.append(b'M 100644 inline "%b"\n' % _quoted(name))
            stream.append(_data(content))
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    git(path, "fast-import", "--quiet", "--done", stdin=b"".join(stream) + b"done\n")
    git(path, "reset", "--quiet", "--hard", "main")
    return path


def made_up(count: int) -> Files:
    """Small text files in folders of a hundred, each with its own content."""
    return {f"dir{n // 100}/file{n}.txt": b"file %d\nsecond line\n" % n for n in range(count)}


def commit_file(path: Path, name: str, content: bytes, message: str = "by git") -> str:
    """Commits one file with stock git in a checkout; returns the commit's id."""
    target = path / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    git(path, "add", "--", name)
    git(path, "commit", "--quiet", "-m", message)
    return git(path, "rev-parse", "HEAD")


def hubs_under(directory: Path) -> list[Hub]:
    """Every hub process of this machine that serves a repository below `directory`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if "tatami.hub" in words:
            root = words[words.index("tatami.hub") + 1]
            if Path(root).is_relative_to(directory):
                found.append(Hub(int(entry.name), root))
    return found


def kill_hub(hub: Hub, seconds: float = 10.0) -> None:
    """Ends a hub the hard way and waits until its process is gone."""
    try:
        os.kill(hub.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + seconds
    while os.path.exists(f"/proc/{hub.pid}") and time.monotonic() < deadline:
        if Path(f"/proc/{hub.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def _quoted(name: str) -> bytes:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return escaped.encode()
