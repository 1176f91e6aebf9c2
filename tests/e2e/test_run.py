"""`tatami run`: a command in a workspace, in an environment that leads nowhere else."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sandbox
from tests.conftest import stop_hubs
from tests.e2e.conftest import Refused
from tests.mounts import WITHOUT_MOUNTS, WITHOUT_NAMESPACES, needs_mounts, needs_privileges
from tests.sandbox import git, tatami, tatami_json

SHOW = "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"
TATAMI = str(Path(sys.executable).with_name("tatami"))


def without(privileges: tuple[str, ...], root: Path, *words: str) -> tuple[int, str, str]:
    """Runs tatami with fewer privileges; its exit code, stdout and stderr."""
    done = sandbox.run(root, *privileges, TATAMI, *words, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def unprivileged(root: Path, *words: str) -> tuple[int, str, str]:
    return without(WITHOUT_MOUNTS, root, *words)


def test_where_it_runs_and_what_it_knows(
    shared: Path, space: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is the workspace; variables that point git elsewhere are gone."""
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    monkeypatch.setenv("JJ_CONFIG", "/nowhere")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -v")
    monkeypatch.setenv("OTHER", "kept")
    done = tatami(shared, "run", name, "--", sys.executable, "-c", SHOW)
    directory, variables = json.loads(done.stdout)
    assert directory == variables["PWD"] == str(space)
    assert variables["TATAMI_AGENT"] == name
    assert (variables["GIT_SSH_COMMAND"], variables["OTHER"]) == ("ssh -v", "kept")
    assert {"GIT_DIR", "GIT_INDEX_FILE", "JJ_CONFIG"}.isdisjoint(variables)


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", -15), ("cat; exit 3", 3)],
)
def test_the_exit_code_is_the_commands(shared: Path, space: Path, command: str, code: int) -> None:
    """Also the signal that killed it: the command takes tatami's place."""
    done = tatami(shared, "run", space.name, "--", "sh", "-c", command, stdin="text")
    assert (done.returncode, done.stdout) == (code, "text" if "cat" in command else "")


def test_a_verb_works_inside(shared: Path, space: Path, name: str) -> None:
    """What the command commits is the agent's."""
    script = f"echo new > new.txt && {TATAMI} commit -m inside"
    assert tatami(shared, "run", name, "--", "sh", "-c", script).returncode == 0
    assert git(space, "log", "-1", "--format=%s") == "inside"


def test_what_cannot_be_run_is_said(shared: Path, space: Path, refused: Refused) -> None:
    """As a shell does; usage errors are 64, and nothing runs."""
    name = space.name
    assert refused(shared, "run", name, "--json", "--", "no-such-command") == (127, "bad_command")
    assert refused(shared, "run", name, "--json", "--", "/etc/passwd") == (126, "bad_command")
    assert refused(shared, "run", name) == (64, "usage")
    assert refused(shared, "run", "nobody", "--json", "--", "true") == (64, "no_workspace")


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository whose hub and overlay workspaces belong to a user who may not mount."""
    root = sandbox.make_repository(tmp_path_factory.mktemp("private, a:b") / "repo")
    tatami_json(root, "init")
    yield root
    stop_hubs(root)


def add_private(root: Path, name: str) -> Path:
    code, out, err = unprivileged(root, "workspace", "add", name, "--kind", "overlay", "--json")
    assert code == 0, err
    added = json.loads(out)[0]
    assert (added["kind"], added["state"]) == ("overlay", "unmounted")
    assert f"tatami run {name} -- COMMAND" in added["note"]
    return Path(added["path"])


@needs_mounts
@needs_privileges
def test_what_others_have_mounted_proves_nothing(
    tatami_repository: Path,
) -> None:
    """A process without privileges beside one that has them gets what itself can have."""
    tatami_json(tatami_repository, "workspace", "add", "a", "--kind", "overlay")
    assert not os.path.ismount(add_private(tatami_repository, "b"))


@needs_privileges
def test_without_privileges_it_is_seen_inside_only(private: Path, name: str) -> None:
    """The command works there, git outside stops, and the commit is everybody's."""
    space = add_private(private, name)
    script = f"echo new > new.txt && git status --short && {TATAMI} commit -m inside && exit 5"
    code, out, err = unprivileged(private, "run", name, "--", "sh", "-c", script)
    assert (code, out.splitlines()[0]) == (5, "?? new.txt"), err
    assert os.listdir(space) == [".git"]
    assert git(private, "show", f"agent/{name}:new.txt") == "new"
    assert sandbox.run(space, "git", "status", check=False).returncode == 128


@needs_privileges
@pytest.mark.parametrize(
    ("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)]
)
def test_the_exit_code_comes_out(private: Path, name: str, command: str, code: int) -> None:
    """128 + n for signal n, as shells have it."""
    add_private(private, name)
    assert unprivileged(private, "run", name, "--", "sh", "-c", command)[0] == code


@needs_privileges
def test_signals_go_in(private: Path, name: str, tmp_path: Path) -> None:
    """Who ends tatami ends the command, which may have a last word."""
    add_private(private, name)
    ready = tmp_path / "ready"
    script = f"trap 'exit 3' TERM; touch '{ready}'; while :; do sleep 0.05; done"
    words = (*WITHOUT_MOUNTS, TATAMI, "run", name, "--", "sh", "-c", script)
    with subprocess.Popen(words, cwd=private) as process:
        while not ready.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 3


@needs_privileges
def test_the_second_joins_the_first(private: Path, name: str, tmp_path: Path) -> None:
    """Two commands see one workspace, and it is not taken away under them."""
    add_private(private, name)
    ready, stop = tmp_path / "ready", tmp_path / "stop"
    script = f"echo one > one.txt; touch '{ready}'; while [ ! -e '{stop}' ]; do sleep 0.05; done"
    words = (*WITHOUT_MOUNTS, TATAMI, "run", name, "--", "sh", "-c", script)
    with subprocess.Popen(words, cwd=private):
        while not ready.exists():
            time.sleep(0.02)
        try:
            assert unprivileged(private, "run", name, "--", "cat", "one.txt")[1] == "one\n"
            code, out, _ = unprivileged(private, "workspace", "remove", name, "--json")
            assert (code, json.loads(out)["code"]) == (75, "workspace_in_use")
        finally:
            stop.touch()


@needs_privileges
@pytest.mark.parametrize("verb", ["commit", "diff", "remove"])
def test_verbs_outside_look_inside(private: Path, name: str, verb: str) -> None:
    """They open a namespace for themselves: nothing of the workspace has to be mounted."""
    space = add_private(private, name)
    assert unprivileged(private, "run", name, "--", "sh", "-c", "echo new > new.txt")[0] == 0
    match verb:
        case "commit":
            assert unprivileged(private, "commit", "--agent", name, "-m", "outside")[0] == 0
        case "diff":
            assert "+new" in unprivileged(private, "workspace", "diff", name)[1]
            return
        case "remove":
            assert unprivileged(private, "workspace", "remove", name)[0] == 0
            assert not space.exists()
    assert git(private, "show", f"agent/{name}:new.txt") == "new"


@needs_privileges
def test_a_hub_that_died_is_started_outside(private: Path, name: str) -> None:
    """None starts in the namespace: it would keep it, and see only what is mounted there."""
    add_private(private, name)
    tatami_json(private, "status")
    script = f"{TATAMI} stop > /dev/null; echo new > new.txt; {TATAMI} commit -m later"
    code, _, err = unprivileged(private, "run", name, "--", "sh", "-c", script)
    assert (code, git(private, "show", f"agent/{name}:new.txt")) == (0, "new"), err
    hub = tatami_json(private, "status")["hub"]["pid"]
    assert os.readlink(f"/proc/{hub}/ns/mnt") == os.readlink("/proc/self/ns/mnt")


@needs_privileges
def test_where_nothing_is_permitted_it_is_a_checkout(private: Path, name: str) -> None:
    """It falls back, and says so."""
    tatami_json(private, "status")
    words = ("workspace", "add", name, "--kind", "overlay", "--json")
    code, out, err = without(WITHOUT_NAMESPACES, private, *words)
    assert code == 0, err
    added = json.loads(out)[0]
    assert (added["kind"], added["state"]) == ("checkout", "ready")
    assert "an overlay is not possible here" in added["note"]
