"""Calls for operators, without a token: health, readiness, the service's name and version, and metrics."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mastery_engine import __version__
from mastery_engine.errors import NotFound, Unavailable
from mastery_engine.http.accept import preferred
from mastery_engine.http.envelope import JSON
from mastery_engine.http.envelope_route import PROBES, EnvelopeRoute
from mastery_engine.http.incoming import TheEngine
from mastery_engine.http.openapi import responds_openly
from mastery_engine.http.problems import problem
from mastery_engine.http.proxies import forwarding_header
from mastery_engine.responses.readiness import Health, ReadinessReport, ServiceInfo

HTML = "text/html"

router = APIRouter(route_class=EnvelopeRoute, tags=[PROBES])


@router.get("/health", openapi_extra=responds_openly(Health))
async def health() -> Health:
    """Alive."""
    return Health()


@router.get("/ready", openapi_extra=responds_openly(ReadinessReport))
async def ready(engine: TheEngine, request: Request) -> ReadinessReport | Response:
    """Each dependency with its latency; 503 if one does not answer."""
    dependencies = await engine.readiness.dependencies()
    away = [f"{dependency.name}: {dependency.message}" for dependency in dependencies if dependency.status == "down"]
    if not away:
        return ReadinessReport("ready", dependencies)
    error = Unavailable(f"Not ready. {' '.join(away)}")
    details = {"status": "not_ready", "dependencies": dependencies}
    return problem(error, request.state.meta, accept=request.headers.get("accept", ""), details=details)


LED = {"303": {"description": "A browser is led to the pages."}}


@router.get("/", openapi_extra={"responses": responds_openly(ServiceInfo)["responses"] | LED})
async def service(request: Request) -> ServiceInfo | Response:
    """The name, version and environment of the service; a browser is led to the pages."""
    if preferred(request.headers.get("accept", ""), (JSON, HTML)) == HTML:
        return RedirectResponse("/dashboard", 303, {"Vary": "Accept"})
    return ServiceInfo("mastery-engine", __version__, request.state.settings.environment)


@router.get(
    "/metrics", openapi_extra={"responses": {"200": {"description": "Prometheus text", "content": {"text/plain": {}}}}}
)
async def metrics(engine: TheEngine, request: Request) -> Response:
    """The metrics in Prometheus's text format; 404 for calls through a proxy, since they are not for the public."""
    proxied = forwarding_header(request.headers)
    if proxied is not None:
        raise NotFound(f"Metrics are not published: ask this process itself, not a proxy (the call has {proxied}).")
    return Response(engine.metrics.text(request.state.at), media_type="text/plain; version=0.0.4")
