"""Leaves plain git behind: branches and worktrees, and nothing of Tatami's."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tatami.client.connection import Connection
from tatami.client.recovery import finding
from tatami.client.start import wait_until_stopped
from tatami.client.swarm import Swarm
from tatami.store import ejection
from tatami.store.locate import Place, marker
from tatami.store.repository import Repository
from tatami.values.errors import BusyError, ConflictError, TatamiError
from tatami.workspaces import recovery, worktree
from tatami.workspaces.lifetime import making
from tatami.workspaces.recovery import adoption

UNKNOWN = "unknown"
"""Whose branch keeps work that nobody is known to have made."""
ATTEMPTS_MAX = 3
SAVE_REASON = "before Tatami leaves"


@dataclass(frozen=True, slots=True)
class Kept:
    """Work that no branch reached: the branch that keeps it now, and its commits."""

    branch: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ejection:
    """What ejecting does, or did. agents: each keeps its branch `agent/<name>`.

    worktrees: directories that are ordinary git worktrees then. aside: where files of half-made
    workspaces were moved to. notes: what else to know.
    """

    root: str
    agents: tuple[str, ...]
    worktrees: tuple[str, ...]
    kept: tuple[Kept, ...] = ()
    aside: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    done: bool = False


@dataclass(slots=True)
class _Wanted:
    """Commits that somebody could want, by agent, with a line about each."""

    op: str
    heads: dict[str, str]
    words: dict[str, str] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)
    queued: int = 0


def plan(swarm: Swarm) -> Ejection:
    """What `eject` would do; changes nothing. Raises `TatamiError` where it could not."""
    place = swarm.place
    _require_possible(swarm)
    wanted = _wanted(swarm)
    spaces = worktree.registered(place.common)
    tips = ejection.unreached(place.common, wanted.words)
    kept = tuple(
        Kept(f"tatami-kept/{agent}", tuple(commits))
        for agent, commits in _by_agent(wanted, tips).items()
    )
    notes = _notes(wanted, spaces)
    paths = tuple(space.path for space in spaces if worktree.state(space) == "ready")
    return Ejection(place.root, tuple(wanted.heads), paths, kept, notes=notes)


def eject(place: Place) -> Ejection:
    """Ejects; raises `TatamiError`, and then Tatami is still there, and nothing was lost.

    Branches come first, then the proof that they reach everything, then the rest goes.
    """
    for _ in range(ATTEMPTS_MAX):
        with making.one_at_a_time(place.common):
            with Swarm.open(place.root) as swarm:
                _require_possible(swarm)
                notes = _save_workspaces(place)
                swarm.visible()
                wanted = _wanted(swarm)
            _stop(place)
            with ejection.no_hub(place):
                if _op(place) == wanted.op:
                    return _eject(place, wanted, notes)
    raise BusyError("agents keep working", code="busy", fix="stop the agents, then tatami eject")


def _eject(place: Place, wanted: _Wanted, notes: Sequence[str]) -> Ejection:
    kept = []
    tips = ejection.unreached(place.common, wanted.words)
    for agent, commits in _by_agent(wanted, tips).items():
        words = [f"{id[:12]} {wanted.words.get(id, '')}".rstrip() for id in commits]
        kept.append(Kept(ejection.keep(place.common, agent, commits, words), tuple(commits)))
    ejection.require_reached(place.common, [*wanted.words, *wanted.heads.values()])
    spaces = worktree.registered(place.common)
    there = tuple(space.path for space in spaces if worktree.state(space) == "ready")
    aside = []
    for space in spaces:
        if worktree.state(space) == "unfinished":
            moved = making.clear_unfinished(place.common, place.workspaces, space.name)
            aside += [moved] if moved else []
        else:
            adoption.release(space)
    ejection.remove_state(place, marker(place))
    ejection.include_again(place)
    return Ejection(
        root=place.root,
        agents=tuple(wanted.heads),
        worktrees=there,
        kept=tuple(kept),
        aside=tuple(aside),
        notes=(*notes, *_notes(wanted, spaces)),
        done=True,
    )


def _require_possible(swarm: Swarm) -> None:
    status = swarm.status()
    if status["trunk"]["waiting"]:
        raise ConflictError(
            f"git's branch {status['trunk']['name']} waits for what has landed",
            code="trunk_waits",
            fix="tatami status",
        )
    overlays = [s for s in worktree.registered(swarm.place.common) if s.kind == "overlay"]
    if overlays:
        name = overlays[0].name
        raise ConflictError(
            f"workspace {name} is an overlay, whose files lie in Tatami's state",
            code="overlay",
            fix=f"tatami workspace remove {name}, then tatami workspace add {name} --kind checkout",
        )


def _save_workspaces(place: Place) -> list[str]:
    """Keeps what is staged where the directory is gone: git prunes such a worktree."""
    notes = []
    for space in worktree.registered(place.common):
        if worktree.state(space) == "missing":
            ref = recovery.save(space, SAVE_REASON)
            words = f", what was staged is kept as {ref}" if ref else ""
            notes.append(f"workspace {space.name} was no longer at {space.path}{words}")
    return notes


def _wanted(swarm: Swarm) -> _Wanted:
    status = swarm.status()
    op = swarm.operations(limit=1)[0]["op"]
    heads = {row["name"]: row["head"] for row in status["agents"]}
    wanted = _Wanted(op, heads, queued=sum(r["state"] == "queued" for r in status["queue"]))
    # What has landed is in the trunk, as itself or as a copy.
    rows = [one for one in finding.candidates(swarm, everything=True) if not one.landed]
    for one in finding.told(swarm.place.common, rows):
        subject = one.message.partition("\n")[0]
        wanted.words[one.id] = f"{one.time} {one.reason}: {subject}"
        wanted.agents[one.id] = one.agent or UNKNOWN
    wanted.words.setdefault(status["trunk"]["commit"], "the trunk")
    return wanted


def _by_agent(wanted: _Wanted, tips: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id in tips:
        found.setdefault(wanted.agents.get(id, UNKNOWN), []).append(id)
    return found


def _notes(wanted: _Wanted, spaces: Sequence[worktree.Workspace]) -> tuple[str, ...]:
    notes = []
    if wanted.queued:
        notes.append(f"{wanted.queued} queued landings are forgotten; their commits stay")
    if any("/.tatami/workspaces/" in space.path for space in spaces):
        notes.append("worktrees stay in .tatami/workspaces, which .git/info/exclude still names")
    return tuple(notes)


def _stop(place: Place) -> None:
    try:
        stopping, _ = Connection(place, start=False).ask("stop", {})
    except TatamiError as error:
        if error.code != "not_running":
            raise
        return
    wait_until_stopped(place, stopping.get("pid"))


def _op(place: Place) -> str:
    repository = Repository.open(place, writes=False)
    try:
        return repository.core.op()
    finally:
        repository.close()
