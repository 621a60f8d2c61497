"""The dashboard's pages as they are answered, without a browser: what they share, and what they leave out."""

import asyncio
import re

import pytest

from mastery_engine.http.dashboard import student
from tests.calls import STUDENT, Api, event
from tests.live import make_token

PAGE = f"/dashboard/students/{STUDENT}"


async def shown(api: Api, path: str = PAGE, **who: str) -> str:
    answer = await api.client.get(path, headers={"Cookie": f"mastery_session={make_token(**who)}"})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_all_who_look_at_once_share_one_rendering_and_are_on_record(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.learn(event("quiz"))
    made: list[str] = []

    def counted(name: str, **values: object) -> object:
        made.append(name)
        return part(name, **values)

    part = student.part
    monkeypatch.setattr(student, "part", counted)
    pages = await asyncio.gather(
        shown(api, subject="eva"), shown(api, subject="tom"), shown(api, role="student", subject=STUDENT)
    )
    assert made == ["student_body.html"]
    assert [f"<span>{name}, " in page for name, page in zip(("eva", "tom", STUDENT), pages, strict=True)] == [True] * 3
    looked = [record.subject for record in await api.audited() if record.call == "student-page"]
    assert len(set(looked)) == 3
    await api.learn(event("quiz", correct_answers=1))
    assert re.findall(r'id="score">(\d+)%', await shown(api)) != re.findall(r'id="score">(\d+)%', pages[0])
    assert len(made) == 2


async def test_a_body_is_good_for_a_moment_only(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student, "SHARED_S", 0.01)
    await api.learn(event("quiz"))
    await shown(api)
    await asyncio.sleep(0.05)
    assert not api.app.state.student_bodies._made


async def test_without_consent_to_profiling_nothing_is_made_of_it(api: Api) -> None:
    await api.learn(event("quiz"), event("answer"))
    assert 'class="band"' in await shown(api)
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"profiling": False})
    page = await shown(api)
    for left_out in ('class="band"', "forecast", 'id="h-skills"', 'id="h-next"', "Compare with"):
        assert left_out not in page
    assert 'class="line"' in page


async def test_a_student_page_names_the_classes_that_the_caller_may_compare_with(api: Api) -> None:
    await api.learn(event("quiz") | {"metadata": {"cohort_id": "py-101"}})
    await api.call("PUT", "/cohorts/a b&c", {"name": "x", "members": [STUDENT]})
    link = f"/dashboard/compare?student={STUDENT}&amp;cohort="
    assert re.findall(re.escape(link) + '([^"]+)', await shown(api)) == ["a%20b%26c", "py-101"]
    page = await shown(api, PAGE, role="teacher", cohorts=["py-101"])
    assert re.findall(re.escape(link) + '([^"]+)', page) == ["py-101"]
    assert link not in await shown(api, role="student", subject=STUDENT)
