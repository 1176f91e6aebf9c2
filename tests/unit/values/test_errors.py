"""The error family: what travels from the hub comes back as the same error."""

import pytest

from tatami.values.errors import (
    BusyError,
    ConflictError,
    HubError,
    TatamiError,
    UsageError,
    from_wire,
)


@pytest.mark.parametrize("kind", [TatamiError, UsageError, ConflictError, BusyError])
def test_an_error_comes_back_in_its_own_class(kind: type[TatamiError]) -> None:
    """Rebuilding from what travels gives the class, message, code and fix that were sent."""
    sent = kind("it failed", code="some_code", fix="try this")
    got = from_wire(sent.message, sent.code, sent.fix, sent.exit_code, sent.retryable)
    assert (type(got), str(got), got.code, got.fix) == (kind, "it failed", "some_code", "try this")


@pytest.mark.parametrize("retryable", [True, False])
def test_whether_to_try_again_travels(retryable: bool) -> None:
    """An error that says it may be retried still says so on the other side."""
    assert from_wire("x", "io", "", 1, retryable).retryable is retryable


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [(TatamiError, 1), (HubError, 1), (ConflictError, 2), (UsageError, 64), (BusyError, 75)],
)
def test_exit_codes_are_the_documented_ones(kind: type[TatamiError], exit_code: int) -> None:
    """1 error, 2 conflict or blocked, 64 usage, 75 busy: scripts rely on it."""
    assert kind("x").exit_code == exit_code


def test_json_has_exactly_the_three_documented_keys() -> None:
    """`--json` prints error, code and fix, and nothing else."""
    error = UsageError("no agent", code="unknown_agent", fix="tatami workspace add a")
    assert error.as_json() == {
        "error": "no agent",
        "code": "unknown_agent",
        "fix": "tatami workspace add a",
    }
