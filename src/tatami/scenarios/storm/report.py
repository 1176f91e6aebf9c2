"""A storm's rows as a table, as JSON with its circumstances, and as a page with bars."""

import html
import json
import os
from collections.abc import Sequence

from tatami.scenarios.measure import Json, circumstances

COLUMNS = (
    *("arm", "fsync", "in history", "commits/s", "ack p50 ms", "p99 ms"),
    *("cpu ms/commit", "hub MB", "x git"),
)
PLOTS = (("commits per second", "per_s"), ("CPU milliseconds per commit", "cpu_ms_per_commit"))
ACKS = (("ack p50, milliseconds", "p50"), ("ack p99, milliseconds", "p99"))
BAR_WIDTH, BAR_HEIGHT, LABEL_WIDTH = 420, 22, 190
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Storm</title>
<style>body{{font:15px system-ui;margin:2em auto;max-width:52em}}td,th{{padding:.2em .8em;
text-align:right}}td:first-child,th:first-child{{text-align:left}}rect{{fill:#2a6f5e}}
text{{font:13px system-ui}}pre{{white-space:pre-wrap}}</style>
<h1>Storm</h1><p>{what}</p>{table}{plots}<h2>Where and how</h2><pre>{where}</pre></html>
"""


def cells(rows: Sequence[Json]) -> list[tuple[str, ...]]:
    """The rows as people read them; `x git` compares commits/s with each git row."""
    return [
        (
            str(row["arm"]),
            str(row["fsync"]),
            f"{row['in_history']}/{row['asked']}",
            str(row["per_s"]),
            str(_ack(row, "p50")),
            str(_ack(row, "p99")),
            str(row["cpu_ms_per_commit"]),
            str(row["rss_mb"] or ""),
            ratio(rows, row),
        )
        for row in rows
    ]


def ratio(rows: Sequence[Json], row: Json) -> str:
    """How many times a git row's commits/s the first tatami row makes ("" for others)."""
    ours = [_number(one["per_s"]) for one in rows if one["arm"] == "tatami"]
    rate = _number(row["per_s"])
    return f"{ours[0] / rate:.1f}" if ours and rate and row["arm"] != "tatami" else ""


def write(folder: str, rows: Sequence[Json], command: Sequence[str]) -> None:
    """Writes storm.json and storm.html into a folder, which is made if needed."""
    os.makedirs(folder, exist_ok=True)
    document: Json = {**circumstances(command), "rows": list(rows)}
    with open(os.path.join(folder, "storm.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    with open(os.path.join(folder, "storm.html"), "w", encoding="utf-8") as file:
        file.write(page(rows, document))


def page(rows: Sequence[Json], document: Json) -> str:
    """One HTML page without scripts or anything from elsewhere."""
    first = rows[0]
    what = f"{first['agents']} agents, {first['asked']} commits, workload {first['workload']}"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in cells(rows)
    )
    plots = [bars(title, rows, [_number(row[name]) for row in rows]) for title, name in PLOTS]
    plots += [bars(title, rows, [_ack(row, name) for row in rows]) for title, name in ACKS]
    where = {name: value for name, value in document.items() if name != "rows"}
    return _PAGE.format(
        what=html.escape(what),
        table=f"<table><tr>{head}</tr>{body}</table>",
        plots="".join(plots),
        where=html.escape(json.dumps(where, indent=1)),
    )


def bars(title: str, rows: Sequence[Json], values: Sequence[float]) -> str:
    """A bar per row, the longest as wide as the plot."""
    longest = max([*values, 1e-9])
    drawn = []
    for number, (row, value) in enumerate(zip(rows, values, strict=True)):
        y = number * BAR_HEIGHT
        width = BAR_WIDTH * value / longest
        label = html.escape(f"{row['arm']} {row['fsync']}")
        drawn.append(
            f'<text x="0" y="{y + 15}">{label}</text>'
            f'<rect x="{LABEL_WIDTH}" y="{y + 3}" width="{width:.1f}" height="{BAR_HEIGHT - 6}"/>'
            f'<text x="{LABEL_WIDTH + width + 6:.1f}" y="{y + 15}">{value:g}</text>'
        )
    height = BAR_HEIGHT * len(rows)
    svg = f'<svg role="img" width="{LABEL_WIDTH + BAR_WIDTH + 90}" height="{height}">'
    return f"<h2>{html.escape(title)}</h2>{svg}{''.join(drawn)}</svg>"


def _ack(row: Json, name: str) -> float:
    ack = row["ack_ms"]
    assert isinstance(ack, dict)
    return _number(ack[name])


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
