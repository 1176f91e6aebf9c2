"""Model agents: they ask, wait, resend what got no answer, die, and write down what they were told.

An agent's log is outside of everything that can fail; the invariants are judged by it.
"""

from typing import TYPE_CHECKING

from tatami.protocol.hub import Json
from tatami.testing.simulator.client import Client, Command, Told
from tatami.values.ids import incarnation

if TYPE_CHECKING:
    from tatami.testing.simulator.world import World

WAIT_S = (1.0, 4.0)
"""How long an agent waits for an answer before it asks again."""
NEW_SHARE = 0.3
"""Commands that are sent by a new client: every run of a verb is one."""
ALONE_REFUSED_MAX = 10
"""Times that a client which was never answered may be told that it was forgotten."""


class Agent(Client):
    """A named writer that does one thing after the other."""

    def __init__(self, world: "World", name: str, lead: bool) -> None:
        super().__init__(world)
        self.name = name
        self.left = world.plan.requests
        self.closing = False
        self.done = False
        self.entries: list[int] = []
        self.verdicts: list[tuple[int, str, str]] = []
        """Entries that the hub said are finished: the state and its reason."""
        self.horizon = ""
        self._lead = lead
        self._life = 0
        self._joined = False
        self._paused = False
        self._resumed = False
        self._failed: list[int] = []
        self._unsure: list[int] = []
        self._mine: list[Command] = []
        self._asked: tuple[Json, bytes, Command | None] | None = None
        self._asked_n = 0
        self._asks = 0
        self._resent = False
        self._refused = 0
        self._again: Command | None = None
        self._new_incarnation()

    def _new_incarnation(self) -> None:
        """Newer than what the hub has forgotten, though this machine's clock may be older."""
        second, random = int(self.world.clock.time()), self.world.rng.getrandbits(64)
        self._incarnation = incarnation(second, f"{random:016x}", self.horizon)
        self._sequence = 0

    def die(self) -> None:
        """The process ends without a word; another one takes its place."""
        if self.wire:
            self.wire.close()
        self._asked = self._again = None
        self._life += 1
        # Whether it had paused the queue it does not remember.
        self._paused = self._lead
        self._new_incarnation()
        self._soon()

    def begin(self) -> None:
        """Starts to work."""
        self._soon()

    def close(self) -> None:
        """The lead's last duty: the queue goes on, and is waited for."""
        self.closing, self.done = True, False
        self._soon()

    def _soon(self) -> None:
        life = self._life
        pause = 0.01 + 0.3 * self.world.rng.random()
        self.world.agenda.after(pause, lambda: self._next() if life == self._life else None)

    def _next(self) -> None:
        """Chooses what to do next."""
        if self._asked or self.done:
            return
        if not self.left and not self.closing:
            self.done = not self._paused
            if self.done:
                return
        self.left = max(0, self.left - 1)
        if not self._joined:
            self._command("agents", {"names": [self.name], "existing": True})
        elif self.closing or (self._paused and self.world.rng.random() < 0.5) or not self.left:
            self._finish()
        else:
            self._choose()

    def _finish(self) -> None:
        """Resumes what it paused; the lead, at the end, also waits for all that is queued."""
        if not self._lead:
            self._choose()
        elif self.closing and not self._paused and self._resumed:
            self._ask({"verb": "queue", "wait": self.entries}, b"", None)
        else:
            self._command("queue-action", {"action": "resume", "entries": []})

    def _choose(self) -> None:
        rng = self.world.rng
        choice = rng.random()
        unsure, self._unsure = self._unsure, []
        if unsure:
            self._ask({"verb": "queue", "wait": unsure}, b"", None)
        elif choice < 0.49:
            self._commit()
        elif choice < 0.66:
            verify = "true" if rng.random() < 0.4 else None
            self._command("land", {"agents": [self.name], "verify": verify})
        elif choice < 0.72 and self.entries and not self._paused:
            self._ask({"verb": "queue", "wait": self.entries[-2:]}, b"", None)
        elif choice < 0.82 and (self._failed or self.entries):
            numbers = [rng.choice(self._failed or self.entries)]
            action = "retry" if rng.random() < 0.6 else "reject"
            self._command("queue-action", {"action": action, "entries": numbers})
        elif choice < 0.88 and self._lead:
            self._command("queue-action", {"action": "pause", "entries": []})
        elif choice < 0.92:
            verb = rng.choice(("reset", "retire"))
            rev: Json = {"rev": "main"} if verb == "reset" else {}
            self._command(verb, {"agent": self.name, **rev})
        elif choice < 0.98 and self._mine:
            old = rng.choice(self._mine[-4:])
            self._ask({"verb": old.verb, "id": old.id, **old.fields}, old.body, old)
        else:
            bad: Json = {"agent": "no/name", "message": "m", "changes": []}
            self._command("commit", bad if rng.random() < 0.5 else bad | {"agent": self.name})

    def _commit(self) -> None:
        body = f"{self._incarnation}:{self._sequence + 1}".encode()
        path = f"f{self.world.rng.randrange(self.world.plan.paths)}"
        changes = [[path, 0o100644, len(body)]]
        fields: Json = {"agent": self.name, "message": "m", "changes": changes, "visible": False}
        self._command("commit", fields, body)

    def _command(self, verb: str, fields: Json, body: bytes = b"") -> None:
        if self.world.rng.random() < NEW_SHARE:
            self._new_incarnation()
        self._sequence += 1
        id = f"{self._incarnation}:{self._sequence}"
        command = Command(id, self.name, verb, fields, body, self.world.clock.monotonic())
        self.world.commands[id] = command
        self._mine.append(command)
        self._ask({"verb": verb, "id": id, **fields}, body, command)

    def _ask(self, header: Json, body: bytes, command: Command | None) -> None:
        self._asked = header, body, command
        self._asks += 1
        self._resent = False
        if self.wire is None:
            self.reconnect()
        else:
            self._send()

    def connected(self) -> None:
        """Resends what was not answered."""
        if self._asked:
            self._send()

    def _send(self) -> None:
        assert self._asked
        header, body, _ = self._asked
        self._asked_n = self.send(header, (body,))
        asks = self._asks
        patience = self.world.rng.uniform(*WAIT_S)
        self.world.agenda.after(patience, lambda: self._tired(asks))

    def _tired(self, asks: int) -> None:
        """No answer yet: asks again, on the same connection or on another."""
        if asks != self._asks or self._asked is None:
            return
        self._resent = True
        if self.wire and self.world.rng.random() < 0.5:
            self._send()
            return
        if self.wire:
            self.wire.close()
        self.reconnect()

    def lost(self) -> None:
        """Asks the next hub."""
        super().lost()
        if self._asked:
            self._resent = True
            self.reconnect()

    def received(self, answer: Json) -> None:
        """Takes an answer to what was asked last; others are of requests that were sent twice."""
        result = answer.get("result")
        if isinstance(result, dict) and "horizon" in result:
            self.horizon = str(result["horizon"])
        if answer["n"] != self._asked_n or self._asked is None:
            return
        header, _, command = self._asked
        self._asked = None
        code = str(answer.get("code", "done"))
        self.world.saw("outcome", str(header["verb"]), code)
        if command:
            told = Told(self.world.clock.monotonic(), self.world.life, answer | {"n": 0})
            command.answers.append(told)
            if code == "done":
                self.world.agenda.after(0.0, self.world.faults.answered)
        if code == "expired" and command and not self._resent and len(command.answers) == 1:
            self._was_forgotten(command)
            return
        if header["verb"] == "hello":
            self._ask_again()
            return
        self._refused = 0
        if command is None or sum("result" in told.answer for told in command.answers) <= 1:
            self._learn(header, answer, code)
        self._soon()

    def _was_forgotten(self, command: Command) -> None:
        """The hub has forgotten this client, and was never asked this before: under another id."""
        self._refused += 1
        if self._refused > ALONE_REFUSED_MAX:
            self.world.violated("live", f"{self.name} is refused as forgotten, and is new")
            self._refused = 0
        self._again = command
        self._ask({"verb": "hello", "version": "simulated"}, b"", None)

    def _ask_again(self) -> None:
        """Now that it is known what was forgotten, as a client that is newer."""
        again, self._again = self._again, None
        assert again
        self._new_incarnation()
        self._command(again.verb, again.fields, again.body)

    def _learn(self, header: Json, answer: Json, code: str) -> None:
        result = answer.get("result")
        if code == "unknown_agent":
            self._joined = False
        if header["verb"] == "queue-action" and code == "no_space" and not self._paused:
            # What has become of it?
            self._unsure = [n for n in self.entries if n in _numbers(header["entries"])]
        if not isinstance(result, dict):
            return
        match header["verb"]:
            case "agents":
                self._joined = True
            case "retire":
                self._joined = False
            case "land":
                self.entries += [n for n in result["entries"] if n not in self.entries]
            case "queue":
                found = [(e["entry"], e["state"], e["reason"]) for e in result["entries"]]
                self._failed = [number for number, state, _ in found if state != "landed"]
                self.verdicts += found
                self.done = self.closing
            case "queue-action":
                self._paused = self._lead and bool(result["paused"])
                self._resumed = not result["paused"]


def _numbers(value: object) -> list[int]:
    assert isinstance(value, list)
    return value
