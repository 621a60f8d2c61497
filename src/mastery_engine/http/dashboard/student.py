"""A student's page. Readers at the same moment, and there are many after each change, share one rendered body."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from math import ceil
from typing import TypeAlias, cast
from urllib.parse import quote, urlencode

import msgspec
from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.domain.courses.curriculum import Module
from mastery_engine.domain.evidence.history import TREND_DAYS
from mastery_engine.domain.forecast.calibration import ENOUGH
from mastery_engine.domain.moments import Day, DaySpan, Micros, day_of, iso_date, rfc3339
from mastery_engine.domain.student import DocumentKey
from mastery_engine.engine import Engine
from mastery_engine.http.dashboard import charts, skill_map
from mastery_engine.http.dashboard.dates import day_typed, days_fault, typed_days
from mastery_engine.http.dashboard.notes import NoteForm, asked_form, notes_section
from mastery_engine.http.dashboard.sentences import (
    Titles,
    calibration_words,
    cause_words,
    component_name,
    level_name,
    titles_of,
)
from mastery_engine.http.dashboard.templates import page, part
from mastery_engine.http.dashboard.words import call_reader, points_of, speak, spoken
from mastery_engine.http.incoming import engine_of
from mastery_engine.out.badges.badge import Badge
from mastery_engine.out.badges.credential import name_of
from mastery_engine.out.badges.pictures import medal_svg
from mastery_engine.responses.history import HistoryPoint
from mastery_engine.responses.skills import SkillState
from mastery_engine.services.pages import PageBody, PageOutline
from mastery_engine.services.scores import DAYS_OF_CHANGE
from mastery_engine.services.skills import SkillMap

SHARED_S = 1.0
LONGEST_ID = 100


class CameFrom(msgspec.Struct, frozen=True):
    """The class from which the reader came: the cohort and the course that were chosen there, if any."""

    cohort: str = ""
    course_id: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """What says so in the address of a student's page."""
        return {name: value for name, value in (("cohort", self.cohort), ("class", self.course_id)) if value}

    def back(self, span: DaySpan | None) -> str:
        """The address of that class, of these days."""
        query = query_of(self.course_id or None, span, CameFrom(self.cohort))
        return f"/dashboard{query}"


NOWHERE = CameFrom()


class View(msgspec.Struct, frozen=True):
    """The key of a rendered body: the student, the last change, the day, whether the student allows profiling, of which
    days the change is, and from where the reader came.

    Students are spoken to, others about them; each in their language.
    """

    student: DocumentKey
    updated: Micros
    day: Day
    profiled: bool
    own: bool
    language: str
    span: DaySpan | None
    came: CameFrom


Render: TypeAlias = Callable[[], Awaitable[Markup]]


class SharedBodies:
    """Rendered bodies; each is made once and valid for a second, since scores fall over time."""

    def __init__(self) -> None:
        self._made: dict[View, asyncio.Future[Markup]] = {}

    async def body(self, view: View, render: Render) -> Markup:
        """The body: from the cache, or from a rendering under way, or rendered now."""
        made = self._made.get(view)
        if made is None:
            made = self._made[view] = asyncio.ensure_future(render())
            asyncio.get_running_loop().call_later(SHARED_S, self._made.pop, view, None)
        return await asyncio.shield(made)


def query_of(course_id: str | None, span: DaySpan | None, came: CameFrom = NOWHERE) -> str:
    """What names a course and days in the address of a page, and the way back; empty where nothing is to be named."""
    fields = {} if course_id is None else {"course_id": course_id}
    if span is not None:
        fields |= {"from": iso_date(span.first), "to": iso_date(span.last)}
    fields |= came.fields
    return f"?{urlencode(fields, quote_via=quote, safe='')}" if fields else ""


def came_from(request: Request) -> CameFrom:
    """The class that the address names as the way back."""
    return CameFrom(*(request.query_params.get(name, "").strip()[:LONGEST_ID] for name in ("cohort", "class")))


def asked_span(request: Request, known: DaySpan) -> tuple[DaySpan | None, str]:
    """The days that the address names, and what is wrong with them; None where they are the usual ones, or no days.

    A class in several time zones may lead to a day that is not here yet, or is gone: the nearest that is known.
    """
    since, until = typed_days(request)
    fault = days_fault(since, until, known, leeway=1)
    if fault or not (since or until):
        return None, fault
    last = min(day_typed(until) or known.last, known.last)
    first = day_typed(since) or last - DAYS_OF_CHANGE
    return DaySpan(min(max(first, known.first), last), last), ""


def course_query(course_id: str) -> str:
    """What names a course in the address of a page."""
    return f"?course_id={quote(course_id, safe='')}"


async def student_page(
    request: Request,
    caller: Caller,
    student_id: str,
    course_id: str | None,
    *,
    form: NoteForm | None = None,
    status: int = 200,
) -> Response:
    """A student's page in a course; ``form`` is what was typed of a note, and was wrong.

    Every reader is recorded in the audit trail. Raises NotFound, Forbidden, CourseRequired and Unavailable.
    """
    engine, bodies = engine_of(request), cast("SharedBodies", request.state.bodies)
    outline = await engine.pages.outline(caller, student_id, course_id=course_id)
    own = caller.role == "student"
    if own:
        call_reader(outline.name)
    words = speak(request, own=outline.language if own else None, course=outline.course_language)
    span, fault = asked_span(request, DaySpan(outline.first_day, outline.day))
    came = came_from(request)
    view = View(outline.student, outline.updated, outline.day, outline.profiled, own, words.language, span, came)
    courses = await engine.courses.titles(caller.tenant, outline.courses, request.state.at)
    body = await bodies.body(view, lambda: _body(engine, caller, outline, span, came, own=own))
    notes = await notes_section(
        engine,
        caller,
        student_id,
        outline.zone,
        form or asked_form(request),
        whole=request.query_params.get("notes") == "all",
    )
    return page(
        "student.html",
        caller,
        400 if fault and status == 200 else status,
        own=own,
        fault=fault,
        student_id=student_id,
        display_name=outline.name,
        updated=rfc3339(outline.updated),
        cohorts=await engine.cohorts.titles_of(caller, outline.cohorts, request.state.at),
        course=outline.student.course_id,
        query=query_of(outline.student.course_id if outline.courses else None, span, came),
        back=came.back(span) if caller.role == "teacher" else "/dashboard",
        courses=[
            (one, title, f"/dashboard/students/{student_id}{query_of(one, span, came)}")
            for one, title in courses.items()
        ],
        titles=courses,
        body=body,
        notes=notes,
        here=f"/dashboard/students/{student_id}",
        retention=engine.rules.retention_days,
    )


async def _body(
    engine: Engine, caller: Caller, outline: PageOutline, span: DaySpan | None, came: CameFrom, *, own: bool
) -> Markup:
    body = await engine.pages.body(caller, outline, span)
    history, forecast, course, why = body.history.history, body.forecast, body.skills, body.why
    words, titles = spoken(), titles_of(body.modules)
    drawn = charts.chart(history, forecast) if history else None
    return part(
        "student_body.html",
        own=own,
        now=body.now,
        why=why,
        has_trend=_has_trend(history, outline.day),
        missing=None if why.missing is None else ceil(points_of(why.missing)),
        lacking=[component_name(one.component) for one in why.costs if not one.has_evidence],
        levels=body.levels,
        history=history,
        changes=body.changes,
        is_chosen=span is not None,
        usual=f"/dashboard/students/{outline.student.student_id}"
        f"{query_of(outline.student.course_id if outline.courses else None, None, came)}",
        causes={
            one.component: [(cause_words(cause, titles), cause.change) for cause in one.causes if _shows(cause.change)]
            for one in body.changes.contributions
        },
        chart=drawn,
        readings=_readings(drawn, body) if drawn else [],
        levels_at=[(level.name, charts.y_of(level.from_score)) for level in body.levels if level.from_score],
        active=sum(body.active_days),
        shown_days=len(body.active_days),
        streak=body.streak,
        calendar=charts.calendar(
            body.active_days,
            date.fromisoformat(iso_date(outline.day)).toordinal(),
            first_weekday=words.locale.first_week_day,
            names=words.weekdays,
            mirrored=words.direction == "rtl",
        ),
        ahead=forecast,
        calibration=calibration_words(forecast.calibration, ENOUGH) if forecast else "",
        steps=body.steps,
        modules=skill_map.mapped(body.modules, course.places) if course else [],
        badges=[_shown_badge(one) for one in body.badges],
        medal=Markup(medal_svg()),  # nosec B704: it holds no text
        beside=_beside(course, body.modules, titles) if course else [],
    )


def _beside(course: SkillMap, modules: Sequence[Module], titles: Titles) -> list[tuple[str, SkillState]]:
    """What was practised and is no part of the course: a quiz on a whole module is of that, and not beside it."""
    whole = {module.id for module in modules}
    return [(titles.get(one.skill, one.skill), one) for one in course.beside if one.skill not in whole]


class ShownBadge(msgspec.Struct, frozen=True):
    """A badge as the page shows it: its name, its page, and the days on which it was given and taken back."""

    name: str
    link: str
    awarded: str
    revoked: str | None


def _shown_badge(badge: Badge) -> ShownBadge:
    revoked = None if badge.revoked is None else iso_date(day_of(badge.revoked))
    return ShownBadge(name_of(badge), f"/badges/{badge.badge_id}", iso_date(day_of(badge.awarded)), revoked)


def _has_trend(history: Sequence[HistoryPoint], today: Day) -> bool:
    """Whether the last two weeks have two days to make a trend of: of less it is called stable, and says nothing."""
    return len([one for one in history if one.date > iso_date(today - TREND_DAYS)]) > 1


def _shows(change: float) -> bool:
    """Whether a change is more than the +0.0 that it would be shown as."""
    return round(points_of(change), 1) != 0.0


def _readings(drawn: charts.Chart, body: PageBody) -> list[tuple[float, float, str]]:
    """What the chart says of each of its days: the coordinates, and the words."""
    words = spoken()
    days = body.forecast.days if body.forecast else []
    said = [
        f"{words.day(point.date)}: {words.percent(point.mastery_score)}, {level_name(point.level)}"
        for point in body.history.history
    ]
    ahead = words.gettext("%(day)s: %(score)s, between %(low)s and %(high)s")
    said += [
        ahead
        % {
            "day": words.day(one.date),
            "score": words.percent(one.score),
            "low": words.percent(one.lower),
            "high": words.percent(one.upper),
        }
        for one in days
    ]
    return [(x, y, text) for (x, y), text in zip(drawn.places, said, strict=True)]
