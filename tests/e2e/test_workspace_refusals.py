"""Workspaces that cannot be made, found or removed: a clear refusal, and nothing is lost."""

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Refused
from tests.sandbox import git, tatami_json


def folder(root: Path) -> Path:
    """Where workspaces are made."""
    return root / ".tatami" / "workspaces"


@pytest.mark.parametrize(
    "text", ["a/b", "a b", "", ".", "..", "../a", "-a", "a.lock", "a..b", "ä", "a\nb", "x" * 65]
)
def test_an_agents_name_is_one_component(shared: Path, refused: Refused, text: str) -> None:
    """Slashes, spaces, options and what git refuses in a branch name are refused, by name."""
    found = refused(shared, "workspace", "add", "--json", "--", text)
    assert found == (64, "bad_agent_name")
    assert not (folder(shared) / text).exists() or text in {"", ".", ".."}


def test_the_same_name_twice_is_refused(space: Path, shared: Path, refused: Refused) -> None:
    """In one command, in two, and in another case: a second agent of a name is nobody's."""
    name = space.name
    assert refused(shared, "workspace", "add", "twice", "twice") == (64, "usage")
    assert refused(shared, "workspace", "add", "other", name) == (64, "workspace_exists")
    assert refused(shared, "workspace", "add", name.upper()) == (64, "agent_exists")
    known = [row["name"] for row in tatami_json(shared, "status")["agents"]]
    assert not {"twice", "other", name.upper()} & set(known)


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_a_directory_in_the_way_is_left_alone(
    shared: Path, refused: Refused, name: str, what: str
) -> None:
    """Whatever lies where the workspace would go stays, and no agent is made."""
    way = folder(shared) / name
    way.parent.mkdir(parents=True, exist_ok=True)
    if what == "folder":
        way.mkdir()
        (way / "precious.txt").write_text("mine\n")
    elif what == "file":
        way.write_text("mine\n")
    else:
        os.symlink("/nowhere", way)
    assert refused(shared, "ws", "add", name) == (2, "directory_in_the_way")
    assert os.path.lexists(way)
    assert name not in [row["name"] for row in tatami_json(shared, "status")["agents"]]


def test_an_empty_directory_is_used(shared: Path, name: str) -> None:
    """As `git worktree add` does."""
    (folder(shared) / name).mkdir(parents=True)
    row = tatami_json(shared, "workspace", "add", name)[0]
    assert git(row["path"], "status", "--porcelain") == ""


def test_a_worktree_of_the_user_keeps_its_name(
    shared: Path, refused: Refused, name: str, tmp_path: Path
) -> None:
    """git knows worktrees by their folder's name; one of the user's is not taken over."""
    git(shared, "worktree", "add", "--quiet", str(tmp_path / name))
    assert refused(shared, "workspace", "add", name) == (64, "name_taken")
    assert git(tmp_path / name, "status", "--porcelain") == ""


def test_a_branch_of_the_user_is_not_overwritten(shared: Path, refused: Refused, name: str) -> None:
    """A git branch agent/NAME that no agent made stays where it is."""
    git(shared, "branch", f"agent/{name}", "main~1")
    before = git(shared, "rev-parse", f"agent/{name}")
    assert refused(shared, "workspace", "add", name) == (64, "branch_exists")
    assert git(shared, "rev-parse", f"agent/{name}") == before


def test_base_must_name_a_commit(shared: Path, refused: Refused, name: str) -> None:
    """A revision nobody knows makes no workspace."""
    found = refused(shared, "workspace", "add", name, "--base", "nowhere")
    assert (found, (folder(shared) / name).exists()) == ((64, "not_found"), False)


def test_base_is_for_new_agents(space: Path, shared: Path, refused: Refused) -> None:
    """An agent that kept its line has a base already."""
    (space / "new.txt").write_text("new\n")
    tatami_json(shared, "workspace", "remove", space.name)
    found = refused(shared, "workspace", "add", space.name, "--base", "main")
    assert found == (64, "agent_exists")


def test_names_are_needed(shared: Path, refused: Refused) -> None:
    """`add` and `remove` without a name say so."""
    assert refused(shared, "workspace", "add") == (64, "usage")
    assert refused(shared, "workspace", "remove") == (64, "usage")


def test_an_unknown_workspace_is_refused(shared: Path, refused: Refused) -> None:
    """Every verb that names one says that there is none."""
    assert refused(shared, "workspace", "remove", "nobody") == (64, "no_workspace")
    assert refused(shared, "workspace", "diff", "nobody") == (64, "no_workspace")
    assert refused(shared, "commit", "-m", "m", "--agent", "nobody") == (
        64,
        "no_workspace",
    )


def test_outside_a_workspace_the_agent_has_to_be_named(
    space: Path, shared: Path, refused: Refused
) -> None:
    """The user's own checkout is no workspace; `--agent` works from anywhere."""
    assert refused(shared, "commit", "-m", "m") == (64, "no_workspace")
    assert refused(shared, "land") == (64, "no_workspace")
    (space / "new.txt").write_text("new\n")
    done = tatami_json(shared, "commit", "-m", "m", "--agent", space.name)
    assert done["agent"] == space.name


def test_a_deleted_workspace_is_named_and_can_be_made_again(
    space: Path, shared: Path, refused: Refused
) -> None:
    """After `rm -rf`: `add` and `commit` say what happened, `remove` clears it, `add` works."""
    (space / "new.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", "new")
    shutil.rmtree(space)
    assert refused(shared, "workspace", "add", space.name) == (64, "workspace_missing")
    assert refused(shared, "commit", "-m", "m", "--agent", space.name) == (
        64,
        "workspace_missing",
    )
    states = {row["name"]: row["state"] for row in tatami_json(shared, "workspace", "list")}
    assert states[space.name] == "missing"
    tatami_json(shared, "workspace", "remove", space.name)
    row = tatami_json(shared, "workspace", "add", space.name)[0]
    assert (Path(row["path"]) / "new.txt").read_text() == "new\n"


def test_what_was_staged_in_a_deleted_workspace_is_kept(space: Path, shared: Path) -> None:
    """git's index outlives the folder; its content is saved under a recovery ref."""
    (space / "staged.txt").write_text("staged\n")
    git(space, "add", "staged.txt")
    shutil.rmtree(space)
    done = tatami_json(shared, "workspace", "remove", space.name)[0]
    assert git(shared, "show", f"{done['recovery']}:staged.txt") == "staged"


def test_a_moved_workspace_is_recognised(space: Path, refused: Refused, tmp_path: Path) -> None:
    """From inside, the refusal names git's own repair, after which everything works."""
    moved = tmp_path / "elsewhere"
    shutil.move(space, moved)
    assert refused(moved, "commit", "-m", "m") == (64, "workspace_moved")
    git(moved, "worktree", "repair", str(moved))
    (moved / "new.txt").write_text("new\n")
    assert tatami_json(moved, "commit", "-m", "m")["agent"] == space.name


def test_a_half_made_workspace_is_made_again(space: Path, shared: Path) -> None:
    """What a crash left has no index yet: `add` moves its files aside and begins anew."""
    (shared / ".git" / "worktrees" / space.name / "index").unlink()
    (space / "history.txt").write_text("torn")
    row = tatami_json(shared, "workspace", "add", space.name)[0]
    aside = folder(shared) / ".unfinished" / space.name / "history.txt"
    assert git(row["path"], "status", "--porcelain") == ""
    assert aside.read_text() == "torn"


def test_a_registration_without_a_workspace_is_cleared(shared: Path, name: str) -> None:
    """A crash before anything was written leaves an empty folder in git's records."""
    (shared / ".git" / "worktrees" / name).mkdir(parents=True)
    row = tatami_json(shared, "workspace", "add", name)[0]
    assert git(row["path"], "status", "--porcelain") == ""


def test_what_lies_where_a_workspace_was_is_not_deleted(space: Path, shared: Path) -> None:
    """Somebody put another folder at the place of a workspace that is gone."""
    shutil.rmtree(space)
    space.mkdir()
    (space / "precious.txt").write_text("mine\n")
    tatami_json(shared, "workspace", "remove", space.name)
    assert (space / "precious.txt").read_text() == "mine\n"
    assert str(space) not in git(shared, "worktree", "list")


def test_a_filter_that_fails_leaves_nothing_behind(
    repository: Path, refused: Refused, stop_hubs_after: None
) -> None:
    """A workspace without some of its files would commit their deletion: it is not made."""
    (repository / ".gitattributes").write_text("*.bin filter=broken\n")
    (repository / "a.bin").write_text("x\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "-m", "filter")
    git(repository, "config", "filter.broken.clean", "cat")
    git(repository, "config", "filter.broken.smudge", "false")
    git(repository, "config", "filter.broken.required", "true")
    tatami_json(repository, "init")
    assert refused(repository, "workspace", "add", "coder-1") == (1, "git")
    assert os.listdir(folder(repository)) == []
    git(repository, "config", "filter.broken.smudge", "cat")
    row = tatami_json(repository, "workspace", "add", "coder-1")[0]
    assert git(row["path"], "status", "--porcelain") == ""


def test_a_removal_that_was_cut_off_is_finished(space: Path, shared: Path) -> None:
    """A workspace that was only moved aside comes back, is checked again, and goes."""
    (space / "new.txt").write_text("new\n")
    leaving = space.parent / f".removing-{space.name}"
    space.rename(leaving)
    done = tatami_json(shared, "workspace", "remove", space.name)[0]
    assert git(shared, "show", f"{done['saved']}:new.txt") == "new"
    assert not space.exists()
    assert not leaving.exists()


def test_remove_refuses_what_the_line_cannot_take(
    space: Path, shared: Path, refused: Refused
) -> None:
    """With a HEAD off the line nothing is deleted; `--force` saves all of it as a recovery."""
    (space / "kept.txt").write_text("kept\n")
    tatami_json(space, "commit", "-m", "not landed")
    git(space, "checkout", "--quiet", "HEAD~1")
    (space / "by-git.txt").write_text("git\n")
    git(space, "add", "by-git.txt")
    git(space, "commit", "--quiet", "-m", "by git")
    (space / "new.txt").write_text("new\n")
    assert refused(shared, "workspace", "remove", space.name) == (2, "unsaved")
    assert (space / "new.txt").exists()
    done = tatami_json(shared, "workspace", "remove", space.name, "--force")[0]
    assert git(shared, "show", f"{done['recovery']}:new.txt") == "new"
    assert git(shared, "show", f"{done['recovery']}:by-git.txt") == "git"
    assert not space.exists()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_repository_inside_a_workspace_is_never_deleted(
    space: Path, shared: Path, refused: Refused, force: list[str]
) -> None:
    """A clone that the agent made in its workspace could be saved by nobody."""
    git(space, "init", "--quiet", "vendored")
    found = refused(shared, "workspace", "remove", space.name, *force)
    assert found == (2, "nested_repository")
    assert (space / "vendored" / ".git").is_dir()
