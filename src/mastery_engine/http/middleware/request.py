"""The middleware for every request: its id, its moment, limits on size and number, the log line and the metrics.

The clock is read here once per request, and the whole request is answered as of that moment.
"""

import logging
import re
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.moments import SECOND, Micros, rfc3339
from mastery_engine.errors import MasteryError
from mastery_engine.http.addresses import for_routing
from mastery_engine.http.envelope import Meta
from mastery_engine.http.given_headers import header
from mastery_engine.http.middleware.body import Place, Places, largest_body, receive_body
from mastery_engine.http.page_headers import shown_by
from mastery_engine.http.problems import problem
from mastery_engine.telemetry.logging import CallRecord
from mastery_engine.telemetry.metrics import Metrics

PageFor: TypeAlias = Callable[[Request, Exception], Response | None]
RawHeader: TypeAlias = tuple[bytes, bytes]

logger = logging.getLogger("mastery_engine.requests")

ALIAS = "/api/v1/"
PROBES = frozenset({"/health", "/ready", "/metrics"})
STREAM = re.compile(r"/students/[^/]+/stream|/dashboard/[^/]+/[^/]+/live")
POLICY, NO_FRAME = b"content-security-policy", b"x-frame-options"
# A route's own headers win over these. Answers have personal data, so no proxy or browser may store them.
PROTECTION = (
    (b"x-content-type-options", b"nosniff"),
    (NO_FRAME, b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"cache-control", b"no-store"),
)
NOTHING_LOADS = (POLICY, b"default-src 'none'; frame-ancestors 'none'")
PROTECTED = frozenset(name for name, _ in (*PROTECTION, NOTHING_LOADS))
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class RequestMiddleware:
    """The outermost middleware of the service, apart from traces.

    ``page_for`` gives the page for a failure, if a browser is to see one.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, clock: Clock, new_id: NewId, most_at_once: int, page_for: PageFor
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock
        self._new_id = new_id
        self._places = Places(most_at_once)
        self._page_for = page_for
        metrics.in_flight.set_function(lambda: self._places.taken)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        outer, scope = scope, for_routing(scope)
        at = self._clock()
        if scope["path"].startswith(ALIAS):
            scope["path"] = scope["path"][len(ALIAS) - 1 :]
            scope["raw_path"] = scope.get("raw_path", b"")[len(ALIAS) - 1 :]
        is_stream = STREAM.fullmatch(scope["path"]) is not None
        if scope["method"] == "HEAD" and not is_stream:  # a stream has no end, and is not allowed here
            scope = {**scope, "method": "GET"}  # the server, which has its own scope, leaves out the body
        place = Place(self._places, is_counted=scope["path"] not in PROBES and not is_stream)
        exchange = Exchange(scope, send, self._meta(scope, at), at, place, is_stream=is_stream)
        try:
            place.take()
            most = largest_body(scope["method"], scope["path"])
            await self._app(scope, receive_body(scope, receive, place, most), exchange.send)
        except ClientDisconnect:
            exchange.status = 499
        except Exception as error:
            if not isinstance(error, MasteryError):
                logger.exception("unexpected", extra={"correlation_id": exchange.meta.request_id})
            if exchange.status is None:
                accept = header(scope, b"accept") or ""
                answer = self._page_for(Request(scope), error) or problem(error, exchange.meta, accept=accept)
                await answer(scope, receive, exchange.send)
        finally:
            place.end()
            self._record(exchange)
            if "route" in scope:
                outer["route"] = scope["route"]  # a span is named by it

    def _meta(self, scope: Scope, at: Micros) -> Meta:
        given = header(scope, b"x-request-id")
        return Meta(rfc3339(at), given if given and REQUEST_ID.fullmatch(given) else self._new_id())

    def _record(self, exchange: "Exchange") -> None:
        seconds = perf_counter() - exchange.started
        endpoint = getattr(exchange.scope.get("route"), "path", "unmatched")
        status = exchange.status or 500
        timed = None if exchange.is_stream else seconds
        self._metrics.answered(endpoint, exchange.scope["method"], status, timed)
        if logger.isEnabledFor(logging.INFO):
            line = {
                "correlation_id": exchange.meta.request_id,
                "endpoint": endpoint,
                "method": exchange.scope["method"],
                "student_id": exchange.scope["state"].get("student_id"),
                "duration_ms": round(seconds * 1_000, 2),
                "status_code": status,
            }
            logger.handle(CallRecord(logger.name, exchange.at / SECOND + seconds, line))


class Exchange:
    """One request in progress: its meta, its moment, its place, and the status of its answer."""

    def __init__(self, scope: Scope, send: Send, meta: Meta, at: Micros, place: Place, *, is_stream: bool) -> None:
        self.scope = scope
        self.meta = meta
        self.at = at
        self.status: int | None = None
        self.is_stream = is_stream
        self.started = perf_counter()
        self._send = send
        self._place = place
        scope["state"] = {**scope.get("state", {}), "meta": meta, "request_id": meta.request_id, "at": at}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._place.leave()  # whoever reads slowly keeps nobody else out
            message["headers"] = self._protected(message.get("headers", ()))
        await self._send(message)

    def _protected(self, given: Iterable[RawHeader]) -> list[RawHeader]:
        """The headers of an answer, with those that every answer has."""
        state = self.scope["state"]
        said = {name.lower() for name, _ in given}
        allowance, framers = state.get("allowance"), state.get("framed_by", ())
        if framers or "forms_to" in state:
            given = [
                (name, shown_by(value, framers, state.get("forms_to", ())) if name.lower() == POLICY else value)
                for name, value in given
            ]
        if framers:
            said.add(NO_FRAME)  # which knows no origins
        headers = [*given, (b"x-request-id", self.meta.request_id.encode())]
        if allowance is not None:
            headers += allowance.headers()
        if said.isdisjoint(PROTECTED):
            return [*headers, *PROTECTION, NOTHING_LOADS]
        headers += [one for one in PROTECTION if one[0] not in said]
        if POLICY not in said:
            headers.append(NOTHING_LOADS)
        return headers
