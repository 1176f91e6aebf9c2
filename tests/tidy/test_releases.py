"""What is stated in more than one place is the same everywhere."""

import re
import tomllib
from typing import Any

from tatami.store.git import GIT_MIN
from tatami.version import VERSION
from tests.conftest import JJ_VERSION
from tests.tidy.sources import ROOT

CARGO: dict[str, Any] = tomllib.loads((ROOT / "Cargo.toml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def in_makefile(name: str) -> str:
    """The value of a variable of the Makefile."""
    found = re.search(rf"^{name} := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found, f"the Makefile has no {name}"
    return found[1]


def test_the_release_is_the_same_in_python_and_rust() -> None:
    """`tatami --version` prints what the core was built as; pyproject takes it from there."""
    assert (VERSION, PROJECT["project"]["dynamic"]) == (
        CARGO["workspace"]["package"]["version"],
        ["version"],
    )


def test_stock_jj_is_the_release_of_the_library() -> None:
    """The tests run the jj whose library the core is built on."""
    library = CARGO["workspace"]["dependencies"]["jj-lib"]["version"]
    assert {f"={JJ_VERSION}", f"={in_makefile('JJ_VERSION')}"} == {library}


def test_oldest_tools_are_the_same_everywhere() -> None:
    """The Makefile asks for what the code needs."""
    assert (in_makefile("GIT_MIN"), in_makefile("RUST_MIN"), in_makefile("PYTHON_MIN")) == (
        ".".join(map(str, GIT_MIN)),
        CARGO["workspace"]["package"]["rust-version"],
        PROJECT["project"]["requires-python"].removeprefix(">="),
    )


def test_uv_is_the_locked_one() -> None:
    """The Makefile installs the uv that pyproject requires."""
    assert f"=={in_makefile('UV_VERSION')}" == PROJECT["tool"]["uv"]["required-version"]


def test_every_dependency_is_pinned() -> None:
    """What users and developers install is what was tested."""
    wanted = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    assert [one for one in wanted if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+", one)] == []
