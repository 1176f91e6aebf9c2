"""Reads the recovery commits that there are."""

from typing import NamedTuple

from tatami.workspaces import git
from tatami.workspaces.recovery.saving import PREFIX, parts

_FORMAT = "%(refname)%00%(objectname)%00%(committerdate:unix)%00%(contents)%00"


class Saved(NamedTuple):
    """A recovery commit. time: seconds. reason: what was about to happen. path: its workspace's.

    head: the branch that was checked out, or a commit. staged: the commit of what was staged, ""
    where the files said it all. unsaved: ignored files that are not in it.
    """

    ref: str
    commit: str
    agent: str
    time: int
    reason: str
    path: str
    head: str
    staged: str
    unsaved: tuple[str, ...]


def saved(common: str) -> list[Saved]:
    """Every recovery commit, the newest first; also of workspaces and agents that are gone."""
    output = git.run(common, "for-each-ref", f"--format={_FORMAT}", PREFIX).stdout
    fields = output.decode("utf-8", "replace").split("\0")[:-1]
    rows = [fields[at : at + 4] for at in range(0, len(fields), 4)]
    found = [_saved(ref.lstrip("\n"), id, int(at or 0), text) for ref, id, at, text in rows]
    return sorted(found, key=lambda one: (one.time, one.ref), reverse=True)


def _saved(ref: str, commit: str, seconds: int, message: str) -> Saved:
    said = dict(parts(message))
    unsaved = tuple(value for name, value in parts(message) if name == "Not-Saved")
    subject = message.partition("\n")[0]
    return Saved(
        ref=ref,
        commit=commit,
        agent=ref.removeprefix(PREFIX).partition("/")[0],
        time=seconds,
        reason=said.get("Reason", subject),
        path=said.get("Workspace", ""),
        head=said.get("Head", ""),
        staged=said.get("Staged", ""),
        unsaved=unsaved,
    )
