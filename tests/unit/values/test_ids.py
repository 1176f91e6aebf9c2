"""Names of agents, commands and refs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tatami.values.errors import UsageError
from tatami.values.ids import CommandId, agent_bookmark, agent_name, agent_ref, incarnation
from tatami.values.limits import AGENT_NAME_CHARS_MAX
from tests.sandbox import git

HEX = st.text("0123456789abcdef", min_size=24, max_size=24)
SEQUENCES = st.integers(1, 10**15 - 1)
NAMES = st.text("abcXYZ019._-~^:@{\\ /*?[\n\t\u00e9", max_size=12)


@pytest.mark.parametrize("name", ["a", "coder-1", "Coder_2", "v1.2", "x" * AGENT_NAME_CHARS_MAX])
def test_a_plain_name_is_taken_as_it_is(name: str) -> None:
    """A name of letters, digits, dot, underscore and dash comes back unchanged."""
    assert agent_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-rf",
        "_x",
        "a/b",
        "a b",
        "a..b",
        "ends.",
        "x.lock",
        "x.LOCK",
        "caf\u00e9",
        "new\nline",
        "a\n",
        "nul\0",
        "x" * (AGENT_NAME_CHARS_MAX + 1),
    ],
)
def test_a_name_that_git_or_a_shell_could_misread_is_refused(name: str) -> None:
    """Anything that is not one safe path component raises `bad_agent_name` with a cure."""
    with pytest.raises(UsageError) as refused:
        agent_name(name)
    assert (refused.value.code, bool(refused.value.fix)) == ("bad_agent_name", True)


@given(NAMES)
def test_every_name_we_take_is_a_branch_name_for_git(name: str) -> None:
    """No accepted name is one that `git check-ref-format` refuses."""
    try:
        ref = agent_ref(agent_name(name))
    except UsageError:
        return
    assert git("/", "check-ref-format", ref) == ""


def test_the_bookmark_is_the_branch_without_its_prefix() -> None:
    """An agent's bookmark and git branch have one name, below `agent/`."""
    assert (agent_bookmark("c1"), agent_ref("c1")) == ("agent/c1", "refs/heads/agent/c1")


@given(HEX, SEQUENCES)
def test_a_command_id_survives_being_written(client: str, sequence: int) -> None:
    """Parsing what `str()` wrote gives the same id."""
    command = CommandId(client, sequence)
    assert CommandId.parse(str(command)) == command


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "0123456789abcdef01234567",
        "0123456789abcdef01234567:",
        "0123456789abcdef01234567:0",
        "0123456789abcdef01234567:-1",
        "0123456789abcdef01234567:1.0",
        "0123456789abcdef01234567:1_0",
        "0123456789abcdef01234567: 1",
        "0123456789abcdef01234567:1\n",
        "0123456789abcdef01234567:1:1",
        "0123456789abcdef01234567:\u0661",
        "0123456789abcdef01234567:01",
        "0123456789ABCDEF01234567:1",
        "0123456789abcdef:1",
        "0123456789abcdef01234567:" + "9" * 16,
        "0123456789abcdef01234567\n:1",
    ],
)
def test_what_is_not_a_command_id_is_refused(text: str) -> None:
    """Only the one spelling that `str()` writes is read: an id has one name for ever."""
    with pytest.raises(UsageError) as refused:
        CommandId.parse(text)
    assert refused.value.code == "bad_command_id"


@pytest.mark.parametrize("horizon", ["", f"{99:08x}{'f' * 16}", f"{7:08x}{'0' * 16}"])
def test_a_new_client_begins_with_its_time(horizon: str) -> None:
    """As long as nobody who began later was forgotten."""
    assert incarnation(100, "0123456789abcdef", horizon) == f"{100:08x}0123456789abcdef"


@given(st.integers(0, 2**32 - 1), HEX.filter(lambda horizon: horizon[:8] < "ffffffff"))
def test_a_new_client_is_younger_than_whom_the_hub_has_forgotten(second: int, horizon: str) -> None:
    """Whatever its clock says; and it still is a client that can name commands."""
    found = incarnation(second, "0" * 16, horizon)
    assert found > horizon
    assert CommandId.parse(f"{found}:1") == CommandId(found, 1)
