"""What changed, and why, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.calls import STUDENT, Api, event

CHANGES = "/analytics/changes"
ASKED = {"student_id": STUDENT}


def day(back: int) -> str:
    return str((datetime.now(UTC) - timedelta(days=back)).date())


def causes(data: dict[str, Any]) -> dict[str, float]:
    return {cause["message"]: cause["change"] for one in data["contributions"] for cause in one["causes"]}


async def test_the_last_seven_days_in_plain_words_that_sum_to_the_change(api: Api) -> None:
    await api.learn(event("completion", days_ago=10, topic="basics", total_exercises=10, completed_exercises=10))
    await api.learn(event("quiz", days_ago=9, correct_answers=9))
    before = await api.data("/mastery/query", {**ASKED, "date": day(9)})
    await api.learn(event("completion", days_ago=3, topic="loops", total_exercises=10, completed_exercises=0))
    await api.learn(event("quiz", days_ago=2, topic="loops", correct_answers=4))
    data = await api.data(CHANGES, ASKED)
    assert (data["student_id"], data["from"], data["to"]) == (STUDENT, day(7), day(0))
    assert data["mastery_score"] == (await api.query())["mastery_score"]
    assert data["change"] == pytest.approx(data["mastery_score"] - data["previous_score"], abs=1.2e-4)
    assert [one["component"] for one in data["contributions"]] == ["completion", "quiz", "quality", "consistency"]
    assert sum(one["change"] for one in data["contributions"]) == pytest.approx(data["change"], abs=1e-5)
    for one in data["contributions"]:
        assert sum(cause["change"] for cause in one["causes"]) == pytest.approx(one["change"], abs=1e-5)
    found = causes(data)
    assert found["Started the chapter loops: 0 of 10 done"] == pytest.approx(-0.2, abs=1e-5)
    assert found["A quiz on loops with 40%"] < -0.05
    assert found["5 days away"] < 0
    assert found["Active on 2 days"] > 0
    then = (await api.data("/mastery/query", {**ASKED, "date": day(7)}))["current_mastery"]["mastery_score"]
    assert then > data["previous_score"], "the query tells the older point, without what days away have taken since"
    assert data["message"] == (
        f"{day(7)} has no daily point: its score is that of {day(9)}, {then:.4f}, "
        "less what days away have taken from consistency since."
    )
    # Between two days with a point, the ends are what the queries show.
    ends = await api.data(CHANGES, {**ASKED, "from": day(9), "to": day(2)})
    assert ends.get("message") is None
    after = await api.data("/mastery/query", {**ASKED, "date": day(2)})
    assert ends["previous_score"] == before["current_mastery"]["mastery_score"]
    assert ends["mastery_score"] == after["current_mastery"]["mastery_score"]


async def test_a_day_away_is_named_on_the_day_itself(api: Api) -> None:
    await api.learn(event("quiz", days_ago=2))
    data = await api.data(CHANGES, {**ASKED, "from": day(2), "to": day(1)})
    assert list(causes(data)) == ["A day away"]
    assert data["change"] < 0


async def test_before_the_first_evidence_the_change_is_from_0_and_says_so(api: Api) -> None:
    await api.learn(event("quiz", days_ago=2))
    data = await api.data(CHANGES, {**ASKED, "from": day(40)})
    assert (data["previous_score"], data["change"]) == (0.0, pytest.approx(data["mastery_score"], abs=1e-4))
    assert data["message"] == f"Nothing is known from before {day(2)}, so the change is from 0."
    empty = await api.data(CHANGES, {**ASKED, "from": day(40), "to": day(30)})
    assert (empty["change"], empty["message"]) == (0.0, "Nothing is known of these days, so there is no change.")


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"from": day(1), "to": day(2)}, "from", "must not lie after to"),
        ({"to": day(-1)}, "to", "leave it out"),
        ({"from": day(-1)}, "from", "must not lie after to"),
        ({"from": "yesterday"}, "from", "from"),
        ({"from_": day(1)}, "from_", "from_"),
    ],
)
async def test_ends_that_cannot_be_are_refused_with_what_to_do(
    api: Api, asked: dict[str, str], field: str, says: str
) -> None:
    await api.learn(event("quiz"))
    answer = await api.post(CHANGES, {**ASKED, **asked})
    error = answer.json()["error"]
    assert (answer.status_code, error["details"]["field"]) == (400, field)
    assert says in error["message"]


async def test_to_alone_means_the_seven_days_before_it(api: Api) -> None:
    await api.learn(event("quiz", days_ago=5))
    data = await api.data(CHANGES, {**ASKED, "to": day(3)})
    assert (data["from"], data["to"]) == (day(10), day(3))


async def test_who_is_not_known_is_404_and_every_look_is_audited(api: Api) -> None:
    assert (await api.post(CHANGES, ASKED)).status_code == 404
    assert "changes" in {record.call for record in await api.audited()}
