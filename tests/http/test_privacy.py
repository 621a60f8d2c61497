"""Consent, erasure, export and the audit trail over HTTP, and what they leave in the data folder."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mastery_engine.domain.events.event import LearningEvent, decode
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.student import StudentKey
from tests.support.calls import COMPONENTS, Api, serving
from tests.support.live import environment, make_token
from tests.support.processes import run_command
from tests.support.samples import raw

ZOE = "zoe-zimmermann"
OWN = make_token("student", subject=ZOE)
PATH = f"/compliance/students/{ZOE}"


def quiz(event_id: str, correct: int = 5, student_id: str = ZOE) -> dict[str, Any]:
    data = {"total_questions": 10, "correct_answers": correct, "topic": "a-telling-topic"}
    return {"event_id": event_id, "event_type": "quiz", "student_id": student_id, "data": data}


async def consent(api: Api, **changed: bool) -> dict[str, Any]:
    answer = await api.call("PUT", f"{PATH}/consent", changed)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()["data"]
    assert (await api.get(f"{PATH}/consent", token=OWN)).json()["data"] == said
    return said


async def erase(api: Api) -> dict[str, Any]:
    answer = await api.call("DELETE", PATH)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()["data"]
    return said


def found_in(folder: Path, *words: str) -> list[tuple[str, str]]:
    """Where a word stands in the bytes of a folder's files."""
    return [
        (path.name, word)
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    ]


async def settled(api: Api) -> None:
    """Until everything in the log has been worked."""
    log = api.logs.events
    async with asyncio.timeout(10):
        while await log.committed() != await log.ends():
            await asyncio.sleep(0.01)


async def test_consent_is_given_until_it_is_withdrawn_and_its_history_is_kept(api: Api) -> None:
    first = (await api.get(f"{PATH}/consent")).json()["data"]
    assert first == {"student_id": ZOE, "processing": True, "profiling": True, "history": []}
    await consent(api, profiling=False)
    said = await consent(api, processing=False)
    assert (said["processing"], said["profiling"]) == (False, False)
    said = await consent(api, processing=True)
    assert [(one["processing"], one["profiling"]) for one in said["history"]] == [
        (True, False),
        (False, False),
        (True, False),
    ]
    assert sorted(one["at"] for one in said["history"]) == [one["at"] for one in said["history"]]


async def test_what_changes_nothing_adds_nothing_to_the_history_and_is_audited(api: Api) -> None:
    empty = await consent(api)
    assert (empty["processing"], empty["profiling"], empty["history"]) == (True, True, [])
    said = [await consent(api, processing=False) for _ in range(3)]
    assert said[0] == said[1] == said[2]
    assert len(said[0]["history"]) == 1
    assert await consent(api) == await consent(api, profiling=True) == said[0]
    same = await asyncio.gather(*[consent(api, profiling=False) for _ in range(5)])
    assert [len(one["history"]) for one in same] == [2] * 5
    assert len([record for record in await api.audited() if record.call == "consent-change"]) == 11


@pytest.mark.parametrize("body", [{"processing": None}, {"profiling": None}, {"processing": False, "profiling": None}])
async def test_nothing_is_no_word_about_consent(api: Api, body: dict[str, Any]) -> None:
    answer = await api.call("PUT", f"{PATH}/consent", body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["details"]["field"] in body
    assert "true or false" in error["message"]
    assert (await consent(api))["history"] == []


async def test_a_first_word_counts_although_it_is_the_school_s_default(tmp_path: Path) -> None:
    """Should the school change its default later, the student's own word still holds."""
    async with serving(tmp_path) as api:
        assert len((await consent(api, processing=True))["history"]) == 1
        assert len((await consent(api, profiling=True))["history"]) == 1
    async with serving(tmp_path, consent_default="withheld") as api:
        assert (await api.post("/mastery/ingest", quiz("still"))).status_code == 202


async def test_after_an_erasure_the_same_word_is_a_new_one(api: Api) -> None:
    """Consent reads as withheld then, and only a word of the student's ends that: no call without one does."""
    await erase(api)
    assert [one["erased"] for one in (await consent(api))["history"]] == [True]
    assert (await api.post("/mastery/ingest", quiz("early"))).status_code == 403
    said = [await consent(api, processing=False) for _ in range(2)]
    assert [one["erased"] for one in said[0]["history"]] == [True, False]
    assert said[0] == said[1]
    assert len((await consent(api, processing=True))["history"]) == 3
    await api.learn(quiz("late"))


async def test_without_processing_new_events_are_refused_and_old_ones_stay(api: Api) -> None:
    await api.learn(quiz("before", 5))
    await consent(api, processing=False)
    assert (await api.post("/mastery/ingest", quiz("during", 10))).status_code == 403
    answer = await api.data("/mastery/ingest/batch", {"events": [quiz("during"), quiz("other", student_id="other")]})
    assert [one["status"] for one in answer["results"]] == ["refused", "queued"]
    assert answer["results"][0]["error"]["code"] == "FORBIDDEN"
    body = {"student_id": ZOE, "components": COMPONENTS}
    assert (await api.post("/mastery/calculate", body)).status_code == 403
    batch = await api.data("/batch/mastery", {"requests": [body, {**body, "student_id": "other"}]})
    assert [one["error"]["code"] for one in batch["failures"]] == ["FORBIDDEN"]
    assert len(batch["results"]) == 1
    assert (await api.query(ZOE))["components"]["quiz"] == 0.5
    await consent(api, processing=True)
    await api.learn(quiz("after", 10))
    assert (await api.query(ZOE))["components"]["quiz"] == 0.75


async def test_what_was_received_while_it_was_not_allowed_never_counts(api: Api) -> None:
    """It is in the log already, as it is when consent is withdrawn on another replica at that moment."""
    await api.learn(quiz("before"))
    await consent(api, processing=False)
    during = decode(raw(quiz("during", 10)), received=api.clock())
    await consent(api, processing=True)
    await api.logs.events.append([during])
    await settled(api)
    assert (await api.query(ZOE))["components"]["quiz"] == 0.5
    (letter,) = await api.logs.dead_letters.page()
    assert (letter.key, letter.value, letter.student_id, letter.event_id) == (None, None, None, None)
    held = await api.logs.events.events_of(StudentKey("default", ZOE))
    assert held is not None
    assert [record.event_id for record in held] == ["before"]


async def test_what_cannot_be_processed_is_not_kept_either_where_it_was_not_allowed(api: Api) -> None:
    """Of a student who allows nothing, or was erased, a dead letter has neither words nor id."""

    async def too_old(event_id: str) -> LearningEvent:
        sent = decode(raw(quiz(event_id)), received=api.clock())
        return msgspec.structs.replace(sent, at=sent.at - 200 * DAY)

    allowed = await too_old("allowed")
    await consent(api, processing=False)
    withdrawn = await too_old("withdrawn")
    await api.logs.events.append([allowed, withdrawn])
    await settled(api)
    kept, withheld = await api.logs.dead_letters.page()
    assert (kept.student_id, kept.event_id, kept.code) == (ZOE, "allowed", "VALIDATION_ERROR")
    assert (withheld.key, withheld.value, withheld.student_id, withheld.event_id) == (None, None, None, None)
    assert withheld.code == "FORBIDDEN"
    await erase(api)
    before = await api.logs.dead_letters.page()
    await api.logs.events.append([await too_old("erased")])
    await settled(api)
    (letter,) = [one for one in await api.logs.dead_letters.page() if one not in before]
    assert (letter.key, letter.value, letter.student_id, letter.event_id) == (None, None, None, None)
    key = StudentKey("default", ZOE)
    assert [await api.stores.refusals.find(key, one) for one in ("withdrawn", "erased")] == [None, None]


async def test_a_record_of_consent_that_no_engine_wrote_hides_no_other(api: Api) -> None:
    await api.logs.consents.put_all({"foreign": b"garbage"}, api.clock())
    await api.logs.consents.put_all({"foreign": b"\xff{}"}, api.clock())
    await consent(api, processing=False)
    assert (await api.post("/mastery/ingest", quiz("during"))).status_code == 403


async def test_without_profiling_there_is_no_profile(api: Api) -> None:
    await api.learn(quiz("one"))
    await consent(api, profiling=False)
    answer = await api.post("/analytics/skills", {"student_id": ZOE})
    assert answer.status_code == 409
    assert "not consented to profiling" in answer.json()["error"]["message"]
    assert (await api.query(ZOE))["components"]["quiz"] == 0.5


async def test_a_school_may_withhold_consent_until_it_is_given(tmp_path: Path) -> None:
    async with serving(tmp_path, consent_default="withheld") as api:
        assert (await api.post("/mastery/ingest", quiz("early"))).status_code == 403
        await consent(api, processing=True)
        await api.learn(quiz("late"))
        assert (await api.post("/analytics/skills", {"student_id": ZOE})).status_code == 409


async def test_an_erasure_leaves_no_byte_and_nobody_comes_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        late: LearningEvent = decode(raw(quiz("late-telling-id", 10)), received=api.clock())
        await api.learn(*[quiz(f"telling-id-{number}") for number in range(50)])
        await api.learn(quiz("another", student_id="other"))
        await api.get(f"{PATH}/export", token=OWN)
        body = {"requests": [{"student_id": ZOE}] * 101}
        batch_id = (await api.data("/batch/mastery", body))["batch_id"]
        await settled(api)
        async with asyncio.timeout(10):
            while (await api.get(f"/batch/mastery/{batch_id}")).json()["data"]["status"] != "completed":
                await asyncio.sleep(0.01)
        assert found_in(tmp_path, ZOE, "telling-id-7")
        said = await erase(api)
        assert said["removed_from_log"] > 50
        assert said["removed_from_store"] >= 2
        assert {one["where"] for one in said["ages_out"]} == {
            "process logs, which have student ids",
            "backups, until they are overwritten",
        }
        batch = (await api.get(f"/batch/mastery/{batch_id}")).json()["data"]
        assert (batch.get("results", []), ZOE in str(batch)) == ([], False)
        await api.logs.events.append([late])
        await settled(api)
        assert (await api.post("/mastery/query", {"student_id": ZOE})).status_code == 404
        assert (await api.post("/mastery/ingest", quiz("later"))).status_code == 403
        assert (await api.get(f"{PATH}/export")).status_code == 404
        held = (await api.get(f"{PATH}/consent")).json()["data"]
        assert (held["processing"], held["profiling"], len(held["history"])) == (False, False, 1)
        assert (await api.query("other"))["components"]["quiz"] == 0.5
        await api.engine.audit.flush()
        calls = (await api.get(f"/compliance/audit?student={ZOE}&limit=1000")).json()["data"]["records"]
        assert {"erase", "ingest", "export"} <= {one["call"] for one in calls}
        assert {one["student"] for one in calls} == {said["pseudonym"]}
    assert found_in(tmp_path, "telling-id-", "late-telling") == []


async def test_the_erased_students_id_stands_nowhere_in_the_folder(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        await api.learn(*[quiz(f"id-{number}") for number in range(20)])
        await erase(api)
        await api.get(f"{PATH}/consent", token=OWN)
        assert found_in(tmp_path, ZOE, "a-telling-topic") == []
    assert found_in(tmp_path, ZOE, "a-telling-topic") == []


async def test_after_an_erasure_new_consent_begins_anew_even_through_a_replay(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        await api.learn(quiz("before", 0))
        old = decode(raw(quiz("old", 0)), received=api.clock())
        await erase(api)
        await consent(api, processing=True, profiling=True)
        await api.learn(quiz("after", 10))
        await api.logs.events.append([old])
        await settled(api)
        assert (await api.query(ZOE))["components"]["quiz"] == 1.0
    run_command("replay", environment=environment(tmp_path, {}), check=True)
    async with serving(tmp_path) as api:
        assert (await api.query(ZOE))["components"]["quiz"] == 1.0


async def test_the_export_has_all_that_is_held(api: Api) -> None:
    completed = {"total_exercises": 2, "completed_exercises": 1, "difficulty": "beginner"}
    await api.learn(quiz("one"), {**quiz("two"), "event_type": "completion", "data": completed})
    await consent(api, profiling=True)
    said = (await api.get(f"{PATH}/export", token=OWN)).json()["data"]
    assert (said["student_id"], said["tenant"]) == (ZOE, "default")
    assert [one["event_id"] for one in said["events"]] == ["one", "two"]
    assert "a-telling-topic" in said["events"][0]["content"]
    assert said["document"]["evidence"]
    (day,) = said["history"]
    assert (day["quiz"], day["completion"]) == (0.5, 0.5)
    assert len(said["consent"]["history"]) == 1
    assert {"ingest", "consent-change", "export"} <= {one["call"] for one in said["audit"]}
    assert said["dead_letters"] == []
    assert (await api.get("/compliance/students/nobody/export")).status_code == 404


async def test_the_export_has_the_words_on_attempts_in_the_open(api: Api) -> None:
    marked = quiz("one")
    await api.learn({**marked, "data": {**marked["data"], "attempt_id": "try"}})
    (word,) = (await api.get(f"{PATH}/export", token=OWN)).json()["data"]["document"]["evidence"]["attempts"]["words"]
    assert (word["event_id"], word["weight"], word["score"]) == ("one", 10.0, 0.5)


async def test_the_export_has_the_cohorts_that_know_of_the_student(api: Api) -> None:
    """By events and by an admin, in and out; and names nobody else."""
    joined = [{**quiz(name), "metadata": {"cohort_id": name}} for name in ("by-events", "and-out")]
    await api.learn(*joined)
    for cohort_id, members in (("and-out", []), ("by-admin", [ZOE, "bob"]), ("others", ["bob"])):
        await api.call("PUT", f"/cohorts/{cohort_id}", {"name": f"Class {cohort_id}", "members": members})
    answer = await api.get(f"{PATH}/export", token=OWN)
    known = {one["cohort_id"]: one for one in answer.json()["data"]["cohorts"]}
    assert known["by-events"] == membership("by-events", "by-events", is_member=True, joined_by_events=True)
    assert known["and-out"] == membership("and-out", "Class and-out", joined_by_events=True, taken_out_by_admin=True)
    assert known["by-admin"] == membership("by-admin", "Class by-admin", is_member=True, put_in_by_admin=True)
    assert known.keys() == {"by-events", "and-out", "by-admin"}
    assert "bob" not in answer.text
    await api.call("DELETE", PATH)
    assert (await api.get(f"{PATH}/export")).status_code == 404


def membership(cohort_id: str, name: str, **said: bool) -> dict[str, Any]:
    no = dict.fromkeys(("is_member", "joined_by_events", "put_in_by_admin", "taken_out_by_admin", "teaches"), False)
    return {"cohort_id": cohort_id, "course_id": "default", "name": name, **no, **said}


@pytest.mark.parametrize("role", ["student", "teacher", "service"])
async def test_only_the_student_and_admins_have_to_do_with_privacy(api: Api, role: str) -> None:
    token = make_token(role, subject="somebody-else", students=[ZOE])
    for method, path in (("GET", "/consent"), ("GET", "/export"), ("DELETE", "")):
        assert (await api.call(method, PATH + path, token=token)).status_code == 403
    assert (await api.call("PUT", f"{PATH}/consent", {"processing": False}, token=token)).status_code == 403
    assert (await api.call("DELETE", PATH, token=OWN)).status_code == 403
    assert (await api.get("/compliance/audit", token=token)).status_code == 403
    assert (await api.get("/compliance/audit", token=make_token(tenant="b"))).json()["data"]["records"][1:] == []


async def test_the_audit_trail_is_searched_and_paged(api: Api) -> None:
    await api.learn(quiz("one"))
    for _ in range(3):
        await api.query(ZOE)
    await api.post("/mastery/query", {"student_id": ZOE}, token=make_token("student", subject="other"))

    async def asked(filters: str) -> list[dict[str, Any]]:
        answer = await api.get(f"/compliance/audit?{filters}")
        assert answer.status_code == 200, answer.text
        records: list[dict[str, Any]] = answer.json()["data"]["records"]
        return records

    queries = await asked(f"student={ZOE}&call=query")
    assert [one["allowed"] for one in queries] == [False, True, True, True]
    assert len(await asked("call=query&allowed=false")) == 1
    assert {one["subject"] for one in await asked("subject=somebody")} == {"somebody"}
    assert await asked("to=2020-01-01T00:00:00Z") == []
    assert await asked("from=2099-01-01T00:00:00Z") == []
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await api.get(f"/compliance/audit?call=query&limit=3{cursor}")).json()["data"]
        seen += page["records"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == queries
    assert await asked("from=2026-01-14T10:30:00Z&to=2026-01-14T10:30:00Z") == []
    turned = "from=2026-01-14T10:30:01Z&to=2026-01-14T10:30:00Z"
    for bad in ("cursor=x", "from=2026-01-14T10:30:00", "to=0.5", "to=2026-01-14", "limit=0", "student=%20", turned):
        assert (await api.get(f"/compliance/audit?{bad}")).status_code == 400
