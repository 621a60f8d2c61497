"""Query and calculate, one student and many."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.services.batches import Batches
from tests.support.calls import COMPONENTS, STUDENT, Api, Json, event, serving
from tests.support.live import make_token


async def test_the_briefs_example_is_0_862_and_proficient(api: Api) -> None:
    body = {"student_id": STUDENT, "components": COMPONENTS}
    data = await api.data("/mastery/calculate", body)
    assert data.keys() == {"student_id", "current_mastery"}
    for current in (data["current_mastery"], await api.query()):
        assert (current["mastery_score"], current["level"]) == (0.862, "proficient")
        assert current["components"] == COMPONENTS
        assert current["coverage"] == 1.0
        assert current["breakdown"] == [
            {"component": "completion", "score": 0.85, "weight": 0.4, "contribution": 0.34},
            {"component": "quiz", "score": 0.9, "weight": 0.3, "contribution": 0.27},
            {"component": "quality", "score": 0.85, "weight": 0.2, "contribution": 0.17},
            {"component": "consistency", "score": 0.82, "weight": 0.1, "contribution": 0.082},
        ]
        assert all(advice["expected_gain"] >= 0 for advice in current["recommendations"])
        assert current["timestamp"].endswith("Z")


async def test_a_query_has_all_that_the_contract_names(api: Api) -> None:
    await api.learn(event())
    data = await api.data("/mastery/query", {"student_id": STUDENT})
    assert data.keys() == {
        "student_id",
        "current_mastery",
        "historical_average",
        "trend",
        "last_updated",
        "learning_path",
    }
    assert data["student_id"] == STUDENT
    assert data["historical_average"] == data["current_mastery"]["mastery_score"]
    assert data["trend"] == "stable"


async def test_components_without_evidence_are_zero_and_not_covered(api: Api) -> None:
    await api.learn(event())
    current = await api.query()
    assert current["components"] | {"consistency": 0} == {
        "completion": 0.8,
        "quiz": 0.0,
        "quality": 0.0,
        "consistency": 0,
    }
    assert [part["component"] for part in current["breakdown"]] == list(COMPONENTS)
    assert current["coverage"] == 0.5


async def test_components_may_be_left_out(api: Api) -> None:
    await api.learn(event())
    data = await api.data("/mastery/query", {"student_id": STUDENT, "include_components": False})
    assert not {"components", "breakdown"} & data["current_mastery"].keys()
    assert data["current_mastery"]["mastery_score"] > 0


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.0, "beginner"),
        (0.3999, "beginner"),
        (0.4, "developing"),
        (0.6, "competent"),
        (0.7499, "competent"),
        (0.75, "proficient"),
        (0.9, "expert"),
        (1.0, "expert"),
    ],
)
async def test_levels_begin_at_their_bounds(api: Api, score: float, level: str) -> None:
    body = {"student_id": STUDENT, "components": dict.fromkeys(COMPONENTS, score), "record": False}
    current = (await api.data("/mastery/calculate", body))["current_mastery"]
    assert (current["mastery_score"], current["level"]) == (score, level)


async def test_an_unknown_student_is_404(api: Api) -> None:
    for path in ("/mastery/query", "/mastery/calculate", "/analytics/mastery-history"):
        answer = await api.post(path, {"student_id": "nobody"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("student_id", ["", "a" * 51, "a b", "ä", "a\n", "a/b", 1, None, ["a"], True])
async def test_a_student_id_has_a_form(api: Api, student_id: Any) -> None:
    for path in ("/mastery/query", "/mastery/calculate", "/analytics/mastery-history"):
        answer = await api.post(path, {"student_id": student_id})
        assert answer.status_code == 400
        assert answer.json()["error"]["details"]["field"] == "student_id"


async def test_record_false_shows_and_keeps_nothing(api: Api) -> None:
    body = {"student_id": STUDENT, "components": COMPONENTS, "record": False}
    assert (await api.data("/mastery/calculate", body))["current_mastery"]["mastery_score"] == 0.862
    assert (await api.post("/mastery/query", {"student_id": STUDENT})).status_code == 404


async def test_the_components_not_given_come_from_the_evidence(api: Api) -> None:
    await api.learn(event(), event("quality"))
    before = await api.query()
    body = {"student_id": STUDENT, "components": {"quiz": 0.5}}
    shown = (await api.data("/mastery/calculate", body))["current_mastery"]["components"]
    assert shown == before["components"] | {"quiz": 0.5}
    assert (await api.query())["components"] == shown


@pytest.mark.parametrize("nothing", [{}, {"components": {}}, {"components": {}, "record": True}])
async def test_with_no_components_nothing_is_recorded(api: Api, nothing: Json) -> None:
    await api.learn(event())
    before = await api.query()
    shown = (await api.data("/mastery/calculate", {"student_id": STUDENT, **nothing}))["current_mastery"]
    assert shown["components"] == before["components"]
    assert await api.logs.events.ends() == {0: 2}


async def test_what_was_set_holds_until_newer_evidence(api: Api) -> None:
    await api.data("/mastery/calculate", {"student_id": STUDENT, "components": COMPONENTS})
    await api.learn(event("quiz", days_ago=1, correct_answers=1))
    assert (await api.query())["components"]["quiz"] == 0.9
    newer = event("quiz", correct_answers=9)
    del newer["timestamp"]
    await api.learn(newer)
    assert 0.1 < (await api.query())["components"]["quiz"] < 0.9, "the two quizzes, and no longer what was set"


async def test_an_idempotency_key_makes_two_calculations_one(api: Api) -> None:
    key = {"Idempotency-Key": "lesson-7"}
    for quiz, status in ((0.5, 200), (0.5, 200), (0.9, 409)):
        body = {"student_id": STUDENT, "components": {"quiz": quiz}}
        assert (await api.post("/mastery/calculate", body, headers=key)).status_code == status
    assert (await api.query())["components"]["quiz"] == 0.5


async def test_an_idempotency_key_stands_for_one_batch(api: Api) -> None:
    key = {"Idempotency-Key": "night-run"}
    for name, status in (("student_1", 202), ("student_1", 202), ("student_2", 409)):
        rows = [{"student_id": name, "components": COMPONENTS}] * 101
        assert (await api.post("/batch/mastery", {"requests": rows}, headers=key)).status_code == status


@pytest.mark.parametrize(
    "components",
    [
        {"quiz": 1.01},
        {"quiz": -0.01},
        {"quiz": "0.5"},
        {"quiz": True},
        {"quizz": 0.5},
        {"quiz": [0.5]},
        {"quiz": 1e999},
        [],
        "all",
        None,
    ],
)
async def test_components_out_of_range_or_of_another_type_are_400(api: Api, components: Any) -> None:
    body = json.dumps({"student_id": STUDENT, "components": components}).replace("Infinity", "1e999").encode()
    answer = await api.post("/mastery/calculate", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["field"].startswith("components")


BAD_ROWS: list[Any] = [
    {"student_id": "no spaces", "components": COMPONENTS},
    {"student_id": STUDENT, "components": {"quiz": 2}},
    {"student_id": STUDENT, "components": {"quiz": "0.5"}},
    {"student_id": STUDENT, "component": COMPONENTS},
    {"components": COMPONENTS},
    {"student_id": "nobody-yet"},
    {},
    [],
    None,
    "text",
]


async def test_a_bad_row_fails_alone(api: Api) -> None:
    good = {"student_id": STUDENT, "components": COMPONENTS}
    rows = [good, *BAD_ROWS, {"student_id": "student_67890", "components": {"quiz": 0.5}}]
    data = await api.data("/batch/mastery", {"requests": rows, "priority": "high"})
    assert data["summary"] == {"total": len(rows), "success": 2, "failed": len(BAD_ROWS)}
    assert [result["index"] for result in data["results"]] == [0, len(rows) - 1]
    assert [result["student_id"] for result in data["results"]] == [STUDENT, "student_67890"]
    assert [result["current_mastery"]["mastery_score"] for result in data["results"]] == [0.862, 0.15]
    assert [failure["index"] for failure in data["failures"]] == list(range(1, len(rows) - 1))
    codes = [failure["error"]["code"] for failure in data["failures"]]
    assert codes == ["NOT_FOUND" if row == {"student_id": "nobody-yet"} else "VALIDATION_ERROR" for row in BAD_ROWS]
    assert data["failures"][1]["student_id"] == STUDENT
    assert data["failures"][1]["error"]["field"] == "components.quiz"
    assert (await api.query())["mastery_score"] == 0.862


async def test_a_row_about_a_forbidden_student_fails_alone(api: Api) -> None:
    teacher = make_token("teacher", students=[STUDENT])
    await api.learn(event(student_id="not-theirs"))
    rows = [{"student_id": name, "components": COMPONENTS} for name in (STUDENT, "not-theirs", "unknown")]
    data = await api.data("/batch/mastery", {"requests": rows}, token=teacher)
    assert [result["student_id"] for result in data["results"]] == [STUDENT]
    errors = [failure["error"] for failure in data["failures"]]
    assert errors[0] == errors[1]
    assert errors[0]["code"] == "FORBIDDEN"


async def test_a_student_may_stand_in_several_rows(api: Api) -> None:
    rows = [{"student_id": STUDENT, "components": given} for given in ({"quiz": 0.1}, {"quality": 0.2})]
    data = await api.data("/batch/mastery", {"requests": rows})
    assert data["summary"]["success"] == 2
    current = await api.query()
    assert (current["components"]["quiz"], current["components"]["quality"]) == (0.1, 0.2)


async def test_a_batch_without_recording_keeps_nothing(api: Api) -> None:
    rows = [{"student_id": STUDENT, "components": COMPONENTS}]
    data = await api.data("/batch/mastery", {"requests": rows, "record": False})
    assert data["results"][0]["current_mastery"]["mastery_score"] == 0.862
    assert (await api.post("/mastery/query", {"student_id": STUDENT})).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"requests": []},
        {"requests": [{}] * 1_001},
        {"requests": {}},
        {},
        {"requests": [{}], "priority": "urgent"},
        {"requests": [{}], "record": "yes"},
        {"requests": [{}], "more": 1},
    ],
)
async def test_a_batch_has_1_to_1000_rows_and_known_fields(api: Api, body: Json) -> None:
    assert (await api.post("/batch/mastery", body)).status_code == 400


async def finished(api: Api, batch_id: str) -> Json:
    async with asyncio.timeout(20):
        while True:
            answer = await api.get(f"/batch/mastery/{batch_id}")
            assert answer.status_code == 200, answer.text
            data: Json = answer.json()["data"]
            if data["status"] == "completed":
                return data
            await asyncio.sleep(0.02)


async def test_100_rows_are_answered_at_once_and_101_later(api: Api) -> None:
    rows = [{"student_id": f"student_{number}", "components": COMPONENTS} for number in range(101)]
    at_once = await api.post("/batch/mastery", {"requests": rows[:100]})
    assert at_once.status_code == 200
    assert at_once.json()["data"]["summary"] == {"total": 100, "success": 100, "failed": 0}
    later = await api.post("/batch/mastery", {"requests": [*rows, *BAD_ROWS]})
    assert later.status_code == 202
    found = await finished(api, later.json()["data"]["batch_id"])
    assert found["summary"] == {"total": 111, "success": 101, "failed": 10}
    assert [result["index"] for result in found["results"]] == list(range(101))


async def test_an_unknown_batch_is_404(api: Api) -> None:
    for batch_id in ("none", "x" * 100):
        assert (await api.get(f"/batch/mastery/{batch_id}")).status_code == 404


async def test_a_batch_sent_again_with_its_key_is_the_same_batch(api: Api) -> None:
    rows = [{"student_id": f"student_{number}", "components": COMPONENTS} for number in range(101)]
    key = {"Idempotency-Key": "night-run"}
    first, second = [await api.data("/batch/mastery", {"requests": rows}, headers=key) for _ in range(2)]
    assert first["batch_id"] == second["batch_id"]
    await finished(api, first["batch_id"])
    assert await api.logs.events.ends() == {0: 102}


async def test_a_large_batch_survives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"student_id": f"student_{number}", "components": {"quiz": 0.5}} for number in range(150)]
    with monkeypatch.context() as patch:

        async def asleep(_: Batches) -> None:
            await asyncio.Event().wait()

        patch.setattr(Batches, "keep_working", asleep)
        async with serving(tmp_path) as api:
            batch_id = (await api.data("/batch/mastery", {"requests": rows}))["batch_id"]
            assert (await api.get(f"/batch/mastery/{batch_id}")).json()["data"] == {
                "batch_id": batch_id,
                "status": "queued",
            }
    async with serving(tmp_path) as api:
        assert (await finished(api, batch_id))["summary"]["success"] == 150
        assert (await api.query("student_149"))["components"]["quiz"] == 0.5


async def test_waiting_batches_are_worked_by_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    finish = Batches._finish
    sent = asyncio.Event()

    async def noted(self: Batches, job: Any) -> None:
        await sent.wait()
        order.append(job.priority)
        await finish(self, job)

    monkeypatch.setattr(Batches, "_finish", noted)
    async with serving(tmp_path) as api:
        rows = [{"student_id": STUDENT, "components": {"quiz": 0.5}}] * 101
        ids = [
            (await api.data("/batch/mastery", {"requests": rows, "priority": priority}))["batch_id"]
            for priority in ("normal", "low", "normal", "high")
        ]
        sent.set()
        for batch_id in ids:
            await finished(api, batch_id)
    assert order[1:] == ["high", "normal", "low"], "the first was under way when the others came"
