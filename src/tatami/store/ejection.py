"""Leaves plain git behind: what git has to reach before the state goes, and taking that away."""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from tatami.store import git, pushing
from tatami.store.locate import JJ_REPO, MARKER, Marker, Place
from tatami.store.stock import OUR_KEEP
from tatami.values.errors import BusyError, TatamiError

KEPT = "refs/heads/tatami-kept/"
"""Followed by an agent: a branch that reaches what no other branch of git's does."""
PARENTS_MAX = 64
"""Commits that one commit of such a branch holds; more make a chain."""
EJECTED = "tatami.ejected"
_IDENTITY = ("-c", "user.name=Tatami", "-c", "user.email=tatami@localhost")
_BRANCHES = ("--branches", "--tags", "--remotes")


@contextmanager
def no_hub(place: Place) -> Iterator[None]:
    """Holds the hub's lock, so that none starts; raises `BusyError` where one runs."""
    lock = os.open(os.path.join(place.state, "hub", "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BusyError(
            "a hub was started meanwhile", code="hub_running", fix="tatami eject"
        ) from None
    finally:
        os.close(lock)


def unreached(common: str, commits: Iterable[str]) -> list[str]:
    """Those of these commits that no branch or tag reaches, and that reach all others of them."""
    stdin = "".join(f"{id}\n" for id in commits).encode()
    if not stdin:
        return []
    done = git.run(
        common, "rev-list", "--parents", "--topo-order", "--stdin", "--not", *_BRANCHES,
        stdin=stdin,
    )  # fmt: skip
    rows = [row.split() for row in done.stdout.decode().splitlines()]
    below = {parent for row in rows for parent in row[1:]}
    return [row[0] for row in rows if row[0] not in below]


def keep(common: str, agent: str, commits: Sequence[str], words: Sequence[str]) -> str:
    """Makes a branch that reaches these commits (the newest first); returns its name.

    words: a line about each, for the message.
    """
    at = commits[0]
    if len(commits) > 1:
        at = ""
        for begin in range(0, len(commits), PARENTS_MAX):
            part = slice(begin, begin + PARENTS_MAX)
            at = _join(common, agent, [*([at] if at else []), *commits[part]], words[part])
    number = 1
    while True:
        ref = KEPT + agent + ("" if number == 1 else f"-{number}")
        made = git.run(common, "update-ref", "-m", "tatami: eject", ref, at, "0" * 40, check=False)
        if made.returncode == 0:
            return ref.removeprefix("refs/heads/")
        if git.run(common, "rev-parse", "--verify", "--quiet", ref, check=False).returncode:
            said = made.stderr.decode("utf-8", "replace").strip()
            raise TatamiError(f"git made no branch {ref}: {said}", code="git", fix="git branch -a")
        number += 1


def require_reached(common: str, commits: Sequence[str]) -> None:
    """Raises `TatamiError` (`unreached`) unless branches and tags reach all of these commits."""
    stdin = "".join(f"{id}\n" for id in commits).encode()
    listed = git.run(common, "cat-file", "--batch-check", stdin=stdin).stdout.decode().split("\n")
    lost = [row.split(" ")[0] for row in listed if row.endswith(" missing")]
    lost += unreached(common, commits)
    if lost:
        raise TatamiError(
            f"{len(lost)} commits would be lost, {lost[0]} first; nothing was removed",
            code="unreached",
            fix="tatami fsck",
        )


def remove_state(place: Place, known: Marker) -> None:
    """Takes away refs, marks, hook, settings and state; the caller holds the hub's lock.

    The marker goes before the rest of the state: what a crash leaves is no Tatami repository.
    """
    own_jj = os.path.realpath(known.jj_repo) == os.path.realpath(os.path.join(place.state, JJ_REPO))
    pushing.uninstall(place.common, known.trunk)
    _remove_refs(place.common, own_jj)
    if own_jj:
        _release_packs(place.common)
    _sync_refs(place.common)
    os.unlink(os.path.join(place.state, MARKER))
    leaving = os.path.join(place.common, f"{EJECTED}.{os.getpid()}")
    os.rename(place.state, leaving)
    shutil.rmtree(leaving, ignore_errors=True)


def include_again(place: Place) -> bool:
    """Takes `.tatami/` out of `.git/info/exclude` where nothing is in it any more."""
    folder = os.path.dirname(place.workspaces)
    for path in (place.workspaces, folder):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    exclude = os.path.join(place.common, "info", "exclude")
    with open(exclude, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    with open(exclude + ".tatami", "wb") as file:
        file.writelines(line for line in lines if line.rstrip(b"\n") != b".tatami/")
    os.rename(exclude + ".tatami", exclude)
    return True


def _join(common: str, agent: str, commits: Sequence[str], words: Sequence[str]) -> str:
    parents = [word for id in commits for word in ("-p", id)]
    text = f"Kept work of {agent} that no branch had\n\n" + "\n".join(words) + "\n"
    done = git.run(
        common, *_IDENTITY, "commit-tree", "--no-gpg-sign", *parents, f"{commits[-1]}^{{tree}}",
        stdin=text.encode("utf-8", "replace"),
    )  # fmt: skip
    return done.stdout.decode().strip()


def _remove_refs(common: str, own_jj: bool) -> None:
    """Deletes our refs; a jj repository of the user's goes on needing what they keep."""
    listed = git.text(common, "for-each-ref", "--format=%(refname) %(objectname)", "refs/tatami/")
    lines = []
    for row in listed.splitlines():
        ref, id = row.split(" ")
        if ref == "refs/tatami/keep" and not own_jj:
            lines.append(f"update refs/jj/keep/{id} {id}\n")
        lines.append(f"delete {ref}\n")
    if own_jj:
        kept = git.text(common, "for-each-ref", "--format=%(refname)", "refs/jj/keep/")
        lines += [f"delete {ref}\n" for ref in kept.splitlines()]
    git.run(common, "update-ref", "--stdin", stdin="".join(lines).encode())


def _release_packs(common: str) -> None:
    """Lets git repack what it was told to leave alone."""
    folder = os.path.join(common, "objects", "pack")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        if name.startswith(".tatami-"):
            os.unlink(path)
        elif name.endswith(".keep"):
            with open(path, "rb") as file:
                ours = file.read(64).startswith(OUR_KEEP)
            if ours:
                os.unlink(path)


def _sync_refs(common: str) -> None:
    """Branches made a moment ago are on the disk before what they replace goes."""
    for folder, _, files in os.walk(os.path.join(common, "refs", "heads")):
        for name in (*files, "."):
            file = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)
