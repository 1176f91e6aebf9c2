"""What stock git and stock jj say about the repository (invariants I3 and I4). Reads only."""

import os
import re
import shutil
import subprocess
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tatami.store import git

JJ_TESTED = "jj 0.45."
"""The stock jj that is asked; what another one cannot read says nothing about the repository."""
COMMANDS_OF_JJ = (
    ("op", "log", "--no-graph", "-T", "id"),
    ("log", "-r", "all()", "--no-graph", "-T", "commit_id"),
    ("workspace", "list"),
)
ID = re.compile(r"\b[0-9a-f]{40}\b")
PACK = re.compile(r"pack-[0-9a-f]{40}")
STYLE = re.compile(r"error in \w+ ([0-9a-f]{40}): (.*)")
"""A well-stored object whose content git dislikes; damage is told in other words."""
SILENT = ("dangling ", "notice: ", "warning in ", "hint: ")
OUR_KEEP = b"tatami "
INDEX_IDS_AT = 8 + 256 * 4

Finding = tuple[str, str]
"""Where, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class GitVerdict:
    """What is wrong, and how many imported objects git would not have written itself."""

    findings: tuple[Finding, ...]
    imported: int


class OwnPacks:
    """The object ids in packs that the hub wrote, which their `.keep` files tell.

    ours: False for the packs of all others.
    """

    def __init__(self, common: str, ours: bool = True) -> None:
        self._indexes: dict[str, bytes] = {}
        directory = os.path.join(common, "objects", "pack")
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            base, suffix = os.path.splitext(name)
            if suffix != ".idx":
                continue
            # A pack that is consolidated meanwhile is found under its new name, or not needed.
            try:
                if _is_ours(os.path.join(directory, base + ".keep")) == ours:
                    self._indexes[base] = _read(os.path.join(directory, name))
            except FileNotFoundError:
                continue

    def holding(self, id: str) -> str | None:
        """The name of a pack with this object, or None."""
        wanted = bytes.fromhex(id)
        for name, index in self._indexes.items():
            ids = _Ids(index)
            at = bisect_left(ids, wanted)
            if at < len(ids) and ids[at] == wanted:
                return name
        return None


class _Ids(Sequence[bytes]):
    """The sorted object ids in a pack index (version 2)."""

    def __init__(self, index: bytes) -> None:
        self._index = index

    def __len__(self) -> int:
        return int.from_bytes(self._index[INDEX_IDS_AT - 4 : INDEX_IDS_AT], "big")

    def __getitem__(self, number: int) -> bytes:  # type: ignore[override]
        at = INDEX_IDS_AT + 20 * number
        return self._index[at : at + 20]


def ask_git(common: str, known: Collection[str]) -> GitVerdict:
    """Runs `git fsck --full --strict`.

    Content that git dislikes counts only in objects of ours: imported history is judged by what it
    was before us. known: objects reported already, whose damage is not told again.
    """
    done = git.run(
        common, "fsck", "--full", "--strict", "--no-dangling", "--no-progress", check=False
    )
    if done.returncode == 0:
        return GitVerdict((), 0)
    own = OwnPacks(common)
    told = {*known, *filter(None, map(own.holding, known))}
    found: list[Finding] = []
    vague: list[Finding] = []
    imported = 0
    for line in _lines(done.stderr + done.stdout):
        style = STYLE.match(line)
        names = {*ID.findall(line), *PACK.findall(line)}
        if style and not own.holding(style[1]):
            imported += 1
        elif told & names:
            continue
        elif names:
            found.append((_place(line), line))
        else:
            vague.append(("git fsck", line))
    # "inflate: data stream error" belongs to a line that names the object.
    return GitVerdict(tuple(found if found or known else vague), imported)


def find_jj() -> str | None:
    """The stock jj on the PATH, where it is one that was tested."""
    jj = shutil.which("jj")
    if jj is None:
        return None
    said = subprocess.run([jj, "--version"], capture_output=True, check=False, text=True)
    return jj if said.stdout.startswith(JJ_TESTED) else None


def ask_jj(
    jj: str, jj_repo: str, operations: Sequence[str]
) -> Iterator[tuple[str, Finding | None]]:
    """Runs jj's reading commands as of each operation; yields every command with its failure."""
    root = os.path.dirname(os.path.dirname(jj_repo))
    environment = git.clean_environment() | {"JJ_CONFIG": os.devnull}
    for op in operations:
        for command in COMMANDS_OF_JJ:
            # A named operation keeps jj from snapshotting files and from merging op heads.
            done = subprocess.run(
                [jj, "-R", root, "--at-op", op, "--no-pager", "--color=never", *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=environment,
                check=False,
            )
            words = " ".join(command[:2])
            if done.returncode == 0:
                yield words, None
                continue
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            yield words, (f"jj {words} --at-op {op[:12]}", said[0] if said else "failed")


def _lines(output: bytes) -> Iterator[str]:
    """The lines that tell of something wrong; a broken link takes two."""
    lines = iter(output.decode("utf-8", "replace").splitlines())
    for line in lines:
        if line.startswith("broken link"):
            yield " ".join(f"{line} {next(lines, '')}".split())
        elif line and not line.startswith(SILENT):
            yield line


def _place(line: str) -> str:
    found = ID.search(line) or PACK.search(line)
    return found[0] if found else "git fsck"


def _is_ours(keep: str) -> bool:
    try:
        return _read(keep).startswith(OUR_KEEP)
    except FileNotFoundError:
        return False


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
