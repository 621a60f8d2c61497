"""The middleware for every request: its id, its moment, limits on size and number, the log line and the metrics.

The clock is read here once per request, and the whole request is answered as of that moment.
"""

import asyncio
import logging
import re
from time import perf_counter
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.errors import Busy, InvalidInput, TooLarge
from mastery_engine.http.envelope import Meta
from mastery_engine.http.problems import problem
from mastery_engine.telemetry.metrics import Metrics

logger = logging.getLogger("mastery_engine.requests")

ALIAS = "/api/v1"
MAX_BODY = 1024 * 1024
BODY_S = 5.0
PROBES = frozenset({"/health", "/ready", "/metrics"})
STREAM = re.compile(r"/students/[^/]+/stream|/dashboard/[^/]+/[^/]+/live")
# A route's own headers win over these. Answers have personal data, so no proxy or browser may store them.
PROTECTION = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"cache-control", b"no-store"),
)
NOTHING_LOADS = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class RequestMiddleware:
    """The outermost middleware of the service, apart from traces."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, clock: Clock, new_id: NewId, most_at_once: int) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock
        self._new_id = new_id
        self._most_at_once = most_at_once
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # the server, which has its own scope, leaves out the body
        headers = Headers(scope=scope)
        at = self._clock()
        exchange = Exchange(scope, headers, send, self._meta(headers, at), at)
        if scope["path"].startswith(ALIAS + "/"):
            scope["path"] = scope["path"][len(ALIAS) :]
            scope["raw_path"] = scope.get("raw_path", b"")[len(ALIAS) :]
        exchange.is_stream = STREAM.fullmatch(scope["path"]) is not None
        counted = scope["path"] not in PROBES and not exchange.is_stream
        self._under_way += counted
        self._metrics.in_flight.set(self._under_way)
        try:
            if counted and self._under_way > self._most_at_once:
                raise Busy(f"More than {self._most_at_once} calls are under way at once: try again in a second.")
            await self._app(scope, _limited(exchange, receive), exchange.send)
        except ClientDisconnect:
            exchange.status = 499
        except Exception as error:
            if not isinstance(error, Busy | TooLarge):
                logger.exception("unexpected", extra={"correlation_id": exchange.meta.request_id})
            if exchange.status is None:
                accept = exchange.headers.get("accept", "")
                await problem(error, exchange.meta, accept=accept)(scope, receive, exchange.send)
        finally:
            self._under_way -= counted
            self._record(exchange)

    def _meta(self, headers: Headers, at: Micros) -> Meta:
        given = headers.get("x-request-id", "")
        return Meta(rfc3339(at), given if REQUEST_ID.fullmatch(given) else self._new_id())

    def _record(self, exchange: "Exchange") -> None:
        seconds = perf_counter() - exchange.started
        endpoint = getattr(exchange.scope.get("route"), "path", "unmatched")
        status = exchange.status or 500
        timed = None if exchange.is_stream else seconds
        self._metrics.answered(endpoint, exchange.scope["method"], status, timed)
        logger.info(
            "request",
            extra={
                "correlation_id": exchange.meta.request_id,
                "endpoint": endpoint,
                "method": exchange.scope["method"],
                "student_id": exchange.scope["state"].get("student_id"),
                "duration_ms": round(seconds * 1_000, 2),
                "status_code": status,
            },
        )


class Exchange:
    """One request in progress: its meta, its moment, and the status of its answer."""

    def __init__(self, scope: Scope, headers: Headers, send: Send, meta: Meta, at: Micros) -> None:
        self.scope = scope
        self.headers = headers
        self.meta = meta
        self.status: int | None = None
        self.is_stream = False
        self.started = perf_counter()
        self._send = send
        scope["state"] = {**scope.get("state", {}), "meta": meta, "request_id": meta.request_id, "at": at}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message.get("headers", ())
            said = {name.lower() for name, _ in given}
            allowance = self.scope["state"].get("allowance")
            message["headers"] = [
                *given,
                (b"x-request-id", self.meta.request_id.encode()),
                *(allowance.headers() if allowance is not None else ()),
                *(header for header in PROTECTION if header[0] not in said),
            ]
            if b"content-security-policy" not in said and not dict(given).get(b"content-type", b"").startswith(
                b"text/html"
            ):
                message["headers"].append(NOTHING_LOADS)
        await self._send(message)


def _limited(exchange: Exchange, receive: Receive) -> Receive:
    """``receive``, but raising TooLarge for a body over the limit, and InvalidInput for one that comes too slowly."""
    said = exchange.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said) > MAX_BODY:
        raise TooLarge(f"The body has {said} bytes, but at most {MAX_BODY} are allowed: send it in parts.")
    received = 0
    deadline: float | None = asyncio.get_running_loop().time() + BODY_S

    async def count(*_: Any) -> Message:
        nonlocal received, deadline
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise InvalidInput(f"The body did not arrive within {BODY_S:.0f} seconds: send it again.") from None
        received += len(message.get("body", b""))
        if not message.get("more_body", False):
            deadline = None
        if received > MAX_BODY:
            raise TooLarge(f"The body has more than the {MAX_BODY} bytes that are allowed: send it in parts.")
        return message

    return count
