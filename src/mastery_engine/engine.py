"""The engine: every service of one process, built once by ``wiring``.

HTTP, MCP, the dashboard and the commands get the engine and nothing else: they know no port and no backend.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mastery_engine.auth.signed_bodies import SignedBodies
from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.rules import Rules
from mastery_engine.model_files import ModelFileWatch
from mastery_engine.outbound.public_http import PublicHttp
from mastery_engine.ports.backend import Connection
from mastery_engine.ports.documents import DocumentReader
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.admission import Admission
from mastery_engine.services.advice import Advising
from mastery_engine.services.audit import Audit
from mastery_engine.services.backlog import Backlog
from mastery_engine.services.badge_credentials import BadgeCredentials
from mastery_engine.services.badges import Badges
from mastery_engine.services.batches import Batches
from mastery_engine.services.calibrations import Calibrations
from mastery_engine.services.classrooms import Classrooms
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.credentials import Credentials
from mastery_engine.services.dangers import Dangers
from mastery_engine.services.dead_letters import DeadLetters
from mastery_engine.services.doorways import Doorways
from mastery_engine.services.dumps import Dumps
from mastery_engine.services.figures import Figures
from mastery_engine.services.forecasts import Forecasts
from mastery_engine.services.ingest import Ingest
from mastery_engine.services.lti.late_grades import LateGrades
from mastery_engine.services.lti.services import LtiServices
from mastery_engine.services.models import Models
from mastery_engine.services.next_answers import NextAnswers
from mastery_engine.services.notes import Notes
from mastery_engine.services.pages import Pages
from mastery_engine.services.people import People
from mastery_engine.services.privacy import Privacy
from mastery_engine.services.readiness import Readiness
from mastery_engine.services.record_documents import RecordDocuments
from mastery_engine.services.record_store import RecordStore
from mastery_engine.services.reports import Reports
from mastery_engine.services.retention import Retention
from mastery_engine.services.rosters import Rosters
from mastery_engine.services.scores import Scores
from mastery_engine.services.skills import Skills
from mastery_engine.services.standings import Standings
from mastery_engine.services.watching import Watching
from mastery_engine.services.webhooks import Webhooks
from mastery_engine.tasks import ended
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.tracing import Tracing
from mastery_engine.worker.bridge import TopicBridge
from mastery_engine.worker.calibrator import Calibrator
from mastery_engine.worker.lag import Lag
from mastery_engine.worker.logged_answers import LoggedAnswers
from mastery_engine.worker.progress import LogProgress
from mastery_engine.worker.purge import Purge
from mastery_engine.worker.replay import Replay
from mastery_engine.worker.sender import DeliverySender
from mastery_engine.worker.worker import Worker


@dataclass(frozen=True)
class Engine:
    """All services of one process. ``connections`` are closed with it, in this order."""

    clock: Clock
    new_id: NewId
    rules: Rules
    curriculum: Curriculum

    ingest: Ingest
    scores: Scores
    batches: Batches
    forecasts: Forecasts
    calibrations: Calibrations
    advice: Advising
    next_answers: NextAnswers
    skills: Skills
    cohorts: Cohorts
    courses: Courses
    credentials: Credentials
    badges: Badges
    badge_credentials: BadgeCredentials
    doorways: Doorways
    canvas_bodies: SignedBodies
    people: People
    notes: Notes
    rosters: Rosters
    record_store: RecordStore
    record_documents: RecordDocuments
    standings: Standings
    reports: Reports
    watching: Watching
    pages: Pages
    classrooms: Classrooms
    privacy: Privacy
    consents: Consents
    access: AccessControl
    audit: Audit
    dead_letters: DeadLetters
    dumps: Dumps
    retention: Retention
    webhooks: Webhooks
    backlog: Backlog

    lti: LtiServices
    late_grades: LateGrades

    admission: Admission
    readiness: Readiness
    dangers: Dangers
    figures: Figures
    metrics: Metrics
    tracing: Tracing
    models: Models
    model_file: ModelFileWatch

    worker: Worker
    bridge: TopicBridge | None
    sender: DeliverySender
    public_https: Sequence[PublicHttp]
    lag: Lag
    purge: Purge
    calibrator: Calibrator
    progress: LogProgress
    replay: Replay
    logged_answers: LoggedAnswers

    reader: DocumentReader
    connections: Sequence[Connection]

    @asynccontextmanager
    async def at_work(self, *, serves: bool) -> AsyncIterator[None]:
        """Run the background tasks inside the block; with ``serves``, also those that live streams need."""
        async with AsyncExitStack() as stack:
            beside = [
                self.audit.keep_flushing(),
                self.batches.keep_working(),
                self.model_file.keep_watching(),
                self.dangers.keep_looking(),
                self.readiness.keep_looking(),
                self.figures.keep_telling(serves=serves),
            ]
            if serves:
                beside.append(self.watching.keep_looking())
            stack.push_async_callback(self.figures.end)
            for work in beside:
                stack.push_async_callback(ended, asyncio.create_task(work))
            yield

    @asynccontextmanager
    async def beside_worker(self) -> AsyncIterator[None]:
        """Run inside the block what runs beside the worker: what is daily, what is sent, the bridge from Open edX."""
        async with AsyncExitStack() as stack:
            for work in (
                self.purge,
                self.calibrator,
                self.bridge,
                self.sender,
                self.lti.rosters,
                self.late_grades,
            ):
                if work is not None:
                    stack.push_async_callback(ended, asyncio.create_task(work.keep_running()))
            yield

    async def close(self) -> None:
        """Write what is not written yet, and close stores and logs."""
        await self.audit.flush()
        if self.bridge is not None:
            await self.bridge.close()
        for http in self.public_https:
            await http.close()
        await self.lti.close()
        await self.reader.close()
        for connection in self.connections:
            await connection.close()
        self.tracing.close()
