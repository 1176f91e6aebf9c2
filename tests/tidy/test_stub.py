"""The core's stub is true: what mypy believes is what the extension has."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.sources import ROOT

ALLOWED = Path(__file__).with_name("stub-only.txt")


def test_the_stub_matches_the_extension() -> None:
    """stubtest finds no name, signature or parameter that differs."""
    pytest.importorskip("tatami._core", reason="the extension is not built (make build)")
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "tatami._core", "--allowlist", str(ALLOWED)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "MYPYPATH": "src", "HOME": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
