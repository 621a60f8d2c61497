"""A call that is repeated under its Idempotency-Key counts once; with another body it is refused, at every call."""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from mastery_engine.domain.moments import DAY, SECOND
from mastery_engine.domain.student import StudentKey
from mastery_engine.http.openapi import KEYED
from tests.support.calls import STUDENT, Api, document, event, serving
from tests.support.live import make_token

Body = Callable[[int], dict[str, Any]]
KEY = {"Idempotency-Key": "ada@example.org, lesson 7"}


def bare(correct: int) -> dict[str, Any]:
    """An event that leaves its id to the service."""
    return {name: value for name, value in event("quiz", correct_answers=correct).items() if name != "event_id"}


def calculation(correct: int) -> dict[str, Any]:
    return {"student_id": STUDENT, "components": {"quiz": correct / 10}}


def process(intent: str, payload: Body) -> Body:
    return lambda number: {"intent": intent, "payload": payload(number)}


def graded(number: int) -> dict[str, Any]:
    """A grade by Caliper."""
    attempt = {"assignee": "https://lms.example.edu/ada", "assignable": "https://lms.example.edu/quiz"}
    score = {"maxScore": 10, "scoreGiven": number}
    at = event()["timestamp"]
    return {"type": "GradeEvent", "action": "Graded", "eventTime": at, "object": attempt, "generated": score}


def changed(number: int) -> dict[str, Any]:
    """A grade by Canvas."""
    body = {"student_id": "48", "submission_id": "1", "score": number, "points_possible": 10}
    return {"metadata": {"event_name": "grade_change", "event_time": event()["timestamp"]}, "body": body}


# Two bodies of each call that takes a key: a new one of these fails below until it stands here.
CALLS: dict[str, list[Body]] = {
    "/mastery/ingest": [bare, lambda number: {**bare(number), "event_id": f"e-{number}"}],
    "/mastery/ingest/batch": [lambda number: {"events": [bare(1), bare(number)]}],
    "/mastery/calculate": [calculation, lambda number: {**calculation(number), "record": False}],
    "/batch/mastery": [
        lambda number: {"requests": [calculation(number)]},
        lambda number: {"requests": [calculation(number)], "record": False},
        lambda number: {"requests": [calculation(number)] * 101},
    ],
    "/process": [process("ingest", bare), process("mastery_calculation", calculation)],
    "/caliper": [lambda number: {"data": [graded(number)]}],
    "/canvas/events": [changed],
    "/cohorts/{cohort_id}": [lambda number: {"name": "Python", "members": [f"s{number}"]}],
    "/courses/{course_id}": [lambda number: {"title": f"Course {number}"}],
    "/webhooks/{webhook_id}": [lambda number: {"url": f"https://93.184.215.14/{number}", "rotate_secret": True}],
    "/students/{student_id}/profile": [lambda number: {"display_name": f"Ada {number}"}],
    "/compliance/students/{student_id}/consent": [lambda number: {"profiling": number == 3}],
}
ZIP = "/rosters/oneroster"  # a zip and no JSON: see test_rosters
NAME = "/students/{student_id}/badges/{badge_id}/name"  # it needs a badge: see test_badges
# They need a student of whom something is known, and a note: see test_notes.
OF_NOTES = {"/students/{student_id}/notes", "/students/{student_id}/notes/{note_id}"}
EACH = [
    pytest.param(path, body, id=f"{path}-{place}")
    for path, bodies in CALLS.items()
    for place, body in enumerate(bodies)
]


def test_every_call_that_takes_a_key_is_attacked_here() -> None:
    (parameter,) = KEYED["parameters"]
    keyed = {
        path
        for path, operations in document()["paths"].items()
        for operation in operations.values()
        if any({**one, "example": None} == {**parameter, "example": None} for one in operation.get("parameters", ()))
    }
    assert keyed - {ZIP, NAME} - OF_NOTES == CALLS.keys()


def test_every_call_that_changes_something_takes_a_key() -> None:
    """But for the broker's deliveries, which name their events, for erasures, which have no body, and for agents."""
    changing = {
        path
        for path, operations in document()["paths"].items()
        for method in operations.keys() - {"get"}
        if operations[method].get("requestBody") and not path.startswith(("/dapr", "/mcp"))
    }
    reading = {path for path in changing if path.startswith(("/analytics", "/predictions", "/recommendations"))} | {
        "/mastery/query"
    }
    assert changing - reading - {ZIP, NAME} - OF_NOTES == CALLS.keys()


def ids_in(answer: httpx.Response) -> list[str]:
    """The ids that an answer gives."""
    data = answer.json()["data"]
    receipts = data["results"] if "results" in data and "accepted" in data else [data]
    return [str(receipt.get("event_id") or receipt.get("batch_id")) for receipt in receipts]


@pytest.mark.parametrize(("path", "body"), EACH)
async def test_the_key_with_another_body_is_a_conflict(api: Api, path: str, body: Body) -> None:
    sent = body(3)
    method = "put" if "{" in path else "post"
    path = path.format(cohort_id="py-101", student_id=STUDENT, course_id="physics", webhook_id="lms")
    call = partial(api.call, method.upper(), path)
    first = await call(sent, headers=KEY)
    assert first.status_code in (200, 202), first.text
    turned = json.dumps(dict(reversed(sent.items())), indent=3).encode()  # the same value, written otherwise
    again = [await call(sent, headers=KEY), await call(content=turned, headers=KEY)]
    assert [answer.status_code for answer in again] == [first.status_code] * 2
    assert [ids_in(answer) for answer in again] == [ids_in(first)] * 2
    for _ in range(2):
        other = await call(body(4), headers=KEY)
        assert (other.status_code, other.json()["error"]["code"]) == (409, "CONFLICT")
        assert other.json()["error"]["details"] == {"field": "Idempotency-Key"}
    assert (await call(sent, headers=KEY)).status_code == first.status_code
    new = await call(body(4), headers={"Idempotency-Key": "another"})
    assert new.status_code == first.status_code


@pytest.mark.parametrize("written", ["1.0", "1e0", "0.1e1", "10E-1"])
async def test_a_number_is_the_same_however_it_is_written(api: Api, written: str) -> None:
    body = '{"student_id": "ada", "components": {"quiz": %s}}'
    for number, status in (("1", 200), (written, 200), ("0.99", 409)):
        answer = await api.post("/mastery/calculate", content=(body % number).encode(), headers=KEY)
        assert answer.status_code == status
    logged = await api.logs.events.events_of(StudentKey("default", "ada"))
    assert logged is not None
    assert len({record.event_id for record in logged}) == 1


async def test_of_several_bodies_at_once_one_wins(tmp_path: Path) -> None:
    bodies = [bare(number) for number in range(3)]
    async with serving(tmp_path) as api:
        answers = await asyncio.gather(*[api.post("/mastery/ingest", body, headers=KEY) for body in bodies * 4])
        taken = {ids_in(answer)[0] for answer in answers if answer.status_code == 202}
        assert {answer.status_code for answer in answers} == {202, 409}
        assert len(taken) == 1
        assert len([answer for answer in answers if answer.status_code == 202]) == 4


async def test_callers_and_calls_have_keys_of_their_own(api: Api) -> None:
    assert (await api.post("/mastery/ingest", bare(1), headers=KEY)).status_code == 202
    for token in (make_token(subject="other"), make_token("service"), make_token(tenant="school-1")):
        assert (await api.post("/mastery/ingest", bare(2), token=token, headers=KEY)).status_code == 202
    assert (await api.post("/mastery/calculate", calculation(2), headers=KEY)).status_code == 200


async def test_a_call_that_brought_nothing_may_be_corrected_under_its_key(api: Api) -> None:
    bad = {**bare(3), "data": {"total_questions": 10, "correct_answers": 11}}
    assert (await api.post("/mastery/ingest", bad, headers=KEY)).status_code == 400
    refused = await api.data("/mastery/ingest/batch", {"events": [bad]}, headers=KEY)
    assert refused["refused"] == 1
    for path, body in (("/mastery/ingest", bare(3)), ("/mastery/ingest/batch", {"events": [bare(3)]})):
        assert (await api.post(path, body, headers=KEY)).status_code == 202


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("/mastery/calculate", calculation, 403, id="calculate"),
        pytest.param("/process", process("mastery_calculation", calculation), 403, id="process"),
        pytest.param("/batch/mastery", lambda number: {"requests": [calculation(number)]}, 200, id="batch"),
        pytest.param("/mastery/ingest", bare, 403, id="ingest"),
    ],
)
async def test_what_was_refused_for_want_of_consent_may_be_corrected_under_its_key(
    api: Api, path: str, body: Body, status: int
) -> None:
    consent = f"/compliance/students/{STUDENT}/consent"
    await api.call("PUT", consent, {"processing": False})
    refused = await api.post(path, body(3), headers=KEY)
    assert refused.status_code == status, refused.text
    await api.call("PUT", consent, {"processing": True})
    corrected = await api.post(path, body(4), headers=KEY)
    assert corrected.status_code in (200, 202), corrected.text
    assert (await api.post(path, body(3), headers=KEY)).status_code == 409


async def test_a_batch_of_unknown_students_may_be_corrected_under_its_key(api: Api) -> None:
    unknown = await api.data("/batch/mastery", {"requests": [{"student_id": "nobody"}]}, headers=KEY)
    assert unknown["summary"]["failed"] == 1
    tried = {"requests": [calculation(3)], "record": False}
    assert (await api.data("/batch/mastery", tried, headers=KEY))["summary"]["success"] == 1
    assert (await api.post("/batch/mastery", {"requests": [calculation(4)]}, headers=KEY)).status_code == 409


async def test_each_student_and_cohort_has_keys_of_its_own(api: Api) -> None:
    for student_id, is_allowed in (("ada", True), ("bob", False)):
        consent = f"/compliance/students/{student_id}/consent"
        assert (await api.call("PUT", consent, {"profiling": is_allowed}, headers=KEY)).status_code == 200
    for cohort_id, name in (("py", "Python"), ("go", "Go")):
        put = await api.call("PUT", f"/cohorts/{cohort_id}", {"name": name, "members": []}, headers=KEY)
        assert put.status_code == 200


async def test_a_put_that_is_a_conflict_changes_nothing_and_is_not_on_record(api: Api) -> None:
    for members, status in ((["ada"], 200), (["bob"], 409)):
        put = await api.call("PUT", "/cohorts/py", {"name": "Python", "members": members}, headers=KEY)
        assert put.status_code == status
    assert (await api.get("/cohorts/py")).json()["data"]["members"] == ["ada"]
    assert len([record for record in await api.audited() if record.call == "put-cohort"]) == 1


@pytest.mark.parametrize("path", ["/mastery/ingest", "/mastery/calculate"])
async def test_of_two_keys_none_is_taken_and_blanks_are_no_part_of_one(api: Api, path: str) -> None:
    body = {"/mastery/ingest": bare, "/mastery/calculate": calculation}[path]
    first, other = body(3), body(4)
    content = json.dumps(first).encode()
    usual = {"Authorization": f"Bearer {make_token()}", "Content-Type": "application/json"}
    two = [*usual.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await api.client.post(path, content=content, headers=two)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == {"field": "Idempotency-Key"}
    for key, sent, status in ((" a\t", first, (200, 202)), ("a", first, (200, 202)), ("a  ", other, (409,))):
        assert (await api.post(path, sent, headers={"Idempotency-Key": key})).status_code in status
    assert (await api.post(path, first, headers={"Idempotency-Key": " \t "})).status_code == 400


async def test_a_key_holds_through_a_restart_and_for_a_day_and_then_loses_no_event(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        (first,) = ids_in(await api.post("/mastery/ingest", bare(3), headers=KEY))
    async with serving(tmp_path) as api:
        assert (await api.post("/mastery/ingest", bare(9), headers=KEY)).status_code == 409
        api.clock.ahead += DAY - 60 * SECOND
        assert (await api.post("/mastery/ingest", bare(9), headers=KEY)).status_code == 409
        api.clock.ahead += 120 * SECOND
        (second,) = ids_in(await api.post("/mastery/ingest", bare(9), headers=KEY))
        assert second != first, "the evidence would be dropped as a repeat"
        await api.processed(second)
    assert files_with(tmp_path, b"ada@example.org") == []


def files_with(folder: Path, text: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]
