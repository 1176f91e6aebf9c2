"""Where Tatami can work and where it cannot: every kind of repository, socket and hub."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import sandbox
from tests.conftest import stop_hubs
from tests.e2e.conftest import Refused
from tests.sandbox import git, run, tatami_json

VERBS = (
    ("status",),
    ("workspace", "add", "coder-1"),
    ("commit", "-m", "m"),
    ("log",),
    ("land", "coder-1"),
    ("stop",),
)


@pytest.fixture(autouse=True)
def no_hub_stays(tmp_path: Path) -> Iterator[None]:
    """Stops what a test started."""
    yield
    stop_hubs(tmp_path)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_outside_a_repository(tmp_path: Path, refused: Refused, verb: tuple[str, ...]) -> None:
    """Every verb says so, and starts nothing."""
    assert refused(tmp_path, *verb) == (64, "not_a_repository")


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_before_init(repository: Path, refused: Refused, verb: tuple[str, ...]) -> None:
    """Every verb names `tatami init`, and writes nothing."""
    assert refused(repository, *verb) == (64, "not_initialised")
    assert not (repository / ".git" / "tatami").exists()


def test_a_bare_repository(repository: Path, tmp_path: Path, refused: Refused) -> None:
    """Agents need a working tree beside it."""
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
    assert refused(tmp_path / "bare.git", "init") == (64, "bare_repository")


def test_a_repository_without_a_commit(tmp_path: Path, refused: Refused) -> None:
    """There is nothing a line could begin at."""
    git(tmp_path, "init", "--quiet", "empty")
    assert refused(tmp_path / "empty", "init") == (64, "empty_repository")


def test_a_shallow_clone(repository: Path, tmp_path: Path, refused: Refused) -> None:
    """The fix makes it whole."""
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
    assert refused(tmp_path / "shallow", "init") == (64, "shallow_repository")
    git(tmp_path / "shallow", "fetch", "--quiet", "--unshallow")
    assert tatami_json(tmp_path / "shallow", "init")["trunk"] == "main"


def test_uncommitted_changes_of_the_user_stay(repository: Path) -> None:
    """Staged, edited and new files are as they were, and are in no workspace."""
    (repository / "history.txt").write_text("edited\n")
    (repository / "staged.txt").write_text("staged\n")
    git(repository, "add", "staged.txt")
    (repository / "new.txt").write_text("new\n")
    before = git(repository, "status", "--porcelain")
    tatami_json(repository, "init")
    space = Path(tatami_json(repository, "workspace", "add", "coder-1")[0]["path"])
    assert git(repository, "status", "--porcelain") == before
    assert git(space, "status", "--porcelain") == ""
    assert not (space / "new.txt").exists()


def test_in_the_middle_of_a_rebase(repository: Path) -> None:
    """The user's rebase goes on afterwards as if nothing had happened."""
    git(repository, "switch", "--quiet", "-c", "topic", "main~1")
    (repository / "history.txt").write_text("other\n")
    git(repository, "commit", "--quiet", "--all", "-m", "topic")
    run(repository, "git", "rebase", "main", check=False)
    before = git(repository, "status")
    tatami_json(repository, "init", "--trunk", "main")
    row = tatami_json(repository, "workspace", "add", "coder-1")[0]
    assert git(row["path"], "status", "--porcelain") == ""
    assert git(repository, "status") == before


def test_a_detached_head(repository: Path) -> None:
    """The usual branch is the trunk, and HEAD stays detached."""
    git(repository, "switch", "--quiet", "--detach", "main~1")
    assert tatami_json(repository, "init")["trunk"] == "main"
    tatami_json(repository, "workspace", "add", "coder-1")
    assert git(repository, "rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


def test_inside_a_worktree_and_a_folder(repository: Path, tmp_path: Path) -> None:
    """From anywhere in the repository the workspaces go below its main root."""
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    assert tatami_json(tmp_path / "linked", "init")["root"] == str(repository)
    row = tatami_json(tmp_path / "linked", "workspace", "add", "coder-1")[0]
    assert Path(row["path"]) == repository / ".tatami" / "workspaces" / "coder-1"
    rows = tatami_json(repository / "dir0", "workspace", "list")
    assert [row["name"] for row in rows] == ["coder-1"]


def test_a_submodule(repository: Path, tmp_path: Path) -> None:
    """Its git directory lies elsewhere and names it: it follows landings, and holds workspaces."""
    git(tmp_path, "init", "--quiet", "around")
    local = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    git(tmp_path / "around", *local, str(repository), "inner")
    root = tmp_path / "around" / "inner"
    tatami_json(root, "init")
    space = Path(tatami_json(root, "workspace", "add", "a")[0]["path"])
    other = tatami_json(space, "workspace", "add", "b")[0]["path"]
    assert Path(other) == root / ".tatami" / "workspaces" / "b"
    (space / "new.txt").write_text("new\n")
    commit = tatami_json(space, "commit", "-m", "new")["commit"]
    tatami_json(space, "land", "--wait")
    assert git(root, "rev-parse", "HEAD") == commit
    assert (git(root, "status", "--porcelain"), (root / "new.txt").exists()) == ("", True)


def test_a_git_directory_elsewhere_has_to_name_its_worktree(
    tmp_path: Path, refused: Refused
) -> None:
    """A checkout that is not known could not follow the trunk; named, it does."""
    git(tmp_path, "init", "--quiet", "--separate-git-dir", "elsewhere", "repo")
    root = tmp_path / "repo"
    sandbox.commit_file(root, "a.txt", b"a\n")
    assert refused(root, "init") == (64, "unknown_worktree")
    git(root, "config", "core.worktree", str(root))
    tatami_json(root, "init")
    space = Path(tatami_json(root, "workspace", "add", "a")[0]["path"])
    sandbox.commit_file(space, "b.txt", b"b\n")
    tatami_json(space, "land", "--wait")
    assert (git(root, "status", "--porcelain"), (root / "b.txt").exists()) == ("", True)


def test_init_again_changes_nothing(repository: Path) -> None:
    """`new` tells the two apart."""
    assert tatami_json(repository, "init")["new"] is True
    assert tatami_json(repository, "init")["new"] is False


def test_init_with_another_trunk_is_refused(repository: Path, refused: Refused) -> None:
    """The trunk is decided once."""
    tatami_json(repository, "init")
    git(repository, "branch", "other")
    assert refused(repository, "init", "--trunk", "other") == (64, "already_initialised")


@pytest.mark.parametrize("verb", [("init",), *VERBS], ids=" ".join)
def test_a_newer_format_is_left_alone(
    repository: Path, refused: Refused, verb: tuple[str, ...]
) -> None:
    """Every verb refuses, and nothing is written."""
    state = repository / ".git" / "tatami"
    state.mkdir()
    (state / "tatami.json").write_text(json.dumps({"format": 999, "trunk": "main"}))
    assert refused(repository, *verb) == (64, "newer_format")
    assert os.listdir(state) == ["tatami.json"]


def test_a_read_only_repository(repository: Path) -> None:
    """Nothing can be recorded there, and the refusal says what to look at."""
    command = f"{os.path.dirname(sys.executable)}/tatami init --json"
    if os.geteuid() == 0:
        # Modes mean nothing to root: a mount of its own, that only this command sees.
        mount = f"mount --bind -o ro {repository} {repository}"
        done = run(repository, "unshare", "--mount", "sh", "-c", f"{mount} || exit 99", check=False)
        if done.returncode:
            pytest.skip("nobody may make a read-only mount here")
        script = f"{mount} && cd {repository} && {command}"
        done = run(repository, "unshare", "--mount", "sh", "-c", script, check=False)
    else:
        os.chmod(repository / ".git", 0o500)
        done = run(repository, "sh", "-c", command, check=False)
        os.chmod(repository / ".git", 0o700)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "permission")


def test_a_stale_socket_is_replaced(tatami_repository: Path) -> None:
    """A hub that was killed leaves its socket; the next verb starts another hub."""
    tatami_json(tatami_repository, "status")
    for hub in sandbox.hubs_under(tatami_repository):
        sandbox.kill_hub(hub)
    assert (tatami_repository / ".git" / "tatami" / "hub" / "socket").exists()
    assert tatami_json(tatami_repository, "status")["hub"]["pid"] > 0


def test_stale_lock_files_hold_nothing_up(tatami_repository: Path) -> None:
    """Locks are held by processes: a file that is just there means nothing."""
    hub = tatami_repository / ".git" / "tatami" / "hub"
    (hub / "lock").write_text("1")
    (hub.parent / "workspaces.lock").write_text("1")
    assert len(tatami_json(tatami_repository, "workspace", "add", "coder-1")) == 1


OTHER_VERSION = """
import sys
from tatami.protocol import frames
frames.PROTOCOL = 99
from tatami.hub.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_hub_of_another_version(tatami_repository: Path, refused: Refused) -> None:
    """The refusal names `tatami stop`, which ends that hub whatever it speaks."""
    tatami_json(tatami_repository, "stop")
    command = [sys.executable, "-c", OTHER_VERSION, str(tatami_repository)]
    with subprocess.Popen(command, cwd="/") as hub:
        socket = tatami_repository / ".git" / "tatami" / "hub" / "socket"
        while not socket.exists():
            time.sleep(0.01)
        assert refused(tatami_repository, "status") == (64, "hub_version")
        assert tatami_json(tatami_repository, "stop") == {"stopped": True}
        assert hub.wait() == 0
    assert tatami_json(tatami_repository, "status")["hub"]["pid"] != hub.pid


def test_something_else_on_the_socket(tatami_repository: Path, refused: Refused) -> None:
    """What answers with other bytes is not taken for a hub."""
    tatami_json(tatami_repository, "stop")
    path = tatami_repository / ".git" / "tatami" / "hub" / "socket"
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind('socket'); s.listen()\n"
        "while True: c, _ = s.accept(); c.recv(99); c.sendall(b'HTTP/1.1 400 Bad Request ' * 9)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=path.parent) as other:
        while not path.exists():
            time.sleep(0.01)
        assert refused(tatami_repository, "status") == (1, "hub_version")
        other.kill()
