"""Puts an agent's changes into its workspace, as an editor and `git` would."""

import os
from collections.abc import Callable, Mapping

from tatami.client.swarm import FileContent
from tatami.scenarios.history.deal import SUBMODULE, SYMLINK, Content
from tatami.store import git

Read = Callable[[str], bytes]
Changes = Mapping[str, Content | None]


def as_bytes(changes: Changes, read: Read) -> dict[str, FileContent]:
    """The changes as `Agent.commit` takes them; a submodule's commit is named, not sent."""
    found: dict[str, FileContent] = {}
    for path, content in changes.items():
        if content is None or content.mode == SUBMODULE:
            found[path] = None if content is None else (content.mode, content.data)
        else:
            found[path] = (content.mode, _data(content, read))
    return found


def write(root: str, changes: Changes, read: Read) -> None:
    """Writes the changes below `root`, a git worktree.

    Its index is used only where git has no other way: for submodules and for ignored files.
    """
    gone = [path for path, content in changes.items() if content is None]
    for path in sorted(gone, reverse=True):
        _remove(os.path.join(root, path))
    _prune(root, gone)
    submodules = []
    for path, content in sorted(changes.items()):
        if content is None:
            continue
        place = os.path.join(root, path)
        if content.mode == SUBMODULE:
            os.makedirs(place, exist_ok=True)
            submodules.append(f"{content.mode:o} {content.data!s}\t{path}\0".encode())
            continue
        _remove(place)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        _create(place, content.mode, _data(content, read))
    if submodules:
        git.run(root, "update-index", "-z", "--index-info", stdin=b"".join(submodules))
    files = [path for path, content in changes.items() if not _is_submodule(content)]
    # Once something is staged a commit takes what is staged: then everything has to be.
    _add(root, files if submodules else _ignored(root, files))


def _is_submodule(content: Content | None) -> bool:
    return content is not None and content.mode == SUBMODULE


def _data(content: Content, read: Read) -> bytes:
    return read(content.data) if isinstance(content.data, str) else content.data


def _create(place: str, mode: int, data: bytes) -> None:
    if mode == SYMLINK:
        os.symlink(data, os.fsencode(place))
        return
    permissions = 0o777 if mode & 0o100 else 0o666
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, permissions)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _remove(place: str) -> None:
    try:
        if os.path.isdir(place) and not os.path.islink(place):
            os.rmdir(place)
        else:
            os.unlink(place)
    except FileNotFoundError:
        pass


def _prune(root: str, gone: list[str]) -> None:
    """Removes folders that deletions left empty, as git does."""
    for path in gone:
        folder = os.path.dirname(path)
        while folder:
            try:
                os.rmdir(os.path.join(root, folder))
            except OSError:
                break
            folder = os.path.dirname(folder)


def _ignored(root: str, paths: list[str]) -> list[str]:
    """What the repository ignores though history has it."""
    names = b"".join(path.encode() + b"\0" for path in paths)
    asked = git.run(root, "check-ignore", "-z", "--stdin", stdin=names, check=False)
    return asked.stdout.decode().split("\0")[:-1]


def _add(root: str, paths: list[str]) -> None:
    """Stages files and deletions, ignored ones too, as `git add --force` once did."""
    if paths:
        names = b"".join(path.encode() + b"\0" for path in paths)
        command = ("add", "--all", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
        git.run(root, "--literal-pathspecs", *command, stdin=names)
