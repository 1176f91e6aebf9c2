"""Requests on the wire: what is spelled right is decoded, everything else is refused."""

import json

import msgspec
import pytest

from tatami.protocol import messages
from tatami.protocol.messages import REQUEST

ID = "0000000000000000000000aa:1"


def decode(**fields: object) -> messages.AnyRequest:
    """Decodes a header as the hub does."""
    request: messages.AnyRequest = REQUEST.decode(json.dumps(fields).encode())
    return request


def test_a_commit_is_decoded_with_its_defaults() -> None:
    """What a client leaves out has its documented default."""
    got = decode(verb="commit", n=1, id=ID, agent="a", message="m", changes=[["f", 33188, 3]])
    assert got == messages.Commit(
        n=1,
        id=ID,
        agent="a",
        message="m",
        changes=[("f", 0o100644, 3)],
        amend=False,
        allow_empty=False,
        expected=None,
        author=None,
        visible=True,
    )


@pytest.mark.parametrize(
    ("fields", "defaults"),
    [
        (
            {"verb": "agents", "id": ID, "names": []},
            {"base": None, "existing": False, "branches": False},
        ),
        ({"verb": "sync", "id": ID, "agent": "a"}, {"expected": None}),
        (
            {"verb": "undo", "id": ID, "agent": "a"},
            {"to": None, "expected": None, "step": None, "dry_run": False},
        ),
        ({"verb": "restore", "id": ID, "op": "abc"}, {"dry_run": False}),
        ({"verb": "land", "id": ID, "agents": ["a"]}, {"verify": None}),
        ({"verb": "queue-action", "id": ID, "action": "pause"}, {"entries": []}),
        ({"verb": "queue"}, {"wait": [], "done": False}),
        ({"verb": "log"}, {"revs": [], "all": False, "limit": None}),
        ({"verb": "hidden"}, {"skip": 0}),
        ({"verb": "op-log"}, {"limit": None, "starts": []}),
        ({"verb": "visible"}, {"agent": None}),
        ({"verb": "subscribe"}, {"after": None}),
    ],
    ids=lambda value: str(value.get("verb", "defaults")),
)
def test_what_is_left_out_asks_for_the_least(
    fields: dict[str, object], defaults: dict[str, object]
) -> None:
    """No flag is on, and no limit or filter set, unless the client says so."""
    got = decode(n=1, **fields)
    assert {name: getattr(got, name) for name in defaults} == defaults


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"verb": "hello", "version": "0.1.0"}, messages.Hello),
        ({"verb": "agents", "id": ID, "names": ["a"]}, messages.Agents),
        ({"verb": "reset", "id": ID, "agent": "a", "rev": "main"}, messages.Reset),
        ({"verb": "undo", "id": ID, "agent": "a", "to": "abc"}, messages.Undo),
        ({"verb": "restore", "id": ID, "op": "abc"}, messages.Restore),
        ({"verb": "retire", "id": ID, "agent": "a"}, messages.Retire),
        ({"verb": "land", "id": ID, "agents": ["a"]}, messages.Land),
        ({"verb": "queue-action", "id": ID, "action": "pause"}, messages.QueueAction),
        ({"verb": "queue"}, messages.Queue),
        ({"verb": "conflict", "entry": 3}, messages.Conflict),
        ({"verb": "status"}, messages.Status),
        ({"verb": "log", "all": True, "limit": 5}, messages.Log),
        ({"verb": "op-log"}, messages.OpLog),
        ({"verb": "read", "rev": "main", "paths": ["a"]}, messages.Read),
        ({"verb": "resolve", "rev": "main"}, messages.Resolve),
        ({"verb": "diff", "old": "a", "new": "b"}, messages.Diff),
        ({"verb": "subscribe", "after": 3}, messages.Subscribe),
        ({"verb": "stop"}, messages.Stop),
    ],
)
def test_every_verb_has_its_request(fields: dict[str, object], kind: type) -> None:
    """The verb alone decides which request it is."""
    assert type(decode(n=1, **fields)) is kind


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"n":1}',
        b'{"verb":"status"}',
        b'{"verb":"steal","n":1}',
        b'{"verb":"status","n":"1"}',
        b'{"verb":"status","n":1,"extra":true}',
        b'{"verb":"commit","n":1,"id":"x","agent":"a","message":"m"}',
        b'{"verb":"commit","n":1,"id":"x","agent":"a","message":"m","changes":[["f"]]}',
        b'{"verb":"commit","n":1,"id":"x","agent":"a","message":"m","changes":[["f",1,1.5]]}',
        b'{"verb":"queue-action","n":1,"id":"x","action":"explode"}',
        b'{"verb":"status","n":1}\xff',
    ],
)
def test_what_is_not_a_request_is_refused(header: bytes) -> None:
    """Missing, misspelled, surplus and ill-typed fields are errors, never guesses."""
    with pytest.raises(msgspec.DecodeError):
        REQUEST.decode(header)


def test_every_request_that_changes_something_has_an_id() -> None:
    """Exactly the mutations carry a command id; questions need none."""
    kinds = messages.AnyRequest.__args__
    with_id = {kind for kind in kinds if "id" in kind.__struct_fields__}
    assert with_id == set(messages.Mutation.__args__)
