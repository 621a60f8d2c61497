"""Recommendations, learning paths and patterns over HTTP; every answer is held against the OpenAPI document too."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import STUDENT, Api, Json, event, serving
from tests.support.live import make_token

ADAPTIVE, PATH, PATTERNS = "/recommendations/adaptive", "/recommendations/learning-path", "/analytics/patterns"
CALLS = (ADAPTIVE, PATH, PATTERNS)
FIELDS = {
    "recommendation_id",
    "action",
    "area",
    "priority",
    "estimated_time",
    "expected_gain",
    "reason",
    "resources",
}


async def advised(api: Api, student_id: str = STUDENT, **body: Any) -> list[Json]:
    found: list[Json] = await api.data(ADAPTIVE, {"student_id": student_id, **body})
    return found


async def learned(api: Api) -> None:
    await api.learn(
        event("completion", topic="variables", completed_exercises=9),
        event("completion", topic="loops", completed_exercises=3, days_ago=2),
        event("quiz", correct_answers=6, topic="variables"),
        event("quality", code_quality_score=0.4, correctness_score=0.5, efficiency_score=0.3),
    )


async def test_advice_has_all_that_the_contract_names(api: Api) -> None:
    await learned(api)
    found = await advised(api, limit=10)
    assert {one["action"] for one in found} == {"practice", "refactor", "schedule"}
    for one in found:
        assert one.keys() == FIELDS
        assert one["expected_gain"] >= 0
        assert one["estimated_time"] > 0
    loops = next(one for one in found if one["area"] == "loops")
    assert any("docs.python.org" in address for address in loops["resources"])
    assert "4 open exercises" in loops["reason"]


async def test_never_more_than_asked_and_no_two_alike_and_the_best_first(api: Api) -> None:
    await learned(api)
    everything = await advised(api, limit=10)
    assert len({(one["action"], one["area"]) for one in everything}) == len(everything) >= 5
    assert len(await advised(api)) == 5
    for limit in range(1, 11):
        assert await advised(api, limit=limit) == everything[:limit]
    rates = [one["expected_gain"] / one["estimated_time"] for one in everything]
    assert all(later <= earlier + 1e-5 for earlier, later in pairwise(rates))


async def test_a_priority_is_the_least_that_is_wanted(api: Api) -> None:
    await learned(api)
    await api.learn(event("quiz", total_questions=400, correct_answers=250))
    everything = await advised(api, limit=10)
    ranks = ["low", "medium", "high"]
    for place, priority in enumerate(ranks):
        found = await advised(api, limit=10, priority=priority)
        assert all(ranks.index(one["priority"]) >= place for one in found)
        assert [one for one in everything if one in found] == found
    assert await advised(api, limit=10, priority="high") != everything


async def test_advice_stays_while_nothing_changes_and_is_the_same_in_a_query(api: Api) -> None:
    await learned(api)
    first = await advised(api)
    assert await advised(api) == first
    held = (await api.query())["recommendations"]
    assert 1 <= len(held) <= 5
    assert held == first[: len(held)]
    await api.learn(event("recommendation.followed", recommendation_id=first[0]["recommendation_id"]))
    assert await advised(api) == first
    data = await api.data("/mastery/query", {"student_id": STUDENT})
    assert data["learning_path"]["goal"] == "improve_mastery"
    assert data["learning_path"]["steps"][0].keys() == {"skill", "minutes", "reason"}
    today = str(datetime.now(UTC).date())
    past = await api.data("/mastery/query", {"student_id": STUDENT, "date": today})
    assert (past["current_mastery"]["recommendations"], past["learning_path"]) == ([], None)


async def test_dismissed_advice_does_not_come_back(api: Api) -> None:
    await learned(api)
    first = await advised(api, limit=10)
    gone = first[0]["recommendation_id"]
    await api.learn(event("recommendation.dismissed", recommendation_id=gone, reason="not now"))
    assert await advised(api, limit=10) == first[1:]
    assert gone not in [one["recommendation_id"] for one in (await api.query())["recommendations"]]
    await api.learn(event("recommendation.dismissed", days_ago=8, recommendation_id=first[1]["recommendation_id"]))
    assert await advised(api, limit=10) == first[1:]


async def test_who_is_not_known_is_told_where_to_start(api: Api) -> None:
    found = await advised(api, "nobody")
    assert (found[0]["action"], found[0]["area"]) == ("practice", "variables")
    path = await api.data(PATH, {"student_id": "nobody"})
    assert path["steps"][0]["skill"] == "variables"
    assert path["schedule"][0]["skills"][0] == "variables"
    assert (await api.post(PATTERNS, {"student_id": "nobody"})).status_code == 404


async def test_a_path_has_its_steps_its_days_and_its_range(api: Api) -> None:
    await learned(api)
    path = await api.data(PATH, {"student_id": STUDENT, "goal": "master_topic", "topic": "functions"})
    skills = [step["skill"] for step in path["steps"]]
    assert set(skills) >= {"parameters", "return-values", "scope", "lambdas", "recursion"}
    assert skills.index("parameters") < skills.index("return-values") < skills.index("scope")
    assert "variables" not in skills
    estimated = path["estimated_completion"]
    assert estimated["earliest"] <= estimated["expected"] <= estimated["latest"]
    dates = [day["date"] for day in path["schedule"]]
    assert dates == sorted(set(dates))
    assert dates[0] >= str(datetime.now(UTC).date())
    assert dates[-1] == estimated["expected"]
    assert {skill for day in path["schedule"] for skill in day["skills"]} == set(skills)
    review = await api.data(PATH, {"student_id": STUDENT, "goal": "prepare_assessment", "topic": "loops"})
    assert review["steps"][-1]["skill"] == "loops"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (ADAPTIVE, {"limit": 0}, "limit"),
        (ADAPTIVE, {"limit": 11}, "limit"),
        (ADAPTIVE, {"limit": "5"}, "limit"),
        (ADAPTIVE, {"priority": "urgent"}, "priority"),
        (ADAPTIVE, {"goal": "improve_mastery"}, "goal"),
        (PATH, {"goal": "get_rich"}, "goal"),
        (PATH, {"goal": "master_topic"}, "topic"),
        (PATH, {"goal": "master_topic", "topic": "knitting"}, "topic"),
        (PATH, {"topic": "knitting"}, "topic"),
        (PATH, {"topic": ""}, "topic"),
        (PATTERNS, {"kind": "rhythm"}, "kind"),
        *[(path, {"student_id": "not an id"}, "student_id") for path in CALLS],
    ],
)
async def test_what_is_asked_wrongly_is_400_and_names_the_field(api: Api, path: str, body: Json, field: str) -> None:
    answer = await api.post(path, {"student_id": STUDENT, **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"]["field"]) == (400, "VALIDATION_ERROR", field)


@pytest.mark.parametrize("path", CALLS)
async def test_others_are_not_advised_and_the_trail_says_who_asked(api: Api, path: str) -> None:
    await learned(api)
    for student_id in (STUDENT, "nobody"):
        body = {"student_id": student_id}
        for token in (make_token("student", subject="eve"), make_token("teacher", students=["bob"])):
            assert (await api.post(path, body, token=token)).status_code == 403
    body = {"student_id": STUDENT}
    for token in (
        make_token("student", subject=STUDENT),
        make_token("teacher", students=[STUDENT]),
        make_token("service"),
    ):
        assert (await api.post(path, body, token=token)).status_code == 200
    assert (await api.post(path, body, token="")).status_code == 401
    call = {ADAPTIVE: "recommendations", PATH: "learning-path", PATTERNS: "patterns"}[path]
    told = [record for record in await api.audited() if record.call == call]
    assert [record.allowed for record in told] == [False] * 4 + [True] * 3


async def test_open_struggles_are_shown_until_success(api: Api) -> None:
    for number in range(3):
        await api.learn(event("execution", outcome="error", error_type="TypeError", topic="loops"))
        found = await api.data(PATTERNS, {"student_id": STUDENT})
        assert len(found["struggles"]) == (number == 2)
    (struggle,) = found["struggles"]
    assert (struggle["topic"], struggle["pattern"]) == ("loops", "repeated_error")
    assert "TypeError 3 times" in struggle["evidence"]
    await api.learn(event("execution", outcome="success", topic="loops"))
    assert (await api.data(PATTERNS, {"student_id": STUDENT}))["struggles"] == []


async def test_patterns_come_with_their_evidence(api: Api) -> None:
    answers = [event("answer", hints=1, duration=30, item_id=f"i-{n}") for n in range(12)]
    await api.learn(*answers)
    found = await api.data(PATTERNS, {"student_id": STUDENT})
    (pattern,) = [one for one in found["patterns"] if one["kind"] == "leaning_on_hints"]
    assert pattern["strength"] == 1.0
    assert pattern["evidence"] == "12 of 12 answers came with hints"
    assert pattern["since"] <= str(datetime.now(UTC).date())


async def test_a_school_has_its_own_course(tmp_path: Path) -> None:
    file = tmp_path / "course.yaml"
    file.write_text(
        "modules: [{id: m, title: M, skills: [{id: knitting, title: Knitting, prerequisites: [], minutes: 40,"
        " difficulty: beginner, resources: []}]}]"
    )
    async with serving(tmp_path / "data", curriculum_file=file) as api:
        assert (await advised(api, "nobody"))[0]["area"] == "knitting"
        path = await api.data(PATH, {"student_id": "nobody", "goal": "master_topic", "topic": "knitting"})
        assert [step["minutes"] for step in path["steps"]] == [40]


async def test_the_gain_of_a_component_is_what_doing_it_brings(api: Api) -> None:
    """Exercises done as advised raise the score by what was said."""
    await api.learn(event("completion", topic="variables", completed_exercises=2))
    before = (await api.query())["mastery_score"]
    one = next(
        one for one in await advised(api, limit=10) if one["area"] == "variables" and one["action"] == "practice"
    )
    await api.learn(event("completion", topic="variables", completed_exercises=6))
    after = (await api.query())["mastery_score"]
    assert after - before >= 0.4 * 4 / 10 - 1e-4
    assert one["expected_gain"] >= 0.4 * 4 / 10 - 1e-4
