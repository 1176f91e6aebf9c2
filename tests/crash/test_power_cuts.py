"""The power goes while agents work: forty times here, a thousand in `make torture`.

To repeat one: `python -m bench.torture cuts --seed 3 --cuts 10`.
"""

import subprocess
from pathlib import Path

import pytest

from tests.crash import verdict
from tests.crash.cuts import MEGABYTES, power_cuts, without_barrier
from tests.crash.image import Image

SEEDS, CUTS = (1, 2, 3, 4), 10
UNTIL_LOST = 25
"""Cuts after which a missing barrier must have shown; the first few mostly do."""


@pytest.fixture(scope="session")
def disks(tmp_path_factory: pytest.TempPathFactory, hermetic_environment: None) -> Path:
    """A folder for images; skips where this machine does not let us mount them."""
    place = tmp_path_factory.mktemp("disks")
    try:
        image = Image.make(place / "probe", MEGABYTES)
        image.cut()
        image.unmount()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"file systems on loop devices are not permitted here: {error}")
    verdict.with_stock_jj()
    return place


@pytest.fixture
def nosync(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A library that takes the barrier away which the test names."""
    try:
        return str(without_barrier(request.param, tmp_path))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a C compiler is needed: {error}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", verdict.MODES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_power_cut_loses_nothing_acknowledged(disks: Path, seed: int, mode: str) -> None:
    """Every acknowledged commit is there once, and git, jj and the hub go on."""
    with power_cuts(disks / f"seed-{seed}", seed) as cuts:
        assert [cuts.cut() for _ in range(CUTS)] == [[]] * CUTS
        assert cuts.acked >= CUTS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("nosync", [1, 2], indirect=True)
def test_a_missing_barrier_is_noticed(disks: Path, tmp_path: Path, nosync: str) -> None:
    """The suite can fail: without barrier 1 or without barrier 2 something is lost or broken."""
    found: list[str] = []
    with power_cuts(tmp_path, 1, ("bytes-1",), preload=nosync) as cuts:
        for _ in range(UNTIL_LOST):
            found = cuts.cut()
            if found:
                break
    assert found != []
