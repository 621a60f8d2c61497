"""What a forecast costs, and that the size of a student's cohorts does not count: their calendars do."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.domain.cohorts.cohort import Due
from mastery_engine.domain.events.event import NO_METADATA, LearningEvent
from mastery_engine.domain.moments import Micros, day_of
from mastery_engine.engine import Engine
from mastery_engine.lab.bench.measures import Line, judged, ratios, shown
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine

STUDENTS = 40
COHORTS = [f"class-{number}" for number in range(4)]
MEMBERS = 10_000
DAYS = 30
SEED = 1
ADMIN = Caller("bench", "admin")


def forecasts(runs: int, until: Micros, events: int) -> list[Line]:
    """Forecasts of students of no cohort, and of as many like them who are in four of 10,000, by turns, on SQLite.

    None of them is answered from the cache: each run asks for another number of days.
    """
    del events
    with tempfile.TemporaryDirectory() as folder:
        alone, together = asyncio.run(_timed(Path(folder), min(runs, DAYS), until))
    return [
        shown("forecasts", "a forecast, student of no cohort", "ms", alone),
        shown("forecasts", f"a forecast, student of {len(COHORTS)} cohorts of {MEMBERS:,}", "ms", together),
        judged("forecasts", "the same, to that of no cohort", "", ratios(together, alone), "to no cohort"),
    ]


async def _timed(folder: Path, runs: int, until: Micros) -> tuple[list[float], list[float]]:
    """Milliseconds for each forecast, run by run: for students of no cohort, and for those of all."""
    engine = open_engine(Settings(data_dir=folder))
    alone, together = ([f"{kind}-{number}" for number in range(STUDENTS)] for kind in ("alone", "together"))
    try:
        history = past(pupils(1, SEED), days=DAYS, seed=SEED, until=until)
        await engine.ingest.submit(
            ADMIN, [_of(student, event) for student in alone + together for event in history], ""
        )
        others = [f"other-{number}" for number in range(MEMBERS - STUDENTS)]
        calendar = [Due(day_of(until) + ahead, kind="exam") for ahead in (2, 5, 9)]
        for cohort_id in COHORTS:
            await engine.cohorts.put(ADMIN, cohort_id, cohort_id, [*together, *others], calendar)
        await engine.worker.run(until=await engine.progress.ends())
        timed = [await _cost_ms(engine, alone, together, DAYS - run) for run in range(runs)]
    finally:
        await engine.close()
    return [of_none for of_none, _ in timed], [of_all for _, of_all in timed]


def _of(student_id: str, event: LearningEvent) -> LearningEvent:
    """The same event, as if this student had done it, in no cohort."""
    return msgspec.structs.replace(
        event, event_id=f"{student_id}-{event.event_id}", student_id=student_id, metadata=NO_METADATA
    )


async def _cost_ms(engine: Engine, alone: Sequence[str], together: Sequence[str], days: int) -> tuple[float, float]:
    """Milliseconds of processor time for a forecast of each group, one of each by turns."""
    spent = [0.0, 0.0]
    for pair in zip(alone, together, strict=True):
        for place, student_id in enumerate(pair):
            started = process_time()
            await engine.forecasts.next_days(ADMIN, student_id, days)
            spent[place] += process_time() - started
    of_alone, of_together = (seconds / len(alone) * 1e3 for seconds in spent)
    return of_alone, of_together
