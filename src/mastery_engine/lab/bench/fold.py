"""What the fold costs."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random
from time import process_time

from mastery_engine.domain.advice.guidance import advise
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.kinds import Answer, Data
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import Student
from mastery_engine.domain.transition import apply_all
from mastery_engine.lab.bench.measures import Line, judged, shown
from mastery_engine.lab.bench.term import MODELS, SEED, STUDENTS, grown
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.settings import settings_from
from mastery_engine.wiring import curriculum

BATCH = 500


def fold(runs: int, until: Micros, events: int) -> list[Line]:
    """``transition.apply_all``: batches of 500 decoded events over 400 students who have a month behind them.

    Answers are apart: knowledge tracing is their own. The first batch is not counted: it is the first of a day, and
    moves the ids of a week ago out of every document.
    """
    del events
    rules, students = Rules(), {name: student for name, (student, _) in grown(until).items()}
    models = past(pupils(MODELS, SEED + 1), days=10, seed=SEED, until=until)
    answers = [event.data for event in models if type(event.data) is Answer]
    others = [event.data for event in models if type(event.data) is not Answer]
    costs: dict[bool, list[float]] = {True: [], False: []}
    offset = 1_000_000
    for run in range(8 * runs + 1):
        is_answers = bool(run % 2)
        batch = _live_batch(students, answers if is_answers else others, until + run * 60_000_000, run, offset)
        started = process_time()
        turns = [(students[name], logged, None) for name, logged in batch.items()]
        for name, done in zip(batch, apply_all(turns, until, rules, settled={0: offset}), strict=True):
            students[name] = done.student
        if run:
            costs[is_answers].append((process_time() - started) / BATCH * 1e6)
        offset += BATCH
    what = f"transition.apply_all, {BATCH} events over {STUDENTS} students"
    return [
        judged("fold", what, "µs/event", costs[False], "event"),
        judged("fold", "the same, all of them answers", "µs/event", costs[True], "answer"),
        shown("fold", "advice and path made anew, counted apart", "µs each", _advised(students, until, rules, runs)),
    ]


def _advised(students: Mapping[str, Student], until: Micros, rules: Rules, runs: int) -> list[float]:
    """What it costs to make a student's advice anew, with the course of this installation."""
    course = curriculum(settings_from(os.environ))
    scores = [(student, mastery_score(student.evidence, until, rules)) for student in students.values()]
    costs = []
    for _ in range(runs):
        started = process_time()
        for student, score in scores:
            advise(student.guidance, student.evidence, score, day_of(until), course, rules)
        costs.append((process_time() - started) / len(scores) * 1e6)
    return costs


def _live_batch(
    students: Mapping[str, Student], models: Sequence[Data], at: Micros, run: int, offset: int
) -> dict[str, list[Logged]]:
    """One event of each student, and more of some."""
    chance = Random(run)  # nosec B311
    names = list(students)
    batch: dict[str, list[Logged]] = defaultdict(list)
    for place in range(BATCH):
        name = names[place] if place < STUDENTS else chance.choice(names)
        event = LearningEvent(f"bench-{run}-{place}", name, at, at, chance.choice(models))
        batch[name].append(Logged(event, 0, offset + place))
    return batch
