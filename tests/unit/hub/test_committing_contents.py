"""Contents that are named by id: only blobs become files, and a bad name is its sender's alone."""

import hashlib
from collections.abc import Sequence

import pytest

from tatami.hub.committing import Committing, Identity
from tatami.hub.importing import Importing
from tatami.protocol.admission import admit
from tatami.protocol.hub import Answer, Enqueue
from tatami.protocol.messages import ChangeRow, Commit
from tatami.values.errors import UsageError
from tatami.values.ids import CommandId
from tests.unit.hub.conftest import Hall

NOW_S = 1_700_000_200
ABSENT = "ab" * 20
Asked = tuple[str, Sequence[ChangeRow], bytes]


def flush(hall: Hall, *asked: Asked) -> list[Answer]:
    """The answers of one batch; asked: agent, changes and contents of each request."""
    batch = []
    for number, (agent, rows, body) in enumerate(asked, start=1):
        id = f"{1:024x}:{number}"
        request = Commit(n=1, id=id, agent=agent, message="m", changes=list(rows))
        admit(request)
        batch.append(Enqueue(CommandId.parse(id), request, body))
    identity = Identity("T", "t@example.org")
    return list(
        Committing(hall.record, identity, Importing(hall.record)).flush(batch, NOW_S).answers
    )


def codes(answers: Sequence[Answer]) -> list[str]:
    """The error code of each answer, "" for none."""
    return [answer.error.code if answer.error else "" for answer in answers]


def test_a_submodules_commit_is_no_file(hall: Hall) -> None:
    """Though the base has this id at this path.

    The story: the commit landed, and then neither `git gc` nor a clone nor a new workspace worked.
    """
    hall.commit("a", "a.txt")
    (made,) = flush(hall, ("a", [("sub", 0o160000, ABSENT)], b""))
    assert made.error is None
    assert codes(flush(hall, ("a", [("sub", 0o100644, ABSENT)], b""))) == ["not_found"]


@pytest.mark.parametrize("mode", [0o100644, 0o120000])
def test_a_folder_is_no_file(hall: Hall, mode: int) -> None:
    """Though the base has its tree at this path."""
    head = hall.commit("a", "d/x")
    tree = hall.git("rev-parse", f"{head}:d")
    assert codes(flush(hall, ("a", [("d/x", 0, None), ("d", mode, tree)], b""))) == ["not_found"]


def test_a_folder_of_the_same_batch_is_no_file(hall: Hall) -> None:
    """Though the batch brings the tree; whose it is lands all the same."""
    hall.commit("a", "a.txt")
    hall.commit("b", "b.txt")
    row = b"100644 x\0" + hashlib.sha1(b"blob 2\0x\n").digest()
    tree = hashlib.sha1(b"tree %d\0" % len(row) + row).hexdigest()
    answers = flush(
        hall, ("a", [("d/x", 0o100644, 2)], b"x\n"), ("b", [("evil", 0o100644, tree)], b"")
    )
    assert codes(answers) == ["", "not_found"]


def test_a_blob_that_is_not_there_is_its_senders_error(hall: Hall) -> None:
    """The other request of the batch is carried out."""
    hall.commit("a", "a.txt")
    hall.commit("b", "b.txt")
    answers = flush(
        hall, ("a", [("x.txt", 0o100644, 2)], b"x\n"), ("b", [("y.txt", 0o100644, ABSENT)], b"")
    )
    assert codes(answers) == ["", "not_found"]


def test_a_file_keeps_its_content_under_another_mode(hall: Hall) -> None:
    """A blob of the base is taken by its id, as an executable or at another path."""
    head = hall.commit("a", "a.txt")
    blob = hall.git("rev-parse", f"{head}:a.txt")
    rows: list[ChangeRow] = [("a.txt", 0o100755, blob), ("copy.txt", 0o100644, blob)]
    (answer,) = flush(hall, ("a", rows, b""))
    assert answer.error is None
    listed = hall.git("ls-tree", str(answer.result["commit"]), "a.txt", "copy.txt").splitlines()
    assert [row.split()[0] for row in listed] == ["100755", "100644"]


@pytest.mark.parametrize("mode", [-1, 1, 2**40])
def test_a_deletion_has_no_other_mode_than_a_file(mode: int) -> None:
    """What is no number of the core's never reaches it: it failed everybody's batch there."""
    id = f"{1:024x}:1"
    request = Commit(n=1, id=id, agent="a", message="m", changes=[("b.txt", mode, None)])
    with pytest.raises(UsageError) as refused:
        admit(request)
    assert refused.value.code == "bad_mode"
