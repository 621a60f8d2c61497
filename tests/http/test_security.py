"""The OWASP API Security Top 10 of 2023, each attacked; ``docs/security.md`` maps them to these tests and to others."""

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import jwt
import pytest

from mastery_engine.backends.redis.client import connect
from mastery_engine.errors import StartRefused
from mastery_engine.http.middleware.request import PROTECTION
from mastery_engine.http.page_headers import PAGE_HEADERS
from mastery_engine.settings import Settings, settings_from
from tests.support.calls import COMPONENTS, STUDENT, Api, Json, a_class, document, event
from tests.support.live import SECRET, make_token
from tests.support.samples import logged, quiz

ROOT = Path(__file__).parents[2]
OWN = make_token("student", subject=STUDENT)
TEACHER = make_token("teacher", students=[STUDENT])
ABOUT_OTHERS: list[tuple[str, str, Json | None]] = [
    ("POST", "/mastery/query", {"student_id": "other"}),
    ("POST", "/mastery/calculate", {"student_id": "other", "components": COMPONENTS}),
    ("POST", "/analytics/mastery-history", {"student_id": "other"}),
    ("POST", "/analytics/changes", {"student_id": "other"}),
    ("POST", "/analytics/compare", {"student_id": "other", "cohort_id": "c"}),
    ("GET", "/students/other/events/e-1", None),
]
FUNCTIONS: list[tuple[str, str, Json | None]] = [
    ("PUT", "/cohorts/c", {"name": "Mine", "members": [STUDENT]}),
    ("POST", "/analytics/cohort", {"cohort_id": "c"}),
    ("GET", "/cohorts/c", None),
    ("POST", "/mastery/ingest", event()),
    ("POST", "/mastery/ingest/batch", {"events": [event()]}),
    ("POST", "/batch/mastery", {"requests": [{"student_id": STUDENT, "components": COMPONENTS}], "record": True}),
    ("POST", "/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS, "record": True}),
]


def guarded() -> list[tuple[str, str]]:
    """Every call of the OpenAPI document that asks for a token, with some values in its path.

    The sidecar's have a door of their own: see test_process.
    """
    return [
        (method.upper(), re.sub(r"\{[^}]*\}", "x", path))
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if operation.get("security") and path != "/process" and not path.startswith("/dapr/")
    ]


def methods_of(asked: str) -> set[str]:
    """The methods of an address, with those that need no token."""
    return {
        method.upper()
        for path, operations in document()["paths"].items()
        for method in operations
        if re.sub(r"\{[^}]*\}", "x", path) == asked
    }


# ---- API1: broken object level authorization


@pytest.mark.parametrize(("method", "path", "body"), ABOUT_OTHERS)
@pytest.mark.parametrize("token", [OWN, TEACHER], ids=["student", "teacher"])
async def test_api1_anothers_object_is_refused_by_every_call(
    api: Api, method: str, path: str, body: Json | None, token: str
) -> None:
    await api.learn({**event(student_id="other"), "metadata": {"cohort_id": "c"}})
    answer = await api.call(method, path, body, token=token)
    assert answer.status_code == 403
    assert "other" not in answer.text


@pytest.mark.parametrize("name", ["student_1234", "Student_12345", f"{STUDENT}_"])
async def test_api1_a_name_that_is_nearly_ones_own_is_anothers(api: Api, name: str) -> None:
    assert (await api.post("/mastery/query", {"student_id": name}, token=OWN)).status_code == 403


# ---- API2: broken authentication


async def test_api2_no_call_is_open(api: Api) -> None:
    forged = jwt.encode({"sub": "x", "role": "admin", "exp": 4e9}, "guess" * 8, algorithm="HS256")
    for method, path in guarded():
        none = await api.call(method, path, {}, token="")
        assert (none.status_code, none.json()["error"]["code"]) == (401, "AUTH_ERROR"), path
        scheme = none.headers["www-authenticate"].partition(" ")[0]
        assert scheme == ("Basic" if path.startswith(("/caliper", "/canvas", "/xapi")) else "Bearer"), path
        assert (await api.call(method, path, {}, token=forged)).status_code in (401, 429), path


# ---- API3: broken object property level authorization


@pytest.mark.parametrize("extra", ["role", "tenant", "subject", "admin", "current_mastery", "mastery_score"])
@pytest.mark.parametrize("path", ["/mastery/query", "/mastery/calculate", "/analytics/mastery-history"])
async def test_api3_properties_that_are_not_the_callers_to_set_are_refused(api: Api, path: str, extra: str) -> None:
    answer = await api.post(path, {"student_id": STUDENT, extra: "admin"}, token=OWN)
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, extra)


async def test_api3_a_tenant_in_an_event_moves_it_nowhere(api: Api) -> None:
    sent = {**event(), "tenant": "school-1", "metadata": {"tenant": "school-1", "cohort_id": "c"}}
    await api.learn(sent)
    assert (await api.post("/mastery/query", {"student_id": STUDENT})).status_code == 200
    theirs = make_token(tenant="school-1")
    assert (await api.post("/mastery/query", {"student_id": STUDENT}, token=theirs)).status_code == 404
    assert (await api.get("/cohorts/c", token=theirs)).status_code == 404


async def test_api3_a_comparison_names_nobody_else(api: Api) -> None:
    names = await a_class(api, 6)
    answer = await api.post(
        "/analytics/compare", {"student_id": "s1", "cohort_id": "py-101"}, token=make_token("student", subject="s1")
    )
    assert answer.status_code == 200
    assert not [name for name in names if name != "s1" and name in answer.text]


# ---- API4: unrestricted resource consumption


async def test_api4_what_is_too_much_is_refused(api: Api) -> None:
    assert (await api.call("POST", "/mastery/query", content=b" " * (1024 * 1024 + 1))).status_code == 413
    assert (await api.call("POST", "/mastery/query", content=b"[" * 100_000)).status_code == 400
    assert (await api.post("/mastery/ingest/batch", {"events": [{}] * 1_001})).status_code == 400
    assert (await api.post("/analytics/cohort", {"cohort_id": "c", "limit": 1_001})).status_code == 400
    assert (await api.get("/cohorts/c?limit=1001")).status_code == 400
    codes = [(await api.post("/analytics/compare", {}, token=OWN)).status_code for _ in range(51)]
    assert codes == [400] * 50 + [429]


# ---- API5: broken function level authorization


@pytest.mark.parametrize(("method", "path", "body"), FUNCTIONS)
async def test_api5_a_student_has_no_function_of_others(api: Api, method: str, path: str, body: Json | None) -> None:
    assert (await api.call(method, path, body, token=OWN)).status_code == 403


async def test_api5_another_method_opens_nothing(api: Api) -> None:
    asked = [
        (other, path, methods_of(path))
        for path in sorted({path for _, path in guarded()})
        for other in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ]
    for other, path, known in asked:
        if other in known:
            continue
        answer = await api.call(other, path, {}, token=OWN)
        assert answer.status_code == 405, path
        assert set(answer.headers["allow"].replace(" ", "").split(",")) - {"HEAD"} == known
    overridden = await api.call(
        "POST", "/mastery/query", {"student_id": "x"}, headers={"X-HTTP-Method-Override": "PUT"}
    )
    assert overridden.status_code == 404


# ---- API6: unrestricted access to sensitive business flows


async def test_api6_no_student_raises_their_own_score(api: Api) -> None:
    await api.learn(event(completed_exercises=1))
    before = await api.query()
    for _ in range(40):
        await api.post("/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS}, token=OWN)
        await api.post("/mastery/ingest", event(), token=OWN)
    assert (await api.query())["components"] == before["components"]


# ---- API7: server side request forgery


async def test_api7_nothing_is_fetched_that_a_caller_names(api: Api) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    claims = {"sub": "x", "role": "admin", "exp": 4e9, "iss": url}
    for header in ({"jku": url}, {"x5u": url}, {"kid": url}):
        token = jwt.encode(claims, "guess" * 8, algorithm="HS256", headers=header)
        assert (await api.post("/mastery/query", {"student_id": STUDENT}, token=token)).status_code == 401
    await api.learn({**event(exercise_id=url, topic=url), "source": url, "metadata": {"cohort_id": url, "url": url}})
    await api.data("/analytics/cohort", {"cohort_id": url})
    await asyncio.sleep(0.05)
    server.close()
    assert asked == []


# ---- API8: security misconfiguration


@pytest.mark.parametrize(
    "path", ["/health", "/docs", "/openapi.json", "/no/such/path", "/mastery/query", "/docs/start.js"]
)
async def test_api8_every_answer_is_protected(api: Api, path: str) -> None:
    answer = await api.get(path, headers={"Origin": "https://evil.example"})
    for name, value in PROTECTION:
        assert answer.headers[name.decode()] == value.decode()
    is_page = answer.headers["content-type"].startswith("text/html")
    policy = PAGE_HEADERS["Content-Security-Policy"] if is_page else "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["content-security-policy"] == policy
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/api/v1/docs", "/dashboard", "/dashboard/compare"])
async def test_api8_a_page_runs_and_loads_only_what_this_service_sends(api: Api, path: str) -> None:
    answer = await api.get(path, token="")
    assert answer.headers["content-type"].startswith("text/html")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", answer.text), "nothing inline"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "JWT_SECRET"),
        ({"JWT_SECRET": "dev-secret"}, "JWT_SECRET"),
        ({"JWT_SECRET": "x" * 31}, "JWT_SECRET"),
        ({"JWT_JWKS_URL": "http://id.example/keys"}, "https"),
        ({"JWT_JWKS_URL": "file:///etc/passwd"}, "JWT_JWKS_URL"),
        ({"JWT_JWKS_URL": "https://id.example/keys", "JWT_SECRET": "short"}, "JWT_SECRET"),
    ],
)
def test_api8_production_does_not_start_unsafe(given: dict[str, str], word: str) -> None:
    with pytest.raises(StartRefused, match=word) as refused:
        settings_from({"ENVIRONMENT": "production", **given})
    assert "dev-secret" not in str(refused.value)


def test_api8_production_starts_with_keys_alone() -> None:
    given = {
        "ENVIRONMENT": "production",
        "JWT_JWKS_URL": "https://id.example/keys",
        "PSEUDONYM_KEY": "for-tests-alone-0123456789-0123456789",
    }
    assert settings_from(given).jwt_secret is None


def test_api8_secrets_are_not_shown() -> None:
    found = Settings(jwt_secret=SECRET, kafka_password="pass-word-1", redis_host="redis://:pass-word-2@host:6379")
    for shown in (repr(found), str(found)):
        assert not [word for word in (SECRET, "pass-word-1", "pass-word-2") if word in shown]
    with pytest.raises(StartRefused) as refused:
        connect("redis://:pass/word-2@host:6379")
    assert "word" not in str(refused.value)


async def test_api8_a_token_is_in_no_log_line(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = make_token()
    for sent in (token, token[:-2] + "xx"):
        await api.post("/mastery/query", {"student_id": STUDENT}, token=sent)
    lines = [json.dumps(vars(record), default=str) for record in caplog.records if record.name.startswith("mastery")]
    assert lines
    assert not [line for line in lines if token[-20:-2] in line or SECRET in line]


# ---- API9: improper inventory management


async def test_api9_every_route_is_documented_or_is_the_documents(api: Api) -> None:
    open_calls = {"/health", "/ready", "/", "/metrics", "/.well-known/did.json"}
    paths: dict[str, Any] = document()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            is_open = path in open_calls or (path.startswith("/badges/") and method == "get")  # by their links
            assert bool(operation.get("security")) != is_open, path
    for path in ("/admin", "/debug", "/actuator", "/api/v2/mastery/query", "/api/v1/api/v1/health", "/.env", "/redoc"):
        assert (await api.get(path)).status_code == 404


async def test_api9_the_other_address_is_guarded_alike(api: Api) -> None:
    for method, path in guarded():
        assert (await api.call(method, f"/api/v1{path}", {}, token="")).status_code == 401, path


# ---- API10: unsafe consumption of APIs (the identity provider's keys: test_jwks.py)


async def test_api10_what_a_broker_brings_stays_in_its_tenant(api: Api) -> None:
    """An event as Kafka's header ``tenant`` gives it, for a student and a cohort that another school has too."""
    now, named = api.clock(), {"cohort_id": "c"}
    ours = quiz(1, 10, "e1", at=now, metadata=named)
    theirs = type(ours)("e1", "ada", ours.at, ours.received, ours.data, "school-1", metadata=named)
    others = type(ours)("e2", "eve", ours.at, ours.received, ours.data, "school-1", metadata=named)
    await api.folding.fold(logged([ours, theirs, others]), now)
    assert (await api.get("/cohorts/c")).json()["data"]["members"] == ["ada"]
    there = (await api.get("/cohorts/c", token=make_token(tenant="school-1"))).json()["data"]["members"]
    assert there == ["ada", "eve"]
    assert (await api.post("/mastery/query", {"student_id": "eve"})).status_code == 404


# ---- the document


def test_the_document_maps_each_risk_to_tests_that_exist() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    for number in range(1, 11):
        assert f"| API{number}:2023 " in text
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text))
    assert named
    for file, test in named:
        assert (ROOT / file).is_file(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(), test
