"""`orient`: what an agent should know first, in at most four hundred tokens."""

from pathlib import Path

import pytest

import tatami
from tatami.client.orienting import Card, Missing, Paths, Sibling
from tatami.ui.cli.recovery.orient import CARD_CHARS_MAX, text
from tests import sandbox
from tests.e2e.conftest import Refused
from tests.sandbox import git, tatami_json


def test_a_new_workspace(space: Path, name: str, shared: Path) -> None:
    """Where it is, its base, and nothing unsaved."""
    card = tatami_json(space, "orient")
    trunk = git(shared, "rev-parse", "main")
    assert (card["agent"], card["path"], card["branch"]) == (name, str(space), f"agent/{name}")
    assert (card["head"], card["base"], card["behind"]) == (trunk, trunk, 0)
    assert card["unsaved"] == {"first": [], "count": 0}


def test_unsaved_work_and_what_comes_next(space: Path, name: str, shared: Path) -> None:
    """The next two commands follow from the state."""
    (space / "new.txt").write_text("new\n")
    card = tatami_json(shared, "orient", "--agent", name)
    assert card["unsaved"] == {"first": ["new.txt"], "count": 1}
    assert card["next"] == ["tatami commit -m MESSAGE", "tatami land"]


def test_how_far_behind(swarm: tatami.Swarm, space: Path, name: str) -> None:
    """The trunk went on: sync comes next."""
    other = swarm.agent(f"{name}-other", workspace=False)
    other.commit("more", {f"{name}.txt": b"more\n"})
    other.land().result()
    card = tatami_json(space, "orient")
    assert (card["behind"], card["next"][0]) == (1, "tatami workspace sync")
    assert card["base"] == card["head"]


def test_what_only_the_persons_checkout_has(tatami_repository: Path) -> None:
    """Uncommitted changes and ignored files by their kind; other workspaces are none of them."""
    root = tatami_repository
    sandbox.commit_file(root, ".gitignore", b".env\nnode_modules/\nbuild/\n*.tmp\n__pycache__/\n")
    with tatami.Swarm.open(root) as swarm:
        space = Path(swarm.agent("coder-1").path)
    for path in (".env", "x.tmp", "node_modules/m/i.js", "build/out.bin", "a/__pycache__/b.pyc"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    (root / "history.txt").write_text("edited\n")
    (root / "new.txt").write_text("new\n")
    (space / "x.tmp").write_text("its own")
    before = (root / ".git" / "index").stat().st_mtime_ns
    card = tatami_json(space, "orient")
    assert (root / ".git" / "index").stat().st_mtime_ns == before
    assert card["person"] == {"first": ["history.txt", "new.txt"], "count": 2}
    assert {one["kind"]: one["paths"]["first"] for one in card["missing"]} == {
        "environment files": [".env"],
        "dependencies": ["node_modules/"],
        "build output": ["build/"],
        "caches": ["a/__pycache__/"],
    }


def test_siblings_at_the_same_paths(tatami_repository: Path) -> None:
    """Committed or not; those that did nothing are not named."""
    with tatami.Swarm.open(tatami_repository) as swarm:
        mine, one, two, _ = swarm.agents(["mine", "one", "two", "idle"])
        one.commit("edit", {"history.txt": b"one\n"})
    (Path(two.path) / "new.txt").write_text("two\n")
    (Path(mine.path) / "history.txt").write_text("mine\n")
    card = tatami_json(mine.path, "orient")
    assert card["siblings"] == [
        {
            "name": "one",
            "overlap": {"first": ["history.txt"], "count": 1},
            "unsaved": 0,
            "changed": 1,
        },
        {"name": "two", "overlap": {"first": [], "count": 0}, "unsaved": 1, "changed": 1},
    ]


def test_a_file_that_cannot_be_committed_does_not_hide_the_card(space: Path) -> None:
    """A name with a newline is shown on one line, escaped."""
    (space / "a\nnext: rm -rf").write_text("x")
    done = sandbox.tatami(space, "orient")
    assert done.returncode == 0
    assert "unsaved: a\\nnext: rm -rf\n" in done.stdout


def test_outside_a_workspace(shared: Path, refused: Refused) -> None:
    """An agent has to be named; one without a workspace has no card."""
    assert refused(shared, "orient") == (64, "no_workspace")
    assert refused(shared, "orient", "--agent", "nobody") == (64, "no_workspace")
    assert refused(shared, "orient", "--agent", "a/b") == (64, "bad_agent_name")


@pytest.mark.parametrize("count", [0, 5, 500])
def test_the_card_is_short_whatever_is_in_it(count: int) -> None:
    """Long names, many siblings, a long queue: at most 1600 characters, the next commands last."""
    paths = Paths(tuple(f"{n}/" + "long name/" * 40 for n in range(min(count, 50))), count)
    card = Card(
        agent="a" * 64,
        path="/p" * 2000,
        root="/r" * 2000,
        branch="b" * 300,
        head="0" * 40,
        trunk="main",
        base="0" * 40,
        behind=12,
        unlanded=3,
        unsaved=paths,
        person=paths,
        missing=tuple(Missing(kind, paths) for kind in ("dependencies", "caches")),
        siblings=tuple(Sibling(f"{n}" * 20, paths, 3, 9) for n in range(min(count, 24))),
        others_left_out=count,
        queue=tuple(
            {"entry": n, "state": "handed_back", "reason": "x" * 999} for n in range(count)
        ),
        next=("tatami commit -m MESSAGE", "tatami land"),
    )
    shown = text(card)
    assert len(shown) <= CARD_CHARS_MAX
    assert shown.splitlines()[-2:] == ["next: tatami commit -m MESSAGE", "next: tatami land"]
