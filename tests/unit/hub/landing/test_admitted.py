"""What agents commit with plain git is judged before it lands; each entry answers for itself."""

import pytest

from tatami.schedule.landing import Entry
from tatami.store.repository import Plan
from tatami.values.ids import agent_bookmark
from tatami.values.specs import OpSpec
from tests import sandbox
from tests.unit.hub.conftest import Hall


def by_git(hall: Hall, kind: str, name: bytes, message: bytes = b"by git\n") -> str:
    """A commit by plain git of one more entry in the root; it becomes agent a's line."""
    listing = sandbox.run(hall.root, "git", "ls-tree", "-z", "main").stdout
    empty = hall.git("hash-object", "-w", "--stdin") if kind != "040000 tree" else ""
    id = empty or hall.git("rev-parse", "main^{tree}")
    rows = listing + f"{kind} {id}\t".encode() + name + b"\0"
    tree = sandbox.git(hall.root, "mktree", "-z", stdin=rows)
    coded = ("-c", "i18n.commitEncoding=ISO-8859-1")
    words = (*coded, "commit-tree", "-p", "main", tree)
    commit = sandbox.git(hall.root, *words, stdin=message)
    seen = OpSpec("import", {}, {agent_bookmark("a"): commit}, (), (commit,))
    hall.record.repository.publish(lambda: Plan((), lambda _: seen))
    return commit


def landed(hall: Hall, *entries: Entry) -> list[str]:
    """What becomes of these entries in one attempt."""
    return [done.state for done in hall.lander().attempt(entries)]


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("040000 tree", b".git", "some system takes for `.git`"),
        ("100644 blob", b"back\\slash", "contains a backslash"),
        ("100644 blob", b"\xff", "is not valid UTF-8"),
        ("120000 blob", b"link", "is a symbolic link to nothing"),
    ],
)
def test_a_commit_that_no_checkout_takes_does_not_land(
    hall: Hall, kind: str, name: bytes, why: str
) -> None:
    """The entry is rejected with the path and the cure, and the trunk stays as it was.

    The story: it landed by fast-forward, and no workspace could be made from the trunk any more.
    """
    before = hall.git("rev-parse", "main")
    (done,) = hall.lander().attempt([hall.queued(1, by_git(hall, kind, name))])
    assert (done.state, hall.git("rev-parse", "main")) == ("rejected", before)
    assert why in done.reason
    assert "git rebase -i" in done.reason


def test_a_poisoned_entry_is_rejected_alone(hall: Hall) -> None:
    """What nobody has foreseen about one entry neither stops the queue nor the next entry.

    The story: a verify command with a NUL raised `ValueError`, and the queue paused for everybody.
    """
    poisoned = hall.queued(1, hall.commit("a", "a.txt"), verify="a\0b")
    good = hall.queued(2, hall.commit("b", "b.txt"))
    assert landed(hall, poisoned, good) == ["rejected", "landed"]


def test_a_copy_keeps_a_message_in_another_encoding(hall: Hall) -> None:
    """It is UTF-8 afterwards, and says the same.

    The story: bytes that are not UTF-8 became replacement characters in the copy that landed.
    """
    line = by_git(hall, "100644 blob", b"new", "caf\u00e9\n".encode("latin-1"))
    hall.user_commits()
    assert landed(hall, hall.queued(1, line)) == ["landed"]
    assert hall.git("log", "-1", "--format=%s", "main") == "caf\u00e9"
