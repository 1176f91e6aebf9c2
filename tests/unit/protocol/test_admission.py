"""The door: what could never be right is refused with its code before anything is done."""

import itertools
from typing import Any

import pytest

from tatami.protocol.admission import admit
from tatami.protocol.messages import (
    Agents,
    Commit,
    Land,
    Mutation,
    QueueAction,
    Reset,
    Retire,
    Sync,
    Undo,
)
from tatami.values.errors import UsageError
from tatami.values.limits import (
    COMMIT_PATHS_MAX,
    FILE_BYTES_MAX,
    LINK_BYTES_MAX,
    MESSAGE_BYTES_MAX,
)

ID = "0000000000000000000000aa:1"
BLOB = "0" * 40
FILE = ("a.txt", 0o100644, 1)
TOO_LONG = "the commit message has 4194305 bytes; at most 4194304 are taken"


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
        commit(changes=[("a/b", 0, None), ("a", 0o100644, 1)]),
        commit(changes=[("short", 0o120000, 1), ("long", 0o120000, LINK_BYTES_MAX)]),
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
        ({"author": ("A", "x\0y")}, "bad_author"),
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
        ({"changes": [("a", 0o100644, "0" * 41)]}, "bad_request"),
        ({"changes": [("a", 0o100644, "G" * 40)]}, "bad_request"),
        ({"changes": [("a", 0o100644, "A" * 40)]}, "bad_request"),
        ({"changes": [("a", 0o100644, -1)]}, "bad_request"),
        ({"changes": [("sub", 0o160000, 4)]}, "bad_request"),
        ({"changes": [("sub", 0o160000, "0" * 40)]}, "bad_content"),
        ({"changes": [("link", 0o120000, 0)]}, "bad_content"),
        ({"changes": [("link", 0o120000, LINK_BYTES_MAX + 1)]}, "bad_content"),
        ({"changes": [("a", 0o100644, FILE_BYTES_MAX + 1)]}, "file_too_large"),
    ],
)
def test_a_wrong_commit_is_refused(fields: dict[str, Any], code: str) -> None:
    """Each kind of wrong commit has its own stable code."""
    assert refusal(commit(**fields)) == code


def test_as_many_paths_as_are_allowed_are_taken() -> None:
    """The limit itself is allowed."""
    admit(commit(changes=[(f"f{n}", 0o100644, 0) for n in range(COMMIT_PATHS_MAX)]))


def test_too_many_paths_are_refused_with_a_way_on() -> None:
    """One path over the limit is refused, and the fix says how to go on."""
    changes = [(f"f{n}", 0o100644, 0) for n in range(COMMIT_PATHS_MAX + 1)]
    words = f"{COMMIT_PATHS_MAX + 1} paths in one commit; at most {COMMIT_PATHS_MAX} are taken"
    with pytest.raises(UsageError, match=words) as refused:
        admit(commit(changes=changes))
    assert (refused.value.code, refused.value.fix) == (
        "too_many_paths",
        "commit in parts with --paths",
    )


@pytest.mark.parametrize(
    ("request_", "message", "fix"),
    [
        (commit(message=""), "the commit message is empty", "tatami commit -m MESSAGE"),
        (commit(message="a\0b"), "the commit message holds a NUL character", ""),
        (commit(message="a\udcffb"), "the commit message is not Unicode text", ""),
        (
            commit(message="x" * (MESSAGE_BYTES_MAX + 1)),
            TOO_LONG,
            "",
        ),
        (commit(author=("A\0", "x")), "author 'A\\x00' holds one of < > NUL newline", ""),
        (commit(changes=[FILE, FILE]), "path 'a.txt' is given twice", ""),
        (
            commit(changes=[("a", 0o100644, 1), ("a/b/c", 0o100644, 1)]),
            "'a' is both a file and a folder",
            "",
        ),
        (commit(changes=[("a", 0o100644, "x" * 60)]), f"{'x' * 50!r} is not an object id", ""),
        (commit(changes=[("s", 0o160000, "0" * 40)]), "submodule 's' is at no commit", ""),
        (
            commit(changes=[("s", 0o160000, 4)]),
            "submodule 's' needs a commit id, not content",
            "",
        ),
        (commit(changes=[("a", 0o100644, -1)]), "the size of 'a' is negative", ""),
        (
            commit(changes=[("link", 0o120000, 0)]),
            f"the target of symbolic link 'link' has 0 bytes; 1 to {LINK_BYTES_MAX} are taken",
            "give a target, or commit a regular file",
        ),
        (
            commit(changes=[("a", 0o100644, FILE_BYTES_MAX + 1)]),
            f"'a' has {FILE_BYTES_MAX + 1} bytes; at most {FILE_BYTES_MAX} are taken",
            "git lfs track, or leave the file out",
        ),
        (
            Land(n=1, id=ID, agents=["a"], verify=" "),
            "the verify command is empty",
            "tatami land --verify CMD",
        ),
        (
            Land(n=1, id=ID, agents=["a"], verify="\0"),
            "the verify command holds a NUL, or is not Unicode text",
            "tatami land --verify CMD",
        ),
    ],
    ids=itertools.count(),
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(
    request_: Mutation, message: str, fix: str
) -> None:
    """It names the path, the size and the limit; where there is a way on, it is the fix."""
    with pytest.raises(UsageError) as refused:
        admit(request_)
    assert (refused.value.message, refused.value.fix) == (message, fix)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Land(n=1, id=ID, agents=["a", "../b"]), "bad_agent_name"),
        (Land(n=1, id=ID, agents=["a"], verify="  "), "usage"),
        (Land(n=1, id=ID, agents=["a"], verify="a\0b"), "bad_command"),
        (Land(n=1, id=ID, agents=["a"], verify="a\udcffb"), "bad_command"),
        (Reset(n=1, id=ID, agent="", rev="main"), "bad_agent_name"),
        (Retire(n=1, id=ID, agent="a b"), "bad_agent_name"),
        (Sync(n=1, id=ID, agent="a/b"), "bad_agent_name"),
        (Undo(n=1, id=ID, agent="a/b"), "bad_agent_name"),
        (Agents(n=1, id=ID, names=["ok", "-x"]), "bad_agent_name"),
    ],
)
def test_every_named_agent_is_checked(request_: Mutation, code: str) -> None:
    """A bad name is refused wherever it stands, before the writer sees it."""
    assert refusal(request_) == code
