"""Courses over HTTP: who sets and sees them, and what holds in them."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.calls import Api, make_token, serving

ADMIN = make_token("admin")
NAMES = ("course-v1:edX+DemoX+2026", "edX/DemoX/2026", "Física 100% {a}", "physics")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


@pytest.mark.parametrize("name", NAMES)
async def test_a_course_is_set_part_by_part(api: Api, name: str) -> None:
    place = f"/courses/{quote(name, safe='')}"
    assert (await api.get(place, token=ADMIN)).status_code == 404
    first = await api.call("PUT", place, {"title": "Física", "time_zone": "Asia/Kathmandu"}, token=ADMIN)
    assert first.status_code == 200
    items = [{"item_id": "q1", "skills": ["motion"], "url": "https://school.example/q1", "minutes": 5}]
    second = await api.call("PUT", place, {"items": items, "rules": {"half_life_days": 7}}, token=ADMIN)
    shown = (await api.get(place, token=make_token("student"))).json()["data"]
    assert shown == second.json()["data"]
    assert shown["course_id"] == name
    assert (shown["title"], shown["time_zone"], shown["language"]) == ("Física", "Asia/Kathmandu", "en")
    assert (shown["items"], shown["rules"]["half_life_days"], shown["version"]) == (items, 7.0, 2)


async def test_the_default_course_is_there_at_once(api: Api) -> None:
    shown = (await api.get("/courses/default", token=ADMIN)).json()["data"]
    assert [one["title"] for one in shown["curriculum"]["modules"]][:2] == ["Basics", "Control Flow"]
    assert (shown["version"], shown["rules"]["levels"][0]) == (0, {"name": "beginner", "from_score": 0.0})
    listed = (await api.get("/courses", token=ADMIN)).json()["data"]
    assert [one["course_id"] for one in listed["courses"]] == ["default"]


async def test_what_is_shown_can_be_sent_back(api: Api) -> None:
    shown = (await api.get("/courses/default", token=ADMIN)).json()["data"]
    sent = {name: value for name, value in shown.items() if name not in ("course_id", "version")}
    again = (await api.call("PUT", "/courses/default", sent, token=ADMIN)).json()["data"]
    assert again == shown | {"version": 1}


async def test_courses_are_listed_in_pages(api: Api) -> None:
    for name in NAMES:
        await api.call("PUT", f"/courses/{quote(name, safe='')}", {"title": name}, token=ADMIN)
    found, cursor = [], ""
    while True:
        page = (await api.get(f"/courses?limit=2{cursor}", token=ADMIN)).json()["data"]
        found += [one["course_id"] for one in page["courses"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == sorted([*NAMES, "default"])
    away = (await api.get("/courses", token=make_token("admin", tenant="school-1"))).json()["data"]
    assert [one["course_id"] for one in away["courses"]] == ["default"]


@pytest.mark.parametrize("role", ["student", "teacher", "service"])
async def test_only_an_admin_sets_a_course(api: Api, role: str) -> None:
    answer = await api.call("PUT", "/courses/physics", {"title": "Physics"}, token=make_token(role))
    assert answer.status_code == 403
    assert (await api.get("/courses/physics", token=ADMIN)).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"titel": "Physics"}, "titel"),
        ({"time_zone": "Berlin"}, "time_zone"),
        ({"rules": {"weights": {"completion": 0.9}}}, "rules.weights"),
        ({"rules": {"levels": [{"name": "a", "from_score": 0.5}]}}, "rules.levels"),
        ({"badges": "champion"}, "badges"),
        ({"items": [{"item_id": "a"}, {"item_id": "a"}]}, "items[1].item_id"),
        ({"items": [{"item_id": "a" * 301}]}, "items[0].item_id"),
    ],
)
async def test_what_is_wrong_changes_nothing(api: Api, body: object, field: str) -> None:
    answer = await api.call("PUT", "/courses/physics", body, token=ADMIN)
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, field)
    assert (await api.get("/courses/physics", token=ADMIN)).status_code == 404


async def test_twenty_thousand_items_fit_into_one_call(api: Api) -> None:
    items = [
        {"item_id": f"i4x://school/problem/{n:032}", "skills": ["motion"], "title": "T" * 50} for n in range(20_000)
    ]
    answer = await api.call("PUT", "/courses/physics", {"items": items}, token=ADMIN)
    assert answer.status_code == 200
    one_more = [*items, {"item_id": "one-more"}]
    assert (await api.call("PUT", "/courses/physics", {"items": one_more}, token=ADMIN)).status_code == 400


async def test_what_is_already_so_is_no_change(api: Api) -> None:
    put = {"title": "Physics", "items": [{"item_id": "a", "skills": ["motion"]}]}
    first = await api.call("PUT", "/courses/physics", put, token=ADMIN)
    for same in (put, {}, {"title": " Physics "}):
        again = await api.call("PUT", "/courses/physics", same, token=ADMIN)
        assert (again.status_code, again.json()["data"]) == (200, first.json()["data"])
    other = await api.call("PUT", "/courses/physics", {"title": "Chemistry"}, token=ADMIN)
    assert other.json()["data"]["version"] == 2


async def test_a_course_that_nothing_is_set_of_is_there(api: Api) -> None:
    assert (await api.call("PUT", "/courses/bare", {}, token=ADMIN)).status_code == 200
    assert (await api.get("/courses/bare", token=ADMIN)).json()["data"]["version"] == 1


async def test_a_value_that_is_not_one_of_a_few_is_told_which_they_are(api: Api) -> None:
    put = {"items": [{"item_id": "a"}, {"item_id": "b", "difficulty": "hard"}]}
    answer = await api.call("PUT", "/courses/physics", put, token=ADMIN)
    said = "items[1].difficulty must be one of beginner, intermediate, advanced, not 'hard'."
    assert answer.json()["error"]["message"] == said


async def test_a_change_is_on_the_audit_trail(api: Api) -> None:
    await api.call("PUT", "/courses/physics", {"title": "Physics"}, token=ADMIN)
    trail = (await api.get("/compliance/audit", token=ADMIN)).json()["data"]["records"]
    assert "put-course" in [record["call"] for record in trail]
