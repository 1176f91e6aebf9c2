"""Paths: what we take git takes (the fuzzer's word); what git takes and we do not is here."""

from pathlib import Path

import pytest

from tatami.values.errors import UsageError
from tatami.values.paths import repo_path
from tests import sandbox
from tests.fuzz.targets import refused_by_git

STRICTER = {
    ".jj/config": "has a component that some system takes for `.jj`",
    "a/.JJ": "has a component that some system takes for `.jj`",
    "jj~1/a": "has a component that some system takes for `.jj`",
    "a\x1b[31mb": "contains a control character",
    "a\tb": "contains a control character",
    "a\x7fb": "contains a control character",
    "a\\b": "contains a backslash",
    "a\u200bb": "contains an invisible or bidirectional formatting character",
    "a\u202eb": "contains an invisible or bidirectional formatting character",
    "cafe\u0301": "is not in Unicode normal form C",
    "a/...": "has a component that means `.` or `..`",
    "a/. .": "has a component that means `.` or `..`",
    "b" * 256: "has a component longer than 255 bytes",
}
"""Names that `git fsck --strict` has nothing against, and why we refuse them all the same."""
REFUSED_BY_BOTH = (".git/config", "a/.GIT", "git~1/a", ".g\u200cit", ".git ", ".git::$DATA")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository to put trees into."""
    root = tmp_path_factory.mktemp("bare")
    sandbox.git(root, "init", "--quiet", "--bare")
    return root


@pytest.mark.parametrize(("path", "why"), STRICTER.items(), ids=map(ascii, STRICTER))
def test_what_git_takes_and_we_refuse(bare: Path, path: str, why: str) -> None:
    """The refusal says what is wrong with the name, and git says nothing."""
    with pytest.raises(UsageError) as refusal:
        repo_path(path)
    assert refusal.value.message.endswith(why)
    assert refused_by_git(bare, [path]) == ""


@pytest.mark.parametrize("path", REFUSED_BY_BOTH, ids=ascii)
def test_what_nobody_takes(tmp_path: Path, path: str) -> None:
    """The comparison can fail: git's check of such a name is heard."""
    with pytest.raises(UsageError):
        repo_path(path)
    sandbox.git(tmp_path, "init", "--quiet", "--bare")
    assert refused_by_git(tmp_path, [path]) != ""
