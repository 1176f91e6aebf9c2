"""Makes, resets and retires agents' lines, and pins what of a line is queued for landing.

Runs on the writer thread. Everything that becomes an operation carries the command's id.
"""

import json
from collections.abc import Callable, Sequence

from tatami.hub.committing import move_branches
from tatami.hub.importing import Importing
from tatami.hub.record import Record, answers_of
from tatami.protocol.hub import Answer, Json
from tatami.protocol.messages import Agents, Land, Reset, Retire
from tatami.schedule.landing import Entry
from tatami.store import git, trunk
from tatami.store.repository import COMMANDS, FIRST_EVENT, Commit, Plan
from tatami.values.errors import BusyError, ConflictError, UsageError
from tatami.values.ids import CommandId, agent_bookmark, agent_name, agent_ref
from tatami.values.specs import OpSpec

Told = tuple[Answer, int, Sequence[Json]]
"""The answer, the number of the first event, the events."""


class Lines:
    """The writer's verbs about agents' lines; one that raises `TatamiError` changed nothing."""

    def __init__(self, record: Record, importing: Importing) -> None:
        self._record = record
        self._importing = importing
        self._repository = record.repository

    def add(self, id: CommandId, request: Agents) -> Told:
        """Makes a line for every new name, all in one operation."""
        names = [agent_name(name) for name in request.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            raise UsageError(
                f"agent {twice[0]!r} is named twice" if twice else "no agent is named",
                code="usage",
                fix="tatami workspace add coder-1 coder-2",
            )
        trunk.require_room_for_agents(self._repository.git_dir)
        base = self._rev(request.base)
        self._follow_branches(names)
        known = self._repository.agents()
        taken = [name for name in names if name in known]
        folded = {name.lower(): name for name in known}
        twins = [n for n in names if n not in known and n.lower() in folded]
        if twins or (taken and not request.existing):
            other = taken[0] if taken else folded[twins[0].lower()]
            raise UsageError(
                f"an agent is already called {other!r}",
                code="agent_exists",
                fix=f"tatami workspace list; tatami workspace remove {other}",
            )
        for name in names:
            there = None if name in known else self._repository.git_head(agent_ref(name))
            if there and not (request.branches and there == base):
                raise UsageError(
                    f"git already has a branch {agent_bookmark(name)}",
                    code="branch_exists",
                    fix=f"git branch -m {agent_bookmark(name)} kept-{name}",
                )
        heads = {name: known.get(name, base) for name in names}
        if len(taken) < len(names):
            return self._move(id, "agent", heads, "add agent")
        rows = [{"agent": name, "head": head} for name, head in heads.items()]
        answer = Answer({"agents": rows, "op": self._repository.core.op()})
        return answer, self._record.next_event, self._record.record_entries((), [(id, answer)])

    def _follow_branches(self, names: Sequence[str]) -> None:
        """Git branches are where their bookmarks are; a locked one of another agent may wait.

        One of these that somebody deleted is made again: the line is not lost with it.
        """
        for name in self._repository.agents().keys() & set(names):
            if self._repository.branch(name) is None:
                self._repository.branches.pop(name, None)
                self._repository.lagging.add(name)
        try:
            self._repository.follow_branches()
        except BusyError:
            if not self._repository.lagging.isdisjoint(names):
                raise

    def reset(self, id: CommandId, request: Reset) -> Told:
        """Moves a line to a revision; what it held stays in the operation log."""
        self._repository.head(request.agent)
        self._importing.look([request.agent])
        rev = self._rev(request.rev)
        return self._move(id, "reset", {request.agent: rev}, "reset")

    def retire(self, id: CommandId, request: Retire) -> Told:
        """Deletes an agent's bookmark; refuses while it holds commits that have not landed."""
        self._importing.look([request.agent])
        head = self._repository.head(request.agent)
        open_commits = [c.id for c in unlanded(self._record, request.agent)]
        if open_commits:
            raise ConflictError(
                f"{request.agent} has {len(open_commits)} commits that have not landed",
                code="unlanded",
                fix=f"tatami land {request.agent}",
            )
        attributes = self._attributes([(str(id), request.agent, "retire", head, "")])
        seen: dict[str, str | None] = {agent_bookmark(request.agent): None}
        operation = OpSpec(f"retire {request.agent}", attributes, seen)

        def unmoved() -> None:
            if self._repository.head(request.agent) != head:
                raise BusyError(f"{request.agent}'s line has just moved", fix="try again")

        told = self._publish(id, operation, unmoved)
        ref = agent_ref(request.agent)
        git.run(self._repository.git_dir, "update-ref", "-d", ref, head, check=False)
        return told

    def pin(self, id: CommandId, request: Land) -> tuple[Told, tuple[Entry, ...]]:
        """Queues what of the lines has not landed; already queued commits are not queued again."""
        entries: list[Entry] = []
        held = dict(self._record.pinned)
        self._importing.look(request.agents)
        for agent in request.agents:
            self._repository.head(agent)
            line = unlanded(self._record, agent)
            commits = [c for c in line if c.id not in held]
            if not commits:
                continue
            conflicted = next((c.id for c in commits if c.conflict), None)
            if conflicted:
                raise ConflictError(
                    f"{conflicted[:12]} of {agent} holds a conflict",
                    code="conflicted",
                    fix=f"jj resolve -r {conflicted[:12]}",
                )
            number = self._record.next_entry + len(entries)
            ids = tuple(c.id for c in reversed(commits))
            below = tuple(sorted({held[c.id] for c in line if c.id in held}))
            entries.append(Entry(number, agent, ids, request.verify, builds_on=below))
            held.update(dict.fromkeys(ids, number))
        if not entries:
            raise UsageError(
                f"{', '.join(request.agents) or 'nobody'} has nothing to land",
                code="nothing_to_land",
                fix="tatami log --all",
            )
        self._record.next_entry += len(entries)
        answer = Answer({"entries": [entry.number for entry in entries]})
        first = self._record.next_event
        told = self._record.record_entries(tuple(entries), [(id, answer)])
        return (answer, first, told), tuple(entries)

    def _rev(self, rev: str | None) -> str:
        if rev is None or rev == self._repository.trunk:
            return self._repository.trunk_head()
        commit = self._repository.resolve(rev)
        if not self._repository.is_known(commit):
            foreign = OpSpec(f"import {commit[:12]}", {}, {}, (), (commit,))
            self._repository.publish(lambda: Plan((), lambda _: foreign))
        return commit

    def _move(self, id: CommandId, verb: str, heads: dict[str, str], words: str) -> Told:
        rows = [(str(id), agent, verb, head, "") for agent, head in heads.items()]
        names = sorted(heads)
        known = self._repository.agents()
        moved = {agent: head for agent, head in heads.items() if known.get(agent) != head}
        operation = OpSpec(
            f"{words} {', '.join(names[:8])}" + (" ..." if names[8:] else ""),
            self._attributes(rows),
            # Only those that move: another may be moved by a stock tool at this very moment.
            {agent_bookmark(agent): head for agent, head in moved.items()},
        )
        told = self._publish(id, operation)
        move_branches(self._repository, heads)
        return told

    def _attributes(self, rows: list[tuple[str, str, str, str, str]]) -> dict[str, str]:
        first = str(self._record.next_event)
        return {COMMANDS: json.dumps(rows, separators=(",", ":")), FIRST_EVENT: first}

    def _publish(
        self, id: CommandId, operation: OpSpec, check: Callable[[], None] = lambda: None
    ) -> Told:
        """Publishes an operation; `check` raises where it is not right on the current view."""
        first = self._record.next_event

        def plan() -> Plan:
            check()
            return Plan((), lambda _: operation)

        published = self._repository.publish(plan)
        assert published
        told = self._record.happened(published.op, operation.attributes)
        answer = answers_of(published.op, operation.attributes)[0][1]
        self._record.answered(id, answer)
        return answer, first, told


def unlanded(record: Record, agent: str) -> list[Commit]:
    """Commits of a line that are neither in the trunk nor landed as copies; newest first."""
    repository = record.repository
    line = repository.log([repository.head(agent)], [repository.trunk_head()], None)
    return [commit for commit in line if commit.id not in record.landed]
