"""Where a target begins: what is well formed, and every finding there ever was (`corpus/`)."""

import json
from pathlib import Path

from tatami.protocol import frames

CORPUS = Path(__file__).with_name("corpus")
ID = "6565a0cc00112233445566ff:1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def corpus(target: str) -> list[bytes]:
    """The seeds of a target, and its findings in the order of their names."""
    kept = sorted((CORPUS / target).glob("*")) if (CORPUS / target).is_dir() else []
    return [*_SEEDS[target], *(path.read_bytes() for path in kept)]


def _text(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_REQUEST = _text(
    {
        "verb": "commit",
        "n": 1,
        "id": ID,
        "agent": "coder-1",
        "message": "words",
        "changes": [["a/b.txt", 0o100644, 3], ["gone", 0, None], ["there", 0o120000, COMMIT]],
    }
)
_SEEDS: dict[str, list[bytes]] = {
    "frames": [
        frames.encode(b'{"verb":"status","n":1}'),
        frames.encode(_REQUEST, [b"abc"]) + frames.encode(b"{}"),
    ],
    "requests": [
        _REQUEST,
        _text({"verb": "land", "n": 2, "id": ID, "agents": ["a"], "verify": "make test"}),
        _text({"verb": "agents", "n": 3, "id": ID, "names": ["a", "b"], "base": "main"}),
        _text({"verb": "reset", "n": 4, "id": ID, "agent": "a", "rev": "main"}),
        _text({"verb": "queue-action", "n": 5, "id": ID, "action": "retry", "entries": [1]}),
        _text({"verb": "log", "n": 6, "revs": [], "all": True, "limit": 5}),
    ],
    "paths": [
        b"src/main.py",
        b".github/workflows/ci.yml",
        "caf\u00e9/na\u00efve.txt".encode(),
        b"a b/c~2/d:e",
        b"git~x/.gitmodules",
        b"CON/aux.txt",
    ],
    "settings": [
        b"[batching]\nbatch_size = 20\ntimeout_ms = 500\n\n[workspace]\nkind = 'checkout'\n",
        b"[batching]\nbatch_size = '20'\ntimeout_ms = 0.5\n",
    ],
    "marker": [
        b'{"format": 1, "trunk": "main"}\n',
        b'{"format": 1, "trunk": "main", "jj": "../../.jj/repo"}\n',
    ],
    "attributes": [
        b"c:" + _text([[ID, "a", "commit", COMMIT, "k" * 32], [ID, "b", "agent", COMMIT, ""]]),
        b"l:" + _text([[1, COMMIT, COMMIT]]),
        b"r:" + _text({COMMIT: ""}),
        b"i:" + _text([["a", COMMIT, COMMIT]]),
        b"u:" + _text({"entry": 3, "inverse": [COMMIT], "verify": None}),
        b"x:" + _text({"to": COMMIT}),
    ],
    "packets": [
        b"001eversion=1\0push-options\n0000"
        + b"%04x" % (4 + 82 + len("refs/heads/main"))
        + f"{'0' * 40} {COMMIT} refs/heads/main".encode()
        + b"0000",
        b"0000",
    ],
    "ledger": [
        b"\0" + _text({"op": "ab", "next_event": 3}),
        b"\1" + _text({"result": {"commit": COMMIT}}),
        b"\1" + _text({"error": ["words", "usage", "", 64, False]}),
        b"\2"
        + _text(
            {
                "number": 0,
                "agent": "a",
                "commits": [COMMIT],
                "verify": None,
                "state": "queued",
                "reason": "",
                "landed": [],
                "conflicts": [],
            }
        ),
        b"\3" + _text({"kind": "commit", "agent": "a"}),
        b"\4" + COMMIT.encode(),
    ],
    "record": [f"{COMMIT} - 120\n".encode(), f"{COMMIT} {COMMIT} 0 ab12\n".encode()],
}
