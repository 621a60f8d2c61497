"""People and classes by their names on every page, for who may see them; and what an erased student is told."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from mastery_engine.cli.console import operator
from mastery_engine.domain.cohorts.cohort import Teacher
from tests.support.calls import COHORT, STUDENT, Api, MovedClock, enrolled, serving
from tests.support.live import make_token

PAGE = f"/dashboard/students/{STUDENT}"
NAMES = {STUDENT: "Mei Lin", "grace": "Grace Hopper", "t-7": "Ada Lovelace"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, MovedClock()) as api:
        await api.learn(*[enrolled(f"other_{number}", 5) for number in range(5)], enrolled(STUDENT, 9))
        for who, name in NAMES.items():
            (await api.call("PUT", f"/students/{who}/profile", {"display_name": name})).raise_for_status()
        await api.engine.cohorts.name(operator(), COHORT, "Python for beginners")
        yield api


async def shown(api: Api, path: str, role: str, subject: str, **claims: object) -> str:
    token = make_token(role, subject=subject, **claims)  # type: ignore[arg-type]
    answer = await api.client.get(path, headers={"Cookie": f"mastery_session={token}"})
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def reader_of(page: str) -> str:
    return re.findall(r'<span class="who" dir="auto">(.*?)</span>', page)[0]


async def test_a_page_calls_its_reader_by_name_where_they_have_one(api: Api) -> None:
    for path in (PAGE, "/dashboard/my-data"):
        assert reader_of(await shown(api, path, "student", STUDENT)) == "Mei Lin"
    for path in ("/dashboard", PAGE, "/dashboard/compare"):
        assert reader_of(await shown(api, path, "teacher", "grace", cohorts=[COHORT])) == "Grace Hopper"
        assert reader_of(await shown(api, path, "teacher", "t@school", cohorts=[COHORT])) == "t@school"
    assert reader_of(await shown(api, "/dashboard", "admin", "ops")) == "ops", "an id where there is no name"


async def test_a_teacher_of_a_roster_is_named_whatever_their_token_calls_them(api: Api) -> None:
    teachers = (Teacher("t-7", ("ada@school", "t-7")),)
    await api.engine.cohorts.revise(
        operator(), COHORT, "test", lambda at: msgspec.structs.replace(at.cohort, teachers=teachers)
    )
    assert reader_of(await shown(api, "/dashboard", "teacher", "ada@school")) == "Ada Lovelace"


async def test_classes_and_authors_are_named(api: Api) -> None:
    teacher = {"role": "teacher", "subject": "grace", "cohorts": [COHORT]}
    assert "<strong>Python for beginners</strong>" in await shown(api, "/dashboard", **teacher)
    token = make_token("teacher", subject="grace", cohorts=[COHORT])
    written = await api.call("POST", f"/students/{STUDENT}/notes", {"text": "Well done."}, token=token)
    written.raise_for_status()
    page = await shown(api, PAGE, **teacher)
    assert '<strong dir="auto">Grace Hopper</strong>' in page
    assert f'cohort={COHORT}">Python for beginners</a>' in page
    compared = await shown(api, f"/dashboard/compare?student={STUDENT}&cohort={COHORT}", **teacher)
    assert "Mei Lin in Python for beginners" in compared
    assert f'<option value="{COHORT}" selected>Python for beginners</option>' in compared
    await api.engine.audit.flush()
    assert re.search(r"<th [^>]*>Grace Hopper ", await shown(api, "/dashboard/my-data", "student", STUDENT))


async def test_who_was_erased_is_told_what_went_and_what_is_kept(api: Api) -> None:
    own = {"role": "student", "subject": STUDENT}
    assert "Your data was erased" not in await shown(api, "/dashboard/my-data", **own)
    (await api.call("DELETE", f"/compliance/students/{STUDENT}")).raise_for_status()
    page = await shown(api, "/dashboard/my-data", **own)
    (erased_at,) = re.findall(r'data-erased="([^"]+)"', page)
    (change,) = (await api.get(f"/compliance/students/{STUDENT}/consent")).json()["data"]["history"]
    assert erased_at == change["at"]
    for said in (
        "your school had all erased that was held about you",
        "under a pseudonym",
        "who did what with your data, for 90 days",
        "in the service's logs",
        "in backups, until they are overwritten",
        "Nothing that you do is taken in now.",
        "Nothing: it was erased.",
    ):
        assert said in page, said
    assert "my-data/export" not in page, "there is nothing to download"
    assert "What was known of you was erased on" in await shown(api, PAGE, **own)
    for language in ("es", "ar"):
        token = make_token("student", subject=STUDENT)
        headers = {"Cookie": f"mastery_session={token}; mastery_language={language}"}
        other = (await api.client.get("/dashboard/my-data", headers=headers)).text
        assert "backups" not in other
        assert "logs" not in other
    (await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"processing": True})).raise_for_status()
    again = await shown(api, "/dashboard/my-data", **own)
    assert "What you do now counts again, since that was allowed anew." in again
    assert "Your data was erased" in again
    assert "my-data/export" in again
