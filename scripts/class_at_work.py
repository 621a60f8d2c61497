"""The demo's class at one moment that never changes, for a browser: for the pictures of the documents, and for tests.

It is the class of ``mastery-engine demo`` with its doors, but its clock begins at the same moment each time, and nobody
does anything: so the same page says the same words.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import uvicorn

from mastery_engine.auth.demo_doors import DemoDoor
from mastery_engine.cli.console import opened, operator
from mastery_engine.cli.demo import doors_of, prepared
from mastery_engine.clock import Clock
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import Completion, Quiz
from mastery_engine.domain.moments import Micros, moment_of
from mastery_engine.http.serve import config_of
from mastery_engine.lab.simulate.classes import Pupil
from mastery_engine.service import Service, listen
from mastery_engine.settings import Settings
from mastery_engine.wiring_clocks import system_clock
from mastery_engine.wiring_tokens import tokens

AT = moment_of(datetime(2026, 11, 27, 15, 30, tzinfo=UTC))
SECRET = "of-a-class-that-everybody-may-see-0123456789"  # nosec B105
STARTS_S = 30.0
# What no door lets in, as an older version or another producer could have put it into the log.
BROKEN = (
    ("student_20002", Quiz(total_questions=0, correct_answers=0, topic="loops")),
    ("student_20004", Quiz(total_questions=0, correct_answers=0, topic="lists")),
    ("student_12345", Completion(10, -1, "beginner", "functions")),
)


class ClassAtWork(msgspec.Struct, frozen=True):
    """The address of the service, the ways in, and an administrator's token."""

    url: str
    doors: dict[str, DemoDoor]
    admin: str

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        """A call with the administrator's token."""
        headers = {"Authorization": f"Bearer {self.admin}"}
        return httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=30)


@contextmanager
def class_at_work(folder: Path) -> Iterator[ClassAtWork]:
    """The class, whose data the folder holds, until the block ends."""
    begun = system_clock()

    def clock() -> Micros:
        return AT + system_clock() - begun

    settings = Settings(
        environment="development",
        data_dir=folder,
        jwt_secret=SECRET,
        pseudonym_key=SECRET,
        host="127.0.0.1",
        port=0,
    )
    chosen, pupils = asyncio.run(_prepared(settings, clock))
    doors = doors_of(chosen, pupils, clock)
    service = Service(chosen, clock=clock, doors=doors)
    with listen(chosen) as listener:
        server = uvicorn.Server(config_of(service.app, service.shared_by_connections()))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="class-at-work", daemon=True)
        thread.start()
        try:
            _wait_for(server, thread)
            admin = tokens(chosen, clock).make(subject="operator", role="admin", lives_s=86_400)
            shown = ClassAtWork(f"http://localhost:{chosen.port}", doors, admin)
            yield shown
        finally:
            service.end_streams()
            server.should_exit = True
            thread.join()


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    until = system_clock() + STARTS_S * 1_000_000
    while not server.started:
        if not thread.is_alive() or system_clock() > until:
            raise RuntimeError("The class did not start: the log above has the reason.")
        thread.join(0.05)


async def _prepared(settings: Settings, clock: Clock) -> tuple[Settings, list[Pupil]]:
    """The class's past in the folder, and three events of which an operator finds the dead letters."""
    chosen, pupils = await prepared(settings, clock)
    async with opened(chosen, clock=clock) as engine:
        now = clock()
        broken = [
            LearningEvent(f"broken-{place}", student_id, now, now, data, source="exercise-agent")
            for place, (student_id, data) in enumerate(BROKEN)
        ]
        await engine.ingest.submit(operator(), broken, "ingest")
    return chosen, pupils
