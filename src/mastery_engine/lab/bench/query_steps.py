"""The steps of a query, beside a bare route that is called the same way: within one process, without a network."""

import asyncio
import json
import logging
import os
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, TypeAlias, TypeVar

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from mastery_engine.auth.access import Caller
from mastery_engine.auth.tokens import Tokens
from mastery_engine.backends.memory.audit_log import MemoryAuditLog
from mastery_engine.backends.sqlite.database import FILE_NAME, Database
from mastery_engine.backends.sqlite.documents import SqliteDocuments
from mastery_engine.clock import Clock
from mastery_engine.collector import tune_gc
from mastery_engine.domain.advice.guidance import current
from mastery_engine.domain.consent import pseudonym
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.domain.evidence.history import Trend, average, trend
from mastery_engine.domain.evidence.score import MasteryScore, score_on
from mastery_engine.domain.evidence.shown import shown_scores, with_4_decimals
from mastery_engine.domain.moments import SECOND, Micros, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import DocumentKey, Student, StudentKey, pack, unpack
from mastery_engine.errors import MasteryError, StartRefused
from mastery_engine.http.answer_cycle import WHOLE_BODY
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated
from mastery_engine.http.middleware.fast_router import FastRouter
from mastery_engine.http.middleware.proxies import ProxyMiddleware
from mastery_engine.http.middleware.request import RequestMiddleware
from mastery_engine.http.openapi import responds
from mastery_engine.http.proxies import Proxies
from mastery_engine.http.routers.scores import MasteryQuery
from mastery_engine.lab.bench import bare
from mastery_engine.lab.bench.measures import Line, judged, ratios, shown
from mastery_engine.lab.bench.term import StudentAtWork
from mastery_engine.lab.folded import course
from mastery_engine.ports.documents import DocumentChange
from mastery_engine.responses.advice import path_ahead, recommended
from mastery_engine.responses.scores import StudentMastery, current_mastery
from mastery_engine.service import create_app
from mastery_engine.services.audit import Audit
from mastery_engine.services.current_advice import AdviceWords
from mastery_engine.settings import Settings
from mastery_engine.telemetry.logging import CallRecord, JsonLines
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.wiring import new_id

CALLS = 1_000
PATH = b"/mastery/query"
WHOLE = {WHOLE_BODY: {"is_here": True}}  # as the engine's server says of most bodies
SECRET = "for-benches-alone-0123456789-0123456789"  # nosec B105
RULES, COURSE = Rules(), course()
T = TypeVar("T")
Past: TypeAlias = tuple[float | None, Trend]


def query_steps(runs: int, until: Micros, models: Sequence[StudentAtWork]) -> list[Line]:
    """Queries of as many students, each asked for once in a run, so that no document is in the process's memory."""
    documents = [pack(models[number % len(models)].student) for number in range(CALLS)]
    costs: dict[str, list[float]] = defaultdict(list)
    for run in range(-1, runs):  # the first one warms
        for name, value in _step_costs(documents, until).items():
            if run >= 0:
                costs[name].append(value)
    called = asyncio.run(_called(runs, until, models))
    whole, floor, line = (called.pop(name) for name in ("whole", "floor", "log line"))
    costs["the call alone (address, body, caller, limits, metrics, headers)"] = called["nothing"]
    costs["the store, without unpacking"] = [
        read - parsed for read, parsed in zip(called["store"], costs["unpack"], strict=True)
    ]
    known = [sum(values) for values in zip(*costs.values(), strict=True)]
    costs["the rest (course, consent, caches; the steps one after another cost more than alone)"] = [
        call - steps for call, steps in zip(whole, known, strict=True)
    ]
    return [
        *[shown("steps", f"a query: {name}", "µs", values) for name, values in costs.items()],
        shown("steps", "a query: all of these", "µs", whole),
        shown("steps", "a query: its log line, which is beside these", "µs", line),
        shown("steps", "a query: floor, a bare FastAPI route", "µs", floor),
        judged("steps", "a query: ratio to the floor", "", ratios(floor, whole), "query to floor"),
    ]


def _step_costs(documents: Sequence[bytes], now: Micros) -> dict[str, float]:
    """µs a query by step, each over all students before the next."""
    costs: dict[str, float] = {}
    today, moment = RULES.day_of(now), rfc3339(now)
    keys = [DocumentKey(DEFAULT_TENANT, f"student_{number}") for number in range(len(documents))]
    audit = Audit(MemoryAuditLog(), lambda: now, partial(pseudonym, SECRET.encode()))
    caller = Caller("bench", "service", at=now)

    def timed(name: str, work: Callable[..., T], *over: Sequence[Any]) -> list[T]:
        started = process_time()
        done = [work(*each) for each in zip(*over)]  # noqa: B905
        costs[name] = (process_time() - started) / len(done) * 1e6
        return done

    def answer(
        key: DocumentKey, student: Student, score: MasteryScore, past: Past, words: AdviceWords
    ) -> StudentMastery:
        shown, (mean, week) = current_mastery(score, moment, RULES, advice=words.advice), past
        updated = rfc3339(student.updated)
        return StudentMastery(key.student_id, shown, with_4_decimals(mean), week, updated, words.path)

    students = timed("unpack", unpack, documents)
    scores = timed("score", lambda student: score_on(student.evidence, today, RULES), students)
    past = timed("history and trend", lambda student: _past(student, today), students)
    guided = timed(
        "advice and path",
        lambda student, score: current(
            student.guidance, student.evidence, score, today, COURSE, RULES, student.knowledge
        ),
        students,
        scores,
    )
    words = timed(
        "words of advice and path",
        lambda key, guidance: AdviceWords(
            recommended(guidance.advised(*key, now), key, COURSE), path_ahead(guidance.path)
        ),
        keys,
        guided,
    )
    answers = timed("the answer's parts", answer, keys, students, scores, past, words)
    timed("JSON", msgspec.json.Encoder().encode, answers)
    timed("audit", lambda key: audit.note(caller, "query", key.student_id, allowed=True), keys)
    return costs


def _past(student: Student, today: int) -> Past:
    scores = shown_scores(student.history, RULES, first=RULES.first_day(today), last=today)
    return average(scores), trend(scores, today)


async def _called(runs: int, until: Micros, models: Sequence[StudentAtWork]) -> dict[str, list[float]]:
    """µs a call of ours, of a route of ours that does nothing, and of the bare route; of the store, and of a log line.

    Run by run, by turns.
    """
    costs: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), jwt_secret=SECRET, worker_enabled=False, log_level="WARNING")
        await _fill(Path(folder), runs + 1, models)
        token = Tokens(SECRET, lambda: until).make(subject="bench", role="service", lives_s=86_400)
        app = create_app(settings, clock=lambda: until)
        async with AsyncExitStack() as stack:
            state = await stack.enter_async_context(app.router.lifespan_context(app))
            tune_gc()
            given, nothing = dict(state or {}), _nothing(lambda: until)
            database = await stack.enter_async_context(_opened(Path(folder)))
            for run in range(runs + 1):
                measured = {
                    "whole": await _asked(app, given, token, run),
                    "nothing": await _asked(nothing, given, token, run),
                    "floor": await _asked(bare.app, {}, token, run),
                    "store": await _read(SqliteDocuments(database), run),
                    "log line": _logged(until),
                }
                for name, value in measured.items() if run else ():
                    costs[name].append(value)
    return costs


def _nothing(clock: Clock) -> ASGIApp:
    """A route that does nothing, behind all that a call of the engine passes."""
    router = APIRouter(route_class=EnvelopeRoute)

    @router.post(PATH.decode(), openapi_extra=responds(StudentMastery, limit="query"))
    async def nothing(caller: Authenticated, body: MasteryQuery) -> list[str]:
        del caller, body
        return []

    async def failed(_: Request, error: Exception) -> Response:
        raise StartRefused(f"A call of the bench that does nothing failed: {error}") from error

    app = RequestMiddleware(
        FastRouter(PlainTextResponse(), routes=router.routes, failed=failed, kinds=(MasteryError,)),
        metrics=Metrics(),
        clock=clock,
        new_id=new_id,
        most_at_once=1_000,
        page_for=lambda *_: None,
    )
    return ProxyMiddleware(app, proxies=Proxies(()), clock=clock)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Database]:
    database = Database(folder / FILE_NAME)
    yield database
    await database.close()


async def _read(store: SqliteDocuments, run: int) -> float:
    """µs a student, read one by one as queries do."""
    students = [StudentKey(DEFAULT_TENANT, f"student_{run * CALLS + number}") for number in range(CALLS)]
    started = process_time()
    for student in students:
        await store.of_students([student])
    return (process_time() - started) / CALLS * 1e6


def _logged(now: Micros) -> float:
    """µs a log line of a call, to where nobody reads it."""
    fields = {
        "correlation_id": new_id(),
        "endpoint": PATH.decode(),
        "method": "POST",
        "student_id": "student_1",
        "duration_ms": 1.23,
        "status_code": 200,
    }
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        handler = logging.StreamHandler(nowhere)
        handler.setFormatter(JsonLines())
        started = process_time()
        for _ in range(CALLS):
            handler.handle(CallRecord(__name__, now / SECOND, dict(fields)))
        return (process_time() - started) / CALLS * 1e6


async def _fill(folder: Path, runs: int, models: Sequence[StudentAtWork]) -> None:
    database = Database(folder / FILE_NAME)
    store = SqliteDocuments(database)
    await store.commit(
        [
            DocumentChange(DocumentKey(DEFAULT_TENANT, f"student_{number}"), 0, models[number % len(models)].student)
            for number in range(runs * CALLS)
        ]
    )
    await database.close()


async def _asked(app: ASGIApp, state: dict[str, Any], token: str, run: int) -> float:
    """µs a query. Raises StartRefused if one is not answered."""
    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (b"authorization", f"Bearer {token}".encode()),
    ]
    bodies = [json.dumps({"student_id": f"student_{run * CALLS + number}"}).encode() for number in range(CALLS)]
    statuses = set()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.add(message["status"])

    started = process_time()
    for body in bodies:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH.decode(),
            "raw_path": PATH,
            "root_path": "",
            "query_string": b"",
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": state,
            "extensions": WHOLE,
        }
        await app(scope, _Body(body), send)
    seconds = process_time() - started
    if statuses != {200}:
        raise StartRefused(f"A query of the bench was answered with {sorted(statuses)}.")
    return seconds / CALLS * 1e6


class _Body:
    """What a server gives an application: the body, once, and then that the client is there."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def __call__(self) -> dict[str, Any]:
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
