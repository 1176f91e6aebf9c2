"""Amending within one second, where nothing but the content tells two commits apart."""

import pytest

from tatami.hub.committing import Committing, Identity
from tatami.hub.importing import Importing
from tatami.protocol.hub import Enqueue, Json
from tatami.protocol.messages import ChangeRow, Commit
from tatami.values.ids import CommandId
from tests.unit.hub.conftest import Hall

NOW_S = 1_700_000_200


class Asking:
    """Commits of agent `a`, all in the same second."""

    def __init__(self, hall: Hall) -> None:
        self._committing = Committing(
            hall.record, Identity("T", "t@example.org"), Importing(hall.record)
        )
        self._count = 0

    def commit(self, content: bytes | None, amend: bool = True) -> Json:
        """Writes `a.txt` (None: nothing) and amends the head with it; the answer."""
        self._count += 1
        id = f"{1:024x}:{self._count}"
        rows: list[ChangeRow] = [("a.txt", 0o100644, len(content))] if content is not None else []
        request = Commit(n=1, id=id, agent="a", message="e", changes=rows, amend=amend)
        command = Enqueue(CommandId.parse(id), request, content or b"")
        (answer,) = self._committing.flush([command], NOW_S).answers
        assert answer.error is None
        return answer.result


@pytest.fixture
def asking(hall: Hall) -> Asking:
    """Agent `a` with one commit on its line."""
    hall.commit("a", "begin.txt")
    return Asking(hall)


def test_an_amend_that_changes_nothing_makes_no_operation(hall: Hall, asking: Asking) -> None:
    """It is answered with the commit that is there.

    The story: the commit became its own predecessor, and `jj evolog` refused the circle.
    """
    made = asking.commit(b"1\n", amend=False)
    assert asking.commit(None) == made
    assert hall.record.repository.core.op() == made["op"]


def test_an_amend_back_and_forth_makes_a_new_commit(hall: Hall, asking: Asking) -> None:
    """A tree that was amended away a moment ago comes back as another commit, not the old one."""
    first = asking.commit(b"1\n", amend=False)
    second = asking.commit(b"2\n")
    third = asking.commit(b"1\n")
    assert len({first["commit"], second["commit"], third["commit"]}) == 3
    repository = hall.record.repository
    assert repository.tree(str(third["commit"])) == repository.tree(str(first["commit"]))
