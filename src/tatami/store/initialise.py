"""Makes a git repository a Tatami one: idempotent, and never touching the user's checkout.

Where the operation log was deleted, as `git clean -ffdx` deletes one that was adopted in the
checkout, it begins a new one. What the old one said besides git (undo, who asked for what) is gone;
the ledger keeps its part. The new log lies in the state folder, which git does not clean.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tatami import _core
from tatami.store import git, pushing, trunk
from tatami.store.locate import (
    MARKER,
    STATE_FORMAT,
    Marker,
    Place,
    main_worktree,
    marker,
    recorded,
    write_marker,
)
from tatami.store.repository import Plan, Repository, core_errors, who
from tatami.values.errors import BusyError, TatamiError, UsageError
from tatami.values.ids import AGENT_REF_PREFIX, agent_bookmark, agent_name
from tatami.values.specs import OpSpec

NOWHERE = "gone"
"""Where the marker says the log is until the new one is whole: a crash leaves that to be redone."""
HUB_ENDS_SECONDS_MAX = 10.0
"""A hub whose log is gone ends by itself within a second."""


def initialise(place: Place, trunk_name: str | None) -> tuple[Marker, bool]:
    """Returns what is recorded and whether it is new; raises `TatamiError` with the cure.

    Where only the operation log is gone, a new one begins with what git has.
    """
    try:
        known = marker(place)
    except TatamiError as error:
        if error.code == "log_gone":
            return _rebuild(place), True
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
    bare = git.text(place.common, "rev-parse", "--is-bare-repository") == "true"
    if main_worktree(place.common) is None and not bare:
        # The checkout there could not follow the trunk, and would show landings as deletions.
        raise UsageError(
            f"{place.common} does not say where its main worktree is",
            code="unknown_worktree",
            fix='git config core.worktree "$PWD" in the main worktree, then tatami init',
        )
    trunk.require_room_for_agents(place.common)
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
                    fresh_log(place, name, head).close()
            pushing.install(place.common, name)
            write_marker(place, record)
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


def _rebuild(place: Place) -> Marker:
    """Makes a log of the trunk and of every agent's branch; raises `TatamiError`."""
    name = recorded(place).trunk
    head = trunk.head(place.common, name)
    if head is None:
        raise UsageError(
            f"the trunk's branch {name!r} is gone", code="no_trunk", fix=f"git branch {name} COMMIT"
        )
    record: dict[str, object] = {"format": STATE_FORMAT, "trunk": name}
    with _without_hub(place):
        write_marker(place, record | {"jj": NOWHERE})
        with core_errors():
            repository = Repository(fresh_log(place, name, head), place.common, name)
        _take_over(repository, _branches(place))
        repository.close()
        write_marker(place, record)
    return marker(place)


def fresh_log(place: Place, trunk_name: str, head: str) -> _core.Repo:
    """Makes a jj repository in the state folder; what an interrupted one left is set aside.

    Raises `CoreError`.
    """
    _set_aside(os.path.join(place.state, "jj"))
    return _core.Repo.init(place.state, place.common, trunk_name, head, who())


def _set_aside(path: str) -> None:
    """Moves what an interrupted `init` left out of the way."""
    number = 1
    while os.path.exists(f"{path}.unfinished.{number}"):
        number += 1
    if os.path.exists(path):
        os.rename(path, f"{path}.unfinished.{number}")


def _take_over(repository: Repository, heads: dict[str, str]) -> None:
    """Makes lines of the agents' branches, and git keep what they reach."""
    bookmarks: dict[str, str | None] = {agent_bookmark(name): id for name, id in heads.items()}
    words = "begin anew from git: the operation log was deleted"
    operation = OpSpec(words, {}, bookmarks, (), sorted(set(heads.values())))
    repository.publish(lambda: Plan((), lambda _: operation) if heads else None)


def _branches(place: Place) -> dict[str, str]:
    """The commits that branches with the name of an agent are at."""
    refs = git.text(
        place.common, "for-each-ref", "--format=%(objectname) %(refname)", AGENT_REF_PREFIX
    )
    found = {}
    for line in refs.splitlines():
        commit, ref = line.split(" ", 1)
        try:
            found[agent_name(ref.removeprefix(AGENT_REF_PREFIX))] = commit
        except UsageError:
            continue
    return found


@contextmanager
def _without_hub(place: Place) -> Iterator[None]:
    """Holds the hub's lock while the block runs."""
    lock = os.open(os.path.join(place.state, "hub", "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    give_up = time.monotonic() + HUB_ENDS_SECONDS_MAX
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise BusyError(
                        "a hub still serves this repository", code="hub_running", fix="tatami stop"
                    ) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(lock)
