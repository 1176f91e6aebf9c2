"""A short run of every fuzz target; `make fuzz` runs them longer, with coverage where it can.

To repeat a finding: `python -m tests.fuzz.run TARGET FILE`.
"""

from itertools import islice

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import corpus
from tests.fuzz.targets import TARGETS

SEED = 20
INPUTS = {"paths": 2000, "ledger": 400, "settings": 1500}
INPUTS_OTHERWISE = 3000


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_unforeseen_comes_of_any_bytes(name: str) -> None:
    """Seeds, old findings, and what is made from them: taken, or refused as announced."""
    seeds = corpus(name)
    count = INPUTS.get(name, INPUTS_OTHERWISE)
    with TARGETS[name]() as target:
        for data in (*seeds, *islice(mutated(seeds, SEED), count)):
            try:
                target(data)
            except Exception as error:
                error.add_note(f"bytes: {data!r}"[:2000])
                raise
