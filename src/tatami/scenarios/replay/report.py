"""The account of a replay as `replay --json` prints it."""

from collections.abc import Mapping
from typing import Any

from tatami.scenarios.measure import Json, latencies, per_second
from tatami.scenarios.replay.values import Asked, Audit, Judged, Pace, Played


def document(asked: Asked, dealt: int, agents: int, played: Played, audit: Audit) -> Json:
    """Everything that was found. `dealt`: commits of history that were played."""
    altered = set(audit.altered)
    judged = [one for one in played.judged if (one.commit, one.path) not in altered]
    kinds = [one.kind for one in judged if one.kind != "clean_wrong"]
    conflicts: Json = {"files": len(kinds)}
    conflicts |= {kind: kinds.count(kind) for kind in ("auto_correct", "auto_wrong", "left")}
    acks = [one.ack_ms for one in played.acked]
    return {
        "repo": asked.repo,
        "agents": agents,
        "commits_asked": dealt,
        "commits_acked": len(played.acked),
        "commits_in_history": audit.in_history,
        "lost": len(audit.lost),
        "duplicated": len(audit.duplicated),
        "divergent": audit.divergent,
        "op_heads": audit.op_heads,
        "conflicts": conflicts,
        "oracle_files": _paths(judged, "left", "auto_wrong", "clean_wrong"),
        "clean_wrong": _paths(judged, "clean_wrong"),
        "landed": len(played.landed),
        "rejected": len(played.rejected),
        "tree_matches": not audit.differs,
        "fsck": {"ok": not audit.fsck, "problems": list(audit.fsck)},
        "seconds": round(played.seconds, 3),
        "commits_per_s": per_second(len(played.acked), played.seconds),
        "commit_seconds": round(played.commit_seconds, 3),
        "ack_ms": latencies(acks),
        "mode": asked.mode,
        "durable": True,
        "from": asked.source,
        "windows": -(-dealt // agents),
        "dependent": played.dependent,
        "shared_files": played.shared,
        "oracle_commits": len(played.oracles),
        "altered_files": sorted({path for _, path in audit.altered}),
        "judged": [{"commit": j.commit, "path": j.path, "kind": j.kind} for j in judged],
        "differs": list(audit.differs),
        "lost_commits": list(audit.lost),
        "duplicated_commits": list(audit.duplicated),
    }


def passed(document: Json) -> bool:
    """Whether nothing was lost, doubled or damaged and the trunk is what history has."""
    counts = [document[name] for name in ("lost", "duplicated", "divergent")]
    differs, oracle = document["differs"], document["oracle_files"]
    fsck = document["fsck"]
    assert isinstance(differs, list)
    assert isinstance(oracle, list)
    assert isinstance(fsck, dict)
    return (
        counts == [0, 0, 0]
        and document["commits_acked"] == document["commits_asked"]
        and document["op_heads"] == 1
        and bool(fsck["ok"])
        and set(differs) <= set(oracle)
    )


def summary(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The account in a few lines, each with its topic."""
    ack, conflicts, fsck = told["ack_ms"], told["conflicts"], told["fsck"]
    wrong = conflicts["auto_wrong"] + len(told["clean_wrong"])
    tree = f"differs from history in {len(told['differs'])} files"
    words = {
        "replayed": "{commits_asked} commits with {agents} agents, in {windows} windows",
        "durable": f"{{commits_acked}}, acknowledged in p50 {ack['p50']:.0f} ms, "
        f"p99 {ack['p99']:.0f} ms",
        "in history": "{commits_in_history}: {lost} lost, {duplicated} twice, "
        "{divergent} divergent, op heads {op_heads}",
        "landed": "{landed}, handed back {rejected}, made after a sync {dependent}",
        "merged": f"{{shared_files}} files that others changed too: {wrong} wrong, "
        f"{conflicts['left']} left in conflict",
        "the trunk": "is what history has" if told["tree_matches"] else tree,
        "fsck": "ok" if fsck["ok"] else f"{len(fsck['problems'])} problems",
        "took": "{seconds} s, {commits_per_s} commits/s committed and landed",
    }
    return [(topic, line.format_map(told)) for topic, line in words.items()]


def pace(played: Played, source: str) -> Pace:
    """How fast the agents committed, for the comparison with git."""
    acks = [one.ack_ms for one in played.acked]
    return Pace(f"tatami ({source})", "", len(acks), played.commit_seconds, acks)


def paces(rows: list[Pace]) -> list[Json]:
    """The comparison as JSON; ratios are the first row's commits/s over each row's."""
    first = per_second(rows[0].commits, rows[0].seconds)
    found: list[Json] = []
    for row in rows:
        rate = per_second(row.commits, row.seconds)
        found.append(
            {
                "arm": row.arm,
                "fsync": row.fsync,
                "commits": row.commits,
                "seconds": round(row.seconds, 3),
                "commits_per_s": rate,
                "ack_ms": latencies(row.ack_ms),
                "ratio": round(first / rate, 2) if rate else 0.0,
            }
        )
    return found


def _paths(judged: list[Judged], *kinds: str) -> list[str]:
    return sorted({one.path for one in judged if one.kind in kinds})
