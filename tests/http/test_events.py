"""Learning events over HTTP: one and many, what is refused and why, repeats, and what became of them."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mastery_engine.domain.events import envelope
from mastery_engine.domain.events.kinds import ALIASES, KINDS
from mastery_engine.services import folding
from tests.support.calls import STUDENT, Api, Json, event, serving
from tests.support.live import make_token


async def refused(api: Api, content: bytes | Json) -> Json:
    """The error of an event that must be refused, the same from both doors."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    one = await api.post("/mastery/ingest", content=body)
    assert one.status_code == 400, one.text
    error: Json = one.json()["error"]
    many = await api.post("/mastery/ingest/batch", content=b'{"events":[' + body + b"]}")
    if many.status_code == 202:
        (receipt,) = many.json()["data"]["results"]
        assert receipt["status"] == "refused"
        assert receipt["error"]["message"] == error["message"]
    else:
        assert many.status_code == 400, "what spoils the whole body is refused with it"
    assert (await api.post("/mastery/query", {"student_id": STUDENT})).status_code == 404, "nothing was kept"
    return error


async def test_an_event_is_queued_and_then_processed(api: Api) -> None:
    sent = event()
    answer = await api.post("/mastery/ingest", sent)
    assert answer.status_code == 202
    assert answer.json()["data"] == {"event_id": sent["event_id"], "status": "queued"}
    await api.processed(sent["event_id"])
    assert (await api.query())["components"]["completion"] == 0.8


async def test_a_corrected_mark_counts_in_the_place_of_the_mark_and_is_told_as_such(api: Api) -> None:
    """Platforms' own ids, in either spelling; the mark itself comes again at last, and changes nothing."""
    mark = event("quiz", days_ago=1, correct_answers=2.5, topic="loops", attempt_id="block-v1:edX+DemoX+2026/größe")
    correction = event("quiz", correct_answers=8, topic="loops", attempt_id=" block-v1:edX+DemoX+2026/gro\u0308\u00dfe")
    questions = [event("answer", item_id=f"i{n}", correct=False, part_of="block-v1:edX+DemoX+2026/größe") for n in "ab"]
    await api.learn(mark, *questions)
    assert (await api.query())["components"]["quiz"] == 0.25
    await api.learn(correction)
    await api.learn(mark)
    assert (await api.query())["components"]["quiz"] == 0.8
    changed = await api.data("/analytics/changes", {"student_id": STUDENT})
    told = {one["message"]: one["kind"] for part in changed["contributions"] for one in part["causes"]}
    assert told.pop("A mark on loops corrected to 80%") == "regrade"
    assert told.keys() == {"A quiz on loops with 25%", "Active on 2 days"}


async def test_an_acknowledged_event_is_in_the_log(api: Api) -> None:
    before = await api.logs.events.ends()
    await api.post("/mastery/ingest", event())
    assert await api.logs.events.ends() == {0: before[0] + 1}


@pytest.mark.parametrize("kind", [*KINDS, *ALIASES])
async def test_every_kind_is_taken_by_all_its_names(api: Api, kind: str) -> None:
    name = ALIASES.get(kind, kind)
    await api.learn({**event(name), "event_type": kind})
    found = (await api.query())["components"]
    touched = {
        "completion": "completion",
        "quiz": "quiz",
        "answer": "quiz",
        "quality": "quality",
        "consistency": "consistency",
        "execution": "consistency",
        "help": "consistency",
        "mastery.calculation.requested": "quiz",
    }
    if name in touched:
        assert found[touched[name]] > 0
    else:
        assert set(found.values()) == {0.0}


async def test_an_id_is_minted_where_there_is_none(api: Api) -> None:
    sent = event()
    del sent["event_id"]
    first, second = [(await api.data("/mastery/ingest", sent))["event_id"] for _ in range(2)]
    assert first != second
    await api.processed(first)


async def test_many_are_accepted_or_refused_each_on_its_own(api: Api) -> None:
    good, other = event(), event("quiz", student_id="student_2")
    rows = [good, event(completed_exercises=11), 17, other, {**event(), "event_type": "nap"}, good]
    data = await api.data("/mastery/ingest/batch", {"events": rows})
    assert (data["accepted"], data["refused"]) == (3, 3)
    statuses = [receipt["status"] for receipt in data["results"]]
    assert statuses == ["queued", "refused", "refused", "queued", "refused", "queued"]
    assert [data["results"][place]["event_id"] for place in (0, 1, 3)] == [
        good["event_id"],
        rows[1]["event_id"],  # type: ignore[index]
        other["event_id"],
    ]
    assert data["results"][2]["event_id"] is None
    assert data["results"][1]["error"]["field"] == "data.completed_exercises"
    assert "nap" in data["results"][4]["error"]["message"]
    await api.processed(other["event_id"], "student_2")


@pytest.mark.parametrize("count", [1, 1_000])
async def test_a_call_takes_1_to_1000_events(api: Api, count: int) -> None:
    data = await api.data(
        "/mastery/ingest/batch", {"events": [{**event(), "event_id": f"e-{n}"} for n in range(count)]}
    )
    assert data["accepted"] == count


@pytest.mark.parametrize(
    "body",
    [{"events": []}, {"events": [{}] * 1_001}, {}, {"events": {}}, {"events": [{}], "more": 1}, [], {"event": [{}]}],
)
async def test_no_events_or_too_many_are_400(api: Api, body: Any) -> None:
    assert (await api.post("/mastery/ingest/batch", body)).status_code == 400


async def test_fields_of_the_envelope_that_are_unknown_are_ignored_and_named(api: Api) -> None:
    sent = {**event(), "version": 2, "trace": {"id": [1]}, "schülerin": None}
    data = await api.data("/mastery/ingest", sent)
    assert data["status"] == "queued"
    assert data["ignored"] == ["version", "trace", "schülerin"]
    (receipt,) = (await api.data("/mastery/ingest/batch", {"events": [sent]}))["results"]
    assert receipt["ignored"] == data["ignored"]


@pytest.fixture
async def decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Api, Counter[str]]]:
    """A service without a worker, which would read the events again, and how often each decoder has run."""
    counts: Counter[str] = Counter()

    def counted(name: str, decode: Callable[..., Any]) -> Callable[..., Any]:
        def run(*values: Any, **named: Any) -> Any:
            counts[name] += 1
            return decode(*values, **named)

        return run

    for name in ("_quick", "_closed", "_envelope", "_keys", "_scalar"):
        monkeypatch.setattr(envelope, name, counted(name, getattr(envelope, name)))
    monkeypatch.setattr(envelope.read_quickly, "__defaults__", (envelope._quick,))
    monkeypatch.setattr(msgspec.json, "decode", counted("msgspec.json.decode", msgspec.json.decode))
    kinds = {kind: counted("data", decode) for kind, decode in envelope._data_decoders.items()}
    monkeypatch.setattr(envelope, "_data_decoders", kinds)
    async with serving(tmp_path, worker_enabled=False) as api:
        counts.clear()
        yield api, counts


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_is_decoded_once(decodes: tuple[Api, Counter[str]], kind: str) -> None:
    """In one pass, which sees fields that are not known too."""
    api, counts = decodes
    await api.data("/mastery/ingest", event(kind))
    assert counts == {"_closed": 1}


async def test_each_of_many_events_is_decoded_once(decodes: tuple[Api, Counter[str]]) -> None:
    """Once as a row, which is left as it came, and once as an event."""
    api, counts = decodes
    await api.data("/mastery/ingest/batch", {"events": [event(), event("quiz"), event("answer")]})
    assert counts == {"msgspec.json.decode": 1, "_closed": 3}


async def test_an_event_in_a_process_is_decoded_once(decodes: tuple[Api, Counter[str]]) -> None:
    api, counts = decodes
    assert (await api.post("/process", {"intent": "ingest", "payload": event()})).status_code == 202
    assert counts == {"msgspec.json.decode": 1, "_closed": 1}


async def test_an_unknown_field_costs_a_second_look_and_is_named(decodes: tuple[Api, Counter[str]]) -> None:
    api, counts = decodes
    data = await api.data("/mastery/ingest", {**event(), "mood": "good"})
    assert data["ignored"] == ["mood"]
    assert counts == {"_closed": 1, "_quick": 1, "_keys": 1}


async def test_a_field_of_data_that_is_unknown_refuses_the_event(api: Api) -> None:
    error = await refused(api, event(completed_excercises=8))
    assert error["details"]["field"] == "data.completed_excercises"
    assert "completed_excercises" in error["message"]


IMPOSSIBLE: dict[str, tuple[str, Any]] = {
    "unknown kind": ("event_type", {"event_type": "nap"}),
    "kind of another type": ("event_type", {"event_type": 1}),
    "student id with a space": ("student_id", {"student_id": "a b"}),
    "student id with a line break": ("student_id", {"student_id": "a\n"}),
    "student id too long": ("student_id", {"student_id": "a" * 51}),
    "empty event id": ("event_id", {"event_id": ""}),
    "event id with a slash": ("event_id", {"event_id": "a/b"}),
    "event id too long": ("event_id", {"event_id": "a" * 101}),
    "event id is a number": ("event_id", {"event_id": 7}),
    "data is a list": ("data", {"data": []}),
    "data is null": ("data", {"data": None}),
    "data is empty": ("data.total_exercises", {"data": {}}),
    "metadata is a list": ("metadata", {"metadata": []}),
    "metadata too large": ("metadata", {"metadata": {f"k{n}": n for n in range(22)}}),
    "metadata too long": ("metadata.note", {"metadata": {"note": "x" * 201}}),
    "no date": ("timestamp", {"timestamp": "2026-02-30T10:00:00Z"}),
    "no time": ("timestamp", {"timestamp": "2026-01-14"}),
    "no offset": ("timestamp", {"timestamp": "2026-01-14T10:30:00"}),
    "hour 25": ("timestamp", {"timestamp": "2026-01-14T25:00:00Z"}),
    "yesterday": ("timestamp", {"timestamp": "yesterday"}),
    "time is true": ("timestamp", {"timestamp": True}),
    "time is a fraction": ("timestamp", {"timestamp": 1768386600000.5}),
    "time is a text of a number": ("timestamp", {"timestamp": "1768386600000"}),
    "time before 1970": ("timestamp", {"timestamp": -1}),
    "time after 9999": ("timestamp", {"timestamp": 10**18}),
    "time beyond all": ("timestamp", {"timestamp": 10**40}),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
async def test_an_impossible_envelope_is_refused_and_the_field_is_named(api: Api, what: str) -> None:
    field, change = IMPOSSIBLE[what]
    assert (await refused(api, {**event(), **change}))["details"]["field"] == field


@pytest.mark.parametrize("missing", ["event_type", "student_id", "data"])
async def test_a_missing_field_is_named(api: Api, missing: str) -> None:
    sent = event()
    del sent[missing]
    assert (await refused(api, sent))["details"]["field"] == missing


WRONG_DATA: list[tuple[str, Json, str]] = [
    ("completion", {"total_exercises": 0}, "total_exercises"),
    ("completion", {"total_exercises": 100_001}, "total_exercises"),
    ("completion", {"completed_exercises": -1}, "completed_exercises"),
    ("completion", {"completed_exercises": 11}, "completed_exercises"),
    ("completion", {"completed_exercises": "8"}, "completed_exercises"),
    ("completion", {"completed_exercises": True}, "completed_exercises"),
    ("completion", {"completed_exercises": 7.5}, "completed_exercises"),
    ("completion", {"completed_exercises": 10**40}, "completed_exercises"),
    ("completion", {"difficulty": "hard"}, "difficulty"),
    ("completion", {"topic": "x" * 101}, "topic"),
    ("completion", {"topic": 3}, "topic"),
    ("completion", {"time_taken": -1}, "time_taken"),
    ("quiz", {"correct_answers": 11}, "correct_answers"),
    ("quiz", {"confidence_score": 1.1}, "confidence_score"),
    ("quiz", {"confidence_score": True}, "confidence_score"),
    ("quality", {"efficiency_score": -0.1}, "efficiency_score"),
    ("quality", {"efficiency_score": "0.5"}, "efficiency_score"),
    ("quality", {"efficiency_score": None}, "efficiency_score"),
    ("consistency", {"activity_dates": ["2026-02-30"]}, "activity_dates"),
    ("consistency", {"activity_dates": "2026-02-03"}, "activity_dates"),
    ("answer", {"correct": None}, "correct"),
    ("answer", {"score": 1.01}, "score"),
    ("answer", {"skills": [" "]}, "skills"),
    ("answer", {"skills": ["s"] * 9}, "skills"),
    ("answer", {"correct": 1}, "correct"),
    ("execution", {"outcome": "maybe"}, "outcome"),
    ("help", {"message": "x" * 1_001}, "message"),
    ("mastery.calculation.requested", {"components": {}}, "components"),
    ("mastery.calculation.requested", {"components": {"quiz": 2}}, "components.quiz"),
]


@pytest.mark.parametrize(("kind", "change", "field"), WRONG_DATA)
async def test_data_out_of_range_or_of_another_type_names_its_field(
    api: Api, kind: str, change: Json, field: str
) -> None:
    assert (await refused(api, event(kind, **change)))["details"]["field"].startswith(f"data.{field}")


def raw(value: bytes, place: str = "data") -> bytes:
    """An event with a value that no JSON library would write."""
    sent = event()
    (sent["data"] if place == "data" else sent)["time_taken" if place == "data" else "unknown"] = "HERE"
    return json.dumps(sent).encode().replace(b'"HERE"', value)


@pytest.mark.parametrize("place", ["data", "envelope"])
@pytest.mark.parametrize(
    "value",
    [b"NaN", b"Infinity", b"-Infinity", b'"\xff"', b'"\xed\xa0\x80"', b"{", b"01", b"'a'", b'"\n"', b"[" * 50_000],
    ids=["nan", "inf", "-inf", "not utf-8", "surrogate bytes", "brace", "leading zero", "quote", "raw break", "deep"],
)
async def test_what_is_not_json_is_refused(api: Api, value: bytes, place: str) -> None:
    await refused(api, raw(value, place))


@pytest.mark.parametrize("value", [b'"\\ud800"', b'"\\udc00\\ud800"'], ids=["half", "reversed"])
async def test_half_a_character_is_refused_in_data(api: Api, value: bytes) -> None:
    await refused(api, json.dumps(event(topic="HERE")).encode().replace(b'"HERE"', value))


@pytest.mark.parametrize("value", [b"1e999", b"123456789012345678901234567890", b"1.7976931348623157e308"])
async def test_numbers_beyond_all_measure_break_nothing(api: Api, value: bytes) -> None:
    for place in ("data", "envelope"):
        answer = await api.post("/mastery/ingest", content=raw(value, place))
        assert answer.status_code in (202, 400)
    sent = json.dumps({**event(), "metadata": {"n": "HERE"}}).encode().replace(b'"HERE"', value)
    assert (await api.post("/mastery/ingest", content=sent)).status_code in (202, 400)


async def test_a_tower_of_brackets_breaks_nothing(api: Api) -> None:
    for depth in (500, 2_000, 100_000):
        tower = b"[" * depth + b"]" * depth
        for body in (tower, b'{"events":[' + tower + b"]}", b'{"requests":[' + tower + b"]}", raw(tower, "envelope")):
            for path in ("/mastery/ingest", "/mastery/ingest/batch", "/batch/mastery", "/mastery/query"):
                assert (await api.post(path, content=body)).status_code in (200, 202, 400)


async def test_a_time_is_an_rfc_3339_text_or_whole_milliseconds(api: Api) -> None:
    now = datetime.now(UTC)
    local = (now - timedelta(days=1)).astimezone(tz=None)
    milliseconds = int((now - timedelta(days=2)).timestamp() * 1_000)
    for place, timestamp in enumerate([milliseconds, local.isoformat(), now.isoformat().replace("+00:00", "Z")]):
        await api.learn({**event(completed_exercises=place), "timestamp": timestamp})
    history = await api.data("/analytics/mastery-history", {"student_id": STUDENT})
    days = [(now - timedelta(days=back)).date().isoformat() for back in (2, 1, 0)]
    assert [point["date"] for point in history["history"]] == days


async def test_without_a_time_it_is_the_receipt(api: Api) -> None:
    sent = event()
    del sent["timestamp"]
    await api.learn(sent)
    history = await api.data("/analytics/mastery-history", {"student_id": STUDENT})
    assert [point["date"] for point in history["history"]] == [datetime.now(UTC).date().isoformat()]


async def test_an_event_from_the_future_is_refused(api: Api) -> None:
    ahead = event(days_ago=-6 / 1_440)
    error = await refused(api, ahead)
    assert error["details"]["field"] == "timestamp"
    assert "5 minutes" in error["message"]


async def test_an_event_from_before_the_retention_is_refused(api: Api) -> None:
    error = await refused(api, event(days_ago=90))
    assert error["details"]["field"] == "timestamp"
    assert "90 days" in error["message"]


async def test_times_at_the_edges_are_taken(api: Api) -> None:
    await api.learn(event(days_ago=-4 / 1_440), event("quiz", days_ago=89))


async def test_days_named_too_far_ahead_refuse_the_event(api: Api) -> None:
    today = datetime.now(UTC).date()
    late = event("consistency", activity_dates=[str(today), str(today + timedelta(days=2))])
    assert (await refused(api, late))["details"]["field"] == "data.activity_dates"


async def test_a_repeat_is_queued_and_counts_once(api: Api) -> None:
    first = event("quiz", correct_answers=2)
    await api.learn(first, event("quiz", correct_answers=8, total_questions=10))
    before = (await api.query())["components"]["quiz"]
    for _ in range(3):
        assert (await api.data("/mastery/ingest", first))["status"] == "queued"
    (again,) = (await api.data("/mastery/ingest/batch", {"events": [first]}))["results"]
    assert again == {"event_id": first["event_id"], "status": "queued"}
    await api.learn(event("help"))
    assert (await api.query())["components"]["quiz"] == before


async def test_an_id_that_comes_again_with_other_content_changes_nothing(api: Api) -> None:
    first = event("quiz", correct_answers=2)
    await api.learn(first)
    await api.learn({**first, "data": {"total_questions": 10, "correct_answers": 10}}, event("help"))
    assert (await api.query())["components"]["quiz"] == 0.2


async def test_an_idempotency_key_gives_the_same_ids_again_and_counts_once(api: Api) -> None:
    low, high = event("quiz", correct_answers=3), event("quiz", correct_answers=6)
    del low["event_id"], high["event_id"]
    key = {"Idempotency-Key": "exercise-42"}
    one = {(await api.data("/mastery/ingest", low, headers=key))["event_id"] for _ in range(3)}
    assert len(one) == 1
    key = {"Idempotency-Key": "exercises-43"}
    rows = {"events": [low, high]}
    many = [await api.data("/mastery/ingest/batch", rows, headers=key) for _ in range(3)]
    ids = [tuple(receipt["event_id"] for receipt in answer["results"]) for answer in many]
    assert len(set(ids)) == 1
    assert len({*one, *ids[0]}) == 3
    for event_id in {*one, *ids[0]}:
        await api.processed(event_id)
    assert (await api.query())["components"]["quiz"] == pytest.approx((0.3 + 0.3 + 0.6) / 3, abs=1e-3)


@pytest.mark.parametrize("other", ["key", "caller", "tenant"])
async def test_another_key_caller_or_tenant_gives_another_id(api: Api, other: str) -> None:
    sent = event()
    del sent["event_id"]
    first = await api.data("/mastery/ingest", sent, headers={"Idempotency-Key": "k"})
    token = make_token(
        subject="other" if other == "caller" else "somebody", tenant="two" if other == "tenant" else "default"
    )
    key = {"Idempotency-Key": "k2" if other == "key" else "k"}
    second = await api.data("/mastery/ingest", sent, token=token, headers=key)
    assert first["event_id"] != second["event_id"]


@pytest.mark.parametrize("key", ["", "k" * 201])
async def test_an_idempotency_key_has_a_length(api: Api, key: str) -> None:
    answer = await api.post("/mastery/ingest", event(), headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, "Idempotency-Key")


async def test_the_status_of_an_event_never_seen_is_not_processed(api: Api) -> None:
    assert await api.status("never-seen") == "not_processed"
    await api.learn(event())
    assert await api.status("never-seen") == "not_processed"


async def test_an_event_of_another_student_is_not_this_ones(api: Api) -> None:
    (event_id,) = await api.learn(event())
    assert await api.status(event_id, "student_2") == "not_processed"


async def test_an_event_that_cannot_be_folded_is_dead_lettered_with_its_reason(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(*_: Any, **__: Any) -> Any:
        raise ValueError("it is poison")

    monkeypatch.setattr(folding, "apply_all", poison)
    monkeypatch.setattr(folding, "apply", poison)
    sent = event()
    await api.data("/mastery/ingest", sent)
    async with asyncio.timeout(10):
        while await api.status(sent["event_id"]) != "dead_lettered":
            await asyncio.sleep(0.01)
    found = (await api.get(f"/students/{STUDENT}/events/{sent['event_id']}")).json()["data"]
    assert "poison" in found["reason"]["message"]


@pytest.mark.parametrize(
    "path", ["/students/a%20b/events/e", "/students/s/events/a%20b", f"/students/s/events/{'e' * 101}"]
)
async def test_an_id_in_a_path_has_a_form(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
