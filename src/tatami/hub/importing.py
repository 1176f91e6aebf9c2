"""Takes over what agents did with plain git, in their workspaces or to their branches.

An agent's line is where its workspace's HEAD is: on `agent/<name>`, on a branch of its own making,
or detached. git moves the first as it likes. The others are followed as long as that leaves nothing
behind: whoever looks at an old commit or at somebody's branch has not given up its own work.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from shlex import quote

from tatami.hub.record import Record
from tatami.hub.writer import is_fatal
from tatami.protocol.hub import Json
from tatami.store import git
from tatami.store.repository import FIRST_EVENT, IMPORTED, Plan, Repository
from tatami.values.errors import ConflictError, TatamiError
from tatami.values.ids import AGENT_REF_PREFIX, agent_bookmark, agent_ref
from tatami.values.specs import OpSpec
from tatami.workspaces import head, index, worktree

Tell = Callable[[int, Sequence[Json]], None]
log = logging.getLogger("tatami.hub")
LEFT_BEHIND_MAX = 1000
"""Commits of a line looked at; one with more is not given up by checking something out."""


@dataclass(frozen=True, slots=True)
class Away:
    """A workspace whose HEAD is not its agent's line. commit: "" where there is none."""

    path: str
    commit: str
    why: str


@dataclass(slots=True)
class _Found:
    """What one look saw: new heads of lines, commits to make known, commits nobody is at now.

    refs: where the agents' branches were; git may have moved them again since.
    """

    lines: dict[str, str] = field(default_factory=dict)
    refs: dict[str, str | None] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    hidden: list[str] = field(default_factory=list)
    away: dict[str, Away] = field(default_factory=dict)


class Importing:
    """Looks at agents' branches and workspaces; used by the writer thread only."""

    def __init__(self, record: Record, tell: Tell | None = None) -> None:
        self._record = record
        self._tell = tell
        self._repository: Repository = record.repository
        self._away: dict[str, Away] = {}
        self._left: dict[tuple[str, str, int], bool] = {}
        self._leaving: dict[str, tuple[str, str]] = {}
        self._behind: set[str] = set()

    def look(self, agents: Iterable[str]) -> None:
        """Makes the lines of these agents be where git has brought them, as one operation.

        Commits that git made elsewhere become known, so that they are kept. Raises `TatamiError`.
        """
        asked = list(agents)
        found = _Found()
        attributes: dict[str, str] = {}

        def plan() -> Plan | None:
            nonlocal found, attributes
            found = self._found(asked)
            if not found.lines and not found.foreign:
                return None
            known = self._repository.agents()
            rows = [(agent, known[agent], commit) for agent, commit in found.lines.items()]
            first = str(self._record.next_event)
            attributes = {IMPORTED: json.dumps(rows), FIRST_EVENT: first} if rows else {}
            moved = sorted(found.lines)
            words = f"import git commits of {', '.join(moved or sorted(found.away))}"
            bookmarks: dict[str, str | None] = {
                agent_bookmark(agent): commit for agent, commit in found.lines.items()
            }
            foreign = sorted(found.foreign | set(found.lines.values()))
            operation = OpSpec(words, attributes, bookmarks, found.hidden, foreign)
            return Plan((), lambda _: operation)

        first = self._record.next_event
        published = self._repository.publish(plan)
        if published and attributes:
            facts = self._record.happened(published.op, attributes)
            if self._tell:
                self._tell(first, facts)
        for agent in asked:
            self._away.pop(agent, None)
        self._away |= found.away
        for agent, commit in found.lines.items():
            ref = found.refs[agent]
            if ref:
                # git may have moved it again: then that is the next look's to see.
                self._repository.branches[agent] = ref
            if ref != commit:
                self._behind.add(agent)
        self._bring_along()

    def leaving(self, agent: str, commit: str, line: str) -> None:
        """Notes that the workspace, at `commit`, is about to follow its line to `line`.

        HEAD on a branch of the agent's own is where the line was; until its client has moved it,
        that is not where the line is to go.
        """
        self._leaving[agent] = (commit, line)

    def look_at_all(self) -> None:
        """As `look`, for every agent; where that fails it is tried again soon."""
        try:
            self.look(self._repository.agents())
        except TatamiError as error:
            if is_fatal(error):
                raise
            log.warning("git commits of agents wait: %s", error)

    def away(self, agent: str) -> Away | None:
        """Where the agent's workspace is, if it is not on its line; as of the last look."""
        return self._away.get(agent)

    def require_on_line(self, agent: str) -> None:
        """Raises `ConflictError` (`not_on_line`) where the agent's workspace is elsewhere."""
        away = self._away.get(agent)
        if away:
            raise ConflictError(
                f"workspace {agent} {away.why}, which is not its line",
                code="not_on_line",
                fix=f"git -C {quote(away.path)} switch agent/{agent}",
            )

    def _bring_along(self) -> None:
        """Moves the agents' branches whose lines came along branches of the agents' own.

        Not under files that git is checking out: it reads the branch first, and writes HEAD last.
        """
        repository, moving = self._repository, False
        for agent in sorted(self._behind):
            space = worktree.get(repository.git_dir, agent)
            if space and head.at(space.common, space.git_dir).ref == agent_ref(agent):
                # git has come back to it, where it was: the next look takes it for the line.
                repository.branches.pop(agent, None)
            elif space and index.git_holds(space):
                continue
            else:
                repository.lagging.add(agent)
                moving = True
            self._behind.discard(agent)
        if moving:
            try:
                repository.follow_branches()
            except TatamiError as error:
                log.warning("git branches wait: %s", error)

    def _found(self, agents: Iterable[str]) -> _Found:
        found = _Found()
        known = self._repository.agents()
        for agent in agents:
            if agent in known:
                self._look_at(agent, known[agent], found)
        return found

    def _look_at(self, agent: str, line: str, found: _Found) -> None:
        repository = self._repository
        before, ref = line, repository.branch(agent)
        found.refs[agent] = ref
        if ref and ref not in {repository.branches.get(agent), line}:
            line = found.lines[agent] = ref
        space = worktree.get(repository.git_dir, agent)
        if space:
            at = head.at(space.common, space.git_dir)
            if at.ref == agent_ref(agent):
                self._leaving.pop(agent, None)
            else:
                self._look_elsewhere(agent, line, space, at, found)
        if agent in found.lines:
            found.hidden.append(before)

    def _look_elsewhere(
        self, agent: str, line: str, space: worktree.Workspace, at: head.Head, found: _Found
    ) -> None:
        branch = at.ref.removeprefix("refs/heads/")
        why = f"has {branch} checked out" if at.ref else f"has a detached HEAD at {at.commit[:12]}"
        if not at.commit:
            found.away[agent] = Away(space.path, "", f"is on {branch}, which has no commit")
            return
        if index.git_holds(space):
            # It may be on its way back, and HEAD is what it writes last.
            if agent in self._away:
                found.away[agent] = self._away[agent]
            return
        owned = branch == self._repository.trunk or at.ref.startswith(AGENT_REF_PREFIX)
        if not owned and at.commit == line:
            return
        if self._leaving.get(agent) == (at.commit, line):
            return
        self._leaving.pop(agent, None)
        if not owned and self._leaves_nothing(line, at.commit, space):
            found.lines[agent] = at.commit
            return
        found.away[agent] = away = Away(space.path, at.commit, why)
        last = self._away.get(agent)
        if owned or (last and last.commit == away.commit):
            return
        if not self._repository.is_known(at.commit):
            found.foreign.add(at.commit)
            if last and last.commit:
                found.hidden.append(last.commit)

    def _leaves_nothing(self, line: str, commit: str, space: worktree.Workspace) -> bool:
        """Whether a line may go to `commit`: it was made from there, or all of it is elsewhere."""
        key = (line, commit, len(self._record.landed))
        if key not in self._left:
            if len(self._left) > 4096:
                self._left.clear()
            self._left[key] = line in head.visited(space.git_dir) or self._all_landed(line, commit)
        return self._left[key]

    def _all_landed(self, line: str, commit: str) -> bool:
        limit = f"--max-count={LEFT_BEHIND_MAX}"
        trunk = self._repository.trunk_head()
        options = ("rev-list", limit, line, f"^{commit}", f"^{trunk}")
        left = git.text(self._repository.git_dir, *options).split()
        return len(left) < LEFT_BEHIND_MAX and all(id in self._record.landed for id in left)
