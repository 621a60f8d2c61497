"""For operators: alive, ready, what this is, and its metrics. No token is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Literal

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from mastery_engine import __version__
from mastery_engine.errors import Unavailable
from mastery_engine.http.envelope_route import PROBES, Face
from mastery_engine.http.openapi import answers
from mastery_engine.http.problems import problem
from mastery_engine.services import Mastery

PATIENCE_S = 3.0

router = APIRouter(route_class=Face, tags=[PROBES])


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["healthy"] = "healthy"


class Dependency(msgspec.Struct, frozen=True):
    """One thing that the service needs; ``latency_ms`` is null where it did not answer."""

    name: str
    status: Literal["up", "down"]
    latency_ms: float | None
    message: str | None = None


class Readiness(msgspec.Struct, frozen=True):
    """Whether everything that is needed answers."""

    status: Literal["ready", "not_ready"]
    dependencies: list[Dependency]


class Service(msgspec.Struct, frozen=True):
    """What this is."""

    name: str
    version: str
    environment: str


@router.get("/health", openapi_extra=answers(Health))
async def health() -> Health:
    """Alive."""
    return Health()


@router.get("/ready", openapi_extra=answers(Readiness))
async def ready(request: Request) -> Readiness | Response:
    """Each dependency with its latency; 503 where one is away."""
    mastery: Mastery = request.app.state.mastery
    checks: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("store", mastery.store.ping),
        ("log", mastery.log.ping),
        *request.app.state.checks,
    ]
    found = list(await asyncio.gather(*(_ask(name, check) for name, check in checks)))
    away = [one.name for one in found if one.status == "down"]
    if not away:
        return Readiness("ready", found)
    error = Unavailable(f"Away: {', '.join(away)}.")
    details = {"status": "not_ready", "dependencies": found}
    return problem(error, request.state.meta, accept=request.headers.get("accept", ""), details=details)


async def _ask(name: str, check: Callable[[], Awaitable[None]]) -> Dependency:
    started = perf_counter()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await check()
    except TimeoutError:
        return Dependency(name, "down", None, f"No answer within {PATIENCE_S:g} s.")
    except Unavailable as error:
        return Dependency(name, "down", None, error.message)
    return Dependency(name, "up", round((perf_counter() - started) * 1_000, 3))


@router.get("/", openapi_extra=answers(Service))
async def service(request: Request) -> Service:
    """Name, version, environment."""
    return Service("mastery-engine", __version__, request.app.state.settings.environment)


@router.get(
    "/metrics", openapi_extra={"responses": {"200": {"description": "Prometheus text", "content": {"text/plain": {}}}}}
)
async def metrics(request: Request) -> Response:
    """What Prometheus reads."""
    mastery: Mastery = request.app.state.mastery
    return Response(mastery.metrics.text(), media_type="text/plain; version=0.0.4")
