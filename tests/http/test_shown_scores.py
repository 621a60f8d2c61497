"""A score just below a bound is shown below it at every door, beside its level."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mastery_engine.auth.access import Caller
from tests.support.calls import COMPONENTS, STUDENT, Api, event
from tests.support.live import make_token

NEARLY = 0.59996
COHORT = "py-101"


async def nearly_competent(api: Api, value: float = NEARLY) -> None:
    await api.learn({**event("execution", outcome="success"), "metadata": {"cohort_id": COHORT}})
    await api.data("/mastery/calculate", {"student_id": STUDENT, "components": dict.fromkeys(COMPONENTS, value)})


async def test_each_answer_shows_it_below_the_bound(api: Api) -> None:
    await nearly_competent(api)
    one = {"student_id": STUDENT}
    today = datetime.now(UTC).date()
    days = {"start_date": str(today - timedelta(31)), "end_date": str(today)}
    shown: list[dict[str, Any]] = [
        await api.query(),
        await api.query(date=str(today)),
        (await api.data("/mastery/calculate", one | {"record": False}))["current_mastery"],
        (await api.data("/predictions/trajectory", one))["points"][-1],
        *[
            (await api.data("/analytics/mastery-history", one | days | {"aggregation": each}))["history"][-1]
            for each in ("daily", "weekly", "monthly")
        ],
        (await api.data("/batch/mastery", {"requests": [one]}))["results"][0]["current_mastery"],
    ]
    compared = await api.data("/analytics/compare", one | {"cohort_id": COHORT})
    shown.append({"mastery_score": compared["student"], "level": compared["level"]})
    levels = {one["level"] for one in shown}
    scores = {one.get("mastery_score", one.get("score")) for one in shown}
    assert (levels, scores) == ({"developing"}, {0.5999})
    assert (await api.data("/predictions/next-week", one))["current_score"] == 0.5999


async def test_what_a_page_shows_adds_up_to_the_next_level(api: Api) -> None:
    await nearly_competent(api)

    async def page(path: str, **who: Any) -> str:
        answer = await api.client.get(path, headers={"Cookie": f"mastery_session={make_token(**who)}"})
        assert answer.status_code == 200, answer.text
        return answer.text

    own = await page(f"/dashboard/students/{STUDENT}")
    assert re.findall(r'id="score">([^<]+)</strong> <span class="level">([^<]+)<', own) == [("59%", "developing")]
    assert "1 point to competent" in own
    assert "With 61% here the level competent is reached." in own  # completion alone must reach 60.01%
    teachers = await page("/dashboard", role="teacher", cohorts=[COHORT])
    assert "59% <b>developing</b>" in teachers


@pytest.mark.parametrize(("value", "shown", "percent"), [(0.32997, 0.33, "33%"), (0.7492, 0.7492, "74%")])
async def test_far_from_a_bound_answers_round_and_pages_round_down(
    api: Api, value: float, shown: float, percent: str
) -> None:
    await nearly_competent(api, value)
    assert (await api.query())["mastery_score"] == shown
    page = await api.client.get(f"/dashboard/students/{STUDENT}", headers={"Cookie": f"mastery_session={make_token()}"})
    assert re.findall(r'id="score">([^<]+)<', page.text) == [percent]


async def test_who_reaches_what_is_said_to_be_needed_reaches_the_level(api: Api) -> None:
    await nearly_competent(api, 0.123456789)
    explained = await api.engine.reports.explain(Caller("ada", "admin"), STUDENT)
    assert explained.missing is not None
    assert explained.mastery_score + explained.missing == pytest.approx(0.4)
    reachable = [cost for cost in explained.costs if cost.needed is not None]
    assert reachable
    for cost in reachable:
        body = {"student_id": STUDENT, "components": {cost.component: cost.needed}, "record": False}
        tried = (await api.data("/mastery/calculate", body))["current_mastery"]
        assert tried["level"] == explained.next_level
