"""`workspace sync`: the agent's line on the new trunk, with every kind of unsaved edit."""

from pathlib import Path
from typing import Any

import pytest

import tatami
from tatami.client import syncing
from tests.e2e.conftest import Refused
from tests.sandbox import git, tatami_json
from tests.sandbox import tatami as tatami_run


def write(space: Path, path: str, content: str) -> None:
    (space / path).parent.mkdir(parents=True, exist_ok=True)
    (space / path).write_text(content)


def commit(space: Path, path: str, content: str) -> str:
    write(space, path, content)
    return str(tatami_json(space, "commit", "-m", f"{space.name}: {path}")["commit"])


def trunk_commit(root: Path, path: str, content: str) -> str:
    """Somebody else's change of a file, on the trunk."""
    write(root, path, content)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", f"trunk: {path}")
    return git(root, "rev-parse", "HEAD")


def sync(space: Path) -> dict[str, Any]:
    rows: list[dict[str, Any]] = tatami_json(space, "workspace", "sync")
    return rows[0]


@pytest.fixture
def file(shared: Path, space: Path) -> str:
    """A file of ten lines that trunk and workspace have, for this test alone."""
    path = f"{space.name}.txt"
    trunk_commit(shared, path, "".join(f"line {n}\n" for n in range(10)))
    assert sync(space)["rebased"] == 0
    return path


def edited(space: Path, path: str, line: int, text: str) -> str:
    lines = (space / path).read_text().splitlines()
    lines[line] = text
    return "\n".join(lines) + "\n"


def test_what_has_landed_is_dropped_and_the_rest_rebased(shared: Path, space: Path) -> None:
    """A landed copy goes from the line; what came after it is put on the trunk, same change id."""
    commit(space, f"{space.name}-1", "1\n")
    trunk_commit(shared, f"{space.name}-trunk", "t\n")
    tatami_json(space, "land", space.name, "--wait")
    second = tatami_json(space, "log", commit(space, f"{space.name}-2", "2\n"), "--limit", "1")
    done = sync(space)
    after = tatami_json(space, "log", done["head"], "--limit", "1")
    assert (done["rebased"], git(space, "rev-list", "--count", "main..")) == (1, "1")
    assert after["change"] == second["change"]
    assert git(space, "status", "--porcelain") == ""
    assert (space / f"{space.name}-trunk").exists()


def test_a_line_with_nothing_of_its_own_goes_to_the_trunk(shared: Path, space: Path) -> None:
    """An idle agent just catches up."""
    trunk = trunk_commit(shared, f"{space.name}-trunk", "t\n")
    assert sync(space)["head"] == trunk
    assert git(space, "rev-parse", "HEAD") == trunk
    assert git(space, "status", "--porcelain") == ""


def test_a_change_that_is_on_the_trunk_already_is_dropped(shared: Path, space: Path) -> None:
    """Somebody else made the same change: the commit would be empty."""
    commit(space, f"{space.name}-same", "same\n")
    trunk = trunk_commit(shared, f"{space.name}-same", "same\n")
    done = sync(space)
    assert (done["dropped"], git(space, "rev-parse", "HEAD")) == (1, trunk)


def test_unsaved_edits_elsewhere_stay(shared: Path, space: Path, file: str) -> None:
    """Edits of other files than the trunk's, staged and new ones, are as they were."""
    write(space, file, edited(space, file, 0, "mine"))
    write(space, "new.txt", "new\n")
    write(space, "staged.txt", "staged\n")
    git(space, "add", "staged.txt")
    before = git(space, "status", "--porcelain")
    trunk_commit(shared, f"{space.name}-trunk", "t\n")
    done = sync(space)
    assert git(space, "status", "--porcelain") == before
    assert git(space, "show", f"{done['recovery']}:new.txt") == "new"


def test_unsaved_edits_of_the_same_file_are_merged(shared: Path, space: Path, file: str) -> None:
    """An edit of another part of a file the trunk changed ends up in the new version of it."""
    write(space, file, edited(space, file, 9, "mine"))
    trunk_commit(shared, file, edited(shared, file, 0, "theirs"))
    done = sync(space)
    lines = (space / file).read_text().splitlines()
    assert (lines[0], lines[9], done["conflicts"]) == ("theirs", "mine", [])
    assert git(space, "status", "--porcelain") == f" M {file}"
    assert git(space, "symbolic-ref", "--short", "HEAD") == f"agent/{space.name}"


def test_unsaved_edits_that_conflict_get_markers(shared: Path, space: Path, file: str) -> None:
    """The file holds both sides, git says it is unmerged, and the edit itself is saved."""
    write(space, file, edited(space, file, 0, "mine"))
    trunk_commit(shared, file, edited(shared, file, 0, "theirs"))
    ran = tatami_run(space, "workspace", "sync")
    text = (space / file).read_text()
    assert ran.returncode == 2
    assert "<<<<<<<" in text
    assert git(space, "status", "--porcelain") == f"UU {file}"
    refs = git(space, "for-each-ref", "--format=%(refname)", "refs/tatami/recovery")
    saved = [ref for ref in refs.splitlines() if f"/{space.name}/" in ref]
    assert git(space, "show", f"{saved[-1]}:{file}").splitlines()[0] == "mine"


def test_a_commit_that_conflicts_is_rebased_by_git(shared: Path, space: Path, file: str) -> None:
    """git's own rebase stops in the workspace; continued, its result is the line."""
    commit(space, f"{space.name}-first", "first\n")
    commit(space, file, edited(space, file, 0, "mine"))
    trunk_commit(shared, file, edited(shared, file, 0, "theirs"))
    write(space, f"{space.name}-unsaved", "unsaved\n")
    ran = tatami_run(space, "workspace", "sync", "--json")
    assert ran.returncode == 2
    assert f'"path":"{file}"' in ran.stdout.replace(" ", "")
    assert git(space, "status", "--porcelain").splitlines()[0] == f"UU {file}"
    write(space, file, edited(shared, file, 0, "both"))
    git(space, "add", file)
    git(space, "-c", "core.editor=true", "rebase", "--continue")
    made = commit(space, f"{space.name}-unsaved", "saved\n")
    log = git(space, "log", "--format=%s", "main..").splitlines()
    name = space.name
    assert log == [f"{name}: {name}-unsaved", f"{name}: {file}", f"{name}: {name}-first"]
    assert git(space, "rev-parse", f"agent/{name}") == made


def test_a_line_with_a_merge_is_merged(shared: Path, space: Path) -> None:
    """Who merges the trunk with git gets the new trunk by a merge as well."""
    commit(space, f"{space.name}-1", "1\n")
    trunk_commit(shared, f"{space.name}-t1", "t\n")
    git(space, "merge", "--quiet", "--no-edit", "main")
    trunk = trunk_commit(shared, f"{space.name}-t2", "t\n")
    assert sync(space)["conflicts"] == []
    assert git(space, "merge-base", "HEAD", "main") == trunk
    assert tatami_json(space, "land", space.name, "--wait")


def test_what_is_queued_is_not_rebased(shared: Path, space: Path, refused: Refused) -> None:
    """A commit in the landing queue keeps its id until it has landed."""
    commit(space, f"{space.name}-1", "1\n")
    trunk_commit(shared, f"{space.name}-t", "t\n")
    tatami_json(shared, "queue", "pause")
    try:
        tatami_json(space, "land", space.name, "--no-wait")
        assert refused(space, "workspace", "sync") == (75, "queued")
    finally:
        tatami_json(shared, "queue", "resume")


def test_several_agents_at_once(shared: Path, swarm: tatami.Swarm, space: Path) -> None:
    """`--all` takes every workspace; the behind counts are 0 then."""
    trunk_commit(shared, f"{space.name}-t", "t\n")
    rows = [row for row in swarm.workspaces() if row["name"] == space.name]
    assert rows[0]["behind"] > 0
    swarm.known_agent(space.name).sync()
    rows = [row for row in swarm.workspaces() if row["name"] == space.name]
    assert rows[0]["behind"] == 0


def test_an_agent_without_workspace(shared: Path, swarm: tatami.Swarm, name: str) -> None:
    """A line of bytes is rebased as well, and refused where it conflicts."""
    agent = swarm.agent(name, workspace=False)
    agent.commit("bytes", {f"{name}.txt": b"mine\n"})
    trunk = trunk_commit(shared, f"{name}-t", "t\n")
    assert (agent.sync().onto, agent.sync().rebased) == (trunk, 0)
    trunk_commit(shared, f"{name}.txt", "theirs\n")
    with pytest.raises(tatami.ConflictError, match="conflicts with the trunk"):
        agent.sync()


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [("{}", "{}"), ("{}/inside", "{}"), ("{}", "{}/inside"), ("{}.o", "{}.o")],
    ids=["same name", "folder", "file above", "ignored"],
)
def test_an_untracked_file_in_the_way_is_refused_first(
    shared: Path, space: Path, refused: Refused, mine: str, theirs: str
) -> None:
    """Neither line nor files move; with the file out of the way they do."""
    name = f"{space.name}-way"
    commit(space, f"{space.name}-1", "1\n")
    git(space, "config", "core.excludesFile", str(shared / ".git" / "ignored"))
    (shared / ".git" / "ignored").write_text("*.o\n")
    write(space, mine.format(name), "mine\n")
    write(shared, theirs.format(name), "theirs\n")
    git(shared, "add", "--force", name + ("" if theirs != "{}.o" else ".o"))
    git(shared, "commit", "--quiet", "-m", "in the way")
    before = git(space, "rev-parse", "HEAD"), git(space, "status", "--porcelain", "--ignored")
    assert refused(space, "workspace", "sync") == (2, "would_overwrite")
    said = tatami_run(space, "workspace", "sync").stderr
    assert f"{mine.format(name)} is not committed here" in said
    after = git(space, "rev-parse", "HEAD"), git(space, "status", "--porcelain", "--ignored")
    assert after == before
    assert (space / mine.format(name)).read_text() == "mine\n"
    (space / mine.format(name)).rename(shared / ".git" / "aside")
    assert sync(space)["rebased"] == 1
    assert (space / theirs.format(name)).read_text() == "theirs\n"


def test_a_new_file_that_is_staged_is_in_the_way_too(
    shared: Path, space: Path, refused: Refused
) -> None:
    """git could keep only one of the two; committed, the file is merged as a commit is."""
    name = f"{space.name}-staged"
    write(space, name, "mine\n")
    git(space, "add", name)
    trunk_commit(shared, name, "theirs\n")
    assert refused(space, "workspace", "sync") == (2, "would_overwrite")
    assert git(space, "status", "--porcelain") == f"A  {name}"
    tatami_json(space, "commit", "-m", "mine")
    assert tatami_run(space, "workspace", "sync").returncode == 2
    assert git(space, "status", "--porcelain") == f"AA {name}"
    git(space, "rebase", "--abort")


def test_what_is_staged_stays_so_beside_an_edit_that_is_merged(
    shared: Path, space: Path, file: str
) -> None:
    """A staged edit of a file the trunk changed, a staged new file and a staged deletion."""
    write(space, file, edited(space, file, 9, "mine"))
    write(space, "staged.txt", "staged\n")
    git(space, "add", file, "staged.txt")
    git(space, "rm", "--quiet", "history.txt")
    trunk_commit(shared, file, edited(shared, file, 0, "theirs"))
    assert sync(space)["conflicts"] == []
    lines = (space / file).read_text().splitlines()
    assert (lines[0], lines[9]) == ("theirs", "mine")
    status = sorted(git(space, "status", "--porcelain").splitlines())
    assert status == sorted([f"M  {file}", "A  staged.txt", "D  history.txt"])


def test_what_is_taken_out_of_the_index_alone_stays_out(
    space: Path, shared: Path, file: str
) -> None:
    """`git rm --cached` of a file that is still there, beside an edit that is merged."""
    write(space, file, edited(space, file, 9, "mine"))
    git(space, "rm", "--quiet", "--cached", "history.txt")
    trunk_commit(shared, file, edited(shared, file, 0, "theirs"))
    assert sync(space)["conflicts"] == []
    assert git(space, "diff", "--cached", "--name-status") == "D\thistory.txt"
    assert (space / "history.txt").exists()


def test_a_repository_in_the_way_is_refused_first(
    shared: Path, space: Path, refused: Refused
) -> None:
    """Also where it ignores the file in question: git lists nothing of what it holds."""
    inside = f"{space.name}-inside"
    git(space, "init", "--quiet", inside)
    (space / inside / ".git/info/exclude").write_text(".env\n")
    write(space, f"{inside}/.env", "secret\n")
    trunk_commit(shared, f"{inside}/.env", "theirs\n")
    before = git(space, "rev-parse", "HEAD")
    assert refused(space, "workspace", "sync") == (2, "would_overwrite")
    assert git(space, "rev-parse", "HEAD") == before
    assert (space / inside / ".env").read_text() == "secret\n"


def test_a_file_that_comes_into_the_way_in_the_last_moment_loses_nothing(
    shared: Path, swarm: tatami.Swarm, space: Path
) -> None:
    """The line has moved, its files have not: they follow before anything is committed."""
    agent, name = swarm.known_agent(space.name), f"{space.name}-late"
    assert agent.workspace
    old = git(shared, "rev-parse", "HEAD")
    write(space, name, "mine\n")
    trunk_commit(shared, name, "theirs\n")
    for _ in range(2):
        with pytest.raises(tatami.ConflictError, match=name) as caught:
            syncing.sync(swarm.command, agent.workspace, old)
        assert caught.value.code == "line_moved"
    with pytest.raises(tatami.ConflictError, match=name):
        agent.commit("would take the trunk's file back")
    (space / name).unlink()
    agent.sync()
    assert (space / name).read_text() == "theirs\n"
    assert git(space, "status", "--porcelain") == ""
