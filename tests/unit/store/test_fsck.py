"""fsck on a repository that is whole: everything is looked at, nothing is found or changed."""

import json
from pathlib import Path

import pytest

import tatami
from tatami.store.fsck import check
from tatami.store.locate import find, marker
from tatami.values.errors import UsageError
from tests import sandbox
from tests.unit.store.conftest import Swarmed


def files_of(root: Path) -> dict[str, bytes]:
    """Every file of a repository but LMDB's table of readers."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file() and path.name != "lock.mdb":
            found[path.relative_to(root).as_posix()] = path.read_bytes()
    return found


def test_a_whole_repository_is_ok(swarmed: Swarmed) -> None:
    """Nothing is wrong, and the report says how much was looked at."""
    report = swarmed.check()
    assert report.problems == ()
    assert report.ok
    expected = {"op_heads": 1, "commands": 7, "acknowledged": 6, "branches": 2, "git_fsck": 1}
    expected |= {"landings": 3}
    assert {name: report.checked[name] for name in expected} == expected


def test_a_check_changes_nothing(swarmed: Swarmed) -> None:
    """Not a file of the repository is another one afterwards."""
    before = files_of(swarmed.root)
    swarmed.check()
    assert files_of(swarmed.root) == before


def test_the_report_is_what_the_command_prints(swarmed: Swarmed) -> None:
    """`fsck --json` is one document with `ok`, `checked` and `problems`."""
    done = sandbox.tatami(swarmed.root, "fsck", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == swarmed.check(acks=[]).as_json()


def test_a_quick_check_says_what_it_leaves_out(swarmed: Swarmed) -> None:
    """git's own check of everything did not run, and the report shows it."""
    report = swarmed.check(quick=True)
    assert report.ok
    assert report.checked["git_fsck"] == 0


def test_stock_jj_is_asked(swarmed: Swarmed, with_jj: None) -> None:
    """Three commands as of each of four operations of a log this long."""
    report = swarmed.check()
    assert report.ok
    assert report.checked["jj_commands"] == 12


def test_a_missing_jj_is_visible(swarmed: Swarmed, without_jj: None) -> None:
    """Without a stock jj the report says that none was asked."""
    report = swarmed.check()
    assert report.ok
    assert report.checked["jj_commands"] == 0


def test_a_check_beside_a_busy_hub_is_ok(swarmed: Swarmed) -> None:
    """What the hub is in the middle of is not a problem."""
    place = find(str(swarmed.root))
    with tatami.Swarm.open(str(swarmed.root)) as swarm:
        agent = swarm.agent("coder-3", workspace=False)
        reports = []
        for number in range(3):
            for part in range(5):
                agent.commit("more", {f"more/{number}-{part}.txt": b"more\n"})
            reports.append(check(place, marker(place)))
        swarm.stop()
    assert [report.problems for report in reports] == [(), (), ()]


def test_an_amended_commit_still_counts_as_there(swarmed: Swarmed) -> None:
    """A hidden commit is reachable from the operation that made it."""
    with tatami.Swarm.open(str(swarmed.root)) as swarm:
        agent = swarm.agent("coder-2", workspace=False)
        agent.commit("better", {"better.txt": b"better\n"}, amend=True)
        swarm.stop()
    assert swarmed.check().problems == ()


def test_commits_an_agent_made_with_git_are_no_problem(swarmed: Swarmed) -> None:
    """A branch may be ahead of its bookmark by what the agent did with plain git."""
    tree = sandbox.git(swarmed.root, "rev-parse", "agent/coder-2^{tree}")
    new = sandbox.git(swarmed.root, "commit-tree", "-p", "agent/coder-2", "-m", "by git", tree)
    sandbox.git(swarmed.root, "update-ref", "refs/heads/agent/coder-2", new)
    assert swarmed.check().problems == ()


def test_an_oddity_of_imported_history_is_not_ours(tmp_path: Path) -> None:
    """What git dislikes about commits from before us is counted, and not a problem."""
    root = sandbox.make_repository(tmp_path / "repo")
    text = sandbox.git(root, "cat-file", "commit", "main").replace("Test Author <", "Test Author<")
    odd = sandbox.git(
        root, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=text.encode()
    )
    sandbox.git(root, "update-ref", "refs/heads/main", odd)
    assert sandbox.run(root, "git", "fsck", "--full", "--strict", check=False).returncode != 0
    sandbox.tatami_json(root, "init")
    place = find(str(root))
    report = check(place, marker(place))
    assert report.problems == ()
    assert report.checked["imported_oddities"] > 0


@pytest.mark.parametrize("content", ["no id\n", "abc\n", "\xff\n"])
def test_a_file_of_acknowledgements_has_to_be_one(swarmed: Swarmed, content: str) -> None:
    """A line that is not a commit id is refused, not skipped."""
    file = swarmed.root.with_suffix(".acks")
    file.write_text(content, encoding="latin-1")
    place = find(str(swarmed.root))
    with pytest.raises(UsageError) as refusal:
        check(place, marker(place), acks_file=str(file))
    assert refusal.value.code == "bad_acks"


def test_a_missing_file_of_acknowledgements_is_said(swarmed: Swarmed) -> None:
    """A file that is not there is a mistake of the caller."""
    place = find(str(swarmed.root))
    with pytest.raises(UsageError) as refusal:
        check(place, marker(place), acks_file="nowhere.txt")
    assert refusal.value.code == "bad_acks"
