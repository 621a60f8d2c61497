"""What all calls have in common: envelope, ids of requests, error codes, limits, aliases."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mastery_engine import __version__
from mastery_engine.errors import Unavailable
from mastery_engine.services.scores import Scores
from tests.support.calls import COMPONENTS, STUDENT, Api, event, serving
from tests.support.live import SECRET, bearer, make_token

CALLS = {
    ("POST", "/mastery/query"),
    ("POST", "/mastery/calculate"),
    ("POST", "/mastery/ingest"),
    ("POST", "/mastery/ingest/batch"),
    ("GET", "/students/{student_id}/events/{event_id}"),
    ("POST", "/batch/mastery"),
    ("GET", "/batch/mastery/{batch_id}"),
    ("POST", "/analytics/mastery-history"),
    ("POST", "/analytics/changes"),
    ("POST", "/analytics/compare"),
    ("POST", "/analytics/cohort"),
    ("PUT", "/cohorts/{cohort_id}"),
    ("GET", "/cohorts/{cohort_id}"),
    ("PUT", "/courses/{course_id}"),
    ("GET", "/courses/{course_id}"),
    ("GET", "/courses"),
    ("POST", "/rosters/oneroster"),
    ("PUT", "/students/{student_id}/profile"),
    ("GET", "/students/{student_id}/profile"),
    ("GET", "/students"),
    ("GET", "/students/{student_id}/badges"),
    ("PUT", "/students/{student_id}/badges/{badge_id}/name"),
    ("DELETE", "/badges/{badge_id}"),
    ("GET", "/students/{student_id}/notes"),
    ("POST", "/students/{student_id}/notes"),
    ("PUT", "/students/{student_id}/notes/{note_id}"),
    ("DELETE", "/students/{student_id}/notes/{note_id}"),
    ("POST", "/analytics/skills"),
    ("POST", "/analytics/patterns"),
    ("POST", "/predictions/next-week"),
    ("POST", "/predictions/trajectory"),
    ("POST", "/recommendations/adaptive"),
    ("POST", "/recommendations/learning-path"),
    ("POST", "/recommendations/items"),
    ("POST", "/predictions/next-answer"),
    ("GET", "/students/{student_id}/stream"),
    ("GET", "/compliance/students/{student_id}/consent"),
    ("PUT", "/compliance/students/{student_id}/consent"),
    ("GET", "/compliance/students/{student_id}/export"),
    ("DELETE", "/compliance/students/{student_id}"),
    ("GET", "/compliance/audit"),
    ("PUT", "/webhooks/{webhook_id}"),
    ("GET", "/webhooks/{webhook_id}"),
    ("DELETE", "/webhooks/{webhook_id}"),
    ("GET", "/webhooks"),
    ("GET", "/webhooks/{webhook_id}/deliveries"),
    ("POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/resend"),
    ("POST", "/webhooks/{webhook_id}/test"),
}
WITH_A_BODY = [path for method, path in sorted(CALLS) if method == "POST" and not path.startswith("/webhooks/")]
PLATFORMS = {("POST", "/caliper"), ("POST", "/canvas/events")}
SIDECAR = {("POST", "/process"), ("GET", "/dapr/subscribe"), ("POST", "/dapr/events")}
LINKED = {("GET", f"/badges/{{badge_id}}{ending}") for ending in ("", ".json", ".jwt", ".png", ".svg")}
LINKED |= {("GET", "/badges/status/{number}"), ("GET", "/.well-known/did.json")}  # for whoever has a badge: test_badges
OPEN = {("GET", path) for path in ("/health", "/ready", "/", "/metrics", "/docs", "/openapi.json")}


async def test_a_success_has_data_and_meta(api: Api) -> None:
    answer = (await api.post("/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS})).json()
    assert answer.keys() == {"success", "data", "meta"}
    assert answer["success"] is True
    assert answer["meta"].keys() == {"timestamp", "version", "request_id"}
    assert answer["meta"]["version"] == __version__
    age = datetime.now(UTC) - datetime.fromisoformat(answer["meta"]["timestamp"])
    assert abs(age) < timedelta(minutes=1)


async def test_a_failure_has_a_code_a_sentence_and_the_field_at_fault(api: Api) -> None:
    answer = (await api.post("/mastery/query", {"student_id": "no spaces"})).json()
    assert answer.keys() == {"success", "error", "meta"}
    assert answer["success"] is False
    assert answer["error"]["code"] == "VALIDATION_ERROR"
    assert answer["error"]["details"]["field"] == "student_id"
    assert answer["error"]["message"].endswith(".")


@pytest.mark.parametrize("given", ["abc-123-def", "x" * 128, "~!{}"])
async def test_the_callers_request_id_comes_back(api: Api, given: str) -> None:
    answer = await api.get("/health", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == answer.json()["meta"]["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", 'tab\t"', "é"])
async def test_an_odd_request_id_is_replaced(api: Api, given: str) -> None:
    answer = await api.get("/health", headers={"X-Request-Id": given.encode("latin-1")})
    mine = answer.headers["x-request-id"]
    assert mine == answer.json()["meta"]["request_id"]
    assert mine != given
    assert len(mine) == 36


async def test_every_request_gets_an_id_of_its_own(api: Api) -> None:
    found = {(await api.get("/health")).headers["x-request-id"] for _ in range(20)}
    assert len(found) == 20


@pytest.mark.parametrize(("method", "path"), sorted(CALLS))
async def test_a_call_without_a_token_is_401(api: Api, method: str, path: str) -> None:
    ids = {"student_id": "s", "event_id": "e", "batch_id": "b", "cohort_id": "c", "course_id": "k"}
    answer = await api.call(
        method, path.format(**ids, webhook_id="w", delivery_id="d", badge_id="g", note_id="n"), {}, token=""
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_ERROR")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), sorted(PLATFORMS))
async def test_a_platform_without_a_credential_is_401(api: Api, method: str, path: str) -> None:
    answer = await api.call(method, path, {}, token="")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_ERROR")
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(("method", "path"), sorted(OPEN))
@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_open_paths_ask_for_no_token(api: Api, method: str, path: str, prefix: str) -> None:
    answer = await api.call(method, prefix + path, token="")
    assert answer.status_code == 200


async def test_these_are_all_the_calls_there_are(api: Api) -> None:
    document = (await api.get("/openapi.json")).json()
    found = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert found == CALLS | PLATFORMS | SIDECAR | LINKED | (OPEN - {("GET", "/docs"), ("GET", "/openapi.json")})


async def test_all_calls_answer_under_api_v1_too(api: Api) -> None:
    (event_id,) = await api.learn(event())
    for method, path, body in [
        ("POST", "/mastery/query", {"student_id": STUDENT}),
        ("POST", "/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS, "record": False}),
        ("POST", "/mastery/ingest", event()),
        ("POST", "/mastery/ingest/batch", {"events": [event()]}),
        ("GET", f"/students/{STUDENT}/events/{event_id}", None),
        ("POST", "/batch/mastery", {"requests": [{"student_id": STUDENT}]}),
        ("POST", "/analytics/mastery-history", {"student_id": STUDENT}),
        ("POST", "/analytics/changes", {"student_id": STUDENT}),
        ("POST", "/analytics/skills", {"student_id": STUDENT}),
    ]:
        plain = await api.call(method, path, body)
        alias = await api.call(method, f"/api/v1{path}", body)
        assert plain.status_code == alias.status_code
        assert plain.status_code in (200, 202), plain.text
        assert plain.json()["data"].keys() == alias.json()["data"].keys()


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing", "/api/v1", "/mastery/query/", "/api/v1/api/v1/health"])
async def test_an_unknown_path_is_404_in_the_envelope(api: Api, path: str) -> None:
    answer = await api.get(path, token="")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/mastery/query", "POST"),
        ("DELETE", "/mastery/ingest", "POST"),
        ("PUT", "/batch/mastery", "POST"),
        ("POST", "/batch/mastery/b", "GET"),
        ("POST", "/cohorts/c", "GET, PUT"),
        ("POST", "/health", "GET"),
        ("PATCH", "/api/v1/ready", "GET"),
    ],
)
async def test_a_wrong_method_is_405_and_says_which_are_right(api: Api, method: str, path: str, allowed: str) -> None:
    answer = await api.call(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", WITH_A_BODY)
@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "json"])
async def test_a_body_that_says_it_is_not_json_is_415(api: Api, path: str, kind: str) -> None:
    answer = await api.post(path.format(student_id="s_1"), content=b"{}", headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/ld+json"]
)
async def test_json_by_any_of_its_names_is_read(api: Api, kind: str) -> None:
    answer = await api.post("/mastery/ingest", content=json.dumps(event()).encode(), headers={"Content-Type": kind})
    assert answer.status_code == 202


async def test_a_body_without_a_type_is_read_as_json(api: Api) -> None:
    answer = await api.client.post(
        "/mastery/ingest", content=json.dumps(event()).encode(), headers=bearer(make_token())
    )
    assert "content-type" not in answer.request.headers
    assert answer.status_code == 202


@pytest.mark.parametrize("path", WITH_A_BODY)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b"{} {}", b"[" * 100_000, b'{"a": NaN}']
)
async def test_a_body_that_is_none_of_its_kind_is_400(api: Api, path: str, body: bytes) -> None:
    kind = "application/zip" if path == "/rosters/oneroster" else "application/json"
    answer = await api.post(path, content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("path", "field"),
    [("/mastery/query", "stundet_id"), ("/mastery/calculate", "recrod"), ("/analytics/mastery-history", "from")],
)
async def test_an_unknown_field_is_named(api: Api, path: str, field: str) -> None:
    answer = await api.post(path, {"student_id": STUDENT, field: True})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"] == field


async def test_problem_json_is_sent_to_who_asks_for_it(api: Api) -> None:
    problem = {"Accept": "application/problem+json"}
    for status, code, answer in [
        (400, "VALIDATION_ERROR", await api.post("/mastery/query", {}, headers=problem)),
        (401, "AUTH_ERROR", await api.post("/mastery/query", {}, token="", headers=problem)),
        (404, "NOT_FOUND", await api.get("/nothing", headers=problem)),
        (405, "METHOD_NOT_ALLOWED", await api.get("/mastery/query", headers=problem)),
        (413, "PAYLOAD_TOO_LARGE", await api.post("/mastery/query", content=b" " * 2**21, headers=problem)),
    ]:
        assert answer.headers["content-type"] == "application/problem+json"
        found = answer.json()
        assert (answer.status_code, found["status"], found["code"]) == (status, status, code)
        assert found["title"]
        assert found["detail"]
        assert found["request_id"] == answer.headers["x-request-id"]


async def test_a_body_of_one_mebibyte_is_read_and_one_byte_more_is_413(api: Api) -> None:
    body = json.dumps(event()).encode()
    most = body + b" " * (2**20 - len(body))
    assert (await api.post("/mastery/ingest", content=most)).status_code == 202
    answer = await api.post("/mastery/ingest", content=most + b" ")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_body_that_comes_in_chunks_is_counted(api: Api) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 2**16
            yield b" " * 2**16

    answer = await api.post("/mastery/ingest", content=chunks())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert sent < 2**22, "the service went on reading"


class Gate:
    """Holds queries until it opens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting = 0
        self._open = asyncio.Event()
        monkeypatch.setattr(Scores, "query", self._query)

    async def _query(self, *_: Any, **__: Any) -> Any:
        self.waiting += 1
        await self._open.wait()
        raise Unavailable("The gate has opened.")

    def open(self) -> None:
        self._open.set()


async def test_above_max_concurrent_requests_calls_are_turned_away_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with serving(tmp_path, max_concurrent_requests=3) as api:
        held = [asyncio.create_task(api.post("/mastery/query", {"student_id": STUDENT})) for _ in range(3)]
        async with asyncio.timeout(5):
            while gate.waiting < 3:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(1):
            answer = await api.post("/mastery/ingest", event())
            assert (await api.get("/health")).status_code == 200
            assert (await api.get("/ready")).status_code == 200
            assert "in_flight 3.0" in (await api.get("/metrics")).text
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) >= 1
        gate.open()
        assert {one.status_code for one in await asyncio.gather(*held)} == {503}
        assert (await api.post("/mastery/ingest", event())).status_code == 202


async def test_an_error_inside_says_nothing_of_the_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"the secret is {SECRET}")

    monkeypatch.setattr(Scores, "query", broken)
    for accept in ("application/json", "application/problem+json"):
        answer = await api.post("/mastery/query", {"student_id": STUDENT}, headers={"Accept": accept})
        assert answer.status_code == 500
        assert "INTERNAL_ERROR" in answer.text
        for word in (SECRET, "Traceback", "RuntimeError", ".py", "line "):
            assert word not in answer.text


async def test_a_refusal_does_not_repeat_the_token_or_the_secret(api: Api) -> None:
    token = "header.payload.signature-of-mine"
    for answer in [
        await api.post("/mastery/query", {"student_id": STUDENT}, token=token),
        await api.post("/mastery/query", {"student_id": 1}),
        await api.get("/nothing", token=token),
    ]:
        assert token not in answer.text
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/compliance/audit?studnet=s_1", "studnet"),
        ("/compliance/audit?limit=5&limit=6", "limit"),
        ("/compliance/audit?=1", ""),
        ("/api/v1/cohorts/py-101?page=2", "page"),
        (f"/students/{STUDENT}/stream?token=x", "token"),
    ],
)
async def test_a_parameter_that_a_call_has_not_is_refused(api: Api, path: str, field: str) -> None:
    answer = await api.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"].get("field", "")) == (400, "VALIDATION_ERROR", field)
    if field == "studnet":
        assert "allowed, call, cursor, from, limit, student, subject, to" in error["message"]


async def test_a_posted_call_takes_no_parameters(api: Api) -> None:
    answer = await api.post("/mastery/query?student_id=s_1", {"student_id": STUDENT})
    assert (answer.status_code, answer.json()["error"]["details"]) == (400, {"field": "student_id"})
    assert (await api.post("/mastery/query?student_id=s_1", {}, token="")).status_code == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/"])
async def test_a_probe_may_have_a_parameter_of_its_own(api: Api, path: str) -> None:
    assert (await api.get(f"{path}?at=1", token="")).status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/api/v1/nope", "/api/v1", "/health/"])
async def test_an_unknown_address_points_to_the_documents(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert answer.status_code == 404
    assert "/docs" in answer.json()["error"]["message"]


async def test_another_method_is_told_which_there_are(api: Api) -> None:
    answer = await api.get("/mastery/query")
    assert answer.json()["error"]["message"] == "This address only allows POST."
