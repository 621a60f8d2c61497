"""What operators and client makers look at: health, readiness, metrics, logs, the OpenAPI document and its page."""

import asyncio
import json
import logging
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from mastery_engine import __version__
from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.kinds import ALIASES, KINDS
from mastery_engine.domain.moments import SECOND
from mastery_engine.errors import Unavailable
from mastery_engine.telemetry.logging import JsonLines
from mastery_engine.telemetry.metrics import Metrics
from tests.support.calls import COMPONENTS, STUDENT, Api, Json, document, event, serving
from tests.support.live import SECRET


async def test_the_service_says_what_it_is(api: Api) -> None:
    data = (await api.get("/", token="")).json()["data"]
    assert data == {"name": "mastery-engine", "version": __version__, "environment": "test"}
    assert (await api.get("/health", token="")).json()["data"] == {"status": "healthy"}


async def test_ready_names_each_dependency_with_its_latency(api: Api) -> None:
    data = (await api.get("/ready", token="")).json()["data"]
    assert data["status"] == "ready"
    assert [one["name"] for one in data["dependencies"]] == ["store", "log", "worker"]
    assert all(one["status"] == "up" and one["latency_ms"] >= 0 for one in data["dependencies"])


async def test_a_process_that_works_no_log_asks_for_no_worker(tmp_path: Path) -> None:
    async with serving(tmp_path, worker_enabled=False) as api:
        names = [one["name"] for one in (await api.get("/ready")).json()["data"]["dependencies"]]
        assert names == ["store", "log"]
        sent = event()
        assert (await api.post("/mastery/ingest", sent)).status_code == 202
        assert await api.status(sent["event_id"]) == "not_processed"
    async with serving(tmp_path) as api:
        await api.processed(sent["event_id"])


async def test_ready_is_503_and_health_is_not_while_something_is_away(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def read(self, *_: object) -> None:
            raise Unavailable("The store is on holiday.")

    with monkeypatch.context() as while_away:
        while_away.setattr(api.stores.connection, "_database", Away())
        answer = await api.get("/ready", token="")
        assert (await api.get("/health")).status_code == 200
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.json()["error"]["message"] == "Not ready. store: The store is on holiday."
    store, *others = answer.json()["error"]["details"]["dependencies"]
    assert (store["status"], store["message"]) == ("down", "The store is on holiday.")
    assert {one["status"] for one in others} == {"up"}
    async with asyncio.timeout(10):
        while (await api.get("/ready")).status_code != 200:  # an answer is shared for a second
            await asyncio.sleep(0.05)


async def test_ready_says_so_when_the_worker_has_died(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("It cannot go on.")

    monkeypatch.setattr(api.engine.worker, "work", broken)
    assert (await api.post("/mastery/ingest", event())).status_code == 202
    async with asyncio.timeout(10):
        while (answer := await api.get("/ready")).status_code == 200:
            await asyncio.sleep(0.01)
    assert answer.status_code == 503
    *others, worker = answer.json()["error"]["details"]["dependencies"]
    assert (worker["name"], worker["status"]) == ("worker", "down")
    assert worker["message"] == "The worker of this process has stopped: see the log for the reason."
    assert {dependency["status"] for dependency in others} == {"up"}


def values(text: str) -> dict[str, float]:
    """Each sample of Prometheus's text format by its name and labels."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_metrics_count_what_happens(api: Api) -> None:
    await api.learn(event(), event("quiz"))
    await api.post("/mastery/ingest", event(completed_exercises=11))
    await api.post("/mastery/query", {"student_id": "nobody"})
    await api.get("/no/such/path/for/anybody")
    await api.call("IGNORE-ALL-THAT-WAS", "/batch/mastery")
    published = 'mastery_results_published_total{event_type="mastery.updated"}'
    async with asyncio.timeout(10):  # what is committed can be seen a moment before it is published and counted
        while published not in (answer := await api.get("/metrics", token="")).text:
            await asyncio.sleep(0.01)
    assert answer.headers["content-type"].startswith("text/plain")
    found = values(answer.text)
    assert found['mastery_http_requests_total{endpoint="/mastery/query",method="POST",status="404"}'] == 1
    assert found['mastery_http_requests_total{endpoint="unmatched",method="GET",status="404"}'] == 1
    assert found['mastery_http_request_seconds_count{endpoint="/mastery/query"}'] == 1
    assert found['mastery_events_total{event_type="completion",outcome="accepted"}'] == 1
    assert found['mastery_events_total{event_type="quiz",outcome="folded"}'] == 1
    assert found['mastery_events_total{event_type="unknown",outcome="refused"}'] == 1
    assert found["mastery_fold_seconds_count"] >= 1
    assert found["mastery_commit_seconds_count"] >= 1
    assert found["mastery_worker_up"] == 1
    assert found[published] >= 1
    for made_up in ("no/such/path", "IGNORE"):
        assert made_up not in answer.text, "what callers make up must not become labels"
    assert found['mastery_http_requests_total{endpoint="/batch/mastery",method="other",status="405"}'] == 1


async def test_a_log_line_has_the_briefs_fields(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """The lines are read as the handler would write them."""
    logging.getLogger().addHandler(caplog.handler)
    for path, body, status in [
        ("/mastery/query", {"student_id": STUDENT}, 404),
        ("/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS}, 200),
        ("/mastery/ingest", event(), 202),
        ("/api/v1/analytics/mastery-history", {"student_id": STUDENT}, 200),
    ]:
        caplog.clear()
        await api.post(path, body, headers={"X-Request-Id": "abc-123-def"})
        (record,) = [one for one in caplog.records if one.name == "mastery_engine.requests"]
        line = json.loads(JsonLines().format(record))
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)
        assert line["level"] == "INFO"
        assert line["correlation_id"] == "abc-123-def"
        assert line["endpoint"] == path.removeprefix("/api/v1")
        assert line["student_id"] == STUDENT
        assert line["status_code"] == status
        assert 0 <= line["duration_ms"] < 10_000


async def test_what_others_wrote_is_one_line_that_no_terminal_obeys(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    written = 'topic\n{"level":"ERROR"}\x1b[2J\x9b2J\u202e\u2028'
    await api.engine.ingest.deliver(
        Caller("broker", "service"), json.dumps(event("help", **{written: 1})).encode(), None
    )
    (record,) = [one for one in caplog.records if "dead letter" in one.getMessage()]
    assert "topic" in record.getMessage()
    line = JsonLines().format(record)
    assert line.isprintable()
    assert json.loads(line)["message"] == record.getMessage()


async def test_no_log_line_has_a_token_or_the_secret(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger().addHandler(caplog.handler)
    caplog.set_level(logging.DEBUG)
    await api.post("/mastery/query", {"student_id": STUDENT}, token="not.a.token")
    await api.post("/mastery/ingest", event("help", message="my diary"))
    text = "\n".join(JsonLines().format(one) for one in caplog.records if one.name.startswith("mastery_engine"))
    assert "request" in text
    for word in ("not.a.token", SECRET, "my diary", "Bearer"):
        assert word not in text


async def test_the_document_is_openapi_3_1(api: Api) -> None:
    answer = await api.get("/openapi.json", token="")
    found = answer.json()
    assert found["openapi"].startswith("3.1")
    assert found["info"]["version"] == __version__
    for path, item in found["paths"].items():
        for method, operation in item.items():
            assert operation["responses"], (method, path)
            assert operation.get("summary") or operation.get("description"), (method, path)
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', answer.text))
    assert references <= found["components"]["schemas"].keys()
    for name, schema in found["components"]["schemas"].items():
        whole = {**schema, "components": found["components"]}
        assert jsonschema_rs.meta.is_valid({**whole, "$schema": "https://json-schema.org/draft/2020-12/schema"}), name


def schema_of(name: str) -> jsonschema_rs.Draft202012Validator:
    components = document()["components"]
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components})


@pytest.mark.parametrize("kind", [*KINDS, *ALIASES])
def test_the_documents_schema_takes_every_kind_of_event(kind: str) -> None:
    sent = {**event(ALIASES.get(kind, kind)), "event_type": kind}
    schema_of("Envelope").validate(sent)
    assert not schema_of("Envelope").is_valid({**sent, "data": {**sent["data"], "typo": 1}})


BODIES: list[tuple[str, Json, bool]] = [
    ("MasteryQuery", {"student_id": STUDENT}, True),
    ("MasteryQuery", {"student_id": "a b"}, False),
    ("MasteryQuery", {"student_id": STUDENT, "dtae": "2026-01-14"}, False),
    ("Calculate", {"student_id": STUDENT, "components": COMPONENTS, "record": False}, True),
    ("Calculate", {"student_id": STUDENT, "components": {"quiz": 2}}, False),
    ("HistoryRange", {"student_id": STUDENT, "aggregation": "weekly"}, True),
    ("HistoryRange", {"student_id": STUDENT, "aggregation": "yearly"}, False),
    ("BatchCalculate", {"requests": [{"student_id": STUDENT}], "priority": "high"}, True),
    ("BatchCalculate", {"requests": []}, False),
    ("BatchCalculate", {"requests": [{"student_id": STUDENT, "quiz": 1}]}, True),  # that row fails alone
    ("RowBody", {"student_id": STUDENT}, True),
    ("RowBody", {"student_id": STUDENT, "quiz": 1}, False),
    ("Rows", {"events": []}, False),
    ("Envelope", {"event_type": "nap", "student_id": STUDENT, "data": {}}, False),
]


@pytest.mark.parametrize(("name", "body", "good"), BODIES)
def test_the_documents_schemas_say_what_the_calls_take(name: str, body: Json, good: bool) -> None:
    assert schema_of(name).is_valid(body) is good


async def test_only_open_calls_have_no_security_in_the_document(api: Api) -> None:
    found = document()["paths"]
    free = {path for path, item in found.items() for operation in item.values() if not operation.get("security")}
    badges = {path for path in found if path.startswith("/badges/")} | {"/.well-known/did.json"}
    assert free == {"/", "/health", "/ready", "/metrics"} | badges
    schemes: dict[str, Any] = document()["components"]["securitySchemes"]
    assert {scheme.get("scheme", scheme.get("name")) for scheme in schemes.values()} == {
        "bearer",
        "basic",
        "dapr-api-token",
    }


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_the_page_of_the_calls_needs_no_other_host(api: Api, prefix: str) -> None:
    page = (await api.get(f"{prefix}/docs", token="")).text
    assert "http" not in page
    for name in re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page):
        asset = await api.get(f"{prefix}/{name}", token="")
        assert asset.status_code == 200
        assert asset.content
    assert (await api.get(f"{prefix}/docs/../../etc/passwd", token="")).status_code == 404
    assert (await api.get(f"{prefix}/docs/other.js", token="")).status_code == 404


def test_who_asks_for_metrics_all_the_time_is_given_the_last_text_again() -> None:
    metrics = Metrics()

    def told(at: int) -> float:
        metrics.conflicts.inc()
        return float(re.findall(rb"mastery_commit_conflicts_total ([\d.]+)", metrics.text(at))[0])

    assert [told(0) for _ in range(22)] == [*range(1, 21), 20, 20]
    assert told(SECOND // 10) == 20
    assert told(SECOND // 5) == 24
    assert told(100 * SECOND) == 25
    assert told(50 * SECOND) == 26  # a clock that was set back


async def test_the_openapi_document_is_written_once(api: Api) -> None:
    answer = await api.get("/openapi.json", token="")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == api.app.openapi()
