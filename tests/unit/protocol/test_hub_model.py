"""The hub's conversation against a model: any order of requests, answers, losses and events."""

from collections import defaultdict, deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tatami.protocol import hub
from tatami.protocol.hub import (
    Answer,
    Answered,
    Asked,
    Enqueue,
    Happened,
    Input,
    Left,
    Listens,
    Push,
    Reply,
    State,
)
from tatami.protocol.messages import Commit, Subscribe
from tatami.values.ids import CommandId
from tatami.values.limits import ANSWERS_KEPT_PER_CLIENT

CONNECTIONS = st.integers(1, 3)
COMMANDS = st.builds(CommandId, st.sampled_from(["0" * 24, "f" * 24]), st.integers(1, 6))
EVENTS_KEPT = 4


class Conversation(RuleBasedStateMachine):
    """Drives the decider and keeps, in the simplest form, what it must remember."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State(events=deque(maxlen=EVENTS_KEPT))
        self.done: dict[CommandId, int] = defaultdict(int)
        self.answers: dict[CommandId, Answer] = {}
        self.owed: dict[tuple[int, int], CommandId] = {}
        self.streams: dict[int, list[int]] = {}
        self.told = 0
        self.n = 0

    def feed(self, happening: Input) -> list[hub.Effect]:
        """Steps, and notes what every effect means for the model."""
        _, effects = hub.step(self.state, happening, 0.0)
        for effect in effects:
            if isinstance(effect, Enqueue):
                self.done[effect.id] += 1
            if isinstance(effect, Push):
                cursor = effect.event["cursor"]
                assert isinstance(cursor, int)
                self.streams[effect.connection].append(cursor)
        return effects

    @rule(connection=CONNECTIONS, command=COMMANDS)
    def ask(self, connection: int, command: CommandId) -> None:
        """Somebody sends, or resends, a command."""
        self.n += 1
        request = Commit(n=self.n, id=str(command), agent="a", message="m", changes=[])
        under_way = command in self.done
        effects = self.feed(Asked(connection, request, b""))
        if command in self.answers:
            assert effects == [Reply(connection, self.n, self.answers[command])]
        else:
            assert effects == ([] if under_way else [Enqueue(command, request, b"")])
            self.owed[connection, self.n] = command

    @precondition(lambda self: self.done.keys() - self.answers.keys())
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """A command under way is finished: everybody who waits is answered, once, the same."""
        under_way = sorted(self.done.keys() - self.answers.keys())
        command = data.draw(st.sampled_from(under_way))
        answer = self.answers[command] = Answer({"of": str(command)})
        waiting = [asker for asker, owed in self.owed.items() if owed == command]
        assert self.feed(Answered(command, answer)) == [Reply(*a, answer) for a in waiting]
        for asker in waiting:
            del self.owed[asker]

    @rule(connection=CONNECTIONS)
    def leave(self, connection: int) -> None:
        """A connection breaks; its number comes back as if it were a new one."""
        assert self.feed(Left(connection)) == []
        self.owed = {asker: c for asker, c in self.owed.items() if asker[0] != connection}
        self.streams.pop(connection, None)

    @rule(count=st.integers(1, 6))
    def happen(self, count: int) -> None:
        """An operation is published; it stands for some events."""
        facts = tuple(hub.Json(fact=number) for number in range(count))
        self.feed(Happened(self.told + 1, facts))
        self.told += count

    @rule(connection=CONNECTIONS, after=st.none() | st.integers(-1, 20))
    def subscribe(self, connection: int, after: int | None) -> None:
        """A connection subscribes where it can without a gap, and is refused where it can not."""
        self.n += 1
        before = self.streams.get(connection)
        cursor = self.told if after is None else after
        self.streams[connection] = [cursor]
        effects = self.feed(Listens(connection, Subscribe(n=self.n, after=after)))
        oldest = max(0, self.told - EVENTS_KEPT)
        assert isinstance(effects[0], Reply)
        assert (effects[0].answer.error is None) == (oldest <= cursor <= self.told)
        if effects[0].answer.error:
            self.streams.pop(connection)
            if before is not None:
                self.streams[connection] = before

    @invariant()
    def one_effect(self) -> None:
        """No command was ever enqueued twice."""
        assert all(count == 1 for count in self.done.values())

    @invariant()
    def no_gaps(self) -> None:
        """Every stream is the whole of what happened since its cursor, in order."""
        for stream in self.streams.values():
            assert stream == list(range(stream[0], self.told + 1))


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_model_never_forgets_what_the_hub_would() -> None:
    """The model has fewer commands than the hub keeps answers, so `expired` plays no part in it."""
    assert ANSWERS_KEPT_PER_CLIENT >= 6
