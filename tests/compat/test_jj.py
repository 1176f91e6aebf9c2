"""Stock jj beside the hub: it reads at any moment, and what it writes is merged, not lost."""

from collections.abc import Callable
from pathlib import Path

from tests import sandbox
from tests.compat.conftest import Used

Jj = Callable[..., str]
COMMITS = ("--no-graph", "-T", 'commit_id ++ "\\n"')
EMPTY_ROOT = "0" * 40


def commits(jj: Jj, revset: str) -> set[str]:
    """What stock jj finds."""
    return set(jj("log", "-r", revset, *COMMITS).split()) - {EMPTY_ROOT}


def op_heads(used: Used) -> int:
    """How many heads the operation log has."""
    return len(list((used.jj_root / ".jj" / "repo" / "op_heads" / "heads").iterdir()))


def test_jj_shows_every_commit(used: Used, jj: Jj) -> None:
    """What was acknowledged is in `jj log` at once, and each batch in `jj op log`."""
    for number in range(3):
        used.commit("coder-1", f"a{number}.txt")
        assert set(used.acked) <= commits(jj, "all()")
    assert jj("op", "log", "--no-graph", "-T", 'description ++ "\\n"').count("commit coder-1") == 3


def test_jj_shows_agents_and_trunk_as_bookmarks(used: Used, jj: Jj) -> None:
    """The trunk and agents' lines are bookmarks, and nothing else is."""
    used.commit("coder-1", "a.txt")
    used.land("coder-1")
    listed = jj("bookmark", "list", "-T", 'if(!remote, name ++ "\\n")').split()
    assert listed == ["agent/coder-1", "main"]


def test_jj_reads_as_of_every_operation(used: Used, jj: Jj) -> None:
    """No operation names anything that is not there."""
    for number in range(3):
        used.commit("coder-1", f"a{number}.txt")
    used.land("coder-1")
    operations = jj("op", "log", "--no-graph", "-T", 'id ++ "\\n"').split()
    for operation in operations[:-1]:
        jj("--at-op", operation, "log", "-r", "all()", *COMMITS)
        jj("--at-op", operation, "workspace", "list")


def test_a_commit_by_jj_before_ours_stays(used: Used, jj: Jj) -> None:
    """`jj new` and `describe` while no agent works."""
    jj("new", "main", "-m", "by jj")
    jj("describe", "-m", "by jj, better")
    (theirs,) = commits(jj, "description(substring:'by jj, better')")
    used.commit("coder-1", "a.txt")
    assert theirs in commits(jj, "all()")
    assert set(used.acked) <= commits(jj, "all()")
    assert op_heads(used) == 1
    assert used.problems() == []


def test_commits_by_jj_under_load_are_merged(used: Used, jj: Jj) -> None:
    """Nobody's work is lost, the log has one head, nothing is divergent."""
    with used.load("coder-1", "coder-2"):
        for number in range(4):
            jj("--ignore-working-copy", "new", "--no-edit", "main", "-m", f"by jj {number}")
    used.commit("coder-1", "last.txt")
    assert len(commits(jj, "description(substring:'by jj')")) == 4
    assert set(used.acked) <= commits(jj, "all()")
    assert commits(jj, "divergent()") == set()
    assert op_heads(used) == 1
    assert used.problems() == []


def test_jj_maintenance_under_load(used: Used, jj: Jj) -> None:
    """`jj util gc` and `jj debug reindex` take nothing away while agents commit."""
    with used.load("coder-1", "coder-2"):
        jj("util", "gc")
        jj("debug", "reindex", "--ignore-working-copy")
        jj("util", "gc")
    used.commit("coder-1", "last.txt")
    assert set(used.acked) <= commits(jj, "all()")
    assert used.problems() == []


def test_jj_collects_everything_at_once_under_load(used: Used, jj: Jj) -> None:
    """`jj util gc --expire=now` does not take an operation that is just being published."""
    with used.load("coder-1", "coder-2"):
        for _ in range(8):
            jj("--ignore-working-copy", "util", "gc", "--expire=now")
    used.commit("coder-1", "last.txt")
    assert set(used.acked) <= commits(jj, "all()")
    assert used.problems() == []


def test_a_bookmark_made_by_jj_stays(used: Used, jj: Jj) -> None:
    """The user's own bookmarks are not ours to move or to drop."""
    used.commit("coder-1", "a.txt")
    jj("bookmark", "create", "mine", "-r", used.acked[0])
    used.commit("coder-1", "b.txt")
    assert commits(jj, "mine") == {used.acked[0]}
    jj("bookmark", "move", "mine", "--to", used.acked[1])
    used.commit("coder-1", "c.txt")
    assert commits(jj, "mine") == {used.acked[1]}


def test_a_trunk_moved_forward_by_jj_is_followed(used: Used, jj: Jj) -> None:
    """git's branch and the user's checkout follow, and landings go on top."""
    jj("--ignore-working-copy", "new", "--no-edit", "main", "-m", "by jj")
    (theirs,) = commits(jj, "description(substring:'by jj')")
    jj("--ignore-working-copy", "bookmark", "move", "main", "--to", theirs)
    used.commit("coder-1", "a.txt")
    assert used.land("coder-1").state == "landed"
    assert used.git("rev-parse", "main^") == theirs
    assert used.git("status", "--porcelain", "--branch") == "## main"


def test_a_line_moved_by_jj_goes_on_from_there(used: Used, jj: Jj) -> None:
    """An agent's next commit is on top of where stock jj put its bookmark."""
    used.commit("coder-1", "a.txt")
    jj("--ignore-working-copy", "new", "--no-edit", "agent/coder-1", "-m", "by jj")
    (theirs,) = commits(jj, "description(substring:'by jj')")
    jj("--ignore-working-copy", "bookmark", "move", "agent/coder-1", "--to", theirs)
    new = used.commit("coder-1", "b.txt")
    assert used.git("rev-parse", f"{new}^") == theirs
    assert used.git("rev-parse", "agent/coder-1") == new
    assert used.problems() == []


def test_an_operation_undone_by_jj_is_a_new_state(used: Used, jj: Jj) -> None:
    """`jj undo` of a commit hides it; the agent goes on, and the commit is still in the log."""
    used.commit("coder-1", "a.txt")
    used.commit("coder-1", "b.txt")
    jj("--ignore-working-copy", "undo")
    new = used.commit("coder-1", "c.txt")
    assert used.git("rev-parse", f"{new}^") == used.acked[0]
    assert used.problems() == []


def test_operations_abandoned_by_jj_are_not_needed(used: Used, jj: Jj) -> None:
    """`jj op abandon` shortens the log; a new hub goes on without doing anything twice."""
    for number in range(3):
        used.commit("coder-1", f"a{number}.txt")
    used.swarm.stop()
    sandbox.tatami(used.root, "stop")
    jj("op", "abandon", "..@--")
    new = used.commit("coder-1", "b.txt")
    assert used.git("rev-parse", f"{new}^") == used.acked[2]
    assert used.land("coder-1").state == "landed"
    assert used.problems() == []


def test_a_workspace_follows_its_line_moved_by_jj(used: Used, jj: Jj) -> None:
    """After stock jj moved an agent's bookmark its workspace has the files and can commit."""
    agent = used.swarm.agent("coder-1")
    space = Path(agent.path)
    (space / "a.txt").write_text("agent\n")
    agent.commit("a")
    jj("--ignore-working-copy", "new", "--no-edit", "agent/coder-1", "-m", "by jj")
    (theirs,) = commits(jj, "description(substring:'by jj')")
    jj("--ignore-working-copy", "bookmark", "move", "agent/coder-1", "--to", theirs)
    (space / "b.txt").write_text("agent\n")
    done = agent.commit("b")
    assert used.git("rev-parse", f"{done.id}^") == theirs
    assert sandbox.git(space, "status", "--porcelain") == ""


def test_agents_added_beside_a_line_moved_by_jj_leave_it_there(used: Used, jj: Jj) -> None:
    """Asking for a known agent again never moves its line back."""
    used.commit("coder-1", "a.txt")
    jj("--ignore-working-copy", "new", "--no-edit", "agent/coder-1", "-m", "by jj")
    (theirs,) = commits(jj, "description(substring:'by jj')")
    jj("--ignore-working-copy", "bookmark", "move", "agent/coder-1", "--to", theirs)
    used.swarm.agents(["coder-1", "coder-2"], workspace=False)
    assert used.git("rev-parse", f"{used.commit('coder-1', 'b.txt')}^") == theirs
