"""What the chances of a student's next answers cost, as the service gives them."""

import asyncio
import tempfile
from pathlib import Path
from time import process_time

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.domain.courses.course import CourseItem
from mastery_engine.domain.events.event import NO_METADATA
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import Micros
from mastery_engine.lab.bench.measures import Line, judged
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.services.next_answers import MOST_ITEMS
from mastery_engine.settings import Settings
from mastery_engine.wiring import open_engine

STUDENTS, CALLS, DAYS, SEED = 40, 5, 30, 1
ADMIN = Caller("bench", "admin")


def next_answers(runs: int, until: Micros, events: int) -> list[Line]:
    """100 items of each of 40 students with a month behind them, on SQLite: processor time of the service's call."""
    del events
    with tempfile.TemporaryDirectory() as folder:
        costs = asyncio.run(_timed(Path(folder), runs, until))
    return [judged("next", f"{MOST_ITEMS} items of one student, in the service", "ms", costs, "service")]


async def _timed(folder: Path, runs: int, until: Micros) -> list[float]:
    """Milliseconds a call, run by run."""
    engine = open_engine(Settings(data_dir=folder))
    history = past(pupils(STUDENTS, SEED), days=DAYS, seed=SEED, until=until)
    own = [msgspec.structs.replace(event, metadata=NO_METADATA) for event in history]
    students = sorted({event.student_id for event in own})
    answers = [event.data for event in own if isinstance(event.data, Answer)]
    asked = {answer.item_id: CourseItem(answer.item_id, answer.skills) for answer in answers}
    items = list(asked.values())[:MOST_ITEMS]
    items += [CourseItem(f"new-{number}", answers[0].skills) for number in range(MOST_ITEMS - len(items))]
    try:
        await engine.ingest.submit(ADMIN, own, "")
        await engine.worker.run(until=await engine.progress.ends())
        costs = []
        for run in range(-1, runs):  # the first one warms
            started = process_time()
            for _ in range(CALLS):
                for student_id in students:
                    await engine.next_answers.predict(ADMIN, student_id, items)
            if run >= 0:
                costs.append((process_time() - started) / CALLS / len(students) * 1e3)
    finally:
        await engine.close()
    return costs
