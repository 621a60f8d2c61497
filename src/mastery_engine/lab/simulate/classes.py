"""A simulated class that works as a real one does; the same seed gives the same class.

A pupil has a true strength in each skill, which practice raises (less, the stronger one is) and time away lowers
(exponentially), and habits: how often and at what hour. What a pupil does follows from these by chance: runs that fail,
questions, exercises done, quizzes, reviews. The engine knows nothing of them.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from math import exp
from random import Random
from typing import TypeAlias

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import (
    Answer,
    Completion,
    Consistency,
    Data,
    Difficulty,
    Execution,
    Help,
    Quality,
    Quiz,
)
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Day, Micros, day_of

BEST_KNOWN = "student_12345"
BEST_KNOWN_EVERY = 4
COHORT = "py-101"
SOURCE = "simulated-class"

SKILLS: dict[str, tuple[str, ...]] = {
    "basics": ("variables", "types", "input-output"),
    "control-flow": ("conditionals", "loops"),
    "data-structures": ("lists", "dictionaries", "list-comprehensions"),
    "functions": ("parameters", "scope", "recursion"),
    "oop": ("classes", "inheritance"),
    "files": ("reading-files", "writing-files"),
    "errors": ("exceptions", "debugging"),
    "libraries": ("imports", "json", "http-clients"),
}
TOPICS = tuple(SKILLS)
FIRST_SET, NEXT_SET = 12, 6
DIFFICULTIES: tuple[Difficulty, ...] = ("beginner", "intermediate", "advanced")
ERRORS = ("NameError", "TypeError", "IndexError", "KeyError", "SyntaxError", "AttributeError", "ValueError")
CRIES = (
    "I'm stuck on this one.",
    "I don't understand why this fails.",
    "Could you show me an example?",
    "What does this error mean?",
)

Step: TypeAlias = tuple[float, Data]


class Pupil:
    """One simulated student; ``sitting`` lets them work, and moves them.

    Who ``is_here`` takes part in a living class.
    """

    is_here = True

    def __init__(self, student_id: str, chance: Random) -> None:
        self.student_id = student_id
        self.chance = chance
        well_known = student_id == BEST_KNOWN
        self.talent = chance.gauss(0.4, 0.7) if not well_known else 0.9
        self.diligence = chance.uniform(0.25, 0.95) if not well_known else 0.9
        self.forgets_in = chance.uniform(15.0, 60.0)  # days until 1/e of a skill is left
        self.hour = min(max(chance.gauss(16.0, 3.0), 7.0), 20.0)
        self.confident = min(max(chance.gauss(0.65, 0.15), 0.2), 1.0)
        self.done = dict.fromkeys(TOPICS, 0)
        self.total = dict.fromkeys(TOPICS, FIRST_SET)
        self._strength = {skill: (0.0, 0) for skills in SKILLS.values() for skill in skills}
        self._streak, self._longest = 0, 0
        self._active: Day | None = None

    def resume(self, progress: Mapping[str, tuple[int, int]]) -> None:
        """Go on from exercises done before, (done, total) by topic, which running totals never fall behind."""
        for topic, (done, total) in progress.items():
            if topic in SKILLS and done >= self.done[topic]:
                self.done[topic], self.total[topic] = done, max(total, self.total[topic])

    def works_on(self, day: Day) -> bool:
        """Whether this is a day to work; weekends (day 0 was a Thursday) less often are."""
        weekend = (day + 3) % 7 >= 5
        return self.chance.random() < self.diligence * (0.5 if weekend else 1.0)

    def begins(self, day: Day) -> Micros:
        """When the sitting of a day begins."""
        return day * DAY + round((self.hour + self.chance.uniform(-1.5, 1.5)) * 60 * MINUTE)

    def sitting(self, day: Day) -> Iterator[Step]:
        """What is done in one sitting: seconds since the last thing, and what."""
        self._mark(day)
        topic = self._topic()
        for _ in range(self.chance.randint(1, 3)):
            yield from self._exercise(topic, day)
        if self.chance.random() < 0.45:
            yield from self._review(day)
        if self.chance.random() < 0.35:
            yield 90.0, self._quiz(topic, day)
        yield 30.0, Consistency(current_streak=self._streak, max_streak=self._longest, days_since_last_activity=0)

    def knows(self, skill: str, day: Day) -> float:
        """The probability of getting an exercise of a skill right, on a day (logistic in strength and talent)."""
        strength, practised = self._strength[skill]
        return 1.0 / (1.0 + exp(0.8 - self.talent - strength * exp((practised - day) / self.forgets_in)))

    def _practise(self, skill: str, day: Day) -> None:
        strength, practised = self._strength[skill]
        left = strength * exp((practised - day) / self.forgets_in) if practised else 0.0
        self._strength[skill] = (left + 0.35 / (1.0 + 0.5 * left), day)

    def _mark(self, day: Day) -> None:
        if self._active == day:
            return
        self._streak = self._streak + 1 if self._active == day - 1 else 1
        self._longest = max(self._longest, self._streak)
        self._active = day

    def _topic(self) -> str:
        """Most often the first topic that is not done; once all are, the shortest list gets longer."""
        open_topics = [topic for topic in TOPICS if self.done[topic] < self.total[topic]]
        if not open_topics:
            longer = min(TOPICS, key=lambda topic: self.total[topic])
            self.total[longer] += NEXT_SET
            return longer
        return open_topics[0] if self.chance.random() < 0.8 else self.chance.choice(open_topics[:3])

    def _exercise(self, topic: str, day: Day) -> Iterator[Step]:
        """Runs until it works or patience ends, perhaps a question; then the new running totals, perhaps a review."""
        if self.done[topic] >= self.total[topic]:
            return
        skill = self.chance.choice(SKILLS[topic])
        exercise = f"{topic}-{self.done[topic] + 1}"
        mistake, spent = self.chance.choice(ERRORS), 0.0
        for attempt in range(self.chance.randint(2, 6)):
            took = round(self.chance.uniform(20.0, 150.0), 1)
            spent += took
            solved = self.chance.random() < self.knows(skill, day) + 0.1 * attempt
            self._practise(skill, day)
            if solved:
                break
            yield took, Execution("error", topic, exercise, mistake, took)
            if self.chance.random() < 0.4:
                mistake = self.chance.choice(ERRORS)
            if attempt == 2 and self.chance.random() < 0.6:
                yield 15.0, Help(topic, self.chance.choice(CRIES))
        else:
            return
        yield took, Execution("success", topic, exercise, duration=took)
        self.done[topic] += 1
        difficulty = DIFFICULTIES[min((self.total[topic] - FIRST_SET) // NEXT_SET, 2)]
        yield 5.0, Completion(self.total[topic], self.done[topic], difficulty, topic, exercise, round(spent, 1))
        if self.chance.random() < 0.4:
            yield 20.0, self._quality(topic, exercise, self.knows(skill, day))

    def _review(self, day: Day) -> Iterator[Step]:
        """A few questions on what was learned before."""
        begun = [topic for topic in TOPICS if self.done[topic]] or [TOPICS[0]]
        for _ in range(self.chance.randint(2, 5)):
            topic = self.chance.choice(begun)
            skill = self.chance.choice(SKILLS[topic])
            correct = self.chance.random() < self.knows(skill, day)
            took = round(self.chance.uniform(8.0, 60.0), 1)
            self._practise(skill, day)
            item = f"{skill}-q{self.chance.randint(1, 12)}"
            yield took, Answer(item, (topic, skill), correct, attempts=1, duration=took)

    def _quiz(self, topic: str, day: Day) -> Quiz:
        questions = self.chance.choice((5, 8, 10))
        right = sum(self.chance.random() < self.knows(self.chance.choice(SKILLS[topic]), day) for _ in range(questions))
        confidence = min(max(self.chance.gauss(self.confident, 0.1), 0.0), 1.0)
        seconds = round(questions * self.chance.uniform(20.0, 60.0))
        return Quiz(questions, right, topic, f"{topic}-quiz", float(seconds), round(confidence, 2))

    def _quality(self, topic: str, exercise: str, knows: float) -> Quality:
        code, correct, efficient = (
            round(min(max(self.chance.gauss(0.35 + 0.55 * knows, spread), 0.0), 1.0), 2) for spread in (0.1, 0.08, 0.12)
        )
        return Quality(code, correct, efficient, submission_id=f"{exercise}-{self.student_id}", topic=topic)


def pupils(students: int, seed: int) -> list[Pupil]:
    """A class of that size; the best-known student comes first."""
    ids = [BEST_KNOWN, "student_67890", *(f"student_{20_000 + place}" for place in range(1, students))][:students]
    return [Pupil(student_id, Random(f"{seed}/{student_id}")) for student_id in ids]  # nosec B311


def past(
    class_: list[Pupil],
    *,
    days: int,
    seed: int,
    until: Micros,
    cohort: str = COHORT,
    on_progress: Callable[[float], None] | None = None,
) -> list[LearningEvent]:
    """What a class did in the ``days`` days that end with ``until``, in the order of time; it moves the pupils.

    Ids are made of the seed, the student and the place in their own events. ``on_progress`` is given how many pupils
    are done.
    """
    events: list[LearningEvent] = []
    for place, pupil in enumerate(class_):
        events += _past(pupil, days=days, seed=seed, until=until, cohort=cohort)
        if on_progress is not None:
            on_progress(place + 1)
    return sorted(events, key=lambda event: (event.at, event.event_id))


def _past(pupil: Pupil, *, days: int, seed: int, until: Micros, cohort: str) -> Iterator[LearningEvent]:
    numbers = count()
    last = day_of(until)
    for day in range(last - days + 1, last + 1):
        if not pupil.works_on(day):
            continue
        at = pupil.begins(day)
        for pause, data in pupil.sitting(day):
            at += round(pause * SECOND)
            event_id = derived_id("simulated", str(seed), pupil.student_id, str(next(numbers)))
            if at > until:
                return
            yield LearningEvent(event_id, pupil.student_id, at, at, data, source=SOURCE, metadata={"cohort_id": cohort})


class LivingClass:
    """A class at work: each call gives the next thing that somebody does, often the best-known student."""

    def __init__(self, class_: list[Pupil], chance: Random) -> None:
        self._best_known = class_[0]
        self._class = [pupil for pupil in class_ if pupil.is_here]
        self._chance = chance
        self._turn = count()
        self._sittings: dict[str, Iterator[Step]] = {}

    def next(self, at: Micros, event_id: str, cohort: str = COHORT) -> LearningEvent:
        """What happens at a moment."""
        is_best_known = next(self._turn) % BEST_KNOWN_EVERY == 0
        pupil = self._best_known if is_best_known else self._chance.choice(self._class)
        return LearningEvent(
            event_id, pupil.student_id, at, at, self._step(pupil, at), source=SOURCE, metadata={"cohort_id": cohort}
        )

    def _step(self, pupil: Pupil, at: Micros) -> Data:
        while True:
            sitting = self._sittings.setdefault(pupil.student_id, pupil.sitting(day_of(at)))
            for _, data in sitting:
                return data
            del self._sittings[pupil.student_id]
