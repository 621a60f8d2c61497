"""Classes of many kinds, to try on them what was fitted elsewhere; nothing here knows how a forecast is made.

A ``ClassPlan`` says how a class differs from others: its pace and length, what kinds of events its platform sends, when
its students begin, when work is due, how it is graded, who gives up. ``CLASSES`` are 24 of them, written by hand to be
unlike one another; ``drawn_plan`` draws any number of others. The same plan and seed give the same events.
"""

from collections.abc import Iterator
from itertools import count
from math import exp, log, log2
from random import Random
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.events.envelope import Scalar
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import Answer, Completion, Consistency, Data, Execution, Help, Quality, Quiz
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Day, Micros

Kind: TypeAlias = Literal["completion", "quiz", "quality", "answer", "consistency", "execution"]
SOURCE = "simulated-classes"
WEEK = 7
DIFFICULTIES: tuple[Literal["beginner", "intermediate", "advanced"], ...] = ("beginner", "intermediate", "advanced")
EVEN = (1.0,) * WEEK
SCHOOL_WEEK = (1.0, 1.0, 1.0, 1.0, 0.8, 0.2, 0.4)
EVENING_CLASS = (0.2, 1.6, 0.2, 1.6, 0.2, 0.2, 0.2)
WEEKENDS = (0.2, 0.2, 0.2, 0.2, 0.3, 2.0, 1.8)


class ClassPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a class differs from others.

    ``mix`` is how many events of each kind one piece of work brings on average. ``activity`` is the mean chance of a
    day with work, ``pieces`` the mean number of pieces on such a day, ``weekdays`` what each day of the week, from the
    class's first day on, is to the mean. ``due_every`` is in weeks (0: nothing is ever due); what is due draws ``rush``
    times as much work in the two days before it. ``late_start`` is the share of the class's length over which students
    enrol; ``gives_up`` and ``pauses`` are chances a week. ``ability`` (in logits) has a spread between students of
    ``talents``, and rises by ``learning`` for each doubling of the work done; ``strictness`` is taken from it in
    grades, which scatter by ``noise``; all share a shock of ``weeks_differ``, another each week. ``opens`` is whether
    topics open one by one over the term, and ``topics`` of ``exercises`` each there are.
    """

    name: str
    students: int = 40
    weeks: int = 12
    mix: tuple[tuple[Kind, float], ...] = (("completion", 0.6), ("quiz", 0.3), ("quality", 0.3))
    activity: float = 0.35
    pieces: float = 2.0
    weekdays: tuple[float, ...] = EVEN
    due_every: int = 0
    rush: float = 1.0
    idle_between: float = 1.0
    late_start: float = 0.0
    gives_up: float = 0.01
    pauses: float = 0.02
    ability: float = 0.5
    talents: float = 0.8
    learning: float = 0.15
    strictness: float = 0.0
    noise: float = 0.5
    weeks_differ: float = 0.2
    opens: bool = False
    topics: int = 8
    exercises: int = 10
    questions: int = 8
    holidays: tuple[tuple[int, int], ...] = ()

    @property
    def cohort(self) -> str:
        return f"class-{self.name}"

    @property
    def days(self) -> int:
        return self.weeks * WEEK

    def due_days(self) -> tuple[int, ...]:
        """The days, from the first (0) on, on which work is due."""
        step = self.due_every * WEEK
        return tuple(range(step - 2, self.days, step)) if step else ()


def class_events(plan: ClassPlan, *, seed: int, first: Day) -> list[LearningEvent]:
    """What the class does from the day ``first`` on, in the order of time, each event received at its own time."""
    shocks = Random(f"{seed}/{plan.name}/weeks")  # nosec B311
    by_week = [shocks.gauss(0.0, plan.weeks_differ) for _ in range(plan.weeks + 1)]
    events: list[LearningEvent] = []
    for number in range(plan.students):
        student = _SimulatedStudent(plan, by_week, Random(f"{seed}/{plan.name}/{number}"))  # nosec B311
        events += student.events(f"{plan.cohort}-{number}", f"{seed}", first)
    return sorted(events, key=lambda event: (event.at, event.event_id))


class _SimulatedStudent:
    """One student: when they work, and what comes of it."""

    def __init__(self, plan: ClassPlan, shocks: list[float], chance: Random) -> None:
        self._plan = plan
        self._shocks = shocks
        self._chance = chance
        self._talent = plan.ability + chance.gauss(0.0, plan.talents)
        self._diligence = exp(chance.gauss(0.0, 0.5))
        self._begins = round(chance.random() * plan.late_start * plan.days)
        self._lead = chance.choice((0, 0, 1, 1, 2, 4))
        self._hour = chance.uniform(7.0, 21.0)
        self._work = 0
        self._done = [0] * plan.topics
        self._streak = 0
        self._last_active = -2

    def events(self, student_id: str, seed: str, first: Day) -> Iterator[LearningEvent]:
        numbers = count()
        for day in self._days():
            at: Micros = (first + day) * DAY + round((self._hour + self._chance.uniform(-1.0, 1.0)) * 60 * MINUTE)
            self._streak = self._streak + 1 if day == self._last_active + 1 else 1
            self._last_active = day
            for data in self._sitting(day):
                at += round(self._chance.uniform(10.0, 400.0)) * SECOND
                event_id = derived_id("varied", seed, student_id, str(next(numbers)))
                named: dict[str, Scalar] = {"cohort_id": self._plan.cohort}
                yield LearningEvent(event_id, student_id, at, at, data, source=SOURCE, metadata=named)

    def _days(self) -> Iterator[int]:
        """The days with work."""
        plan, chance = self._plan, self._chance
        away_until = 0
        for day in range(self._begins, plan.days):
            if day % WEEK == 0:
                if chance.random() < plan.gives_up:
                    return
                if chance.random() < plan.pauses:
                    away_until = day + chance.randint(7, 28)
            holiday = any(start <= day // WEEK < start + length for start, length in plan.holidays)
            wish = plan.activity * self._diligence * plan.weekdays[day % WEEK] * self._urgency(day)
            if day == self._begins or (day >= away_until and chance.random() < wish * (0.05 if holiday else 1.0)):
                yield day

    def _urgency(self, day: int) -> float:
        due = self._plan.due_days()
        if not due:
            return 1.0
        near = any(0 <= one - self._lead - day <= 1 for one in due)
        return self._plan.rush if near else self._plan.idle_between

    def _sitting(self, day: int) -> Iterator[Data]:
        plan, chance = self._plan, self._chance
        for _ in range(1 + _poisson(chance, max(0.0, plan.pieces * min(1.5, self._urgency(day)) - 1.0))):
            self._work += 1
            for kind, mean in plan.mix:
                for _ in range(_poisson(chance, mean)):
                    data = self._piece(kind, day)
                    if data is not None:
                        yield data

    def _right(self, day: int) -> float:
        """The chance of a right answer now."""
        plan = self._plan
        logit = self._talent + plan.learning * log2(1.0 + self._work) - plan.strictness
        return _logistic(logit + self._shocks[day // WEEK] + self._chance.gauss(0.0, plan.noise))

    def _piece(self, kind: Kind, day: int) -> Data | None:
        chance = self._chance
        open_topics = self._open(day)
        topic = chance.choice(open_topics[-3:])
        match kind:
            case "completion":
                return self._completion(open_topics)
            case "quiz":
                right = self._right(day)
                correct = sum(chance.random() < right for _ in range(self._plan.questions))
                return Quiz(self._plan.questions, correct, f"topic-{topic}")
            case "quality":
                right = self._right(day)
                code, works, efficient = (round(_cut(right + chance.gauss(0.0, 0.08)), 2) for _ in range(3))
                return Quality(code, works, efficient)
            case "answer":
                item = chance.randrange(20)
                correct = chance.random() < self._right(day)
                return Answer(f"item-{topic}-{item}", (f"skill-{topic}",), correct)
            case "consistency":
                return Consistency(current_streak=self._streak, days_since_last_activity=0)
            case "execution":
                if chance.random() < 0.1:
                    return Help(f"topic-{topic}")
                outcome: Literal["success", "error"] = "success" if chance.random() < self._right(day) else "error"
                return Execution(outcome, f"topic-{topic}")

    def _completion(self, open_topics: list[int]) -> Data | None:
        """One exercise more of the first topic that is not done, where it is solved; None where all are done."""
        total = self._plan.exercises
        left = [topic for topic in open_topics if self._done[topic] < total]
        if not left:
            return None
        topic = left[0] if self._chance.random() < 0.8 else self._chance.choice(left)
        if self._chance.random() < _logistic(self._talent + 1.0):
            self._done[topic] += 1
        return Completion(total, self._done[topic], DIFFICULTIES[topic * 3 // self._plan.topics], f"topic-{topic}")

    def _open(self, day: int) -> list[int]:
        plan = self._plan
        many = plan.topics if not plan.opens else 1 + day * plan.topics // plan.days
        return list(range(min(plan.topics, many)))


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + exp(-logit))


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))


def _poisson(chance: Random, mean: float) -> int:
    """A draw from Poisson's distribution by multiplication (Knuth 1969)."""
    limit, drawn, product = exp(-mean), 0, chance.random()
    while product > limit:
        drawn += 1
        product *= chance.random()
    return drawn


ALL: tuple[tuple[Kind, float], ...] = (
    ("completion", 0.5),
    ("quiz", 0.2),
    ("quality", 0.3),
    ("answer", 0.6),
    ("consistency", 0.3),
    ("execution", 1.0),
)

CLASSES: tuple[ClassPlan, ...] = (
    ClassPlan(name="all-kinds", mix=ALL, weeks=12, weekdays=SCHOOL_WEEK),
    ClassPlan(name="quiz-only", mix=(("quiz", 1.0),), weeks=16, activity=0.2, pieces=1.0),
    ClassPlan(name="completions-only", mix=(("completion", 1.0),), weeks=14, opens=True),
    ClassPlan(name="answers-only", mix=(("answer", 2.0),), weeks=10, activity=0.4, students=60),
    ClassPlan(name="quality-heavy", mix=(("quality", 1.0), ("completion", 0.2)), weeks=12, noise=0.9),
    ClassPlan(name="bootcamp", mix=ALL, weeks=4, students=120, activity=0.8, pieces=5.0, weekdays=SCHOOL_WEEK),
    ClassPlan(name="six-weeks", mix=ALL, weeks=6, students=80, activity=0.5, learning=0.3),
    ClassPlan(
        name="school-year", mix=ALL, weeks=40, students=24, weekdays=SCHOOL_WEEK, holidays=((10, 1), (16, 2), (28, 2))
    ),
    ClassPlan(name="rolling", mix=ALL, weeks=26, students=60, late_start=0.8),
    ClassPlan(name="two-starts", weeks=20, students=50, late_start=0.4, opens=True),
    ClassPlan(name="weekly-due", weeks=12, due_every=1, rush=2.5, idle_between=0.3, opens=True, weekdays=SCHOOL_WEEK),
    ClassPlan(
        name="monthly-due", weeks=24, due_every=4, rush=3.0, idle_between=0.15, mix=(("quiz", 0.4), ("quality", 0.6))
    ),
    ClassPlan(name="harsh", mix=ALL, weeks=12, strictness=2.0, noise=0.8),
    ClassPlan(name="generous", mix=ALL, weeks=12, strictness=-2.0, noise=0.3),
    ClassPlan(name="noisy", mix=(("quiz", 0.5), ("answer", 0.5)), weeks=14, noise=1.6, questions=3, weeks_differ=0.6),
    ClassPlan(name="many-give-up", mix=ALL, weeks=20, students=80, gives_up=0.10, pauses=0.05),
    ClassPlan(name="on-and-off", mix=ALL, weeks=18, students=50, pauses=0.25),
    ClassPlan(name="evening", mix=(("completion", 0.7), ("quiz", 0.3)), weeks=20, weekdays=EVENING_CLASS, activity=0.5),
    ClassPlan(name="weekend", mix=ALL, weeks=16, weekdays=WEEKENDS, activity=0.25, students=50),
    ClassPlan(name="slow", mix=(("completion", 0.8), ("quiz", 0.2)), weeks=30, activity=0.08, pieces=1.0, students=50),
    ClassPlan(name="rush-job", mix=(("completion", 1.0), ("consistency", 0.5)), weeks=8, students=70, pieces=4.0),
    ClassPlan(
        name="exams", mix=(("quiz", 0.8),), weeks=24, due_every=6, rush=6.0, idle_between=0.05, questions=40, pieces=1.0
    ),
    ClassPlan(name="mastery", mix=ALL, weeks=16, learning=0.5, ability=-1.0, talents=0.4, noise=0.3),
    ClassPlan(name="clicks", mix=(("consistency", 1.0), ("quiz", 0.05)), weeks=20, activity=0.5, pieces=1.0),
)


def drawn_plan(number: int) -> ClassPlan:
    """A plan drawn by its number, from wider ranges than those of ``CLASSES``."""
    chance = Random(f"plan/{number}")  # nosec B311
    kinds: list[Kind] = ["completion", "quiz", "quality", "answer", "consistency", "execution"]
    scored: list[Kind] = ["completion", "quiz", "quality", "answer"]
    chosen = {chance.choice(scored), *chance.sample(kinds, chance.choice((0, 1, 2, 4)))}
    due_every = chance.choice((0, 0, 0, 1, 1, 2, 4, 6))
    weeks = round(exp(chance.uniform(log(4), log(40))))
    holidays = (
        ((chance.randrange(2, weeks), chance.choice((1, 1, 2, 3))),) if weeks > 8 and chance.random() < 0.4 else ()
    )
    return ClassPlan(
        name=f"drawn-{number}",
        students=round(exp(chance.uniform(log(15), log(120)))),
        weeks=weeks,
        mix=tuple((kind, round(exp(chance.gauss(-0.8, 0.8)), 3)) for kind in kinds if kind in chosen),
        activity=round(exp(chance.uniform(log(0.06), log(0.8))), 3),
        pieces=round(exp(chance.uniform(0.0, log(5))), 3),
        weekdays=chance.choice((EVEN, EVEN, SCHOOL_WEEK, EVENING_CLASS, WEEKENDS)),
        due_every=due_every,
        rush=chance.uniform(1.5, 6.0),
        idle_between=chance.choice((1.0, 0.5, 0.2, 0.05)),
        late_start=chance.choice((0.0, 0.0, 0.0, 0.2, 0.5, 0.9)),
        gives_up=chance.choice((0.0, 0.0, 0.01, 0.03, 0.08)),
        pauses=chance.choice((0.0, 0.02, 0.05, 0.2)),
        ability=chance.gauss(0.3, 0.8),
        talents=chance.uniform(0.2, 1.5),
        learning=chance.choice((0.0, 0.1, 0.2, 0.4)),
        strictness=chance.gauss(0.0, 1.2),
        noise=chance.uniform(0.1, 1.5),
        weeks_differ=chance.choice((0.0, 0.1, 0.3, 0.8)),
        opens=chance.random() < 0.5,
        topics=chance.choice((3, 6, 10, 20)),
        exercises=chance.choice((3, 8, 15, 40)),
        questions=chance.choice((1, 3, 5, 10, 30)),
        holidays=holidays,
    )
