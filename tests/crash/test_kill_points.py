"""The hub or a client dies at its k-th write: a sample of k here, every k in `make torture`.

To repeat one: `python -m bench.torture kills --victim hub --only 137`.
"""

import subprocess
from pathlib import Path

import pytest

from tests.crash import verdict
from tests.crash.kills import Kills, Victim, build, template

HUB_WRITES, CLIENT_WRITES = 715, 131
"""How many there were when these were counted; a k that is not reached is no failure."""
POINTS: list[tuple[Victim, int]] = [
    *(("hub", k) for k in range(11, HUB_WRITES, 23)),
    *(("client", k) for k in range(5, CLIENT_WRITES, 14)),
]


@pytest.fixture(scope="session")
def kills(tmp_path_factory: pytest.TempPathFactory, hermetic_environment: None) -> Kills:
    """The compiled killer and the repository to copy; skips where nothing can be traced."""
    place = tmp_path_factory.mktemp("kills")
    try:
        killer = build(place)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a C compiler and the right to trace are needed: {error}")
    verdict.with_stock_jj()
    return Kills(killer, template(place), place)


@pytest.mark.parametrize("mode", verdict.MODES)
@pytest.mark.parametrize(("victim", "k"), POINTS)
def test_a_death_at_any_write_loses_nothing(
    kills: Kills, victim: Victim, k: int, mode: str
) -> None:
    """Everything acknowledged is there, everything asked for happened once, all tools agree."""
    assert kills.run(victim, k).problems == ()


def test_the_killer_counts_the_writes_of_every_thread(kills: Kills, tmp_path: Path) -> None:
    """Ten threads with three writes each, and the child's writes left out."""
    report = tmp_path / "report"
    script = (
        "import os, threading, subprocess\n"
        "def body(): [os.write(1, b'') for _ in range(3)]\n"
        "for _ in range(10): t = threading.Thread(target=body); t.start(); t.join()\n"
        "subprocess.run(['sh', '-c', 'echo x; echo y'])\n"
    )
    words = [str(kills.killer), str(report), "0", *verdict.interpreter("-c", script)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    assert report.read_text() == "30 -\n"
