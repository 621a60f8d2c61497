"""``demo``: the service with a simulated class that works while you watch."""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mastery_engine.auth.access import Caller
from mastery_engine.cli.console import counted, opened, operator, progress, settings, warn
from mastery_engine.cli.serving import Host, Port, end_well_on_signals

if TYPE_CHECKING:
    from mastery_engine.auth.demo_doors import DemoDoor
    from mastery_engine.clock import Clock
    from mastery_engine.data_folder import WorkerLock
    from mastery_engine.domain.events.event import LearningEvent
    from mastery_engine.engine import Engine
    from mastery_engine.lab.simulate.classes import Pupil
    from mastery_engine.settings import Settings

logger = logging.getLogger(__name__)

STUDENTS, DAYS, SEED = 36, 84, 1  # enough past weeks for the forecasts to be calibrated
PAUSE_S = (2.0, 5.0)
LOOK_S = 0.1
STOP_S = 5.0
TOKEN_S = 7 * 86_400
BADGES = "proficient"
CLASS = Caller("simulated-class", "service", "default")

TO_TRY = """
A simulated class of {students} works at {url} (Ctrl-C ends it). Open that address in a browser: it
lets you in as one of six students, as the teacher, or as the operator. Elsewhere its teacher signs in with this token:

{teacher}

Try this in another terminal:

export JWT_TOKEN={token}

curl -X POST {url}/mastery/query \\
  -H "Authorization: Bearer $JWT_TOKEN" -H "Content-Type: application/json" \\
  -d '{{"student_id": "{student}", "include_components": true}}'

curl -X POST {url}/mastery/ingest \\
  -H "Authorization: Bearer $JWT_TOKEN" -H "Content-Type: application/json" \\
  -d '{{"event_type": "quiz", "student_id": "{student}", "data": {{"total_questions": 10, "correct_answers": 9}}}}'
"""


def demo(host: Host = None, port: Port = None) -> None:
    """Serve a simulated class that works live.

    An empty data folder first gets the last 12 weeks of the class; then a student does something every few seconds.
    Without MODEL_FILE the model of the next answer is learned from the class's answers, into the data folder.

    \b
    Example:
      DATA_DIR=/tmp/demo mastery-engine demo --port 8005
    """
    from mastery_engine.service import serve
    from mastery_engine.wiring_clocks import system_clock

    end_well_on_signals()
    chosen, class_ = asyncio.run(prepared(settings(host=host, port=port, worker_enabled=True), system_clock))
    with _living(chosen, class_):
        serve(chosen, doors=doors_of(chosen, class_, system_clock))


async def prepared(settings: "Settings", clock: "Clock") -> tuple["Settings", list["Pupil"]]:
    """The settings with a free port, and the class, whose past up to now is in the data folder.

    Raises StartRefused if another process works that folder or uses the port.
    """
    from mastery_engine.data_folder import WorkerLock
    from mastery_engine.domain.courses.course import CourseChange
    from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
    from mastery_engine.lab.simulate.classes import past
    from mastery_engine.lab.simulate.stories import class_with_stories
    from mastery_engine.service import listen

    with WorkerLock(settings) as lock, listen(settings) as listener:
        chosen = _with_an_address(settings.model_copy(update={"port": listener.getsockname()[1]}))
        async with opened(settings, apart=True, clock=clock) as engine:
            days = min(DAYS, engine.rules.retention_days)
            now = engine.clock()
            class_ = class_with_stories(STUDENTS, SEED, now)
            events = past(class_, days=days, seed=SEED, until=now)
            await _name(engine, class_)
            if await engine.replay.students() or sum((await engine.progress.ends()).values()) > 1:
                await _resume(engine, class_)
            else:
                await engine.courses.put(operator(), DEFAULT_COURSE, CourseChange(badges=BADGES))
                await _seed(engine, lock, events)
                warn(f"The class starts with {counted(len(events), 'event')} from its last {days} days.")
            await engine.calibrator.learn(await engine.calibrator.sample())
            if chosen.model_file is None:
                learned = await _answers_learned(engine, chosen.data_dir / "model.msgpack")
                chosen = chosen.model_copy(update={"model_file": learned})
    return chosen, class_


def _with_an_address(settings: "Settings") -> "Settings":
    """The settings with PUBLIC_URL; where none is set, that of this machine, but in production none."""
    if settings.public_url is not None or settings.in_production:
        return settings
    return settings.model_copy(update={"public_url": _url(settings)})


async def _name(engine: "Engine", class_: list["Pupil"]) -> None:
    """Put the names of the class, its teacher and those in it who have none; who was erased keeps none."""
    from mastery_engine.domain.people.profile import ProfileChange
    from mastery_engine.errors import Forbidden
    from mastery_engine.lab.simulate.classes import COHORT
    from mastery_engine.lab.simulate.stories import CLASS_NAME, STAFF, names_of

    await engine.cohorts.name(operator(), COHORT, CLASS_NAME)
    names = names_of(class_) | STAFF
    known = await engine.people.names_for(CLASS, names)
    for student_id in names.keys() - known.keys():
        with suppress(Forbidden):
            await engine.people.put(CLASS, student_id, ProfileChange(display_name=names[student_id]))


async def _answers_learned(engine: "Engine", path: Path) -> Path:
    """The file of parameters with what the class's answers in the log say, as ``fit answers --from-log`` learns it.

    A demo that goes on learns from what is new, as long as the file takes revisions.
    """
    from mastery_engine.cli.model_out import model_out
    from mastery_engine.domain.model_file import answers_from, with_answers
    from mastery_engine.domain.moments import DAY, rfc3339
    from mastery_engine.domain.skills.next_answer.parameters import EVERYWHERE, NO_ANSWER_MODELS, PRIOR
    from mastery_engine.lab.skills.next_answer.learning import learn_answers

    with model_out(path) as out:
        source, now = out.source(), engine.clock()
        known = (answers_from(source) if source else NO_ANSWER_MODELS).parts.get(EVERYWHERE, PRIOR.parameters)
        answers = await engine.logged_answers.read()
        floor = now - engine.rules.retention_days * DAY
        learned = learn_answers(answers, known, now, floor=floor, version=rfc3339(now))
        if source is None or learned.answers:
            out.write(with_answers(source, EVERYWHERE, learned.parameters))
    return path


async def _seed(engine: "Engine", lock: "WorkerLock", events: list["LearningEvent"]) -> None:
    """Ingest the class's past like a file of events."""
    import msgspec

    from mastery_engine.cli.feeding import Chunk, append, working

    now = engine.clock()
    received = [msgspec.structs.replace(event, received=now) for event in events]

    async def chunks() -> "AsyncIterator[Chunk]":
        for start in range(0, len(received), 1_000):
            yield Chunk(received[start : start + 1_000])

    async with working(engine, lock) as work:
        ends = await append(engine, CLASS, chunks(), "ingest")
        with progress("Preparing the class", sum(ends.values())) as on_progress:
            await engine.progress.wait_for(ends, work, on_progress)


async def _resume(engine: "Engine", class_: list["Pupil"]) -> None:
    """Let the class continue from its documents, so that running totals never fall."""
    completions = await engine.scores.completions(CLASS, [pupil.student_id for pupil in class_])
    for pupil, by_topic in zip(class_, completions, strict=True):
        pupil.resume(by_topic)


@contextmanager
def _living(settings: "Settings", class_: list["Pupil"]) -> Iterator[None]:
    """Run the class in its own thread, once the server listens, until the block ends."""
    stopping = threading.Event()

    def live() -> None:
        if _listens(settings, stopping):
            print(_to_try(settings), flush=True)
            asyncio.run(_live(settings, class_, stopping))

    thread = threading.Thread(target=live, name="simulated-class", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(STOP_S)


async def _live(settings: "Settings", class_: list["Pupil"], stopping: threading.Event) -> None:
    """A student does something every few seconds, until ``stopping`` is set."""
    from mastery_engine.domain.events.event import encode
    from mastery_engine.errors import Unavailable
    from mastery_engine.lab.simulate.classes import LivingClass

    chance = Random()  # nosec B311
    living = LivingClass(class_, chance)
    async with opened(settings) as engine:
        while not stopping.is_set():
            event = living.next(engine.clock(), engine.new_id())
            try:
                await engine.ingest.take(CLASS, [encode(event)])
            except Unavailable as error:
                logger.warning("the simulated class cannot go on yet: %s", error)
            stopping.wait(chance.uniform(*PAUSE_S))


def _listens(settings: "Settings", stopping: threading.Event) -> bool:
    """Wait until the server answers; False if ``stopping`` is set first."""
    from mastery_engine.doctor import address_of

    reached = urlsplit(address_of(settings.host, settings.port)).hostname or ""
    while not stopping.wait(LOOK_S):
        try:
            socket.create_connection((reached, settings.port), timeout=1.0).close()
        except OSError:
            continue
        return True
    return False


def doors_of(settings: "Settings", class_: list["Pupil"], clock: "Clock") -> dict[str, "DemoDoor"]:
    """The ways in for a browser: as a student with a story, as the teacher, as the operator; none in production."""
    from mastery_engine.auth.demo_doors import DemoDoor
    from mastery_engine.lab.simulate.classes import COHORT
    from mastery_engine.lab.simulate.stories import STORIES, names_of
    from mastery_engine.wiring_tokens import tokens

    if settings.in_production:
        return {}
    issuer, names = tokens(settings, clock), names_of(class_)
    students = {
        story.code: DemoDoor(
            "student",
            issuer.make(subject=story.student_id, role="student", lives_s=TOKEN_S),
            names[story.student_id],
            story.code,
        )
        for story in STORIES
    }
    teacher = issuer.make(subject="teacher", role="teacher", cohorts=[COHORT], lives_s=TOKEN_S)
    operates = issuer.make(subject="operator", role="admin", lives_s=TOKEN_S)
    return students | {"teacher": DemoDoor("teacher", teacher), "operator": DemoDoor("operator", operates)}


def _url(settings: "Settings") -> str:
    """The address at which a browser on this machine reaches the demo."""
    from mastery_engine.doctor import address_of

    is_local = settings.host in ("127.0.0.1", "0.0.0.0", "::")  # nosec B104
    return f"http://localhost:{settings.port}" if is_local else address_of(settings.host, settings.port)


def _to_try(settings: "Settings") -> str:
    from mastery_engine.lab.simulate.classes import BEST_KNOWN, COHORT
    from mastery_engine.wiring_tokens import tokens

    issuer = tokens(settings)
    token = issuer.make(subject="demo", role="admin", lives_s=TOKEN_S)
    teacher = issuer.make(subject="teacher", role="teacher", cohorts=[COHORT], lives_s=TOKEN_S)
    return TO_TRY.format(students=STUDENTS, url=_url(settings), teacher=teacher, token=token, student=BEST_KNOWN)
