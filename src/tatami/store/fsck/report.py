"""What a check found: problems, and how much was looked at."""

from dataclasses import dataclass, field

from tatami.store.locate import Marker, Place


@dataclass(frozen=True, slots=True)
class Problem:
    """A broken invariant: which one, where, and what is wrong."""

    invariant: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """How much of what was looked at, and what is wrong."""

    checked: dict[str, int]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def as_json(self) -> dict[str, object]:
        """The report as `tatami fsck --json` prints it."""
        problems = [
            {"invariant": p.invariant, "where": p.where, "what": p.what} for p in self.problems
        ]
        return {"ok": self.ok, "checked": self.checked, "problems": problems}


@dataclass(slots=True)
class Look:
    """One look at the repository: counts and problems as they are found."""

    place: Place
    marker: Marker
    quick: bool
    checked: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def found(self, invariant: str, where: str, what: str) -> None:
        """Notes a problem; what is wrong becomes one line."""
        self.problems.append(Problem(invariant, where, " ".join(what.split())))

    def has(self, *invariants: str) -> bool:
        """Whether one of these is broken."""
        return any(problem.invariant in invariants for problem in self.problems)
