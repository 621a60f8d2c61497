"""Profiles and the search by name over HTTP: who puts, reads and finds whom, and where names never stand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.ports.people import NO_STORED_PROFILE
from mastery_engine.services import people
from tests.support.calls import STUDENT, Api, Json, event, serving
from tests.support.live import make_token

ADMIN, SERVICE = make_token("admin"), make_token("service")
OWN = make_token("student", subject=STUDENT)
PLACE = f"/students/{STUDENT}/profile"
MAIL = {"system": "mailto", "id": "ada@school.example"}
ADA: Json = {"display_name": "Ada Lovelace", "language": "en-GB", "external": [MAIL]}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


async def named(api: Api, **names: str | None) -> None:
    for student_id, name in names.items():
        answer = await api.call("PUT", f"/students/{student_id}/profile", {"display_name": name})
        assert answer.status_code == 200, answer.text


async def found(api: Api, query: str = "", **how: str) -> list[tuple[str, str | None, list[str]]]:
    """All pages of a search, three students a page."""
    students: list[Json] = []
    cursor = ""
    while True:
        answer = await api.get(f"/students?limit=3{query}{cursor}", **how)
        assert answer.status_code == 200, answer.text
        page = answer.json()["data"]
        students += page["students"]
        if page["next_cursor"] is None:
            break
        assert len(page["students"]) == 3
        cursor = f"&cursor={page['next_cursor']}"
    return [(one["student_id"], one["display_name"], one["cohorts"]) for one in students]


async def test_a_profile_is_put_part_by_part(api: Api) -> None:
    assert (await api.get(PLACE)).status_code == 404
    first = (await api.call("PUT", PLACE, ADA, token=SERVICE)).json()["data"]
    assert first == {"student_id": STUDENT, **ADA}
    second = (await api.call("PUT", PLACE, {"language": None}, token=ADMIN)).json()["data"]
    assert second == {**first, "language": None}
    for token in (ADMIN, SERVICE, OWN):
        assert (await api.get(PLACE, token=token)).json()["data"] == second
    elsewhere = make_token("admin", tenant="school-1")
    assert (await api.get(PLACE, token=elsewhere)).status_code == 404
    assert (await api.call("PUT", PLACE, ADA, token=elsewhere)).status_code == 200, "identities are a tenant's"


@pytest.mark.parametrize("role", ["student", "teacher"])
async def test_only_admins_and_services_put_one(api: Api, role: str) -> None:
    token = make_token(role, subject=STUDENT, students=[STUDENT])
    assert (await api.call("PUT", PLACE, ADA, token=token)).status_code == 403
    assert (await api.get(PLACE)).status_code == 404


async def test_a_student_reads_no_other_profile_and_a_teacher_none(api: Api) -> None:
    await api.call("PUT", PLACE, ADA)
    for token in (make_token("student", subject="eve"), make_token("teacher", students=[STUDENT])):
        assert (await api.get(PLACE, token=token)).status_code == 403


async def test_an_identity_of_another_student_is_a_conflict_that_names_nobody(api: Api) -> None:
    await api.call("PUT", PLACE, ADA)
    answer = await api.call("PUT", "/students/eve/profile", {"display_name": "Eve", "external": [MAIL]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
    assert answer.json()["error"]["details"]["field"] == "external"
    assert STUDENT not in answer.text
    assert MAIL["id"] not in answer.text
    assert (await api.get("/students/eve/profile")).status_code == 404
    await api.call("PUT", PLACE, {"external": []})
    assert (await api.call("PUT", "/students/eve/profile", {"external": [MAIL]})).status_code == 200


async def test_who_a_person_is_here(api: Api) -> None:
    profiles = api.engine.people._profiles
    unknown = Identity("mailto", "bob@school.example")
    await api.call("PUT", PLACE, ADA)
    assert await profiles.students_of("default", [Identity(**MAIL), unknown]) == [
        STUDENT,
        profiles.derived_id("default", unknown),
    ]


async def test_wrong_profiles_change_nothing_and_use_no_key_up(api: Api) -> None:
    for body, field in (
        ({"name": "Ada"}, "name"),
        ({"display_name": 7}, "display_name"),
        ({"display_name": " "}, "display_name"),
        ({"language": "English, please"}, "language"),
        ({"external": [{"system": "mailto"}]}, "external[0].id"),
        ({"external": [{"system": "mailto", "id": "a" * 301}]}, "external[0].id"),
        ({"external": [MAIL, MAIL]}, "external"),
    ):
        answer = await api.call("PUT", PLACE, body, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, field), answer.text
    assert (await api.get(PLACE)).status_code == 404
    for body, status in ((ADA, 200), (ADA, 200), ({"language": "es"}, 409)):
        assert (await api.call("PUT", PLACE, body, headers={"Idempotency-Key": "k"})).status_code == status


async def test_students_are_found_by_name_and_id(api: Api) -> None:
    await named(api, ada="Ada Lovelace", bob="Bob Émile Smith", eve=None)
    await api.learn(event(student_id="cyd"), event(student_id="ada"))
    assert await found(api) == [
        ("ada", "Ada Lovelace", []),
        ("bob", "Bob Émile Smith", []),
        ("cyd", None, []),
        ("eve", None, []),
    ]
    assert await found(api, "&query=EMILE") == [("bob", "Bob Émile Smith", [])]
    assert await found(api, "&query=cy", token=SERVICE) == [("cyd", None, [])]
    assert await found(api, "&query=nobody") == []
    assert await found(api, token=make_token("admin", tenant="school-1")) == []


async def test_a_teacher_finds_their_own(api: Api) -> None:
    await named(api, ada="Ada", bob="Bob", cyd="Cyd Ada", dan="Dan")
    await api.call("PUT", "/cohorts/py", {"name": "Python", "members": ["ada", "bob"]})
    await api.call("PUT", "/cohorts/go", {"name": "Go", "members": ["ada", "dan"]})
    teacher = make_token("teacher", cohorts=["py"], students=["cyd", "zoe"])
    every = [("ada", "Ada", ["py"]), ("bob", "Bob", ["py"]), ("cyd", "Cyd Ada", []), ("zoe", None, [])]
    assert await found(api, token=teacher) == every
    assert await found(api, "&query=ada", token=teacher) == [every[0], every[2]]
    assert await found(api, "&cohort_id=py", token=teacher) == every[:2]
    assert (await api.get("/students?cohort_id=go", token=teacher)).status_code == 403
    assert await found(api, "&cohort_id=go") == [("ada", "Ada", ["go", "py"]), ("dan", "Dan", ["go"])]
    assert (await api.get("/students?cohort_id=rust")).status_code == 404
    assert (await api.get("/students", token=OWN)).status_code == 403


async def test_a_person_is_found_by_the_id_of_another_platform_by_who_may_read_profiles(api: Api) -> None:
    await named(api, ada="Mailto Ada@school.example", bob="Bob")
    moodle = {"system": "https://moodle.example", "id": "10 01"}
    await api.call("PUT", "/students/bob/profile", {"external": [moodle, MAIL]})
    await api.call("PUT", "/cohorts/py", {"name": "Python", "members": ["ada"]})
    await api.call("PUT", "/cohorts/go", {"name": "Go", "members": ["bob"]})
    bob = [("bob", "Bob", ["go"])]
    for token in (ADMIN, SERVICE):
        for query in ("https://moodle.example%2010%2001", "mailto%20ada@school.example"):
            assert await found(api, f"&query={query}", token=token) == bob
    assert await found(api, "&query=https://moodle.example%2010") == [], "it is the whole id"
    assert await found(api, "&query=https://moodle.example%20%20") == []
    assert await found(api, "&query=mailto%20ada@school.example&cohort_id=go") == bob
    assert await found(api, "&query=mailto%20ada@school.example&cohort_id=py") == []
    teacher = make_token("teacher", cohorts=["py", "go"])
    assert await found(api, "&query=https://moodle.example%2010%2001", token=teacher) == []
    words = await found(api, "&query=mailto%20ada@school.example", token=teacher)
    assert [one for one, *_ in words] == ["ada"], "to a teacher these are words"
    elsewhere = make_token("admin", tenant="school-1")
    assert await found(api, "&query=mailto%20ada@school.example", token=elsewhere) == []


async def test_who_has_evidence_alone_is_found_by_the_id_that_it_came_under(api: Api) -> None:
    person = Identity("https://lms.example", "77")
    derived = api.engine.people._profiles.derived_id("default", person)
    await api.learn(event(student_id=derived))
    assert await found(api, "&query=https://lms.example%2077") == [(derived, None, [])]
    assert await found(api, "&query=https://lms.example%2078") == []


async def test_students_of_a_course(api: Api) -> None:
    await named(api, ada="Ada", bob="Bob")
    of_course = {**event(student_id="bob"), "course_id": "física / 7"}
    await api.data("/mastery/ingest/batch", {"events": [of_course]})
    await api.learn(event(student_id="ada"))
    async with asyncio.timeout(10):
        while not (await api.stores.documents.versions([DocumentKey("default", "bob", "física / 7")]))[0]:
            await asyncio.sleep(0.01)
    assert await found(api, "&course_id=f%C3%ADsica%20%2F%207") == [("bob", "Bob", [])]
    assert await found(api, "&course_id=default&query=a") == [("ada", "Ada", [])]
    assert await found(api, "&course_id=nothing") == []


async def test_many_students_come_in_pages(api: Api) -> None:
    ids = [f"s{number:03}" for number in range(40)]
    for student_id in ids[::2]:
        await named(api, **{student_id: "Even"})
    await api.learn(*[event(student_id=student_id) for student_id in ids])
    assert [one for one, _, _ in await found(api)] == ids
    assert [one for one, _, _ in await found(api, "&query=even")] == ids[::2]
    assert (await api.get("/students?cursor=nonsense")).status_code == 400


async def test_an_erasure_takes_the_profile_and_the_export_holds_it(api: Api) -> None:
    await api.call("PUT", PLACE, ADA)
    exported = (await api.get(f"/compliance/students/{STUDENT}/export", token=OWN)).json()["data"]
    assert exported["profile"] == {"student_id": STUDENT, **ADA}
    erased = (await api.call("DELETE", f"/compliance/students/{STUDENT}")).json()["data"]
    assert erased["removed_from_store"] == 1
    assert (await api.get(PLACE)).status_code == 404
    assert await found(api, "&query=ada") == []
    people = api.stores.people
    assert await people.load([StudentKey("default", STUDENT)]) == [NO_STORED_PROFILE]
    assert await people.holders("default", [Identity(**MAIL)]) == [None]
    refused = await api.call("PUT", PLACE, ADA)
    assert (refused.status_code, "was erased" in refused.json()["error"]["message"]) == (403, True)
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"processing": True})
    assert (await api.call("PUT", PLACE, ADA)).status_code == 200


async def test_names_and_addresses_stand_in_no_log_topic_metric_or_audit(
    api: Api, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await api.call("PUT", PLACE, ADA)
    await api.learn(event())
    await api.call("PUT", "/students/eve/profile", {"external": [MAIL]})
    await api.get("/students?query=Lovelace")
    await api.get("/students?query=Lovelace", token=OWN)
    audited = await api.audited()
    assert {"put-profile", "students"} <= {record.call for record in audited}
    logged = await api.logs.events.events_of(StudentKey("default", STUDENT))
    written = [line for line in "".join(capfd.readouterr()).splitlines() if '"httpx"' not in line]  # the test's own
    messages = [str(record.__dict__) for record in caplog.records if record.name != "httpx"]
    told = repr([written, messages, (await api.get("/metrics")).text, audited, logged])
    assert logged
    assert len(messages) > 5
    for secret in ("Lovelace", "ada@school", "mailto"):
        assert secret not in told


async def test_names_stand_beside_the_ids_for_who_may_see_the_student(api: Api) -> None:
    low = [event("quiz", student_id=student_id, correct_answers=1) for student_id in ("ada", "bob")]
    await api.learn(*low)
    await api.call("PUT", "/cohorts/py", {"name": "Python", "members": ["ada", "bob"]})
    teacher = make_token("teacher", cohorts=["py"])

    async def answers() -> list[Json]:
        shown = (await api.get("/cohorts/py", token=teacher)).json()["data"]
        figures = await api.data("/analytics/cohort", {"cohort_id": "py"}, token=teacher)
        return [shown, *figures["at_risk"]]

    assert not any("display_name" in repr(answer) for answer in await answers()), "nobody has a name yet"
    await named(api, ada="<Ada> Lovelace")
    shown, *at_risk = await answers()
    assert shown["display_names"] == {"ada": "<Ada> Lovelace"}
    assert {one["student_id"]: one.get("display_name") for one in at_risk} == {"ada": "<Ada> Lovelace", "bob": None}
    for path in ("/dashboard", "/dashboard/students/ada"):
        page = await api.client.get(path, headers={"Cookie": f"mastery_session={teacher}"})
        assert "&lt;Ada&gt; Lovelace" in page.text
        assert "<Ada>" not in page.text
    for tool, arguments in (("who_needs_help", {}), ("cohort_overview", {"cohort_id": "py"})):
        called = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        accepted = {"Accept": "application/json, text/event-stream"}
        told = (await api.post("/mcp", called, headers=accepted, token=teacher)).json()["result"]["structuredContent"]
        assert {one["student_id"]: one.get("name") for one in told["first"]} == {"ada": "«<Ada> Lovelace»", "bob": None}


async def test_a_call_looks_at_so_many_students_and_its_cursor_leads_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a school has: a page may be empty, and nobody is passed over or comes twice."""
    await api.learn(*(event("quiz", student_id=f"s{number}") for number in range(9)))
    await named(api, s2="Zoe", s7="Zoe", t1="Zoe", t2="Kim")
    for name in ("LOOKED_AT", "LOOKED_AT_FOR_WORDS"):
        monkeypatch.setattr(people, name, 2)
    monkeypatch.setattr(people, "MOST_PAGES", 2)
    for query, expected in (
        ("", [*(f"s{number}" for number in range(9)), "t1", "t2"]),
        ("&query=zoe", ["s2", "s7", "t1"]),
        ("&query=s", [f"s{number}" for number in range(9)]),
        ("&course_id=default", [f"s{number}" for number in range(9)]),
        ("&query=nobody", []),
    ):
        students, cursor, calls = [], "", 0
        while cursor is not None:
            page = (await api.get(f"/students?limit=10{query}{cursor and f'&cursor={cursor}'}")).json()["data"]
            students += [one["student_id"] for one in page["students"]]
            cursor, calls = page["next_cursor"], calls + 1
        assert students == expected
        assert calls >= 3, "four students a call"
