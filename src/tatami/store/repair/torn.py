"""What a crash may leave half made of git's files, mended whenever a hub starts."""

import os
from collections.abc import Iterator

from tatami.store import git
from tatami.store.locate import Place
from tatami.store.repair.packs import listed
from tatami.store.repair.quarantine import Quarantine

JJ_KEEP = os.path.join("refs", "jj", "keep")
COMMIT_DIGITS = 40


def mend(place: Place) -> list[str]:
    """Mends refs and packs, and says what it did; the caller holds the hub's lock."""
    return [*mend_refs(place.common), *_index_packs(place)]


def mend_refs(common: str) -> Iterator[str]:
    """Writes jj's keep refs again that a power cut emptied, for which git refuses a repository.

    jj makes them while it imports, and syncs nothing; each is named by the commit it is at.
    """
    folder = os.path.join(common, JJ_KEEP)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if len(entry.name) == COMMIT_DIGITS and entry.stat().st_size <= COMMIT_DIGITS:
            with open(entry.path + ".lock", "w", encoding="ascii") as file:
                file.write(entry.name + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.rename(entry.path + ".lock", entry.path)
            yield f"{JJ_KEEP}/{entry.name} was written anew"


def _index_packs(place: Place) -> Iterator[str]:
    """Gives packs of ours an index that have none: one whose making a crash ended, or a lost one.

    The core takes a pack without one for a leftover, and would delete it.
    """
    for pack in listed(place.common):
        name = os.path.basename(pack.base)
        if not pack.ours or os.path.exists(pack.idx) or not os.path.exists(pack.pack):
            continue
        new = pack.base + ".idx.new"
        done = git.run(place.common, "index-pack", "-o", new, pack.pack, check=False)
        if done.returncode == 0:
            os.rename(new, pack.idx)
            yield f"{name} got a new index"
        else:
            quarantine = Quarantine(place, dry=False)
            quarantine.take(pack.pack)
            quarantine.take(pack.keep)
            yield f"{name} is damaged and has no index: it was moved to {quarantine.path}"
