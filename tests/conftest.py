"""Fixtures of every test: a hermetic git, real repositories, and no hub left behind."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tatami.workspaces.kinds import mounting
from tests import sandbox
from tests.sandbox import Files

JJ_VERSION = "0.45.1"
"""The stock jj whose library the core is built on; `make compat` builds it."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tatami"
STOCK_JJ = CACHE / f"jj-{JJ_VERSION}" / "bin" / "jj"


# A slow machine is no finding: nothing in these tests is about time. The same examples each time:
# new ones are looked for by `--hypothesis-profile thorough`, not by whoever happens to run CI.
settings.register_profile(
    "tatami",
    settings.default,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("tatami"), derandomize=False, max_examples=5000
)
settings.load_profile("tatami")


def pytest_report_header() -> str:
    """Says at the top whether stock jj takes part."""
    return f"stock jj: {STOCK_JJ}" if STOCK_JJ.exists() else "stock jj: NOT BUILT (make compat)"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says at the bottom too when tests of stock jj did not run."""
    if not STOCK_JJ.exists():
        terminalreporter.write_line(
            "NOTE: stock jj is not built, its tests were skipped; make compat builds it",
            yellow=True,
        )


@pytest.fixture(scope="session", autouse=True)
def hermetic_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Gives the whole run a home of its own, and takes the user's git and jj settings away."""
    before = dict(os.environ)
    clean = sandbox.hermetic(before, tmp_path_factory.mktemp("home"))
    os.environ.clear()
    os.environ.update(clean)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def no_hub_left(
    tmp_path_factory: pytest.TempPathFactory, hermetic_environment: None
) -> Iterator[None]:
    """Fails the run when a hub of one of its repositories is still there at the end."""
    yield
    left = sandbox.hubs_under(tmp_path_factory.getbasetemp())
    for hub in left:
        sandbox.kill_hub(hub)
    assert left == [], "tests left hubs running; stop them, or use the fixture tatami_repository"


@pytest.fixture(scope="session", autouse=True)
def no_mount_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Unmounts the run's overlay workspaces at its end: a mount cannot be deleted."""
    yield
    mounting.detach_below(str(tmp_path_factory.getbasetemp()))


@pytest.fixture
def make_repository(tmp_path: Path) -> Callable[..., Path]:
    """Makes git repositories: `make_repository(files, name="repo", commits=3)`.

    files: contents by path, or how many to make up.
    """

    def make(files: Files | int = 3, name: str = "repo", commits: int = 3) -> Path:
        return sandbox.make_repository(tmp_path / name, files, commits)

    return make


@pytest.fixture
def repository(make_repository: Callable[..., Path]) -> Path:
    """The root of a git repository: three commits on `main`, checked out clean."""
    return make_repository()


@pytest.fixture
def tatami_repository(repository: Path) -> Iterator[Path]:
    """The root of an initialised repository; whatever hub serves it is stopped afterwards."""
    sandbox.tatami_json(repository, "init")
    yield repository
    stop_hubs(repository)


@pytest.fixture
def stop_hubs_after(tmp_path: Path) -> Iterator[None]:
    """Stops every hub of this test's repositories afterwards."""
    yield
    stop_hubs(tmp_path)


@pytest.fixture
def stock_jj() -> Callable[..., str]:
    """Runs stock jj: `stock_jj(path, *arguments) -> str`; skips where it is not built."""
    if not STOCK_JJ.exists():
        pytest.skip("stock jj is not built (make compat)")

    def jj(path: str | os.PathLike[str], *arguments: str) -> str:
        return sandbox.run(path, str(STOCK_JJ), *arguments).stdout.decode()

    return jj


def stop_hubs(directory: Path) -> None:
    """Stops the hubs below a directory in order; kills what does not go."""
    for hub in sandbox.hubs_under(directory):
        sandbox.tatami(hub.root, "stop")
    for hub in sandbox.hubs_under(directory):
        sandbox.kill_hub(hub)
