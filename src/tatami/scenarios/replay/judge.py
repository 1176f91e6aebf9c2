"""What is to be told of a landing when it is compared with history. Pure."""

from tatami.scenarios.history.deal import HistoryCommit
from tatami.scenarios.replay.values import Judged


def judge(
    commit: HistoryCommit, has_landed: bool, wrong: set[str], conflicted: set[str]
) -> list[Judged]:
    """What is to be told of a landing: every conflicted file, every clean one that is wrong.

    wrong: paths where the landed tree is not history's; all of the commit's when handed back.
    A landing that was handed back without naming a conflict leaves all of its files.
    """
    told = []
    told_paths = conflicted | wrong if has_landed else conflicted or wrong
    for path in sorted(told_paths):
        if not has_landed:
            told.append(Judged(commit.id, path, "left"))
        elif path not in conflicted:
            told.append(Judged(commit.id, path, "clean_wrong"))
        else:
            told.append(Judged(commit.id, path, "auto_wrong" if path in wrong else "auto_correct"))
    return told
