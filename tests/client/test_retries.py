"""Calls that fail on the way: sent again where that is safe, with one key, so often; counted at the engine."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mastery_client import (
    ApiError,
    AsyncMasteryClient,
    IngestInterrupted,
    MasteryClient,
    Retries,
    TimedOut,
    TooManyRequests,
    TransportError,
    Unauthenticated,
    Unavailable,
    UnreadableAnswer,
    calls,
)
from mastery_client.exchange import Send, Wait, exchange
from mastery_engine.domain.student import StudentKey
from tests.support.between import Between, Harm, refusal
from tests.support.calls import event
from tests.support.client import ADA, School
from tests.support.live import make_token

pytestmark = pytest.mark.xdist_group("client")

QUIZ = {"total_questions": 4, "correct_answers": 3}
QUICK = Retries(times=3, first=0.001)
Way = Callable[..., Any]


@pytest.fixture(scope="module")
def between(school: School) -> Iterator[Between]:
    opened = Between(school.url)
    listens = opened.listening()
    school.run(listens.__aenter__())
    yield opened
    school.run(listens.__aexit__(None, None, None))


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest, school: School, between: Between) -> Way:
    """Makes a call through what stands between, by one client or the other: both go by the same rules."""

    def made(call: Callable[[Any], Any], *harms: Harm, **options: Any) -> Any:
        between.does(harms)
        given = {"token": school.admin, "retries": QUICK, **options}
        url = given.pop("url", between.url)
        if request.param == "sync":
            with MasteryClient(url, **given) as engine:
                return call(engine)

        async def awaited() -> Any:
            async with AsyncMasteryClient(url, **given) as engine:
                return await call(engine)

        return school.run(awaited())

    made.name = request.param  # type: ignore[attr-defined]
    return made


def logged(school: School, student_id: str) -> int:
    """How many events of a student the engine has; a repeat has the id of the first."""
    records = school.run(school.api.logs.events.events_of(StudentKey("default", student_id))) or ()
    return len({record.event_id for record in records})


def student(way: Way, name: str) -> str:
    return f"{name}-{way.name}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "harms",
    [
        ["answer lost"],
        ["dropped", "answer lost", "answer lost"],
        [40, "answer lost"],
        [refusal(502), "answer lost", refusal(504)],
    ],
    ids=["lost", "dropped", "cut", "away"],
)
def test_an_event_whose_answer_was_lost_counts_once(
    way: Way, school: School, between: Between, harms: list[Harm]
) -> None:
    who = student(way, f"once-{len(str(harms))}")
    answer = {"item_id": "loops-1", "skills": ["loops"], "correct": True}
    receipt = way(lambda engine: engine.ingest("answer", who, answer), *harms)
    assert receipt.status == "queued"
    assert len(between.heads) == len(harms) + 1
    assert len(set(between.keys)) == 1
    assert between.keys[0]
    assert logged(school, who) == 1
    found = way(lambda engine: engine.wait_for_event(who, receipt.event_id))
    assert found.status == "processed"
    assert way(lambda engine: engine.skills(who)).skills[0].answers == 1


def test_each_call_has_a_key_of_its_own_or_the_one_that_is_given(way: Way, school: School, between: Between) -> None:
    who = student(way, "keys")
    keys = []
    for given in ({}, {}, {"idempotency_key": who}, {"idempotency_key": who}):
        way(lambda engine, given=given: engine.ingest("quiz", who, QUIZ, **given))
        keys += between.keys
    assert keys[2:] == [who, who]
    assert len(set(keys)) == 3
    assert logged(school, who) == 3


def test_a_call_that_reads_is_sent_again(way: Way, between: Between) -> None:
    assert way(lambda engine: engine.query(ADA), "dropped", "answer lost", 60).student_id == ADA
    assert len(between.heads) == 4
    assert between.keys == [None] * 4


def test_it_is_sent_so_often_and_no_more(way: Way, between: Between) -> None:
    with pytest.raises(TransportError) as caught:
        way(lambda engine: engine.query(ADA), *["dropped"] * 9)
    assert len(between.heads) == caught.value.attempts == 4
    assert (caught.value.code, caught.value.status, caught.value.request_id) == ("TRANSPORT_ERROR", None, None)
    assert "after 4 attempts" in str(caught.value)
    with pytest.raises(TransportError):
        way(lambda engine: engine.query(ADA), *["dropped"] * 9, retries=0)
    assert len(between.heads) == 1


@pytest.mark.parametrize("harm", ["answer lost", refusal(503, "Retry-After: 0")], ids=["lost", "503"])
def test_what_may_not_be_repeated_is_not(way: Way, between: Between, harm: Harm) -> None:
    who = student(way, "nobody")
    for call in (
        lambda engine: engine.erase(who),
        lambda engine: engine.delete_webhook("none"),
        lambda engine: engine.resend_delivery("none", "none"),
    ):
        with pytest.raises((TransportError, Unavailable)):
            way(call, harm, harm)
        assert len(between.heads) == 1


def test_what_never_left_is_sent_again_whatever_it_is() -> None:
    """Nothing listens there: no call can have taken effect."""
    with MasteryClient("http://127.0.0.1:9", retries=QUICK) as engine, pytest.raises(TransportError) as caught:
        engine.erase("nobody")
    assert caught.value.attempts == 4


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 501])
def test_what_would_fail_again_is_not_sent_again(way: Way, between: Between, status: int) -> None:
    with pytest.raises(ApiError) as caught:
        way(lambda engine: engine.query(ADA), refusal(status))
    assert (caught.value.status, caught.value.code) == (status, f"HTTP_{status}")
    assert len(between.heads) == 1


def test_it_waits_as_long_as_it_is_asked_to(way: Way, between: Between) -> None:
    start = time.monotonic()
    assert way(lambda engine: engine.query(ADA), refusal(503, "Retry-After: 1")).student_id == ADA
    assert time.monotonic() - start >= 1.0
    start = time.monotonic()
    with pytest.raises(TooManyRequests) as caught:
        way(lambda engine: engine.query(ADA), refusal(429, "Retry-After: 40"))
    assert time.monotonic() - start < 5
    assert caught.value.retry_after == 40
    assert len(between.heads) == 1


def test_a_limit_of_the_engines_own_is_waited_for_where_it_is_short(way: Way, between: Between) -> None:
    when = {"Date": "Sun, 06 Nov 2026 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 2026 08:49:37 GMT"}
    limit = refusal(429, *(f"{name}: {value}" for name, value in when.items()))
    assert way(lambda engine: engine.set_consent("keys", profiling=True), limit, limit).profiling
    assert len(set(between.keys)) == 1


def test_who_does_not_answer_in_time_is_waited_for_no_longer(way: Way, between: Between) -> None:
    with pytest.raises(TimedOut) as caught:
        way(lambda engine: engine.query(ADA), "silent", "silent", timeout=0.1, retries=Retries(times=1, first=0.001))
    assert caught.value.attempts == len(between.heads) == 2


def test_what_a_proxy_says_is_an_error_in_words(way: Way) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 answered 502"):
        way(lambda engine: engine.query(ADA), *[refusal(502)] * 9)
    with pytest.raises(ApiError, match="answered 302 .*login"):
        way(lambda engine: engine.query(ADA), refusal(302, "Location: /login"))
    with pytest.raises(UnreadableAnswer, match="query"):
        way(lambda engine: engine.query(ADA), refusal(200))
    with pytest.raises(UnreadableAnswer) as caught:
        way(lambda engine: engine.query(ADA), refusal(200, "X-Request-Id: r-1", body=b'{"data": {"student_id": 7}}'))
    assert (caught.value.status, caught.value.request_id) == (200, "r-1")


@pytest.mark.parametrize("url", ["", "localhost:8005", "ftp://x", "http://", "http://[::"])
def test_an_address_that_is_none_says_so_at_once(url: str) -> None:
    for client in (MasteryClient, AsyncMasteryClient):
        with pytest.raises(TransportError, match="is no address"):
            client(url)


def test_a_token_that_ended_is_had_anew_once(way: Way, between: Between, school: School) -> None:
    ended, given = make_token(lives_s=-60), []

    def token() -> str:
        given.append(1)
        return ended if len(given) == 1 else school.admin

    async def awaited() -> str:
        await asyncio.sleep(0)
        return token()

    gives = awaited if way.name == "async" else token  # type: ignore[attr-defined]
    assert way(lambda engine: engine.query(ADA), token=gives).student_id == ADA
    assert len(given) == len(between.heads) == 2
    with pytest.raises(Unauthenticated):
        way(lambda engine: engine.query(ADA), token=lambda: given.append(1) or ended)
    assert len(given) == 4
    with pytest.raises(Unauthenticated):
        way(lambda engine: engine.query(ADA), token=ended)
    assert len(between.heads) == 1


def test_of_many_events_each_is_taken_or_named_and_none_is_lost(way: Way, school: School) -> None:
    who = student(way, "many")
    events: list[Any] = [event("answer", student_id=who, item_id=f"i-{number}") for number in range(1_205)]
    events[7]["data"]["score"] = 3
    events[1_100] = {"event_type": "dance", "student_id": who, "data": {}}
    for one in events[:3]:
        del one["event_id"]
    answer = way(lambda engine: engine.ingest_all(iter(events)), "answer lost", "none", "dropped")
    assert (answer.accepted, answer.refused, len(answer.results)) == (1_203, 2, 1_205)
    assert [place for place, one in enumerate(answer.results) if one.status == "refused"] == [7, 1_100]
    assert "score" in answer.results[7].error.message
    assert logged(school, who) == 1_203


def test_a_list_that_breaks_off_says_what_is_left_and_may_be_sent_again(way: Way, school: School) -> None:
    who = student(way, "broken")
    events = [event("answer", student_id=who, item_id=f"i-{number}") for number in range(1_010)]
    for one in events:
        del one["event_id"]
    with pytest.raises(IngestInterrupted, match="1000 events were sent, 10 were not") as caught:
        way(lambda engine: engine.ingest_all(events), "none", *["answer lost"] * 4)
    assert caught.value.answered.accepted == 1_000
    assert isinstance(caught.value.__cause__, TransportError)
    assert logged(school, who) == 1_010
    again = way(lambda engine: engine.ingest_all(caught.value.remaining))
    assert again.accepted == 10
    receipt = again.results[-1]
    assert way(lambda engine: engine.wait_for_event(who, receipt.event_id)).status == "processed"
    assert way(lambda engine: engine.skills(who)).skills[0].answers == 1_010


def test_a_stream_that_breaks_is_opened_again_and_tells_nothing_twice(school: School, between: Between) -> None:
    who = "watched"
    school.run(school.api.learn(event("quiz", student_id=who, correct_answers=1)))
    between.does([2_000, "dropped", refusal(503, "Retry-After: 0")])
    with MasteryClient(between.url, token=school.admin, retries=QUICK) as engine:
        changes = engine.stream(who)
        first = next(changes)
        school.run(school.api.learn(event("quiz", student_id=who, correct_answers=9)))
        second = next(changes)
        assert first.last_updated < second.last_updated
        assert len(between.heads) >= 2
        changes.close()
    between.does(["dropped"] * 9)
    with MasteryClient(between.url, token=school.admin, retries=QUICK) as engine, pytest.raises(TransportError):
        next(engine.stream(who))


def test_pauses_grow_by_chance_and_end() -> None:
    retries = Retries(times=9, first=1.0, longest=5.0)
    for attempt, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (9, 5.0)):
        drawn = [retries.pause(attempt, None) for _ in range(50)]
        assert most / 2 <= min(drawn) < max(drawn) <= most
    assert retries.pause(1, 3.0) == 3.0


def test_the_rules_need_no_network() -> None:
    sent = calls.QUERY.request(body={"student_id": "ada"})
    request = httpx.Request("POST", "http://engine/mastery/query")
    steps = exchange(sent, Retries(times=1, first=0.5), refreshes=False)
    assert next(steps) == Send()
    pause = steps.send(httpx.ReadError("", request=request))
    assert isinstance(pause, Wait)
    assert 0.25 <= pause.seconds <= 0.5
    assert next(steps) == Send()
    with pytest.raises(StopIteration) as done:
        steps.send(httpx.Response(200, request=request))
    assert done.value.value.status_code == 200
