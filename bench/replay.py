"""Real history replayed on real repositories, beside git worktrees: docs/results/replay."""

import argparse
import sys
from pathlib import Path

from bench.results import markdown, repository_name, save
from tatami.scenarios.replay.run import replay
from tatami.scenarios.replay.values import Asked, Unwatched

COLUMNS = (
    *("repository", "from", "commits", "lost", "twice", "divergent", "op heads", "landed"),
    *("conflicts left", "wrong", "tree", "commits/s", "ack p50 ms", "ack p99 ms"),
)
COMPARED = ("repository", "arm", "core.fsync", "commits/s", "ack p50 ms", "ack p99 ms", "x")


class Said(Unwatched):
    """Says on stderr what begins."""

    def stage(self, words: str) -> None:
        """Prints the stage."""
        print(words, file=sys.stderr)


def main() -> int:
    """Replays each repository, keeps every account, prints tables; 1 when one did not pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repositories", nargs="+", help="clones; only read")
    parser.add_argument("--agents", type=int, default=10)
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--from", dest="source", default="files", choices=("files", "bytes"))
    parser.add_argument("--no-compare", action="store_true")
    parser.add_argument("--out", type=Path, help="instead of docs/results")
    options = parser.parse_args()
    told = []
    for repo in options.repositories:
        name = repository_name(repo)
        asked = Asked(
            repo,
            options.agents,
            options.commits,
            source=options.source,
            compare=not options.no_compare,
        )
        told.append({**replay(asked, Said()), "repo": name})
    path = save("replay", {"replays": told}, options.out)
    print(markdown(COLUMNS, [_row(one) for one in told]))
    compared = [row for one in told for row in _compared(one)]
    if compared:
        print("\n" + markdown(COMPARED, compared))
    print(f"\nraw data: {path}", file=sys.stderr)
    return 0 if all(one["ok"] for one in told) else 1


def _row(one: dict[str, object]) -> tuple[object, ...]:
    conflicts, ack, wrong = one["conflicts"], one["ack_ms"], one["clean_wrong"]
    assert isinstance(conflicts, dict)
    assert isinstance(ack, dict)
    assert isinstance(wrong, list)
    tree = "as history" if one["tree_matches"] else "differs"
    names = ("repo", "from", "commits_acked", "lost", "duplicated", "divergent")
    return (
        *(one[name] for name in (*names, "op_heads", "landed")),
        *(conflicts["left"], conflicts["auto_wrong"] + len(wrong), tree),
        *(one["commits_per_s"], ack["p50"], ack["p99"]),
    )


def _compared(one: dict[str, object]) -> list[tuple[object, ...]]:
    rows = one.get("compare", [])
    assert isinstance(rows, list)
    return [
        (
            *(one["repo"], row["arm"], row["fsync"], row["commits_per_s"]),
            *(row["ack_ms"]["p50"], row["ack_ms"]["p99"], row["ratio"] if row["fsync"] else ""),
        )
        for row in rows
    ]


if __name__ == "__main__":
    sys.exit(main())
