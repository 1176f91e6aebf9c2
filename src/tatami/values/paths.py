"""Paths and modes of a repository's files: the one policy every name passes before it is stored.

git stores any bytes and jj-lib checks little. A name that some system reads as another place (`..`,
`.GIT`, `git~1`), that a reader cannot see (zero-width), or that two systems spell differently (not
NFC) is refused here, once, at the door. `crates/worktree/src/path.rs` is the twin that guards what
is written to disk; `tests/data/paths.json` keeps the two the same.
"""

import re
import unicodedata
from typing import NewType

from tatami.values.errors import UsageError
from tatami.values.limits import PATH_BYTES_MAX, PATH_COMPONENT_BYTES_MAX

RepoPath = NewType("RepoPath", str)
"""A checked path: components joined by `/`, relative to the repository's root."""

RENAME = "rename the file, then try again"

REGULAR = 0o100644
EXECUTABLE = 0o100755
SYMLINK = 0o120000
SUBMODULE = 0o160000

_PLAIN = re.compile(
    r"[A-Za-z0-9_+-]{1,64}(?:\.[A-Za-z0-9_+-]{1,64})?"
    r"(?:/[A-Za-z0-9_+-]{1,64}(?:\.[A-Za-z0-9_+-]{1,64})?){0,24}"
)
"""Nearly every path there is: under every limit, no character that needs a closer look."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_FORMATTING = re.compile(
    "[\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that take no space or turn the direction of text: two names that look the same."""
_DOTS = re.compile(r"\.[. ]*")
_RESERVED = re.compile(r"(?:\.(git|jj)|(git|jj)~[0-9]+)[. ]*(?::.*)?", re.IGNORECASE | re.ASCII)
"""`.git` and `.jj` as folding, 8.3 names, trailing dots and NTFS streams spell them."""
_GITMODULES = re.compile(
    r"(?:\.gitmodules|gitmod~[1-4]|gi7eba~[1-9])[. ]*(?::.*)?", re.IGNORECASE | re.ASCII
)
"""As a symlink it would make git read a file of the author's choice; `git fsck --strict` agrees."""


def repo_path(text: str) -> RepoPath:
    """Checks a path; raises `UsageError` (`bad_path`) that says what is wrong with it."""
    reason = "" if _PLAIN.fullmatch(text) else _refusal(text)
    if reason:
        raise UsageError(f"path {_shown(text)} {reason}", code="bad_path", fix=RENAME)
    return RepoPath(text)


def known_path(text: str) -> str:
    """Checks a path that a commit may have under any name; raises `UsageError` (`bad_path`).

    Only what could lead elsewhere is refused, whatever a system ignores in names. Whether the
    commit has it, or it is a new one and has to be a `RepoPath`, is for the core to see.
    """
    if not _PLAIN.fullmatch(text):
        shown = _CONTROL.sub("_", _FORMATTING.sub("", text).replace("\\", "/"))
        parts = "/".join(filter(None, unicodedata.normalize("NFC", shown).split("/")))
        reason = _refusal(parts) if parts else ""
        if "\0" in text or "" in text.split("/"):
            reason = _refusal(text)
        if reason:
            raise UsageError(f"path {_shown(text)} {reason}", code="bad_path", fix=RENAME)
    return text


def file_mode(mode: int, allow_submodules: bool = False, path: str = "") -> int:
    """Checks a file's mode; raises `UsageError` (`bad_mode`).

    A submodule names a commit of another repository, which needs a capability once agents come
    from elsewhere; an agent of this machine may commit one (its checkout holds one, or it made it).
    """
    if mode == SYMLINK and _GITMODULES.fullmatch(path.rpartition("/")[2]):
        raise UsageError(f"{_shown(path)} may not be a symbolic link", code="bad_mode")
    if mode in (REGULAR, EXECUTABLE, SYMLINK) or (mode == SUBMODULE and allow_submodules):
        return mode
    what = "a submodule" if mode == SUBMODULE else "none of 100644, 100755 and 120000"
    raise UsageError(f"file mode {mode:o} is {what}", code="bad_mode")


def _refusal(text: str) -> str:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    if len(encoded) > PATH_BYTES_MAX:
        return f"is longer than {PATH_BYTES_MAX} bytes"
    if _CONTROL.search(text):
        return "contains a control character"
    if "\\" in text:
        return "contains a backslash"
    if _FORMATTING.search(text):
        return "contains an invisible or bidirectional formatting character"
    if not unicodedata.is_normalized("NFC", text):
        return "is not in Unicode normal form C"
    return next(filter(None, map(_component_refusal, text.split("/"))), "")


def _component_refusal(name: str) -> str:
    if not name:
        return "has an empty component"
    if _DOTS.fullmatch(name):
        return "has a component that means `.` or `..`"
    reserved = _RESERVED.fullmatch(name)
    if reserved:
        return (
            f"has a component that some system takes for `.{(reserved[1] or reserved[2]).lower()}`"
        )
    if len(name.encode()) > PATH_COMPONENT_BYTES_MAX:
        return f"has a component longer than {PATH_COMPONENT_BYTES_MAX} bytes"
    return ""


def _shown(text: str) -> str:
    """The path as ASCII, so that what makes it bad can be seen; long ones are cut."""
    return ascii(text) if len(text) <= 200 else ascii(text[:200]) + "..."
