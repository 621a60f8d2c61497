"""Who needs help: every door has the same students, in the same order, for the same reasons."""

import csv
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.domain.moments import DAY
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.mcp.quoted import unquoted
from tests.support.agents import agent, ask
from tests.support.calls import COHORT, Api, Json, event
from tests.support.live import make_token

TEACHER = {"Cookie": f"mastery_session={make_token('teacher', cohorts=[COHORT])}"}
MOST_OF_A_ROW = 400  # bytes, of who needs help for four reasons: 200 of these rows are 80 KB
Listed = list[tuple[str, list[tuple[str, str, str]]]]


def listed(students: Sequence[Json]) -> Listed:
    """Who needs help, and why, by an answer of the service or of a tool."""
    return [
        (
            one["student_id"],
            [tuple(unquoted(why[part]) for part in ("code", "message", "evidence")) for why in one["reasons"]],
        )
        for one in students
        if one["reasons"]
    ]


async def of_figures(api: Api, limit: int = 7) -> Listed:
    found: list[Json] = []
    cursor: str | None = None
    while True:
        page = await api.data("/analytics/cohort", {"cohort_id": COHORT, "limit": limit, "cursor": cursor})
        found += page["at_risk"]
        cursor = page["next_cursor"]
        if cursor is None:
            assert len(found) == page["at_risk_count"]
            return listed(found)


async def of_page(api: Api) -> list[tuple[str, list[str]]]:
    """What the teacher's page says: the students who are marked, with the codes of their reasons in its CSV."""
    page = (await api.client.get("/dashboard", headers=TEACHER)).text
    table = (await api.client.get("/dashboard/class.csv", headers=TEACHER)).content.decode("utf-8-sig")
    codes = {row["student_id"]: row["needs_help"] for row in csv.DictReader(table.splitlines())}
    rows = re.findall(r'<tr data-needs-help><th scope=row><a href="/dashboard/students/([^"]+)">', page)
    cards = re.findall(r'<article class="card help" data-needs-help="([\w ]+)" data-student="([^"]+)">', page)
    assert cards == [(codes[name], name) for name in rows[:5]], "the cards are of those who need help most"
    assert rows == [name for name, why in codes.items() if why]
    return [(name, codes[name].split()) for name in rows]


async def of_tools(api: Api) -> tuple[Listed, Listed]:
    """What ``who_needs_help`` and ``cohort_overview`` say."""
    async with agent(api, make_token("teacher", cohorts=[COHORT])) as client:
        own = await ask(client, "who_needs_help", limit=50)
        cohort = await ask(client, "cohort_overview", cohort_id=COHORT, limit=50)
    assert own["need_help"] == cohort["need_help"] == len(own["first"])
    return listed(own["first"]), listed(cohort["first"])


async def simulated(api: Api, size: int = 30) -> list[str]:
    """A class with a month behind it; some stopped a while ago, and some are stuck."""
    class_ = pupils(size, seed=5)
    now = api.clock()
    gone = {pupil.student_id: now - 3 * place * DAY for place, pupil in enumerate(class_[:9])}
    events = [one for one in past(class_, days=30, seed=5, until=now) if one.at < gone.get(one.student_id, now)]
    caller = Caller("class", "service")
    for start in range(0, len(events), 1_000):
        await api.engine.ingest.submit(caller, events[start : start + 1_000], "")
    await api.processed(events[-1].event_id, events[-1].student_id)
    names = sorted({one.student_id for one in events})
    await api.call("PUT", f"/cohorts/{COHORT}", {"name": "Python", "members": names})
    stuck = [event("help", student_id=name, topic="<dicts> & sets", message="I'm stuck") for name in names[::4]]
    await api.learn(*stuck)
    return names


async def test_every_list_has_the_same_students_in_the_same_order_for_the_same_reasons(api: Api) -> None:
    names = await simulated(api)
    figures = await of_figures(api)
    assert {code for _, why in figures for code, _, _ in why} == {
        "struggle",
        "forecast",
        "low_score",
        "falling",
        "inactive",
    }
    assert 5 < len(figures) < len(names), "it tells some from others"
    assert await of_figures(api, limit=500) == figures
    assert await of_tools(api) == (figures, figures)
    page = await of_page(api)
    assert page == [(name, list(dict.fromkeys(code for code, _, _ in why))) for name, why in figures]
    glance = await api.engine.reports.glance(Caller("ada", "admin"), names[::-1])
    assert listed(msgspec.to_builtins(glance.students)) == figures
    assert [one.risk for one in glance.students] == sorted((one.risk for one in glance.students), reverse=True)
    overview = await api.data("/analytics/cohort", {"cohort_id": COHORT})
    assert overview["average"] == glance.average
    for code in ("struggle", "forecast", "low_score", "falling", "inactive"):
        every = [one[1:] for _, why in figures for one in why if one[0] == code]
        assert all(message and evidence for message, evidence in every)


async def test_of_a_class_in_which_all_need_help_the_page_stays_light(api: Api) -> None:
    names = [f"student_{place}" for place in range(12_345, 12_350)]
    stuck = ["Skill number 2 of 5", "Skill number 2 of 2"]
    for name in names:
        went = [event("quiz", student_id=name, correct_answers=10, days_ago=days) for days in range(40, 20, -2)]
        went += [event("quiz", student_id=name, correct_answers=0, days_ago=11) for _ in range(12)]
        went += [event("help", student_id=name, topic=topic, message="I'm stuck", days_ago=10) for topic in stuck]
        await api.learn(*went)
    await api.call("PUT", f"/cohorts/{COHORT}", {"name": "Python", "members": names})
    assert [len(codes) >= 4 for _, codes in await of_page(api)] == [True] * len(names)
    page = (await api.client.get("/dashboard", headers=TEACHER)).text
    _, *rows = page.partition("<tbody>")[2].partition("</tbody>")[0].split("<tr")
    assert all("Stuck on Skill number 2 of 2, Skill number 2 of 5 · " in row for row in rows)
    assert [len(row.encode()) for row in rows if len(row.encode()) > MOST_OF_A_ROW] == []


async def test_whoever_needs_intervention_is_in_it_and_it_says_what_the_forecast_says(api: Api) -> None:
    names = await simulated(api)
    told = {name: {code: (message, evidence) for code, message, evidence in why} for name, why in await of_figures(api)}
    for name in names:
        ahead = await api.data("/predictions/next-week", {"student_id": name})
        assert ahead["intervention_needed"] == ("forecast" in told.get(name, {}))
        if ahead["intervention_needed"]:
            message, _ = told[name]["forecast"]
            found = re.fullmatch(r"The forecast for (\S+) is ([\d.]+), .*", message)
            assert found is not None
            assert (found[1], float(found[2])) == (ahead["days"][-1]["date"], ahead["predicted_score"])


async def test_the_figures_of_the_reasons_are_those_of_the_other_answers(api: Api) -> None:
    names = await simulated(api)
    figures = dict(await of_figures(api))
    told = {name: {code: (message, evidence) for code, message, evidence in why} for name, why in figures.items()}
    today = datetime.now(UTC).date()
    days = {"start_date": str(today - timedelta(14)), "end_date": str(today)}
    for name in names:
        one, why = {"student_id": name}, told.get(name, {})
        score = (await api.query(name))["mastery_score"]
        history = (await api.data("/analytics/mastery-history", one | days))["history"]
        assert (score < 0.5) == ("low_score" in why)
        if score < 0.5:
            assert why["low_score"][0] == f"The score is {score:.4f}, below 0.50.".replace("00,", ",")
        fell = history and round(history[0]["mastery_score"] - score, 4)
        assert bool(fell and fell >= 0.05) == ("falling" in why)
        if "falling" in why:
            found = re.match(r"The score fell by ([\d.]+) since (\S+), above all in (\w+)\.", why["falling"][0])
            assert found is not None
            assert (float(found[1]), found[2]) == (fell, history[0]["date"])
        struggles = (await api.data("/analytics/patterns", one))["struggles"]
        assert [one[1:] for one in figures.get(name, []) if one[0] == "struggle"] == [
            (f"Stuck on {struggle['topic']} since {struggle['since'][:10]}.", struggle["evidence"])
            for struggle in struggles
        ]


async def test_who_withdrew_profiling_is_in_no_list(api: Api) -> None:
    names = await simulated(api, size=12)
    before = await of_figures(api)
    away = before[0][0]
    await api.call("PUT", f"/compliance/students/{away}/consent", {"profiling": False})
    after = before[1:]
    assert await of_figures(api) == after
    assert await of_tools(api) == (after, after)
    assert [name for name, _ in await of_page(api)] == [name for name, _ in after]
    glance = await api.engine.reports.glance(Caller("ada", "admin"), names)
    shown = next(one for one in glance.students if one.student_id == away)
    assert (shown.risk, shown.reasons) == (0.0, [])
    figures = await api.data("/analytics/cohort", {"cohort_id": COHORT})
    assert glance.average == figures["average"]
    assert glance.levels == {level: number for level, number in figures["level_distribution"].items() if number}
    assert sum(glance.levels.values()) == len(names) - 1
    await api.call("PUT", f"/compliance/students/{away}/consent", {"profiling": True})
    assert await of_figures(api) == before


async def test_a_new_calendar_is_heeded_at_once(api: Api) -> None:
    names = await simulated(api, size=8)
    await of_figures(api)
    today = datetime.now(UTC).date()
    calendar = [{"due": str(today + timedelta(ahead))} for ahead in range(-60, 40, 3)]
    await api.call("PUT", f"/cohorts/{COHORT}", {"name": "Python", "members": names, "calendar": calendar})
    told = {name: [code for code, _, _ in why] for name, why in await of_figures(api)}
    for name in names:
        ahead = await api.data("/predictions/next-week", {"student_id": name})
        assert ahead["intervention_needed"] == ("forecast" in told.get(name, []))
