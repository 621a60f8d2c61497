"""The addresses of xAPI, what answers at each, and errors in xAPI's statuses."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mastery_engine.domain.moments import rfc3339
from mastery_engine.errors import MasteryError
from mastery_engine.http.envelope import JSON
from mastery_engine.http.problems import problem, respond
from mastery_engine.http.xapi.call import VERSION_HEADER, XapiCall, version_named
from mastery_engine.http.xapi.documents import Answer, DocumentResource
from mastery_engine.http.xapi.statements import get_statements, post_statements, put_statement
from mastery_engine.lrs.broken import RuleBroken
from mastery_engine.lrs.documents import etag_of
from mastery_engine.lrs.rules.agents import agent_is_identified
from mastery_engine.lrs.rules.values import Version
from mastery_engine.services.record_documents import PreconditionFailed

BASES: Mapping[str, Version] = MappingProxyType({"/xapi": "2.0.0", "/xapi/1.0.3": "1.0.3"})
ABOUT: Mapping[Version, bytes] = MappingProxyType(
    {
        "2.0.0": b'{"version":["1.0.3","2.0.0"],"extensions":{}}',
        "1.0.3": b'{"version":["1.0.0","1.0.1","1.0.2","1.0.3"],"extensions":{}}',
    }
)
# Content runs in browsers, at addresses of its own, with a credential that it was given.
SHARED = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Last-Modified, Content-Length, X-Experience-API-Version, "
    "X-Experience-API-Consistent-Through, X-Mastery-Withheld, X-Request-Id",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, PUT, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match, Accept-Language, "
    "X-Experience-API-Version, X-Experience-API-Hash, X-Request-Id",
    "Access-Control-Max-Age": "86400",
}
THROUGH = "X-Experience-API-Consistent-Through"
_encode = msgspec.json.Encoder().encode


class XapiResource:
    """The ASGI application of one resource at one address."""

    def __init__(self, version: Version, answers: Mapping[str, Answer], *, tells_consistency: bool) -> None:
        self._version = version
        self._answers = answers
        self._tells_consistency = tells_consistency
        self._allowed = ", ".join(["HEAD", "OPTIONS", *answers])
        self.route: Route | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self.route
        request = Request(scope, receive)
        headers = {
            **SHARED,
            "X-Experience-API-Version": version_named(request.headers.get(VERSION_HEADER), self._version),
        }
        if request.method == "OPTIONS":
            response = Response(status_code=204, headers={"Allow": self._allowed, **PREFLIGHT})
        else:
            response = await self._answer(request)
        if self._tells_consistency and THROUGH not in response.headers:
            headers[THROUGH] = rfc3339(request.state.at)
        response.headers.update(headers)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._called(request)
        except (MasteryError, HTTPException) as error:
            return _failed(error, request)

    async def _called(self, request: Request) -> Response:
        if request.method not in self._answers:
            raise HTTPException(405, f"This address only allows {self._allowed}.", {"Allow": self._allowed})
        call = await XapiCall.read(request, self._version)
        answer = self._answers.get(call.method)
        if answer is None:
            raise HTTPException(405, f"This address only allows {self._allowed}.", {"Allow": self._allowed})
        through = await call.engine.record_store.consistent_through(call.caller) if self._tells_consistency else None
        response = await answer(call)
        if through is not None:
            response.headers[THROUGH] = rfc3339(through)
        return response


class AboutResource:
    """What the store speaks; the one resource without a credential and without a version."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self.route: Route | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self.route
        headers = {**SHARED, "X-Experience-API-Version": self._version}
        if scope["method"] == "OPTIONS":
            response = Response(status_code=204, headers={"Allow": "GET, HEAD, OPTIONS", **PREFLIGHT})
        elif scope["method"] == "GET":
            response = Response(ABOUT[self._version], media_type=JSON)
        else:
            allowed = {"Allow": "GET, HEAD, OPTIONS"}
            response = _failed(HTTPException(405, "This address only allows GET.", allowed), Request(scope, receive))
        response.headers.update(headers)
        await response(scope, receive, send)


async def get_activity(call: XapiCall) -> Response:
    """All that is known of an activity."""
    call.check_parameters(frozenset(("activityId",)))
    return _document(await call.engine.record_store.activity(call.caller, call.iri("activityId")))


async def get_person(call: XapiCall) -> Response:
    """A person by one of their identifiers."""
    call.check_parameters(frozenset(("agent",)))
    agent = call.agent()
    agent_is_identified(agent, "agent")
    return _document(await call.engine.record_store.person(call.caller, agent))


def _document(value: object) -> Response:
    body = _encode(value)
    return Response(body, headers={"ETag": f'"{etag_of(body)}"'}, media_type=JSON)


def _failed(error: MasteryError | HTTPException, request: Request) -> Response:
    """An error with xAPI's status, and a message that names the rule."""
    accept, meta = request.headers.get("accept", ""), request.state.meta
    if isinstance(error, PreconditionFailed):
        return respond(412, error.message, meta, accept=accept, code=error.code)
    if isinstance(error, RuleBroken):
        details = {"field": error.field, "rule": error.rule}
        return respond(400, error.message, meta, accept=accept, details=details)
    return problem(error, meta, accept=accept)


def _routes() -> list[Route]:
    statements = {"GET": get_statements, "PUT": put_statement, "POST": post_statements}
    resources: dict[str, Mapping[str, Answer]] = {
        "/statements": statements,
        "/activities/state": DocumentResource("state").answers(),
        "/activities/profile": DocumentResource("activity profile").answers(),
        "/agents/profile": DocumentResource("agent profile").answers(),
        "/activities": {"GET": get_activity},
        "/agents": {"GET": get_person},
    }
    routes: list[Route] = []
    for base, version in BASES.items():
        served: dict[str, XapiResource | AboutResource] = {"/about": AboutResource(version)}
        for path, answers in resources.items():
            served[path] = XapiResource(version, answers, tells_consistency=path == "/statements")
        for path, resource in served.items():
            resource.route = Route(base + path, resource, include_in_schema=False)
            routes.append(resource.route)
    return routes


ROUTES = _routes()
