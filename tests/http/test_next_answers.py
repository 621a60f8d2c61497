"""The next answers over HTTP: their chances, which items come first, who may ask, and what is refused."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.calls import STUDENT, Api, Json, event
from tests.support.live import make_token

PREDICT, CHOOSE = "/predictions/next-answer", "/recommendations/items"
SKILLS = "/analytics/skills"
ITEMS: list[Json] = [
    {"item_id": "loops-1", "skills": ["for-loops"]},
    {"item_id": "files-1", "skills": ["reading-files"]},
]


@pytest.fixture
async def known(api: Api) -> Api:
    """A student who is good at the one item and bad at the other."""
    good = [event("answer", days_ago=3 - number / 10, **ITEMS[0]) for number in range(8)]
    bad = [event("answer", days_ago=2 - number / 10, correct=False, **ITEMS[1]) for number in range(8)]
    await api.learn(*good, *bad)
    return api


async def test_what_was_answered_right_is_likelier_than_what_was_not(known: Api) -> None:
    loops, files, other = await known.data(PREDICT, {"student_id": STUDENT, "items": [*ITEMS, {"item_id": "other"}]})
    assert [one["item_id"] for one in (loops, files, other)] == ["loops-1", "files-1", "other"]
    assert loops["probability"] > files["probability"]
    assert [one["basis"] for one in (loops, files, other)] == ["item", "item", "prior"]
    assert all(0 < one["uncertainty"] <= 0.5 and 0 < one["probability"] < 1 for one in (loops, files, other))


async def test_a_skill_practised_long_ago_is_known_here_as_on_the_map(api: Api) -> None:
    """After it came more skills than the section of the model holds."""
    old = [event("answer", days_ago=9 - number / 10, item_id=f"old-{number}", skills=["loops"]) for number in range(9)]
    since = [
        event("answer", days_ago=5 - n / 10, item_id=f"new-{n}", skills=[f"skill-{n}"], correct=n % 2 > 0)
        for n in range(12)
    ]
    await api.learn(*old, *since)
    asked: list[Json] = [{"item_id": f"other-{name}", "skills": [name]} for name in ("loops", "skill-0", "never")]
    known, failed, never = await api.data(PREDICT, {"student_id": STUDENT, "items": asked})
    assert [one["basis"] for one in (known, failed, never)] == ["skills", "skills", "prior"]
    assert known["probability"] > never["probability"] + 0.1
    on_the_map = {
        one["skill"]: one["probability"] for one in (await api.data(SKILLS, {"student_id": STUDENT}))["skills"]
    }
    assert known["probability"] == pytest.approx(on_the_map["loops"], abs=0.1)


async def test_a_fraction_moves_it_by_the_fraction(api: Api) -> None:
    found = {}
    for score in (0.0, 0.25, 0.75, 1.0):
        student = f"scored-{round(score * 100)}"
        scored = {"student_id": student, "score": score, "correct": score >= 0.5}
        await api.learn(*[event("answer", days_ago=1 - number / 100, **scored, **ITEMS[0]) for number in range(5)])
        (found[score],) = await api.data(PREDICT, {"student_id": student, "items": ITEMS[:1]})
    assert [found[score]["probability"] for score in sorted(found)] == sorted(
        one["probability"] for one in found.values()
    )
    assert len({one["probability"] for one in found.values()}) == 4


async def test_who_has_answered_nothing_gets_what_the_prior_says(api: Api) -> None:
    (nobody,) = await api.data(PREDICT, {"student_id": "newcomer", "items": ITEMS[:1]})
    await api.learn(event("quiz"))
    (unanswered,) = await api.data(PREDICT, {"student_id": STUDENT, "items": ITEMS[:1]})
    assert nobody == unanswered
    assert nobody["basis"] == "prior"


async def test_another_moment_may_lie_between_the_last_answer_and_thirty_days_ahead(known: Api) -> None:
    def asked(days: float) -> Json:
        at = datetime.now(UTC) + timedelta(days=days)
        return {"student_id": STUDENT, "items": ITEMS, "at": at.isoformat()}

    now = await known.data(PREDICT, {"student_id": STUDENT, "items": ITEMS})
    later = await known.data(PREDICT, asked(29.9))
    assert later[0]["uncertainty"] > now[0]["uncertainty"]
    await known.data(PREDICT, asked(-1))
    for days, words in ((-2, "before the student's last answer"), (30.1, "more than 30 days ahead")):
        refused = await known.post(PREDICT, asked(days))
        assert refused.status_code == 400
        assert words in refused.json()["error"]["message"]
        assert refused.json()["error"]["details"]["field"] == "at"


@pytest.mark.parametrize(
    "at", ["2026-01-14T10:30:00", "tomorrow", True, -1, 1.5, 1e40, [], 10**400, "9999-12-31T23:59:59-23:59"]
)
async def test_of_a_moment_that_is_none_one_sentence_names_the_field_as_it_was_sent(api: Api, at: object) -> None:
    refused = await api.post(PREDICT, {"student_id": STUDENT, "items": ITEMS, "at": at})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["details"] == {"field": "at"}
    assert error["message"].startswith("at must ")
    assert "more)" not in error["message"]


async def test_the_items_to_answer_next_are_explained_and_agree_with_their_chances(known: Api) -> None:
    offered = [{**item, "title": f"Title of {item['item_id']}", "url": "https://school.example/x"} for item in ITEMS]
    offered.append({"item_id": "new-1", "skills": ["reading-files"]})
    chosen = await known.data(CHOOSE, {"student_id": STUDENT, "items": offered})
    chances = await known.data(PREDICT, {"student_id": STUDENT, "items": [*ITEMS, offered[2] | {}]})
    assert {one["item_id"]: one["probability"] for one in chosen} == {
        one["item_id"]: one["probability"] for one in chances
    }
    loops = next(one for one in chosen if one["item_id"] == "loops-1")
    assert (loops["title"], loops["url"], loops["skill"]) == (
        "Title of loops-1",
        "https://school.example/x",
        "for-loops",
    )
    assert all(one["reason"].endswith(".") for one in chosen)
    assert len(await known.data(CHOOSE, {"student_id": STUDENT, "items": offered, "limit": 1})) == 1
    only = await known.data(CHOOSE, {"student_id": STUDENT, "items": offered, "skill": "for-loops"})
    assert [one["item_id"] for one in only] == ["loops-1"]


async def test_a_course_of_twenty_thousand_items_holds_nobody_up(api: Api) -> None:
    items = [{"item_id": f"item-{number}", "skills": [f"skill-{number % 200}"]} for number in range(20_000)]
    put = await api.call("PUT", "/courses/large", {"items": items}, token=make_token("admin"))
    assert put.status_code == 200
    asked = asyncio.create_task(api.data(CHOOSE, {"student_id": STUDENT, "course_id": "large"}))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert len(await asked) == 5
    assert turns >= 10  # one or two, if all of it were worked out in one go


async def test_without_items_the_course_has_its_skills_to_offer(api: Api) -> None:
    chosen = await api.data(CHOOSE, {"student_id": "newcomer", "limit": 20})
    skills = api.engine.curriculum.skills
    assert len(chosen) == 20
    assert chosen[0]["title"] == skills[chosen[0]["item_id"]].title
    first = [one for one in chosen if not skills[one["item_id"]].prerequisites]
    assert chosen[: len(first)] == first, "what needs nothing comes before what does"
    refused = await api.post(CHOOSE, {"student_id": "newcomer", "skill": "knitting"})
    assert refused.status_code == 400
    assert refused.json()["error"]["details"]["field"] == "skill"


@pytest.mark.parametrize(
    "wrong",
    [
        {"items": []},
        {"items": [{"item_id": "x"}] * 101},
        {"items": [{"item_id": " "}]},
        {"items": [{"item_id": "x", "skills": ["a"] * 9}]},
        {"items": [{"item_id": "x", "skill": "a"}]},
    ],
)
async def test_what_cannot_be_asked_is_refused(api: Api, wrong: Json) -> None:
    assert (await api.post(PREDICT, {"student_id": STUDENT, **wrong})).status_code == 400


async def test_only_who_may_read_the_student_is_answered_and_only_with_profiling(known: Api) -> None:
    stranger = make_token("student", subject="someone-else")
    body = {"student_id": STUDENT, "items": ITEMS}
    for path in (PREDICT, CHOOSE):
        assert (await known.post(path, body, token=stranger)).status_code == 403
        assert (await known.post(path, body, token=make_token("student", subject=STUDENT))).status_code == 200
    await known.call("PUT", f"/compliance/students/{STUDENT}/consent", {"profiling": False})
    for path in (PREDICT, CHOOSE):
        assert (await known.post(path, body)).status_code == 409
