"""Damage at rest: one way for every kind of file here, all of them in `make torture`.

To repeat one: `python -m bench.torture corruption --kind "pack index" --damage deleted`.
"""

from pathlib import Path

import pytest

from tests.crash import damage, verdict

KINDS = (
    *("op head", "operation, newest", "operation, older", "view, newest", "view, older"),
    *("index segment", "index link", "table of commits", "head of the tables"),
    *("pack, newest", "pack, older", "pack index", "keep mark", "ledger", "marker"),
    *("workspace's record", "workspace's index", "agent's branch", "trunk", "keep ref"),
)
DAMAGES = ("bit flipped in the middle", "deleted")
CELLS = [(kind, DAMAGES[number % 2]) for number, kind in enumerate(KINDS)]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, hermetic_environment: None) -> damage.Victim:
    """The repository to copy and damage."""
    verdict.with_stock_jj()
    return damage.make(tmp_path_factory.mktemp("made"))


def test_every_kind_of_file_takes_part(made: damage.Victim) -> None:
    """The list here is the list there."""
    assert [kind for kind, _ in damage.kinds(made)] == list(KINDS)


def test_the_repository_is_whole_before(made: damage.Victim) -> None:
    """What is found later was not there before."""
    assert made.check().problems == ()


@pytest.mark.parametrize("mode", verdict.MODES)
@pytest.mark.parametrize(("kind", "what"), CELLS)
def test_damage_is_found_named_and_repaired(
    made: damage.Victim, tmp_path: Path, kind: str, what: str, mode: str
) -> None:
    """Nothing wrong is served, nothing is deleted, and agents go on afterwards."""
    cell = damage.suffer(made, tmp_path / "one", kind, what)
    assert cell.passed, cell
