"""Everything that parses bytes: each target takes any bytes, and may raise only what it says.

A target is a context, in which a scratch folder lives, that yields a function of bytes. What the
function lets through (an exception nobody announced, an assertion) is a finding.
"""

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import lmdb
import msgspec

from tatami.hub.__main__ import batching
from tatami.hub.record import answers_of, facts, undoing_entry
from tatami.protocol import admission, frames, messages
from tatami.store.ledger import Ledger, count_rows
from tatami.store.locate import Place, recorded
from tatami.store.repository import (
    COMMANDS,
    IMPORTED,
    LANDED,
    RELANDED,
    RESTORED,
    UNDID,
    imported_rows,
    landed_rows,
    relanded_ids,
)
from tatami.ui.hooks import proc_receive
from tatami.values.errors import TatamiError, UsageError
from tatami.values.ids import CommandId
from tatami.values.paths import repo_path
from tatami.workspaces import line
from tatami.workspaces.kinds import choosing
from tatami.workspaces.worktree import Workspace
from tests import sandbox

Target = Callable[[bytes], None]
PATHS_AT_ONCE = 400
"""git looks at so many names in one go."""
SPLITS = 7


@contextmanager
def frames_whole_or_in_parts() -> Iterator[Target]:
    """A stream is cut into the same frames however its bytes arrive."""

    def target(data: bytes) -> None:
        whole = _fed([data])
        step = max(1, len(data) // SPLITS)
        assert _fed([data[at : at + step] for at in range(0, len(data), step)]) == whole

    yield target


@contextmanager
def requests() -> Iterator[Target]:
    """A header is a request or is refused; what is admitted has checked names and paths."""

    def target(data: bytes) -> None:
        try:
            request = messages.REQUEST.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if not isinstance(request, messages.Mutation):
            return
        try:
            CommandId.parse(request.id)
            admission.admit(request)
        except UsageError:
            return
        if isinstance(request, messages.Commit):
            assert all(repo_path(path) == path for path, _, _ in request.changes)

    yield target


@contextmanager
def paths() -> Iterator[Target]:
    """Every path that is taken is one that `git fsck --strict` takes, at the end of the run too."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sandbox.git(root, "init", "--quiet", "--bare")
        waiting: list[str] = []

        def target(data: bytes) -> None:
            text = data.decode("utf-8", "surrogatepass") if _is_text(data) else ""
            with contextlib.suppress(UsageError):
                waiting.append(repo_path(text))
            if len(waiting) >= PATHS_AT_ONCE:
                refused = refused_by_git(root, waiting)
                waiting.clear()
                assert refused == "", refused

        yield target
        refused = refused_by_git(root, waiting)
        assert refused == "", refused


@contextmanager
def settings() -> Iterator[Target]:
    """`.tatami/local.toml` is read, or refused with its path."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder, folder, folder, folder, folder)
        file = Path(folder) / ".tatami" / "local.toml"
        file.parent.mkdir()

        def target(data: bytes) -> None:
            file.write_bytes(data)
            with contextlib.suppress(UsageError):
                found = batching(place)
                assert found.size >= 1
                assert found.timeout_s >= 0
            with contextlib.suppress(UsageError):
                choosing.wanted(folder, None, ())

        yield target


@contextmanager
def marker() -> Iterator[Target]:
    """`tatami.json` is read, or refused with its path."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder, folder, folder, folder, folder)

        def target(data: bytes) -> None:
            (Path(folder) / "tatami.json").write_bytes(data)
            with contextlib.suppress(TatamiError):
                known = recorded(place)
                assert known.trunk
                os.path.isdir(known.jj_repo)

        yield target


@contextmanager
def attributes() -> Iterator[Target]:
    """Attributes of operations are rows of ours, or `corrupt`; nothing else comes of them."""

    def target(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        name, _, rest = text.partition(":")
        known = {"c": COMMANDS, "l": LANDED, "r": RELANDED, "i": IMPORTED, "u": UNDID}
        found = {known.get(name, RESTORED): rest}
        if name in "ux":
            found[COMMANDS] = _UNDONE if name == "u" else _RESTORED
        for read in (landed_rows, relanded_ids, imported_rows, undoing_entry):
            with contextlib.suppress(TatamiError):
                cast("Callable[[dict[str, str]], object]", read)(found)
        for use in (answers_of, facts):
            with contextlib.suppress(TatamiError):
                cast("Callable[[str, dict[str, str]], object]", use)("op", found)

    yield target


_UNDONE = json.dumps([["6565a0cc00112233445566ff:1", "a", "undo", "c" * 40, ""]])
_RESTORED = json.dumps([["6565a0cc00112233445566ff:1", "", "restore", "", ""]])


@contextmanager
def packets() -> Iterator[Target]:
    """git's lines to the hook are read up to their end, or refused."""

    def target(data: bytes) -> None:
        stream = io.BytesIO(data)
        with contextlib.suppress(TatamiError):
            while stream.tell() < len(data):
                found = list(proc_receive.packets(stream))
                assert sum(map(len, found)) <= len(data)
        with contextlib.suppress(TatamiError):
            proc_receive.run(io.BytesIO(data), io.BytesIO())

    # Where it looks for a repository there is none: nothing can land.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield target


@contextmanager
def ledger() -> Iterator[Target]:
    """A row of the hub's table is what was written, or `corrupt`."""
    tables = (b"meta", b"answers", b"queue", b"events", b"landed")
    keys = {b"meta": (b"checkpoint", b"paused", b"trunk_ref", b"horizon")}
    with tempfile.TemporaryDirectory() as folder:
        Ledger(folder, map_bytes=1 << 20).close()
        with lmdb.open(folder, max_dbs=8, map_size=1 << 20, sync=False) as env:
            handles = [(name, env.open_db(name)) for name in tables]

            def target(data: bytes) -> None:
                name, table = handles[data[0] % len(handles)] if data else handles[0]
                names = keys.get(name, (bytes(8), b"6565a0cc00112233445566ff" + bytes(8)))
                with env.begin(write=True, db=table) as write:
                    for key in names:
                        write.put(key, data[1:])
                try:
                    with contextlib.suppress(TatamiError):
                        count_rows(folder)
                finally:
                    with env.begin(write=True) as write:
                        write.drop(table, delete=False)

            yield target


@contextmanager
def record() -> Iterator[Target]:
    """A workspace's record is read, or taken as none."""
    with tempfile.TemporaryDirectory() as folder:
        space = Workspace("a", folder, folder)

        def target(data: bytes) -> None:
            (Path(folder) / "tatami-base").write_bytes(data)
            known = line.base(space)
            assert known is None or isinstance(known.reflog, int)
            line.behind(space, "c" * 40)

        yield target


TARGETS = {
    "frames": frames_whole_or_in_parts,
    "requests": requests,
    "paths": paths,
    "settings": settings,
    "marker": marker,
    "attributes": attributes,
    "packets": packets,
    "ledger": ledger,
    "record": record,
}


def refused_by_git(root: Path, names: list[str]) -> str:
    """What `git fsck --strict` says of one tree for each of these paths; "" for nothing."""
    if not names:
        return ""
    stream = [b"blob\nmark :1\ndata 0\n"]
    for number, name in enumerate(names):
        stream.append(b"commit refs/heads/%d\ncommitter a <a@b> 1 +0000\ndata 0\n" % number)
        quoted = b"".join(b"\\%03o" % byte for byte in name.encode())
        stream.append(b'M 100644 :1 "%b"\n' % quoted)
    sandbox.run(
        root, "git", "fast-import", "--quiet", "--force", "--done",
        stdin=b"".join([*stream, b"done\n"]),
    )  # fmt: skip
    listed = sandbox.run(root, "git", "ls-tree", "-r", "-z", "--name-only", "0").stdout
    assert listed.split(b"\0")[0] == names[0].encode()
    done = sandbox.run(root, "git", "fsck", "--strict", "--no-dangling", check=False)
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in said if not line.startswith("notice: "))


def _fed(parts: list[bytes]) -> tuple[list[frames.Frame], str]:
    reader = frames.Reader()
    found: list[frames.Frame] = []
    try:
        for part in parts:
            found += reader.feed(part)
    except frames.FrameError as error:
        return found, str(error)
    return found, ""


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
