"""The application: its routes, its layers, and what runs beside them."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from mastery_engine import __version__
from mastery_engine.errors import InvalidInput, MasteryError, StartRefused, Unavailable
from mastery_engine.http import docs, openapi
from mastery_engine.http.agents import add_agents, agents_served
from mastery_engine.http.dashboard import pages
from mastery_engine.http.dashboard.student import SharedBodies
from mastery_engine.http.envelope import Meta
from mastery_engine.http.limits import Limits
from mastery_engine.http.middleware.fast_router import Direct
from mastery_engine.http.middleware.request import Edge
from mastery_engine.http.middleware.trace import Traced
from mastery_engine.http.problems import problem
from mastery_engine.http.routers import (
    analytics,
    cohorts,
    compliance,
    dapr,
    events,
    mastery,
    operations,
    predictions,
    process,
    recommendations,
    skills,
    stream,
)
from mastery_engine.model_files import forecast_model, keep_taking
from mastery_engine.responses import advice as answers_advice
from mastery_engine.responses import cohorts as answers_cohorts
from mastery_engine.responses import forecasts as answers_predictions
from mastery_engine.responses import privacy as answers_privacy
from mastery_engine.responses import scores as answers
from mastery_engine.responses import skills as answers_skills
from mastery_engine.services import Mastery
from mastery_engine.services.advice import Advising
from mastery_engine.services.batches import Batches
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.forecasts import Predictions
from mastery_engine.services.privacy import Privacy
from mastery_engine.services.skills import Skills
from mastery_engine.services.standings import Standings
from mastery_engine.services.watching import Watching
from mastery_engine.settings import Settings, warnings_for
from mastery_engine.tasks import beside, ended
from mastery_engine.telemetry.logging import configure_logging
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.wiring import (
    WorkerLock,
    limit_storage,
    new_id,
    open_mastery,
    system_clock,
    tokens,
    tracing_for,
)
from mastery_engine.worker.lag import keep_telling
from mastery_engine.worker.purge import keep_purging
from mastery_engine.worker.worker import Worker

logger = logging.getLogger(__name__)

DESCRIPTION = "What each student knows, what they will know next week, and what they should do next."
ANSWERS = (
    answers.StudentMastery,
    answers.Calculated,
    answers.BatchAnswer,
    answers.BatchState,
    answers.Receipt,
    answers.IngestAnswer,
    answers.EventStatus,
    answers.MasteryHistory,
    answers_cohorts.CohortRecord,
    answers_cohorts.Comparison,
    answers_cohorts.CohortFigures,
    answers_skills.StudentSkills,
    answers_predictions.Prediction,
    answers_predictions.Trajectory,
    answers_advice.Recommended,
    answers_advice.LearningPath,
    answers_advice.StudentPatterns,
    answers_privacy.Consent,
    answers_privacy.Erasure,
    answers_privacy.Export,
    answers_privacy.AuditTrail,
    operations.Health,
    operations.Readiness,
    operations.Service,
    dapr.Subscription,
    dapr.Outcome,
    process.ProcessBody,
    Meta,
)
PARTS = (
    mastery,
    events,
    analytics,
    skills,
    stream,
    predictions,
    cohorts,
    recommendations,
    operations,
    process,
    dapr,
    compliance,
    docs,
    pages,
)
FAILURES = (MasteryError, HTTPException, RequestValidationError)
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
LONGEST_STOP_S = 25.0


def create_app(settings: Settings) -> FastAPI:
    """The service; it opens its store and log when it starts. Raises StartRefused there."""
    app = FastAPI(
        title=openapi.TITLE,
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the engine has its own
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.checks = []
    app.state.student_bodies = SharedBodies()
    for part in PARTS:
        app.include_router(part.router)
    add_agents(app)
    for kind in FAILURES:
        app.add_exception_handler(kind, _failed)
    routes = [route for part in PARTS for route in part.router.routes]
    app.add_middleware(Direct, routes=routes, failed=_failed, kinds=FAILURES)
    app.add_middleware(
        Edge,
        metrics=app.state.metrics,
        clock=system_clock,
        new_id=new_id,
        most_at_once=settings.max_concurrent_requests,
    )

    app.state.tracing = tracing_for(settings)
    if app.state.tracing.is_on:
        app.add_middleware(Traced, tracing=app.state.tracing)

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.document(app, ANSWERS)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
    return app


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        fault = error.errors()[0]
        error = InvalidInput(f"{fault['msg']}.", field=".".join(map(str, fault["loc"][1:])) or None)
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request))
        error = HTTPException(error.status_code, f"This address takes {allowed} alone.", {"Allow": allowed})
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        error = HTTPException(error.status_code, "There is no such address: /docs and /openapi.json list all calls.")
    return problem(error, request.state.meta, accept=request.headers.get("accept", ""))


def _methods(request: Request) -> list[str]:
    """The methods of all routes at this address; the framework names those of the first alone."""
    scope, routes = request.scope, request.app.routes
    return [one for one in METHODS if any(route.matches({**scope, "method": one})[0] is Match.FULL for route in routes)]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    configure_logging(settings)
    for warning in warnings_for(os.environ, settings):
        logger.warning(warning)
    async with AsyncExitStack() as stack:
        if settings.worker_enabled:
            stack.enter_context(WorkerLock(settings))
        engine = open_mastery(settings, metrics=app.state.metrics, tracing=app.state.tracing)
        stack.push_async_callback(engine.close)
        app.state.mastery = engine
        app.state.tokens = tokens(settings)
        app.state.limits = Limits(await stack.enter_async_context(limit_storage(settings)), system_clock)
        app.state.batches = Batches(engine)
        app.state.cohorts = Cohorts(engine)
        app.state.standings = Standings(engine, app.state.cohorts)
        app.state.skills = Skills(engine)
        app.state.predictions = Predictions(engine, forecast_model(settings), app.state.cohorts.due_days)
        app.state.advising = Advising(engine)
        app.state.watching = Watching(engine)
        app.state.privacy = Privacy(engine, app.state.cohorts)
        for work in (
            engine.trail.keep_flushing(),
            app.state.batches.keep_working(),
            app.state.watching.keep_looking(),
            keep_taking(engine, settings),
        ):
            stack.push_async_callback(ended, asyncio.create_task(work))
        await stack.enter_async_context(agents_served(app, engine))
        if settings.worker_enabled:
            await stack.enter_async_context(_working(app, engine))
        else:
            stack.push_async_callback(ended, asyncio.create_task(keep_telling(engine)))
        logger.info("started", extra={"environment": settings.environment, "data_dir": str(settings.data_dir)})
        yield
    logger.info("stopped")


@asynccontextmanager
async def _working(app: FastAPI, engine: Mastery) -> AsyncIterator[None]:
    """The worker and the purge, in this process; at the end the batch under way is finished."""
    worker = Worker(engine)
    why = "the log has why."

    async def work() -> None:
        nonlocal why
        try:
            await worker.run()
        except StartRefused as refused:
            why = refused.message
            logger.error("the worker has stopped: %s", why)
        except Exception:
            logger.exception("the worker has stopped")

    task = asyncio.create_task(work())

    async def at_work() -> None:
        if task.done():
            raise Unavailable(f"The worker of this process has stopped: {why}")

    app.state.checks.append(("worker", at_work))
    async with beside(keep_purging(engine)):
        try:
            yield
        finally:
            worker.stop()
            await asyncio.wait([task], timeout=LONGEST_STOP_S)
            await ended(task)
