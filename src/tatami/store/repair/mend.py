"""What lies around the operation log and can be made anew: marker, refs, workspaces, ledger."""

import json
import os
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from tatami import _core
from tatami.store import git, locate
from tatami.store.fsck import copies, files
from tatami.store.locate import (
    JJ_REPO,
    MARKER,
    STATE_FORMAT,
    Marker,
    Place,
    recorded,
    write_marker,
)
from tatami.store.repair import torn
from tatami.store.repair.closure import is_whole
from tatami.store.repair.quarantine import Quarantine
from tatami.store.repository import who
from tatami.values.errors import TatamiError
from tatami.values.ids import AGENT_BOOKMARK_PREFIX

KEPT_MESSAGE = b"Kept for the operation log."
OLD_REFS = "refs.txt"
"""In the quarantine: what refs were, one a line."""
RECORDS_BACK_MAX = 200
"""Commits of a line that a workspace's index is compared with."""


def noted(place: Place) -> Marker:
    """What is recorded; of a marker that cannot be read, only where jj's repository is.

    Raises `UsageError` where a newer release has written it, or nothing is there.
    """
    try:
        known = recorded(place)
    except TatamiError as error:
        own = os.path.isdir(os.path.join(place.state, JJ_REPO))
        if error.code == "newer_format" or (error.code == "not_initialised" and not own):
            raise
        jj_repo = os.path.join(place.state, JJ_REPO)
        if not own:
            jj_repo = os.path.join(place.root, ".jj", "repo")
        known = Marker("", jj_repo)
    if not os.path.isdir(known.jj_repo):
        known = Marker(known.trunk, os.path.join(place.state, JJ_REPO))
    return known


def marker(place: Place, known: Marker, quarantine: Quarantine) -> Marker:
    """Writes a marker anew that cannot be read, or names no trunk; returns what it says."""
    path = os.path.join(place.state, MARKER)
    names = _bookmarks(place, known)
    if known.trunk and (known.trunk in names or not names):
        return known
    if len(names) != 1:
        raise TatamiError(
            f"{path} does not say which branch is the trunk, and nothing else does",
            code="corrupt",
            fix="tatami init --trunk BRANCH",
        )
    if os.path.exists(path):
        quarantine.take(path)
    quarantine.did(f"{MARKER} was written anew: the trunk is {names[0]!r}")
    record: dict[str, object] = {"format": STATE_FORMAT, "trunk": names[0]}
    if os.path.realpath(known.jj_repo) != os.path.realpath(os.path.join(place.state, JJ_REPO)):
        record["jj"] = os.path.relpath(known.jj_repo, place.state)
    if not quarantine.dry:
        write_marker(place, record)
    return Marker(names[0], known.jj_repo)


def _bookmarks(place: Place, known: Marker) -> list[str]:
    """The bookmarks that are no agent's; none where the operation log cannot be read."""
    try:
        core = _core.Repo.open(known.jj_repo, place.common, who(), False)
    except _core.CoreError:
        return []
    try:
        return [
            name for name in core.view().bookmarks if not name.startswith(AGENT_BOOKMARK_PREFIX)
        ]
    finally:
        core.close()


def refs(place: Place, trunk: str, quarantine: Quarantine) -> None:
    """Sets refs aside that name no commit, and finds the one again that keeps our history."""
    if not quarantine.dry:
        for words in torn.mend_refs(place.common):
            quarantine.did(words)
    for damage in files.damaged_refs(place.common, trunk):
        quarantine.take(os.path.join(place.common, damage.path))
    at = git.text(place.common, "for-each-ref", "--format=%(objectname)", files.KEEP_REF)
    there = at and git.run(place.common, "cat-file", "-e", at, check=False).returncode == 0
    found = "" if there else _lost_keep(place.common)
    if found:
        quarantine.did(f"{files.KEEP_REF} was found again at {found[:12]}")
        set_refs(place.common, {files.KEEP_REF: found}, quarantine)


def _lost_keep(common: str) -> str:
    """The newest of the commits that the lost ref kept, which nothing else reaches."""
    words = ("fsck", "--no-reflogs", "--no-progress", "--connectivity-only", "--dangling")
    said = git.run(common, *words, check=False).stdout.decode("ascii", "replace")
    best, longest = "", 0
    for line in said.splitlines():
        if not line.startswith("dangling commit "):
            continue
        id = line.split(" ")[2]
        text = git.run(common, "cat-file", "commit", id, check=False).stdout
        if text.rstrip(b"\n").endswith(KEPT_MESSAGE):
            length = len(git.run(common, "rev-list", id, check=False).stdout)
            best, longest = max((best, longest), (id, length), key=lambda one: one[1])
    return best


def set_refs(common: str, wanted: Mapping[str, str], quarantine: Quarantine) -> None:
    """Puts refs where they belong, and writes down where they were."""
    for ref, id in wanted.items():
        path = os.path.join(common, ref)
        before = git.run(common, "rev-parse", "--verify", "--quiet", ref, check=False)
        quarantine.keep_text(OLD_REFS, f"{before.stdout.decode().strip() or '-'} {ref}\n")
        if quarantine.dry:
            continue
        if os.path.exists(path) and not before.stdout:
            quarantine.take(path)
        git.run(common, "-c", "core.fsync=reference", "update-ref", ref, id)


def branches(
    common: str,
    bookmarks: Mapping[str, str | None],
    bad: Collection[str],
    quarantine: Quarantine,
) -> None:
    """Brings branches of agents, and the trunk, back whose commit is lost or not whole."""
    for name, target in sorted(bookmarks.items()):
        ref = f"refs/heads/{name}"
        at = git.run(common, "rev-parse", "--verify", "--quiet", ref, check=False).stdout.decode()
        if target is None or (at.strip() and is_whole(common, at.strip(), bad)):
            continue
        quarantine.did(f"branch {name} is at {target[:12]} again")
        set_refs(common, {ref: target}, quarantine)
        _set_logs_aside(common, name, quarantine)


def _set_logs_aside(common: str, name: str, quarantine: Quarantine) -> None:
    """git takes what reflogs name for reachable, and would go on missing it."""
    logs = [os.path.join(common, "logs", "refs", "heads", name)]
    for git_dir in (common, *(copy.git_dir for copy in copies.registered(common))):
        with open(os.path.join(git_dir, "HEAD"), encoding="utf-8", errors="replace") as file:
            if file.read().strip() == f"ref: refs/heads/{name}":
                logs.append(os.path.join(git_dir, "logs", "HEAD"))
    for log in logs:
        if os.path.exists(log):
            quarantine.take(log)


def loose_objects(common: str, ids: Iterable[str], quarantine: Quarantine) -> None:
    """Sets loose objects aside that are not what their names say."""
    for id in sorted(set(ids)):
        path = os.path.join(common, "objects", id[:2], id[2:])
        try:
            with open(path, "rb") as file:
                content = zlib.decompress(file.read())
        except FileNotFoundError:
            continue
        except zlib.error:
            content = b""
        if files.sha1(content) != id:
            quarantine.take(path)


def from_worktrees(common: str, ids: Collection[str], quarantine: Quarantine) -> None:
    """Finds lost files again that some checkout still has, unchanged."""
    for root in _worktrees(common):
        listed = git.run(root, "ls-files", "--stage", "-z", check=False).stdout
        for row in listed.split(b"\0"):
            head, _, path = row.partition(b"\t")
            id = head.decode("ascii", "replace").split(" ")[1:2]
            if not id or id[0] not in ids:
                continue
            words = ("hash-object", "-w", "--no-filters", "--", os.fsdecode(path))
            same = git.run(root, *[w for w in words if w != "-w"], check=False).stdout
            if same.decode().strip() == id[0]:
                quarantine.did(f"object {id[0][:12]} was taken from {os.fsdecode(path)!r} again")
                if not quarantine.dry:
                    git.run(root, *words)


def workspaces(common: str, quarantine: Quarantine) -> None:
    """Makes indexes of workspaces anew, and their records; files are not touched."""
    for copy in copies.registered(common):
        worktree = _worktree(copy.git_dir)
        if copies.damaged_index(copy) and worktree:
            quarantine.did(f"the index of workspace {copy.name} was made anew; what was staged "
                           "and not committed is an edit again")  # fmt: skip
            base = _recorded_commit(common, copy) or "HEAD"
            if os.path.exists(copy.index_file):
                quarantine.take(copy.index_file)
            if not quarantine.dry:
                git.run(worktree, "read-tree", base)
                git.run(worktree, "update-index", "-q", "--refresh", check=False)
        if copies.damaged_record(common, copy) and worktree:
            _record_anew(copy, worktree, quarantine)


def _record_anew(copy: copies.Copy, worktree: str, quarantine: Quarantine) -> None:
    """Files are based on the newest commit of the line that the index agrees with."""
    head = git.text(worktree, "rev-parse", "HEAD")
    tree = git.run(worktree, "write-tree", check=False).stdout.decode().strip()
    listed = git.text(
        worktree, "log", f"--max-count={RECORDS_BACK_MAX}", "--first-parent", "--format=%H %T", head
    )
    rows = [line.split(" ") for line in listed.splitlines()]
    base = next((commit for commit, its in rows if its == tree), head)
    quarantine.did(f"workspace {copy.name} is taken to be based on {base[:12]}")
    if os.path.exists(copy.record):
        quarantine.take(copy.record)
    if quarantine.dry:
        return
    log = os.path.join(copy.git_dir, "logs", "HEAD")
    size = os.path.getsize(log) if os.path.exists(log) else 0
    with open(copy.record + ".new", "w", encoding="ascii") as file:
        file.write(f"{base} - {size}\n")
    os.rename(copy.record + ".new", copy.record)


def ledger(place: Place, quarantine: Quarantine) -> None:
    """Sets the hub's table aside where it cannot be read; the next hub makes it from the log."""
    directory = os.path.join(place.state, "hub", "ledger")
    if os.path.isdir(directory) and files.ledger_damage(directory)[1]:
        quarantine.take(directory)
        quarantine.did(
            "the hub's table was set aside: the next hub makes it anew from the operation log, "
            "without the landing queue and old refusals"
        )


def _recorded_commit(common: str, copy: copies.Copy) -> str:
    return "" if copies.damaged_record(common, copy) else copies.recorded_commit(copy)


def _worktrees(common: str) -> list[str]:
    linked = [_worktree(copy.git_dir) for copy in copies.registered(common)]
    return [path for path in (locate.main_worktree(common), *linked) if path]


def _worktree(git_dir: str) -> str:
    """The directory of a linked worktree, "" where it is not there (or not mounted)."""
    try:
        with open(os.path.join(git_dir, "gitdir"), encoding="utf-8") as file:
            path = os.path.dirname(file.readline().rstrip("\n"))
    except (OSError, UnicodeDecodeError):
        return ""
    return path if os.path.exists(os.path.join(path, ".git")) else ""


def is_readable(common: str, id: str) -> bool:
    """Whether git has this object and its content is what its name says."""
    kind = git.run(common, "cat-file", "-t", id, check=False).stdout.decode().strip()
    content = git.run(common, "cat-file", kind or "blob", id, check=False)
    if not kind or content.returncode:
        return False
    return files.sha1(b"%s %d\0" % (kind.encode(), len(content.stdout)) + content.stdout) == id


def reached(common: str, commits: Sequence[str]) -> set[str]:
    """These commits and all that they are made on."""
    stdin = "\n".join(commits).encode()
    return set(git.run(common, "rev-list", "--stdin", stdin=stdin).stdout.decode().split())


def carried(rows: Iterable[Sequence[object]]) -> str:
    """Rows as an operation's attribute."""
    return json.dumps([list(row) for row in rows], separators=(",", ":"))
