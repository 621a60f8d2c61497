"""The simulated class of the demo: everybody has a name, and five of them a story of their own.

A story is only how a pupil works: what others see of it (who needs help, advice, forecasts) follows from their events.
"""

from collections.abc import Iterator
from itertools import chain
from random import Random

import msgspec

from mastery_engine.domain.events.kinds import Answer, Consistency, Execution, Help, Quiz
from mastery_engine.domain.moments import MINUTE, Day, Micros, day_of
from mastery_engine.lab.simulate.classes import BEST_KNOWN, Pupil, Step, pupils

AWAY_DAYS = 14
STUCK_DAYS = 9
SOLVED_BEFORE_LOOPS = 6
TEST_EVERY, CRAM_DAYS = 14, (1, 2)  # days from one test to the next, and how long before today the newest cramming was
CRAMMED = 4  # sittings
NEW_SINCE: Micros = 45 * MINUTE

FIRST_NAMES = (
    *("Amira", "Jonas", "Mei", "Tomás", "Lena", "Kofi", "Zoë", "Ravi", "Ingrid", "Diego", "Hana", "Samuel"),
    *("Fatima", "Luca", "Priya", "Oskar", "Chloé", "Yusuf", "Marta", "Daniel", "Aiko", "Elif", "Noah", "Carmen"),
    *("Ivan", "Leila", "Ben", "Sofía", "Mateo", "Nadia", "Finn", "Thandi", "Pavel", "Rosa", "Omar", "Greta"),
)
LAST_NAMES = (
    *("Haddad", "Weber", "Lin", "Rivera", "Novak", "Mensah", "Martin", "Iyer", "Dahl", "Castro", "Sato", "Okoye"),
    *("Rahman", "Ferri", "Nair", "Berg", "Dubois", "Demir", "Kowalska", "Cohen", "Mori", "Kaya", "Brown", "Vega"),
    *("Petrov", "Nasser", "Fischer", "Moreno", "Silva", "Aziz", "Byrne", "Dlamini", "Marek", "Santos", "Farah", "Holm"),
)


CLASS_NAME = "Python for beginners"
STAFF = {"teacher": "Nora Lindqvist", "operator": "Sam Achterberg"}  # by the ``sub`` of their doors


class Story(msgspec.Struct, frozen=True):
    """A student whom the demo offers by name, and what is told of them."""

    code: str
    student_id: str


STORIES = (
    Story("steady", BEST_KNOWN),
    Story("soars", "student_20001"),
    Story("stuck", "student_20002"),
    Story("vanished", "student_20003"),
    Story("crams", "student_20004"),
    Story("new", "student_20005"),
)


class _Soaring(Pupil):
    """Learns fast, forgets little, and works nearly every day."""

    def __init__(self, student_id: str, chance: Random) -> None:
        super().__init__(student_id, chance)
        self.talent, self.diligence, self.forgets_in, self.confident = 2.2, 0.95, 120.0, 0.85


class _Stuck(Pupil):
    """Gets through the basics slowly; then nothing with a loop in it runs, for days."""

    def __init__(self, student_id: str, chance: Random, today: Day) -> None:
        super().__init__(student_id, chance)
        self.talent, self.diligence = 0.6, 0.5
        self._since, self._yesterday = today - STUCK_DAYS, today - 1

    def works_on(self, day: Day) -> bool:
        return super().works_on(day) or day in (self._since, self._yesterday)

    def sitting(self, day: Day) -> Iterator[Step]:
        return super().sitting(day) if day < self._since else self._on_loops(day)

    def _topic(self) -> str:
        return "basics" if self.done["basics"] < self.total["basics"] else "control-flow"

    def _exercise(self, topic: str, day: Day) -> Iterator[Step]:
        if topic != "control-flow" or self.done[topic] < SOLVED_BEFORE_LOOPS:
            yield from super()._exercise(topic, day)

    def _on_loops(self, day: Day) -> Iterator[Step]:
        self._mark(day)
        for _ in range(self.chance.randint(2, 3)):
            took = round(self.chance.uniform(60.0, 150.0), 1)
            yield took, Execution("error", "loops", "loops-3", "TypeError", took)
        yield 20.0, Help("loops", "I'm stuck on this one: my loop never ends.")
        for _ in range(2):
            item = f"loops-q{self.chance.randint(1, 12)}"
            yield 40.0, Answer(item, ("control-flow", "loops"), correct=False, attempts=1, duration=35.0)
        yield 30.0, Answer("variables-q3", ("basics", "variables"), correct=True, attempts=1, duration=20.0)
        if self.chance.random() < 0.3:
            yield 200.0, Quiz(8, self.chance.randint(1, 3), "loops", "loops-quiz", 180.0, 0.3)
        yield 30.0, Consistency(current_streak=self._streak, max_streak=self._longest, days_since_last_activity=0)


class _Vanished(Pupil):
    """Worked well until a day, and was not seen since."""

    is_here = False

    def __init__(self, student_id: str, chance: Random, last: Day) -> None:
        super().__init__(student_id, chance)
        self.talent, self.diligence, self._last = 0.7, 0.8, last

    def works_on(self, day: Day) -> bool:
        return day == self._last or (day < self._last and super().works_on(day))


class _Cramming(Pupil):
    """Does nothing for days, then everything in two evenings before a test, and forgets it soon."""

    is_here = False

    def __init__(self, student_id: str, chance: Random, today: Day) -> None:
        super().__init__(student_id, chance)
        self.talent, self.forgets_in, self.hour, self._today = 0.8, 12.0, 20.0, today

    def works_on(self, day: Day) -> bool:
        return (self._today - day) % TEST_EVERY in CRAM_DAYS

    def sitting(self, day: Day) -> Iterator[Step]:
        return chain.from_iterable(super(_Cramming, self).sitting(day) for _ in range(CRAMMED))


class _New(Pupil):
    """Came into the class a while ago today."""

    def __init__(self, student_id: str, chance: Random, since: Micros) -> None:
        super().__init__(student_id, chance)
        self.talent, self._since = 0.5, since

    def works_on(self, day: Day) -> bool:
        return day == day_of(self._since)

    def begins(self, day: Day) -> Micros:  # noqa: ARG002
        return self._since


def class_with_stories(students: int, seed: int, until: Micros) -> list[Pupil]:
    """The class of that size whose stories fit the moment ``until``; the best-known student comes first."""
    today = day_of(until)
    class_ = pupils(students, seed)
    for place, pupil in enumerate(class_):
        student_id, chance = pupil.student_id, Random(f"{seed}/{pupil.student_id}/story")  # nosec B311
        match next((one.code for one in STORIES if one.student_id == student_id), ""):
            case "soars":
                class_[place] = _Soaring(student_id, chance)
            case "stuck":
                class_[place] = _Stuck(student_id, chance, today)
            case "vanished":
                class_[place] = _Vanished(student_id, chance, today - AWAY_DAYS)
            case "crams":
                class_[place] = _Cramming(student_id, chance, today)
            case "new":
                class_[place] = _New(student_id, chance, until - NEW_SINCE)
    return class_


def names_of(class_: list[Pupil]) -> dict[str, str]:
    """The name of each in the class, no two the same, as long as the names last."""
    names = (f"{first} {last}" for first, last in zip(FIRST_NAMES, LAST_NAMES, strict=True))
    return {pupil.student_id: name for pupil, name in zip(class_, names, strict=False)}
