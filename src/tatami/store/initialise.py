"""Makes a git repository a Tatami one: idempotent, and never touching the user's checkout."""

import json
import os

from tatami import _core
from tatami.store import git, trunk
from tatami.store.locate import STATE_FORMAT, Marker, Place, marker
from tatami.store.repository import core_errors
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
    _make(place, name, head)
    return Marker(name), True


def _make(place: Place, name: str, head: str) -> None:
    """The marker is written last: without it the state folder counts as not there."""
    try:
        os.makedirs(os.path.join(place.state, "hub"), mode=0o700, exist_ok=True)
        os.chmod(place.state, 0o700)
        jj = os.path.join(place.state, "jj")
        if os.path.exists(jj):
            os.rename(jj, _free_name(jj + ".unfinished"))
        with core_errors():
            _core.Repo.init(place.state, place.common, name, head).close()
        _write_durably(
            os.path.join(place.state, "tatami.json"),
            json.dumps({"format": STATE_FORMAT, "trunk": name}) + "\n",
        )
    except OSError as error:
        raise TatamiError(
            f"{place.state} cannot be written: {error.strerror}",
            code="no_space" if error.errno in (28, 122) else "permission",
            fix=f"df -h {place.common}; ls -ld {place.common}",
        ) from error


def _free_name(path: str) -> str:
    number = 1
    while os.path.exists(f"{path}.{number}"):
        number += 1
    return f"{path}.{number}"


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

