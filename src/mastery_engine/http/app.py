"""The HTTP application: its routes and middleware, with an engine that is opened at the start."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, TypedDict

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from mastery_engine import __version__
from mastery_engine.auth.demo_doors import DemoDoor
from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.faults import sentence
from mastery_engine.engine import Engine
from mastery_engine.errors import InvalidInput, MasteryError
from mastery_engine.http import docs, openapi
from mastery_engine.http.accept import preferred
from mastery_engine.http.agents import ROUTE as AGENTS_ROUTE
from mastery_engine.http.agents import AgentsOnDemand, MakeAgentServer, agents_served
from mastery_engine.http.dashboard import (
    accessibility,
    class_routes,
    examples,
    my_data,
    note_routes,
    operator_page,
    pages,
    runbooks,
)
from mastery_engine.http.dashboard import dead_letters as letter_pages
from mastery_engine.http.dashboard import webhooks as webhook_pages
from mastery_engine.http.dashboard.routing import failure_page, no_page
from mastery_engine.http.dashboard.student import SharedBodies
from mastery_engine.http.envelope import JSON
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.lti import routes as lti
from mastery_engine.http.middleware.fast_router import FastRouter
from mastery_engine.http.middleware.proxies import ProxyMiddleware
from mastery_engine.http.middleware.request import RequestMiddleware
from mastery_engine.http.middleware.trace import TraceMiddleware
from mastery_engine.http.problems import problem
from mastery_engine.http.proxies import Proxies
from mastery_engine.http.routers import (
    advice,
    badges,
    batches,
    caliper,
    canvas,
    cohorts,
    courses,
    dapr,
    events,
    forecasts,
    history,
    notes,
    operations,
    people,
    privacy,
    process,
    rosters,
    scores,
    skills,
    stream,
    webhooks,
)
from mastery_engine.http.shared_document import SharedDocument
from mastery_engine.http.xapi.routes import ROUTES as XAPI_ROUTES
from mastery_engine.settings import Settings
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.tracing import Tracing

DESCRIPTION = "What each student knows, what they will know next week, and what they should do next."
PARTS = (
    scores,
    batches,
    events,
    history,
    skills,
    stream,
    forecasts,
    cohorts,
    courses,
    people,
    rosters,
    caliper,
    canvas,
    advice,
    badges,
    notes,
    operations,
    process,
    dapr,
    privacy,
    webhooks,
    docs,
    pages,
    webhook_pages,
    letter_pages,
    lti,
    class_routes,
    operator_page,
    runbooks,
    my_data,
    note_routes,
    accessibility,
    examples,
)
NO_DOORS: Mapping[str, DemoDoor] = MappingProxyType({})
FAILURES = (MasteryError, HTTPException, RequestValidationError)
HTML = "text/html"
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class RunningState(TypedDict):
    """The state of every request: the engine, and what belongs to HTTP itself."""

    engine: Engine
    settings: Settings
    agents: AgentsOnDemand
    bodies: SharedBodies
    doors: Mapping[str, DemoDoor]


def create_app(
    settings: Settings,
    opened: Callable[[], AbstractAsyncContextManager[Engine]],
    make_agents: MakeAgentServer,
    *,
    clock: Clock,
    new_id: NewId,
    metrics: Metrics,
    tracing: Tracing,
    doors: Mapping[str, DemoDoor] = NO_DOORS,
) -> FastAPI:
    """The application; ``opened`` gives the engine from start to end, and may raise StartRefused at the start.

    ``doors`` are those by which anybody may look at a demo: as a student, as the teacher, as the operator.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[RunningState]:
        async with opened() as engine, agents_served(make_agents, engine) as agents:
            yield RunningState(engine=engine, settings=settings, agents=agents, bodies=SharedBodies(), doors=doors)

    app = FastAPI(
        title=openapi.TITLE,
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,  # clients name their methods by it, so it is a promise
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the engine has its own
    )
    for part in PARTS:
        _check_routes(part.router)
        app.include_router(part.router)
    app.router.routes += [AGENTS_ROUTE, *XAPI_ROUTES]
    for kind in FAILURES:
        app.add_exception_handler(kind, _failed)
    routes = [route for part in PARTS for route in part.router.routes]
    xapi = {route.path: route.app for route in XAPI_ROUTES}
    app.add_middleware(FastRouter, routes=routes, failed=_failed, kinds=FAILURES, apps=xapi)
    app.add_middleware(
        RequestMiddleware,
        metrics=metrics,
        clock=clock,
        new_id=new_id,
        most_at_once=settings.max_concurrent_requests,
        page_for=failure_page,
    )
    if tracing.is_on:
        app.add_middleware(TraceMiddleware, tracing=tracing)
    app.add_middleware(ProxyMiddleware, proxies=Proxies(settings.forwarded_allow_ips), clock=clock)

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    written = SharedDocument(lambda: msgspec.json.encode(document()), JSON)
    document_route = Route("/openapi.json", written.answer, include_in_schema=False)
    app.router.routes.insert(0, document_route)  # found at once, since anybody may ask for it
    return app


def _check_routes(router: APIRouter) -> None:
    """Every documented call is parsed, limited and answered by ``EnvelopeRoute``; only pages are plain routes."""
    for route in router.routes:
        if getattr(route, "include_in_schema", True) and not isinstance(route, EnvelopeRoute):
            raise TypeError(f"{route}: make the router as APIRouter(route_class=EnvelopeRoute).")


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"][1:])) or None
        error = InvalidInput(f"{sentence(fault['msg'], field)}.", field=field)
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request))
        error = HTTPException(error.status_code, f"This address only allows {allowed}.", {"Allow": allowed})
    if isinstance(error, HTTPException) and preferred(request.headers.get("accept", ""), (JSON, HTML)) == HTML:
        sorry = no_page(request, error.status_code)
        sorry.headers.update(error.headers or {})
        return sorry
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        error = HTTPException(error.status_code, "There is no such address: /docs and /openapi.json list all calls.")
    return problem(error, request.state.meta, accept=request.headers.get("accept", ""))


def _methods(request: Request) -> list[str]:
    """The methods of all routes at this address; the framework only names those of the first route."""
    scope, routes = request.scope, request.app.routes
    return [
        name for name in METHODS if any(route.matches({**scope, "method": name})[0] is Match.FULL for route in routes)
    ]
