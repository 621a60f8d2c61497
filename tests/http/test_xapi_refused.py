"""What an xAPI store keeps out: of students without consent, and evidence that cannot count; and who is told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mastery_engine.domain.moments import DAY, rfc3339
from mastery_engine.domain.student import StudentKey
from tests.support.calls import Api, serving
from tests.support.statements import FIRST_ID, SECOND_ID, Statement, account, small, voiding
from tests.support.xapi_senders import Sender, attachment, send_parts, sender_of, student_of, text

ESSAY = b"an essay"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


@pytest.fixture
async def sender(api: Api) -> Sender:
    return await sender_of(api)


def scored(name: str, **more: Any) -> Statement:
    return small(name, result={"score": {"raw": 9, "max": 10}}, **more)


async def withdraw(api: Api, name: str) -> str:
    student_id = student_of(api, account(name))
    answer = await api.call("PUT", f"/compliance/students/{student_id}/consent", {"processing": False})
    assert answer.status_code == 200
    api.clock.ahead += 2_000_000
    return student_id


async def students_in_log(api: Api) -> set[str]:
    return {
        msgspec.json.decode(one.value or b"")["student_id"] async for page in api.logs.events.pages() for one in page
    }


async def test_one_student_without_consent_keeps_nobody_else_of_a_call_out(api: Api, sender: Sender) -> None:
    ada = await withdraw(api, "ada")
    sent = [scored("bob"), scored("ada"), scored("eve"), small("bob", object=account("ada"))]
    answer = await sender.call("POST", body=sent)
    assert answer.status_code == 200, answer.text
    ids = answer.json()
    assert (len(ids), answer.headers["X-Mastery-Withheld"]) == (4, f"{ids[1]}, {ids[3]}")
    assert await sender.found(ascending="true") == [ids[0], ids[2]]
    assert (await sender.call("GET", query={"statementId": ids[1]})).status_code == 404
    assert (await sender.call("POST", body=sent)).json() == ids, "a repeat is answered alike"
    assert await students_in_log(api) == {student_of(api, account(name)) for name in ("bob", "eve")}
    trail = (await api.get("/compliance/audit?limit=100")).json()["data"]["records"]
    refused = [one for one in trail if one["call"] == "xapi-statements" and not one["allowed"]]
    assert [one["student"] for one in refused] == [api.engine.consents.pseudonym(StudentKey("default", ada))] * 2
    assert 'door="xapi",outcome="refused"} 4.0' in (await api.get("/metrics")).text


async def test_of_what_is_withheld_no_attachment_is_kept(api: Api, sender: Sender) -> None:
    await withdraw(api, "ada")
    answer = await send_parts(sender, [small("bob"), small("ada", attachments=[attachment(ESSAY)])], ESSAY)
    assert answer.status_code == 200, answer.text
    assert api.stores.statements is not None
    assert await api.stores.statements.contents("default", [attachment(ESSAY)["sha2"]]) == {}
    answer = await send_parts(sender, [small("ada"), small("bob", attachments=[attachment(ESSAY)])], ESSAY)
    assert await api.stores.statements.contents("default", [attachment(ESSAY)["sha2"]]) != {}


async def test_a_call_of_which_all_is_withheld_is_forbidden(api: Api, sender: Sender) -> None:
    await withdraw(api, "kim")
    for sent in ([scored("kim")], [scored("kim"), small("kim")]):
        answer = await sender.call("POST", body=sent)
        assert (answer.status_code, "kim" in answer.text) == (403, False)
    assert await students_in_log(api) == set()


async def test_evidence_that_is_refused_is_named_by_its_status_and_in_the_log(
    api: Api, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    bob = student_of(api, account("bob"))
    old = rfc3339(api.clock() - 200 * DAY)
    taken = await sender.post(scored("bob", id=FIRST_ID, timestamp=old), scored("bob", id=SECOND_ID))
    assert taken == [FIRST_ID, SECOND_ID]
    status = (await api.get(f"/students/{bob}/events/xapi:{FIRST_ID}")).json()["data"]
    assert (status["status"], "older than the 90 days" in status["reason"]["message"]) == ("dead_lettered", True)
    told = [one for one in caplog.records if "1 of 2 messages are refused" in one.getMessage()]
    assert [one.__dict__["messages"] for one in told] == [[FIRST_ID]]
    assert [one.__dict__["events"] for one in told] == [[f"xapi:{FIRST_ID}"]]
    assert "older than the 90 days" in told[0].getMessage()


async def test_why_statements_are_ignored_is_in_the_log(sender: Sender, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await sender.post(
        scored("bob", id=FIRST_ID), small("bob", verb={"id": "https://a.example/read"}), voiding(FIRST_ID)
    )
    (told,) = [one for one in caplog.records if "of 3 messages are" in one.getMessage()]
    assert (told.levelname, told.getMessage().startswith("2 of 3 messages are ignored: ")) == ("INFO", True)
    assert "https://a.example/read" in told.getMessage()
    assert "takes no evidence back" in told.getMessage()


async def test_who_was_erased_or_withdrew_is_taken_out_of_what_is_about_others(api: Api, sender: Sender) -> None:
    """As an erasure leaves what was there: so that a sender's repeat is the same statement still."""
    about = {"instructor": account("tom"), "contextActivities": {"parent": [{"id": "https://a.example/1"}]}}
    sent = [scored("bob", id=FIRST_ID, context=about), scored("eve", context=about)]
    ids = await sender.post(*sent)
    tom = student_of(api, account("tom"))
    assert (await api.call("DELETE", f"/compliance/students/{tom}")).status_code == 200
    api.clock.ahead += 2_000_000
    answer = await sender.call("POST", body=[*sent, scored("kim", id=SECOND_ID, context=about)])
    assert answer.status_code == 200, answer.text
    assert (answer.json(), "X-Mastery-Withheld" in answer.headers) == ([*ids, SECOND_ID], False)
    for name in answer.json():
        assert "instructor" not in (await sender.statement(name))["context"]
    assert await sender.found(agent=account("tom"), related_agents="true") == []
    await withdraw(api, "may")
    (other,) = await sender.post(scored("bob", context={"team": {"objectType": "Group", "member": [account("may")]}}))
    assert "may" not in text(await sender.statement(other))


@pytest.mark.parametrize("is_evidence", [True, False])
async def test_an_erasure_between_the_reading_of_consent_and_the_storing_leaves_nothing(
    api: Api, sender: Sender, monkeypatch: pytest.MonkeyPatch, *, is_evidence: bool
) -> None:
    assert api.stores.statements is not None
    put, eve = api.stores.statements.put, student_of(api, account("eve"))

    async def put_late(*given: Any) -> Any:
        assert (await api.call("DELETE", f"/compliance/students/{eve}")).status_code == 200
        return await put(*given)

    monkeypatch.setattr(api.stores.statements, "put", put_late)
    team = {"objectType": "Group", "member": [account("eve"), account("bob")]}
    sent = scored("eve") if is_evidence else small("eve", verb={"id": "https://a.example/read"})
    own, shared = await sender.post(sent, small(actor=team, verb={"id": "https://a.example/read"}))
    assert (await sender.call("GET", query={"statementId": own})).status_code == 404
    assert (await sender.statement(shared))["actor"]["member"] == [account("bob")]
    assert await sender.found(agent=account("eve"), related_agents="true") == []


async def test_an_erasure_while_a_document_is_stored_leaves_none(
    api: Api, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = api.stores.record_documents
    assert documents is not None
    save, eve = documents.save, student_of(api, account("eve"))
    whose = {"stateId": "s", "activityId": "https://a.example/1", "agent": account("eve")}

    async def save_late(*given: Any, **how: Any) -> Any:
        monkeypatch.setattr(documents, "save", save)
        assert (await api.call("DELETE", f"/compliance/students/{eve}")).status_code == 200
        return await save(*given, **how)

    monkeypatch.setattr(documents, "save", save_late)
    answer = await sender.call("PUT", "/activities/state", query=whose, body={"page": 7})
    assert answer.status_code == 403
    assert (await sender.call("GET", "/activities/state", query=whose)).status_code == 404
