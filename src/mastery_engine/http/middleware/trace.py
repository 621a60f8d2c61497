"""The middleware that makes the span of each call; it is only installed if traces are on."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mastery_engine.domain.events.traceparent import TRACEPARENT
from mastery_engine.telemetry.tracing import Tracing, answered, carried


class TraceMiddleware:
    """The outermost middleware; inside it, requests have the span's own ``traceparent`` in place of the caller's."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._tracing.call(scope["method"], Headers(scope=scope)) as span:
            others = [(name, value) for name, value in scope["headers"] if name != TRACEPARENT.encode()]
            here = (carried() or "").encode()
            inside = {**scope, "headers": [*others, (TRACEPARENT.encode(), here)]}

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answered(span, message["status"])
                await send(message)

            await self._app(inside, receive, sent)
            route = getattr(inside.get("route"), "path", "unmatched")
            span.update_name(f"{scope['method']} {route}")
            span.set_attributes({"http.request.method": scope["method"], "http.route": route})
