"""The hot verbs start like bare Python: a person or a hook waits for them each time."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import sandbox

SHOW_MODULES = """
import sys
before = set(sys.modules)
from tatami.ui.cli.main import main
code = main(sys.argv[1:])
names = {name.partition(".")[0] for name in sys.modules.keys() - before}
print("modules:", *sorted(names - set(sys.stdlib_module_names)), file=sys.stderr)
print("core:", "tatami._core" in sys.modules, file=sys.stderr)
sys.exit(code)
"""


def outcome(path: Path, *arguments: str) -> tuple[int, list[str]]:
    """The exit code of a verb, and what it said about the modules it had imported."""
    command = [sys.executable, "-I", "-c", SHOW_MODULES, *arguments]
    done = subprocess.run(command, cwd=path, capture_output=True, encoding="utf-8", check=False)
    said = done.stderr.splitlines()
    return done.returncode, [line for line in said if line.startswith(("modules:", "core:"))]


def test_status_outside_a_repository_imports_only_the_standard_library(tmp_path: Path) -> None:
    """Not even a refusal needs a library."""
    assert outcome(tmp_path, "status") == (64, ["modules: tatami", "core: False"])


def test_status_imports_only_the_standard_library(tatami_repository: Path) -> None:
    """`tatami status` answers from argv, json and a socket."""
    assert outcome(tatami_repository, "status", "--json") == (0, ["modules: tatami", "core: False"])


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_commit_imports_the_core_and_no_library(tatami_repository: Path, extra: list[str]) -> None:
    """`tatami commit` needs the core to scan the workspace, and nothing else."""
    sandbox.tatami_json(tatami_repository, "workspace", "add", "a")
    rows = sandbox.tatami_json(tatami_repository, "workspace", "list")
    space = Path(rows[0]["path"])
    (space / "new.txt").write_bytes(b"new\n")
    code, said = outcome(space, "commit", "-m", "message", *extra)
    assert (code, said[0]) == (0, "modules: tatami")
