"""The hub's conversation: one effect per command, one answer for all who ask, events in order."""

from collections import deque

import pytest

from tatami.protocol import hub
from tatami.protocol.hub import (
    Answer,
    Answered,
    Asked,
    Effect,
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
from tatami.values.errors import UsageError
from tatami.values.ids import CommandId
from tatami.values.limits import ANSWERS_KEPT_PER_CLIENT

CLIENT = "0000000000000000000000aa"
ID = CommandId(CLIENT, 1)
DONE = Answer({"commit": "c1"})


def commit(n: int, id: str = f"{CLIENT}:1") -> Commit:
    """A commit request numbered `n` on its connection."""
    return Commit(n=n, id=id, agent="a", message="m", changes=[])


def feed(state: State, *happenings: Input) -> list[Effect]:
    """Steps through inputs; returns the effects of all."""
    return [effect for one in happenings for effect in hub.step(state, one, 0.0)[1]]


def ask(connection: int, n: int, id: str = f"{CLIENT}:1") -> Asked:
    """A connection asks for a commit."""
    return Asked(connection, commit(n, id), b"body")


def code(effect: Effect) -> str:
    """The error code a reply carries ("" for a result)."""
    assert isinstance(effect, Reply)
    return effect.answer.error.code if effect.answer.error else ""


def said(effect: Effect) -> tuple[str, str]:
    """What a refusal says is wrong, and what to do."""
    assert isinstance(effect, Reply)
    assert effect.answer.error
    return effect.answer.error.message, effect.answer.error.fix


def test_a_new_command_is_carried_out() -> None:
    """The first sight of an id enqueues the request with its body, and nothing is answered yet."""
    assert feed(State(), ask(1, 5)) == [Enqueue(ID, commit(5), b"body")]


def test_the_answer_goes_to_the_asker() -> None:
    """The one who asked hears the answer under the number it used."""
    state = State()
    feed(state, ask(1, 5))
    assert feed(state, Answered(ID, DONE)) == [Reply(1, 5, DONE)]


def test_an_answer_that_nobody_waits_for_is_kept() -> None:
    """A command that a hub finishes for the one before it has no asker yet."""
    state = State()
    assert feed(state, Answered(ID, DONE)) == []
    assert feed(state, ask(1, 5)) == [Reply(1, 5, DONE)]


def test_a_resent_command_under_way_is_not_done_twice() -> None:
    """While it is under way a second asker waits; both get the one answer."""
    state = State()
    feed(state, ask(1, 5))
    assert feed(state, ask(2, 9)) == []
    assert feed(state, Answered(ID, DONE)) == [Reply(1, 5, DONE), Reply(2, 9, DONE)]


def test_a_resent_command_that_was_answered_gets_the_same_answer() -> None:
    """After the answer, asking again gives it again without any effect."""
    state = State()
    feed(state, ask(1, 5), Answered(ID, DONE))
    assert feed(state, ask(2, 6)) == [Reply(2, 6, DONE)]


def test_a_refusal_is_remembered_like_a_result() -> None:
    """A command that was refused is refused again, not tried again."""
    state = State()
    refused = Answer(error=UsageError("nothing", code="nothing_to_commit"))
    feed(state, ask(1, 5), Answered(ID, refused))
    assert feed(state, ask(1, 6)) == [Reply(1, 6, refused)]


def test_who_left_is_not_answered() -> None:
    """A connection that is gone gets no reply; the others who asked still do."""
    state = State()
    feed(state, ask(1, 5), ask(2, 6), Left(1))
    assert feed(state, Answered(ID, DONE)) == [Reply(2, 6, DONE)]


def test_a_command_whose_only_asker_left_can_be_asked_for_again() -> None:
    """The client that reconnects waits for the command it left behind; it is not done twice."""
    state = State()
    feed(state, ask(1, 5), Left(1))
    assert feed(state, ask(2, 1)) == []
    assert feed(state, Answered(ID, DONE)) == [Reply(2, 1, DONE)]


def test_the_same_number_of_two_clients_is_two_commands() -> None:
    """Sequences belong to their incarnation."""
    state = State()
    other = "0000000000000000000000bb:1"
    assert len(feed(state, ask(1, 1), ask(2, 1, other))) == 2


def test_what_is_no_id_is_refused() -> None:
    """A malformed id is answered with its code and enqueues nothing."""
    effects = feed(State(), ask(1, 1, "not an id"))
    assert [code(effect) for effect in effects] == ["bad_command_id"]


def answered_many(count: int) -> State:
    """A state in which one client's commands 1 to `count` were answered."""
    state = State()
    for sequence in range(1, count + 1):
        feed(state, ask(1, sequence, f"{CLIENT}:{sequence}"))
        feed(state, Answered(CommandId(CLIENT, sequence), Answer({"s": sequence})))
    return state


def test_an_id_older_than_what_is_kept_is_refused_never_redone() -> None:
    """Past the kept answers, an id is `expired`: it had its effect."""
    state = answered_many(ANSWERS_KEPT_PER_CLIENT + 1)
    (refused,) = feed(state, ask(1, 1))
    assert code(refused) == "expired"
    assert said(refused) == (
        f"command {ID} was answered long ago; its answer is no longer kept",
        "tatami log",
    )


def test_the_oldest_kept_answer_is_still_given() -> None:
    """Exactly the newest answers are kept."""
    state = answered_many(ANSWERS_KEPT_PER_CLIENT + 1)
    assert feed(state, ask(1, 1, f"{CLIENT}:2")) == [Reply(1, 1, Answer({"s": 2}))]


def test_a_slow_command_is_not_expired_by_the_quick_ones_behind_it() -> None:
    """A command still under way is waited for, however many later ones were answered meanwhile.

    The story: a landing takes minutes while the same client commits hundreds of times; its resend
    was told `expired` although its effect was still to come.
    """
    state = State()
    feed(state, ask(1, 1))
    for sequence in range(2, ANSWERS_KEPT_PER_CLIENT + 4):
        feed(state, ask(1, sequence, f"{CLIENT}:{sequence}"))
        feed(state, Answered(CommandId(CLIENT, sequence), DONE))
    assert feed(state, ask(2, 7)) == []
    assert feed(state, Answered(ID, DONE)) == [Reply(1, 1, DONE), Reply(2, 7, DONE)]


def test_answers_filled_in_at_start_are_given_again() -> None:
    """What the ledger remembers answers a resend after a crash."""
    state = State()
    hub.remember(state, ID, DONE)
    assert feed(state, ask(1, 1)) == [Reply(1, 1, DONE)]


def test_a_client_with_a_command_under_way_is_not_forgotten() -> None:
    """What it asked before is answered as before; another one is forgotten instead.

    The story: a client was forgotten while its second command was under way. The answer to that
    made it known again, as one that had never asked anything, and its first command was carried out
    a second time when it was resent. Found by the simulator.
    """
    state = State(clients_kept=1)
    other = CommandId("f" * 24, 1)
    feed(state, ask(1, 1), Answered(ID, DONE), ask(1, 2, f"{CLIENT}:2"))
    feed(state, ask(2, 1, str(other)), Answered(other, DONE))
    feed(state, Answered(CommandId(CLIENT, 2), DONE))
    assert feed(state, ask(1, 3)) == [Reply(1, 3, DONE)]
    assert [code(effect) for effect in feed(state, ask(2, 2, str(other)))] == ["expired"]


def test_there_may_be_more_clients_than_are_kept_while_all_are_at_it() -> None:
    """The limit gives way, not the promise."""
    state = State(clients_kept=1)
    ids = [f"{digit * 24}:1" for digit in "abc"]
    feed(
        state, *(ask(1, n, id) for n, id in enumerate(ids)), Answered(CommandId.parse(ids[0]), DONE)
    )
    feed(state, *(Answered(CommandId.parse(id), DONE) for id in ids[1:]))
    assert len(state.waiting) == 0
    assert list(state.clients) == ["c" * 24]


def test_an_answer_of_a_forgotten_client_does_not_make_it_known() -> None:
    """At start the table has forgotten a client of whom the operation log still has an answer.

    That answer is given again; whatever else it asks may have been answered before: expired.
    """
    state = State(horizon="f" * 24)
    hub.remember(state, CommandId(CLIENT, 6), DONE)
    assert feed(state, ask(1, 1, f"{CLIENT}:6")) == [Reply(1, 1, DONE)]
    again = feed(state, *(ask(1, n, f"{CLIENT}:{n}") for n in (5, 7)))
    assert [code(effect) for effect in again] == ["expired", "expired"]


def test_the_oldest_client_that_the_table_kept_is_known_wholly() -> None:
    """The horizon names it: nothing of it was trimmed, so what it has not asked yet is new."""
    state = State(horizon=CLIENT)
    hub.remember(state, ID, DONE)
    assert feed(state, ask(1, 1, f"{CLIENT}:2")) == [
        Enqueue(CommandId(CLIENT, 2), commit(1, f"{CLIENT}:2"), b"body")
    ]


def test_a_command_that_comes_after_a_later_one_is_carried_out() -> None:
    """An answer says nothing of commands with smaller numbers, which may still be on their way."""
    state = State()
    hub.remember(state, CommandId(CLIENT, 2), DONE)
    assert feed(state, ask(1, 1)) == [Enqueue(ID, commit(1), b"body")]


def test_a_slow_answer_makes_nothing_forgotten_new_again() -> None:
    """An old command that is answered late leaves the newer, forgotten ones forgotten."""
    state = State(answers_kept=1)
    feed(state, ask(1, 3, f"{CLIENT}:3"))
    for sequence in (5, 6):
        feed(state, ask(1, sequence, f"{CLIENT}:{sequence}"))
        feed(state, Answered(CommandId(CLIENT, sequence), DONE))
    feed(state, Answered(CommandId(CLIENT, 3), DONE))
    again = feed(state, *(ask(1, n, f"{CLIENT}:{n}") for n in (3, 5, 6)))
    assert [code(effect) for effect in again] == ["expired", "expired", ""]


def answer(state: State, *ids: str) -> None:
    """Commands are asked for and answered, one after the other."""
    for id in ids:
        feed(state, ask(1, 1, id), Answered(CommandId.parse(id), DONE))


def test_the_client_heard_of_longest_ago_is_forgotten() -> None:
    """As many as are kept stay; an answer makes a client the newest."""
    a, b, c = (f"{digit * 24}:1" for digit in "abc")
    state = State(clients_kept=2)
    answer(state, a, b, f"{'a' * 24}:2", c)
    assert [code(effect) for effect in feed(state, *(ask(1, 1, id) for id in (a, b, c)))] == [
        "",
        "expired",
        "",
    ]


def test_who_was_forgotten_stays_forgotten_when_an_older_one_is() -> None:
    """The horizon never goes back, in whichever order clients are forgotten."""
    old, young, last = (f"{digit * 24}:1" for digit in "abc")
    state = State(clients_kept=1)
    answer(state, young, old, last)
    again = feed(state, ask(1, 1, young), ask(1, 2, old))
    assert [code(effect) for effect in again] == ["expired", "expired"]


def listen(connection: int, after: int | None, n: int = 3) -> Listens:
    """A connection subscribes."""
    return Listens(connection, Subscribe(n=n, after=after))


def happened(*numbers: int) -> Happened:
    """Facts with consecutive numbers."""
    return Happened(numbers[0], tuple({"fact": number} for number in numbers))


def cursors(effects: list[Effect]) -> list[object]:
    """The cursors of the events pushed."""
    return [effect.event["cursor"] for effect in effects if isinstance(effect, Push)]


def test_a_subscriber_hears_what_happens_from_now_on() -> None:
    """Without a cursor the stream begins with the next event."""
    state = State()
    feed(state, happened(1, 2))
    assert feed(state, listen(1, None)) == [Reply(1, 3, Answer({"after": 2}))]
    assert cursors(feed(state, happened(3, 4))) == [3, 4]


def test_a_cursor_brings_what_was_missed_first() -> None:
    """With a cursor the kept events after it come first, each once and in order."""
    state = State()
    feed(state, happened(1, 2, 3))
    assert feed(state, listen(1, 1, n=8)) == [
        Reply(1, 8, Answer({"after": 1})),
        Push(1, 8, {"cursor": 2, "fact": 2}),
        Push(1, 8, {"cursor": 3, "fact": 3}),
    ]


def test_every_event_carries_its_cursor_and_its_fact() -> None:
    """An event is its fact and the cursor to go on from."""
    state = State()
    feed(state, listen(1, None, n=8))
    assert feed(state, happened(1)) == [Push(1, 8, {"cursor": 1, "fact": 1})]


def test_a_cursor_that_is_no_longer_kept_is_refused() -> None:
    """A gap is never papered over: the subscriber is told to start anew."""
    state = State(events=deque(maxlen=2))
    feed(state, happened(1, 2, 3, 4))
    (refused,) = feed(state, listen(1, 1, n=8))
    assert isinstance(refused, Reply)
    assert (refused.connection, refused.n, code(refused)) == (1, 8, "expired")
    assert said(refused) == (
        "cursor 1 is not kept; events 3 to 4 are",
        "subscribe again without a cursor, after reading `tatami log`",
    )


def test_the_oldest_usable_cursor_is_taken() -> None:
    """The cursor just before the oldest kept event misses nothing."""
    state = State(events=deque(maxlen=2))
    feed(state, happened(1, 2, 3, 4))
    assert cursors(feed(state, listen(1, 2))) == [3, 4]


@pytest.mark.parametrize("after", [-1, 5, 10**12])
def test_a_cursor_that_never_was_is_refused(after: int) -> None:
    """A cursor of another repository, say, is an error and no silent wait."""
    state = State()
    feed(state, happened(1, 2, 3, 4))
    assert [code(effect) for effect in feed(state, listen(1, after))] == ["expired"]


def test_a_refused_subscriber_hears_nothing() -> None:
    """A refused subscription is none."""
    state = State()
    feed(state, happened(1), listen(1, 9))
    assert feed(state, happened(2)) == []


def test_a_subscriber_that_left_hears_nothing() -> None:
    """Events go only to connections that are there."""
    state = State()
    feed(state, listen(1, None), listen(2, None), Left(1))
    assert feed(state, happened(1)) == [Push(2, 3, {"cursor": 1, "fact": 1})]
