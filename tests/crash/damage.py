"""Damage at rest: every kind of file that is ours, broken in every way a disk breaks files."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import tatami
from tatami.store.fsck import Report, check
from tatami.store.locate import find, marker
from tatami.store.repair.repair import repair
from tatami.store.stock import OwnPacks
from tatami.values.errors import TatamiError
from tests import sandbox
from tests.conftest import stop_hubs

PAGE_BYTES = 4096
ROW = b'"kind"'
"""In every row of the ledger's table of events."""
COMMITS = 5
"""Of each agent: few enough that no packs are put together."""
AGENT = "coder-1"
SPACE = "coder-2"


def cut(data: bytes, part: float) -> bytes:
    """The file's beginning."""
    return data[: int(len(data) * part)]


def flipped(data: bytes, part: float) -> bytes:
    """One bit is another one."""
    at = min(int(len(data) * part), len(data) - 1)
    if part == 0.5 and (row := data.find(ROW)) > 0:
        # A page of LMDB's that nobody reads any more would be a poor choice.
        return data.replace(ROW, data[row : row + 1] + bytes([ROW[1] ^ 0x10]) + ROW[2:])
    if not data:
        return data
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def zeroed(data: bytes, part: float) -> bytes:
    """One page (or what there is of it) is zeros."""
    at = int(len(data) * part) // PAGE_BYTES * PAGE_BYTES
    return data[:at] + bytes(len(data[at : at + PAGE_BYTES])) + data[at + PAGE_BYTES :]


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "cut to a quarter": lambda data: cut(data, 0.25),
    "last byte cut off": lambda data: data[:-1],
    "bit flipped at the beginning": lambda data: flipped(data, 0.0),
    "bit flipped in the middle": lambda data: flipped(data, 0.5),
    "bit flipped at the end": lambda data: flipped(data, 1.0),
    "page zeroed": lambda data: zeroed(data, 0.0),
    "last page zeroed": lambda data: zeroed(data, 1.0),
    "emptied": lambda _: b"",
    "deleted": lambda _: None,
}
"""What becomes of a file's content; None: there is no file any more."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A repository whose hub is stopped, with what was acknowledged and what is to be read."""

    root: Path
    acked: tuple[str, ...]

    @property
    def common(self) -> Path:
        """The git directory."""
        return self.root / ".git"

    @property
    def jj_repo(self) -> Path:
        """jj's repository."""
        return self.common / "tatami/jj/.jj/repo"

    def copy(self, root: Path) -> "Victim":
        """The same one in another place; a worktree's links to it are mended by git."""
        shutil.copytree(self.root, root, symlinks=True)
        space = root / ".tatami/workspaces" / SPACE
        sandbox.git(root, "worktree", "repair", str(space))
        return Victim(root, self.acked)

    def check(self) -> Report:
        """What fsck says; of a marker that cannot be read it says so in an error."""
        place = find(str(self.root))
        return check(place, marker(place), acks_file=str(self._acks()))

    def _acks(self) -> Path:
        file = self.root.with_suffix(".acks")
        file.write_text("".join(f"{id}\n" for id in self.acked))
        return file


def make(directory: Path) -> Victim:
    """Two agents, one with a workspace, some commits each in packs of their own, one landing."""
    root = sandbox.make_repository(directory / "victim")
    acked = []
    with tatami.Swarm.open(root, init=True) as swarm:
        bare = swarm.agent(AGENT, workspace=False)
        space = swarm.agent(SPACE, kind="checkout")
        for number in range(COMMITS):
            content = f"{AGENT} wrote {number}\n".encode() * 40
            acked.append(bare.commit(f"{AGENT} {number}", {f"a/{number}.txt": content}).id)
            (Path(space.path) / f"{number}.txt").write_text(f"{SPACE} wrote {number}\n")
            acked.append(space.commit(f"{SPACE} {number}").id)
            if number == 2:
                assert bare.land().result().state == "landed"
        swarm.visible()
        swarm.stop()
    sandbox.tatami(root, "stop")
    return Victim(root, tuple(acked))


def kinds(victim: Victim) -> Iterator[tuple[str, Path]]:
    """One file of each kind, with the kind's name."""
    jj, common = victim.jj_repo, victim.common
    core = tatami.store.repository.Repository.open(find(str(victim.root)), writes=False)
    operations = core.operations(None)
    views = sorted((jj / "op_store/views").iterdir(), key=os.path.getmtime)
    core.close()
    yield "op head", jj / "op_heads/heads" / operations[0].id
    yield "operation, newest", jj / "op_store/operations" / operations[0].id
    yield "operation, older", jj / "op_store/operations" / operations[5].id
    yield "view, newest", views[-1]
    yield "view, older", views[len(views) // 2]
    segments = (jj / "index/segments").iterdir()
    yield "index segment", max(segments, key=os.path.getmtime)
    yield "index link", jj / "index/op_links" / operations[0].id
    yield "table of commits", jj / "store/extra" / next((jj / "store/extra/heads").iterdir()).name
    yield "head of the tables", next((jj / "store/extra/heads").iterdir())
    name = OwnPacks(str(common)).holding(victim.acked[-2])
    older = OwnPacks(str(common)).holding(victim.acked[0])
    yield "pack, newest", common / f"objects/pack/{name}.pack"
    yield "pack, older", common / f"objects/pack/{older}.pack"
    yield "pack index", common / f"objects/pack/{older}.idx"
    yield "keep mark", common / f"objects/pack/{older}.keep"
    yield "ledger", common / "tatami/hub/ledger/data.mdb"
    yield "marker", common / "tatami/tatami.json"
    yield "workspace's record", common / f"worktrees/{SPACE}/tatami-base"
    yield "workspace's index", common / f"worktrees/{SPACE}/index"
    yield "agent's branch", common / f"refs/heads/agent/{AGENT}"
    yield "trunk", common / "refs/heads/main"
    yield "keep ref", common / "refs/tatami/keep"


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one damage. what: what fsck named, or where it went wrong.

    harmless: the file was not changed, or nothing is read differently.
    """

    kind: str
    damage: str
    detected: bool
    named: bool
    recovered: bool
    harmless: bool
    missing: int
    what: str

    @property
    def passed(self) -> bool:
        """Whether it did no harm, or was found, named and repaired."""
        return self.harmless or (self.detected and self.named and self.recovered)

    @property
    def mark(self) -> str:
        """The cell of the table."""
        if self.what == "nothing changed":
            return "-"
        if self.harmless:
            return "harmless"
        words = [("detected", self.detected), ("named", self.named), ("recovered", self.recovered)]
        if not self.passed:
            return "**not** " + ", ".join(word for word, is_so in words if not is_so)
        return f"recovered, {self.missing} lost" if self.missing else "recovered"

    def as_json(self) -> dict[str, object]:
        """Everything there is to know about it."""
        return asdict(self)


INTRODUCTION = """\
# Damage at rest

Made by `python -m bench.torture corruption`: one file of each kind is damaged in a copy of a small
repository (two agents, five acknowledged commits each, one landing), `tatami fsck` is asked, a hub
is started on it as it is, then `tatami fsck --repair --yes` runs, and agents go on and land.

*recovered*: found and named by `fsck`, never served as if it were right, repaired so that nothing
is found afterwards and agents go on; nothing was deleted. *N lost*: of the ten acknowledged commits
N cannot be whole any more, because their content was in what was damaged; they are named.
*harmless*: nobody reads those bytes, or jj makes them anew. *-*: the damage changes nothing (op
heads are empty files; only their names count).

"""


def matrix(cells: list[Cell]) -> str:
    """The table: a row for each kind of file, a column for each damage."""
    columns = list(dict.fromkeys(cell.damage for cell in cells))
    lines = ["| file | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for kind in dict.fromkeys(cell.kind for cell in cells):
        marks = {cell.damage: cell.mark for cell in cells if cell.kind == kind}
        lines.append(f"| {kind} | " + " | ".join(marks.get(c, "") for c in columns) + " |")
    return INTRODUCTION + "\n".join(lines) + "\n"


def suffer(made: Victim, directory: Path, kind: str, damage: str) -> Cell:
    """Damages a copy, asks fsck, repairs, and asks whether all goes on."""
    victim = made.copy(directory / "repo")
    try:
        path = dict(kinds(victim))[kind]
        before = path.read_bytes()
        after = DAMAGES[damage](before)
        path.unlink()
        if after is not None:
            path.write_bytes(after)
        if after == before:
            return Cell(kind, damage, False, False, True, True, 0, "nothing changed")
        found = _said(victim)
        named = any(word in line for line in found for word in _names(path))
        harmless = not found and not _served_wrong(victim)
        wrong = [] if harmless else _repair_problems(victim, path, after)
        gone = [line for line in wrong if line.startswith("I1 ")]
        rest = [line for line in wrong if not line.startswith("I1 ")]
        said = "; ".join(rest or found)[:200]
        return Cell(kind, damage, bool(found), named, not rest, harmless, len(gone), said)
    finally:
        stop_hubs(directory)
        shutil.rmtree(directory, ignore_errors=True)


def _said(victim: Victim) -> list[str]:
    try:
        return [f"{p.invariant} {p.where}: {p.what}" for p in victim.check().problems]
    except TatamiError as error:
        return [f"{error.code}: {error.message}"]


def _names(path: Path) -> set[str]:
    """What a message may call a file: its name (without a suffix), or a folder that is it all."""
    return {path.name, path.stem[:40], f"{path.parent.name}/{path.name}", _folder(path)} | (
        {str(path.parent)} if path.suffix == ".mdb" else set()
    )


def _folder(path: Path) -> str:
    """The folder of what is named after its content: its heads, say, when the last one is gone."""
    return f"{path.parent.name} " if path.exists() else f"{path.parent.name}:"


def _served_wrong(victim: Victim) -> list[str]:
    """Whether a hub on the damaged repository shows other contents than were committed."""
    wrong = []
    try:
        with tatami.Swarm.open(victim.root) as swarm:
            for number in range(COMMITS):
                wanted = f"{AGENT} wrote {number}\n".encode() * 40
                if swarm.read(f"agent/{AGENT}", [f"a/{number}.txt"]) != [wanted]:
                    wrong.append(f"a/{number}.txt is another one")
            swarm.stop()
    except TatamiError:
        pass
    sandbox.tatami(victim.root, "stop")
    return wrong


def _repair_problems(victim: Victim, path: Path, damaged: bytes | None) -> list[str]:
    """What is wrong after a repair: it has to leave a whole repository that goes on."""
    wrong = [f"served: {what}" for what in _served_wrong(victim)]
    # A hub has brought a branch up to its bookmark, as after any crash.
    healed = damaged is not None and (not path.exists() or path.read_bytes() != damaged)
    try:
        done = repair(find(str(victim.root)), str(victim._acks()))
    except TatamiError as error:
        return [*wrong, f"repair: {error.code} {error.message}"]
    wrong += [f"{p.invariant} {p.where}: {p.what}" for p in done.report.problems]
    kept = [file.read_bytes() for file in victim.common.rglob("*") if file.is_file()]
    if damaged and not healed and damaged not in kept and path.suffix != ".mdb":
        wrong.append("the damaged file is nowhere any more")
    try:
        with tatami.Swarm.open(victim.root) as swarm:
            for name in (AGENT, SPACE):
                commit = swarm.known_agent(name).commit("afterwards", {f"{name}.new": b"new\n"})
                commit.visible()
            result = swarm.land([AGENT]).result()
            if result.state != "landed":
                wrong.append(f"landing: {result.state} {result.reason}")
            swarm.stop()
    except TatamiError as error:
        return [*wrong, f"afterwards: {error.code} {error.message}"]
    sandbox.tatami(victim.root, "stop")
    # What is gone is known from the repair; a later check has nothing more to say.
    wrong += [line for line in _said(victim) if not line.startswith("I1 ")]
    return wrong
