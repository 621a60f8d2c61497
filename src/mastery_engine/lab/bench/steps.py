"""Where the time of an event and of a query goes: each step alone, in microseconds of this process's processor time.

The class is large: 4,000 students with a month behind them, and each event is another student's. Nothing waits for a
server here: stores and logs are in memory, and documents lie there as bytes, as they do everywhere.
"""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import msgspec

from mastery_engine.backends.kafka.headers import SOURCE, cloudevent_headers
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.collector import tune_gc
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.events.event import DEFAULT_TENANT, NAME_OF
from mastery_engine.domain.moments import DAY, SECOND, Micros
from mastery_engine.domain.results import Result, message
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.model import DEFAULT_SKILLS
from mastery_engine.domain.skills.next_answer.parameters import NO_ANSWER_MODELS
from mastery_engine.domain.stages import Stages
from mastery_engine.domain.student import DocumentKey, pack, unpack
from mastery_engine.domain.transition import concluded, needs_cold, passed
from mastery_engine.lab.bench.measures import Line, judged, shown
from mastery_engine.lab.bench.query_steps import query_steps
from mastery_engine.lab.bench.term import StudentAtWork, at_work, stepped
from mastery_engine.lab.folded import course
from mastery_engine.ports.documents import DocumentChange
from mastery_engine.ports.event_log import Batch, Record
from mastery_engine.services.folding import STUDENTS_AT_ONCE, STUDENTS_IN_CACHE
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine
from mastery_engine.worker.decoding import RecordDecoder

STUDENTS = 4_000
SPREAD = 20  # so many events into their day the students are, each at another place
PARTITION = 0
RULES, COURSE = Rules(), course()

Costs = dict[str, list[float]]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def steps(runs: int, until: Micros, events: int) -> list[Line]:
    """An event, the first event of a student's day (a school has all of them in one morning), and a query."""
    del events
    models = at_work(until, SPREAD + runs + 1, COURSE)
    for step in range(1, SPREAD):
        models = [stepped(one, COURSE) if place % SPREAD >= step else one for place, one in enumerate(models)]
    lines: list[Line] = []
    for case in CASES:
        lines += _event_steps(case, models, runs, until)
    return lines + query_steps(runs, until, models)


class FoldCase(msgspec.Struct, frozen=True):
    """Events so long after the students' last, in a busy hour or not, and the goal of one."""

    what: str
    pause: Micros
    is_busy: bool
    goal: str


CASES = (
    FoldCase("an event", 0, is_busy=False, goal="event"),
    FoldCase("the first event of a day", DAY, is_busy=False, goal="first of a day"),
    FoldCase("the first event of a day, in a busy hour", DAY, is_busy=True, goal="first of a day, busy"),
)


def _event_steps(case: FoldCase, models: Sequence[StudentAtWork], runs: int, until: Micros) -> list[Line]:
    """The steps of an event, its whole way through the worker, and the floor."""
    costs: Costs = defaultdict(list)
    for run in range(-1, runs):  # the first one warms
        now = until + (SPREAD + runs + 1) * SECOND + case.pause  # after the last step of everybody
        for name, value in asyncio.run(_event_costs(models, run, now, is_busy=case.is_busy)).items():
            if run >= 0:
                costs[name].append(value)
        models = [stepped(model, COURSE) for model in models]
    whole, floor = costs.pop("worker"), costs.pop("floor")
    what = case.what
    lines = [shown("steps", f"{what}: {name}", "µs", values) for name, values in costs.items()]
    total = [sum(values) for values in zip(*costs.values(), strict=True)]
    return [
        *lines,
        judged("steps", f"{what}: all of these", "µs", total, case.goal),
        shown("steps", f"{what}: in the worker, without result's JSON", "µs", whole),
        shown("steps", f"{what}: floor, the same bytes without a domain", "µs", floor),
    ]


async def _event_costs(models: Sequence[StudentAtWork], run: int, now: Micros, *, is_busy: bool) -> dict[str, float]:
    """µs an event by step, for one event of each student, folded as the worker does: so many students at once."""
    records = [_record(models[number % len(models)], number, run + 1, now) for number in range(STUDENTS)]
    documents = [pack(models[number % len(models)].student) for number in range(STUDENTS)]
    laps, results = Laps(), list[Result]()
    for start in range(0, STUDENTS, STUDENTS_IN_CACHE):
        part = slice(start, start + STUDENTS_IN_CACHE)
        own = [models[number % len(models)] for number in range(STUDENTS)[part]]
        results += _fold(laps, records[part], documents[part], own, now, is_busy=is_busy)
    laps.begin()
    sent = [message(result) for result in results]
    laps.end("result: message")
    bodies = [_encode(one) for one in sent]
    laps.end("result: JSON")
    for one in sent:
        cloudevent_headers(one.event_id, SOURCE, one.event_type, one.timestamp, one.student_id, one.tenant)
    laps.end("result: headers")
    laps.seconds["worker"] = await _worked(records, models, now, STUDENTS if is_busy else STUDENTS_AT_ONCE)
    laps.begin()
    for record, document, body in zip(records, documents, bodies, strict=False):
        _copied(record, document, body)
    laps.end("floor")
    return {name: seconds / STUDENTS * 1e6 for name, seconds in laps.seconds.items()}


class Laps:
    """Processor time by the names of what it went into."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = process_time()

    def begin(self) -> None:
        """What was until now counts for nothing."""
        self._since = process_time()

    def end(self, name: str) -> None:
        """What was since the last end, or beginning, was this."""
        self.seconds[name] = self.seconds.get(name, 0.0) + process_time() - self._since
        self._since = process_time()


def _fold(
    laps: Laps,
    records: Sequence[Record],
    documents: Sequence[bytes],
    models: Sequence[StudentAtWork],
    now: Micros,
    *,
    is_busy: bool,
) -> list[Result]:
    """The steps from records and documents to results and documents."""
    decoder, start = RecordDecoder(lambda _: RULES, lambda: now), records[0].offset
    batch = Batch(tuple(records), {PARTITION: start}, {PARTITION: start + len(records)})
    laps.begin()
    decoded = decoder.decode(batch).events
    laps.end("decode")
    students = [unpack(one) for one in documents]
    laps.end("unpack")
    turns = [
        Stages(student, (logged,), model.cold if needs_cold(student, (logged,), is_busy=is_busy) else None)
        for student, logged, model in zip(students, decoded, models, strict=True)
    ]
    laps.end("grouping")
    for name in _stages(turns, now, is_busy=is_busy):
        laps.end(name)
    done = concluded(turns, now, RULES, is_busy=is_busy)
    laps.end("new documents")
    for after in done:
        pack(after.student)
    laps.end("pack")
    results = [pending.result for one in done for pending in one.outbox or ()]
    laps.begin()
    del students, turns, decoded, done, after
    laps.end("free")
    return results


def _stages(turns: Sequence[Stages], now: Micros, *, is_busy: bool) -> Iterator[str]:
    return passed(
        turns,
        now,
        RULES,
        skills=DEFAULT_SKILLS,
        answers=NO_ANSWER_MODELS,
        settled={PARTITION: 0},
        curriculum=COURSE,
        profiled=None,
        is_busy=is_busy,
    )


def _record(model: StudentAtWork, number: int, turn: int, now: Micros) -> Record:
    """What a student does next, as it lies in the log."""
    data = model.next[0]
    student_id, event_id = f"student_{number}", f"steps-{turn}-{number}"
    value = {"event_id": event_id, "event_type": NAME_OF[type(data)], "student_id": student_id, "data": data}
    return Record(PARTITION, number, now, DEFAULT_TENANT, student_id.encode(), _encode(value), "")


async def _worked(records: Sequence[Record], models: Sequence[StudentAtWork], now: Micros, at_once: int) -> float:
    """Processor seconds of the worker for these records, ``at_once`` of them, the same class in its store."""
    stores = memory_stores.open_stores(lambda: now)
    await stores.documents.commit(
        [
            DocumentChange(DocumentKey(DEFAULT_TENANT, f"student_{number}"), 0, model.student, model.cold)
            for number, model in ((number, models[number % len(models)]) for number in range(STUDENTS))
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(
            Settings(data_dir=Path(folder)), clock=lambda: now, stores=stores, logs=memory_logs.open_logs()
        )
        tune_gc()
        await engine.courses.learn([CourseKey(DEFAULT_TENANT)], now)  # as a worker knows it after its first batch
        started = process_time()
        for start in range(0, len(records), at_once):
            batch = Batch(tuple(records[start : start + at_once]), {PARTITION: start}, {PARTITION: start + at_once})
            await engine.worker.work("steps", batch)
        seconds = process_time() - started
        await engine.close()
    return seconds


def _copied(record: Record, document: bytes, body: bytes) -> tuple[str, bytes, bytes, Mapping[str, str]]:
    """What is left of an event without a domain: whose it is, and the bytes of the document and the result."""
    student_id = _decode(record.value or b"")["student_id"]
    return student_id, document[:8] + document[8:], body[:], {"student": student_id}
