"""Pages in a course: each shows one course of one school, and its links stay there."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mastery_engine.domain.moments import SECOND
from tests.support.calls import Api, make_token
from tests.support.schools import ADA, ART, OURS, PHYSICS, THEIRS, learn_in, two_schools

IN_PHYSICS, IN_ART = (f"?course_id={quote(one, safe='')}" for one in (PHYSICS, ART))
PAGE = f"/dashboard/students/{ADA}"


@pytest.fixture
async def schools(tmp_path: Path) -> AsyncIterator[Api]:
    async with two_schools(tmp_path) as api:
        yield api


async def shown(api: Api, address: str, tenant: str = OURS, status: int = 200, **who: Any) -> str:
    answer = await api.get(address, token="", headers={"Cookie": f"mastery_session={make_token(tenant=tenant, **who)}"})
    assert answer.status_code == status, answer.text
    return answer.text


def links(page: str) -> set[str]:
    return {html.unescape(address) for address in re.findall(r'(?:href|data-live)="([^"]+)"', page)}


def score(page: str) -> str:
    return re.findall(r'id="score">(\d+)%', page)[0]


async def test_a_students_page_is_of_the_course_that_its_address_names(schools: Api) -> None:
    in_physics, in_art = [await shown(schools, f"{PAGE}{query}") for query in (IN_PHYSICS, IN_ART)]
    assert score(in_physics) != score(in_art)
    assert ("Motion" in in_physics, "Colour" in in_physics) == (True, False)
    assert ("Motion" in in_art, "Colour" in in_art) == (False, True)
    assert f"{PAGE}/live{IN_PHYSICS}" in links(in_physics)
    assert f"{PAGE}{IN_ART}" in links(in_physics), "the way to the other course"
    await learn_in(schools, OURS, ART, 0)
    await learn_in(schools, THEIRS, PHYSICS, 0)
    assert score(await shown(schools, f"{PAGE}{IN_PHYSICS}")) == score(in_physics)


@pytest.mark.parametrize("place", ["", "/live"])
async def test_where_there_are_several_the_page_asks_which(schools: Api, place: str) -> None:
    page = await shown(schools, f"{PAGE}{place}", status=400)
    assert {f"{PAGE}{place}{IN_PHYSICS}", f"{PAGE}{place}{IN_ART}"} <= links(page)
    assert score(await shown(schools, PAGE, THEIRS)) == score(await shown(schools, f"{PAGE}{IN_ART}", THEIRS))
    await shown(schools, f"{PAGE}{place}{IN_PHYSICS}", THEIRS, status=404)


async def test_a_course_is_called_by_its_title_and_by_its_id_too_where_two_have_the_same(schools: Api) -> None:
    await learn_in(schools, OURS, PHYSICS, 8, ADA, "physics-1")
    await learn_in(schools, OURS, ART, 1, ADA, "art-1")
    teacher = {"role": "teacher", "cohorts": ["physics-1", "art-1"]}
    addresses = [
        (f"{PAGE}{IN_PHYSICS}", 200, {}),
        (PAGE, 400, {}),
        (f"{PAGE}?course_id=none", 404, {}),
        ("/dashboard", 200, teacher),
    ]
    for titles, called in (
        ({PHYSICS: "Physics <9>", ART: "Art 9"}, {"Physics &lt;9&gt;", "Art 9"}),
        ({PHYSICS: "Year 9", ART: "Year 9"}, {f"Year 9 ({PHYSICS})", f"Year 9 ({ART})"}),
    ):
        for course_id, title in titles.items():
            path = f"/courses/{quote(course_id, safe='')}"
            set_ = await schools.call("PUT", path, {"title": title}, token=make_token(tenant=OURS))
            assert set_.status_code == 200, set_.text
        schools.clock.ahead += 3 * SECOND
        for address, status, who in addresses:
            page = await shown(schools, address, status=status, **who)
            assert called <= set(re.findall(r"<(?:a|strong)(?: [^>]*)?>([^<]+)</(?:a|strong)>", page)), address
        rows = re.findall(r"<td>([^<]+)<td>\d+%", await shown(schools, "/dashboard", **teacher))
        assert set(rows) == called


async def test_who_looks_for_a_student_stays_in_the_course(schools: Api) -> None:
    cookie = {"Cookie": f"mastery_session={make_token(tenant=OURS)}"}
    answer = await schools.get(f"/dashboard/find?student={ADA}&{IN_ART[1:]}", token="", headers=cookie)
    assert answer.headers["location"] == f"{PAGE}{IN_ART}"


async def test_a_class_is_shown_in_its_course_and_leads_to_pages_there(schools: Api) -> None:
    await learn_in(schools, OURS, PHYSICS, 8, ADA, "physics-1")
    await learn_in(schools, OURS, ART, 1, ADA, "art-1")
    teacher = {"role": "teacher", "cohorts": ["physics-1"]}
    page = await shown(schools, "/dashboard", **teacher)
    assert f"{PAGE}{IN_PHYSICS}" in links(page)
    assert f"{PAGE}{IN_ART}" not in links(page)
    figures = await schools.data(
        "/analytics/cohort", {"cohort_id": "physics-1"}, token=make_token(tenant=OURS, **teacher)
    )
    assert f'data-students="1" data-average="{figures["average"]}"' in page
    assert f"{int(100 * figures['average'])}% on average" in page
    both = await shown(schools, "/dashboard", role="teacher", cohorts=["physics-1", "art-1"])
    assert {f"{PAGE}{IN_PHYSICS}", f"{PAGE}{IN_ART}", f"/dashboard{IN_PHYSICS}", f"/dashboard{IN_ART}"} <= links(both)
    assert 'data-students="1"' in both, "one person, in two rows"
    only = await shown(schools, f"/dashboard{IN_ART}", role="teacher", cohorts=["physics-1", "art-1"])
    in_art = f"{PAGE}{IN_ART}&class={IN_ART.partition('=')[2]}"
    assert (in_art in links(only), f"{PAGE}{IN_PHYSICS}" in links(only)) == (True, False)
    way_back = links(await shown(schools, in_art, role="teacher", cohorts=["physics-1", "art-1"]))
    assert f"/dashboard{IN_ART}" in way_back, "to the class in the course that was chosen there"
    assert "/dashboard" in links(only), "the way back to all"


async def test_a_comparison_leads_to_the_page_in_the_course_of_the_class_and_back(schools: Api) -> None:
    for course_id, cohort_id in ((PHYSICS, "physics-1"), (ART, "art-1")):
        for student_id in (ADA, "bob", "eve", "dan", "kim"):
            await learn_in(schools, OURS, course_id, 5, student_id, cohort_id)
    page = await shown(schools, f"/dashboard/compare?student={ADA}&cohort=art-1")
    assert f"{PAGE}{IN_ART}" in links(page)
    from_physics = links(await shown(schools, f"{PAGE}{IN_PHYSICS}"))
    assert f"/dashboard/compare?student={ADA}&cohort=physics-1" in from_physics
    assert f"/dashboard/compare?student={ADA}&cohort=art-1" not in from_physics
    await shown(schools, f"/dashboard/compare?student={ADA}&cohort=art-1", THEIRS, status=404)
