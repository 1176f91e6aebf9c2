"""Which steps an undo takes back, decided on histories written down by hand and made up."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tatami.schedule.undoing import History, Step, last, since
from tatami.values.errors import UsageError

OLDEST = Step("op0", 0, "agent", "", "base")


def history(*steps: Step) -> History:
    """Operations of one step each, as read: newest first. The steps are given oldest first."""
    return [(step.op, [step]) for step in (OLDEST, *steps)][::-1]


def commit(op: str, before: str, after: str) -> Step:
    return Step(op, 0, "commit", before, after, stays=True)


def sync(op: str, before: str, after: str) -> Step:
    return Step(op, 0, "sync", before, after)


def land(op: str, asked: str, entry: int = 1) -> Step:
    return Step(op, 0, "land", "", asked, stays=True, entry=entry)


def undo(op: str, taken: Step, before: str, stays: bool = True) -> Step:
    after = before if taken.entry else taken.before
    return Step(op, 0, "undo", before, after, stays, undid=taken.name)


C1, C2 = commit("op1", "base", "c1"), commit("op2", "c1", "c2")


def refusal(code: str, steps: Sequence[Step], to: str | None = None) -> bool:
    """Whether an undo is refused with this code."""
    with pytest.raises(UsageError) as caught:
        since(history(*steps), "a", to) if to else last(history(*steps), "a")
    return caught.value.code == code


def test_the_newest_step_is_the_last() -> None:
    """The line goes to where it was before; a commit's files stay."""
    undone = last(history(C1, C2), "a")
    assert (undone.line, undone.steps, undone.oldest, undone.stays) == ("c1", (C2,), C2.name, True)


def test_files_follow_what_brought_them_elsewhere() -> None:
    """A sync changed the files; they go back with the line."""
    assert not last(history(C1, sync("op2", "c1", "s1")), "a").stays


def test_what_was_undone_is_passed_over() -> None:
    """An undo after an undo takes back the step before."""
    assert last(history(C1, C2, undo("op3", C2, "c2")), "a").steps == (C1,)


def test_undos_of_undos_nest() -> None:
    """A new commit after an undo hides nothing of what is below both."""
    c3 = commit("op4", "c1", "c3")
    steps = (C1, C2, undo("op3", C2, "c2"), c3, undo("op5", c3, "c3"))
    assert last(history(*steps), "a").steps == (C1,)


def test_the_beginning_of_a_line_is_the_end() -> None:
    """Making an agent cannot be undone, nor what an earlier agent of that name did."""
    retired = Step("op2", 0, "retire", "c1", "")
    again = Step("op3", 0, "agent", "", "base")
    assert refusal("nothing_to_undo", ())
    assert refusal("nothing_to_undo", (C1, undo("op2", C1, "c1")))
    assert refusal("nothing_to_undo", (C1, retired, again))


def test_a_step_that_moved_nothing_does_not_count() -> None:
    """A reset to where the line is."""
    assert last(history(C1, Step("op2", 0, "reset", "c1", "c1")), "a").steps == (C1,)


def test_two_steps_of_one_operation_are_two() -> None:
    """Two commits that went out in one batch are undone one by one."""
    both = [Step("op1", 1, "commit", "c1", "c2"), Step("op1", 0, "commit", "base", "c1")]
    past: History = [("op1", both), (OLDEST.op, [OLDEST])]
    assert last(past, "a").line == "c1"
    after: History = [("op2", [Step("op2", 0, "undo", "c2", "c1", undid=("op1", 1))]), *past]
    assert last(after, "a").line == "base"


def test_a_landing_is_undone_where_it_is() -> None:
    """The line stays, and the commit is the step before."""
    landed = land("op2", "c1")
    undone = last(history(C1, landed), "a")
    assert (undone.line, undone.landings) == ("", (landed,))
    assert last(history(C1, landed, undo("op3", landed, "c1")), "a").steps == (C1,)


def test_a_landing_counts_from_when_it_was_asked() -> None:
    """A commit made before the queue got to it is newer, and goes first."""
    landed = land("op3", "c1")
    assert last(history(C1, C2, landed), "a").steps == (C2,)
    assert last(history(C1, C2, landed, undo("op4", C2, "c2")), "a").steps == (landed,)


def test_only_its_entry_counts_of_a_landing() -> None:
    """Line and files stay where they are, whatever else its step says."""
    landed = Step("op2", 0, "land", "elsewhere", "c1", stays=False, entry=1)
    undone = last(history(C1, landed), "a")
    assert (undone.line, undone.stays) == ("", True)


def test_a_landing_hides_nothing_of_its_own_operation() -> None:
    """What the agent did in the same operation is still there to be undone."""
    both = [land("op2", "c1"), Step("op2", 1, "commit", "c1", "c2")]
    past: History = [("op2", both), (C1.op, [C1]), (OLDEST.op, [OLDEST])]
    assert last(past, "a").steps == (both[1],)


def test_a_restore_covers_what_came_after_its_operation() -> None:
    """What it went back over is not undone once more; what was before is."""
    restored = Step("op3", 0, "restore", "c2", "c1", restored="op1")
    assert last(history(C1, C2, restored), "a").steps == (C1,)


def test_restoring_forward_uncovers_it() -> None:
    """After going back to before a restore, the steps count again."""
    back = Step("op3", 0, "restore", "c2", "c1", restored="op1")
    forward = Step("op4", 0, "restore", "c1", "c2", restored="op2")
    assert last(history(C1, C2, back, forward), "a").steps == (C2,)


def test_to_an_operation_takes_all_since() -> None:
    """The line goes to where it was then; the operation itself stays done."""
    c3 = commit("op3", "c2", "c3")
    undone = since(history(C1, C2, c3), "a", "op1")
    assert (undone.line, undone.steps, undone.oldest) == ("c1", (c3, C2), C2.name)


@pytest.mark.parametrize(
    ("step", "stays"),
    [
        (commit("op2", "c1", "c2"), True),
        (sync("op2", "c1", "c2"), False),
        (Step("op2", 0, "land", "", "c1", entry=1), True),
    ],
    ids=lambda value: value.verb if isinstance(value, Step) else "",
)
def test_to_an_operation_files_follow_what_brought_them_elsewhere(step: Step, stays: bool) -> None:
    """They go back if one step since has changed them; a landing has not."""
    c3 = commit("op3", "c2" if step.after == "c2" else "c1", "c3")
    assert since(history(C1, step, c3), "a", "op1").stays == stays


def test_to_the_operation_before_a_landing_takes_back_the_landing_alone() -> None:
    """No step has moved the line since, so it stays; the trunk is what goes back."""
    landed = land("op2", "c1")
    undone = since(history(C1, landed), "a", "op1")
    assert (undone.line, undone.landings, undone.steps) == ("", (landed,), (landed,))


def test_to_the_operation_before_an_undo_brings_it_back() -> None:
    """The undo is what is taken back; its files stayed, so they stay again."""
    undone = since(history(C1, C2, undo("op3", C2, "c2")), "a", "op2")
    assert (undone.line, undone.steps, undone.stays) == ("c2", (), True)


def test_to_the_operation_before_an_undo_moves_the_files_that_it_moved() -> None:
    """The undo of a sync changed the files; taking it back changes them again."""
    synced = sync("op2", "c1", "s1")
    undone = since(history(C1, synced, undo("op3", synced, "s1", stays=False)), "a", "op2")
    assert (undone.line, undone.steps, undone.stays) == ("s1", (), False)


def test_to_an_operation_before_a_restore_passes_over_what_that_covered() -> None:
    """What the restore had taken back already is not taken back again."""
    restored, c3 = Step("op3", 0, "restore", "c2", "c1", restored="op1"), commit("op4", "c1", "c3")
    undone = since(history(C1, C2, restored, c3), "a", "op0")
    assert (undone.line, undone.steps) == ("base", (c3, C1))


def test_to_an_operation_with_others_between() -> None:
    """Any operation of the log will do, also one in which the agent did nothing."""
    past: History = [
        (C2.op, [C2]), ("other", []), (C1.op, [C1]), ("before", []), (OLDEST.op, [OLDEST])
    ]  # fmt: skip
    assert since(past, "a", "other").line == "c1"
    assert since(past, "a", "before").line == "base"


def test_to_an_operation_that_changed_nothing_since() -> None:
    """Where the line is as it was, there is nothing to do."""
    assert refusal("nothing_to_undo", (C1, C2), to="op2")
    assert refusal("nothing_to_undo", (C1, C2, undo("op3", C2, "c2")), to="op1")


def test_to_an_operation_elsewhere() -> None:
    """One before the line began, and one that is not in this log, are refused."""
    past: History = [(C1.op, [C1]), (OLDEST.op, [OLDEST]), ("root", [])]
    with pytest.raises(UsageError) as caught:
        since(past, "a", "root")
    assert caught.value.code == "no_line_then"
    assert refusal("no_line_then", (C1,), to="unknown")


LONG = "0123456789abcdef"


@pytest.mark.parametrize(
    ("steps", "to", "code", "message", "fix"),
    [
        (
            [OLDEST],
            "",
            "nothing_to_undo",
            "a has nothing to undo: this is where its line began",
            "tatami workspace remove a",
        ),
        (
            [C1, OLDEST],
            LONG,
            "no_line_then",
            "a had no line at operation 0123456789ab",
            "tatami op log",
        ),
        (
            [C1],
            LONG,
            "not_found",
            "operation 0123456789ab is not in the past of this log",
            "tatami op log",
        ),
        (
            [Step(LONG, 0, "commit", "base", "c1"), OLDEST],
            LONG,
            "nothing_to_undo",
            "a's line is where it was at operation 0123456789ab",
            "tatami op log",
        ),
    ],
    ids=["at the beginning", "before the beginning", "another log", "where it is"],
)
def test_a_refusal_says_why_and_what_to_do(
    steps: list[Step], to: str, code: str, message: str, fix: str
) -> None:
    """It names the agent and the operation, as much of it as people read."""
    past: History = [(step.op, [step]) for step in steps]
    with pytest.raises(UsageError) as refused:
        since(past, "a", to) if to else last(past, "a")
    assert (refused.value.code, refused.value.message, refused.value.fix) == (code, message, fix)


@given(st.lists(st.sampled_from(["do", "undo"]), max_size=40))
def test_undos_are_a_stack(commands: list[str]) -> None:
    """Any series of steps and undos leaves the line where a stack of heads says."""
    heads, steps = ["base"], list[Step]()
    for number, command in enumerate(commands, start=1):
        op, head = f"op{number}", steps[-1].after if steps else "base"
        assert head == heads[-1]
        if command == "do":
            heads.append(f"c{number}")
            steps.append(commit(op, head, heads[-1]))
        elif len(heads) == 1:
            assert refusal("nothing_to_undo", steps)
        else:
            undone = last(history(*steps), "a")
            heads.pop()
            assert undone.line == heads[-1]
            steps.append(Step(op, 0, "undo", head, undone.line, undid=undone.oldest))


@given(st.lists(st.sampled_from(["do", "undo", "back"]), max_size=25), st.data())
def test_going_back_to_an_operation_restores_the_stack(
    commands: list[str], data: st.DataObject
) -> None:
    """After `--to OP` not only the line but what undo does next is as it was at OP."""
    steps, stacks = list[Step](), {"op0": ["base"]}
    stack = ["base"]
    for number, command in enumerate(commands, start=1):
        op, head = f"op{number}", stack[-1]
        if command == "do":
            stack = [*stack, f"c{number}"]
            steps.append(commit(op, head, stack[-1]))
        elif command == "undo" and len(stack) > 1:
            undone = last(history(*steps), "a")
            stack = stack[:-1]
            steps.append(Step(op, 0, "undo", head, undone.line, undid=undone.oldest))
        elif command == "back":
            to = data.draw(st.sampled_from(sorted(stacks)))
            if stacks[to][-1] == head:
                continue
            undone = since(history(*steps), "a", to)
            stack = stacks[to]
            steps.append(Step(op, 0, "undo", head, undone.line, undid=undone.oldest))
        else:
            continue
        stacks[op] = stack
        assert steps[-1].after == stack[-1]
    if len(stack) > 1:
        assert last(history(*steps), "a").line == stack[-2]
