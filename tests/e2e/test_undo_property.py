"""Five agents commit, amend, land, sync, use git, and undo, in any order: undo is each one's own.

What an undo takes back comes back byte for byte, and nothing of any other agent changes: neither
its bookmark, nor its branches, its HEAD, its index, or a file.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

import tatami
from tests.e2e.conftest import NUMBERS
from tests.sandbox import git

AGENTS = 5
ACTIONS = (
    "commit",
    "amend",
    "git",
    "git amend",
    "git reset",
    "land",
    "land",
    "sync",
    "sync",
    "undo",
    "undo",
    "to",
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, AGENTS - 1),
        st.lists(st.sampled_from(ACTIONS), min_size=2, max_size=8),
        st.integers(0, 3),
    ),
    min_size=4,
    max_size=9,
).map(lambda turns: [(who, act) for who, acts, undos in turns for act in acts + ["undo"] * undos])
"""Agents take turns; undos often come together."""


class Was(NamedTuple):
    """An agent's world: where its line is, and every byte of its workspace."""

    bookmark: str
    heads: str
    index_file: bytes
    files: dict[str, bytes]


class Before(NamedTuple):
    """How it was before a step: what an undo of it has to bring back."""

    verb: str
    head: str
    status: str
    files: dict[str, bytes]


@dataclass(slots=True)
class Model:
    """An agent and the steps it took, as a stack."""

    agent: tatami.Agent
    stack: list[Before] = field(default_factory=list)
    points: list[tuple[str, list[Before], str]] = field(default_factory=list)
    """Operations, the stack then, and the line then."""

    @property
    def space(self) -> Path:
        return Path(self.agent.path)

    def head(self) -> str:
        return git(self.space, "rev-parse", "HEAD")

    def status(self) -> str:
        return git(self.space, "status", "--porcelain")


def world(swarm: tatami.Swarm, model: Model) -> Was:
    """All that belongs to an agent."""
    rows = {row["name"]: row["head"] for row in swarm.status()["agents"]}
    space = model.space
    git_dir = Path(git(space, "rev-parse", "--git-dir"))
    branch = git(space, "rev-parse", "HEAD", f"agent/{model.agent.name}")
    files = {
        str(path.relative_to(space)): path.read_bytes()
        for path in sorted(space.rglob("*"))
        if path.is_file() and path.name != ".git"
    }
    return Was(rows[model.agent.name], branch, (git_dir / "index").read_bytes(), files)


def edit(model: Model) -> None:
    """Writes a file that nobody else has."""
    number = next(NUMBERS)
    (model.space / f"{model.agent.name}-{number % 3}.txt").write_text(f"{number}\n")


def act(swarm: tatami.Swarm, model: Model, action: str) -> None:
    """Carries out one action and notes the step it is."""
    before = Before(action, model.head(), model.status(), world(swarm, model).files)
    own = git(model.space, "rev-list", "--count", "main..HEAD") != "0"
    amends, name = action.endswith("amend"), model.agent.name
    if action in ("commit", "git") or (amends and own):
        edit(model)
        if action.startswith("git"):
            git(model.space, "add", "--all")
            git(model.space, "commit", "--quiet", "-m", "git", *(["--amend"] * amends))
        else:
            try:
                model.agent.commit("ours", amend=amends)
            except tatami.ConflictError as error:
                # It has landed as a copy.
                if error.code != "landed":
                    raise
                return
    elif action == "git reset" and own and not before.status:
        git(model.space, "reset", "--quiet", "--hard", "HEAD~1")
    elif action == "land" and own:
        land(swarm, name, model)
        return
    elif action == "sync":
        if before.status:
            act(swarm, model, "commit")
            before = Before(action, model.head(), "", world(swarm, model).files)
        sync(model)
    noticed(swarm, model)
    if model.head() != before.head:
        model.stack.append(before)


def noticed(swarm: tatami.Swarm, model: Model) -> None:
    """Has the hub import what git did; a dry run changes nothing else."""
    with contextlib.suppress(tatami.TatamiError):
        model.agent.undo(dry_run=True)
    assert world(swarm, model).bookmark == model.head()


def land(swarm: tatami.Swarm, name: str, model: Model) -> None:
    """Lands the line; handed back where an undone landing below it left nothing to build on."""
    try:
        result = swarm.land([name]).result()
    except tatami.UsageError as error:
        if error.code != "nothing_to_land":
            raise
        return
    if result.state == "landed":
        model.stack.append(Before("land", model.head(), "", {}))


def sync(model: Model) -> None:
    """Syncs; a conflict is called off, as an agent may."""
    if model.agent.sync().conflicts:
        git(model.space, "rebase", "--abort")


def take_back(swarm: tatami.Swarm, model: Model) -> None:
    """Undoes, and checks what came back."""
    files, status = world(swarm, model).files, model.status()
    trunk = git(swarm.place.root, "rev-parse", "main")
    try:
        done = model.agent.undo()
    except tatami.UsageError as error:
        if (error.code, model.stack) != ("nothing_to_undo", []):
            raise
        return
    except tatami.ConflictError as error:
        # This agent, earlier, took from the trunk what the landing built on; or a file of an undone
        # commit, which is untracked now, is in the way.
        follows = model.stack[-1].verb in ("sync", "git reset")
        in_the_way = (error.code, follows) == ("would_overwrite", True)
        if not in_the_way and (error.code, model.stack[-1].verb) != ("conflict", "land"):
            raise
        assert (world(swarm, model).files, model.status()) == (files, status)
        assert git(swarm.place.root, "rev-parse", "main") == trunk
        return
    before = model.stack.pop()
    event(f"undid {before.verb}")
    if done.entry:
        assert swarm.finished([done.entry])[0]["state"] == "landed"
    assert (done.head, model.head()) == (before.head, before.head)
    after = world(swarm, model)
    assert after.bookmark == before.head
    assert set(after.heads.split()) == {before.head}
    if before.verb in ("sync", "git reset"):
        assert done.files == "follow"
        assert status or after.files == before.files
    else:
        assert after.files == files


def go_back(swarm: tatami.Swarm, model: Model) -> None:
    """Undoes to an operation noted before; landings since then make it another matter."""
    op, stack, head = model.points[len(model.points) // 2]
    landings = [step for step in model.stack if step.verb == "land"]
    if landings != [step for step in stack if step.verb == "land"] or head == model.head():
        return
    try:
        done = model.agent.undo(op)
    except tatami.ConflictError as error:
        if error.code != "would_overwrite":
            raise
        return
    assert (done.head, model.head(), world(swarm, model).bookmark) == (head,) * 3
    model.stack = list(stack)


@settings(
    max_examples=5, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(steps=STEPS)
def test_undo_is_each_ones_own(swarm: tatami.Swarm, steps: list[tuple[int, str]]) -> None:
    """Against a stack for each agent; the others' worlds are compared around every undo."""
    names = [f"five-{next(NUMBERS)}" for _ in range(AGENTS)]
    models = [Model(agent) for agent in swarm.agents(names)]
    for model in models:
        model.points.append((swarm.operations(1)[0]["op"], [], model.head()))
    for which, action in steps:
        note(f"{names[which]} {action}")
        model = models[which]
        if action not in ("undo", "to"):
            act(swarm, model, action)
            op = swarm.operations(1)[0]["op"]
            model.points.append((op, list(model.stack), model.head()))
            continue
        others = [other for other in models if other is not model]
        before = [world(swarm, other) for other in others]
        (take_back if action == "undo" else go_back)(swarm, model)
        assert [world(swarm, other) for other in others] == before
