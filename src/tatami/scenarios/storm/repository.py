"""Makes the repository a storm is about: made up (the same every time), or another one's head."""

import os
import random
import shutil

from tatami.scenarios.history.clone import IDENTITY, TRUNK, clone
from tatami.scenarios.history.reading import Objects, source
from tatami.store import git

SEED = 20_250_101
FILES_PER_FOLDER = 25
FOLDERS_PER_AREA = 20
FILE_BYTES_MIN, FILE_BYTES_MAX = 1_000, 20_000
TEXT_BYTES_MAX = 64 * 1024
"""Files of a given repository that are longer are not edited."""
LINES = 2_000
"""Different lines the made-up files are put together from."""
_WORDS = (
    *("value", "index", "result", "request", "parse", "token", "cache", "state", "buffer"),
    *("writer", "reader", "order", "total", "merge", "commit", "branch", "offset", "length"),
    *("header", "option", "record", "column", "handler", "event", "queue"),
)
_WHEN = 1_700_000_000


def make_up(path: str, files: int) -> str:
    """Makes a git repository with one commit of `files` source files; returns its git directory.

    Sizes are log-uniform between 1 and 20 kB; nothing of it depends on the machine or the time.
    """
    git_dir = _init(path)
    stream = [b"commit refs/heads/%b\ncommitter %b\n" % (TRUNK.encode(), _who())]
    stream.append(_data(b"Begin"))
    for name, content in made_up(files):
        stream.append(b"M 100644 inline %b\n%b" % (name.encode(), _data(content)))
    git.run(git_dir, "fast-import", "--quiet", "--done", stdin=b"".join(stream) + b"done\n")
    _detach(git_dir, git.text(git_dir, "rev-parse", TRUNK))
    return git_dir


def made_up(files: int) -> list[tuple[str, bytes]]:
    """Names and contents of the made-up files, in order of their names."""
    chance = random.Random(SEED)  # noqa: S311 - sizes and words, not secrets
    lines = [_line(chance) for _ in range(LINES)]
    found = []
    for number in range(files):
        folder, area = number // FILES_PER_FOLDER, number // FILES_PER_FOLDER // FOLDERS_PER_AREA
        name = f"src/area{area:03}/module{folder:05}/file{number:06}.py"
        size = FILE_BYTES_MIN * (FILE_BYTES_MAX / FILE_BYTES_MIN) ** chance.random()
        found.append((name, _text(chance, lines, int(size))))
    return found


def borrow(path: str, repo: str) -> str:
    """Makes a repository over another one's objects, at its head; returns the git directory."""
    found = source(repo)
    return clone(found, path, found.head)


def texts(git_dir: str, count: int) -> list[tuple[str, bytes]]:
    """Up to `count` regular text files of HEAD with their contents, in order of their names."""
    objects = Objects(git_dir)
    found = []
    try:
        for row in git.run(git_dir, "ls-tree", "-r", "-z", "HEAD").stdout.split(b"\0"):
            meta, _, name = row.partition(b"\t")
            if not meta.startswith(b"100644") or not name.isascii():
                continue
            content = objects.read(meta.split()[2].decode())
            if b"\0" not in content and content.count(b"\n") > 1 and len(content) < TEXT_BYTES_MAX:
                found.append((name.decode(), content))
            if len(found) == count:
                break
    finally:
        objects.close()
    return found


def copy(template: str, path: str) -> str:
    """Copies a repository that has no files checked out; returns the copy's git directory."""
    return shutil.copytree(os.path.join(template, ".git"), os.path.join(path, ".git"))


def _init(path: str) -> str:
    os.makedirs(path)
    git.run(path, "init", "--quiet", f"--initial-branch={TRUNK}")
    for name, value in IDENTITY:
        git.run(path, "config", name, value)
    return os.path.join(path, ".git")


def _detach(git_dir: str, commit: str) -> None:
    git.run(git_dir, "update-ref", "--no-deref", "HEAD", commit)


def _who() -> bytes:
    return b"Tatami replay <replay@tatami.invalid> %d +0000" % _WHEN


def _line(chance: random.Random) -> bytes:
    words = chance.choices(_WORDS, k=chance.randint(2, 8))
    indent = "    " * chance.randint(0, 3)
    return f"{indent}{words[0]}_{chance.randint(0, 999)} = {'_'.join(words[1:])}()\n".encode()


def _text(chance: random.Random, lines: list[bytes], size: int) -> bytes:
    text: list[bytes] = []
    length = 0
    while length < size:
        line = chance.choice(lines)
        text.append(line)
        length += len(line)
    return b"".join(text)


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)
