"""Addresses that ask for what there is not: the page says so, in the reader's language, and what there is instead."""

import ast
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from mastery_engine.auth.access import ROLES, Act
from mastery_engine.http.dashboard import refusals, told
from mastery_engine.http.dashboard.words import LANGUAGES, is_in_catalogues, words_of
from mastery_engine.http.problems import CODE
from mastery_engine.wiring_clocks import system_clock
from tests.support.calls import Api, event, make_token, serving
from tests.support.logs import letter

ADA, NEW = "ada_1", "new_1"
SOURCE = Path(__file__).parents[2] / "src"
SOURCES = [path.read_text() for path in SOURCE.rglob("*.py") if "dashboard" not in path.parts]
HOOK = {"url": "https://example.com/hook", "types": ["mastery.updated"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with serving(tmp_path_factory.mktemp("vain"), rate_limit_enabled=False, webhook_allow_private=True) as api:
        await api.call("PUT", "/courses/art", {"title": "Art"})
        await api.learn(event("quiz", student_id=ADA), event("answer", student_id=ADA, skills=["loops"]))
        await api.learn({**event("quiz", student_id=ADA), "course_id": "art"})
        now = {"received": system_clock(), "at": system_clock()}
        await api.logs.dead_letters.append([letter(101, value=b"{", event_id="bad", **now)])
        (await api.call("PUT", "/webhooks/hook", HOOK)).raise_for_status()
        yield api


async def asked(api: Api, path: str, role: str, language: str = "en", **how: object) -> httpx.Response:
    subject = {"student": ADA, "new": NEW, "teacher": "grace", "admin": "ops"}[role]
    is_student = role in ("student", "new")
    token = make_token("student" if is_student else role, subject=subject, students=[ADA] if role == "teacher" else [])
    headers = {"Cookie": f"mastery_session={token}; mastery_language={language}", "Accept": "text/html"}
    if "data" in how:
        return await api.client.post(path, headers=headers, data=how["data"])  # type: ignore[arg-type]
    return await api.client.get(path, headers=headers)


def words_in(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


NO_COURSE = ("There is no such course.", "Courses that you may open")
ODD = ("There is no choice “zzz” here: the usual one is shown.",)
DATE = ("“soon” is no date: write it as 2026-11-29. The usual days are shown.",)
NO_NOTE = ("There is no such note: it was removed, or has expired.",)
STUDENT = f"/dashboard/students/{ADA}"
IN = "?course_id=default"
LETTERS = "/dashboard/dead-letters"
IN_VAIN = [
    ("teacher", "/dashboard?course_id=zzz", 404, NO_COURSE),
    ("teacher", "/dashboard/class.csv?course_id=zzz", 404, NO_COURSE),
    ("teacher", "/dashboard/group?skill=loops&course_id=zzz", 404, NO_COURSE),
    ("teacher", f"{STUDENT}?course_id=zzz", 404, NO_COURSE),
    ("student", f"{STUDENT}?course_id=zzz", 404, NO_COURSE),
    ("new", f"/dashboard/students/{NEW}?course_id=zzz", 404, ("There is no such course.",)),
    ("admin", f"{STUDENT}?course_id=zzz", 404, NO_COURSE),
    ("teacher", "/dashboard?cohort=zzz", 403, ("You may not see this class.",)),
    ("teacher", "/dashboard/group?skill=zzz", 404, ("The course has no such skill.", "The skills of the course")),
    ("teacher", "/dashboard?sort=zzz", 400, ODD),
    ("teacher", "/dashboard?dir=zzz", 400, ODD),
    ("teacher", "/dashboard?days=zzz", 400, ODD),
    ("teacher", "/dashboard?map=zzz", 400, ODD),
    ("teacher", "/dashboard?level=zzz", 400, ODD),
    ("teacher", "/dashboard/class.csv?sort=zzz", 400, ODD),
    ("teacher", "/dashboard?from=soon", 400, DATE),
    ("teacher", "/dashboard/class.csv?to=soon", 400, (DATE[0].partition(" The")[0],)),
    ("teacher", "/dashboard/group?skill=loops&from=soon", 400, DATE),
    ("teacher", f"{STUDENT}{IN}&from=soon&to=2026-01-01", 400, DATE),
    ("student", f"{STUDENT}{IN}&to=soon", 400, DATE),
    ("student", f"{STUDENT}{IN}&from=2020-01-01", 400, ("Only the days from ", "are known: choose from them.")),
    ("teacher", f"{STUDENT}{IN}&change=zzz", 200, NO_NOTE),
    ("teacher", f"{STUDENT}{IN}&remove=zzz", 200, NO_NOTE),
    ("teacher", "/dashboard/find?student=a%20b", 400, ("A student's id has only letters",)),
    ("teacher", "/dashboard/students/zzz", 403, ("You may not see this student.",)),
    ("admin", "/dashboard/students/zzz", 404, ("Nothing is known about this student yet.",)),
    ("teacher", f"/dashboard/compare?student={ADA}", 400, ("choose both",)),
    ("teacher", f"/dashboard/compare?student={ADA}&cohort=zzz", 403, ("You may not see this class.",)),
    ("admin", f"/dashboard/compare?student={ADA}&cohort=zzz", 404, ("The student is not in this class",)),
    ("admin", f"{LETTERS}?code=zzz", 404, ("No dead letter has this reason.", "VALIDATION_ERROR (1)")),
    ("admin", f"{LETTERS}/redrive?code=zzz", 404, ("No dead letter has this reason.", "VALIDATION_ERROR (1)")),
    ("admin", LETTERS, 400, ("The address names no reason",)),
    ("admin", f"{LETTERS}?code=VALIDATION_ERROR&before=zzz", 400, ("A dead letter is named by its number.",)),
    ("admin", f"{LETTERS}?code=VALIDATION_ERROR&redrive=zzz", 400, ("A dead letter is named by its number.",)),
    ("admin", f"{LETTERS}?code=VALIDATION_ERROR&redrive=999", 404, ("There is no such dead letter.",)),
    ("admin", f"{LETTERS}/redriven/zzz", 404, ("There is no such redrive",)),
    ("admin", "/dashboard/webhooks/zzz", 404, ("There is no webhook with this id.",)),
    ("admin", "/dashboard/webhooks/hook?state=zzz", 400, ("No message is in such a state",)),
    ("admin", "/dashboard/webhooks/hook?cursor=zzz", 400, ("This address leads to no place in the list",)),
    ("admin", "/dashboard/webhooks/hook?resend=zzz", 404, ("This webhook has no such message.",)),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("role", "path", "status", "said"), IN_VAIN, ids=[f"{one[0]} {one[1]}" for one in IN_VAIN])
async def test_a_page_says_that_there_is_no_such_thing(
    api: Api, role: str, path: str, status: int, said: tuple[str, ...]
) -> None:
    answer = await asked(api, path, role)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, "text/html")
    text = words_in(answer.text)
    assert all(one in text for one in said), text
    for language in sorted(set(LANGUAGES) - {"en"}):
        other = words_in((await asked(api, path, role, language)).text)
        assert not [one for one in said if len(one) > 20 and one in other], other
        assert not re.search(r"(GET|PUT|POST|DELETE) /|What the service said", other)


@pytest.mark.asyncio(loop_scope="module")
async def test_who_asks_for_a_course_in_vain_is_led_to_those_that_there_are(api: Api) -> None:
    for path, role in (("/dashboard", "teacher"), (STUDENT, "teacher"), (STUDENT, "student"), (STUDENT, "admin")):
        page = (await asked(api, f"{path}?course_id=zzz", role)).text
        for course, title in (("art", "Art"), ("default", "default")):
            assert f'<a href="{path}?course_id={course}">{title}</a>' in page
            assert (await asked(api, f"{path}?course_id={course}", role)).status_code == 200
    (await api.call("PUT", "/courses/empty", {"title": "Nobody yet"})).raise_for_status()
    empty = await asked(api, "/dashboard?course_id=empty", "teacher")
    assert empty.status_code == 200, "it is there, without anybody"
    elsewhere = await asked(api, f"{STUDENT}?course_id=empty", "teacher")
    assert elsewhere.status_code == 404
    assert "Nothing is known of this student in this course." in elsewhere.text
    assert f'<a href="{STUDENT}?course_id=art">Art</a>' in elsewhere.text


@pytest.mark.asyncio(loop_scope="module")
async def test_a_language_that_there_is_not_is_refused(api: Api) -> None:
    answer = await asked(api, "/dashboard/language", "teacher", data={"language": "tlh", "back": "/dashboard"})
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    assert "These pages are not in that language" in answer.text


@pytest.mark.asyncio(loop_scope="module")
async def test_only_operators_read_what_the_service_said_in_english(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise told.NotFound("It is gone: PUT /it/back.")

    monkeypatch.setattr(type(api.engine.standings), "compare", away)
    path = f"/dashboard/compare?student={ADA}&cohort=zzz"
    for language in LANGUAGES:
        teachers = words_in((await asked(api, path, "teacher", language)).text)
        assert "PUT" not in teachers
        assert words_of(language).gettext(told.GENERAL["NOT_FOUND"]) in teachers
        assert "NOT_FOUND" in teachers
        assert "It is gone: PUT /it/back." in words_in((await asked(api, path, "admin", language)).text)


def test_every_refusal_of_a_launch_has_a_sentence() -> None:
    """One that is always the same is translated as it is; one with something in it has a sentence by its reason."""
    refused = [
        (ast.literal_eval(call.args[0]), call.args[1])
        for source in SOURCES
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "LaunchRefused"
    ]
    always = {str(one.value) for _, one in refused if isinstance(one, ast.Constant)}
    assert not [sentence for sentence in always if not is_in_catalogues(sentence)]
    reasons = {reason for reason, one in refused if not isinstance(one, ast.Constant)}
    assert reasons == set(refusals.OTHERS)
    assert all(is_in_catalogues(sentence) for sentence in refusals.OTHERS.values())


def test_every_code_has_a_sentence() -> None:
    assert set(CODE.values()) - {"HEADERS_TOO_LARGE"} <= set(told.GENERAL)


def test_services_say_what_pages_have_sentences_for() -> None:
    said = "\n".join(re.sub(r'"\s*\n\s*"', "", source) for source in SOURCES)
    assert not [sentence for sentence in (*told.SAID, *refusals.ALWAYS) if f'"{sentence}"' not in said]
    assert set(told.OF_ROLES) == {f"The role {role} may not {Act.OPERATE.value}." for role in ROLES}
