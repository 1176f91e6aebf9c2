"""Finds work again: everything that agents saved or committed and that no branch reaches."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tatami.client.swarm import Swarm
from tatami.values.errors import UsageError
from tatami.workspaces import git, recovery, worktree
from tatami.workspaces.recovery import contents, reflog

Json = dict[str, Any]
PREFIX_CHARS_MIN = 4
_WHY = {
    "amend": "amended away",
    "reset": "reset away",
    "sync": "rebased away",
    "undo": "undone",
    "retire": "its agent retired",
    "git": "left behind by git",
    "": "left behind",
}
"""What became of a commit, by the verb that moved its line."""

Source = Literal["saved", "operation log", "reflog", "line"]


@dataclass(frozen=True, slots=True)
class Found:
    """Work that can be brought back. id: its commit. time: when it was made, UTC.

    reason: what it was saved before, or what became of it. source: where it was found: a recovery
    ref, a commit the operation log or a reflog still has, or (`line`) an agent's line. base: the
    commit it changes. files: the first of `file_count` paths. lines: the first that it adds.
    staged: the commit of what was staged then. unsaved: ignored files that are not in it. landed:
    the trunk has it already, as it is or as a copy.
    """

    id: str
    agent: str
    source: Source
    reason: str
    time: str = ""
    ref: str = ""
    op: str = ""
    base: str = ""
    staged: str = ""
    message: str = ""
    files: tuple[str, ...] = ()
    file_count: int = 0
    lines: tuple[str, ...] = ()
    unsaved: tuple[str, ...] = ()
    landed: bool = False


def find(
    swarm: Swarm,
    search: str = "",
    agent: str | None = None,
    everything: bool = False,
    limit: int | None = None,
) -> list[Found]:
    """What can be brought back, the newest first; of agents and workspaces that are gone, too.

    search: text in messages, paths or added lines, in any case. everything: also what a branch
    reaches or the trunk has. limit: at most so many are read to the end; others have no files.
    """
    common = swarm.place.common
    rows = [one for one in candidates(swarm, everything) if agent in {None, one.agent}]
    if search:
        return _newest_first(_read(common, rows, search))
    newest = _newest_first(told(common, rows))
    return [*_read(common, newest[:limit], ""), *(newest[limit:] if limit is not None else ())]


def candidates(swarm: Swarm, everything: bool = False) -> list[Found]:
    """As `find`, without what the commits say; in no order."""
    known: dict[str, Found] = {}
    for one in _saved(swarm.place.common):
        known.setdefault(one.id, one)
    for one in _unreached(swarm, hidden(swarm), everything):
        known.setdefault(one.id, one)
    if everything:
        for row in swarm.log(all=True):
            if row["agent"]:
                line = Found(row["commit"], row["agent"], "line", "on a line", landed=row["landed"])
                known.setdefault(line.id, replace(line, op=row["op"]))
    return list(known.values())


def hidden(swarm: Swarm) -> dict[str, Json]:
    """The commits of the operation log that no bookmark reaches, by id, as the hub knows them."""
    rows: dict[str, Json] = {}
    while True:
        page = swarm.ask("hidden", {"skip": len(rows)})
        rows |= {row["commit"]: row for row in page["commits"]}
        if not page["commits"] or not page["more"]:
            return rows


def named(rows: Sequence[Found], text: str, common: str) -> Found:
    """The one whose commit, ref or end of a ref this is; any other commit of git's where none is.

    Raises `UsageError` (`not_found`, `ambiguous`).
    """
    ids = [one for one in rows if len(text) >= PREFIX_CHARS_MIN and one.id.startswith(text)]
    hits = ids or [one for one in rows if one.ref and one.ref.endswith("/" + text.lstrip("/"))]
    hits = hits or [one for one in rows if one.ref and one.ref == text]
    if len({one.id for one in hits}) > 1:
        raise UsageError(
            f"{text} is the beginning of several ids", code="ambiguous", fix="give more of the id"
        )
    if hits:
        return next(_read(common, hits[:1], ""))
    options = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
    id = git.run(common, *options, check=False).stdout.decode().strip()
    if not id:
        raise UsageError(
            f"{text!r} names nothing that was saved or committed",
            code="not_found",
            fix="tatami workspace recover --all",
        )
    return next(_read(common, [Found(id, "", "line", "")], ""))


def gone(swarm: Swarm) -> list[str]:
    """What to do about workspaces whose directories are gone; what was staged there is kept."""
    return [
        f"workspace {space.name} is no longer at {space.path}; tatami workspace remove "
        f"{space.name} saves what was staged there, tatami workspace add {space.name} makes it anew"
        for space in worktree.registered(swarm.place.common)
        if worktree.state(space) == "missing"
    ]


def _saved(common: str) -> Iterator[Found]:
    for one in recovery.saved(common):
        yield Found(
            id=one.commit,
            agent=one.agent,
            source="saved",
            reason=f"saved {one.reason}",
            ref=one.ref,
            staged=one.staged,
            unsaved=one.unsaved,
        )


def _unreached(swarm: Swarm, known: Mapping[str, Json], everything: bool) -> Iterator[Found]:
    """Commits of the operation log and of reflogs; those that a branch holds only on request."""
    common = swarm.place.common
    visited = reflog.visited(worktree.registered(common))
    heads = {row["head"]: row["name"] for row in swarm.status()["agents"]}
    lost = reflog.unreached(common, [*known, *visited, *heads])
    for id, row in known.items():
        if everything or (id in lost and not row["landed"]):
            why = _WHY.get(row["verb"], f"left behind by {row['verb']}")
            one = Found(id, row["agent"], "operation log", why, landed=row["landed"])
            yield replace(one, op=row["op"])
    origins: dict[str, tuple[str, Source, str]] = {
        **{id: (agent, "reflog", "left behind by git") for id, agent in visited.items()},
        **{id: (agent, "line", "its branch was deleted") for id, agent in heads.items()},
    }
    for id, parents in lost.items():
        origin = origins.get(id, ("", "reflog", "left behind by git"))
        for parent in parents:
            origins.setdefault(parent, origin)
        if id not in known:
            yield Found(id, *origin)


def told(common: str, rows: Sequence[Found]) -> list[Found]:
    """Those of these that are there, with times and messages, but not with what they change."""
    said = contents.messages(common, [one.id for one in rows])
    return [
        replace(one, time=_iso(said[one.id].time), message=said[one.id].message)
        for one in rows
        if one.id in said
    ]


def _newest_first(rows: Iterable[Found]) -> list[Found]:
    return sorted(rows, key=lambda one: (one.time, one.ref, one.id), reverse=True)


def _iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _read(common: str, rows: Iterable[Found], search: str) -> Iterator[Found]:
    rows = list(rows)
    # What was staged is searched with the commit that keeps it.
    ids = [id for one in rows for id in (one.id, one.staged) if id]
    read = contents.read(common, ids, search)
    for one in rows:
        content, staged = read.get(one.id), read.get(one.staged)
        if content is None:
            continue
        if search and not (content.matched or (staged and staged.matched)):
            continue
        yield replace(
            one,
            time=_iso(content.time),
            base=content.parents[0] if content.parents else "",
            message=content.message,
            files=content.files,
            file_count=content.file_count,
            lines=content.lines,
        )
