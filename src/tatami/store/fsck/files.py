"""Files that tell whether they are whole: named by their content, refs, packs' marks, the ledger.

jj never compares its index segments and tables with their names; a flipped bit in one would be
served. Reads only.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tatami.store import git, stock
from tatami.store.fsck.report import Look

LINK = b"\x0a\x40"
"""How the record in an operation's index link begins: field 1, 64 bytes (a segment's name)."""
LINK_BYTES = 64
COUNT_ROWS = "import sys, tatami.store.ledger as l; print(l.count_rows(sys.argv[1]))"
KEEP_REF = "refs/tatami/keep"
ROOT_COMMIT = "0" * 40
"""jj's root commit, which git does not have."""
REFS = ("refs/heads/agent", "refs/tatami", "refs/jj/keep")
"""Folders of refs that are ours, or jj's for us."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not what it should be. path: relative to the folder that was looked at."""

    path: str
    what: str


def check_files(look: Look) -> None:
    """Index, tables and refs, before jj mends its index while it opens the repository."""
    jj_repo = look.marker.jj_repo
    for damage in damaged_index(jj_repo):
        look.found("index", os.path.join(jj_repo, damage.path), damage.what)
    for damage in damaged_tables(jj_repo):
        look.found("tables", os.path.join(jj_repo, damage.path), damage.what)
    for damage in lonely_packs(look.place.common):
        look.found("packs", damage.path, damage.what)
    for damage in damaged_refs(look.place.common, look.marker.trunk):
        look.found("refs", damage.path, damage.what)


def check_kept(look: Look, heads: Callable[[], Iterable[str]]) -> None:
    """What git has to be told to keep; heads: the commits that views name."""
    if not look.quick and not look.has("I2", "refs", "tables"):
        for where, what in unkept(look.place.common, heads()):
            look.found("keep", where, what)


def damaged_index(jj_repo: str) -> list[Damage]:
    """Segments of jj's commit index that do not hash to their names or are missing; bad links.

    Only what jj starts from has to be whole: an older operation's index it makes anew when asked,
    and `jj debug reindex` beside other programs leaves links of such to nothing.
    """
    folder = os.path.join(jj_repo, "index")
    # In this order: a hub writes a segment before its link, and a link before its op head.
    heads = _names(os.path.join(jj_repo, "op_heads", "heads"))
    names = sorted(_names(os.path.join(folder, "op_links")))
    links = {name: _read(os.path.join(folder, "op_links", name)) for name in names}
    found = [
        Damage(f"index/op_links/{name}", "is no link to a segment of the index")
        for name, link in links.items()
        if not link.startswith(LINK) or len(link) < len(LINK) + LINK_BYTES
    ]
    starts = heads if links.keys() >= set(heads) else list(links)
    named = {links[name][len(LINK) : len(LINK) + LINK_BYTES].hex(): name for name in starts}
    parents: dict[str, str] = {}
    for name in sorted(_names(os.path.join(folder, "segments"))):
        content = _read(os.path.join(folder, "segments", name))
        parents[name] = _parent_segment(content)
        if hashlib.blake2b(content).hexdigest() != name:
            found.append(Damage(f"index/segments/{name}", "does not hash to its name"))
    following, reached = list(named), set[str]()
    while following:
        name = following.pop()
        if len(name) == LINK_BYTES * 2 and name not in reached:
            reached.add(name)
            following.append(parents.get(name, ""))
    for name in sorted(reached - parents.keys()):
        by = f", and index/op_links/{named[name]} names it" if name in named else ""
        found.append(Damage(f"index/segments/{name}", f"is missing{by}"))
    return found


def _parent_segment(segment: bytes) -> str:
    """The segment that a segment goes on from: after its version, a length and a name; or ""."""
    size = int.from_bytes(segment[4:8], "little")
    return segment[8 : 8 + min(size, LINK_BYTES * 2)].decode("latin-1")


def damaged_tables(jj_repo: str) -> list[Damage]:
    """Tables of jj's commit data, from the newest down, that do not hash to their names."""
    folder = os.path.join("store", "extra")
    heads = _names(os.path.join(jj_repo, folder, "heads"))
    if not heads:
        return [Damage(f"{folder}/heads", "names no table of jj's commit data")]
    found = []
    following, seen = list(heads), set()
    while following:
        name = following.pop()
        if name in seen:
            continue
        seen.add(name)
        content = _read(os.path.join(jj_repo, folder, name))
        if not content:
            found.append(Damage(f"{folder}/{name}", "is missing or empty"))
        elif hashlib.blake2b(content).hexdigest() != name:
            found.append(Damage(f"{folder}/{name}", "does not hash to its name"))
        else:
            size = int.from_bytes(content[:4], "little")
            following += [content[4 : 4 + size].decode("ascii")] if size else []
    return found


def lonely_packs(common: str) -> list[Damage]:
    """Packs and their indexes of which the other one is gone."""
    folder = os.path.join(common, "objects", "pack")
    # A pack gets its index last, and loses it first.
    indexes = {name[:-4] for name in _names(folder) if name.endswith(".idx")}
    packs = {name[:-5] for name in _names(folder) if name.endswith(".pack")}
    found = [Damage(f"{name}.pack", "is missing") for name in sorted(indexes - packs)]
    return found + [Damage(f"{name}.idx", "is missing") for name in sorted(packs - indexes)]


def damaged_refs(common: str, trunk: str) -> list[Damage]:
    """Loose refs of ours that name no commit; a power cut empties what was just made."""
    paths = [f"refs/heads/{trunk}"]
    for folder in REFS:
        for place, _, names in sorted(os.walk(os.path.join(common, folder))):
            inside = os.path.relpath(place, common)
            paths += [f"{inside}/{name}" for name in sorted(names) if not name.endswith(".lock")]
    found = []
    for path in paths:
        text = _read(os.path.join(common, path)).decode("latin-1")
        named = text.removesuffix("\n")
        if text.startswith("ref: ") or not os.path.exists(os.path.join(common, path)):
            continue
        if len(named) != 40 or named.strip("0123456789abcdef"):
            found.append(Damage(path, f"{named[:60]!r} is no commit id"))
    return found


def unkept(common: str, heads: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Packs with commits that only our mark would keep from `git gc`, and that lack it.

    heads: commits that views name. Yields where, and what is wrong.
    """
    held = git.text(common, "for-each-ref", "--format=^%(objectname)", KEEP_REF, "refs/jj/keep")
    if not git.text(common, "for-each-ref", KEEP_REF):
        yield KEEP_REF, "the ref that keeps what git does not know it has to keep is gone"
        return
    stdin = "\n".join([*(id for id in heads if id != ROOT_COMMIT), held, ""]).encode()
    done = git.run(common, "rev-list", "--stdin", stdin=stdin, check=False)
    own = stock.OwnPacks(common)
    ids = done.stdout.decode("ascii").split() if done.returncode == 0 else []
    homeless = [id for id in ids if not own.holding(id)]
    if not homeless:
        return
    others = stock.OwnPacks(common, ours=False)
    told: set[str] = set()
    for id in homeless:
        name = others.holding(id)
        if name and name not in told:
            told.add(name)
            yield f"{name}.keep", f"is no mark of ours, and git gc may take commit {id[:12]}"
        elif not name:
            yield id, "lies in no pack that git is told to leave alone"


def ledger_damage(directory: str) -> tuple[int, str]:
    """How many rows a ledger has, and what is wrong with it ("" for nothing)."""
    # In a process of its own: LMDB maps its file, and reading past the end of a cut one is fatal.
    done = subprocess.run(
        [sys.executable, "-P", "-c", COUNT_ROWS, directory],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode == 0:
        return int(done.stdout), ""
    said = done.stderr.strip().splitlines()
    cut = "its file is shorter than it says"
    return 0, cut if done.returncode < 0 or not said else said[-1]


def sha1(content: bytes) -> str:
    """git's name for a content that begins with its header."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _names(folder: str) -> list[str]:
    try:
        files = [entry.name for entry in os.scandir(folder) if entry.is_file()]
        # A process that was killed leaves files it had not named yet.
        return [name for name in files if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
