"""The one family of errors users meet: what failed, a stable code, and the next command."""


class TatamiError(Exception):
    """Base of every error Tatami raises on purpose.

    code: stable, snake case. fix: the next command or step, "" when there is none.
    retryable: the same request can succeed later without a change by the caller.
    """

    code = "error"
    retryable = False
    exit_code = 1

    def __init__(
        self, message: str, *, code: str | None = None, fix: str = "", retryable: bool | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable

    def as_json(self) -> dict[str, str]:
        """The error as every `--json` verb prints it."""
        return {"error": self.message, "code": self.code, "fix": self.fix}


class UsageError(TatamiError):
    """The caller asked for something that can never work; nothing was changed."""

    code = "usage"
    exit_code = 64


class ConflictError(TatamiError):
    """The request is right but something stands against it (a conflict, a lease, a dirty file)."""

    code = "conflict"
    exit_code = 2


class BusyError(TatamiError):
    """Somebody else is at it; try again."""

    code = "busy"
    retryable = True
    exit_code = 75


class HubError(TatamiError):
    """The hub could not be reached, or it failed."""

    code = "hub"


BY_EXIT_CODE: dict[int, type[TatamiError]] = {
    error.exit_code: error for error in (UsageError, ConflictError, BusyError)
}


def from_wire(message: str, code: str, fix: str, exit_code: int, retryable: bool) -> TatamiError:
    """Rebuilds the error a hub answered with, in its own class."""
    kind = BY_EXIT_CODE.get(exit_code, TatamiError)
    return kind(message, code=code, fix=fix, retryable=retryable)
