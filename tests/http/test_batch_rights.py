"""Who sees which rows of a batch: by the caller's rights of now, and without students who were erased meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.student import StudentKey
from mastery_engine.services.batches import Batches
from mastery_engine.services.ingest import Ingest
from tests.support.calls import Api, event, serving
from tests.support.live import make_token

ZOE = "zoe-of-the-batch"
OTHERS = [f"student_{number}" for number in range(101)]
ROWS = [{"student_id": name, "components": {"quiz": 0.25}} for name in [*OTHERS[:50], ZOE, *OTHERS[50:]]]
KEEP_WORKING = Batches.keep_working
WITHHELD = {"code": "FORBIDDEN", "message": "You may not see this student.", "field": "student_id"}


@pytest.fixture
async def asleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """The service, which takes batches and works none."""

    async def sleep(_: Batches) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Batches, "keep_working", sleep)
        async with serving(tmp_path) as api:
            yield api


async def sent(api: Api, rows: Sequence[Any] = ROWS, **how: Any) -> str:
    data = await api.data("/batch/mastery", {"requests": rows, **how.pop("body", {})}, **how)
    return str(data["batch_id"])


async def shown(api: Api, batch_id: str, **how: Any) -> dict[str, Any]:
    """The answer of a batch, once there is one."""
    async with asyncio.timeout(10):
        while True:
            answer = await api.get(f"/batch/mastery/{batch_id}", **how)
            assert answer.status_code == 200, answer.text
            data: dict[str, Any] = answer.json()["data"]
            if data["status"] == "completed":
                return data
            await asyncio.sleep(0.01)


async def erase(api: Api) -> dict[str, Any]:
    answer = await api.call("DELETE", f"/compliance/students/{ZOE}")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()["data"]
    return said


def files_with(folder: Path, text: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def check_withheld(data: dict[str, Any], *, student_id: str | None) -> None:
    """All rows are there but the student's, which fails alone."""
    assert data["failures"] == [{"index": 50, "student_id": student_id, "error": WITHHELD}]
    assert data["summary"] == {"total": 102, "success": 101, "failed": 1}
    assert [result["index"] for result in data["results"]] == [*range(50), *range(51, 102)]


async def test_rows_are_shown_to_whom_may_see_them_now(api: Api) -> None:
    taught = make_token("teacher", subject="ada", students=[*OTHERS, ZOE])
    batch_id = await sent(api, token=taught)
    assert (await shown(api, batch_id, token=taught))["summary"]["failed"] == 0
    check_withheld(
        await shown(api, batch_id, token=make_token("teacher", subject="ada", students=OTHERS)), student_id=ZOE
    )
    nobody = await shown(api, batch_id, token=make_token("teacher", subject="ada"))
    assert (nobody["results"], nobody["summary"]) == ([], {"total": 102, "success": 0, "failed": 102})
    assert {failure["error"]["code"] for failure in nobody["failures"]} == {"FORBIDDEN"}
    assert (await shown(api, batch_id))["summary"]["success"] == 102, "an admin sees all"
    looked = [record for record in await api.audited() if record.call == "batch-state" and record.subject == "ada"]
    assert [record.allowed for record in looked if record.student_id == api.pseudonym(ZOE)] == [True, False, False]


async def test_what_a_row_failed_for_is_withheld_too(api: Api) -> None:
    """Else it would tell whether a student is known."""
    rows = [{"student_id": name} for name in [*OTHERS, ZOE]]
    batch_id = await sent(api, rows, token=make_token("teacher", subject="ada", students=[*OTHERS, ZOE]))
    seen = await shown(api, batch_id, token=make_token("teacher", subject="ada", students=[ZOE]))
    codes = {failure["student_id"]: failure["error"]["code"] for failure in seen["failures"]}
    assert codes == {**dict.fromkeys(OTHERS, "FORBIDDEN"), ZOE: "NOT_FOUND"}


async def test_a_cohort_s_member_who_left_is_withheld(api: Api) -> None:
    await api.call("PUT", "/cohorts/py-101", {"name": "Python", "members": [*OTHERS, ZOE]})
    token = make_token("teacher", subject="ada", cohorts=["py-101"])
    batch_id = await sent(api, token=token)
    assert (await shown(api, batch_id, token=token))["summary"]["failed"] == 0
    await api.call("PUT", "/cohorts/py-101", {"name": "Python", "members": OTHERS})
    check_withheld(await shown(api, batch_id, token=token), student_id=ZOE)


async def test_the_export_has_the_student_s_row_while_the_batch_waits_and_once_it_is_worked(asleep: Api) -> None:
    async def exported() -> dict[str, Any]:
        answer = await asleep.get(f"/compliance/students/{ZOE}/export")
        assert answer.status_code == 200, answer.text
        assert not any(f'"{name}"' in answer.text for name in OTHERS)
        (batch,) = answer.json()["data"]["batches"]
        assert (batch["batch_id"], batch["is_sent_by_student"]) == (batch_id, False)
        held: dict[str, Any] = batch
        return held

    batch_id = await sent(asleep, body={"record": False})
    waits = await exported()
    assert [(row["index"], row["components"]["quiz"], row["problem"]) for row in waits["rows"]] == [(50, 0.25, None)]
    assert (waits["results"], waits["failures"]) == ([], [])
    working = asyncio.ensure_future(KEEP_WORKING(asleep.engine.batches))
    answered = await shown(asleep, batch_id)
    working.cancel()
    worked = await exported()
    assert worked["rows"] == [], "an answered batch has its answer alone"
    assert worked["results"] == [row for row in answered["results"] if row["student_id"] == ZOE]
    await erase(asleep)
    assert (await asleep.get(f"/compliance/students/{ZOE}/export")).status_code == 404


@pytest.mark.parametrize("record", [True, False])
async def test_an_erasure_takes_a_student_out_of_a_batch_that_waits(tmp_path: Path, asleep: Api, record: bool) -> None:
    batch_id = await sent(asleep, body={"record": record})
    assert (await erase(asleep))["removed_from_store"] == 1, "the batch"
    assert (await erase(asleep))["removed_from_store"] == 0
    assert files_with(tmp_path, ZOE) == []
    working = asyncio.ensure_future(KEEP_WORKING(asleep.engine.batches))
    check_withheld(await shown(asleep, batch_id), student_id=None)
    working.cancel()
    assert files_with(tmp_path, ZOE) == []


async def test_an_erasure_takes_a_student_out_of_a_batch_that_was_worked(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        batch_id = await sent(api)
        assert (await shown(api, batch_id))["summary"]["failed"] == 0
        assert (await erase(api))["removed_from_store"] == 2, "the document and the batch"
        check_withheld(await shown(api, batch_id), student_id=None)
    assert files_with(tmp_path, ZOE) == []


async def test_a_batch_that_is_worked_while_a_student_is_erased_is_worked_again(
    tmp_path: Path, asleep: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure comes after the rows were read, and before the answer is kept."""
    batch_id = await sent(asleep)
    jobs = asleep.stores.jobs
    answer, receipts = jobs.answer, []

    async def erased_before(*values: Any) -> bool:
        if not receipts:
            receipts.append(await erase(asleep))
        return await answer(*values)

    monkeypatch.setattr(jobs, "answer", erased_before)
    working = asyncio.ensure_future(KEEP_WORKING(asleep.engine.batches))
    check_withheld(await shown(asleep, batch_id), student_id=None)
    working.cancel()
    assert receipts[0]["removed_from_store"] == 2
    assert files_with(tmp_path, ZOE) == []


@pytest.mark.parametrize("number", [3, 102])
async def test_a_row_of_a_student_who_is_erased_meanwhile_fails_alone(
    api: Api, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """After the rows were checked, and before they are in the log; in a small batch and in a large one."""
    rows = ROWS[52 - number : 51] if number == 3 else ROWS
    submit = Ingest.submit

    async def erased_before(
        ingest: Ingest, caller: Caller, events: Sequence[LearningEvent], call: str, claim: Any = None
    ) -> list[Logged]:
        await api.engine.consents.erase(StudentKey("default", ZOE))
        return await submit(ingest, caller, events, call, claim)

    monkeypatch.setattr(Ingest, "submit", erased_before)
    answer = await api.post("/batch/mastery", {"requests": rows})
    data = answer.json()["data"]
    if answer.status_code == 202:
        data = await shown(api, data["batch_id"])
    assert [(failure["student_id"], failure["error"]) for failure in data["failures"]] == [(None, WITHHELD)]
    assert data["summary"]["success"] == len(rows) - 1
    monkeypatch.undo()
    assert (await api.post("/mastery/query", {"student_id": ZOE})).status_code == 404


async def test_a_word_of_a_batch_that_is_a_student_s_id_harms_nobody_else(api: Api) -> None:
    """``level`` stands in every answer."""
    await api.learn(event("quiz", student_id="level"))
    batch_id = await sent(api)
    before = await shown(api, batch_id)
    assert (await api.call("DELETE", "/compliance/students/level")).status_code == 200
    assert await shown(api, batch_id) == before
