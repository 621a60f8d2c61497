"""Traces by OpenTelemetry, from a call through the log and the fold to the results. They cost nothing if they are off.

A trace is passed on by the W3C header ``traceparent`` of calls and records. For events that this process appended to a
log without headers, their positions are remembered.
"""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from cachetools import FIFOCache
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mastery_engine import __version__
from mastery_engine.domain.events.traceparent import TRACEPARENT, trace_of
from mastery_engine.errors import StartRefused
from mastery_engine.ports.event_log import Position, Record

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

USUAL_ENDPOINT = "http://localhost:4318"
MOST_REMEMBERED = 10_000
MOST_TRACES = 100  # of one batch

_PROPAGATOR = TraceContextTextMapPropagator()


def provider_for(endpoint: str | None) -> "TracerProvider":
    """A provider that sends spans by OTLP over HTTP to a collector's base URL. Raises StartRefused without packages."""
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise StartRefused(
            "TRACE_ENABLED needs more packages: pip install 'mastery-engine[tracing]', or set it to false."
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "mastery-engine", "service.version": __version__})
    provider = TracerProvider(resource=resource)
    address = f"{(endpoint or USUAL_ENDPOINT).rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address), schedule_delay_millis=1_000))
    return provider


class Tracing:
    """Makes the spans of one process; without a provider it makes none."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("mastery_engine", __version__)
        self._appended: FIFOCache[tuple[int, int], str] = FIFOCache(MOST_REMEMBERED)

    @property
    def is_on(self) -> bool:
        return self._tracer is not None

    @contextmanager
    def call(self, name: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """The span of a call with these headers; it is the current span inside the block."""
        if self._tracer is None:
            yield trace.INVALID_SPAN
            return
        parent = _PROPAGATOR.extract(headers)
        with self._tracer.start_as_current_span(name, context=parent, kind=SpanKind.SERVER) as span:
            yield span

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The span of one step of the current call."""
        if self._tracer is None or not trace.get_current_span().get_span_context().is_valid:
            yield
            return
        with self._tracer.start_as_current_span(name):
            yield

    def remember(self, positions: Iterable[Position]) -> None:
        """Remember that the current call appended these records, so that their fold belongs to its trace."""
        here = carried() if self._tracer is not None else None
        if here is None:
            return
        for position in positions:
            self._appended[position.partition, position.offset] = here

    def causes(self, records: Iterable[Record]) -> list[str]:
        """The ``traceparent`` of each trace that the records belong to, each once."""
        if self._tracer is None:
            return []
        found: dict[str, None] = {}
        for record in records:
            ours = self._appended.pop((record.partition, record.offset), None)
            said = ours or trace_of(record.headers, record.value)
            if said is not None and len(found) < MOST_TRACES:
                found[said] = None
        return list(found)

    @contextmanager
    def steps(self, name: str, causes: Sequence[str], **attributes: Any) -> Iterator[None]:
        """A span in each of these traces, for one step of a batch that is processed for all of them at once."""
        with ExitStack() as spans:
            if self._tracer is not None:
                for cause in causes:
                    context = _PROPAGATOR.extract({TRACEPARENT: cause})
                    spans.callback(self._tracer.start_span(name, context=context, attributes=attributes).end)
            yield

    def close(self) -> None:
        """Send the spans that are not sent yet."""
        if self._provider is not None:
            self._provider.shutdown()


def carried() -> str | None:
    """The ``traceparent`` of the current call, to pass on; None outside of a trace."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers.get(TRACEPARENT)


def answered(span: Span, status: int) -> None:
    """Record the status of an answered call in its span."""
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
