"""Rosters over HTTP: people, classes and teachers of a school's own list, once and again."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mastery_engine.domain.moments import SECOND
from mastery_engine.http.middleware.body import MAX_ROSTER, largest_body
from mastery_engine.services import rosters
from tests.support.calls import Api, Json, serving
from tests.support.live import make_token
from tests.support.rosters import CLASSES, ENROLMENTS, FOREIGN, SCHOOL, delta, school, zipped

NOTHING = {"added": 0, "changed": 0, "removed": 0}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


async def imported(api: Api, source: bytes, query: str = "", **how: str) -> Json:
    headers = {"Content-Type": "application/zip"}
    answer = await api.call("POST", f"/rosters/oneroster{query}", content=source, headers=headers, **how)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()["data"]
    return found


def changes(answer: Json) -> dict[str, tuple[int, int, int, int]]:
    return {
        what: tuple(answer[what][how] for how in ("added", "changed", "removed", "unchanged"))
        for what in ("users", "classes", "students", "teachers")
    }


async def members(api: Api, cohort_id: str) -> list[str]:
    """By name who is in a class."""
    found = (await api.get(f"/cohorts/{cohort_id}")).json()["data"]["members"]
    return sorted([(await api.get(f"/students/{one}/profile")).json()["data"]["display_name"] for one in found])


def teacher(subject: str) -> str:
    return make_token("teacher", subject=subject)


async def status(api: Api, path: str, token: str) -> int:
    return (await api.get(path, token=token)).status_code


async def test_a_roster_becomes_people_and_classes_and_a_second_time_changes_nothing(api: Api) -> None:
    tried = await imported(api, school(), "?dry_run=true")
    assert tried["dry_run"]
    assert await status(api, "/cohorts/c1", make_token()) == 404
    first = await imported(api, school())
    assert changes(first) == changes(tried)
    assert changes(first) == {
        "users": (3, 0, 0, 0),
        "classes": (2, 0, 0, 0),
        "students": (3, 0, 0, 0),
        "teachers": (1, 0, 0, 0),
    }
    assert first["wrong"] == []
    assert [(one["file"], one["line"], one["sourced_id"]) for one in first["ignored"]] == [
        ("users.csv", 5, "p1"),
        ("enrollments.csv", 6, "e5"),
    ]
    assert await members(api, "c1") == ["Kim Ono", "Sam Doe"]
    assert (await api.get("/cohorts/c1")).json()["data"]["name"] == "Physics 7b"
    again = await imported(api, school())
    assert changes(again) == {
        "users": (0, 0, 0, 3),
        "classes": (0, 0, 0, 2),
        "students": (0, 0, 0, 3),
        "teachers": (0, 0, 0, 1),
    }
    listed = [one["course_id"] for one in (await api.get("/courses")).json()["data"]["courses"]]
    assert listed == ["crs-1", "crs-2", "default"]


@pytest.mark.parametrize("subject", ["t1", "ada@school", "sub-9"])
async def test_a_teacher_sees_her_classes_with_a_token_that_says_nothing_but_who_she_is(api: Api, subject: str) -> None:
    await imported(api, school())
    (sam,) = [
        one["student_id"]
        for one in (await api.get("/students?query=sam", token=teacher(subject))).json()["data"]["students"]
    ]
    assert (await api.post("/mastery/query", {"student_id": sam}, token=teacher(subject))).status_code == 404
    assert await status(api, "/cohorts/c1", teacher(subject)) == 200
    assert await status(api, "/cohorts/c2", teacher(subject)) == 403
    for other in ("u1", "sam", "p1", "t2", "Ada Lovelace"):
        assert await status(api, "/cohorts/c1", teacher(other)) == 403
    assert await status(api, "/cohorts/c1", make_token("student", subject=subject)) == 403


async def test_whom_a_bulk_file_no_longer_lists_is_out_and_is_erased_by_nothing(api: Api) -> None:
    await imported(api, school())
    (sam,) = (await api.get("/students?query=sam")).json()["data"]["students"]
    less = school(enrollments=ENROLMENTS + "e3,,c1,u2,student\ne4,,c2,u2,student\n")
    answer = await imported(api, less)
    assert changes(answer) == {
        "users": (0, 0, 0, 3),
        "classes": (0, 1, 0, 1),
        "students": (0, 0, 1, 2),
        "teachers": (0, 0, 1, 0),
    }
    assert await members(api, "c1") == ["Kim Ono"]
    assert await status(api, f"/students/{sam['student_id']}/profile", make_token()) == 200
    assert await status(api, "/cohorts/c1", teacher("t1")) == 403
    assert changes(await imported(api, less))["students"] == (0, 0, 0, 2)
    await imported(api, school())
    assert await members(api, "c1") == ["Kim Ono", "Sam Doe"]


async def test_a_delta_changes_only_what_it_says(api: Api) -> None:
    await imported(api, school())
    answer = await imported(
        api,
        delta(
            users="t2,,TRUE,o,teacher,bob,,Bob,Kay\nt1,,TRUE,o,teacher,ada.new,{LTI:sub-9},Ada,Byron\n",
            enrolments="e2,tobedeleted,c1,u1,student\ne9,,c2,t2,teacher\ne10,,c9,u1,student\ne11,,c1,u9,student\n",
        ),
    )
    assert [(one["file"], one["sourced_id"]) for one in answer["wrong"]] == [
        ("enrollments.csv", "e11"),
        ("classes.csv", "c9"),
    ]
    assert await members(api, "c1") == ["Kim Ono"]
    assert await status(api, "/cohorts/c2", teacher("bob")) == 200
    assert [await status(api, "/cohorts/c1", teacher(name)) for name in ("ada.new", "t1", "ada@school")] == [
        200,
        200,
        403,
    ]
    assert changes(answer)["teachers"] == (1, 1, 0, 0)


async def test_an_identity_that_is_linked_to_a_teacher_opens_their_classes_at_once(api: Api) -> None:
    await imported(api, school())
    (ada,) = (await api.get("/students?query=ada")).json()["data"]["students"]
    place = f"/students/{ada['student_id']}/profile"
    before = (await api.get(place)).json()["data"]["external"]
    for sub in ("lti-7", "kim"):
        linked = {"external": [*before, {"system": "https://lms.example", "id": sub}]}
        assert (await api.call("PUT", place, linked)).status_code == 200
    assert await status(api, "/cohorts/c1", teacher("kim")) == 200
    assert await status(api, "/cohorts/c1", teacher("lti-7")) == 403, "taken from them again"
    assert await status(api, "/cohorts/c2", teacher("kim")) == 403
    assert await status(api, "/cohorts/c1", teacher("t1")) == 200
    assert (await api.call("PUT", place, {"external": before})).status_code == 200
    assert await status(api, "/cohorts/c1", teacher("kim")) == 403
    second = delta(users="t2,,TRUE,o,teacher,bob,,Bob,Kay\n", enrolments="e9,,c2,t2,teacher\n")
    await imported(api, second)
    linked = {"external": [*before, {"system": "https://lms.example", "id": "bob"}]}
    assert (await api.call("PUT", place, linked)).status_code == 200
    api.clock.ahead += SECOND
    assert await status(api, "/cohorts/c1", teacher("bob")) == 403, "another teacher is called so"
    assert await status(api, "/cohorts/c2", teacher("bob")) == 200


async def test_an_export_lists_the_classes_that_one_teaches(api: Api) -> None:
    await imported(api, school())
    (ada,) = (await api.get("/students?query=ada")).json()["data"]["students"]
    held = (await api.get(f"/compliance/students/{ada['student_id']}/export")).json()["data"]
    assert [(one["cohort_id"], one["course_id"], one["teaches"], one["is_member"]) for one in held["cohorts"]] == [
        ("c1", "crs-1", True, False)
    ]
    (sam,) = (await api.get("/students?query=sam")).json()["data"]["students"]
    held = (await api.get(f"/compliance/students/{sam['student_id']}/export")).json()["data"]
    assert [(one["cohort_id"], one["teaches"], one["put_in_by_admin"]) for one in held["cohorts"]] == [
        ("c1", False, True)
    ]


async def test_a_large_schools_classes_are_planned_beside_other_calls(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[bool] = []

    def noting(*given: object, **named: object) -> object:
        planned.append(threading.current_thread() is threading.main_thread())
        return plan(*given, **named)

    plan: Any = rosters.changes_of
    monkeypatch.setattr(rosters, "changes_of", noting)
    await imported(api, school())
    assert planned == [False]


async def test_who_leaves_the_school_leaves_all_classes(api: Api) -> None:
    await imported(api, school())
    gone = delta(users="u2,tobedeleted,TRUE,o,student,kim,,Kim,Ono\nt1,inactive,TRUE,o,teacher,ada@school,,Ada,L\n")
    answer = await imported(api, gone)
    assert changes(answer)["users"] == (0, 0, 2, 0)
    assert (await members(api, "c1"), await members(api, "c2")) == (["Sam Doe"], [])
    assert await status(api, "/cohorts/c1", teacher("t1")) == 403
    assert changes(await imported(api, gone))["users"] == (0, 0, 0, 0)


async def test_a_class_that_is_over_has_nobody(api: Api) -> None:
    await imported(api, school())
    over = delta(classes="c1,tobedeleted,,\nc7,tobedeleted,Never,crs-1\n")
    assert changes(await imported(api, over))["classes"] == (0, 0, 1, 1)
    assert await members(api, "c1") == []
    assert await status(api, "/cohorts/c7", make_token()) == 404


async def test_a_user_whom_a_profile_names_is_that_student(api: Api) -> None:
    linked = {"display_name": "S.", "external": [{"system": "LDAP", "id": "s1"}]}
    assert (await api.call("PUT", "/students/sam_7/profile", linked)).status_code == 200
    await imported(api, school())
    profile = (await api.get("/students/sam_7/profile")).json()["data"]
    assert profile["display_name"] == "Sam Doe"
    assert profile["external"] == [
        {"system": "LDAP", "id": "s1"},
        {"system": "oneroster", "id": "u1"},
        {"system": "oneroster:username", "id": "sam"},
    ]
    assert "sam_7" in (await api.get("/cohorts/c1")).json()["data"]["members"]


async def test_a_name_that_two_users_have_opens_no_class(api: Api) -> None:
    users = SCHOOL["users.csv"] + "t2,,TRUE,o,teacher,ada@school,,Eve,M\nt3,,TRUE,o,teacher,t1,,Mal,M\n"
    answer = await imported(api, school(users=users, enrollments=SCHOOL["enrollments.csv"] + "e7,,c2,t3,teacher\n"))
    assert {one["sourced_id"] for one in answer["ignored"]} == {"t1", "t2", "t3", "p1", "e5"}
    assert await status(api, "/cohorts/c1", teacher("ada@school")) == 403
    assert await status(api, "/cohorts/c1", teacher("t1")) == 200
    assert await status(api, "/cohorts/c2", teacher("t1")) == 403
    assert await status(api, "/cohorts/c2", teacher("t3")) == 200


async def test_an_id_that_two_users_have_in_two_systems_opens_no_class(api: Api) -> None:
    """Eve may choose her username, and chooses what another system calls Ada."""
    users = SCHOOL["users.csv"] + "t2,,TRUE,o,teacher,sub-9,,Eve,M\nt3,,TRUE,o,teacher,bob,{LTI:t2},Bob,M\n"
    await imported(api, school(users=users, enrollments=SCHOOL["enrollments.csv"] + "e7,,c2,t3,teacher\n"))
    assert [await status(api, "/cohorts/c1", teacher(name)) for name in ("sub-9", "t2", "t1")] == [403, 403, 200]
    assert [await status(api, "/cohorts/c2", teacher(name)) for name in ("t2", "bob")] == [403, 200]


async def test_a_teacher_is_known_however_a_token_spells_them(api: Api) -> None:
    users = SCHOOL["users.csv"] + "jose\u0301,,TRUE,o,teacher,j,,Jos\u00e9,M\n"
    await imported(api, school(users=users, enrollments=SCHOOL["enrollments.csv"] + "e7,,c2,jose\u0301,teacher\n"))
    assert [await status(api, "/cohorts/c2", teacher(name)) for name in ("jose\u0301", "jos\u00e9", "jose")] == [
        200,
        200,
        403,
    ]


async def test_a_wrong_row_takes_nobody_out_of_a_class(api: Api) -> None:
    await imported(api, school())
    spoilt = SCHOOL["users.csv"].replace("Sam,", "S\xf6m,").replace("Ada,", "\xc4da,").encode("latin-1")
    answer = await imported(api, zipped(SCHOOL | {"users.csv": spoilt}))
    assert [one["sourced_id"] for one in answer["wrong"]] == ["", "", "e1", "e2"]
    assert changes(answer)["students"] == (0, 0, 0, 3)
    assert await members(api, "c1") == ["Kim Ono", "Sam Doe"]
    assert await status(api, "/cohorts/c1", teacher("t1")) == 200
    less = SCHOOL["enrollments.csv"].replace("e3,,c1,u2,student\n", "")
    answer = await imported(api, zipped(SCHOOL | {"users.csv": spoilt, "enrollments.csv": less}))
    assert changes(answer)["students"] == (0, 0, 1, 2)
    assert await members(api, "c1") == ["Sam Doe"]


async def test_a_user_who_cannot_be_told_from_another_stays_where_they_are(api: Api) -> None:
    await imported(api, school())
    for one in ("kim_1", "kim_2"):
        put = {"external": [{"system": "A", "id": one}]}
        assert (await api.call("PUT", f"/students/{one}/profile", put)).status_code == 200
    users = SCHOOL["users.csv"].replace("u2,active,TRUE,o,student,kim,", 'u9,,TRUE,o,student,kim,"{A:kim_1},{A:kim_2}"')
    enrolments = SCHOOL["enrollments.csv"].replace("u2,", "u9,") + "e9,,c1,u2,student\n"
    answer = await imported(api, school(users=users, enrollments=enrolments))
    assert {one["sourced_id"] for one in answer["wrong"]} == {"u9", "e3", "e4", "e9"}
    assert await members(api, "c1") == ["Kim Ono", "Sam Doe"]


async def test_whoever_was_erased_is_not_brought_back(api: Api) -> None:
    await imported(api, school())
    (sam,) = (await api.get("/students?query=sam")).json()["data"]["students"]
    assert (await api.call("DELETE", f"/compliance/students/{sam['student_id']}")).status_code == 200
    answer = await imported(api, school())
    assert [one["sourced_id"] for one in answer["wrong"]] == ["u1", "e2"]
    assert await members(api, "c1") == ["Kim Ono"]


async def test_only_admins_import_and_only_zips(api: Api) -> None:
    for role in ("student", "teacher", "service"):
        answer = await api.call("POST", "/rosters/oneroster", content=b"", token=make_token(role))
        assert answer.status_code == 403
    assert (await api.call("POST", "/rosters/oneroster", content=school())).status_code == 415
    headers = {"Content-Type": "application/zip"}
    for source in (b"", b"PK", zipped({"users.csv": "a\n"})):
        answer = await api.call("POST", "/rosters/oneroster", content=source, headers=headers)
        assert answer.status_code == 400
    assert await status(api, "/cohorts/c1", make_token()) == 404


async def test_a_zip_may_be_as_large_as_a_school_and_a_key_stands_for_one(api: Api) -> None:
    assert largest_body("POST", "/rosters/oneroster") == MAX_ROSTER
    headers = {"Content-Type": "application/zip", "Idempotency-Key": "k1"}
    large = zipped(SCHOOL | {"photos.csv": Random(1).randbytes(3_000_000)})  # three times what another body may have
    for _ in range(2):
        answer = await api.call("POST", "/rosters/oneroster", content=large, headers=headers)
        assert answer.status_code == 200, answer.text
    changed = await api.call("POST", "/rosters/oneroster", content=school(classes=CLASSES), headers=headers)
    assert changed.status_code == 409
    too_large = await api.call("POST", "/rosters/oneroster", content=bytes(MAX_ROSTER + 1), headers=headers)
    assert (too_large.status_code, too_large.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_names_stand_in_no_audit_record(api: Api) -> None:
    await imported(api, school())
    api.clock.ahead += SECOND
    trail = (await api.get("/compliance/audit?call=import-roster")).text
    assert "import-roster" in trail
    for name in ("Sam", "Doe", "ada@school", "u1"):
        assert f'"{name}' not in trail


@pytest.mark.skipif(not FOREIGN.is_dir(), reason="the shared files are not beside this repository")
@pytest.mark.parametrize("name", ["Test_minimal_data_set.zip", "v1p2_full_dataset.zip"])
async def test_other_peoples_rosters_and_their_teacher(api: Api, name: str) -> None:
    source = (FOREIGN / name).read_bytes()
    first = await imported(api, source)
    assert first["wrong"] == []
    assert first["users"]["added"] >= 5
    assert await status(api, "/cohorts/cls-222-123456", teacher("usr-222-123456")) == 200
    again = await imported(api, source)
    assert all(again[what] | {"unchanged": 0} == NOTHING | {"unchanged": 0} for what in changes(again))
