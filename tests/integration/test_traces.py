"""One trace from the call to the published result, as a collector sees it that takes OTLP."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.calls import event
from tests.live import Live, refused_start

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


class Collector(ThreadingHTTPServer):
    """Takes spans, as any collector does at /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.spans: list[Any] = []
        self.services: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def of_trace(self) -> dict[str, Any]:
        return {span.name: span for span in list(self.spans) if span.trace_id.hex() == TRACE_ID}


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        found = ExportTraceServiceRequest.FromString(body)
        for resource in found.resource_spans:
            self.server.services |= {one.value.string_value for one in resource.resource.attributes}
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        return


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def test_one_trace_from_the_call_to_the_published_result(tmp_path: Path) -> None:
    with collecting() as collector:
        settings = {"TRACE_ENABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with Live(tmp_path / "data", home=tmp_path, **settings) as live, live.client() as client:
            headers = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01"}
            assert client.post("/mastery/ingest", json=event("quiz"), headers=headers).status_code == 202
            assert client.post("/mastery/query", json={"student_id": "nobody"}).status_code == 404
            deadline = time.monotonic() + 20
            while len(collector.of_trace()) < 4 and time.monotonic() < deadline:
                time.sleep(0.1)
    found = collector.of_trace()
    assert found.keys() == {"POST /mastery/ingest", "append", "fold", "publish"}
    parents = {name: span.parent_span_id for name, span in found.items()}
    assert parents["POST /mastery/ingest"].hex() == CALLER
    assert parents["append"] == found["POST /mastery/ingest"].span_id
    assert parents["fold"] == parents["publish"] == found["append"].span_id
    assert found["fold"].start_time_unix_nano < found["publish"].start_time_unix_nano
    assert "mastery-engine" in collector.services
    assert {span.name for span in collector.spans} >= {"POST /mastery/query", "GET /ready"}


def test_a_collector_that_is_away_holds_nothing_up(tmp_path: Path) -> None:
    settings = {"TRACE_ENABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with Live(tmp_path / "data", home=tmp_path, **settings) as live, live.client() as client:
        assert client.post("/mastery/ingest", json=event("quiz")).status_code == 202


@pytest.mark.parametrize("value", ["perhaps", "2"])
def test_a_bad_value_stops_the_start(tmp_path: Path, value: str) -> None:
    assert "TRACE_ENABLED" in refused_start(tmp_path, TRACE_ENABLED=value).stderr
