"""How often who may call, what the answers say of it, and what becomes of guesses at tokens."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from limits.aio.storage import MemoryStorage

from mastery_engine.auth.access import Caller
from mastery_engine.http.limits import BAD_TOKENS, PER_MINUTE, WINDOW_S, Limits, kind_of, neighbourhood
from mastery_engine.wiring import system_clock
from tests.support.calls import COMPONENTS, STUDENT, Api, event, serving
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


async def test_the_window_slides(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was called 60 s ago counts no more, and each call comes back by itself."""
    started = time.time()
    at = started
    monkeypatch.setattr("limits.aio.storage.memory.time.time", lambda: at)
    for second in range(50):
        at = started + second
        await api.post("/mastery/query", QUERY, token=OWN)
    at = started + 59
    assert (await api.post("/mastery/query", QUERY, token=OWN)).status_code == 429
    at = started + 61.5
    codes = [(await api.post("/mastery/query", QUERY, token=OWN)).status_code for _ in range(3)]
    assert codes == [404, 404, 429]


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
    limits = Limits(MemoryStorage(), system_clock)
    for _ in range(BAD_TOKENS):
        await limits.blame("192.0.2.1")
    await limits.blame("192.0.2.2")
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff") != neighbourhood("2001:db8:0:1::1")
    assert (neighbourhood("192.0.2.1"), neighbourhood("testclient")) == ("192.0.2.1", "testclient")


async def test_a_storage_that_hangs_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    now = system_clock()

    class Hanging(MemoryStorage):
        async def acquire_entry(self, *_: object, **__: object) -> bool:
            import asyncio

            await asyncio.sleep(60)
            return True

    limits = Limits(Hanging(), lambda: now)
    started = time.perf_counter()
    assert [await limits.take(Caller("ada", "student"), "/mastery/query") for _ in range(10)] == [None] * 10
    assert time.perf_counter() - started < 5
    assert len([one for one in caplog.records if "not limited" in one.getMessage()]) == 1


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/mastery/query", "query"),
        ("/mastery/calculate", "calculate"),
        ("/batch/mastery", "batch"),
        ("/batch/mastery/{batch_id}", None),
        ("/predictions/next-week", "predictions"),
        ("/recommendations/adaptive", "recommendations"),
        ("/analytics/compare", "analytics"),
        ("/mastery/ingest", None),
        ("/students/{student_id}/events/{event_id}", None),
    ],
)
def test_each_call_is_of_a_kind(path: str, kind: str | None) -> None:
    assert kind_of(path) == kind
