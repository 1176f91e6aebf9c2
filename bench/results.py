"""Where measurements go: raw data into docs/results/<topic>/, a markdown table to stdout."""

import datetime as dt
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tatami.scenarios.measure import circumstances

RESULTS = Path(__file__).parents[1] / "docs" / "results"
Row = Mapping[str, object]


def save(topic: str, data: Mapping[str, object], folder: Path | None = None) -> Path:
    """Writes data with its circumstances to a new file of the topic; returns its path."""
    directory = (folder or RESULTS) / topic
    directory.mkdir(parents=True, exist_ok=True)
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    path = directory / f"{stamp}.json"
    words = (repository_name(word) if word.startswith("/") else word for word in sys.argv[1:])
    command = ["python", "-m", f"bench.{Path(sys.argv[0]).stem}", *words]
    document = {**circumstances(command), **data}
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def repository_name(path: str) -> str:
    """A path's last folder that is not just where clones are kept; no machine's own paths."""
    parts = [part for part in Path(path).resolve().parts if part not in {"repo", ".git"}]
    return parts[-1].replace("+", "/").removesuffix(".git")


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A markdown table; everything but the first column is right-aligned."""
    lines = [
        "| " + " | ".join(columns) + " |",
        "|---" + "|---:" * (len(columns) - 1) + "|",
        *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows),
    ]
    return "\n".join(lines)


def median(rows: Sequence[Row], *names: str) -> float:
    """The median of a field of several rows; more names go into nested fields."""
    values = []
    for row in rows:
        value: object = row
        for name in names:
            assert isinstance(value, Mapping)
            value = value[name]
        assert isinstance(value, int | float)
        values.append(float(value))
    return round(statistics.median(values), 2)
