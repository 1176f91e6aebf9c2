"""A small size of the drill of plain git verbs; a found seed is kept here."""

from pathlib import Path

import pytest

from tests.conftest import stop_hubs
from tests.drills.git_verbs import drill

STEPS = 40


@pytest.mark.parametrize("seed", [1])
def test_plain_git_is_as_it_would_be_alone(tmp_path: Path, seed: int) -> None:
    """HEAD, index and status of every workspace are what git alone makes of the same verbs."""
    try:
        runs = drill(tmp_path, 3, seed, lambda step: step >= STEPS)
    finally:
        stop_hubs(tmp_path / "ours")
    assert [words for run in runs for words in run.failures] == []
    assert sum(run.verbs.total() for run in runs) == 3 * STEPS
