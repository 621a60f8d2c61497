"""Webhooks over HTTP: who sets and sees them, what arrives and how it is signed, and what became of each message."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mastery_engine.backends.sqlite.result_log import SqliteResultLog
from mastery_engine.domain.moments import DAY
from mastery_engine.services.webhooks import MOST_WEBHOOKS
from mastery_engine.worker import sender
from tests.support.calls import COMPONENTS, STUDENT, Api, event, serving
from tests.support.live import make_token
from tests.support.receivers import HookServer

REACHES_A_LEVEL = event("mastery.calculation.requested", components=COMPONENTS)
OTHER_SCHOOL = make_token("admin", tenant="school-1")


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setattr("mastery_engine.services.known_webhooks.CACHED_FOR", 10_000)
    async with serving(tmp_path, webhook_allow_private=True) as api:
        yield api


@pytest.fixture
async def hook() -> AsyncIterator[HookServer]:
    async with HookServer().listening() as hook:
        yield hook


async def put(api: Api, webhook_id: str = "lms", *, status: int = 200, token: str | None = None, **body: Any) -> Any:
    answer = await api.call("PUT", f"/webhooks/{webhook_id}", body, token=token)
    assert answer.status_code == status, answer.text
    return answer.json()["data" if status == 200 else "error"]


async def deliveries(api: Api, query: str = "", webhook_id: str = "lms") -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await api.get(f"/webhooks/{webhook_id}/deliveries{query}")).json()["data"][
        "deliveries"
    ]
    return listed


def published(api: Api) -> list[dict[str, Any]]:
    """The results that were published, by id."""
    results: SqliteResultLog = api.logs.results  # type: ignore[assignment]
    return [json.loads(value) for (value,) in results._database.read("SELECT value FROM results ORDER BY event_id")]


async def followed(api: Api, number: int) -> None:
    """Return once so many results were published, and handed to the webhooks."""

    def count() -> float:
        (metric,) = api.engine.metrics.results.collect()
        return sum(one.value for one in metric.samples if one.name.endswith("_total"))

    async with asyncio.timeout(10):
        while count() < number:
            await asyncio.sleep(0.01)


async def settled(api: Api, state: str, number: int = 1) -> list[dict[str, Any]]:
    """The deliveries in a state, once there are so many."""
    async with asyncio.timeout(10):
        while len(found := await deliveries(api, f"?state={state}")) < number:
            await asyncio.sleep(0.02)
    return found


async def test_results_arrive_signed_as_they_go_to_kafka(api: Api, hook: HookServer) -> None:
    set_up = await put(api, url=hook.url)
    await api.learn(REACHES_A_LEVEL)
    await hook.has(3)
    checker = Webhook(set_up["secret"])
    by_type = {}
    for headers, body in hook.came:
        payload = checker.verify(body, headers)
        assert payload["data"]["event_id"] == headers["webhook-id"]
        assert (payload["type"], payload["timestamp"]) == (payload["data"]["event_type"], payload["data"]["timestamp"])
        assert headers["content-type"] == "application/json"
        assert headers["user-agent"].startswith("mastery-engine/")
        by_type[payload["type"]] = payload["data"]
    assert {"mastery.updated", "mastery.threshold.reached"} <= by_type.keys()
    rows = await api.stores.registry.page("webhooks", "", "", 10, 0)
    assert set_up["secret"].removeprefix("whsec_").encode() not in rows[0].value
    assert published(api) == sorted(by_type.values(), key=lambda one: str(one["event_id"]))


async def test_altered_stale_and_foreign_messages_fail_the_check(api: Api, hook: HookServer) -> None:
    secret = (await put(api, url=hook.url))["secret"]
    other = (await put(api, "other", url=hook.url, types=["struggle.detected"]))["secret"]
    await api.learn(event("quiz", correct_answers=9))
    await hook.has(1)
    headers, body = hook.came[0]
    checker = Webhook(secret)
    checker.verify(body, headers)
    stale = str(int((datetime.now(UTC) - timedelta(minutes=6)).timestamp()))
    wrong = [
        (Webhook(other), body, headers),
        (checker, body.replace(STUDENT.encode(), b"somebody_else"), headers),
        (checker, body, headers | {"webhook-id": "another"}),
        (checker, body, headers | {"webhook-timestamp": stale}),
        (checker, body, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
    ]
    for with_secret, sent, shown in wrong:
        with pytest.raises(WebhookVerificationError):
            with_secret.verify(sent, shown)


async def test_only_the_types_that_were_asked_for_arrive_and_only_of_the_own_school(api: Api, hook: HookServer) -> None:
    async with HookServer().listening() as elsewhere:
        await put(api, url=hook.url, types=["mastery.threshold.reached"])
        await put(api, "updates", url=f"{hook.url}/updates", types=["mastery.results"])
        await put(api, url=elsewhere.url, token=OTHER_SCHOOL)
        await api.learn(REACHES_A_LEVEL)
        await hook.has(2)
        await settled(api, "delivered")
        assert sorted(body["type"] for body in hook.bodies) == ["mastery.threshold.reached", "mastery.updated"]
        assert elsewhere.came == []


async def test_a_webhook_is_set_part_by_part_and_its_secret_is_shown_once(api: Api, hook: HookServer) -> None:
    first = await put(api, url=hook.url, description="The LMS")
    assert first["secret"].startswith("whsec_")
    assert (first["types"], first["active"], first["secrets"]) == (["mastery.results", "mastery.events"], True, 1)
    again = await put(api, types=["mastery.events", "mastery.updated", "mastery.updated"])
    assert (again["secret"], again["types"], again["url"]) == (None, ["mastery.updated", "mastery.events"], hook.url)
    shown = (await api.get("/webhooks/lms")).json()["data"]
    assert shown == {name: value for name, value in again.items() if name != "secret"}
    assert (await api.get("/webhooks")).json()["data"] == {"webhooks": [shown]}
    assert (await api.get("/webhooks", token=OTHER_SCHOOL)).json()["data"] == {"webhooks": []}
    assert (await api.get("/webhooks/lms", token=OTHER_SCHOOL)).status_code == 404
    assert [one.call for one in await api.audited()].count("put-webhook") == 2


async def test_while_a_secret_changes_both_sign_for_a_day(api: Api, hook: HookServer) -> None:
    old = (await put(api, url=hook.url))["secret"]
    rotated = await put(api, rotate_secret=True)
    new = rotated["secret"]
    assert (new != old, rotated["secrets"]) == (True, 2)
    await api.learn(event("quiz", correct_answers=9))
    await hook.has(1)
    headers, body = hook.came[0]
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    api.clock.ahead += DAY
    headers = await tried(api, hook)
    assert len(headers["webhook-signature"].split(" ")) == 1
    assert (await api.get("/webhooks/lms")).json()["data"]["secrets"] == 1


async def test_a_call_that_is_repeated_under_its_key_makes_one_secret_and_shows_it_again(
    api: Api, hook: HookServer
) -> None:
    async def keyed(key: str, **body: Any) -> Any:
        answer = await api.call("PUT", "/webhooks/lms", {"url": hook.url, **body}, headers={"Idempotency-Key": key})
        return answer.json()["data"]

    made = [await keyed("k-1") for _ in range(2)]
    assert made[0]["secret"] == made[1]["secret"]
    rotations = [await keyed("k-2", rotate_secret=True) for _ in range(3)]
    assert {(one["secret"], one["secrets"]) for one in rotations} == {(rotations[0]["secret"], 2)}
    assert rotations[0]["secret"] != made[0]["secret"]
    assert len((await tried(api, hook))["webhook-signature"].split(" ")) == 2


async def tried(api: Api, hook: HookServer) -> dict[str, str]:
    """The headers of a test message."""
    answer = (await api.post("/webhooks/lms/test")).json()["data"]
    headers = next(headers for headers, _ in hook.came if headers["webhook-id"] == answer["id"])
    assert answer == {"webhook_id": "lms", "id": headers["webhook-id"], "delivered": True, "outcome": "answered 200"}
    return headers


async def test_a_test_message_says_at_once_what_the_receiver_answered(api: Api, hook: HookServer) -> None:
    secret = (await put(api, url=hook.url))["secret"]
    headers = await tried(api, hook)
    payload = Webhook(secret).verify(hook.came[0][1], headers)
    assert (payload["type"], payload["data"]["webhook_id"]) == ("webhook.test", "lms")
    hook.statuses = [503]
    answer = (await api.post("/webhooks/lms/test")).json()["data"]
    assert (answer["delivered"], answer["outcome"]) == (False, "answered 503")
    await put(api, url="http://127.0.0.2:9999/")
    answer = (await api.post("/webhooks/lms/test")).json()["data"]
    assert (answer["delivered"], answer["outcome"]) == (False, "the server does not answer")


async def test_what_fails_is_listed_tried_again_and_can_be_resent(
    api: Api, hook: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "LOOK_EVERY_S", 0.02)
    hook.statuses = [500, 200]
    await put(api, url=hook.url, types=["mastery.updated"])
    await api.learn(event("quiz", correct_answers=9))
    await hook.has(1)
    async with asyncio.timeout(10):
        while not (waiting := await deliveries(api))[0]["attempts"]:
            await asyncio.sleep(0.02)
    (one,) = waiting
    assert (one["state"], one["outcome"], one["student_id"]) == ("waiting", "answered 500", STUDENT)
    assert one["type"] == "mastery.updated"
    pause = datetime.fromisoformat(one["next_attempt"]) - datetime.fromisoformat(one["last_attempt"])
    assert timedelta(0) < pause < timedelta(seconds=10)
    assert (await api.post(f"/webhooks/lms/deliveries/{one['id']}/resend")).status_code == 200  # it need not wait
    (sent,) = await settled(api, "delivered")
    assert (sent["id"], sent["attempts"], sent["next_attempt"]) == (one["id"], 2, None)
    again = await api.post(f"/webhooks/lms/deliveries/{one['id']}/resend")
    assert (again.json()["data"]["state"], again.json()["data"]["id"]) == ("waiting", one["id"])
    await hook.has(3)
    assert len(set(hook.ids)) == 1
    assert len({body for _, body in hook.came}) == 1
    unknown = await api.post("/webhooks/lms/deliveries/unknown/resend")
    assert unknown.status_code == 404
    calls = [(one.call, one.student_id) for one in await api.audited()]
    assert ("resend-delivery", api.pseudonym(STUDENT)) in calls
    assert ("list-deliveries", api.pseudonym(STUDENT)) in calls
    metrics = (await api.get("/metrics")).text
    assert 'mastery_deliveries_total{outcome="retried",receiver="webhook"} 1.0' in metrics


async def test_a_receiver_that_is_gone_gets_nothing_more_until_it_is_set_again(api: Api, hook: HookServer) -> None:
    hook.statuses = [410, 200]
    await put(api, url=hook.url, types=["mastery.updated"])
    await api.learn(event("quiz", correct_answers=9))
    (failed,) = await settled(api, "failed")
    shown = (await api.get("/webhooks/lms")).json()["data"]
    assert (shown["active"], shown["inactive_because"]) == (False, "its receiver answered 410, that it is gone")
    assert "disable-webhook" in [one.call for one in await api.audited()]
    refused = await api.post(f"/webhooks/lms/deliveries/{failed['id']}/resend")
    assert refused.status_code == 409
    before = len(published(api))
    await api.learn(event("quiz", correct_answers=1))
    await followed(api, before + 1)
    assert len(hook.came) == 1
    assert (await put(api))["active"]
    await api.post(f"/webhooks/lms/deliveries/{failed['id']}/resend")
    await settled(api, "delivered")
    assert hook.ids == [failed["id"]] * 2


async def test_one_that_is_switched_off_or_removed_gets_nothing(api: Api, hook: HookServer) -> None:
    await put(api, url=hook.url, active=False)
    await api.learn(event("quiz", correct_answers=9))
    await followed(api, 1)
    assert await deliveries(api) == []
    await put(api)
    await api.learn(event("quiz", correct_answers=2))
    await hook.has(1)
    removed = await api.call("DELETE", "/webhooks/lms")
    assert removed.json()["data"]["webhook_id"] == "lms"
    assert removed.json()["data"]["deliveries"] >= 1
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test")):
        assert (await api.call(method, f"/webhooks/lms{path}")).status_code == 404
    assert (await api.get("/webhooks")).json()["data"] == {"webhooks": []}
    came, before = len(hook.came), len(published(api))
    await api.learn(event("quiz", correct_answers=9))
    await followed(api, before + 1)
    new = await put(api, url=hook.url)
    assert (await deliveries(api), len(hook.came)) == ([], came)
    assert new["secret"] is not None


async def test_who_withdraws_consent_is_not_told_of(api: Api, hook: HookServer) -> None:
    hook.statuses = [503, 200]
    await put(api, url=hook.url, types=["mastery.updated"])
    await api.learn(event("quiz", correct_answers=9))
    await hook.has(1)
    consent = f"/compliance/students/{STUDENT}/consent"
    assert (await api.call("PUT", consent, {"processing": False, "profiling": False})).status_code == 200
    (one,) = await deliveries(api)
    await api.post(f"/webhooks/lms/deliveries/{one['id']}/resend")
    (failed,) = await settled(api, "failed")
    assert failed["outcome"] == "the student does not allow it"
    assert len(hook.came) == 1


async def test_deliveries_are_listed_in_pages(api: Api, hook: HookServer) -> None:
    await put(api, url=hook.url, types=["mastery.updated"])
    for number in range(5):
        await api.learn(event("quiz", student_id=f"s{number}", correct_answers=9))
    await settled(api, "delivered", 5)
    found, cursor = [], ""
    while True:
        page = (await api.get(f"/webhooks/lms/deliveries?limit=2{cursor}")).json()["data"]
        found += [one["student_id"] for one in page["deliveries"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == [f"s{number}" for number in (4, 3, 2, 1, 0)]
    assert (await api.get("/webhooks/lms/deliveries?cursor=nonsense")).status_code == 400
    assert (await api.get("/webhooks/lms/deliveries?state=lost")).status_code == 400


async def test_only_an_admin_may(api: Api) -> None:
    await put(api, url="http://127.0.0.2:9999/")
    for role in ("student", "teacher", "service"):
        for method, path, body in (
            ("PUT", "/webhooks/lms", {"url": "http://127.0.0.2:9999/mine"}),
            ("GET", "/webhooks/lms", None),
            ("GET", "/webhooks", None),
            ("DELETE", "/webhooks/lms", None),
            ("GET", "/webhooks/lms/deliveries", None),
            ("POST", "/webhooks/lms/deliveries/m-1/resend", None),
            ("POST", "/webhooks/lms/test", None),
        ):
            assert (await api.call(method, path, body, token=make_token(role))).status_code == 403, (role, path)
    assert (await api.get("/webhooks/lms")).json()["data"]["url"] == "http://127.0.0.2:9999/"


async def test_there_are_so_many_webhooks_and_no_more(api: Api) -> None:
    for number in range(MOST_WEBHOOKS):
        await put(api, f"hook-{number}", url="http://127.0.0.2:9999/")
    assert "20 webhooks already" in (await put(api, "one-more", url="http://127.0.0.2:9999/", status=409))["message"]
    await put(api, "hook-0", url="http://127.0.0.2:9999/other")
    assert (await api.call("DELETE", "/webhooks/hook-1")).status_code == 200
    await put(api, "one-more", url="http://127.0.0.2:9999/")


async def test_what_cannot_be_a_webhook_is_refused(api: Api) -> None:
    good = "https://hooks.example.org/"
    for body, field in (
        ({}, "url"),
        ({"url": "ftp://hooks.example.org/"}, "url"),
        ({"url": "https://user:secret@hooks.example.org/"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": good, "types": []}, "types"),
        ({"url": good, "types": ["mastery.dlq"]}, "types"),
        ({"url": good, "secret": "mine"}, "secret"),
        ({"url": good, "description": "x" * 201}, "description"),
        ({"url": good, "description": "\x1b]0;a terminal takes this for a command\x07"}, "description"),
    ):
        error = await put(api, status=400, **body)  # type: ignore[arg-type]
        assert error["details"]["field"].startswith(field), body
    assert (await api.call("PUT", "/webhooks/a%20b", {"url": good})).status_code == 400
    assert (await api.get("/webhooks")).json()["data"] == {"webhooks": []}


async def test_private_addresses_are_refused_unless_they_are_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path, worker_enabled=False) as api:
        for url in (
            "http://hooks.example.org/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/",
            "https://localhost/",
            "https://2130706433/",
        ):
            error = await put(api, status=400, url=url)
            assert "WEBHOOK_ALLOW_PRIVATE" in error["message"], url


async def test_a_secret_that_cannot_be_read_asks_for_a_new_one(tmp_path: Path, hook: HookServer) -> None:
    async with serving(tmp_path, webhook_allow_private=True, pseudonym_key="k" * 32) as api:
        await put(api, url=hook.url)
    async with serving(tmp_path, webhook_allow_private=True, pseudonym_key="l" * 32) as api:
        answer = (await api.post("/webhooks/lms/test")).json()["data"]
        assert (answer["delivered"], "rotate_secret" in answer["outcome"]) == (False, True)
        assert hook.came == []
