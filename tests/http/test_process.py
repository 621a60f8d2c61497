"""``/process`` and the routes of Dapr's pub/sub: the same calls by another door, and who may come in by it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.errors import Unavailable
from mastery_engine.http.routers.process import INTENTS
from tests.support.calls import COMPONENTS, STUDENT, Api, Json, event, serving
from tests.support.live import make_token

APP = "the-token-that-the-sidecar-shows"
SIDECAR = {"dapr-api-token": APP}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """In development, trusting the sidecar on this machine."""
    async with serving(tmp_path, dapr_trust_loopback=True) as api:
        yield api


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[Api]:
    """In production without APP_API_TOKEN."""
    async with serving(tmp_path, environment="production") as api:
        yield api


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, environment="production", app_api_token=APP) as api:
        yield api


def asked(intent: str, payload: Any, **context: str) -> Json:
    return {"intent": intent, "payload": payload, **({"security_context": context} if context else {})}


CALCULATION = asked("mastery_calculation", {"student_id": STUDENT, "components": COMPONENTS})


async def test_the_invocation_of_the_brief_answers_as_the_call_does(api: Api) -> None:
    answer = await api.post("/process", CALCULATION, token="")
    assert answer.status_code == 200, answer.text
    by_call = await api.data("/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS})
    found = answer.json()["data"]
    assert found["current_mastery"].pop("timestamp") <= by_call["current_mastery"].pop("timestamp")
    assert found == by_call
    assert found["current_mastery"]["mastery_score"] == 0.862


async def test_each_intent_is_the_call_that_it_stands_for(api: Api) -> None:
    taken = await api.post("/process", asked("ingest", event("quiz")), token="")
    assert (taken.status_code, taken.json()["data"]["status"]) == (202, "queued")
    await api.processed(taken.json()["data"]["event_id"])
    query = await api.post("/process", asked("query", {"student_id": STUDENT}), token="")
    assert query.json()["data"]["current_mastery"]["components"] == (await api.query())["components"]
    forecast = await api.post("/process", asked("get_prediction", {"student_id": STUDENT}), token="")
    assert forecast.json()["data"] == await api.data("/predictions/next-week", {"student_id": STUDENT})
    assert {"mastery_calculation", "get_prediction", "query", "ingest"} <= INTENTS.keys()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (asked("dance", {}), 400, "intent"),
        (asked("query", {"student_id": "no one"}), 400, "student_id"),
        (asked("query", {"student_id": STUDENT, "surprise": 1}), 400, "surprise"),
        (asked("query", {"student_id": "nobody"}), 404, "student_id"),
        (asked("ingest", {**event(), "data": {}}), 400, None),
        (asked("query", [1]), 400, None),
        ({"payload": {}}, 400, None),
        ({**CALCULATION, "extra": 1}, 400, None),
        (asked("query", {"student_id": STUDENT}, tenant="No Tenant"), 400, "tenant"),
        (asked("query", {"student_id": STUDENT}, token="nonsense"), 401, None),
    ],
)
async def test_what_is_wrong_is_said(api: Api, body: Json, status: int, field: str | None) -> None:
    answer = await api.post("/process", body, token="")
    assert answer.status_code == status, answer.text
    if field is not None:
        assert answer.json()["error"]["details"]["field"] == field


async def test_text_that_is_no_json_is_refused(api: Api) -> None:
    for content in (b"{", b"\xff", b""):
        assert (await api.post("/process", content=content, token="")).status_code == 400


async def test_the_context_names_the_tenant_and_a_token_goes_before_it(api: Api) -> None:
    assert (
        await api.post("/process", {**CALCULATION, "security_context": {"tenant": "school-1"}}, token="")
    ).is_success
    body = {"student_id": STUDENT}
    assert (await api.post("/process", asked("query", body), token="")).status_code == 404
    assert (await api.post("/process", asked("query", body, tenant="school-1", user="u"), token="")).is_success
    other = make_token(tenant="school-2")
    assert (
        await api.post("/process", asked("query", body, tenant="school-1", token=other), token="")
    ).status_code == 404
    student = make_token("student", subject="someone-else", tenant="school-1")
    assert (await api.post("/process", asked("query", body, token=student), token="")).status_code == 403
    records = await api.audited("school-1")
    assert {(one.subject, one.role, one.allowed) for one in records} >= {
        ("dapr", "service", True),
        (api.pseudonym("someone-else", "school-1"), "student", False),
    }


async def test_a_bearer_beside_the_sidecar_is_who_it_says(api: Api) -> None:
    student = make_token("student", subject=STUDENT)
    assert (await api.post("/process", CALCULATION, token=student)).is_success
    assert (await api.post("/process", asked("ingest", event()), token=student)).status_code == 403
    assert (await api.post("/process", CALCULATION, token="nonsense")).status_code == 401


async def test_a_bearer_who_names_another_tenant_is_told_and_not_served_in_their_own(api: Api) -> None:
    body = {"student_id": STUDENT}
    assert (await api.post("/process", CALCULATION, token=make_token())).is_success
    for tenant in ("school-1", "", "No tenant!"):
        refused = await api.post("/process", asked("query", body, tenant=tenant), token=make_token())
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")
        assert refused.json()["error"]["details"]["field"] == "security_context.tenant"
        assert "is of the tenant default" in refused.json()["error"]["message"]
    assert (await api.post("/process", asked("query", body, tenant="default"), token=make_token())).is_success
    own = make_token(tenant="school-1")
    assert (await api.post("/process", asked("query", body, tenant="school-1"), token=own)).status_code == 404


async def test_two_tokens_are_refused_and_not_one_of_them_ignored(api: Api) -> None:
    for beside in ("nonsense", make_token()):
        refused = await api.post("/process", asked("query", {"student_id": STUDENT}, token=beside), token=make_token())
        assert refused.status_code == 400
        assert refused.json()["error"]["details"]["field"] == "security_context.token"
        assert "either Authorization or security_context.token" in refused.json()["error"]["message"]


async def test_the_sidecar_is_known_by_its_token(guarded: Api) -> None:
    assert (await guarded.post("/process", CALCULATION, token="", headers=SIDECAR)).status_code == 200
    for headers in ({}, {"dapr-api-token": "guess"}, {"dapr-api-token": ""}):
        assert (await guarded.post("/process", CALCULATION, token="", headers=headers)).status_code == 401
        assert (await guarded.get("/dapr/subscribe", token="", headers=headers)).status_code == 401
        assert (await guarded.post("/dapr/events", event(), token="", headers=headers)).status_code == 401
    assert (await guarded.get("/dapr/subscribe", token="", headers=SIDECAR)).status_code == 200


async def test_in_production_the_routes_are_closed_without_a_token_for_them(closed: Api) -> None:
    for headers in ({}, SIDECAR):
        assert (await closed.post("/process", CALCULATION, token="", headers=headers)).status_code == 403
    assert (await closed.post("/process", CALCULATION)).status_code == 403
    assert (await closed.get("/dapr/subscribe", token="")).status_code == 403
    assert (await closed.post("/dapr/events", event(), token="")).status_code == 403


# ---- pub/sub


def cloud_event(data: Any, event_id: str = "cloud-1") -> Json:
    """As Dapr wraps what a service publishes."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "exercise-agent",
        "type": "com.dapr.event.sent",
        "datacontenttype": "application/json",
        "topic": "mastery.requests",
        "pubsubname": "pubsub",
        "data": data,
    }


async def delivered(api: Api, body: Any) -> str:
    headers = {"Content-Type": "application/cloudevents+json"}
    answer = await api.post("/dapr/events", content=json.dumps(body).encode(), token="", headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


async def test_dapr_is_asked_for_the_requests_where_the_log_is_ours(api: Api) -> None:
    (wanted,) = (await api.get("/dapr/subscribe", token="")).json()
    assert wanted == {
        "pubsubname": "pubsub",
        "topic": "mastery.requests",
        "route": "/dapr/events",
        "deadLetterTopic": "mastery.dlq",
    }


async def test_an_event_counts_once_however_often_it_is_delivered(api: Api) -> None:
    sent = event("quiz")
    for body in (cloud_event(sent), cloud_event(sent, "cloud-2"), sent):
        assert await delivered(api, body) == "SUCCESS"
    await api.processed(sent["event_id"])
    assert (await api.query())["components"]["quiz"] == 0.9


async def test_a_cloud_events_id_serves_where_the_event_has_none(api: Api) -> None:
    sent = event("quiz")
    del sent["event_id"]
    assert await delivered(api, cloud_event(sent, "outside-7")) == "SUCCESS"
    await api.processed("outside-7")
    assert await delivered(api, cloud_event(sent, "not an id")) == "SUCCESS"


async def test_what_can_never_be_read_is_dropped_with_its_reason(api: Api) -> None:
    bad = {**event("quiz"), "data": {"total_questions": 0}}
    for body in (cloud_event(bad), cloud_event("text"), cloud_event(None), {}, [1]):
        assert await delivered(api, body) == "DROP"
    answer = await api.get(f"/students/{STUDENT}/events/{bad['event_id']}")
    assert answer.json()["data"]["status"] == "dead_lettered"
    assert "mastery_dead_letters_total" in (await api.get("/metrics", token="")).text


async def test_an_event_is_dropped_in_its_course_alone(api: Api) -> None:
    bad = {**event("quiz"), "data": {"total_questions": 0}, "course_id": "edX/DemoX/2026"}
    assert await delivered(api, cloud_event(bad)) == "DROP"
    for query, status in (
        ("", "dead_lettered"),
        ("?course_id=edX/DemoX/2026", "dead_lettered"),
        ("?course_id=default", "not_processed"),
    ):
        answer = await api.get(f"/students/{STUDENT}/events/{bad['event_id']}{query}")
        assert answer.json()["data"]["status"] == status


async def test_what_is_away_has_the_event_delivered_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> Any:
        raise Unavailable("The log is away.")

    sent = event("quiz")
    with monkeypatch.context() as while_away:
        while_away.setattr(api.logs.events, "append", away)
        assert await delivered(api, cloud_event(sent)) == "RETRY"
    assert await delivered(api, cloud_event(sent)) == "SUCCESS"


async def test_what_consent_refuses_is_forbidden_by_this_door_too(api: Api) -> None:
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"processing": False})
    for call in (asked("ingest", event("quiz")), CALCULATION):
        answer = await api.post("/process", call, token="")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_call_that_reads_refuses_an_empty_key_too(api: Api) -> None:
    answer = await api.call(
        "POST", "/process", asked("query", {"student_id": STUDENT}), token="", headers={"Idempotency-Key": " "}
    )
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["error"]["message"]
