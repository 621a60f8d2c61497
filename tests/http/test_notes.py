"""Teachers' notes on students: who sees, changes and removes them, how long they stay, and whose they are."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mastery_engine.domain.moments import DAY
from mastery_engine.domain.note import LONGEST_NOTE
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.student import StudentKey
from mastery_engine.services.notes import MOST_NOTES
from tests.support.calls import COHORT, STUDENT, Api, Json, MovedClock, enrolled, event, serving
from tests.support.live import make_token

PLACE = f"/students/{STUDENT}/notes"
PAGE = f"/dashboard/students/{STUDENT}"
FORM = f"{PAGE}/notes"
LIVES = 100 * 86_400  # the clock is moved ahead
ADA = make_token("teacher", subject="ada", cohorts=[COHORT], lives_s=LIVES)
GRACE = make_token("teacher", subject="grace", students=[STUDENT], lives_s=LIVES)
STRANGER = make_token("teacher", subject="eve", students=["somebody_else"])
OWN = make_token("student", subject=STUDENT)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, MovedClock()) as api:
        await api.learn(enrolled(STUDENT, 9))
        yield api


async def write(api: Api, text: str = "Ask about home.", token: str = ADA, **more: Any) -> Json:
    answer = await api.call("POST", PLACE, {"text": text}, token=token, **more)
    assert answer.status_code == 200, answer.text
    note: Json = answer.json()["data"]
    return note


async def notes(api: Api, token: str | None = GRACE, student_id: str = STUDENT) -> list[Json]:
    answer = await api.get(f"/students/{student_id}/notes", token=token)
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["data"]["notes"]
    return found


async def refused(api: Api, method: str, path: str, token: str | None, body: Json | None = None) -> int:
    return (await api.call(method, path, body, token=token)).status_code


async def test_all_teachers_of_a_student_see_what_one_wrote_and_each_changes_their_own(api: Api) -> None:
    note = await write(api, "  Ask about home.\r\nThen  loops. ")
    assert (note["author"], note["course_id"], note["student_id"]) == ("ada", "default", STUDENT)
    assert note["text"] == "Ask about home.\nThen  loops."
    assert note["changed"] is None
    second = await write(api, "Better.", GRACE)
    assert await notes(api) == await notes(api, ADA) == await notes(api, None) == [second, note]
    place = f"{PLACE}/{note['note_id']}"
    admin = make_token(lives_s=LIVES)
    for token in (GRACE, admin):
        assert await refused(api, "PUT", place, token, {"text": "Mine"}) == 403
    assert await refused(api, "DELETE", place, GRACE) == 403
    api.clock.ahead += DAY
    changed = (await api.call("PUT", place, {"text": "Spoke to them."}, token=ADA)).json()["data"]
    assert (changed["written"], changed["text"]) == (note["written"], "Spoke to them.")
    assert changed["changed"] > changed["written"]
    assert changed["expires"] > note["expires"]
    assert await notes(api) == [second, changed], "in the order of their writing"
    assert await refused(api, "DELETE", f"{PLACE}/{second['note_id']}", admin) == 200
    assert await refused(api, "DELETE", place, ADA) == 200
    assert await notes(api) == []
    for method in ("PUT", "DELETE"):
        assert await refused(api, method, place, ADA, {"text": "Again"}) == 404


async def test_nobody_else_reads_or_writes_one(api: Api) -> None:
    note = await write(api)
    service, elsewhere = make_token("service"), make_token(tenant="school-2")
    for token in (STRANGER, OWN, service):
        for method, path in (("GET", PLACE), ("POST", PLACE), ("PUT", f"{PLACE}/{note['note_id']}")):
            assert await refused(api, method, path, token, None if method == "GET" else {"text": "x"}) == 403
        assert await refused(api, "DELETE", f"{PLACE}/{note['note_id']}", token) == 403
    assert await refused(api, "GET", PLACE, elsewhere) == 404
    assert await refused(api, "DELETE", f"{PLACE}/{note['note_id']}", elsewhere) == 404
    assert await refused(api, "POST", "/students/nobody/notes", None, {"text": "x"}) == 404
    assert await refused(api, "GET", "/students/nobody/notes", None) == 404
    assert await notes(api) == [note]


@pytest.mark.parametrize(
    "text", ["", "  \r\n ", "\u200b", "x" * (LONGEST_NOTE + 1), "x" * 100_000, "a\x00b", "a\u202eb"]
)
async def test_a_text_that_is_none_is_refused(api: Api, text: str) -> None:
    answer = await api.call("POST", PLACE, {"text": text}, token=ADA)
    assert (answer.status_code, answer.json()["error"]["details"]) == (400, {"field": "text"})
    assert len((await write(api, "é" * LONGEST_NOTE))["text"]) == LONGEST_NOTE


async def test_there_are_so_many_and_no_more_and_a_repeat_is_one(api: Api) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = [await write(api, headers=key) for _ in range(2)]
    assert first[0] == first[1]
    place = f"{PLACE}/{first[0]['note_id']}"
    changed = [
        (await api.call(method, path, {"text": text}, token=ADA, headers=key)).status_code
        for method, path in (("POST", PLACE), ("PUT", place))
        for text in ("Ask about home.", "With a mark.", "Another.")
    ]
    assert changed == [200, 409, 409, 200, 409, 409]
    for number in range(MOST_NOTES - 1):
        await write(api, f"Note {number}")
    assert await refused(api, "POST", PLACE, ADA, {"text": "One more"}) == 409
    assert first[0] == await write(api, headers=key), "the same again is no other one"
    assert len(await notes(api)) == MOST_NOTES


async def test_a_change_is_of_one_moment(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    note = await write(api)

    def none() -> int:
        raise AssertionError("the clock was read again")

    monkeypatch.setattr(api.engine.notes, "_clock", none)
    place = f"{PLACE}/{note['note_id']}"
    assert await refused(api, "PUT", place, ADA, {"text": "Other"}) == 200
    assert await refused(api, "DELETE", place, ADA) == 200


async def test_who_reads_and_writes_is_on_record(api: Api) -> None:
    note = await write(api)
    await api.call("PUT", f"{PLACE}/{note['note_id']}", {"text": "Other"}, token=GRACE)
    await notes(api)
    await api.call("DELETE", f"{PLACE}/{note['note_id']}", token=ADA)
    found = [(one.subject, one.call, one.allowed) for one in await api.audited() if "note" in one.call]
    assert sorted(found) == [
        ("ada", "add-note", True),
        ("ada", "remove-note", True),
        ("grace", "change-note", False),
        ("grace", "notes", True),
    ]
    looks = await api.engine.privacy.looks(_student(), STUDENT)
    assert {("grace", "notes"), ("ada", "add-note")} <= {(one.subject, one.call) for one in looks}


def _student() -> Any:
    from mastery_engine.auth.access import Caller

    return Caller(STUDENT, "student")


async def test_the_student_has_them_in_the_export_and_an_erasure_takes_them(api: Api) -> None:
    note = await write(api)
    export = (await api.get(f"/compliance/students/{STUDENT}/export", token=OWN)).json()["data"]
    assert export["notes"] == [note]
    assert "entries" not in export
    owner = StudentKey("default", STUDENT)
    assert len(await api.stores.registry.owned(owner, api.clock())) == 1
    assert await refused(api, "DELETE", f"/compliance/students/{STUDENT}", None) == 200
    assert await api.stores.registry.owned(owner, api.clock()) == []
    assert await refused(api, "POST", PLACE, ADA, {"text": "After"}) == 403, "nothing new is kept of them"
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"processing": True})
    await api.learn(enrolled(STUDENT, 8, days_ago=-0.001))
    assert await notes(api) == []


async def test_one_that_is_written_during_an_erasure_goes_with_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    written, registry = asyncio.Event(), api.engine.notes._registry
    erased = asyncio.Event()

    async def late(table: str, *given: Any) -> Any:
        if table == "notes":  # the hour's figures are written meanwhile, too
            written.set()
            await erased.wait()
        return await type(registry).write(registry, table, *given)

    monkeypatch.setattr(registry, "write", late)
    writing = asyncio.ensure_future(api.call("POST", PLACE, {"text": "Too late"}, token=ADA))
    await written.wait()
    monkeypatch.undo()
    assert await refused(api, "DELETE", f"/compliance/students/{STUDENT}", None) == 200
    erased.set()
    assert (await writing).status_code == 404
    assert await api.stores.registry.owned(StudentKey("default", STUDENT), api.clock()) == []


async def test_without_consent_to_processing_nothing_new_is_written(api: Api) -> None:
    note = await write(api)
    place = f"{PLACE}/{note['note_id']}"
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"processing": False})
    assert await refused(api, "POST", PLACE, ADA, {"text": "More"}) == 403
    assert await refused(api, "PUT", place, ADA, {"text": "More"}) == 403
    assert await notes(api) == [note]
    assert await refused(api, "DELETE", place, ADA) == 200


async def test_they_go_after_the_retention(api: Api) -> None:
    note = await write(api)
    api.clock.ahead = 89 * DAY
    await api.learn(enrolled(STUDENT, 7))
    admin = make_token(lives_s=LIVES)
    assert await notes(api, admin) == [note]
    api.clock.ahead = 90 * DAY
    assert await notes(api, admin) == []
    await api.engine.purge.run()
    assert await api.stores.registry.owned(StudentKey("default", STUDENT), 0) == []


async def test_they_stay_with_the_person_whose_identity_is_linked(api: Api) -> None:
    lms = {"system": "https://lms.example", "id": "42"}
    theirs = api.engine.people._profiles.derived_id("default", Identity(**lms))
    await api.learn({**event("quiz", student_id=theirs), "event_id": "m-1"})
    note = (await api.post(f"/students/{theirs}/notes", {"text": "Quiet in class."})).json()["data"]
    assert (await api.call("PUT", f"/students/{STUDENT}/profile", {"external": [lms]})).status_code == 200
    assert [one["note_id"] for one in await notes(api)] == [note["note_id"]]
    for method in ("GET", "POST"):
        status = await refused(
            api, method, f"/students/{theirs}/notes", None, {"text": "x"} if method == "POST" else None
        )
        assert status == {"GET": 404, "POST": 409}[method]
    place = f"{PLACE}/{note['note_id']}"
    subject = (await notes(api))[0]["author"]
    changed = await api.call("PUT", place, {"text": "Loud by now."}, token=make_token(subject=subject))
    assert changed.json()["data"]["student_id"] == STUDENT
    assert [one["text"] for one in await notes(api)] == ["Loud by now."]
    assert await refused(api, "DELETE", f"/compliance/students/{STUDENT}", None) == 200
    for one in (theirs, STUDENT):
        assert await api.stores.registry.owned(StudentKey("default", one), api.clock()) == []


async def sent(api: Api, token: str = ADA, path: str = FORM, **form: str) -> httpx.Response:
    return await api.client.post(path, data=form, headers={"Cookie": f"mastery_session={token}"})


async def page_of(api: Api, token: str = ADA, query: str = "") -> str:
    answer = await api.client.get(f"{PAGE}{query}", headers={"Cookie": f"mastery_session={token}"})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_teacher_writes_changes_and_removes_a_note_on_the_page_without_a_script(api: Api) -> None:
    page = await page_of(api)
    assert "No note yet." in page
    (once,) = re.findall(r'name="once" value="([^"]+)"', page)
    form = {"do": "add", "once": once, "text": "<b>Ask</b> about home.\r\nSoon."}
    for _ in range(2):  # the button was pressed twice
        answer = await sent(api, **form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}#notes")
    page = await page_of(api, GRACE)
    assert page.count("&lt;b&gt;Ask&lt;/b&gt; about home.\nSoon.") == 1
    assert '<strong dir="auto">ada</strong>' in page
    assert "?change=" not in page
    assert "?remove=" not in page
    assert "?remove=" in await page_of(api, make_token())
    page = await page_of(api)
    (change,) = re.findall(r'href="([^"#]+[?]change=[^"#]+)#', page)
    page = await page_of(api, query=change.removeprefix(PAGE))
    assert "&lt;b&gt;Ask&lt;/b&gt; about home.\nSoon.</textarea>" in page
    (note_id,) = re.findall(r'name="note" value="([^"]+)"', page)
    assert (await sent(api, do="change", note=note_id, text="Asked.")).status_code == 303
    page = await page_of(api, query=f"?remove={note_id}")
    assert "Remove this note for good?" in page
    assert "Asked." in page
    assert (await sent(api, do="remove", note=note_id)).status_code == 303
    assert "No note yet." in await page_of(api)
    again = await api.client.get(FORM, headers={"Cookie": f"mastery_session={ADA}"})
    assert (again.status_code, again.headers["location"]) == (303, f"{PAGE}#notes")


async def test_what_was_typed_is_there_again_where_it_could_not_be_kept(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = await write(api, "As it was.")
    long = "<long> " + "x" * LONGEST_NOTE
    for form, where in (
        ({"do": "add"}, "note"),
        ({"do": "change", "note": note["note_id"]}, "changed"),
        ({"do": "change", "note": "gone-meanwhile"}, "note"),
    ):
        answer = await sent(api, text=long, **form)
        assert answer.status_code == 400
        assert f'role="alert" id="{where}-error"' in answer.text
        assert re.search(rf'<textarea id="{where}"[^>]* aria-invalid="true">\n&lt;long&gt; x', answer.text)
    assert "shorten it" in answer.text
    answer = await sent(api, do="change", note="gone-meanwhile", text="Kept.")
    assert (answer.status_code, "it was removed, or has expired" in answer.text) == (404, True)
    assert "\nKept.</textarea>" in answer.text
    assert "Write something" not in answer.text
    empty = await sent(api, do="add", text=" ")
    assert (empty.status_code, "The note is empty" in empty.text) == (400, True)
    assert (await sent(api, do="burn", text="Kept.")).status_code == 400
    spanish = await api.client.post(
        FORM, data={"text": long}, headers={"Cookie": f"mastery_session={ADA}", "Accept-Language": "es"}
    )
    assert "La nota es demasiado larga" in spanish.text

    async def away(*_: object) -> None:
        from mastery_engine.errors import Unavailable

        raise Unavailable("The store is away.")

    monkeypatch.setattr(api.engine.notes._registry, "owned", away)
    answer = await sent(api, do="add", text="<Not> lost.")
    assert (answer.status_code, "\n&lt;Not&gt; lost.</textarea>" in answer.text) == (503, True)


async def test_a_long_note_of_any_script_is_kept_and_who_is_signed_out_meanwhile_loses_no_word(
    api: Api,
) -> None:
    for letter in ("\N{DEVANAGARI LETTER KA}", "\N{GRINNING FACE}"):
        text = letter * LONGEST_NOTE
        assert (await sent(api, text=text)).status_code == 303
        assert text in await page_of(api)
        longer = await sent(api, text=text + letter)
        assert (longer.status_code, text in longer.text) == (400, True)
    late = await api.client.post(FORM, data={"text": "<Written> for an hour."})
    assert (late.status_code, 'id="token"' in late.text) == (401, True)
    assert "\n&lt;Written&gt; for an hour.</textarea>" in late.text
    huge = await api.client.post(
        FORM, data={"text": "x" * 70_000}, headers={"Cookie": f"mastery_session={ADA}", "Accept": "text/html"}
    )
    assert (huge.status_code, huge.headers["content-type"]) == (413, "text/html; charset=utf-8")


async def test_a_form_of_another_site_or_of_nobody_keeps_nothing(api: Api) -> None:
    foreign = {"Cookie": f"mastery_session={ADA}", "Sec-Fetch-Site": "cross-site"}
    assert (await api.client.post(FORM, data={"text": "x"}, headers=foreign)).status_code == 403
    assert (await api.client.post(FORM, data={"text": "x"})).status_code == 401
    for token in (STRANGER, OWN, make_token("service")):
        assert (await sent(api, token, text="x")).status_code == 403
    assert await notes(api) == []


async def test_a_student_is_told_that_there_are_notes_and_services_see_none(api: Api) -> None:
    own = {"Cookie": f"mastery_session={OWN}"}
    assert "data-notes" not in (await api.client.get("/dashboard/my-data", headers=own)).text
    await write(api, "For teachers alone.")
    page = (await api.client.get("/dashboard/my-data", headers=own)).text
    assert "Your teachers keep 1 note about you." in page
    assert "For teachers alone." not in page
    assert "For teachers alone." in (await api.client.get("/dashboard/my-data/export", headers=own)).text
    for token in (OWN, make_token("service")):
        page = await page_of(api, token)
        assert 'id="notes"' not in page
        assert "For teachers alone." not in page


async def test_a_page_begins_with_the_latest_notes(api: Api) -> None:
    for number in range(22):
        await write(api, f"Number {number:02}.")
    page = await page_of(api)
    assert re.findall(r"Number (\d\d)\.", page) == [f"{number:02}" for number in range(21, 1, -1)]
    assert "Show all 22 notes" in page
    assert len(re.findall(r"Number \d\d\.", await page_of(api, query="?notes=all"))) == 22
