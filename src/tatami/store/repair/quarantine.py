"""Where a repair puts what it takes out of the way: nothing is deleted."""

import json
import os
import shutil
import time
from dataclasses import dataclass, field

from tatami.store.locate import Place

FOLDER = "quarantine"
RECORD = "repair.json"
MAKING = ".making"


@dataclass(slots=True)
class Quarantine:
    """A dated folder in the state; made when the first thing is moved there.

    dry: only notes what would be moved and done.
    """

    place: Place
    dry: bool
    taken: list[str] = field(default_factory=list)
    """What was moved, by its path in the git directory."""
    done: list[str] = field(default_factory=list)
    """What else was done, in words."""
    _path: str = ""

    @property
    def path(self) -> str:
        """The folder; "" while nothing was moved."""
        return self._path

    def take(self, path: str) -> None:
        """Moves a file or folder there, under the path it had in the git directory."""
        inside = os.path.relpath(path, self.place.common)
        self.taken.append(inside)
        if self.dry:
            return
        target = os.path.join(self._folder(), inside)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(path, target)

    def keep_text(self, name: str, text: str) -> None:
        """Writes something down there, as the value a ref had."""
        if not self.dry:
            with open(os.path.join(self._folder(), name), "a", encoding="utf-8") as file:
                file.write(text)

    def did(self, words: str) -> None:
        """Notes what was done."""
        self.done.append(words)

    def finish(self, record: dict[str, object]) -> None:
        """Leaves a record of the repair beside what it moved."""
        if self._path and not self.dry:
            with open(os.path.join(self._path, RECORD), "w", encoding="utf-8") as file:
                json.dump(record, file, indent=1)
                file.write("\n")
        if not self.dry:
            os.sync()

    def scratch(self) -> str:
        """A folder in the quarantine's, on the same file system, for things in the making."""
        path = os.path.join(self._folder(), MAKING)
        os.makedirs(path, exist_ok=True)
        return path

    def tidy(self) -> None:
        """Removes what is left of things in the making."""
        if self._path:
            shutil.rmtree(os.path.join(self._path, MAKING), ignore_errors=True)

    def _folder(self) -> str:
        if not self._path:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            wanted = os.path.join(self.place.state, FOLDER, stamp)
            self._path, number = wanted, 1
            while os.path.exists(self._path):
                number += 1
                self._path = f"{wanted}-{number}"
            os.makedirs(self._path, mode=0o700)
        return self._path
