"""Commits of a workspace's files: what git would have committed, and a clean status afterwards."""

import os
from pathlib import Path

import pytest

from tatami import Swarm
from tests.e2e.conftest import Refused
from tests.sandbox import git, run, tatami, tatami_json


def clean(space: Path) -> bool:
    """Whether git sees nothing to do, with index and files really compared."""
    run(space, "git", "update-index", "--refresh", "--really-refresh", check=False)
    return git(space, "status", "--porcelain") == ""


def shown(space: Path, path: str) -> bytes:
    """A file's content at the agent's head."""
    return run(space, "git", "cat-file", "blob", f"HEAD:{path}").stdout


def test_a_commit_takes_every_change_and_leaves_a_clean_status(space: Path) -> None:
    """New, edited, deleted and renamed files in one commit on the agent's branch."""
    (space / "new.txt").write_text("new\n")
    (space / "history.txt").write_text("edited\n")
    (space / "dir0" / "file0.txt").unlink()
    (space / "dir0" / "file1.txt").rename(space / "moved.txt")
    done = tatami_json(space, "commit", "-m", "all of it")
    changes = git(space, "diff-tree", "-r", "--no-commit-id", "--name-status", "HEAD").splitlines()
    assert done["commit"] == git(space, "rev-parse", f"agent/{space.name}")
    assert changes == [
        "D\tdir0/file0.txt",
        "D\tdir0/file1.txt",
        "M\thistory.txt",
        "A\tmoved.txt",
        "A\tnew.txt",
    ]
    assert clean(space)


def test_commits_follow_one_another(space: Path) -> None:
    """Each commit stands on the one before, and an edit right after a commit is seen."""
    for number in range(3):
        (space / "history.txt").write_text(f"{number}\n")
        tatami_json(space, "commit", "-m", f"edit {number}")
    log = git(space, "log", "--format=%s", "main..")
    assert log.splitlines() == ["edit 2", "edit 1", "edit 0"]
    assert clean(space)


def test_a_repository_inside_is_left_out_with_a_warning(space: Path, refused: Refused) -> None:
    """An agent's clone in its workspace is no part of a commit, and it is told so."""
    git(space, "clone", "--quiet", ".", "vendored")
    assert refused(space, "commit", "-m", "only that") == (64, "nothing_to_commit")
    (space / "new.txt").write_text("new\n")
    done = tatami_json(space, "commit", "-m", "beside it")
    assert git(space, "ls-tree", "--name-only", "HEAD", "vendored") == ""
    assert [text.split(":")[0] for text in done["warnings"]] == ["vendored"]
    (space / ".gitignore").write_text("vendored\n")
    assert tatami_json(space, "commit", "-m", "ignored")["warnings"] == []


def test_a_commit_is_named_on_stdout(space: Path) -> None:
    """People see the agent, the commit and the first line of the message."""
    (space / "new.txt").write_text("new\n")
    done = tatami(space, "commit", "-m", "first line\n\nbody")
    head = git(space, "rev-parse", "--short=12", "HEAD")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"[{space.name} {head}] first line\n",
        "",
    )


def test_a_clean_workspace_has_nothing_to_commit(space: Path, refused: Refused) -> None:
    """An empty commit is refused, the head stays."""
    before = git(space, "rev-parse", "HEAD")
    assert refused(space, "commit", "-m", "nothing") == (64, "nothing_to_commit")
    assert git(space, "rev-parse", "HEAD") == before


def test_touching_a_file_is_no_change(space: Path, refused: Refused) -> None:
    """Only content and mode count, not when a file was written."""
    os.utime(space / "history.txt")
    (space / "dir0" / "file0.txt").write_bytes((space / "dir0" / "file0.txt").read_bytes())
    assert refused(space, "commit", "-m", "nothing") == (64, "nothing_to_commit")


def test_ignored_files_stay_out(space: Path) -> None:
    """The user's ignore rules apply, also those that are committed with them."""
    (space / ".gitignore").write_text("*.log\nbuilt/\n")
    (space / "a.log").write_text("log\n")
    (space / "built").mkdir()
    (space / "built" / "a.o").write_text("o\n")
    (space / "kept.txt").write_text("kept\n")
    tatami_json(space, "commit", "-m", "ignores")
    names = git(space, "diff-tree", "-r", "--no-commit-id", "--name-only", "HEAD").splitlines()
    assert names == [".gitignore", "kept.txt"]
    assert (space / "a.log").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\1\2\xff\xfe", b"\xe9\xff latin\n", b"a\r\nb\r\n", b"no newline", b"x" * 3_000_000],
    ids=["empty", "binary", "not-utf-8", "crlf", "no-newline", "large"],
)
def test_contents_are_kept_byte_for_byte(space: Path, content: bytes) -> None:
    """No encoding, no line ending, no limit changes what the file holds."""
    (space / "file").write_bytes(content)
    tatami_json(space, "commit", "-m", "content")
    assert shown(space, "file") == content
    assert clean(space)


def test_modes_and_symlinks_are_committed(space: Path) -> None:
    """An executable bit alone is a change; a link is its target, also a dangling one."""
    (space / "history.txt").chmod(0o755)
    os.symlink("nowhere/at all", space / "link")
    (space / "dir0" / "file0.txt").unlink()
    os.symlink("../history.txt", space / "dir0" / "file0.txt")
    tatami_json(space, "commit", "-m", "modes")
    tree = git(space, "ls-tree", "-r", "HEAD").splitlines()
    modes = {line.partition("\t")[2]: line[:6] for line in tree}
    assert modes["history.txt"] == "100755"
    assert (modes["link"], shown(space, "link")) == ("120000", b"nowhere/at all")
    assert (modes["dir0/file0.txt"], shown(space, "dir0/file0.txt")) == (
        "120000",
        b"../history.txt",
    )
    assert clean(space)


def test_a_file_becomes_a_folder_and_back(space: Path) -> None:
    """Both directions in one commit each."""
    (space / "history.txt").unlink()
    (space / "history.txt").mkdir()
    (space / "history.txt" / "inner.txt").write_text("x\n")
    tatami_json(space, "commit", "-m", "folder")
    assert clean(space)
    (space / "history.txt" / "inner.txt").unlink()
    (space / "history.txt").rmdir()
    (space / "history.txt").write_text("file again\n")
    tatami_json(space, "commit", "-m", "file")
    assert (shown(space, "history.txt"), clean(space)) == (b"file again\n", True)


def test_attributes_are_applied_as_git_does(space: Path) -> None:
    """Line endings and filters go through git: what is stored is what `git add` would store."""
    git(space, "config", "filter.upper.clean", "tr a-z A-Z")
    git(space, "config", "filter.upper.smudge", "tr A-Z a-z")
    (space / ".gitattributes").write_text("*.txt text eol=crlf\n*.up filter=upper\n")
    tatami_json(space, "commit", "-m", "attributes", "--paths", ".gitattributes")
    (space / "new.txt").write_bytes(b"one\r\ntwo\r\n")
    (space / "a.up").write_bytes(b"hello\n")
    tatami_json(space, "commit", "-m", "files", "--paths", "new.txt", "a.up")
    assert (shown(space, "new.txt"), shown(space, "a.up")) == (b"one\ntwo\n", b"HELLO\n")
    assert git(space, "status", "--porcelain", "--", "new.txt", "a.up") == ""


def test_a_file_of_100_mib_is_committed(space: Path) -> None:
    """Large files need no other way."""
    chunk = os.urandom(1 << 20)
    with (space / "large.bin").open("wb") as file:
        for _ in range(100):
            file.write(chunk)
    tatami_json(space, "commit", "-m", "large")
    assert git(space, "cat-file", "-s", "HEAD:large.bin") == str(100 << 20)
    assert clean(space)


def test_a_file_over_the_limit_is_refused_by_name(space: Path) -> None:
    """It is named before it is read (this one has no blocks on disk), and nothing is committed."""
    with (space / "huge.bin").open("wb") as file:
        file.truncate((512 << 20) + 1)
    done = tatami(space, "commit", "-m", "huge", "--json")
    assert (done.returncode, '"file_too_large"' in done.stdout, "huge.bin" in done.stdout) == (
        64,
        True,
        True,
    )
    assert git(space, "rev-parse", "HEAD") == git(space, "rev-parse", "main")


def test_a_sweep_of_new_files_is_pointed_out(space: Path) -> None:
    """More than five hundred new files at once are committed, with a warning."""
    (space / "out").mkdir()
    for number in range(501):
        (space / "out" / f"{number}.txt").write_text(f"{number}\n")
    done = tatami_json(space, "commit", "-m", "sweep")
    assert [w.partition(";")[0] for w in done["warnings"]] == [
        "501 new files were swept into this commit"
    ]
    assert clean(space)


def test_a_name_that_is_not_utf8_is_refused(space: Path, refused: Refused) -> None:
    """The refusal names the file; nothing is committed, the file stays."""
    name = os.fsencode(space) + b"/caf\xe9.txt"
    with open(name, "wb") as file:
        file.write(b"x\n")
    assert refused(space, "commit", "-m", "name") == (64, "bad_path")
    assert os.path.exists(name)
    assert git(space, "rev-parse", "HEAD") == git(space, "rev-parse", "main")


@pytest.mark.parametrize("path", ["a\nb", "a\\b", "git~1", "a\u200bb", "e\u0301"])
def test_hostile_names_are_refused(space: Path, refused: Refused, path: str) -> None:
    """What another system would read as another path never gets into a tree."""
    (space / path).write_text("x\n")
    assert refused(space, "commit", "-m", "name") == (64, "bad_path")


def test_a_name_that_differs_only_in_case_is_refused(space: Path, refused: Refused) -> None:
    """Other file systems have room for one of the two; renaming the first one is fine."""
    (space / "HISTORY.txt").write_text("x\n")
    assert refused(space, "commit", "-m", "twins") == (64, "bad_path")
    said = tatami(space, "commit", "-m", "twins").stderr
    assert '"HISTORY.txt", which differs from "history.txt" beside it' in said
    assert "fix: rename the file" in said
    (space / "history.txt").unlink()
    tatami_json(space, "commit", "-m", "renamed")
    assert "HISTORY.txt" in git(space, "ls-files").splitlines()


def test_a_file_that_was_only_announced_and_is_gone_is_forgotten(space: Path) -> None:
    """After `git add -N` and `rm` the index names a file of which there is nothing to commit."""
    (space / "gone.txt").write_text("gone\n")
    git(space, "add", "--intent-to-add", "gone.txt")
    (space / "gone.txt").unlink()
    (space / "new.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", "new")
    assert git(space, "show", "--format=", "--name-only", "HEAD") == "new.txt"
    assert clean(space)


def test_names_with_spaces_quotes_and_other_letters_are_fine(space: Path) -> None:
    """Odd is not hostile."""
    names = ["with space", 'quo"te', "ünï.txt", "-dash", "日本語.md", "$x`y`", "a'b"]
    for name in names:
        (space / name).write_text("x\n")
    tatami_json(space, "commit", "-m", "names")
    listed = git(space, "ls-tree", "-z", "--name-only", "HEAD").split("\0")
    assert set(names) <= set(listed)
    assert clean(space)


def test_paths_restrict_a_commit(space: Path) -> None:
    """Files and folders, relative to where the command runs; the rest stays as it was."""
    (space / "dir0" / "file0.txt").write_text("edited\n")
    (space / "dir0" / "new.txt").write_text("new\n")
    (space / "history.txt").write_text("edited\n")
    tatami_json(space / "dir0", "commit", "-m", "one", "--paths", "file0.txt", "new.txt")
    assert git(space, "status", "--porcelain") == " M history.txt"
    (space / "dir0" / "file1.txt").unlink()
    tatami_json(space, "commit", "-m", "folder", "--paths", "dir0")
    assert git(space, "status", "--porcelain") == " M history.txt"


def test_paths_that_name_nothing_are_refused(space: Path, refused: Refused) -> None:
    """A typing error commits nothing; neither does a path outside the workspace."""
    (space / "new.txt").write_text("new\n")
    assert refused(space, "commit", "-m", "m", "--json", "--paths", "new.txt", "nwe.txt") == (
        64,
        "not_found",
    )
    assert refused(space, "commit", "-m", "m", "--json", "--paths", "../x") == (64, "bad_path")
    assert git(space, "status", "--porcelain") == "?? new.txt"


def test_amend_replaces_the_last_commit(space: Path) -> None:
    """Content and message change, the change id stays, and nothing is left over."""
    (space / "new.txt").write_text("one\n")
    first = tatami_json(space, "commit", "-m", "first")
    (space / "new.txt").write_text("two\n")
    second = tatami_json(space, "commit", "--amend", "-m", "second")
    third = tatami_json(space, "commit", "--amend", "-m", "third")
    assert first["change"] == second["change"] == third["change"]
    assert git(space, "log", "--format=%s", "main..") == "third"
    assert (shown(space, "new.txt"), clean(space)) == (b"two\n", True)


def test_amend_without_a_message_keeps_it(space: Path) -> None:
    """As `git commit --amend --no-edit`."""
    (space / "new.txt").write_text("one\n")
    tatami_json(space, "commit", "-m", "first")
    (space / "other.txt").write_text("two\n")
    tatami_json(space, "commit", "--amend")
    assert git(space, "log", "--format=%s", "main..") == "first"


def test_what_has_landed_is_not_amended(space: Path, refused: Refused) -> None:
    """The trunk is nobody's to rewrite."""
    assert refused(space, "commit", "--amend", "-m", "m") == (2, "landed")


def test_what_is_staged_is_committed_where_it_differs(space: Path) -> None:
    """As `git commit`: the index is meant, the later edit stays in the file, and it is said."""
    (space / "history.txt").write_text("staged\n")
    git(space, "add", "history.txt")
    (space / "history.txt").write_text("edited after\n")
    done = tatami_json(space, "commit", "-m", "staged")
    assert (shown(space, "history.txt"), len(done["warnings"])) == (b"staged\n", 1)
    assert git(space, "status", "--porcelain") == " M history.txt"
    assert (space / "history.txt").read_text() == "edited after\n"


def test_everything_staged_is_an_ordinary_commit(space: Path) -> None:
    """After `git add --all` there is nothing to point out."""
    (space / "history.txt").write_text("edited\n")
    (space / "new.txt").write_text("new\n")
    git(space, "add", "--all")
    done = tatami_json(space, "commit", "-m", "staged")
    assert (done["warnings"], clean(space)) == ([], True)


@pytest.mark.parametrize(
    "message",
    [
        "ünï ☃ 日本",
        "quote ' \" ` $(x) \\ %s",
        "tab\there",
        "line\n\nbody\n",
        "# not a comment",
        "-m",
    ],
)
def test_a_message_is_kept_as_it_is(space: Path, message: str) -> None:
    """Any character, whatever a shell or git would make of it."""
    (space / "new.txt").write_text("new\n")
    tatami_json(space, "commit", "-m", message)
    assert git(space, "log", "-1", "--format=%B").rstrip("\n") == message.rstrip("\n")


def test_a_message_of_a_mebibyte_is_kept(space: Path, swarm: Swarm) -> None:
    """Long messages are legal; one argument of a command line is shorter, so through the SDK."""
    (space / "new.txt").write_text("new\n")
    swarm.agent(space.name).commit("x" * (1 << 20))
    assert len(git(space, "log", "-1", "--format=%B").rstrip("\n")) == 1 << 20


@pytest.mark.parametrize("message", ["", "  ", "\n\n"])
def test_an_empty_message_is_refused(space: Path, refused: Refused, message: str) -> None:
    """A commit says what it is for."""
    (space / "new.txt").write_text("new\n")
    assert refused(space, "commit", "-m", message) == (64, "empty_message")


def test_ack_is_accepted(space: Path, refused: Refused) -> None:
    """In the op-log mode `shared-log` visible and durable are one moment."""
    for number, ack in enumerate(("visible", "journal")):
        (space / "new.txt").write_text(f"{number}\n")
        tatami_json(space, "commit", "-m", "m", "--ack", ack)
    assert refused(space, "commit", "-m", "m", "--ack", "never") == (64, "usage")
