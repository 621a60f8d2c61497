"""``demo``: the service, with a simulated class that works while you look."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

from mastery_engine.auth.access import Caller
from mastery_engine.cli.console import complain, counted, opened, progress, settings
from mastery_engine.cli.serving import Host, Port, end_well_on_signals

if TYPE_CHECKING:
    from mastery_engine.domain.events.event import LearningEvent
    from mastery_engine.lab.simulate.classes import Pupil
    from mastery_engine.services import Mastery
    from mastery_engine.settings import Settings
    from mastery_engine.wiring import WorkerLock

logger = logging.getLogger(__name__)

STUDENTS, DAYS, SEED = 30, 30, 1
PAUSE_S = (2.0, 5.0)
LOOK_S = 0.1
STOP_S = 5.0
TOKEN_S = 7 * 86_400
CLASS = Caller("simulated-class", "service", "default")

TO_TRY = """
A simulated class of {students} works at {url} (Ctrl-C ends it). Its dashboard: {url}/dashboard,
to sign in as its teacher with this token:

{teacher}

To try, in another terminal:

export JWT_TOKEN={token}

curl -X POST {url}/mastery/query \\
  -H "Authorization: Bearer $JWT_TOKEN" -H "Content-Type: application/json" \\
  -d '{{"student_id": "{student}", "include_components": true}}'

curl -X POST {url}/mastery/ingest \\
  -H "Authorization: Bearer $JWT_TOKEN" -H "Content-Type: application/json" \\
  -d '{{"event_type": "quiz", "student_id": "{student}", "data": {{"total_questions": 10, "correct_answers": 9}}}}'
"""


def demo(host: Host = None, port: Port = None) -> None:
    """Serve a living simulated class.

    An empty data folder gets the class's last 30 days; then somebody does something every few seconds.

    \b
    Example:
      DATA_DIR=/tmp/demo mastery-engine demo --port 8005
    """
    from mastery_engine.http.serve import serve

    end_well_on_signals()
    chosen, class_ = asyncio.run(_prepared(settings(host=host, port=port, worker_enabled=True)))
    with _living(chosen, class_):
        serve(chosen)


async def _prepared(settings: "Settings") -> tuple["Settings", list["Pupil"]]:
    """The settings with a free port, and the class with its past in the data folder.

    Raises StartRefused where another process works that folder, or has the port.
    """
    from mastery_engine.http.serve import listen
    from mastery_engine.lab.simulate.classes import past, pupils
    from mastery_engine.wiring import WorkerLock

    class_ = pupils(STUDENTS, SEED)
    with WorkerLock(settings) as lock, listen(settings) as listener:
        chosen = settings.model_copy(update={"port": listener.getsockname()[1]})
        async with opened(settings, apart=True) as mastery:
            days = min(DAYS, mastery.rules.retention_days)
            events = past(class_, days=days, seed=SEED, until=mastery.clock())
            if any([key async for key in mastery.store.students()]) or sum((await mastery.log.ends()).values()) > 1:
                await _resume(mastery, class_)
            else:
                await _seed(mastery, lock, events)
                complain(f"The class begins with {counted(len(events), 'event')} of its last {days} days.")
    return chosen, class_


async def _seed(mastery: "Mastery", lock: "WorkerLock", events: list["LearningEvent"]) -> None:
    """The class's past, through the door that files come by."""
    import msgspec

    from mastery_engine.cli.feeding import append, worked, working

    now = mastery.clock()
    received = [msgspec.structs.replace(event, received=now) for event in events]
    chunks = (received[start : start + 1_000] for start in range(0, len(received), 1_000))
    async with working(mastery, lock) as work:
        ends = await append(mastery, CLASS, chunks, "ingest")
        with progress("A class begins", sum(ends.values())) as told:
            await worked(mastery, ends, work, told)


async def _resume(mastery: "Mastery", class_: list["Pupil"]) -> None:
    """Let the class go on where its documents are, so that running totals never fall."""
    students = await mastery.students(CLASS, [pupil.student_id for pupil in class_])
    for pupil, student in zip(class_, students, strict=True):
        known = student.evidence.completion
        pupil.resume({topic: (progress.completed, progress.total) for topic, progress in known.items()})


@contextmanager
def _living(settings: "Settings", class_: list["Pupil"]) -> Iterator[None]:
    """The class at work, in a thread of its own, once the server listens."""
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
    """Something happens every few seconds, until told to stop."""
    from mastery_engine.domain.events.event import encode
    from mastery_engine.errors import Unavailable
    from mastery_engine.lab.simulate.classes import LivingClass

    chance = Random()  # nosec B311
    living = LivingClass(class_, chance)
    async with opened(settings) as mastery:
        while not stopping.is_set():
            event = living.next(mastery.clock(), mastery.new_id())
            try:
                await mastery.ingest(CLASS, [encode(event)])
            except Unavailable as error:
                logger.warning("the simulated class waits: %s", error)
            stopping.wait(chance.uniform(*PAUSE_S))


def _listens(settings: "Settings", stopping: threading.Event) -> bool:
    """Whether the server answers before all is told to stop."""
    while not stopping.wait(LOOK_S):
        try:
            socket.create_connection((_reachable(settings.host), settings.port), timeout=1.0).close()
        except OSError:
            continue
        return True
    return False


def _to_try(settings: "Settings") -> str:
    from mastery_engine.lab.simulate.classes import BEST_KNOWN, COHORT
    from mastery_engine.wiring import tokens

    made = tokens(settings)
    token = made.make(subject="demo", role="admin", lives_s=TOKEN_S)
    teacher = made.make(subject="teacher", role="teacher", cohorts=[COHORT], lives_s=TOKEN_S)
    url = f"http://{_reachable(settings.host)}:{settings.port}"
    return TO_TRY.format(students=STUDENTS, url=url, teacher=teacher, token=token, student=BEST_KNOWN)


def _reachable(host: str) -> str:
    return "localhost" if host in ("127.0.0.1", "0.0.0.0", "::", "::1") else host  # nosec B104
