"""The routes of a teacher's class: the page, the same as CSV, and the group for a skill."""

from functools import partial
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.forecast.calibration import ENOUGH
from mastery_engine.domain.moments import iso_date
from mastery_engine.errors import Forbidden
from mastery_engine.http.dashboard.charts import y_of
from mastery_engine.http.dashboard.class_page import (
    LEVEL_STEPS,
    WINDOWS,
    ClassQuery,
    cards,
    change_head,
    chosen_days,
    class_csv,
    class_query,
    class_rows,
    class_trend,
    groups,
    heat_cells,
    heat_map,
    level_choices,
    links_of,
    odd_choice,
    score_head,
    stuck_on,
)
from mastery_engine.http.dashboard.dates import days_fault
from mastery_engine.http.dashboard.routing import asked_course, check_course, with_error_pages
from mastery_engine.http.dashboard.sentences import Titles, calibration_words, titles_of
from mastery_engine.http.dashboard.session import caller_of
from mastery_engine.http.dashboard.templates import SAFE, page
from mastery_engine.http.dashboard.told import InWords, NoSuch
from mastery_engine.http.dashboard.words import N_, speak, spoken
from mastery_engine.http.incoming import engine_of
from mastery_engine.services.classrooms import Classroom
from mastery_engine.services.reports import MOST_OWN, MOST_STUDENTS

MOST_NAMED = 20

router = APIRouter(include_in_schema=False, prefix="/dashboard")


async def class_page(request: Request, caller: Caller) -> Response:
    """The class of a teacher who has signed in."""
    asked, found, titles, faults = await _found(request, caller)
    typed = class_query(request, None)
    engine = engine_of(request)
    named = [asked.course_id] if asked.course_id is not None else found.courses
    calibrations = [
        (one, calibration_words(await engine.calibrations.of_course(caller, one), ENOUGH))
        for one in named or [DEFAULT_COURSE]
    ]
    taught = {*named, *(one.course_id for one in found.students)}
    rows = class_rows(found, asked, titles)
    drawn = heat_map(found.skills, whole=asked.whole_map) if found.skills else None
    words = spoken()
    return page(
        "class.html",
        caller,
        400 if faults.any else 200,
        asked=asked,
        typed=typed,
        fault=faults.days,
        odd=faults.odd,
        found=found,
        unknown=await _unknown(request, caller, found),
        people=len({one.student_id for one in found.students}),
        helped=len({one.student_id for one in found.students if one.signs}),
        cards=cards(found, asked, titles),
        rows=rows,
        shown=rows[:MOST_STUDENTS],
        levels=level_choices(found),
        heads=[
            (sort, name, asked.direction(sort), asked.toggled(sort))
            for sort, name in (
                ("name", words.gettext("Student")),
                ("score", score_head(found)),
                ("change", change_head(found)),
                ("active", words.gettext("Last active")),
            )
        ],
        courses=([(one, asked.of_course(one)) for one in named] if named not in ([DEFAULT_COURSE], []) else []),
        titles=await engine.courses.titles(caller.tenant, taught, request.state.at),
        windows=[(one, asked.of_days(one)) for one in WINDOWS],
        usual=asked.of_days(0),
        first=iso_date(found.span.first),
        last=iso_date(found.span.last),
        known=(iso_date(found.known.first), iso_date(found.known.last)),
        trend=class_trend(found),
        grid=[(share, y_of(share)) for share in LEVEL_STEPS],
        map=drawn,
        cells=heat_cells(found.skills, len(drawn.rows)) if found.skills and drawn else [],
        map_links=links_of(found, asked),
        groups=groups(found.skills) if found.skills else [],
        calibrations=calibrations,
        now=request.state.at,
    )


@router.get("/class.csv")
@with_error_pages
async def class_as_csv(request: Request) -> Response:
    """What the table shows, in full, as CSV."""
    asked, found, titles, faults = await _found(request, await caller_of(request))
    if faults.any:
        raise InWords(faults.any)
    name = f"class-{iso_date(found.span.first)}-{iso_date(found.span.last)}.csv"
    headers = {**SAFE, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(class_csv(class_rows(found, asked, titles), found.span), media_type="text/csv", headers=headers)


@router.get("/group")
@with_error_pages
async def group(request: Request) -> Response:
    """Who is stuck on a skill, and who could be taught it now."""
    caller = await caller_of(request)
    asked, found, titles, faults = await _found(request, caller)
    skill_id = request.query_params.get("skill", "")
    skills = found.skills
    skill = next((one for one in skills.skills if one.id == skill_id), None) if skills else None
    if skills is None or skill is None:
        known = skills.skills if skills else ()
        choices = [(one.title, _group_of(asked, one.id)) for one in known]
        raise NoSuch(N_("The course has no such skill."), N_("The skills of the course"), choices)
    links = links_of(found, asked)
    chosen = skills.group(skill_id)
    place = skills.skills.index(skill)
    return page(
        "group.html",
        caller,
        400 if faults.days else 200,
        fault=faults.days,
        skill=skill,
        stuck=stuck_on(found, skill_id, asked, titles),
        rows=[(row, cell, links[row.student_id]) for row, cell in chosen],
        later=sum(row.cells[place].state == "later" for row in skills.rows),
        back=asked.address(),
    )


async def _unknown(request: Request, caller: Caller, found: Classroom) -> list[str]:
    """Of whom nothing is known yet: by name, or how many they are where they are too many to name."""
    count = len(found.unknown)
    if count > MOST_NAMED:
        return [spoken().ngettext("%(count)s student", "%(count)s students", count) % {"count": count}]
    names = await engine_of(request).people.names_for(caller, found.unknown)
    return [names.get(one, one) for one in found.unknown]


class Faults(msgspec.Struct, frozen=True):
    """What is wrong with the address, in the reader's language: with the days, and with another choice."""

    days: str = ""
    odd: str = ""

    @property
    def any(self) -> str:
        return self.days or self.odd


async def _found(request: Request, caller: Caller) -> tuple[ClassQuery, Classroom, Titles, Faults]:
    """What is asked for, the class, the titles of what its courses teach, and what is wrong with the address.

    With wrong days the class is that of the usual ones. Raises Forbidden, and NotFound where there is no such course.
    """
    if not caller.students and not caller.cohorts:
        raise Forbidden(
            N_("This token names no students and no class: sign out, and ask your school for one that does.")
        )
    asked = class_query(request, asked_course(request))
    days = chosen_days(asked)
    read = partial(engine_of(request).classrooms.of, caller, course_id=asked.course_id, cohort_id=asked.cohort or None)
    found = await read(chosen=days)
    if asked.course_id is not None and not found.students:
        of_some = sorted(caller.students)[:MOST_OWN]
        others = await engine_of(request).people.courses_of(caller, *of_some)
        await check_course(request, caller, asked.course_id, others)
    words = speak(request, course=found.language)
    fault = days_fault(asked.since, asked.until, found.known)
    if fault:
        found = await read() if days is not None else found
        asked = msgspec.structs.replace(asked, since="", until="")
    elif days is not None:
        asked = msgspec.structs.replace(asked, span=found.span)
    typed = odd_choice(request, found.levels) if found.students else ""
    if asked.level and asked.level not in found.levels:
        asked = msgspec.structs.replace(asked, level="")
    odd = typed and words.gettext("There is no choice “%(typed)s” here: the usual one is shown.") % {"typed": typed}
    return asked, found, titles_of(found.modules), Faults(fault, odd)


def _group_of(asked: ClassQuery, skill_id: str) -> str:
    """The address of the group for a skill."""
    return f"/dashboard/group?{urlencode({**asked.fields(), 'skill': skill_id})}"
