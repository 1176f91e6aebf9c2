"""A repository as the hub's parts have it, with the user's git beside them."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from tatami.hub.landing.lander import Lander
from tatami.hub.record import Record
from tatami.schedule.landing import Entry
from tatami.store.initialise import initialise
from tatami.store.ledger import Ledger
from tatami.store.locate import find
from tatami.store.repository import LANDED, Plan, Repository
from tatami.values.ids import agent_bookmark
from tatami.values.specs import CommitSpec, OpSpec
from tests import sandbox

Result = TypeVar("Result")
WHO = ("Agent", "agent@example.org", 1_700_000_100, 0)
Meddle = Callable[[], object]


@dataclass
class Hall:
    """A repository and its lander; `before` and `after` happen around the next written call."""

    root: Path
    record: Record
    before: list[Meddle] = field(default_factory=list)
    after: list[Meddle] = field(default_factory=list)
    corrected: list[Entry] = field(default_factory=list)

    def lander(self) -> Lander:
        """A lander whose writer is this thread."""
        common = str(self.root / ".git")
        return Lander(self.record, common, self.write, lambda *_: None, self.corrected.extend)

    def write(self, call: Callable[[], Result], /) -> "Future[Result]":
        """Runs a call at once, and what the user does around it."""
        future: Future[Result] = Future()
        before, after = self.before[:], self.after[:]
        self.before.clear()
        self.after.clear()
        for meddle in before:
            meddle()
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - as the writer does
            future.set_exception(error)
        for meddle in after:
            meddle()
        return future

    def commit(self, agent: str, path: str, parent: str = "") -> str:
        """A commit of one new file on an agent's line, or on the trunk."""
        repository = self.record.repository
        above = parent or repository.trunk_head()
        change = (path, 0o100644, f"{path}\n".encode())
        spec = CommitSpec((above,), (change,), path, WHO, WHO, base=repository.tree(above))

        def plan() -> Plan:
            name = agent_bookmark(agent)
            return Plan((spec,), lambda made: OpSpec("commit", {}, {name: made[0].commit}))

        published = repository.publish(plan)
        assert published
        return published.commits[0].commit

    def queued(self, number: int, *commits: str, verify: str | None = None) -> Entry:
        """A recorded entry."""
        entry = Entry(number, "a", commits, verify)
        self.record.record_entries((entry,), [])
        return entry

    def git(self, *arguments: str) -> str:
        """Runs stock git in the user's checkout."""
        return sandbox.git(self.root, *arguments)

    def user_commits(self) -> None:
        """The user commits on the trunk."""
        sandbox.commit_file(self.root, "user.txt", b"user\n")

    def landings(self) -> list[list[tuple[int, str]]]:
        """Entry and commit of every landing, operation by operation, oldest first."""
        attributes = [op.attributes for op in self.record.repository.operations(None)]
        rows = [json.loads(found[LANDED]) for found in attributes if LANDED in found]
        return [[(number, queued) for number, queued, _ in op] for op in reversed(rows)]


@pytest.fixture
def hall(repository: Path) -> Iterator[Hall]:
    """A repository with nothing landed yet."""
    place = find(str(repository))
    initialise(place, None)
    opened = Repository.open(place, writes=True)
    ledger = Ledger(str(repository / ".git" / "tatami" / "hub" / "ledger"))
    record = Record(opened, ledger)
    record.recover()
    yield Hall(repository, record)
    opened.close()
    ledger.close()
