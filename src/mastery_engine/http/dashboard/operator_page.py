"""The operator's page: what the service needs, its last hour over all replicas, and what waits for somebody."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from mastery_engine import __version__
from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.moments import day_of, iso_date
from mastery_engine.errors import Unavailable
from mastery_engine.http.dashboard.graphs import GraphLine, graphs_of, time_of
from mastery_engine.http.dashboard.routing import with_error_pages
from mastery_engine.http.dashboard.session import caller_of
from mastery_engine.http.dashboard.templates import SAFE, page
from mastery_engine.http.dashboard.words import spoken
from mastery_engine.http.incoming import engine_of
from mastery_engine.responses.operations import PurgeReport
from mastery_engine.services.backlog import MOST_COUNTED

T = TypeVar("T")

PATIENCE_S = 3.0
RUNBOOKS = {
    "sqlite": "sqlite-cannot-be-written",
    "redis": "redis-timeout",
    "dapr": "dapr-connection-failed",
    "kafka": "kafka-away",
    "worker": "masteryworkerstopped",
}
UNAVAILABLE = "masteryunavailable"

router = APIRouter(include_in_schema=False, prefix="/dashboard")


@router.get("/figures")
@with_error_pages
async def figures(request: Request) -> Response:
    """The last hour as JSON."""
    caller = await caller_of(request)
    hour = await engine_of(request).figures.hour(caller)
    return Response(msgspec.json.encode(hour), media_type="application/json", headers=SAFE)


async def operator_page(request: Request, caller: Caller) -> Response:
    """The page. Each part that does not answer in time says so, and holds up no other."""
    engine = engine_of(request)
    engine.access.check_act(caller, Act.OPERATE, "operator-page")
    settings = request.state.settings
    is_admin = caller.role == "admin"
    (dependencies, hour, reasons), (calibrations, retention), (webhooks, backlog) = await asyncio.gather(
        asyncio.gather(
            engine.readiness.dependencies(),
            engine.figures.hour(caller),
            _in_time(engine.dead_letters.reasons(caller)),
        ),
        asyncio.gather(
            _in_time(engine.calibrations.of_tenant(caller)),
            _in_time(engine.retention.state(caller)),
        ),
        asyncio.gather(
            _in_time(engine.webhooks.all(caller)) if is_admin else _nothing(),
            _in_time(engine.backlog.state(caller)) if is_admin else _nothing(),
        ),
    )
    graphs = graphs_of(hour)
    servers = {"store": settings.store, "log": settings.log}
    return page(
        "operator.html",
        caller,
        day=iso_date(day_of(request.state.at)),
        version=__version__,
        environment=settings.environment,
        dependencies=[
            (one, RUNBOOKS.get(servers.get(one.name, one.name), UNAVAILABLE), servers.get(one.name, ""))
            for one in dependencies
        ],
        hour=hour,
        graphs=graphs,
        time_of=time_of,
        columns=sum(len(one.lines) for one in graphs),
        minutes=[
            (time_of(minute.at), minute.replicas, [_at(line, place) for one in graphs for line in one.lines])
            for place, minute in reversed(list(enumerate(hour.minutes)))
        ],
        gaps=_gaps([one.replicas for one in hour.minutes]),
        rows=_since_start(request),
        reasons=reasons,
        calibrations=calibrations,
        retention=retention,
        removed=[] if retention is None or retention.last is None else _removed(retention.last),
        webhooks=webhooks,
        backlog=backlog,
        most_counted=MOST_COUNTED,
        is_admin=is_admin,
    )


def _at(line: GraphLine, place: int) -> str:
    number = line.numbers[place]
    return "" if number is None else line.told(number)


async def _in_time(answer: Awaitable[T]) -> T | None:
    """The answer; None where what it asks is away, which the page is there to say."""
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            return await answer
    return None


async def _nothing() -> None:
    return None


def _removed(purge: PurgeReport) -> list[tuple[str, int]]:
    """What a purge removed, in words."""
    words = spoken()
    parts = {
        "events": words.gettext("events"),
        "results": words.gettext("results"),
        "dead letters": words.gettext("dead letters"),
        "audit trail": words.gettext("records of the audit trail"),
        "batches": words.gettext("batches"),
        "refusals": words.gettext("refusals"),
        "statements": words.gettext("xAPI statements"),
        "xAPI documents": words.gettext("xAPI documents"),
        "idempotency keys": words.gettext("idempotency keys"),
        "small records": words.gettext("expired agreements with other platforms"),
        "deliveries": words.gettext("ended deliveries"),
    }
    return [(parts.get(part, part), number) for part, number in purge.removed.items()]


def _gaps(told: list[int]) -> int:
    """The minutes in which nobody told, since the first in which somebody did."""
    first = next((place for place, number in enumerate(told) if number), len(told))
    return sum(not number for number in told[first:])


def _since_start(request: Request) -> list[tuple[str, str, float]]:
    """What this process has counted: in words, by which labels, and the number."""
    words = spoken()
    figures = {
        "mastery_queue_depth": words.gettext("events not yet folded"),
        "mastery_events_total": words.gettext("events"),
        "mastery_dead_letters_total": words.gettext("dead letters"),
        "mastery_results_published_total": words.gettext("results published"),
        "mastery_deliveries_total": words.gettext("attempts to deliver"),
        "mastery_http_requests_total": words.gettext("calls"),
        "mastery_streams_open": words.gettext("open streams"),
        "mastery_worker_up": words.gettext("worker running"),
        "mastery_consumer_lag": words.gettext("lag"),
    }
    return [
        (figures[sample.name], ", ".join(f"{name} {value}" for name, value in sample.labels.items()), sample.value)
        for metric in engine_of(request).metrics.registry.collect()
        for sample in metric.samples
        if sample.name in figures
    ]
