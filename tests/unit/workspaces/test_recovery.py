"""Recovery commits: all that a workspace holds is kept before anything may destroy it."""

import os
import shutil
from pathlib import Path

import pytest

from tatami.workspaces import recovery
from tatami.workspaces.recovery import saving
from tatami.workspaces.worktree import Workspace
from tests.sandbox import commit_file, git, run

REASON = "before it is tested"


def saved(space: Workspace) -> str:
    """Saves a workspace that has something to save; returns the ref."""
    ref = recovery.save(space, REASON)
    assert ref
    return ref


def content(space: Workspace, rev: str) -> str:
    """A file of a commit, `COMMIT:PATH`."""
    return git(space.common, "show", rev)


def test_a_clean_workspace_needs_none(space: Workspace) -> None:
    """Its branch holds everything: nothing is made."""
    assert recovery.save(space, REASON) is None
    assert recovery.saved(space.common) == []


def test_edits_and_new_files_are_kept(space: Workspace) -> None:
    """Deleted, edited, executable, linked and new files are in the commit, on top of HEAD."""
    root = Path(space.path)
    (root / "history.txt").write_text("edited\n")
    (root / "new.txt").write_text("new\n")
    (root / "new.txt").chmod(0o755)
    (root / "link").symlink_to("new.txt")
    (root / "dir0" / "file0.txt").unlink()
    before = git(root, "status", "--porcelain")
    ref = saved(space)
    assert git(root, "diff", "--name-status", "--no-renames", "HEAD", ref).splitlines() == [
        "D\tdir0/file0.txt",
        "M\thistory.txt",
        "A\tlink",
        "A\tnew.txt",
    ]
    assert git(root, "rev-parse", f"{ref}^") == git(root, "rev-parse", "HEAD")
    assert git(root, "ls-tree", ref, "link", "new.txt").split()[::4] == ["120000", "100755"]
    assert git(root, "status", "--porcelain") == before


def test_beside_an_empty_repository_files_are_taken_as_they_are(
    space: Workspace, tmp_path: Path
) -> None:
    """Nothing is read through a symlink, and nothing waits for a pipe.

    The story: git stages one by one where a repository without a commit is inside; what had been
    a folder was then read from where the symlink in its place led.
    """
    root = Path(space.path)
    (tmp_path / "file0.txt").write_text("secret\n")
    shutil.rmtree(root / "dir0")
    (root / "dir0").symlink_to(tmp_path)
    (root / "history.txt").unlink()
    os.mkfifo(root / "history.txt")
    git(root, "init", "--quiet", "empty")
    (root / "new.txt").write_text("new\n")
    ref = saved(space)
    listed = git(space.common, "ls-tree", "-r", ref, "dir0", "new.txt").splitlines()
    assert [row.split()[0] for row in listed] == ["120000", "100644"]
    assert content(space, f"{ref}:dir0") == str(tmp_path)
    assert set(recovery.saved(space.common)[0].unsaved) >= {"empty/", "history.txt"}


def test_what_is_staged_is_a_second_parent(space: Workspace) -> None:
    """As git stash does it, where it says more than the files."""
    root = Path(space.path)
    (root / "history.txt").write_text("staged\n")
    git(root, "add", "history.txt")
    (root / "history.txt").write_text("edited since\n")
    ref = saved(space)
    assert [content(space, f"{ref}{at}:history.txt") for at in ("", "^2")] == [
        "edited since",
        "staged",
    ]
    assert git(root, "diff", "--cached", "--name-only") == "history.txt"
    assert [one.staged for one in recovery.saved(space.common)] == [
        git(root, "rev-parse", f"{ref}^2")
    ]


def test_the_message_says_whose_what_and_what_not(space: Workspace) -> None:
    """Agent, reason, path and branch can be read back, and which ignored files are not in it."""
    root = Path(space.path)
    (root / ".gitignore").write_text("*.o\nlogs/\n")
    (root / "a.o").write_text("ignored")
    (root / "logs").mkdir()
    (root / "logs" / "x").write_text("ignored")
    ref = saved(space)
    found = recovery.saved(space.common)[0]
    assert (found.ref, found.agent, found.reason) == (ref, "a", REASON)
    assert (found.path, found.head, found.unsaved) == (str(root), "agent/a", ("a.o", "logs/"))
    assert git(root, "ls-tree", "-r", "--name-only", ref, "a.o", "logs") == ""


def test_git_collects_nothing_of_it(space: Workspace) -> None:
    """Neither the removal of the worktree nor `git gc --prune=now` takes it."""
    (Path(space.path) / "new.txt").write_text("new\n")
    ref = saved(space)
    shutil.rmtree(space.path)
    shutil.rmtree(space.git_dir)
    git(space.common, "reflog", "expire", "--expire=now", "--all")
    git(space.common, "gc", "--prune=now", "--quiet")
    assert content(space, f"{ref}:new.txt") == "new"
    assert run(space.common, "git", "fsck", "--strict", "--no-dangling").stderr == b""


def test_two_of_one_second_are_two(space: Workspace) -> None:
    """A later one never takes the place of an earlier one, and is listed first."""
    root = Path(space.path)
    (root / "new.txt").write_text("one\n")
    first = saved(space)
    (root / "new.txt").write_text("two\n")
    second = saved(space)
    assert [one.ref for one in recovery.saved(space.common)] == [second, first]
    assert content(space, f"{first}:new.txt") == "one"


def test_nobody_has_to_have_a_name(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """git's own commits need an identity; a rescue does not wait for one."""
    (Path(space.path) / "new.txt").write_text("new\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git(space.path, "config", "user.useConfigOnly", "true")
    assert git(space.path, "log", "-1", "--format=%an, %cn", saved(space)) == "a, Tatami"


def test_settings_that_make_git_refuse_a_file_do_not(space: Workspace) -> None:
    """`core.safecrlf` may reject line endings in a commit, never in a rescue."""
    git(space.path, "config", "core.safecrlf", "true")
    git(space.path, "config", "core.autocrlf", "input")
    (Path(space.path) / "dos.txt").write_bytes(b"one\r\n")
    assert content(space, f"{saved(space)}:dos.txt") == "one"


def test_a_name_that_is_not_utf8_is_kept(space: Workspace) -> None:
    """No commit of ours takes such a file, so this is the only place that has it."""
    name = os.path.join(os.fsencode(space.path), b"caf\xe9.txt")
    with open(name, "wb") as file:
        file.write(b"kept\n")
    listed = run(space.common, "git", "ls-tree", "-z", "--name-only", saved(space)).stdout
    assert b"caf\xe9.txt" in listed.split(b"\0")


def test_a_repository_without_a_commit_is_left_out_by_name(space: Workspace) -> None:
    """git has no entry for one and refuses it; all else is kept, whatever its name is."""
    root = Path(space.path)
    for name in ("new*", "héllo"):
        git(root, "init", "--quiet", name)
        (root / name / "inside.txt").write_text("inside\n")
    git(root, "clone", "--quiet", space.common, "with-commit")
    (root / "new.txt").write_text("new\n")
    (root / "history.txt").unlink()
    ref = saved(space)
    assert content(space, f"{ref}:new.txt") == "new"
    listed = git(space.common, "ls-tree", "--name-only", ref).splitlines()
    assert listed == ["dir0", "new.txt", "with-commit"]
    assert recovery.saved(space.common)[0].unsaved == ("héllo/", "new*/")


@pytest.mark.parametrize(
    "attributes", ["working-tree-encoding=UTF-16", "working-tree-encoding=none", "filter=broken"]
)
def test_a_file_that_git_refuses_to_convert_is_kept_as_it_is(
    space: Workspace, attributes: str
) -> None:
    """No commit takes it, so this is the only place that has it; all else is kept as ever."""
    root = Path(space.path)
    git(root, "config", "filter.broken.clean", "false")
    git(root, "config", "filter.broken.required", "true")
    (root / ".gitattributes").write_text(f"*.odd {attributes}\n*.txt text eol=crlf\n")
    for name in ("a.odd", "dir0/b.odd"):
        (root / name).write_bytes(b"\x00odd\n")
    (root / "dir0" / "b.odd").chmod(0o755)
    (root / "z.txt").write_bytes(b"z\r\n")
    ref = saved(space)
    kept = [run(root, "git", "cat-file", "blob", f"{ref}:{p}").stdout for p in ("a.odd", "z.txt")]
    assert kept == [b"\x00odd\n", b"z\n"]
    assert git(root, "ls-tree", ref, "dir0/b.odd").split()[0] == "100755"


def test_a_deleted_workspace_leaves_what_was_staged(space: Workspace) -> None:
    """git keeps the index elsewhere; the commit says that the rest is not in it."""
    root = Path(space.path)
    (root / "staged.txt").write_text("staged\n")
    git(root, "add", "staged.txt")
    shutil.rmtree(root)
    ref = saved(space)
    assert content(space, f"{ref}:staged.txt") == "staged"
    assert recovery.saved(space.common)[0].unsaved == (
        "every file that was not staged: the directory is gone",
    )


def test_a_lost_pointer_does_not_lead_into_the_repository_above(space: Workspace) -> None:
    """Without its `.git` file a workspace is a folder of the main checkout to git; not to us."""
    root = Path(space.path)
    (root / "staged.txt").write_text("staged\n")
    git(root, "add", "staged.txt")
    (root / ".git").unlink()
    main = Path(space.common).parent
    (main / "mine.txt").write_text("the person's\n")
    tree = git(space.common, "ls-tree", "-r", "--name-only", saved(space)).splitlines()
    assert ("staged.txt" in tree, "mine.txt" in tree) == (True, False)


def test_a_detached_head_is_reached(space: Workspace) -> None:
    """A clean workspace whose commit no branch has is worth a ref."""
    root = Path(space.path)
    git(root, "checkout", "--quiet", "--detach")
    commit = commit_file(root, "new.txt", b"new\n")
    ref = saved(space)
    assert git(root, "rev-parse", f"{ref}^") == commit
    assert recovery.saved(space.common)[0].head == commit


def test_a_conflict_under_way_is_kept_with_its_other_side(space: Workspace) -> None:
    """An index that holds a conflict has no tree; the marked file and what was merged stay."""
    root = Path(space.path)
    git(root, "switch", "--quiet", "-c", "other")
    theirs = commit_file(root, "history.txt", b"theirs\n")
    git(root, "switch", "--quiet", "agent/a")
    ours = commit_file(root, "history.txt", b"ours\n")
    git(root, "branch", "-D", "other")
    assert run(root, "git", "merge", "--quiet", theirs, check=False).returncode == 1
    ref = saved(space)
    assert git(root, "log", "-1", "--format=%P", ref).split() == [ours, theirs]
    assert "<<<<<<<" in content(space, f"{ref}:history.txt")
    assert git(root, "ls-files", "--unmerged").count("history.txt") == 3


def test_an_autostash_is_kept(space: Workspace) -> None:
    """A rebase that stopped has the edits in a commit that only a file of git's names."""
    root = Path(space.path)
    git(root, "branch", "base")
    commit_file(root, "history.txt", b"ours\n")
    (root / "dir0" / "file0.txt").write_text("precious edit\n")
    git(root, "update-ref", "refs/heads/base", commit_on(root, "base"))
    rebase = ("git", "rebase", "--quiet", "--autostash", "base")
    assert run(root, *rebase, check=False).returncode != 0
    stashed = (Path(space.git_dir) / "rebase-merge" / "autostash").read_text().strip()
    ref = saved(space)
    assert stashed in git(root, "log", "-1", "--format=%P", ref).split()


def commit_on(root: Path, branch: str) -> str:
    """A commit on top of a branch that conflicts with what the workspace did."""
    blob = git(root, "hash-object", "-w", "--stdin", stdin=b"theirs\n")
    entries = git(root, "ls-tree", branch).splitlines()
    changed = [row for row in entries if not row.endswith("\thistory.txt")]
    listed = "\n".join([*changed, f"100644 blob {blob}\thistory.txt"]) + "\n"
    tree = git(root, "mktree", stdin=listed.encode())
    return git(root, "commit-tree", "-p", branch, "-m", "theirs", tree)


def test_objects_that_vanish_are_written_again(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `git gc --prune=now` just before the ref is there must not leave a ref to nothing."""
    (Path(space.path) / "new.txt").write_text("new\n")
    make = saving._name
    calls: list[str] = []

    def collected_first(*given: object) -> str:
        if not calls:
            calls.append(git(space.common, "prune", "--expire=now"))
        return make(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(saving, "_name", collected_first)
    assert content(space, f"{saved(space)}:new.txt") == "new"
    assert len(recovery.saved(space.common)) == 1
