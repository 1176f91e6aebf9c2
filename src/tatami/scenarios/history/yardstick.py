"""What stock git's own three-way merge says about a file: the yardstick for "conflict"."""

import os

from tatami.store import git


def merges(folder: str, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """The merged text, or None where git leaves a conflict or does not merge (binary)."""
    names = []
    for name, content in (("ours", ours), ("base", base), ("theirs", theirs)):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
        names.append(os.path.join(folder, name))
    done = git.run(folder, "merge-file", "--quiet", "--stdout", *names, check=False)
    return done.stdout if done.returncode == 0 else None
