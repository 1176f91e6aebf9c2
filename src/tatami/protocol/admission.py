"""Checks a request before anything is done with it: names, paths, modes, sizes."""

from collections.abc import Sequence

from tatami.protocol import messages
from tatami.values.errors import UsageError
from tatami.values.ids import agent_name
from tatami.values.limits import (
    COMMIT_PATHS_MAX,
    FILE_BYTES_MAX,
    LINK_BYTES_MAX,
    MESSAGE_BYTES_MAX,
)
from tatami.values.paths import SUBMODULE, SYMLINK, file_mode, known_path

HEX = frozenset("0123456789abcdef")


def admit(request: messages.Mutation) -> None:
    """Raises `UsageError` naming what is wrong; returns when the request may be carried out."""
    match request:
        case messages.Commit():
            _commit(request)
        case messages.Land():
            for name in request.agents:
                agent_name(name)
            if request.verify is not None:
                _verify(request.verify)
        case messages.Agents():
            for name in request.names:
                agent_name(name)
        case messages.Reset() | messages.Sync() | messages.Undo() | messages.Retire():
            agent_name(request.agent)
        case _:
            pass


def _verify(command: str) -> None:
    if not command.strip():
        raise UsageError(
            "the verify command is empty", code="usage", fix="tatami land --verify CMD"
        )
    if "\0" in command or not _is_text(command):
        raise UsageError(
            "the verify command holds a NUL, or is not Unicode text",
            code="bad_command",
            fix="tatami land --verify CMD",
        )


def _commit(request: messages.Commit) -> None:
    agent_name(request.agent)
    if not request.message.strip() and not request.amend:
        raise UsageError(
            "the commit message is empty", code="empty_message", fix="tatami commit -m MESSAGE"
        )
    if "\0" in request.message:
        raise UsageError("the commit message holds a NUL character", code="bad_message")
    try:
        size = len(request.message.encode())
    except UnicodeEncodeError:
        raise UsageError("the commit message is not Unicode text", code="bad_message") from None
    if size > MESSAGE_BYTES_MAX:
        raise UsageError(
            f"the commit message has {size} bytes; at most {MESSAGE_BYTES_MAX} are taken",
            code="message_too_long",
        )
    if len(request.changes) > COMMIT_PATHS_MAX:
        raise UsageError(
            f"{len(request.changes)} paths in one commit; at most {COMMIT_PATHS_MAX} are taken",
            code="too_many_paths",
            fix="commit in parts with --paths",
        )
    for part in request.author or ():
        if any(c in part for c in "<>\n\0"):
            raise UsageError(f"author {part!r} holds one of < > NUL newline", code="bad_author")
    _changes(request.changes)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _changes(changes: Sequence[messages.ChangeRow]) -> None:
    written: dict[str, bool] = {}
    for path, mode, content in changes:
        known_path(path)
        if path in written:
            raise UsageError(f"path {path!r} is given twice", code="bad_path")
        written[path] = content is not None
        if content is not None or mode:
            file_mode(mode, allow_submodules=True, path=path)
        if content is not None:
            _content(path, mode, content)
    for path, is_written in written.items():
        folder = path.rpartition("/")[0]
        while folder and is_written:
            if written.get(folder):
                raise UsageError(f"{folder!r} is both a file and a folder", code="bad_path")
            folder = folder.rpartition("/")[0]


def _content(path: str, mode: int, content: int | str) -> None:
    if isinstance(content, str):
        if len(content) != 40 or not HEX.issuperset(content):
            raise UsageError(f"{content[:50]!r} is not an object id", code="bad_request")
        if mode == SUBMODULE and not content.strip("0"):
            raise UsageError(f"submodule {path!r} is at no commit", code="bad_content")
    elif mode == SUBMODULE:
        raise UsageError(f"submodule {path!r} needs a commit id, not content", code="bad_request")
    elif content < 0:
        raise UsageError(f"the size of {path!r} is negative", code="bad_request")
    elif mode == SYMLINK and not 0 < content <= LINK_BYTES_MAX:
        raise UsageError(
            f"the target of symbolic link {path!r} has {content} bytes; 1 to {LINK_BYTES_MAX} are "
            "taken",
            code="bad_content",
            fix="give a target, or commit a regular file",
        )
    elif content > FILE_BYTES_MAX:
        raise UsageError(
            f"{path!r} has {content} bytes; at most {FILE_BYTES_MAX} are taken",
            code="file_too_large",
            fix="git lfs track, or leave the file out",
        )
