"""`orient`: the card an agent reads first, short enough to be read each time."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from tatami.client import orienting
from tatami.client.orienting import Card, Paths
from tatami.client.swarm import Swarm
from tatami.ui.cli.output import document, guarded, visible
from tatami.values.ids import agent_name

CARD_CHARS_MAX = 1600
"""Four hundred tokens at four characters each."""
PATH_CHARS_MAX = 60
PLACE_CHARS_MAX = 160
SHOWN = 4


def orient(
    *, agent: str | None = None, json: Annotated[bool, Parameter(negative="")] = False
) -> int:
    """Say where an agent is, what it has not saved, what it lacks, and who is at the same files.

    Parameters
    ----------
    agent
        Whose card (default: of the workspace you are in).
    json
        Print one JSON document.
    """

    def work() -> None:
        with Swarm.open() as swarm:
            found = orienting.card(swarm, agent_name(agent) if agent else None)
        if json:
            document(asdict(found))
        else:
            print(text(found))

    return guarded(json, work)


def text(card: Card) -> str:
    """The card for an agent to read: at most `CARD_CHARS_MAX` characters, whatever is in it."""
    where = card.branch or "a detached HEAD"
    top = [
        f"you are agent {card.agent} in {_short(card.path, PLACE_CHARS_MAX)}",
        f"line: {_short(where)} at {card.head[:12]}, {card.unlanded} commits to land",
        f"base: {_short(card.trunk)} {card.base[:12]}, {card.behind} behind",
        f"unsaved: {_listed(card.unsaved) or 'nothing'}",
    ]
    end = [f"next: {_short(step, PLACE_CHARS_MAX)}" for step in card.next]
    left = CARD_CHARS_MAX - sum(len(line) + 1 for line in (*top, *end))
    middle: list[str] = []
    for line in (*_others(card), *_queue(card), *_lacking(card)):
        left -= len(line) + 1
        if left < 0:
            break
        middle.append(line)
    return "\n".join((*top, *middle, *end))


def _others(card: Card) -> list[str]:
    same = [one for one in card.siblings if one.overlap.count]
    rest = [one for one in card.siblings if not one.overlap.count]
    lines = [f"overlap: agent {one.name} also changed {_listed(one.overlap)}" for one in same]
    if rest:
        names = ", ".join(f"{one.name} ({one.changed} paths)" for one in rest[:SHOWN])
        more = len(rest) - SHOWN
        lines.append(f"others at work: {names}{f' and {more} more' if more > 0 else ''}")
    if card.others_left_out:
        lines.append(f"{card.others_left_out} more workspaces were not looked into")
    return lines


def _queue(card: Card) -> list[str]:
    return [
        f"queue: entry {one['entry']} {one['state']} {_short(one['reason'])}".rstrip()
        for one in card.queue
    ]


def _lacking(card: Card) -> list[str]:
    place = _short(card.root, PLACE_CHARS_MAX)
    lines = [f"only in {place}, not here:"] if card.person.count or card.missing else []
    if card.person.count:
        lines.append(f"  uncommitted: {_listed(card.person)}")
    return lines + [f"  {one.kind}: {_listed(one.paths)}" for one in card.missing]


def _listed(paths: Paths) -> str:
    shown = ", ".join(_short(path) for path in paths.first[:SHOWN])
    more = paths.count - len(paths.first[:SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _short(words: str, width: int = PATH_CHARS_MAX) -> str:
    """Text of a repository on one line, with what could be taken for something else escaped."""
    shown = visible(words).replace("\n", "\\n").replace("\t", "\\t")
    return shown if len(shown) <= width else f"{shown[: width // 2]}…{shown[-width // 2 + 1 :]}"
