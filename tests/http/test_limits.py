"""How often who may call, what the answers say of it, and what becomes of guesses at tokens."""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from limits.aio.storage import MemoryStorage
from starlette.routing import Route

from mastery_engine.auth.access import Caller
from mastery_engine.auth.limits import BAD_TOKENS, PER_MINUTE, WINDOW_S, LimitKind, Limits, neighbourhood
from mastery_engine.domain.moments import SECOND
from mastery_engine.errors import RateLimited
from mastery_engine.http.routers.process import INTENTS
from mastery_engine.wiring_clocks import system_clock
from tests.support.calls import COMPONENTS, STUDENT, Api, document, event, serving
from tests.support.live import make_token

OWN = make_token("student", subject=STUDENT)
QUERY = {"student_id": STUDENT}


@pytest.fixture
async def unlimited(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, rate_limit_enabled=False) as api:
        yield api


async def test_a_student_has_fifty_queries_a_minute(api: Api) -> None:
    await api.learn(event())
    for left in range(49, -1, -1):
        answer = await api.post("/mastery/query", QUERY, token=OWN)
        assert answer.status_code == 200
        assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("50", str(left))
        assert 0 < int(answer.headers["x-ratelimit-reset"]) - time.time() <= WINDOW_S + 1
    refused = await api.post("/mastery/query", QUERY, token=OWN)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_S
    calculated = await api.post("/mastery/calculate", {**QUERY, "components": COMPONENTS}, token=OWN)
    assert (calculated.status_code, calculated.headers["x-ratelimit-remaining"]) == (200, "29")
    other = await api.post("/mastery/query", {"student_id": "s2"}, token=make_token("student", subject="s2"))
    assert other.headers["x-ratelimit-remaining"] == "49"
    same_name = make_token("student", subject=STUDENT, tenant="school-1")
    assert (await api.post("/mastery/query", QUERY, token=same_name)).status_code == 404


async def test_the_window_slides(api: Api) -> None:
    """What was called 60 s ago counts no more, and each call comes back by itself."""
    started = system_clock()

    async def called(second: float) -> int:
        api.clock.ahead = started + round(second * SECOND) - system_clock()
        return (await api.post("/mastery/query", QUERY, token=OWN)).status_code

    assert {await called(second) for second in range(50)} == {404}
    assert await called(59) == 429
    assert [await called(61.5) for _ in range(3)] == [404, 404, 429]


@pytest.mark.parametrize(("role", "limit"), [("teacher", "1000"), ("service", None), ("admin", None)])
async def test_others_have_more_or_no_limit(api: Api, role: str, limit: str | None) -> None:
    answer = await api.post("/mastery/query", QUERY, token=make_token(role, students=[STUDENT]))
    assert answer.headers.get("x-ratelimit-limit") == limit


async def test_a_refused_call_counts_too(api: Api) -> None:
    for _ in range(PER_MINUTE["batch"]):
        answer = await api.post("/batch/mastery", {"requests": [QUERY]}, token=OWN)
        assert answer.status_code == 403
    assert (await api.post("/batch/mastery", {"requests": [QUERY]}, token=OWN)).status_code == 429


async def test_without_limits_nobody_is_limited(unlimited: Api) -> None:
    codes = {(await unlimited.post("/mastery/query", QUERY, token=OWN)).status_code for _ in range(60)}
    bad = {(await unlimited.post("/mastery/query", QUERY, token="a.b.c")).status_code for _ in range(BAD_TOKENS + 5)}
    assert (codes, bad) == ({404}, {401})


async def test_guesses_at_tokens_end_in_429_and_good_tokens_go_on(api: Api) -> None:
    codes = [
        (await api.post("/mastery/query", QUERY, token=f"a.b.{guess}")).status_code for guess in range(BAD_TOKENS + 5)
    ]
    assert codes == [401] * BAD_TOKENS + [429] * 5
    refused = await api.post("/mastery/query", QUERY, token="a.b.c")
    assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_S
    assert (await api.post("/mastery/query", QUERY)).status_code == 404
    assert (await api.post("/mastery/query", QUERY, token="")).status_code == 401  # none is no guess


async def test_addresses_are_counted_apart() -> None:
    limits, now = Limits(MemoryStorage()), system_clock()
    for _ in range(BAD_TOKENS):
        await limits.blame("192.0.2.1", now)
    await limits.blame("192.0.2.2", now)
    with pytest.raises(RateLimited):
        await limits.blame("192.0.2.1", now)
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff") != neighbourhood("2001:db8:0:1::1")
    assert (neighbourhood("192.0.2.1"), neighbourhood("testclient")) == ("192.0.2.1", "testclient")


async def test_a_storage_that_hangs_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    now = system_clock()

    class Hanging(MemoryStorage):
        async def acquire_entry(self, *_: object, **__: object) -> bool:
            import asyncio

            await asyncio.sleep(60)
            return True

    limits = Limits(Hanging())
    started = time.perf_counter()
    assert [await limits.take(Caller("ada", "student"), "query", now) for _ in range(10)] == [None] * 10
    assert time.perf_counter() - started < 5
    assert len([one for one in caplog.records if "rate limits are off" in one.getMessage()]) == 1


# As which kind the calls of each route are counted; None where they are not limited, for whatever reason. The whole
# table: a new route that is not here fails, and so does one whose kind is another.
KINDS: dict[str, LimitKind | None] = {
    "POST /mastery/query": "query",
    "POST /mastery/calculate": "calculate",
    "POST /mastery/ingest": None,  # a student may not
    "POST /mastery/ingest/batch": None,
    "GET /students/{student_id}/events/{event_id}": None,
    "GET /students/{student_id}/stream": None,  # open streams have a cap of their own
    "POST /batch/mastery": "batch",
    "GET /batch/mastery/{batch_id}": "query",
    "POST /analytics/mastery-history": "analytics",
    "POST /analytics/changes": "analytics",
    "POST /analytics/skills": "analytics",
    "POST /analytics/patterns": "analytics",
    "POST /analytics/compare": "analytics",
    "POST /analytics/cohort": "analytics",
    "PUT /cohorts/{cohort_id}": None,
    "GET /cohorts/{cohort_id}": "analytics",
    "PUT /courses/{course_id}": None,
    "GET /courses/{course_id}": "query",
    "GET /courses": "query",
    "POST /rosters/oneroster": None,
    "PUT /webhooks/{webhook_id}": None,
    "GET /webhooks/{webhook_id}": "query",
    "DELETE /webhooks/{webhook_id}": None,
    "GET /webhooks": "query",
    "GET /webhooks/{webhook_id}/deliveries": "query",
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/resend": None,
    "POST /webhooks/{webhook_id}/test": None,
    "POST /caliper": None,  # a platform's credential is a service
    "POST /canvas/events": None,
    "PUT /students/{student_id}/profile": None,
    "GET /students/{student_id}/profile": "query",
    "GET /students": "analytics",
    "GET /students/{student_id}/badges": "query",
    "PUT /students/{student_id}/badges/{badge_id}/name": "query",
    "DELETE /badges/{badge_id}": None,
    "GET /students/{student_id}/notes": "query",
    "POST /students/{student_id}/notes": "query",
    "PUT /students/{student_id}/notes/{note_id}": "query",
    "DELETE /students/{student_id}/notes/{note_id}": "query",
    "POST /predictions/next-week": "predictions",
    "POST /predictions/trajectory": "predictions",
    "POST /recommendations/adaptive": "recommendations",
    "POST /recommendations/learning-path": "recommendations",
    "POST /recommendations/items": "recommendations",
    "POST /predictions/next-answer": "predictions",
    "GET /compliance/students/{student_id}/consent": "compliance",
    "PUT /compliance/students/{student_id}/consent": "compliance",
    "GET /compliance/students/{student_id}/export": "compliance",
    "DELETE /compliance/students/{student_id}": "compliance",
    "GET /compliance/audit": "compliance",
    "POST /mcp": "query",
    "POST /process": "query",  # that of the intent, where it has one: see below
    "GET /dashboard": "pages",
    "POST /dashboard": "pages",
    "GET /dashboard/compare": "pages",
    "GET /dashboard/find": "pages",
    "GET /dashboard/students/{student_id}": "pages",
    "GET /dashboard/students/{student_id}/live": "pages",
    "GET /dashboard/students/{student_id}/notes": "pages",
    "POST /dashboard/students/{student_id}/notes": "pages",
    "GET /dashboard/webhooks/{webhook_id}": "pages",
    "POST /dashboard/webhooks/{webhook_id}/deliveries/{delivery_id}/resend": "pages",
    "POST /dashboard/webhooks/{webhook_id}/test": "pages",
    "GET /dashboard/figures": "pages",
    "GET /dashboard/runbooks": "pages",
    "GET /dashboard/dead-letters": "pages",
    "GET /dashboard/dead-letters/redrive": "pages",
    "POST /dashboard/dead-letters/redrive": "pages",
    "GET /dashboard/dead-letters/redriven/{name}": "pages",
    "POST /dashboard/dead-letters/{letter_id}/redrive": "pages",
    "GET /dashboard/class.csv": "pages",
    "GET /dashboard/group": "pages",
    "GET /dashboard/accessibility": "pages",
    "GET /dashboard/my-data": "pages",
    "GET /dashboard/my-data/export": "pages",
    "POST /dashboard/my-data/consent": "pages",
    # Whoever calls is not asked.
    "GET /dashboard/launched": None,  # it shows nobody anything
    "GET /dashboard/design": None,  # nor does this
    "GET /badges/{badge_id}": None,
    "GET /badges/{badge_id}.json": None,
    "GET /badges/{badge_id}.jwt": None,
    "GET /badges/{badge_id}.png": None,
    "GET /badges/{badge_id}.svg": None,
    "GET /badges/status/{number}": None,
    "GET /.well-known/did.json": None,
    "POST /dashboard/sign-out": None,
    "GET /lti/login": None,  # by address, as the others of LTI
    "POST /lti/login": None,
    "GET /lti/launch": None,
    "POST /lti/launch": None,
    "POST /lti/choose": None,
    "GET /lti/register": None,
    "GET /lti/jwks": None,
    "POST /dashboard/language": None,
    "POST /dashboard/door": None,  # there is one in a demo alone
    "GET /dashboard/assets/{name}": None,
    "GET /dapr/subscribe": None,
    "POST /dapr/events": None,
    "GET /health": None,
    "GET /ready": None,
    "GET /": None,
    "GET /metrics": None,
    "GET /docs": None,
    "GET /docs/{name}": None,
    "GET /openapi.json": None,
}
INTENTS_KINDS: dict[str, LimitKind | None] = {
    "mastery_calculation": "calculate",
    "get_prediction": "predictions",
    "generate_path": "recommendations",
    "recommendations": "recommendations",
    "query": "query",
    "ingest": None,
    "no intent of ours": "query",
}


@pytest.fixture
async def told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Api, dict[str, LimitKind]]]:
    """The service with another number of calls for each kind, and which kind a number stands for."""
    numbers = {kind: 1_000 + place for place, kind in enumerate(PER_MINUTE)}
    monkeypatch.setattr("mastery_engine.auth.limits.PER_MINUTE", numbers)
    async with serving(tmp_path) as api:
        yield api, {str(number): kind for kind, number in numbers.items()}


async def test_each_route_counts_its_calls_as_its_kind(told_apart: tuple[Api, dict[str, LimitKind]]) -> None:
    api, kinds = told_apart
    found = {}
    for method, path in calls_of(api.app):
        answer = await called(api, method, path)
        found[f"{method} {path}"] = kinds.get(answer.headers.get("x-ratelimit-limit", ""))
    assert found == KINDS


UNLIMITED_PAGES = {  # they read nothing of anybody
    "GET /dashboard/design",
    "GET /dashboard/launched",
    "POST /dashboard/sign-out",
    "POST /dashboard/language",
    "POST /dashboard/door",
    "GET /dashboard/assets/{name}",
}


def test_no_page_and_no_call_about_own_data_is_without_its_limit() -> None:
    """By their addresses, so that a new one cannot say otherwise in the table above."""
    for call, kind in KINDS.items():
        path = call.partition(" ")[2]
        if path.startswith("/compliance"):
            assert kind == "compliance", call
        if path.startswith("/dashboard"):
            assert kind == (None if call in UNLIMITED_PAGES else "pages"), call


@pytest.mark.parametrize(("role", "most"), [("student", 2), ("teacher", 4)])
async def test_each_page_and_call_about_own_data_ends_in_429(
    api: Api, monkeypatch: pytest.MonkeyPatch, role: str, most: int
) -> None:
    monkeypatch.setattr("mastery_engine.auth.limits.PER_MINUTE", {**PER_MINUTE, "compliance": 2, "pages": 2})
    monkeypatch.setattr("mastery_engine.auth.limits.TIMES", {"student": 1, "teacher": 2})
    limited = [call.split(" ") for call, kind in KINDS.items() if kind in ("compliance", "pages")]
    assert len(limited) > 10
    for place, (method, path) in enumerate(limited):
        token = make_token(role, subject=f"caller-{place}")
        answers = [await called(api, method, path, token) for _ in range(most + 1)]
        assert [answer.status_code == 429 for answer in answers] == [False] * most + [True], (method, path)
        assert 1 <= int(answers[-1].headers["retry-after"]) <= WINDOW_S


async def test_the_sign_in_form_takes_no_guesses_without_end(api: Api) -> None:
    """By address, as everywhere; a good token goes on."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    codes = [
        (await api.call("POST", "/dashboard", content=b"token=guess", token="", headers=form)).status_code
        for _ in range(BAD_TOKENS + 3)
    ]
    assert codes == [401] * BAD_TOKENS + [429] * 3
    cookie = {"Cookie": "mastery_session=a.b.c"}
    assert (await api.get("/dashboard", token="", headers=cookie)).status_code == 429
    signed_in = await api.call("POST", "/dashboard", content=b"token=" + OWN.encode(), token="", headers=form)
    assert signed_in.status_code == 303


def calls_of(app: FastAPI) -> list[tuple[str, str]]:
    """All calls that the application has, by method and path."""
    contexts = list(iter_route_contexts(app.routes))
    assert all(isinstance(context.original_route, Route) for context in contexts), "a mount has routes of its own"
    return [(method, str(context.path)) for context in contexts for method in {*(context.methods or ())} - {"HEAD"}]


async def called(api: Api, method: str, path: str, token: str = OWN) -> httpx.Response:
    """What a caller is answered, a student by default, who shows their token in every way there is."""
    bodies = {"/mcp": b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}', "/dashboard": b"token=" + token.encode()}
    kind = "application/x-www-form-urlencoded" if path == "/dashboard" else "application/json"
    accepted = "application/json, text/event-stream"
    headers = {"Content-Type": kind, "Accept": accepted, "Cookie": f"mastery_session={token}"}
    body = bodies.get(path, b"{}")
    return await api.call(method, re.sub(r"{.*?}", "x", path), token=token, content=body, headers=headers)


def test_the_document_says_each_kind() -> None:
    """Of ``/process``, which has several, it says none."""
    said = {
        f"{method.upper()} {path}": operation.get("x-rate-limit")
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    }
    assert said == {call: None if call == "POST /process" else KINDS[call] for call in said}


async def test_a_process_counts_as_the_call_that_its_intent_stands_for(
    told_apart: tuple[Api, dict[str, LimitKind]],
) -> None:
    api, kinds = told_apart
    assert INTENTS_KINDS.keys() - INTENTS.keys() == {"no intent of ours"}
    assert INTENTS.keys() <= INTENTS_KINDS.keys()
    found = {}
    for intent in INTENTS_KINDS:
        answer = await api.post("/process", {"intent": intent, "payload": {}}, token=OWN)
        found[intent] = kinds.get(answer.headers.get("x-ratelimit-limit", ""))
    assert found == INTENTS_KINDS
    broken = await api.post("/process", content=b"{", token=OWN)
    assert kinds[broken.headers["x-ratelimit-limit"]] == "query"


async def test_a_process_and_its_call_are_counted_together(api: Api) -> None:
    asked = {"intent": "mastery_calculation", "payload": {**QUERY, "components": COMPONENTS}}
    for left in range(29, -1, -1):
        answer = await api.post("/process", asked, token=OWN)
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, str(left))
    assert (await api.post("/process", asked, token=OWN)).status_code == 429
    assert (await api.post("/mastery/calculate", asked["payload"], token=OWN)).status_code == 429
    assert (await api.post("/process", {"intent": "query", "payload": QUERY}, token=OWN)).status_code == 404
    services = {(await api.post("/process", asked, token=make_token("service"))).status_code for _ in range(40)}
    assert services == {200}


async def test_a_student_has_sixty_calls_a_minute_about_their_own_data(api: Api) -> None:
    path = f"/compliance/students/{STUDENT}"
    for left in range(59, -1, -1):
        answer = await api.get(f"{path}/consent", token=OWN)
        assert (answer.status_code, answer.headers["x-ratelimit-limit"]) == (200, "60")
        assert answer.headers["x-ratelimit-remaining"] == str(left)
    for method, end, body in (
        ("GET", "/consent", None),
        ("PUT", "/consent", {"profiling": False}),
        ("GET", "/export", None),
    ):
        refused = await api.call(method, path + end, body, token=OWN)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_S
    history = (await api.get(f"{path}/consent")).json()["data"]["history"]
    assert history == [], "a call that was refused changed something"
    assert (await api.post("/mastery/query", QUERY, token=OWN)).status_code == 404


async def test_a_student_has_a_hundred_and_twenty_pages_a_minute(api: Api) -> None:
    await api.learn(event())
    headers = {"Cookie": f"mastery_session={OWN}"}
    for left in range(119, -1, -1):
        page = await api.client.get(f"/dashboard/students/{STUDENT}", headers=headers)
        assert (page.status_code, page.headers["x-ratelimit-remaining"]) == (200, str(left))
    for path in ("/dashboard", f"/dashboard/students/{STUDENT}", f"/dashboard/students/{STUDENT}/live"):
        refused = await api.client.get(path, headers=headers)
        assert refused.status_code == 429
        assert refused.headers["content-type"].startswith("text/html")
        assert "Too many pages in a short time: wait a minute." in refused.text
        assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_S
    assert (await api.query(token=OWN))["mastery_score"] > 0
