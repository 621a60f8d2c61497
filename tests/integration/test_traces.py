"""One trace from the call to the published result, as a collector sees it that takes OTLP."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.calls import event
from tests.support.fleet import REQUESTS, RESULTS, bare_fleet, headers, until
from tests.support.live import Live, refused_start

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACED = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01"}


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


def traced_to(collector: Collector) -> dict[str, str]:
    return {"TRACE_ENABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}


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
    with (
        collecting() as collector,
        Live(tmp_path / "data", home=tmp_path, **traced_to(collector)) as live,
        live.client() as client,
    ):
        assert client.post("/mastery/ingest", json=event("quiz"), headers=TRACED).status_code == 202
        assert client.post("/mastery/query", json={"student_id": "nobody"}).status_code == 404
        until(lambda: len(collector.of_trace()) == 4, 20)
    check_trace(collector)
    assert "mastery-engine" in collector.services
    assert {span.name for span in collector.spans} >= {"POST /mastery/query", "GET /ready"}


@pytest.mark.xdist_group("kafka")
def test_one_trace_through_kafka_and_a_worker_of_its_own(kafka: Kafka, redis_server: Redis, tmp_path: Path) -> None:
    fleet = bare_fleet(kafka, redis_server, tmp_path)
    with collecting() as collector, closing(fleet):
        worker, api = fleet.worker(**traced_to(collector)), fleet.api(**traced_to(collector))
        with api.client() as client:
            assert client.post("/mastery/ingest", json=event("quiz"), headers=TRACED).status_code == 202
        until(lambda: len(collector.of_trace()) == 4, 20)
        worker.stop()
    found = check_trace(collector)
    (sent,), results = fleet.records(REQUESTS), fleet.records(RESULTS)
    assert headers(sent)["traceparent"].split("-")[1:3] == [TRACE_ID, found["append"].span_id.hex()]
    assert {headers(one)["traceparent"].split("-")[1] for one in results} == {TRACE_ID}


def check_trace(collector: Collector) -> dict[str, Any]:
    """The spans of the trace by name: each is the child of the step before it."""
    found = collector.of_trace()
    assert found.keys() == {"POST /mastery/ingest", "append", "fold", "publish"}
    parents = {name: span.parent_span_id for name, span in found.items()}
    assert parents["POST /mastery/ingest"].hex() == CALLER
    assert parents["append"] == found["POST /mastery/ingest"].span_id
    assert parents["fold"] == parents["publish"] == found["append"].span_id
    assert found["fold"].start_time_unix_nano < found["publish"].start_time_unix_nano
    return found


def test_a_collector_that_is_away_holds_nothing_up(tmp_path: Path) -> None:
    settings = {"TRACE_ENABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with Live(tmp_path / "data", home=tmp_path, **settings) as live, live.client() as client:
        assert client.post("/mastery/ingest", json=event("quiz")).status_code == 202


@pytest.mark.parametrize("value", ["perhaps", "2"])
def test_a_bad_value_stops_the_start(tmp_path: Path, value: str) -> None:
    assert "TRACE_ENABLED" in refused_start(tmp_path, TRACE_ENABLED=value).stderr
