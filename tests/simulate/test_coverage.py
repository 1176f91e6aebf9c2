"""What the seeds reach: a state nobody was in when something failed is a state nobody tested."""

from collections import Counter

from tatami.testing.simulator.report import STATES, VERBS
from tatami.testing.simulator.world import run

SEEDS = range(1, 151)


def test_everything_fails_in_every_state_of_a_publication() -> None:
    """Killed and without power: before, between and behind the barriers, and while recovering."""
    seen: Counter[tuple[object, ...]] = Counter()
    for seed in SEEDS:
        seen += run(seed).seen
    deaths = ("kill_at_call", "power_at_call")
    wanted = [state for state in STATES if state not in ("down", "idle", "published")]
    assert [(d, state) for state in wanted for d in deaths if not seen["fault", d, state]] == []
    pairs = [(under_way, verb) for under_way in VERBS for verb in VERBS]
    assert [pair for pair in pairs if not seen["pair", *pair]] == []
