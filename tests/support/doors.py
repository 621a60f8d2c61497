"""What each door says of a student or a class, as facts: a question and its answer.

Two doors that know a question must answer it alike. A door is a function below, marked ``of_student`` or ``of_class``;
it says what it shows under the questions that others use, and ``tests/laws/test_contradictions.py`` asks them all of a
whole class. Questions are words: ``("score",)``, ``("component", "quiz")``, ``("skill", "loops", "probability")``,
``("day", "2026-01-14", "score")``. A number is also there as pages show it, under ``(…, "%")``.
"""

import csv
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from html import unescape
from typing import Any, TypeAlias

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.domain.results import PathStep
from mastery_engine.engine import Engine
from mastery_engine.errors import NotFound
from mastery_engine.http.dashboard.templates import percent, signed_points
from mastery_engine.http.spreadsheets import MARK
from mastery_engine.mcp.context import ToolContext
from mastery_engine.mcp.quoted import unquoted
from mastery_engine.mcp.tools.advice import AdviceTools
from mastery_engine.mcp.tools.cohorts import CohortTools
from mastery_engine.mcp.tools.student import StudentTools
from mastery_engine.mcp.tools.students import StudentsTools
from mastery_engine.responses.advice import Recommended
from mastery_engine.responses.changes import Changes
from mastery_engine.responses.forecasts import ForecastCalibration
from mastery_engine.responses.help import Reason
from mastery_engine.responses.skills import SkillState
from tests.support.calls import COHORT, Api
from tests.support.live import make_token

Question: TypeAlias = tuple[str, ...]
Facts: TypeAlias = dict[Question, object]

MOST_AT_A_GLANCE = 200
STEPS_AHEAD = 5
LIVES_S = 90 * 86_400


class Visitor:
    """Somebody who may see everything, at each door of an engine; at its pages with an ``api`` alone."""

    def __init__(self, engine: Engine, api: Api | None = None) -> None:
        self.engine = engine
        self._api = api
        self.caller = Caller("tests", "admin")
        context = ToolContext(engine, lambda: self.caller)
        self.student_tools, self.students_tools = StudentTools(context), StudentsTools(context)
        self.advice_tools, self.cohort_tools = AdviceTools(context), CohortTools(context)
        self.token = make_token(lives_s=LIVES_S)

    async def page(self, path: str, token: str | None = None) -> str:
        """A page of the dashboard, in one line."""
        return unescape(re.sub(r"\s+", " ", await self._shown(path, token)))

    async def lines(self, path: str, token: str) -> list[str]:
        """The lines of a CSV of the dashboard, without the mark at its beginning."""
        return (await self._shown(path, token)).removeprefix(MARK).splitlines()

    async def _shown(self, path: str, token: str | None) -> str:
        assert self._api is not None
        answer = await self._api.client.get(path, headers={"Cookie": f"mastery_session={token or self.token}"})
        assert answer.status_code == 200, answer.text
        return answer.text


OfStudent: TypeAlias = Callable[[Visitor, str], Awaitable[Facts]]
OfClass: TypeAlias = Callable[[Visitor, list[str]], Awaitable[Mapping[str, Facts]]]

STUDENT_DOORS: dict[str, OfStudent] = {}
CLASS_DOORS: dict[str, OfClass] = {}


def of_student(door: OfStudent) -> OfStudent:
    """Mark what a door says of one student."""
    STUDENT_DOORS[door.__name__] = door
    return door


def of_class(door: OfClass) -> OfClass:
    """Mark what a door says of a class: facts by student, and those of the class itself under an empty id."""
    CLASS_DOORS[door.__name__] = door
    return door


def number(value: float | None, *question: str) -> Facts:
    """A number, and what pages make of it."""
    return {question: value} if value is None else {question: value, (*question, "%"): percent(value)}


def _components(values: Mapping[str, float]) -> Facts:
    facts: Facts = {}
    for name, value in values.items():
        facts |= number(value, "component", name)
    return facts


def _skill(known: SkillState) -> Facts:
    facts = number(known.probability, "skill", known.skill, "probability")
    for name in ("uncertainty", "basis", "forgotten", "answers", "last_practised"):
        facts["skill", known.skill, name] = getattr(known, name)
    return facts


def _advice(pieces: list[Recommended]) -> Facts:
    return {("advice", one.recommendation_id): msgspec.structs.astuple(one) for one in pieces}


def _path(steps: Sequence[PathStep]) -> Facts:
    """The first steps of the path to the next level, and where it ends before them."""
    facts = _skills_ahead([step.skill for step in steps])
    return facts | {("path", str(place)): step for place, step in enumerate(steps[:STEPS_AHEAD])}


def _skills_ahead(skills: Sequence[str]) -> Facts:
    return {("path",): tuple(skills[:STEPS_AHEAD])}


def _calibration(known: ForecastCalibration) -> Facts:
    return {("calibration",): known, ("calibration", "words"): known.words}


# ---- calls


@of_student
async def query(visitor: Visitor, student_id: str) -> Facts:
    found = await visitor.engine.scores.query(visitor.caller, student_id)
    now = found.current_mastery
    assert not isinstance(now.components, msgspec.UnsetType)
    first = now.recommendations[0].recommendation_id if now.recommendations else None
    facts: Facts = {("level",): now.level, ("trend",): found.trend, ("first advice",): first}
    facts |= number(now.mastery_score, "score") | number(now.coverage, "coverage")
    facts |= _path(found.learning_path.steps if found.learning_path is not None else [])
    return facts | _components(msgspec.structs.asdict(now.components)) | _advice(now.recommendations)


@of_student
async def query_of_a_day(visitor: Visitor, student_id: str) -> Facts:
    """The newest day with a point."""
    days = (await visitor.engine.scores.history(visitor.caller, student_id)).history
    on = date.fromisoformat(days[-1].date)
    found = await visitor.engine.scores.query(visitor.caller, student_id, on=on)
    now, day = found.current_mastery, found.last_updated
    return {("day", day, "level"): now.level} | number(now.mastery_score, "day", day, "score")


@of_student
async def calculate(visitor: Visitor, student_id: str) -> Facts:
    now = (await visitor.engine.scores.calculate(visitor.caller, student_id, record=False)).current_mastery
    assert not isinstance(now.components, msgspec.UnsetType)
    facts = number(now.mastery_score, "score") | _components(msgspec.structs.asdict(now.components))
    return facts | {("level",): now.level} | _advice(now.recommendations)


@of_student
async def history(visitor: Visitor, student_id: str) -> Facts:
    facts: Facts = {}
    for point in (await visitor.engine.scores.history(visitor.caller, student_id)).history:
        facts |= number(point.mastery_score, "day", point.date, "score")
        facts["day", point.date, "level"] = point.level
    return facts


@of_student
async def changes(visitor: Visitor, student_id: str) -> Facts:
    """Of the last week; and what it says of its ends on days that have a point."""
    week = await visitor.engine.scores.changes(visitor.caller, student_id)
    facts = number(week.mastery_score, "score") | _moved(week.change, "score")
    for one in week.contributions:
        assert sum(cause.change for cause in one.causes) == pytest.approx(one.change, abs=1e-5)
        facts |= _moved(one.change, one.component)
    assert sum(one.change for one in week.contributions) == pytest.approx(week.change, abs=1e-5)
    assert week.change == pytest.approx(week.mastery_score - week.previous_score, abs=2e-4)
    points = (await visitor.engine.scores.history(visitor.caller, student_id)).history
    first, last = (date.fromisoformat(point.date) for point in (points[0], points[-1]))
    await _between_points(visitor, student_id, week)
    between = await visitor.engine.scores.changes(visitor.caller, student_id, first, last)
    facts |= number(between.previous_score, "day", between.from_, "score")
    if between.to < week.to:  # today is told as it is now, not as it was at the last event
        facts |= number(between.mastery_score, "day", between.to, "score")
    return facts


async def _between_points(visitor: Visitor, student_id: str, week: Changes) -> None:
    """The score at the first end is that of a query with its date, or the message says of which day the query's is."""
    try:
        then = await visitor.engine.scores.query(visitor.caller, student_id, on=date.fromisoformat(week.from_))
    except NotFound:
        assert week.previous_score == 0.0
        return
    score = then.current_mastery.mastery_score
    said = f"{week.from_} has no daily point: its score is that of {then.last_updated}, {score:.4f}, less"
    assert (said in (week.message or "")) == (week.previous_score != score)


def _moved(change: float, what: str) -> Facts:
    return {("moved in a week", what): change, ("moved in a week", what, "points"): signed_points(change)}


@of_student
async def trajectory(visitor: Visitor, student_id: str) -> Facts:
    found = await visitor.engine.forecasts.trajectory(visitor.caller, student_id)
    facts: Facts = {("trend",): found.trend, ("needs intervention",): found.intervention_needed}
    facts |= number(found.predicted_score, "predicted") | number(found.confidence, "confidence")
    facts |= _calibration(found.calibration)
    for point in found.points:
        facts |= number(point.score, "day", point.date, "score")
        facts["day", point.date, "level"] = point.level
    for day in found.forecast:
        for name in ("score", "lower", "upper"):
            facts |= number(getattr(day, name), "ahead", day.date, name)
    return facts


@of_student
async def next_week(visitor: Visitor, student_id: str) -> Facts:
    found = await visitor.engine.forecasts.next_days(visitor.caller, student_id)
    facts: Facts = {("ahead", "trend"): found.trend, ("needs intervention",): found.intervention_needed}
    facts |= number(found.current_score, "score") | number(found.confidence, "confidence")
    facts |= number(found.predicted_score, "predicted") | _calibration(found.calibration)
    for day in found.days:
        for name in ("score", "lower", "upper"):
            facts |= number(getattr(day, name), "ahead", day.date, name)
    return facts


@of_student
async def explanation(visitor: Visitor, student_id: str) -> Facts:
    found = await visitor.engine.reports.explain(visitor.caller, student_id)
    facts: Facts = {("level",): found.level, ("next level",): found.next_level, ("missing",): found.missing}
    facts |= number(found.mastery_score, "score") | number(found.coverage, "coverage")
    return facts | _components({cost.component: cost.score for cost in found.costs})


@of_student
async def skills(visitor: Visitor, student_id: str) -> Facts:
    facts: Facts = {}
    for known in (await visitor.engine.skills.of(visitor.caller, student_id)).skills:
        facts |= _skill(known)
    return facts


@of_student
async def skill_map(visitor: Visitor, student_id: str) -> Facts:
    found = await visitor.engine.skills.map(visitor.caller, student_id)
    facts: Facts = {}
    for place in found.places:
        facts |= _skill(place.known)
        facts["skill", place.skill.id, "state"] = place.state
    for known in found.beside:
        facts |= _skill(known)
    return facts


@of_student
async def recommendations(visitor: Visitor, student_id: str) -> Facts:
    found = await visitor.engine.advice.recommendations(visitor.caller, student_id, limit=10)
    return _advice(found) | {("first advice",): found[0].recommendation_id if found else None}


@of_student
async def learning_path(visitor: Visitor, student_id: str) -> Facts:
    return _path((await visitor.engine.advice.path(visitor.caller, student_id)).steps)


@of_student
async def compared(visitor: Visitor, student_id: str) -> Facts:
    found = await visitor.engine.standings.compare(visitor.caller, student_id, COHORT, "by_component")
    assert found.components is not None
    places = {name: place.student for name, place in msgspec.structs.asdict(found.components).items()}
    facts: Facts = {("level",): found.level, ("class", "size"): found.size, ("rank",): found.rank}
    facts |= number(found.cohort_average, "class", "average")
    return facts | {("percentile",): found.percentile} | number(found.student, "score") | _components(places)


# ---- tools


def _parts(found: Mapping[str, Any]) -> Facts:
    facts: Facts = {("level",): found["level"]} | number(found["score"], "score")
    return facts | _components(found["components"])


@of_student
async def tool_mastery(visitor: Visitor, student_id: str) -> Facts:
    found = _content(await visitor.student_tools.get_mastery(student_id))
    return _parts(found) | number(found["coverage"], "coverage") | {("trend",): found["trend"]}


@of_student
async def tool_what_if(visitor: Visitor, student_id: str) -> Facts:
    return _parts(_content(await visitor.student_tools.what_if(student_id)))


@of_student
async def tool_explanation(visitor: Visitor, student_id: str) -> Facts:
    found = _content(await visitor.student_tools.explain_score(student_id))
    facts: Facts = {("level",): found["level"], ("next level",): found.get("next_level")}
    facts |= {("missing",): found.get("missing_to_next_level")} | number(found["score"], "score")
    return facts | _components({cost["component"]: cost["score"] for cost in found["costs"]})


@of_student
async def tool_change(visitor: Visitor, student_id: str) -> Facts:
    found = _content(await visitor.student_tools.explain_change(student_id))
    facts = _moved(found["change"], "score")
    for one in found["contributions"]:
        facts |= _moved(one["change"], one["component"])
    return facts


@of_student
async def tool_history(visitor: Visitor, student_id: str) -> Facts:
    found = _content(await visitor.student_tools.get_history(student_id, days=90, detail=True, aggregation="daily"))
    facts: Facts = {("trend",): found["trend"]}
    for day, score in found["points"].items():
        facts |= number(score, "day", day, "score")
    return facts


@of_student
async def tool_skills(visitor: Visitor, student_id: str) -> Facts:
    found = _content(await visitor.student_tools.get_skills(student_id, limit=50))
    facts: Facts = {}
    for one in (*found["weakest"], *found["strongest"]):
        name = unquoted(one["skill"])
        facts |= number(one["right_next"], "skill", name, "probability")
        for known in ("uncertainty", "basis", "forgotten", "answers"):
            facts["skill", name, known] = one[known]
    return facts


@of_student
async def tool_forecast(visitor: Visitor, student_id: str) -> Facts:
    found = _content(await visitor.advice_tools.forecast(student_id))
    facts: Facts = {("ahead", "trend"): found["expected_trend"], ("needs intervention",): found["intervention_needed"]}
    known = found["calibration"]
    known = ForecastCalibration(
        known["calibrated"], known.get("interval_held"), known["student_weeks"], known.get("as_of")
    )
    return facts | number(found["now"], "score") | number(found["then"], "predicted") | _calibration(known)


@of_student
async def tool_learning_path(visitor: Visitor, student_id: str) -> Facts:
    return _skills_ahead(_content(await visitor.advice_tools.learning_path(student_id))["skills"])


# ---- pages

_SCORE = re.compile(r'<strong data-score="([\d.]+)" id="score">(\d+%)</strong> <span class="level">(\w+)</span>')
_TREND = re.compile(r'data-trend="(\w+)" data-coverage="([\d.]+)"')
_COMPONENT = re.compile(r'<li data-component="(\w+)" data-value="([\d.]+)">.*?<span class="value">(\d+%)</span>')
_CHANGED = re.compile(r'(\d+%) now: <strong data-moved="[^"]+"> ?<span class="moved \w+">([^<]+)</span>')
_CONTRIBUTED = re.compile(r'<li data-component="(\w+)" data-moved="[^"]+">.*?<span class="moved \w+">([^<]+)<')
_DAY = re.compile(r'<tr data-day="([\d-]+)">.*?<td>(\d+%)</td><td>(\w+)</td>')
_AHEAD = re.compile(r'<tr data-ahead="([\d-]+)">.*?<td>(\d+%) \((\d+%) to (\d+%)\)</td>')
_CALIBRATION = re.compile(r"((?:Not c|C)alibrated for this course[^<]+\.)</p>")
_SKILL = re.compile(r'data-skill="([^"]+)" data-state="(\w+)" data-basis="(\w+)">.*?<span class="value">(\d+%)</span>')
_BESIDE = re.compile(r'data-skill="([^"]+)" data-basis="(\w+)">.*?<span class="value">(\d+%)</span>')


@of_student
async def page(visitor: Visitor, student_id: str) -> Facts:
    text = await visitor.page(f"/dashboard/students/{student_id}")
    exact, score, level = _one(_SCORE, text)
    assert percent(float(exact)) == score
    trend, coverage = _one(_TREND, text)
    facts: Facts = {("score", "%"): score, ("level",): level, ("trend",): trend}
    facts |= number(float(coverage), "coverage")
    now, points = _one(_CHANGED, text)
    facts |= {("moved in a week", "score", "points"): points}
    assert now == score
    for component, points in _CONTRIBUTED.findall(text):
        facts["moved in a week", component, "points"] = points
    for component, value, shown in _COMPONENT.findall(text):
        facts |= number(float(value), "component", component)
        assert percent(float(value)) == shown
    for day, shown, day_level in _DAY.findall(text):
        facts |= {("day", day, "score", "%"): shown, ("day", day, "level"): day_level}
    for day, *three in _AHEAD.findall(text):
        for name, shown in zip(("score", "lower", "upper"), three, strict=True):
            facts["ahead", day, name, "%"] = shown
    (facts["calibration", "words"],) = _one(_CALIBRATION, text)
    places = _SKILL.findall(text)
    for skill_id, state, basis, shown in places:
        facts |= {("skill", skill_id, "state"): state, ("skill", skill_id, "probability", "%"): shown}
        facts["skill", skill_id, "basis"] = basis
    assert [skill_id for skill_id, *_ in places] == list(visitor.engine.curriculum.module_of)
    for skill_id, basis, shown in _BESIDE.findall(text):
        facts |= {("skill", skill_id, "basis"): basis, ("skill", skill_id, "probability", "%"): shown}
    return facts


def _one(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    found = pattern.search(text)
    assert found is not None, pattern
    return found.groups()


def _content(answer: Any) -> dict[str, Any]:
    assert not answer.is_error, answer.content
    found: dict[str, Any] = answer.structured_content
    return found


# ---- classes

FIRST = 50  # as many as a tool names
_ROW = re.compile(
    r'<tr( data-needs-help)?><th scope=row><a href="/dashboard/students/([\w-]+)">.*?'
    r"<td>(\d+%) <b>(\w+)</b><td class=\w+><i>([^<]+)</i>"
)


def _help(reasons: Sequence[tuple[str, str, str]]) -> Facts:
    """Whether a student needs help, and why: the codes, and the messages, each with its evidence."""
    told = tuple([(message, evidence) for _, message, evidence in reasons])
    return _codes([code for code, *_ in reasons]) | {("reasons",): told}


def _codes(codes: Sequence[str]) -> Facts:
    return {("needs help",): bool(codes), ("reasons", "codes"): tuple(dict.fromkeys(codes))}


def _reasons(reasons: Sequence[Reason]) -> list[tuple[str, str, str]]:
    return [(reason.code, reason.message, reason.evidence) for reason in reasons]


def _quoted_reasons(reasons: Sequence[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    return [(one["code"], unquoted(one["message"]), unquoted(one["evidence"])) for one in reasons]


def _order(in_need: Sequence[str], class_: Sequence[str]) -> Facts:
    """The first who need help of those whom one page shows, in their order."""
    looked_at = frozenset(class_[:MOST_AT_A_GLANCE])
    return {("class", "who needs help first"): tuple([name for name in in_need if name in looked_at][:FIRST])}


@of_class
async def glances(visitor: Visitor, class_: list[str]) -> Mapping[str, Facts]:
    facts: dict[str, Facts] = {}
    for start in range(0, len(class_), MOST_AT_A_GLANCE):
        shown = await visitor.engine.reports.glance(visitor.caller, class_[start : start + MOST_AT_A_GLANCE])
        for one in shown.students:
            facts[one.student_id] = {("level",): one.level, ("trend",): one.trend} | number(one.mastery_score, "score")
            facts[one.student_id] |= _help(_reasons(one.reasons)) | {("severity",): one.risk}
        if start == 0:
            facts[""] = _order([one.student_id for one in shown.students if one.reasons], class_)
    return facts


@of_class
async def cohort(visitor: Visitor, class_: list[str]) -> Mapping[str, Facts]:
    facts: dict[str, Facts] = {student_id: _help([]) for student_id in class_}
    in_need: list[str] = []
    cursor: str | None = None
    while True:
        figures = await visitor.engine.standings.cohort(visitor.caller, COHORT, limit=200, cursor=cursor)
        for one in figures.at_risk:
            facts[one.student_id] = {("level",): one.level} | number(one.mastery_score, "score")
            facts[one.student_id] |= _help(_reasons(one.reasons)) | {("severity",): one.risk}
            in_need.append(one.student_id)
        cursor = figures.next_cursor
        if cursor is None:
            break
    facts[""] = {("class", "size"): figures.size, ("class", "levels"): figures.level_distribution}
    facts[""] |= number(figures.average, "class", "average") | _order(in_need, class_)
    facts[""] |= {("class", "need help"): figures.at_risk_count, ("class", "worst"): tuple(in_need[:FIRST])}
    assert figures.at_risk_count == len(in_need)
    return facts


@of_class
async def tool_cohort(visitor: Visitor, class_: list[str]) -> Mapping[str, Facts]:
    found = _content(await visitor.cohort_tools.cohort_overview(COHORT, limit=FIRST))
    facts: dict[str, Facts] = {
        one["student_id"]: number(one["score"], "score") | _help(_quoted_reasons(one["reasons"]))
        for one in found["first"]
    }
    facts[""] = {("class", "size"): found["size"], ("class", "levels"): found["levels"]}
    facts[""] |= number(found["average"], "class", "average") | {("class", "need help"): found["need_help"]}
    facts[""]["class", "worst"] = tuple(one["student_id"] for one in found["first"])
    return facts


@of_class
async def tool_who_needs_help(visitor: Visitor, class_: list[str]) -> Mapping[str, Facts]:
    found = _content(await visitor.students_tools.who_needs_help(class_[:MOST_AT_A_GLANCE], limit=FIRST))
    facts: dict[str, Facts] = {
        one["student_id"]: {("trend",): one["trend"]}
        | number(one["score"], "score")
        | _help(_quoted_reasons(one["reasons"]))
        for one in found["first"]
    }
    facts[""] = _order([one["student_id"] for one in found["first"]], class_)
    return facts


@of_class
async def class_page(visitor: Visitor, class_: list[str]) -> Mapping[str, Facts]:
    """A teacher's page, which shows 200 students at most, with its CSV, which has the exact figures."""
    facts: dict[str, Facts] = {}
    for start in range(0, len(class_), MOST_AT_A_GLANCE):
        token = make_token("teacher", students=class_[start : start + MOST_AT_A_GLANCE], lives_s=LIVES_S)
        text = await visitor.page("/dashboard", token)
        exact = {row["student_id"]: row for row in csv.DictReader(await visitor.lines("/dashboard/class.csv", token))}
        rows = _ROW.findall(text)
        for needs_help, student_id, shown, level, moved in rows:
            score, codes = float(exact[student_id]["score"]), exact[student_id]["needs_help"].split()
            assert (percent(score), bool(codes)) == (shown, bool(needs_help))
            facts[student_id] = number(score, "score") | {("level",): level} | _codes(codes)
            facts[student_id]["moved in a week", "score", "points"] = moved
        if start == 0:
            in_need = [student_id for needs_help, student_id, *_ in rows if needs_help]
            facts[""] = {("calibration", "words"): _one(_CALIBRATION, text)[0]} | _order(in_need, class_)
    return facts
