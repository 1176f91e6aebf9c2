"""Repairs a repository: what is whole goes on, what is not is set aside, nothing is deleted.

The newest operation that is whole with everything it reaches becomes the head. Where newer ones
have commits that are whole, one operation on top of it brings those back, with the commands that
made them. What can be derived is made anew.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tatami import _core
from tatami.store.fsck import files
from tatami.store.fsck.check import check
from tatami.store.fsck.report import Problem, Report
from tatami.store.locate import Marker, Place
from tatami.store.repair import closure, mend, packs
from tatami.store.repair.closure import Sound
from tatami.store.repair.quarantine import Quarantine
from tatami.store.repository import COMMANDS, LANDED, command_rows, core_errors, landed_rows, who
from tatami.values.errors import BusyError, TatamiError
from tatami.values.specs import OpSpec

CARRIED_VERBS = ("commit", "agent", "reset", "retire")
"""Commands whose answer is in their row alone."""
WORDS = "repair: go on with what is whole"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did (or, dry, would do), and what a check says afterwards.

    quarantine: the folder where things were set aside ("": nothing was). missing: acknowledged
    commits that are gone.
    """

    quarantine: str
    set_aside: tuple[str, ...]
    done: tuple[str, ...]
    missing: tuple[str, ...]
    report: Report

    def as_json(self) -> dict[str, object]:
        """As `tatami fsck --repair --json` prints it: the check's report and the repair."""
        repair = {
            "quarantine": self.quarantine,
            "set_aside": list(self.set_aside),
            "done": list(self.done),
            "missing": list(self.missing),
        }
        return {**self.report.as_json(), "repair": repair}


def repair(place: Place, acks_file: str | None = None, dry: bool = False) -> Repaired:
    """Repairs a repository that no hub serves; raises `TatamiError`.

    dry: says what would be done, as far as that can be told without doing it.
    """
    quarantine = Quarantine(place, dry)
    with _no_hub(place), tempfile.TemporaryDirectory(prefix="tatami-repair-") as scratch:
        noted = mend.noted(place)
        derived = _set_derived_aside(noted.jj_repo, quarantine)
        known = mend.marker(place, noted, quarantine)
        before = [] if dry else list(check(place, known).problems)
        mend.refs(place, known.trunk, quarantine)
        bad = _mend_objects(place, before, quarantine)
        heads = _names(os.path.join(known.jj_repo, "op_heads", "heads"))
        sound = closure.choose(place, known, scratch, heads)
        if sound is None:
            raise TatamiError(
                "no operation is whole; commits are in git and stay there",
                code="corrupt",
                fix=f"mv {os.path.dirname(os.path.dirname(known.jj_repo))} ASIDE; tatami init",
            )
        _choose_head(known.jj_repo, sound, heads, quarantine)
        _set_operations_aside(known.jj_repo, sound, quarantine)
        bookmarks = _publish(place, known, sound, derived, quarantine)
        mend.branches(place.common, bookmarks, bad | sound.bad, quarantine)
        mend.ledger(place, quarantine)
        mend.workspaces(place.common, quarantine)
        if not dry:
            _mend_marks(place, known, quarantine)
        quarantine.tidy()
        report = check(place, known, acks_file=acks_file)
        missing = tuple(p.where for p in report.problems if p.invariant == "I1")
        done = (tuple(quarantine.taken), tuple(quarantine.done), missing, report)
        found = Repaired(quarantine.path, *done)
        quarantine.finish(found.as_json())
        return found


def _mend_objects(
    place: Place, problems: Sequence[Problem], quarantine: Quarantine
) -> frozenset[str]:
    """Saves what is whole of damaged packs; returns the ids of objects that are lost."""
    lost: set[str] = set()
    for pack in packs.listed(place.common):
        if pack.ours:
            lost |= packs.mend(pack, quarantine)
    named = {p.where for p in problems if p.invariant in {"I2", "I3"} and len(p.where) == 40}
    mend.loose_objects(place.common, named, quarantine)
    mend.from_worktrees(place.common, lost | named, quarantine)
    if quarantine.dry:
        return frozenset(lost)
    return frozenset(id for id in lost | named if not mend.is_readable(place.common, id))


def _set_derived_aside(jj_repo: str, quarantine: Quarantine) -> bool:
    """Moves jj's index and tables away where one of their files is damaged; both come again."""
    index, tables = files.damaged_index(jj_repo), files.damaged_tables(jj_repo)
    if not index and not tables:
        return False
    for folder in ("index/segments", "index/op_links", *(["store/extra"] if tables else [])):
        path = os.path.join(jj_repo, folder)
        if os.path.isdir(path):
            quarantine.take(path)
        if not quarantine.dry:
            os.makedirs(os.path.join(path, *(["heads"] if folder == "store/extra" else [])))
    quarantine.did("jj's commit index was made anew" + (", and its tables" if tables else ""))
    return True


def _choose_head(jj_repo: str, sound: Sound, heads: Sequence[str], quarantine: Quarantine) -> None:
    folder = os.path.join(jj_repo, "op_heads", "heads")
    if sound.head not in heads:
        quarantine.did(f"operation {sound.head[:12]} is the head")
        if not quarantine.dry:
            with open(os.path.join(folder, sound.head), "wb"):
                pass
    # Heads side by side that are whole are for the next command to merge.
    for head in sound.broken_heads:
        quarantine.take(os.path.join(folder, head))


def _set_operations_aside(jj_repo: str, sound: Sound, quarantine: Quarantine) -> None:
    """Moves operations and views away that are not what their names say."""
    for place in sorted(sound.bad):
        kind, _, id = place.partition(" ")
        path = os.path.join(jj_repo, "op_store", f"{kind}s", id)
        if id and os.path.exists(path):
            quarantine.take(path)


def _publish(
    place: Place, known: Marker, sound: Sound, derived: bool, quarantine: Quarantine
) -> dict[str, str | None]:
    """Brings back what newer operations had; returns the bookmarks there are then."""
    if quarantine.dry:
        return dict(sound.bookmarks)
    with core_errors():
        core = _core.Repo.open(known.jj_repo, place.common, who(), True)
        try:
            if sound.grafts or derived:
                _graft(place.common, core, sound, quarantine)
            return core.view().bookmarks
        finally:
            core.close()


def _graft(common: str, core: _core.Repo, sound: Sound, quarantine: Quarantine) -> None:
    """One operation with the commits, bookmarks and commands of those that could not be kept."""
    there = mend.reached(common, sound.grafts)
    commands = [row for op in sound.newer for row in command_rows(op.attributes)]
    rows = [row for row in commands if row[2] in CARRIED_VERBS and row[3] in there]
    landed = [r for op in sound.newer for r in landed_rows(op.attributes) if r[2] in there]
    attributes = {COMMANDS: mend.carried(rows)} if rows else {}
    if landed:
        attributes[LANDED] = mend.carried(landed)
    foreign = sorted(id for id in sound.grafts if not core.knows(id))
    bookmarks: dict[str, str | None] = dict(sound.bookmarks)
    core.publish(None, OpSpec(WORDS, attributes, bookmarks, (), foreign))
    if sound.grafts:
        quarantine.did(f"{len(rows)} commands of newer operations were brought back")


def _mend_marks(place: Place, known: Marker, quarantine: Quarantine) -> None:
    """Gives packs of ours their marks back; what has none of its own is kept by the ref."""
    with core_errors():
        core = _core.Repo.open(known.jj_repo, place.common, who(), True)
        try:
            views = [core.view(op.id) for op in core.operations(None)]
            heads = {head for view in views for head in view.heads}
            unkept = [where for where, _ in files.unkept(place.common, heads)]
            marks = {where.removesuffix(".keep") for where in unkept if where.endswith(".keep")}
            held = files.KEEP_REF in unkept
            for pack in packs.listed(place.common):
                if os.path.basename(pack.base) in marks:
                    held |= not packs.mark(pack, quarantine)
            if held or any(len(where) == 40 for where in unkept):
                commits = sorted(heads - {files.ROOT_COMMIT})
                core.publish(None, OpSpec("repair: keep every commit", {}, foreign=commits))
                quarantine.did(f"{files.KEEP_REF} keeps every commit of the operation log")
        finally:
            core.close()


@contextmanager
def _no_hub(place: Place) -> Iterator[None]:
    """Holds the hub's lock while the block runs; raises `BusyError` where a hub has it."""
    os.makedirs(os.path.join(place.state, "hub"), mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(place.state, "hub", "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BusyError(
            "a hub serves this repository", code="hub_running",
            fix="tatami stop; tatami fsck --repair",
        ) from None  # fmt: skip
    finally:
        os.close(lock)


def _names(folder: str) -> list[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
