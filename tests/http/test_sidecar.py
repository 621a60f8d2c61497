"""The doors of the sidecar, attacked: who is taken for it on the same machine, and who is not."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from mastery_engine.auth.limits import BAD_TOKENS, PER_MINUTE
from mastery_engine.errors import StartRefused
from mastery_engine.settings import Settings, settings_from
from tests.support.calls import COMPONENTS, STUDENT, Api, event, serving, with_state
from tests.support.live import SECRET, make_token

JSON = "application/json"
CALL = json.dumps({"intent": "query", "payload": {"student_id": STUDENT}}).encode()
DOORS = [("POST", "/process", CALL), ("GET", "/dapr/subscribe", b""), ("POST", "/dapr/events", b"{}")]
OWN = make_token("student", subject=STUDENT)


@pytest.fixture
async def trusting(tmp_path: Path) -> AsyncIterator[Api]:
    """A developer's service, with DAPR_TRUST_LOOPBACK=true."""
    async with serving(tmp_path, environment="development", dapr_trust_loopback=True) as api:
        await api.learn(event())
        yield api


async def statuses(
    api: Api, headers: Mapping[str, str] | None = None, *, peer: str = "127.0.0.1", http: str = "1.1"
) -> list[int]:
    """What each door answers to a call without a token."""
    app = with_state(api.app, api.state)

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "http_version": http}, receive, send)

    transport = httpx.ASGITransport(called, client=(peer, 4711))
    answers = []
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8005") as client:
        for method, path, body in DOORS:
            sent = {"Content-Type": JSON, **(headers or {})}
            given = {name: value for name, value in sent.items() if value}
            answers.append(await client.request(method, path, content=body, headers=given))
    assert not any("mastery_score" in answer.text for answer in answers if not answer.is_success)
    return [answer.status_code for answer in answers]


async def test_loopback_alone_opens_nothing(api: Api) -> None:
    assert await statuses(api) == [403, 403, 403]
    answer = await api.post("/process", json.loads(CALL), token="")
    assert "APP_API_TOKEN" in answer.json()["error"]["message"]
    assert "DAPR_TRUST_LOOPBACK=true" in answer.json()["error"]["message"]
    assert (await api.post("/process", json.loads(CALL))).status_code == 404, "a caller's own token is proof enough"


async def test_production_does_not_trust_loopback(tmp_path: Path) -> None:
    safe = {"ENVIRONMENT": "production", "JWT_SECRET": SECRET, "PSEUDONYM_KEY": SECRET, "DATA_DIR": str(tmp_path)}
    with pytest.raises(StartRefused, match="DAPR_TRUST_LOOPBACK is for development: .* set APP_API_TOKEN"):
        settings_from({**safe, "DAPR_TRUST_LOOPBACK": "true"})
    async with serving(tmp_path, environment="production", dapr_trust_loopback=True) as api:  # past that check
        assert await statuses(api) == [403, 403, 403]


async def test_a_sidecar_on_the_same_machine_comes_in(trusting: Api) -> None:
    for host in ("localhost", "LOCALHOST:8005", "127.0.0.1:1", "127.8.8.8", "[::1]:8005", "[::1]"):
        for peer in ("127.0.0.1", "127.0.0.5", "::1", "::ffff:127.0.0.1"):
            assert await statuses(trusting, {"Host": host}, peer=peer) == [200, 200, 200], (host, peer)


OTHERS: list[dict[str, str]] = [
    # A page of another site, and one of this machine on another port.
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    # A name of an attacker's that now points here.
    {"Host": "evil.example"},
    {"Host": "evil.example:8005"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "localhost@evil.example"},
    {"Host": "localhost, evil.example"},
    {"Host": "[::1].evil.example"},
    {"Host": "[::1]:8005.evil.example"},
    {"Host": "127.0.0.1:80@evil.example"},
    {"Host": "localhost:evil.example"},
    {"Host": "localhost:"},
    {"Host": "127.0.0.1%evil.example"},
    {"Host": "::1"},
    {"Host": "127.0.0.256"},
    {"Host": "127.1"},
    {"Host": "192.168.0.9:8005"},
    {"Host": "0.0.0.0:8005"},
    {"Host": "[::]:8005"},
    # A proxy on this machine.
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": ""} | {"X-Forwarded-Host": "localhost"},
    {"X-Forwarded-Proto": "https"},
    {"x-forwarded-anything": "x"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"X-Real-IP": "127.0.0.1"},
]


async def test_whoever_else_comes_by_loopback_does_not(trusting: Api) -> None:
    for headers in OTHERS:
        assert await statuses(trusting, headers) == [401, 401, 401], headers


async def test_a_proxy_that_only_shows_by_its_version_of_http_does_not(trusting: Api) -> None:
    """As nginx does unless it is told otherwise: HTTP/1.0, its own Host, nothing forwarded."""
    assert await statuses(trusting, {"Host": "127.0.0.1:8005"}, http="1.0") == [401, 401, 401]


async def test_another_machine_does_not(trusting: Api) -> None:
    for peer in ("10.0.0.7", "192.168.0.9", "2001:db8::1", "::ffff:10.0.0.7", "a-name", ""):
        assert await statuses(trusting, peer=peer) == [401, 401, 401], peer


async def test_a_body_that_any_page_may_send_is_not_read(trusting: Api) -> None:
    """A page sends these to other sites without asking; an old browser says not even where from."""
    for kind in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert await statuses(trusting, {"Content-Type": kind}) == [415, 200, 415], kind


async def test_daprs_content_types_are(trusting: Api) -> None:
    for kind in (JSON, f"{JSON}; charset=utf-8", "application/cloudevents+json"):
        assert await statuses(trusting, {"Content-Type": kind}) == [200, 200, 200]


async def test_two_hosts_are_none(trusting: Api) -> None:
    app = with_state(trusting.app, trusting.state)

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "headers": [*scope["headers"], (b"host", b"evil.example")]}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(called), base_url="http://localhost") as client:
        assert (await client.get("/dapr/subscribe")).status_code == 401


# ---- tokens that come through the sidecar


def asked(token: str, intent: str = "query") -> Any:
    return {"intent": intent, "payload": {"student_id": STUDENT}, "security_context": {"token": token}}


async def test_bad_tokens_of_the_context_are_counted_and_good_ones_go_on(trusting: Api) -> None:
    codes = [
        (await trusting.post("/process", asked(f"a.b.{guess}"), token="")).status_code
        for guess in range(BAD_TOKENS + 3)
    ]
    assert codes == [401] * BAD_TOKENS + [429] * 3
    assert (await trusting.post("/process", asked(OWN), token="")).status_code == 200
    assert (await trusting.post("/process", json.loads(CALL), token="")).status_code == 200


async def test_a_bearer_of_the_context_has_the_limits_of_a_bearer(trusting: Api) -> None:
    """The same window, whichever way the token comes."""
    for left in range(PER_MINUTE["query"] - 1, -1, -1):
        body, token = (asked(OWN), "") if left % 2 else (json.loads(CALL), OWN)
        answer = await trusting.post("/process", body, token=token)
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, str(left))
    assert (await trusting.post("/process", asked(OWN), token="")).status_code == 429
    assert (await trusting.post("/mastery/query", {"student_id": STUDENT}, token=OWN)).status_code == 429
    prediction = await trusting.post("/process", asked(OWN, "get_prediction"), token="")
    assert prediction.headers["x-ratelimit-limit"] == str(PER_MINUTE["predictions"])
    services = {(await trusting.post("/process", json.loads(CALL), token="")).status_code for _ in range(60)}
    assert services == {200}, "the sidecar calls for services, which are not limited"


async def test_a_teachers_cohorts_count_by_this_door_too(trusting: Api) -> None:
    await trusting.call("PUT", "/cohorts/py-101", {"name": "Python", "members": [STUDENT]})
    teacher = make_token("teacher", cohorts=["py-101"])
    assert (await trusting.post("/process", asked(teacher), token="")).status_code == 200


async def test_guesses_at_the_sidecars_token_are_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, app_api_token="what-the-sidecar-shows") as api:
        calculation = {"intent": "mastery_calculation", "payload": {"student_id": STUDENT, "components": COMPONENTS}}

        async def status(shown: str) -> int:
            answer = await api.post("/process", calculation, token="", headers={"dapr-api-token": shown})
            return answer.status_code

        assert [await status("") for _ in range(BAD_TOKENS + 1)] == [401] * (BAD_TOKENS + 1)  # none is no guess
        codes = [await status(f"guess-{number}") for number in range(BAD_TOKENS + 2)]
        assert codes == [401] * BAD_TOKENS + [429] * 2
        assert await status("what-the-sidecar-shows") == 200
        assert (await api.get("/dapr/subscribe", token="", headers={"dapr-api-token": "guess"})).status_code == 429


def test_tokens_are_not_printed_with_the_settings() -> None:
    settings = Settings(app_api_token="app-word", dapr_api_token="dapr-word", jwt_secret="jwt-word")
    assert not {word for word in ("app-word", "dapr-word", "jwt-word") if word in repr(settings)}
