"""What a teacher's page costs: a class of 200 with its first paint, and its whole map of 50 skills."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import httpx
import msgspec

from mastery_engine.auth.tokens import Tokens
from mastery_engine.domain.courses.curriculum import Module, Skill, curriculum_of, yaml_of
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.http import SECRET, served_events
from mastery_engine.lab.bench.load import RunningService
from mastery_engine.lab.bench.measures import Line, judged
from mastery_engine.lab.bench.servers import cpu_seconds
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.wiring_clocks import system_clock

STUDENTS, MODULES, SKILLS_EACH = 200, 10, 5
DAYS, SEED = 28, 1
CLASS = "bench-class"
LOADS = 10


def pages(runs: int, until: Micros, events: int) -> list[Line]:
    """Loads of a teacher's page by turns, as it is first shown and with the whole map, on SQLite.

    Milliseconds are processor time of the serving process, of whom nothing else is asked; kilobytes are a
    thousand bytes each: of the page, and of it with the style sheet that it waits for, as they come by gzip.
    """
    del events
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder, "course.yaml")
        course.write_text(yaml_of(curriculum_of(_modules())))
        with served_events(_history(until), CURRICULUM_FILE=str(course)) as (service, _):
            figures = [_loaded(service) for _ in range(runs)]
    first, whole, page, sent = zip(*figures, strict=True)
    skills = MODULES * SKILLS_EACH
    return [
        judged("pages", f"teacher's page, {STUDENTS} students", "ms", first, "time"),
        judged("pages", f"the same with the whole map, {STUDENTS} by {skills}", "ms", whole, "time"),
        judged("pages", "the page, unpacked", "KB", page, "size"),
        judged("pages", "its first paint, with the style sheet, as sent", "KB", sent, "size"),
    ]


def _modules() -> list[Module]:
    """Modules in a row: each skill rests on the one before it."""
    return [
        Module(
            f"module-{module}",
            f"Module number {module}",
            tuple(
                Skill(
                    f"skill-{module}-{place}",
                    f"Skill number {place} of {module}",
                    (f"skill-{module}-{place - 1}",) if place else (),
                    30,
                    "beginner",
                    (),
                )
                for place in range(SKILLS_EACH)
            ),
        )
        for module in range(MODULES)
    ]


def _history(until: Micros) -> Iterator[LearningEvent]:
    """A class's last weeks, whose answers are of the course's skills."""
    for event in past(pupils(STUDENTS, SEED), days=DAYS, seed=SEED, until=until, cohort=CLASS):
        data = event.data
        if isinstance(data, Answer):
            place = crc32(f"{event.event_id}".encode()) % (MODULES * SKILLS_EACH)
            skill = f"skill-{place // SKILLS_EACH}-{place % SKILLS_EACH}"
            data = msgspec.structs.replace(data, skills=(skill,))
        yield msgspec.structs.replace(event, data=data)


def _loaded(service: RunningService) -> tuple[float, float, float, float]:
    """Milliseconds for the page, and with the whole map; its kilobytes, and those of the first paint as sent."""
    teacher = Tokens(SECRET, system_clock).make(subject="teacher", role="teacher", cohorts=[CLASS], lives_s=86_400)
    with httpx.Client(base_url=service.url, cookies={"mastery_session": teacher}, timeout=60) as client:
        page = client.get("/dashboard").raise_for_status()
        shown = page.text.count("<th scope=row>")
        if shown != STUDENTS:
            raise StartRefused(f"The page shows {shown} of {STUDENTS} students.")
        style = client.get("/dashboard/assets/style.css").raise_for_status()
        times = [_cost_ms(client, service, path) for path in ("/dashboard", "/dashboard?map=all")]
    sent = sum(int(answer.headers["content-length"]) for answer in (page, style))
    return times[0], times[1], len(page.content) / 1e3, sent / 1e3


def _cost_ms(client: httpx.Client, service: RunningService, path: str) -> float:
    used = cpu_seconds([service.process_id])
    for _ in range(LOADS):
        client.get(path).raise_for_status()
    return (cpu_seconds([service.process_id]) - used) / LOADS * 1e3
