"""Calls to the service in this process, as anybody, with every answer held against the OpenAPI document."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from mastery_engine.domain.moments import SECOND
from mastery_engine.domain.student import StudentKey
from mastery_engine.engine import Engine
from mastery_engine.http.serve import config_of, listen
from mastery_engine.ports.audit_log import AuditFilter, AuditRecord
from mastery_engine.ports.backend import Logs, Stores
from mastery_engine.service import Service, create_app
from mastery_engine.services.folding import Folding
from mastery_engine.settings import Settings
from mastery_engine.wiring_clocks import system_clock
from tests.support.live import SECRET, bearer, make_token
from tests.support.new_database import lay_new_database

Json = dict[str, Any]

STUDENT = "student_12345"
COHORT = "py-101"
COMPONENTS = {"completion": 0.85, "quiz": 0.90, "quality": 0.85, "consistency": 0.82}


class MovedClock:
    """The system's clock, moved ahead by so many microseconds."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return system_clock() + self.ahead


@dataclass(frozen=True)
class Api:
    """The service, a client of it, and the engine behind it."""

    app: FastAPI
    client: httpx.AsyncClient
    state: Mapping[str, Any]
    clock: MovedClock

    @property
    def engine(self) -> Engine:
        """The engine that answers."""
        engine: Engine = self.state["engine"]
        return engine

    @property
    def stores(self) -> Stores:
        """What the engine's state is kept in."""
        return self.engine.purge._stores

    @property
    def logs(self) -> Logs:
        """What the engine's records are kept in."""
        return self.engine.purge._logs

    @property
    def folding(self) -> Folding:
        """What folds events here, for calls and for the worker."""
        return self.engine.worker._folding

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A call with a token (an admin's where none is given, none where it is empty); `content` is a raw body."""
        if token is None:
            token = make_token(lives_s=3_600 + self.clock.ahead // SECOND)
        sent = {**(bearer(token) if token else {}), **(headers or {})}
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
            return await self.client.request(method, path, content=content, headers=sent)
        return await self.client.request(method, path, json=body, headers=sent)

    async def post(self, path: str, body: Any = None, **how: Any) -> httpx.Response:
        return await self.call("POST", path, body, **how)

    async def get(self, path: str, **how: Any) -> httpx.Response:
        return await self.call("GET", path, **how)

    async def data(self, path: str, body: Json, **how: Any) -> Any:
        """The data of an answer that must be a success."""
        answer = await self.post(path, body, **how)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()["data"]

    async def query(self, student_id: str = STUDENT, **how: Any) -> Json:
        """A student's current mastery; `how` may have a `date` or a token."""
        body = {"student_id": student_id} | {name: how.pop(name) for name in ("date",) if name in how}
        found: Json = (await self.data("/mastery/query", body, **how))["current_mastery"]
        return found

    async def status(self, event_id: str, student_id: str = STUDENT, **how: Any) -> str:
        answer = await self.get(f"/students/{student_id}/events/{event_id}", **how)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["status"])

    async def learn(self, *events: Json, **how: Any) -> list[str]:
        """Ingest events, wait until they are in the state; their ids."""
        answer = await self.data("/mastery/ingest/batch", {"events": events}, **how)
        assert answer["accepted"] == len(events), answer
        ids = [receipt["event_id"] for receipt in answer["results"]]
        for event, event_id in zip(events, ids, strict=True):
            await self.processed(event_id, event["student_id"], **how)
        return ids

    async def processed(self, event_id: str, student_id: str = STUDENT, **how: Any) -> None:
        async with asyncio.timeout(10):
            while await self.status(event_id, student_id, **how) != "processed":
                await asyncio.sleep(0.01)

    async def audited(self, tenant: str = "default") -> list[AuditRecord]:
        """The audit trail, oldest first, with what waits to be written."""
        await self.engine.audit.flush()
        page = await self.stores.audit_log.page(tenant, AuditFilter(), limit=1_000)
        return page.records[::-1]

    def pseudonym(self, student_id: str, tenant: str = "default") -> str:
        """The keyed hash under which a student is on record."""
        return self.engine.consents.pseudonym(StudentKey(tenant, student_id))


@asynccontextmanager
async def serving(data_dir: Path, clock: MovedClock | None = None, **settings: Any) -> AsyncIterator[Api]:
    """The service on a data folder, in this process."""
    clock = clock or MovedClock()
    given = settings_of(data_dir, **settings)
    if given.store == "sqlite":
        lay_new_database(data_dir)
    app = create_app(given, clock=clock)
    async with app.router.lifespan_context(app) as state:
        transport = Checked(httpx.ASGITransport(with_state(app, state or {})))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Api(app, client, state or {}, clock)


@asynccontextmanager
async def listening(data_dir: Path, **settings: Any) -> AsyncIterator[Api]:
    """The same over a socket, as ``serve`` has it, which ends open streams before it waits for connections."""
    clock = MovedClock()
    service = Service(settings_of(data_dir, **settings), clock=clock)
    app = service.app
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(config_of(app, service.shared_by_connections()))
    serving_until_told = asyncio.create_task(server.serve([listener]))
    while not server.started:
        assert not serving_until_told.done(), "it did not start"
        await asyncio.sleep(0.01)
    port = listener.getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        api = Api(app, client, server.lifespan.state, clock)
        yield api
    api.engine.watching.end()
    server.should_exit = True
    await serving_until_told


def settings_of(data_dir: Path, **settings: Any) -> Settings:
    """Settings for a test, with what it says of its own."""
    return Settings(**{"environment": "test", "data_dir": data_dir, "jwt_secret": SECRET, **settings})


def with_state(app: ASGIApp, state: Mapping[str, Any]) -> ASGIApp:
    """The application with what it yielded at its start in the state of each request, as a server gives it."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return served


class Checked(httpx.AsyncBaseTransport):
    """Fails the test where an answer is none that the OpenAPI document allows."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        check_answer(request.method, request.url.raw_path.partition(b"?")[0].decode(), answer)
        return answer


def check_answer(method: str, path: str, answer: httpx.Response) -> None:
    """Raises AssertionError or a ValidationError where status, type or body are not documented for the call."""
    assert answer.headers["x-request-id"]
    kind = answer.headers.get("content-type", "").partition(";")[0]
    path = path.removeprefix("/api/v1")
    said = next((said for said in document()["paths"] if _pattern(said).fullmatch(path)), None)
    operation = document()["paths"].get(said, {}).get(method.lower())
    if kind == "application/problem+json":
        assert {"type", "title", "status", "detail", "code"} <= answer.json().keys()
    elif operation is not None:
        documented = _shared(operation["responses"].get(str(answer.status_code)))
        assert documented, f"{method} {said} answered {answer.status_code}, which is not documented: {answer.text}"
        assert kind in documented.get("content", {"": {}}), f"{method} {said} answered {kind}, which is not documented"
        if kind == "application/json":
            _validator(json.dumps(documented["content"][kind]["schema"])).validate(answer.json())
    elif path.startswith("/xapi/") and answer.is_success:
        assert answer.headers["x-experience-api-version"]
    elif path == "/mcp" and answer.status_code == 400:  # the protocol's own form
        assert answer.json().keys() == {"jsonrpc", "id", "error"}
    elif path == "/mcp" and answer.status_code == 202:  # a notification
        assert not answer.content
    elif answer.status_code != 200 and not (  # a browser gets a page where there is no call
        kind == "text/html" or (path.startswith(("/dashboard", "/lti/")) and answer.is_redirect)
    ):
        _validator(json.dumps({"$ref": "#/components/schemas/Failure"})).validate(answer.json())


def _shared(response: Json | None) -> Json | None:
    """A response of the document, where it stands among those that calls share."""
    name = (response or {}).get("$ref", "").rpartition("/")[2]
    shared: Json | None = document()["components"]["responses"][name] if name else response
    return shared


@cache
def document() -> Json:
    """The OpenAPI document; it is the same whatever the settings."""
    return create_app(Settings()).openapi()


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path))


@cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**json.loads(schema), "components": document()["components"]})


def enrolled(student_id: str, correct: int, cohort: str = COHORT, **more: Any) -> Json:
    """A quiz with this many right answers of ten, by a member of the cohort."""
    return {**event("quiz", student_id=student_id, correct_answers=correct, **more), "metadata": {"cohort_id": cohort}}


async def a_class(api: Api, size: int = 6, cohort: str = COHORT) -> list[str]:
    """Students s0 … of whom each has one more right answer than the one before."""
    names = [f"s{n}" for n in range(size)]
    await api.learn(*[enrolled(name, n, cohort) for n, name in enumerate(names)])
    return names


def event(kind: str = "completion", *, days_ago: float = 0, student_id: str = STUDENT, **data: Any) -> Json:
    """An event with sensible data, of a while ago; `data` are the fields that matter to the test."""
    at = datetime.now(UTC) - timedelta(days=days_ago, seconds=1)
    usual: dict[str, Json] = {
        "completion": {"total_exercises": 10, "completed_exercises": 8, "difficulty": "intermediate"},
        "quiz": {"total_questions": 10, "correct_answers": 9},
        "quality": {"code_quality_score": 0.8, "correctness_score": 0.9, "efficiency_score": 0.7},
        "consistency": {"current_streak": 3},
        "answer": {"item_id": "loops-1", "skills": ["loops"], "correct": True},
        "execution": {"outcome": "success", "topic": "loops"},
        "help": {"topic": "loops"},
        "recommendation.followed": {"recommendation_id": "r-1"},
        "recommendation.dismissed": {"recommendation_id": "r-1"},
        "mastery.calculation.requested": {"components": {"quiz": 0.5}},
    }
    return {
        "event_id": str(uuid4()),
        "event_type": kind,
        "student_id": student_id,
        "timestamp": at.isoformat(),
        "data": {**usual.get(kind, {}), **data},
    }
