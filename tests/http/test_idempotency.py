"""A call that is repeated under its Idempotency-Key counts once; with another body it is refused, at every call."""

import asyncio
import json
from collections.abc import Callable
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
}
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
        if parameter in operation.get("parameters", ())
    }
    assert keyed == CALLS.keys()


def ids_in(answer: httpx.Response) -> list[str]:
    """The ids that an answer gives."""
    data = answer.json()["data"]
    receipts = data["results"] if "results" in data and "accepted" in data else [data]
    return [str(receipt.get("event_id") or receipt.get("batch_id")) for receipt in receipts]


@pytest.mark.parametrize(("path", "body"), EACH)
async def test_the_key_with_another_body_is_a_conflict(api: Api, path: str, body: Body) -> None:
    sent = body(3)
    first = await api.post(path, sent, headers=KEY)
    assert first.status_code in (200, 202), first.text
    turned = json.dumps(dict(reversed(sent.items())), indent=3).encode()  # the same value, written otherwise
    again = [await api.post(path, sent, headers=KEY), await api.post(path, content=turned, headers=KEY)]
    assert [answer.status_code for answer in again] == [first.status_code] * 2
    assert [ids_in(answer) for answer in again] == [ids_in(first)] * 2
    for _ in range(2):
        other = await api.post(path, body(4), headers=KEY)
        assert (other.status_code, other.json()["error"]["code"]) == (409, "CONFLICT")
        assert other.json()["error"]["details"] == {"field": "Idempotency-Key"}
    assert (await api.post(path, sent, headers=KEY)).status_code == first.status_code
    new = await api.post(path, body(4), headers={"Idempotency-Key": "another"})
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
