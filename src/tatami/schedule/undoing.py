"""Decides what an undo takes back: which steps of an agent still count, and where its line goes.

An undo is a step of its own that names the oldest step it took back, so that the next one goes
further; a restore names the operation it went back to. Neither is ever taken back by going forward
over it: the walk from the newest step to older ones leaves out what they cover.

A landing happens when the queue gets to it, but was asked when the line ended with what it lands.
That is its place among the agent's steps: a commit made meanwhile is newer, and undone first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tatami.values.errors import UsageError

Name = tuple[str, int]
"""Names a step for ever: its operation, and which of the agent's steps there it is."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an agent did, or that a restore did to its line.

    before, after: the line's head, "" where there was no line. stays: the workspace's files stay
    when this is undone. undid: the oldest step that an undo took back. restored: the operation that
    a restore went to. entry: of a landing, its queue entry; `after` is then the last commit asked
    to land, and `before` of no meaning.
    """

    op: str
    nth: int
    verb: str
    before: str
    after: str
    stays: bool = False
    undid: Name | None = None
    restored: str = ""
    entry: int = 0

    @property
    def name(self) -> Name:
        """The step's name."""
        return self.op, self.nth


History = Iterable[tuple[str, Sequence[Step]]]
"""Operations, newest first, each with the agent's steps in it, newest first. Read lazily."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo takes back.

    line: where the line goes ("": it stays). oldest: the step from which on everything is taken
    back. steps: the ones that counted, newest first. stays: the workspace's files stay as they are.
    """

    line: str
    oldest: Name
    steps: tuple[Step, ...]
    stays: bool

    @property
    def landings(self) -> tuple[Step, ...]:
        """The landings to take back, newest first."""
        return tuple(step for step in self.steps if step.entry)


@dataclass(slots=True)
class _Walk:
    """The walk back: the undo or restore whose cover it is in, and what it has come by."""

    ages: dict[str, int] = field(default_factory=dict)
    """How far back an operation is; only those that the walk has reached."""
    cover: Step | None = None
    met: list[Step] = field(default_factory=list)
    counted: list[Step] = field(default_factory=list)

    def reached(self, op: str, age: int) -> bool:
        """Whether a step of this age was there when `op` had happened."""
        return op in self.ages and age >= self.ages[op]

    def take(self, step: Step, age: int) -> None:
        """Goes over one more step, and notes whether it counts."""
        self.met.append(step)
        if self.cover and self.cover.restored and self.reached(self.cover.restored, age):
            self.cover = None
        if self.cover:
            if self.cover.undid == step.name:
                self.cover = None
        elif step.undid or step.restored:
            self.cover = step
        elif step.entry or step.before != step.after:
            self.counted.append(step)


def last(history: History, agent: str) -> Undone:
    """The agent's last step that counts; raises `UsageError` (`nothing_to_undo`) for none."""
    walk = _Walk()
    for age, step in _in_order(history, walk.ages):
        if not step.entry and not step.before:
            break
        walk.take(step, age)
        if walk.counted:
            stays = bool(step.entry) or step.stays
            return Undone("" if step.entry else step.before, step.name, (step,), stays)
    raise UsageError(
        f"{agent} has nothing to undo: this is where its line began",
        code="nothing_to_undo",
        fix=f"tatami workspace remove {agent}",
    )


def since(history: History, agent: str, op: str) -> Undone:
    """Everything the agent did after an operation; raises `UsageError` where that is nothing."""
    walk = _Walk()
    for age, step in _in_order(history, walk.ages):
        if walk.reached(op, age):
            break
        if not step.entry and not step.before:
            raise UsageError(
                f"{agent} had no line at operation {op[:12]}",
                code="no_line_then",
                fix="tatami op log",
            )
        walk.take(step, age)
    else:
        raise UsageError(
            f"operation {op[:12]} is not in the past of this log",
            code="not_found",
            fix="tatami op log",
        )
    moves = [step for step in walk.met if not step.entry]
    if not walk.counted and (not moves or moves[0].after == moves[-1].before):
        raise UsageError(
            f"{agent}'s line is where it was at operation {op[:12]}",
            code="nothing_to_undo",
            fix="tatami op log",
        )
    # An undo whose cover reaches beyond `op` is itself what is taken back.
    relevant = [*walk.counted, *([walk.cover] if walk.cover else [])]
    stays = all(step.entry or step.stays for step in relevant)
    return Undone(_line(walk.met), walk.met[-1].name, tuple(walk.counted), stays)


def _line(met: Sequence[Step]) -> str:
    """Where the line was before the oldest of these; "" where none of them moved it."""
    return next((step.before for step in reversed(met) if not step.entry), "")


def _in_order(history: History, ages: dict[str, int]) -> Iterator[tuple[int, Step]]:
    """Yields steps with their ages, newest first, landings where they were asked."""
    waiting: list[tuple[int, Step]] = []
    for age, (op, steps) in enumerate(history):
        ages[op] = age
        for step in steps:
            if step.entry:
                waiting.append((age, step))
                continue
            yield from (one for one in waiting if one[1].after == step.after)
            waiting = [one for one in waiting if one[1].after != step.after]
            yield age, step
