"""A class amid its term: the documents of students with a month behind them, and what they do next."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

import msgspec

from mastery_engine.backends.redis.client import connect, disconnect
from mastery_engine.backends.redis.documents import RedisDocuments
from mastery_engine.backends.redis.keys import life_ms
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.event import DEFAULT_TENANT, LearningEvent, Logged
from mastery_engine.domain.events.kinds import Data
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import DAY, SECOND, Day, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, DocumentKey, Student
from mastery_engine.domain.transition import apply, needs_cold
from mastery_engine.lab.simulate.classes import Pupil, past, pupils
from mastery_engine.ports.documents import DocumentChange

MODELS, STUDENTS, DAYS = 40, 400, 29
SEED = 1
PAGE = 1_000


class StudentAtWork(msgspec.Struct, frozen=True):
    """A student at work today: the document and its cold ids, and what comes next, in this order."""

    student: Student
    cold: IdsByDay
    next: tuple[Data, ...]


def grown(until: Micros) -> dict[str, tuple[Student, IdsByDay]]:
    """Documents of 400 students with 30 days of history, as folded day by day, each with its cold ids."""
    events = [
        msgspec.structs.replace(event, at=event.at - DAY, received=event.at - DAY)
        for event in past(pupils(MODELS, SEED), days=DAYS, seed=SEED, until=until)
    ]
    students = {}
    for number in range(STUDENTS):
        name = f"student_{number}"
        mine = [event for event in events if event.student_id == events[number % len(events)].student_id]
        students[name] = lived([msgspec.structs.replace(event, student_id=name) for event in mine])
    return students


def at_work(until: Micros, steps: int, course: Curriculum) -> list[StudentAtWork]:
    """40 students whose advice is of today, and at least so many steps of each."""
    class_ = pupils(MODELS, SEED)
    events = past(class_, days=DAYS, seed=SEED, until=until - DAY)
    class_at_work = []
    for pupil in class_:
        first, *rest = _sittings(pupil, day_of(until), steps + 1)
        now = LearningEvent("first-of-today", pupil.student_id, until, until, first)
        mine = [event for event in events if event.student_id == pupil.student_id]
        student, cold = lived([*mine, now], course)
        class_at_work.append(_at_work(student, cold, rest))
    return class_at_work


def stepped(model: StudentAtWork, course: Curriculum) -> StudentAtWork:
    """The student after the first of what comes next, which is a second after the last."""
    (first, *rest), at = model.next, model.student.updated + SECOND
    logged = Logged(LearningEvent(f"step-{len(rest)}", "student", at, at, first), 0, 0)
    given = model.cold if needs_cold(model.student, [logged]) else None
    done = apply(model.student, [logged], at, Rules(), cold=given, settled={0: 0}, curriculum=course)
    return _at_work(done.student, model.cold if done.cold is None else done.cold, rest)


def _at_work(student: Student, cold: IdsByDay, following: Sequence[Data]) -> StudentAtWork:
    """Whose results are all sent."""
    return StudentAtWork(msgspec.structs.replace(student, results=b""), cold, tuple(following))


async def fill(host: str, many: int, documents: Sequence[tuple[Student, IdsByDay]]) -> None:
    """``student_0`` and so on into a Redis, each with one of these documents and its cold ids, in turn."""
    async with documents_in(host) as store:
        for start in range(0, many, PAGE):
            changes = []
            for number in range(start, min(start + PAGE, many)):
                student, cold = documents[number % len(documents)]
                changes.append(DocumentChange(DocumentKey(DEFAULT_TENANT, f"student_{number}"), 0, student, cold))
            await store.commit(changes)


@asynccontextmanager
async def documents_in(host: str) -> AsyncIterator[RedisDocuments]:
    """The engine's documents in a Redis."""
    client = connect(host)
    try:
        yield RedisDocuments(client, life_ms=life_ms(Rules().retention_days))
    finally:
        await disconnect(client)


def lived(events: Sequence[LearningEvent], course: Curriculum | None = None) -> tuple[Student, IdsByDay]:
    """One student's document after their events, in batches of a day's, and its cold ids."""
    student, cold, offset = NOBODY, IdsByDay(), 0
    for _, day in groupby(events, key=_day_of_event):
        own = [Logged(event, 0, offset + place) for place, event in enumerate(day)]
        given = cold if needs_cold(student, own) else None
        done = apply(student, own, own[-1].event.at, Rules(), cold=given, settled={0: offset}, curriculum=course)
        student, cold = done.student, cold if done.cold is None else done.cold
        offset += len(own)
    return student, cold


def _day_of_event(event: LearningEvent) -> Day:
    return day_of(event.received)


def _sittings(pupil: Pupil, day: Day, least: int) -> Iterator[Data]:
    """What a pupil does today, sitting after sitting."""
    done = 0
    while done < least:
        for _, data in pupil.sitting(day):
            yield data
            done += 1
