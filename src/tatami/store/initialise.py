"""Makes a git repository a Tatami one: idempotent, and never touching the user's checkout."""

import fcntl
import json
import os

from tatami import _core
from tatami.store import git, trunk
from tatami.store.locate import MARKER, STATE_FORMAT, Marker, Place, marker
from tatami.store.repository import core_errors, who
from tatami.values.errors import TatamiError, UsageError


def initialise(place: Place, trunk_name: str | None) -> tuple[Marker, bool]:
    """Returns what is recorded and whether it is new; raises `TatamiError` with the cure."""
    try:
        known = marker(place)
    except UsageError as error:
        if error.code != "not_initialised":
            raise
    else:
        if trunk_name and trunk_name != known.trunk:
            raise UsageError(
                f"{place.root} is already initialised with trunk {known.trunk!r}",
                code="already_initialised",
                fix=f"tatami init --trunk {known.trunk}",
            )
        return known, False
    if git.text(place.common, "rev-parse", "--is-shallow-repository") == "true":
        raise UsageError(
            f"{place.root} is a shallow clone; history is missing",
            code="shallow_repository",
            fix="git fetch --unshallow",
        )
    name = trunk_name or _guess_trunk(place)
    head = trunk.head(place.common, name)
    if head is None:
        raise UsageError(
            f"branch {name!r} of {place.root} has no commit yet",
            code="empty_repository",
            fix="git commit --allow-empty -m start",
        )
    return _make(place, name, head)


def _make(place: Place, name: str, head: str) -> tuple[Marker, bool]:
    """The marker is written last: without it the state folder counts as not there."""
    try:
        os.makedirs(os.path.join(place.state, "hub"), mode=0o700, exist_ok=True)
        os.chmod(place.state, 0o700)
        lock = os.open(place.state, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(os.path.join(place.state, MARKER)):
                return marker(place), False
            record: dict[str, object] = {"format": STATE_FORMAT, "trunk": name}
            adopted = _existing_jj(place)
            with core_errors():
                if adopted:
                    _core.Repo.adopt(adopted, place.common, name, head, who()).close()
                    record["jj"] = os.path.relpath(adopted, place.state)
                else:
                    _set_aside(os.path.join(place.state, "jj"))
                    _core.Repo.init(place.state, place.common, name, head, who()).close()
            _write_durably(os.path.join(place.state, MARKER), json.dumps(record) + "\n")
            return marker(place), True
        finally:
            os.close(lock)
    except OSError as error:
        raise TatamiError(
            f"{place.state} cannot be written: {error.strerror}",
            code="no_space" if error.errno in (28, 122) else "permission",
            fix=f"df -h {place.common}; ls -ld {place.common}",
        ) from error


def _existing_jj(place: Place) -> str | None:
    """The jj repository the user works with over the same git store, if there is one."""
    jj_repo = os.path.join(place.root, ".jj", "repo")
    target = os.path.join(jj_repo, "store", "git_target")
    try:
        with open(target, encoding="utf-8") as file:
            git_dir = os.path.realpath(os.path.join(os.path.dirname(target), file.read().strip()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return jj_repo if git_dir == os.path.realpath(place.common) else None


def _set_aside(path: str) -> None:
    """Moves what an interrupted `init` left out of the way."""
    number = 1
    while os.path.exists(f"{path}.unfinished.{number}"):
        number += 1
    if os.path.exists(path):
        os.rename(path, f"{path}.unfinished.{number}")


def _write_durably(path: str, content: str) -> None:
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _guess_trunk(place: Place) -> str:
    """The main worktree's branch; detached, the usual names are tried."""
    main = git.run(place.common, "symbolic-ref", "--quiet", "--short", "HEAD", check=False)
    name = main.stdout.decode("utf-8", "replace").strip()
    if name and not name.startswith("agent/"):
        return name
    for candidate in ("main", "master", "trunk"):
        if trunk.head(place.common, candidate):
            return candidate
    raise UsageError(
        f"{place.root} has a detached HEAD and no branch main, master or trunk",
        code="no_trunk",
        fix="tatami init --trunk BRANCH",
    )
