"""Kafka and Redis under the engine, as other clients of Kafka see it: what goes in, what comes out."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.commands import command, query, quiz, raw
from tests.support.fleet import DEAD, EVENTS, REQUESTS, RESULTS, Fleet, Foreign, Json, bare_fleet, headers
from tests.support.live import Live, make_token

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(240)]

NOW = datetime.now(UTC).isoformat()


@pytest.fixture(scope="module")
def fleet(kafka: Kafka, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = bare_fleet(kafka, redis_server, tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.close()


@pytest.fixture(scope="module")
def api(fleet: Fleet) -> Live:
    fleet.worker()
    return fleet.api()


@pytest.fixture
def foreign(fleet: Fleet, api: Live) -> Foreign:
    return Foreign(fleet.kafka)


def of_student(fleet: Fleet, topic: str, student_id: str) -> list[Json]:
    return [json.loads(one.value() or b"") for one in fleet.records(topic) if one.key() == student_id.encode()]


async def test_a_record_needs_neither_id_nor_key(fleet: Fleet, foreign: Foreign, api: Live) -> None:
    bare, by_header, by_ce = quiz(), quiz(), quiz()
    foreign.put(raw(bare, "event_id"))
    for _ in range(2):
        foreign.put(raw(by_header, "event_id"), headers={"event_id": "h-1", "ce_id": "not-this"})
        foreign.put(raw(by_ce, "event_id"), headers={"ce_id": "c-1", "ce_specversion": "1.0", "ce_type": "quiz"})
    foreign.flush()
    fleet.wait_until_worked()
    await fleet.check()
    for one, causes in ((by_header, ["h-1"]), (by_ce, ["c-1"])):
        assert query(api, one["student_id"])["components"]["quiz"] == 0.75
        (update,) = of_student(fleet, RESULTS, one["student_id"])
        assert update["caused_by"] == causes
    (update,) = of_student(fleet, RESULTS, bare["student_id"])
    with api.client() as client:
        path = f"/students/{bare['student_id']}/events/{update['caused_by'][0]}"
        assert client.get(path).json()["data"]["status"] == "processed"


async def test_cloud_events_in_both_modes_and_tenants(fleet: Fleet, foreign: Foreign, api: Live) -> None:
    inside, binary, elsewhere = quiz(), quiz(), quiz()
    outside = {"specversion": "1.0", "id": "ce-7", "source": "/x", "type": "quiz", "data": json.loads(raw(inside))}
    del outside["data"]["event_id"]
    foreign.put(json.dumps(outside).encode(), headers={"content-type": "application/cloudevents+json"})
    foreign.put(raw(binary), headers={"ce_id": "other/id that is not used", "ce_type": "quiz"})
    foreign.put(raw(elsewhere), headers={"tenant": "school-9"})
    foreign.flush()
    fleet.wait_until_worked()
    await fleet.check()
    assert of_student(fleet, RESULTS, inside["student_id"])[0]["caused_by"] == ["ce-7"]
    assert of_student(fleet, RESULTS, binary["student_id"])[0]["caused_by"] == [binary["event_id"]]
    assert query(api, elsewhere["student_id"], "school-9")["components"]["quiz"] == 0.75
    with api.client() as client:
        assert client.post("/mastery/query", json={"student_id": elsewhere["student_id"]}).status_code == 404


POISON: dict[str, tuple[bytes | None, dict[str, str | bytes]]] = {
    "null": (None, {}),
    "empty": (b"", {}),
    "junk": (b"\x00\xff\xfe junk", {"trace": b"\xff\xfe\x00", "ce_id": b"\xff"}),
    "no object": (b"[1, 2]", {}),
    "deep": (b"[" * 5_000, {}),
    "no such type": (raw(quiz(event_type="essay")), {}),
    "tenant": (raw(quiz()), {"tenant": "No Such School!"}),
    "tenant bytes": (raw(quiz()), {"tenant": b"\xff\xfe"}),
    "header id": (raw(quiz(), "event_id"), {"event_id": "not an id"}),
    "future": (raw(quiz(timestamp="2199-01-01T00:00:00Z")), {}),
    "old": (raw(quiz(timestamp="2001-01-01T00:00:00Z")), {}),
    "number": (raw(quiz(data={"total_questions": "4", "correct_answers": True})), {}),
    "surrogate": (raw(quiz(source="x")).replace(b'"x"', b'"\\ud800"'), {}),
    "large": (b"x" * 1_000_000, {}),
    "cloud event of nothing": (b'{"specversion": "1.0", "id": "x/ y", "data": 7}', {}),
}


async def test_poison_goes_to_the_dead_letters_as_it_came(fleet: Fleet, foreign: Foreign, api: Live) -> None:
    large = Foreign(fleet.kafka, **{"message.max.bytes": 2_000_000})
    before = len(fleet.records(DEAD))
    for name, (value, more) in POISON.items():
        (large if name == "large" else foreign).put(value, key=name.encode(), headers=more)
    large.put(b"y" * 1_048_400, key=b"largest")
    sound = quiz()
    foreign.put(raw(sound))
    foreign.flush()
    large.flush()
    fleet.wait_until_worked()
    letters = {(one.key() or b"").decode(): one for one in fleet.records(DEAD)[before:] if one.key()}
    assert letters.keys() >= POISON.keys() | {"largest"}
    for name, (value, more) in POISON.items():
        found: dict[str, bytes] = dict(letters[name].headers() or ())  # type: ignore[arg-type]
        assert letters[name].value() == value, name
        assert {key for key in found if not key.startswith("dlq.")} == more.keys(), name
        for key, sent in more.items():
            assert found[key] == (sent.encode() if isinstance(sent, str) else sent), name
        assert (found["dlq.topic"], found["dlq.attempts"]) == (REQUESTS.encode(), b"1")
        assert found["dlq.code"] == b"VALIDATION_ERROR"
        assert datetime.fromisoformat(found["dlq.at"].decode())
        assert found["dlq.message"]
    assert query(api, sound["student_id"])["components"]["quiz"] == 0.75
    for name in ("future", "no such type"):
        refused = json.loads(POISON[name][0] or b"")
        with api.client() as client:
            answer = client.get(f"/students/{refused['student_id']}/events/{refused['event_id']}").json()["data"]
        assert answer["status"] == "dead_lettered"
        assert answer["reason"]["message"] == headers(letters[name])["dlq.message"]


async def test_dead_letters_are_listed_shown_and_put_back_once(fleet: Fleet, foreign: Foreign, api: Live) -> None:
    withheld = quiz()
    wrapped = {"specversion": "1.0", "id": "ce-dead", "data": quiz(event_type="essay")}
    foreign.put(raw(withheld, "event_id"), headers={"tenant": "Bad!", "x": "y"}, key=b"k")
    foreign.put(json.dumps(wrapped).encode())
    foreign.flush()
    fleet.wait_until_worked()
    listed = command(fleet, "dlq", "list", "--limit", "10000")
    (letter,) = [one for one in listed if one["student_id"] == withheld["student_id"]]
    (inside,) = [one for one in listed if one["student_id"] == wrapped["data"]["student_id"]]
    assert (letter["tenant"], letter["key"], letter["headers"]) == ("Bad!", "k", {"tenant": "Bad!", "x": "y"})
    assert inside["event_id"] == wrapped["data"]["event_id"]
    shown = command(fleet, "dlq", "show", str(letter["id"]))
    assert json.loads(shown["value"]) == json.loads(raw(withheld, "event_id"))
    number = len(fleet.records(REQUESTS))
    done = command(fleet, "dlq", "redrive", str(letter["id"]), fails=True)
    assert (done["redriven"], done["failed_again"]) == ([letter["id"]], 1)
    again = command(fleet, "dlq", "redrive", str(letter["id"]))
    assert (again["redriven"], again["skipped"]) == ([], [letter["id"]])
    assert len(fleet.records(REQUESTS)) == number + 1
    twice = [one for one in command(fleet, "dlq", "list", "--limit", "10000") if one["key"] == "k"]
    assert [one["event_id"] for one in twice] == [letter["event_id"]] * 2
    assert [bool(one["redriven"]) for one in twice] == [True, False] or twice[0]["partition"] != twice[1]["partition"]
    fleet.wait_until_worked()
    await fleet.check()


async def test_kcat_writes_and_reads(fleet: Fleet, api: Live) -> None:
    from scripts.servers.cache import Unavailable
    from scripts.servers.cache import command as program

    try:
        kcat = program("kcat", packages=["kcat"])
    except Unavailable as reason:
        pytest.skip(f"no kcat: {reason}")
    one = quiz(data={"total_questions": 10, "correct_answers": 10})
    base = [str(kcat), "-b", fleet.kafka.bootstrap]
    subprocess.run([*base, "-P", "-t", REQUESTS], input=raw(one, "event_id"), check=True, timeout=30)
    odd = [*base, "-P", "-t", REQUESTS, "-H", b"na\xffme=value", "-k", "odd"]
    subprocess.run(odd, input=raw(quiz()), check=True, timeout=30)
    fleet.wait_until_worked()
    read = subprocess.run(
        [*base, "-C", "-t", RESULTS, "-e", "-q", "-f", "%k %s\\n"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    (line,) = [line for line in read.stdout.splitlines() if line.startswith(one["student_id"])]
    said = json.loads(line.partition(" ")[2])
    current = query(api, one["student_id"])
    assert (said["mastery_score"], said["components"]) == (current["mastery_score"], current["components"])


async def test_levels_that_change_are_told(fleet: Fleet, foreign: Foreign, api: Live) -> None:
    one = quiz()
    given = {"components": dict.fromkeys(("completion", "quiz", "quality", "consistency"), 0.95)}
    foreign.put(raw({**one, "event_type": "mastery.calculation.requested", "data": given}))
    foreign.flush()
    fleet.wait_until_worked()
    (told,) = [
        said
        for said in of_student(fleet, EVENTS, one["student_id"])
        if said["event_type"] == "mastery.threshold.reached"
    ]
    assert (told["event_type"], told["level"], told["previous_level"]) == (
        "mastery.threshold.reached",
        "expert",
        "beginner",
    )


async def test_what_is_written_over_http_is_on_kafka_and_answers_within_a_second(fleet: Fleet, api: Live) -> None:
    other = fleet.api()
    one = quiz()
    with api.client() as first, other.client() as second:
        for _ in range(2):
            assert first.post("/mastery/ingest", json=one).status_code == 202
        fleet.wait_until_worked(2)
        path = f"/students/{one['student_id']}/events/{one['event_id']}"
        assert second.get(path).json()["data"]["status"] == "processed"
        body = {"student_id": one["student_id"], "components": {"quality": 0.5}}
        assert first.post("/mastery/calculate", json=body).status_code == 200
        found = second.post("/mastery/query", json={"student_id": one["student_id"]}).json()["data"]
        assert found["current_mastery"]["components"]["quality"] == 0.5
    fleet.wait_until_worked()
    await fleet.check()


async def test_a_call_with_one_idempotency_key_counts_once_whichever_replica_it_reaches(
    fleet: Fleet, api: Live
) -> None:
    other, one, key = fleet.api(), quiz(), {"Idempotency-Key": str(uuid4())}
    bare = json.loads(raw(one, "event_id"))
    rows = {"events": [bare, {**bare, "data": {"total_questions": 4, "correct_answers": 0}}]}
    given = {"student_id": one["student_id"], "components": {"quality": 0.5}}
    with api.client() as first, other.client() as second:
        ids: dict[str, set[str]] = {"/mastery/ingest": set(), "/mastery/ingest/batch": set()}
        for client in (first, second, first):
            ids["/mastery/ingest"].add(
                client.post("/mastery/ingest", json=bare, headers=key).json()["data"]["event_id"]
            )
            receipts = client.post("/mastery/ingest/batch", json=rows, headers=key).json()["data"]["results"]
            ids["/mastery/ingest/batch"] |= {receipt["event_id"] for receipt in receipts}
            assert client.post("/mastery/calculate", json=given, headers=key).status_code == 200
        assert {call: len(found) for call, found in ids.items()} == {"/mastery/ingest": 1, "/mastery/ingest/batch": 2}
        different = {**given, "components": {"quality": 0.6}}
        assert second.post("/mastery/calculate", json=different, headers=key).status_code == 409
        for path, body in (("/mastery/ingest", rows["events"][1]), ("/mastery/ingest/batch", {"events": [bare]})):
            assert second.post(path, json=body, headers=key).status_code == 409
    fleet.wait_until_worked()
    assert query(api, one["student_id"])["components"] == {
        "completion": 0.0, "quiz": 0.5, "quality": 0.5, "consistency": pytest.approx(1.0, abs=1.0)
    }  # fmt: skip
    caused = [cause for said in of_student(fleet, RESULTS, one["student_id"]) for cause in said["caused_by"]]
    assert len(caused) == len(set(caused)) == 4
    await fleet.check()


def trace(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


async def test_a_result_belongs_to_the_trace_of_the_last_event_that_caused_it(
    fleet: Fleet, foreign: Foreign, api: Live
) -> None:
    first, second, by_http, bad = quiz(), quiz(), quiz(), quiz()
    for number, one in enumerate((first, {**first, "event_id": str(uuid4())}), 1):
        foreign.put(raw(one), key=b"one-batch", headers={"traceparent": trace(number)})
    foreign.put(raw(second), headers={"ce_traceparent": trace(3), "ce_id": "x", "ce_specversion": "1.0"})
    foreign.put(raw(bad), headers={"traceparent": "00-nothing-01"})
    foreign.flush()
    given = {"student_id": by_http["student_id"], "components": {"quality": 0.95, "quiz": 0.95, "completion": 0.95}}
    with api.client() as client:
        assert client.post("/mastery/calculate", json=given, headers={"traceparent": trace(4)}).status_code == 200
        assert client.post("/mastery/ingest", json=bad, headers={"traceparent": "no"}).status_code == 202
    fleet.wait_until_worked()
    records = [*fleet.records(RESULTS), *fleet.records(EVENTS)]

    def traces(student_id: str) -> list[str | None]:
        return [headers(one).get("traceparent") for one in records if one.key() == student_id.encode()]

    assert traces(first["student_id"])[-1] == trace(2)
    assert set(traces(second["student_id"])) == {trace(3)}
    assert set(traces(by_http["student_id"])) == {trace(4)}  # the update, the level that was reached, the path
    assert set(traces(bad["student_id"])) == {None}
    (asked,) = [one for one in fleet.records(REQUESTS) if one.key() == by_http["student_id"].encode()]
    assert headers(asked)["traceparent"] == trace(4)


async def test_the_operators_page_has_the_last_hour_of_both_processes(
    fleet: Fleet, foreign: Foreign, api: Live
) -> None:
    foreign.put(raw(quiz()))
    foreign.put(raw(quiz(event_type="essay")))
    foreign.flush()
    fleet.wait_until_worked()
    who = {"Cookie": f"mastery_session={make_token()}"}
    with api.client() as client:

        def told() -> Json:
            hour: Json = client.get("/dashboard/figures", headers=who).json()
            return hour

        async with asyncio.timeout(45):  # a process tells every 15 seconds
            hour = told()
            while not any(one["works"] for one in hour["replicas"]) or not _sum(hour, "dead_letters"):
                await asyncio.sleep(0.5)
                hour = told()
        roles = {(one["serves"], one["works"]) for one in hour["replicas"] if not one["stopped"]}
        assert {(True, False), (False, True)} <= roles
        assert _sum(hour, "events") > 0, "folded by the worker, shown by the API"
        assert _sum(hour, "calls") > 0
        assert any("events" in one["lag"] for one in hour["minutes"])
        page = client.get("/dashboard", headers=who).text
        (code,) = set(re.findall(r'name="code" value="(VALIDATION_ERROR)"', page))
        question = client.get(f"/dashboard/dead-letters/redrive?code={code}", headers=who).text
        fields = dict(re.findall(r'<input type="hidden" name="(code|until)" value="(\w+)">', question))
        outcome = client.post("/dashboard/dead-letters/redrive", data=fields, headers=who, follow_redirects=True).text
        async with asyncio.timeout(20):
            while not (found := re.search(r'data-redriven="(\d+)" data-failed="(\d+)" data-under-way="0"', outcome)):
                await asyncio.sleep(0.2)
                place = re.search(r'name="back" value="([^"]+)"', outcome)
                assert place is not None
                outcome = client.get(place[1], headers=who).text
        assert found[1] == found[2] != "0", "all that waited are none that can be read"
    await fleet.check()


def _sum(hour: Json, name: str) -> float:
    return sum(one[name] or 0 for one in hour["minutes"])
