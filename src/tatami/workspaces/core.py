"""The core's errors as seen from a working copy: what to do about each."""

from collections.abc import Iterator
from contextlib import contextmanager

from tatami import _core
from tatami.values.errors import BusyError, ConflictError, TatamiError, UsageError

_FIXES = {
    "bad_path": "rename the file (a tracked one: git mv), or add a new one to .gitignore",
    "file_too_large": "keep it with git-lfs, or add it to .gitignore",
    "too_many_paths": "add what does not belong to .gitignore, or commit in parts with --paths",
    "conflicted": "resolve the conflict, then git add the file",
    "no_space": "free disk space, then try again",
    "permission": "make the workspace readable and writable for this user",
    "busy": "try again",
}
_CLASSES: dict[str, type[TatamiError]] = {
    "bad_path": UsageError,
    "bad_input": UsageError,
    "file_too_large": UsageError,
    "too_many_paths": UsageError,
    "unsupported": UsageError,
    "conflicted": ConflictError,
    "busy": BusyError,
    "stale": BusyError,
}


@contextmanager
def core_errors() -> Iterator[None]:
    """Turns the core's errors into the family's while the block runs, with the same code."""
    try:
        yield
    except _core.CoreError as error:
        kind = _CLASSES.get(error.code, TatamiError)
        fix = _FIXES.get(error.code, "")
        retryable = True if error.retryable else None
        raise kind(str(error), code=error.code, fix=fix, retryable=retryable) from error
