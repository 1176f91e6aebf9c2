"""The door: what could never be right is refused with its code before anything is done."""

from typing import Any

import pytest

from tatami.protocol.admission import admit
from tatami.protocol.messages import Agents, Commit, Land, Mutation, QueueAction, Reset, Retire
from tatami.values.errors import UsageError
from tatami.values.limits import COMMIT_PATHS_MAX, FILE_BYTES_MAX, MESSAGE_BYTES_MAX

ID = "0000000000000000000000aa:1"
BLOB = "0" * 40
FILE = ("a.txt", 0o100644, 1)


def commit(**fields: Any) -> Commit:
    """A commit request that is right but for the given fields."""
    return Commit(**{"n": 1, "id": ID, "agent": "a", "message": "m", "changes": [FILE], **fields})


def refusal(request: Mutation) -> str:
    """The code a request is refused with."""
    with pytest.raises(UsageError) as refused:
        admit(request)
    return refused.value.code


@pytest.mark.parametrize(
    "request_",
    [
        commit(),
        commit(message="", amend=True),
        commit(message="x" * MESSAGE_BYTES_MAX),
        commit(message="any character: \x01 \u202e \U0001f600\n\n\ttabs"),
        commit(changes=[]),
        commit(changes=[("link", 0o120000, 3), ("run", 0o100755, 0), ("gone", 0, None)]),
        commit(changes=[("a", 0, None), ("a/b", 0o100644, 1)]),
        commit(changes=[("moved", 0o100644, BLOB), ("sub", 0o160000, "1" * 40)]),
        commit(changes=[("big", 0o100644, FILE_BYTES_MAX)]),
        commit(author=("Name", "mail@example.org")),
        Land(n=1, id=ID, agents=["a", "b"], verify="make test"),
        Agents(n=1, id=ID, names=["a"]),
        Reset(n=1, id=ID, agent="a", rev="main"),
        Retire(n=1, id=ID, agent="a"),
        QueueAction(n=1, id=ID, action="pause"),
    ],
)
def test_a_right_request_is_let_in(request_: Mutation) -> None:
    """What is right, though unusual, is not refused."""
    admit(request_)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"agent": "a/b"}, "bad_agent_name"),
        ({"agent": ""}, "bad_agent_name"),
        ({"message": ""}, "empty_message"),
        ({"message": " \n\t"}, "empty_message"),
        ({"message": "a\0b"}, "bad_message"),
        ({"message": "a\udcffb"}, "bad_message"),
        ({"message": "\u00e9" * (MESSAGE_BYTES_MAX // 2 + 1)}, "message_too_long"),
        ({"author": ("A <b>", "x")}, "bad_author"),
        ({"author": ("A", "x\ny")}, "bad_author"),
        ({"changes": [FILE, FILE]}, "bad_path"),
        ({"changes": [("../x", 0o100644, 1)]}, "bad_path"),
        ({"changes": [(".git/config", 0o100644, 1)]}, "bad_path"),
        ({"changes": [("", 0o100644, 1)]}, "bad_path"),
        ({"changes": [("../x", 0, None)]}, "bad_path"),
        ({"changes": [("a", 0o100644, 1), ("a/b/c", 0o100644, 1)]}, "bad_path"),
        ({"changes": [("a/b/c", 0o100644, 1), ("a/b", 0o100644, 1)]}, "bad_path"),
        ({"changes": [("a", 0o100600, 1)]}, "bad_mode"),
        ({"changes": [("a", 0o040000, 1)]}, "bad_mode"),
        ({"changes": [(".gitmodules", 0o120000, 1)]}, "bad_mode"),
        ({"changes": [("a", 0o100644, "0" * 39)]}, "bad_request"),
        ({"changes": [("a", 0o100644, "G" * 40)]}, "bad_request"),
        ({"changes": [("a", 0o100644, -1)]}, "bad_request"),
        ({"changes": [("sub", 0o160000, 4)]}, "bad_request"),
        ({"changes": [("sub", 0o160000, "0" * 40)]}, "bad_content"),
        ({"changes": [("link", 0o120000, 0)]}, "bad_content"),
        ({"changes": [("link", 0o120000, 4096)]}, "bad_content"),
        ({"changes": [("a", 0o100644, FILE_BYTES_MAX + 1)]}, "file_too_large"),
    ],
)
def test_a_wrong_commit_is_refused(fields: dict[str, Any], code: str) -> None:
    """Each kind of wrong commit has its own stable code."""
    assert refusal(commit(**fields)) == code


def test_too_many_paths_are_refused_with_a_way_on() -> None:
    """One path over the limit is refused, and the fix says how to go on."""
    changes = [(f"f{n}", 0o100644, 0) for n in range(COMMIT_PATHS_MAX + 1)]
    with pytest.raises(UsageError) as refused:
        admit(commit(changes=changes))
    assert (refused.value.code, refused.value.fix) == (
        "too_many_paths",
        "commit in parts with --paths",
    )


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Land(n=1, id=ID, agents=["a", "../b"]), "bad_agent_name"),
        (Land(n=1, id=ID, agents=["a"], verify="  "), "usage"),
        (Land(n=1, id=ID, agents=["a"], verify="a\0b"), "bad_command"),
        (Land(n=1, id=ID, agents=["a"], verify="a\udcffb"), "bad_command"),
        (Reset(n=1, id=ID, agent="", rev="main"), "bad_agent_name"),
        (Retire(n=1, id=ID, agent="a b"), "bad_agent_name"),
        (Agents(n=1, id=ID, names=["ok", "-x"]), "bad_agent_name"),
    ],
)
def test_every_named_agent_is_checked(request_: Mutation, code: str) -> None:
    """A bad name is refused wherever it stands, before the writer sees it."""
    assert refusal(request_) == code
