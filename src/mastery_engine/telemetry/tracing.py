"""Traces by OpenTelemetry, from the call through the log and the fold to the results; nothing at all where it is off.

A trace is carried by the W3C header ``traceparent``: in a call's headers, in a record's, and for events that this
process itself put into a log without headers by their positions.
"""

import importlib.util
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

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
    """Sends spans by OTLP over HTTP to a collector's base URL. Raises StartRefused where the packages are missing."""
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise StartRefused("TRACE_ENABLED needs more packages: pip install 'mastery-engine[tracing]', or set it false.")
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
    """The spans of one process; without a provider there are none."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("mastery_engine", __version__)
        self._appended: OrderedDict[tuple[int, int], str] = OrderedDict()

    @property
    def is_on(self) -> bool:
        return self._tracer is not None

    @contextmanager
    def call(self, name: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """The span of a call that came with these headers; it is the current one inside."""
        if self._tracer is None:
            yield trace.INVALID_SPAN
            return
        parent = _PROPAGATOR.extract(headers)
        with self._tracer.start_as_current_span(name, context=parent, kind=SpanKind.SERVER) as span:
            yield span

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step of the call under way."""
        if self._tracer is None or not trace.get_current_span().get_span_context().is_valid:
            yield
            return
        with self._tracer.start_as_current_span(name):
            yield

    def remember(self, positions: Iterable[Position]) -> None:
        """The call under way put these into the log: what becomes of them belongs to its trace."""
        here = carried() if self._tracer is not None else None
        if here is None:
            return
        for position in positions:
            self._appended[position.partition, position.offset] = here
        while len(self._appended) > MOST_REMEMBERED:
            self._appended.popitem(last=False)

    def causes(self, records: Iterable[Record]) -> list[str]:
        """The traces that records belong to, each once."""
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
        """One step in each of these traces: a batch is worked for all of them at once."""
        with ExitStack() as spans:
            if self._tracer is not None:
                for cause in causes:
                    context = _PROPAGATOR.extract({TRACEPARENT: cause})
                    spans.callback(self._tracer.start_span(name, context=context, attributes=attributes).end)
            yield

    def close(self) -> None:
        """Send what waits."""
        if self._provider is not None:
            self._provider.shutdown()


def carried() -> str | None:
    """The ``traceparent`` of the call under way, for whom it is handed on to; None outside of a trace."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers.get(TRACEPARENT)


def answered(span: Span, status: int) -> None:
    """Note how a call was answered."""
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
