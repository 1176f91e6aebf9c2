"""`undo`: each kind of step taken back, files and index as promised, and nobody else touched."""

from pathlib import Path
from typing import Any

import pytest

import tatami
from tatami.workspaces import line
from tests.e2e.conftest import Refused
from tests.sandbox import git, tatami_json
from tests.sandbox import tatami as tatami_run


def write(space: Path, path: str, content: str) -> None:
    (space / path).write_text(content)


def commit(space: Path, path: str, content: str, *options: str) -> str:
    write(space, path, content)
    return str(tatami_json(space, "commit", "-m", f"{space.name}: {path}", *options)["commit"])


def git_commit(space: Path, path: str, content: str, *options: str) -> str:
    write(space, path, content)
    git(space, "add", "--all")
    git(space, "commit", "--quiet", "-m", f"git: {path}", *options)
    return git(space, "rev-parse", "HEAD")


def trunk_commit(root: Path, path: str, content: str) -> str:
    return git_commit(root, path, content)


def undo(space: Path, *options: str) -> dict[str, Any]:
    done: dict[str, Any] = tatami_json(space, "undo", *options)
    return done


def head(space: Path) -> str:
    return git(space, "rev-parse", "HEAD")


def land(space: Path) -> dict[str, Any]:
    rows: list[dict[str, Any]] = tatami_json(space, "land", space.name, "--wait")
    return rows[0]


def landed(root: Path, entry: int) -> dict[str, Any]:
    """A queue entry once it has landed or come back."""
    with tatami.Swarm.open(root) as swarm:
        return swarm.finished([entry])[0]


def test_a_commit_is_edits_again(space: Path) -> None:
    """The line is at exactly the commit before, the files are untouched, new ones untracked."""
    before = head(space)
    write(space, "history.txt", "changed\n")
    commit(space, "new.txt", "new\n")
    done = undo(space)
    assert (done["head"], done["files"], head(space)) == (before, "stay", before)
    assert git(space, "rev-parse", f"agent/{space.name}") == before
    assert git(space, "status", "--porcelain").splitlines() == [" M history.txt", "?? new.txt"]
    assert (space / "new.txt").read_text() == "new\n"


def test_undo_again_goes_further_back(space: Path) -> None:
    """Three commits are taken back one by one, and then nothing is left to undo."""
    commits = [head(space), *(commit(space, f"{n}.txt", f"{n}\n") for n in range(3))]
    assert [undo(space)["head"] for _ in range(3)] == commits[2::-1]
    assert tatami_run(space, "undo", "--json").returncode == 64


def test_after_an_undo_new_steps_are_undone_first(space: Path) -> None:
    """What was undone stays so; a commit made since is the last step."""
    first = commit(space, "1.txt", "1\n")
    commit(space, "2.txt", "2\n")
    undo(space)
    commit(space, "3.txt", "3\n")
    assert undo(space)["head"] == first
    assert undo(space)["steps"][0]["commit"] == first


def test_nothing_to_undo_says_so(space: Path, refused: Refused) -> None:
    """A line that has just begun has no step to take back."""
    assert refused(space, "undo") == (64, "nothing_to_undo")


def test_an_amend_goes_back_to_what_it_amended(space: Path) -> None:
    """The earlier commit is the line again, byte for byte; the amended files stay."""
    first = commit(space, "1.txt", "1\n")
    commit(space, "1.txt", "2\n", "--amend")
    assert undo(space)["head"] == first
    assert git(space, "status", "--porcelain") == " M 1.txt"
    assert (space / "1.txt").read_text() == "2\n"


@pytest.mark.parametrize("options", [(), ("--amend",)], ids=["commit", "amend"])
def test_a_git_commit_is_undone_like_ours(space: Path, options: tuple[str, ...]) -> None:
    """Plain git is a member here too."""
    before = commit(space, "1.txt", "1\n")
    git_commit(space, "1.txt", "by git\n", *options)
    done = undo(space)
    assert (done["head"], done["files"], done["steps"][0]["verb"]) == (before, "stay", "git")
    assert git(space, "status", "--porcelain") == " M 1.txt"


def test_on_a_branch_of_its_own_head_goes_back_too(space: Path) -> None:
    """The branch that is checked out goes with the line, and the watch does not bring it back."""
    git(space, "switch", "--quiet", "-c", f"feature-{space.name}")
    before = commit(space, "1.txt", "1\n")
    commit(space, "2.txt", "2\n")
    undo(space)
    tatami_json(space, "status")
    heads = git(space, "rev-parse", "HEAD", f"feature-{space.name}", f"agent/{space.name}")
    assert heads.split() == [before] * 3
    assert git(space, "status", "--porcelain") == "?? 2.txt"


def test_a_sync_is_undone_with_its_files(shared: Path, space: Path) -> None:
    """Line, index and files are as before; edits made since are kept, and saved."""
    before = commit(space, "1.txt", "1\n")
    trunk_commit(shared, f"{space.name}-t", "t\n")
    tatami_json(space, "workspace", "sync")
    write(space, "1.txt", "edited\n")
    done = undo(space)
    assert (done["head"], done["files"], head(space)) == (before, "follow", before)
    assert not (space / f"{space.name}-t").exists()
    assert git(space, "status", "--porcelain") == " M 1.txt"
    assert git(space, "show", f"{done['recovery']}:1.txt") == "edited"


def test_a_git_reset_is_undone_with_its_files(space: Path) -> None:
    """What `reset --hard` threw away is in the files again."""
    commit(space, "1.txt", "1\n")
    second = commit(space, "2.txt", "2\n")
    git(space, "reset", "--quiet", "--hard", "HEAD~1")
    assert undo(space)["head"] == second
    assert (space / "2.txt").read_text() == "2\n"
    assert git(space, "status", "--porcelain") == ""


def test_a_git_merge_is_undone_with_its_files(shared: Path, space: Path) -> None:
    """What others did and a merge brought in does not become the agent's edits."""
    before = commit(space, "1.txt", "1\n")
    trunk_commit(shared, f"{space.name}-t", "t\n")
    git(space, "merge", "--quiet", "--no-edit", "main")
    assert undo(space)["head"] == before
    assert git(space, "status", "--porcelain") == ""


def test_an_untracked_file_in_the_way_stays(space: Path, refused: Refused) -> None:
    """Nothing is changed where files that follow would overwrite one that is in no commit."""
    commit(space, "1.txt", "1\n")
    git(space, "reset", "--quiet", "--hard", "HEAD~1")
    before = head(space)
    write(space, "1.txt", "mine\n")
    assert refused(space, "undo") == (2, "would_overwrite")
    assert ((space / "1.txt").read_text(), head(space)) == ("mine\n", before)


def test_edits_are_merged_when_files_follow(shared: Path, space: Path) -> None:
    """An edit of a file that goes back is merged into the older version of it."""
    path = f"{space.name}.txt"
    lines = [f"line {n}" for n in range(10)]
    trunk_commit(shared, path, "\n".join(lines) + "\n")
    tatami_json(space, "workspace", "sync")
    trunk_commit(shared, path, "\n".join(["theirs", *lines[1:]]) + "\n")
    tatami_json(space, "workspace", "sync")
    write(space, path, "\n".join(["theirs", *lines[1:9], "mine"]) + "\n")
    done = undo(space)
    assert ((space / path).read_text().splitlines(), done["conflicts"]) == (
        [*lines[:9], "mine"],
        [],
    )


def test_what_is_queued_leaves_the_queue(shared: Path, space: Path) -> None:
    """The line stays; a second undo takes the commit back."""
    before = head(space)
    tip = commit(space, "1.txt", "1\n")
    tatami_json(shared, "queue", "pause")
    try:
        entry = tatami_json(space, "land", space.name, "--no-wait")["entries"][0]
        done = undo(space)
        assert (done["dequeued"], done["head"], head(space)) == ([entry], tip, tip)
        row = next(r for r in tatami_json(shared, "queue", "--all") if r["entry"] == entry)
        assert (row["state"], row["reason"]) == ("rejected", "undone")
        assert undo(space)["head"] == before
    finally:
        tatami_json(shared, "queue", "resume")


def test_what_has_landed_is_taken_off_the_trunk(shared: Path, space: Path) -> None:
    """An inverse commit lands; the line stays, and is undone next."""
    path = f"{space.name}.txt"
    before = head(space)
    tip = commit(space, path, "1\n")
    trunk_commit(shared, f"{space.name}-t", "t\n")
    land(space)
    trunk_commit(shared, f"{space.name}-u", "u\n")
    done = undo(space)
    assert landed(shared, done["entry"])["state"] == "landed"
    assert (done["head"], head(space), (space / path).exists()) == (tip, tip, True)
    assert not (shared / path).exists()
    assert (shared / f"{space.name}-u").exists()
    assert git(shared, "log", "-1", "--format=%s").startswith("Undo the landing of")
    assert undo(space)["head"] == before


def test_a_landing_that_cannot_be_taken_back_changes_nothing(
    shared: Path, space: Path, refused: Refused
) -> None:
    """Somebody has built on it since: the paths are named, trunk and line stay."""
    path = f"{space.name}.txt"
    commit(space, path, "1\n")
    land(space)
    trunk = trunk_commit(shared, path, "changed since\n")
    assert refused(space, "undo") == (2, "conflict")
    assert git(shared, "rev-parse", "main") == trunk


def test_a_commit_made_while_landing_is_undone_first(shared: Path, space: Path) -> None:
    """The last step is the last that was asked for, not the one the queue finished last."""
    tatami_json(shared, "queue", "pause")
    first = commit(space, f"{space.name}-1", "1\n")
    entry = tatami_json(space, "land", space.name, "--no-wait")["entries"][0]
    commit(space, f"{space.name}-2", "2\n")
    tatami_json(shared, "queue", "resume")
    landed(shared, entry)
    assert undo(space)["head"] == first
    assert undo(space)["steps"][0]["verb"] == "land"


def test_a_dry_run_changes_nothing(space: Path) -> None:
    """It says what undo then does."""
    tip = commit(space, "1.txt", "1\n")
    planned = undo(space, "--dry-run")
    assert (head(space), planned["dry_run"]) == (tip, True)
    done = undo(space)
    keys = ("head", "before", "steps", "files", "dequeued")
    assert [planned[key] for key in keys] == [done[key] for key in keys]


def test_to_an_operation(space: Path) -> None:
    """Everything since is taken back at once; the operation before that undo brings it back."""
    one = commit(space, "1.txt", "1\n")
    op = tatami_json(space, "op", "log", "--limit", "1")["op"]
    commit(space, "2.txt", "2\n")
    three = commit(space, "3.txt", "3\n")
    last = tatami_json(space, "op", "log", "--limit", "1")["op"]
    done = undo(space, "--to", op)
    assert (done["head"], len(done["steps"])) == (one, 2)
    assert git(space, "status", "--porcelain").splitlines() == ["?? 2.txt", "?? 3.txt"]
    assert undo(space, "--to", last)["head"] == three
    assert git(space, "status", "--porcelain") == ""
    assert undo(space)["steps"][0]["commit"] == three


def test_to_an_operation_before_the_line(shared: Path, space: Path, refused: Refused) -> None:
    """There was nothing to go back to."""
    commit(space, "1.txt", "1\n")
    rows = tatami_run(shared, "op", "log", "--json").stdout.splitlines()
    oldest = rows[-2].split('"op": "')[1][:40]
    assert refused(space, "undo", "--to", oldest) == (64, "no_line_then")


def test_only_this_agents_line_moves(swarm: tatami.Swarm, space: Path, name: str) -> None:
    """An agent whose commit was in the same batch, or who built on it, keeps it."""
    tip = commit(space, "1.txt", "1\n")
    other = swarm.agent(f"{name}-other", base=tip, workspace=False)
    made = other.commit("on top", {"2.txt": b"2\n"})
    undo(space)
    heads = {row["name"]: row["head"] for row in swarm.status()["agents"]}
    assert heads[other.name] == made.id
    assert git(space, "rev-parse", f"{made.id}~1") == tip


def test_an_agent_without_workspace(swarm: tatami.Swarm, name: str) -> None:
    """Only the line moves."""
    agent = swarm.agent(name, workspace=False)
    first = agent.commit("1", {"1.txt": b"1\n"})
    agent.commit("2", {"2.txt": b"2\n"})
    assert agent.undo().head == first.id


def test_not_in_the_middle_of_a_merge(shared: Path, space: Path, refused: Refused) -> None:
    """git's own half-done work is finished or called off first."""
    commit(space, "history.txt", "mine\n")
    trunk_commit(shared, "history.txt", f"theirs {space.name}\n")
    done = tatami_run(space, "workspace", "sync")
    assert done.returncode == 2
    assert refused(space, "undo") == (2, "operation_in_progress")
    git(space, "rebase", "--abort")


def test_what_was_staged_apart_is_saved(space: Path) -> None:
    """A staged version that no file has is in a recovery commit before the index goes back."""
    commit(space, "1.txt", "1\n")
    write(space, "1.txt", "staged\n")
    git(space, "add", "1.txt")
    write(space, "1.txt", "in the file\n")
    done = undo(space)
    assert git(space, "show", f"{done['recovery']}^2:1.txt") == "staged"
    assert (space / "1.txt").read_text() == "in the file\n"


def test_a_client_that_died_right_after_it(swarm: tatami.Swarm, space: Path) -> None:
    """The next verb finds that the files are ahead of the index, and takes no work back."""
    before, tip = head(space), commit(space, "1.txt", "1\n")
    workspace = swarm.known_agent(space.name).workspace
    assert workspace
    line.record(workspace, tip, line.between(workspace, tip, before))
    swarm.command("undo", {"agent": space.name, "expected": tip})
    assert head(space) == before
    tatami_json(space, "commit", "-m", "again")
    assert git(space, "show", "HEAD:1.txt") == "1"
    assert (git(space, "rev-parse", "HEAD~1"), git(space, "status", "--porcelain")) == (before, "")
