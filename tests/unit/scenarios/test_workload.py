"""What the agents of a storm commit, and the repository it is about."""

from pathlib import Path

import pytest

from tatami.scenarios.storm import repository
from tatami.scenarios.storm.workload import steps
from tests.sandbox import git

FILES = [(f"dir/file{number}", b"1\n2\n3\n") for number in range(10)]


@pytest.mark.parametrize("workload", ["new", "edit"])
def test_no_two_agents_touch_the_same_file(workload: str) -> None:
    """Three agents, seven commits each: their paths are apart, and messages name one commit."""
    dealt = [steps(agent, 3, 7, workload, FILES) for agent in range(3)]  # type: ignore[arg-type]
    paths = [{step.path for step in own} for own in dealt]
    messages = {step.message for own in dealt for step in own}
    assert [paths[0] & paths[1], paths[0] & paths[2], paths[1] & paths[2]] == [set(), set(), set()]
    assert len(messages) == 21


def test_every_edit_changes_the_file_it_meets() -> None:
    """A file met again is edited again, by a line that names the commit."""
    own = steps(0, 5, 4, "edit", FILES)
    assert [step.path for step in own] == ["dir/file0", "dir/file5", "dir/file0", "dir/file5"]
    assert own[0].content == b"1\n# storm agent 0 commit 0\n3\n"
    assert own[2].content == b"1\n# storm agent 0 commit 2\n3\n"


def test_new_files_go_beside_those_there_are() -> None:
    """A new file's folder exists already; none has the name of an old one."""
    paths = {step.path for step in steps(1, 2, 30, "new", FILES)}
    assert {path.rpartition("/")[0] for path in paths} == {"dir"}
    assert paths & {path for path, _ in FILES} == set()


def test_the_made_up_repository_is_the_same_every_time(tmp_path: Path) -> None:
    """Its one commit has the same id in two places, and files of realistic sizes."""
    ids = [
        git(repository.make_up(str(tmp_path / name), 200), "rev-parse", "HEAD")
        for name in ("one", "two")
    ]
    sizes = [len(content) for _, content in repository.made_up(200)]
    assert ids[0] == ids[1]
    assert min(sizes) >= repository.FILE_BYTES_MIN
    assert max(sizes) < repository.FILE_BYTES_MAX + 200


def test_texts_are_what_can_be_edited(tmp_path: Path) -> None:
    """All files of the made-up repository, with their contents, up to a number."""
    git_dir = repository.make_up(str(tmp_path / "one"), 50)
    assert repository.texts(git_dir, 100) == repository.made_up(50)
    assert repository.texts(git_dir, 7) == repository.made_up(50)[:7]
