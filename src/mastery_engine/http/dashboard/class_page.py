"""A teacher's class: what of it is asked for, its rows, and the same as CSV. All of it works without a script."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias
from urllib.parse import urlencode

import msgspec
from fastapi import Request
from markupsafe import Markup

from mastery_engine.domain.cohorts.needs_help import StruggleSign
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.evidence.shown import whole_per_cent
from mastery_engine.domain.given_ids import normal_id
from mastery_engine.domain.moments import DaySpan, iso_date, rfc3339
from mastery_engine.domain.people.profile import folded, has_words, searched, words_of
from mastery_engine.http.dashboard import charts
from mastery_engine.http.dashboard.dates import day_typed, typed_days
from mastery_engine.http.dashboard.sentences import HelpWords, Titles, help_line, help_reasons, level_name
from mastery_engine.http.dashboard.student import CameFrom, query_of
from mastery_engine.http.dashboard.words import spoken
from mastery_engine.http.spreadsheets import MARK, as_text
from mastery_engine.services.classrooms import ChosenDays, Classroom, ClassStudent, SkillRow, SkillsOfClass

SORTS = ("help", "name", "score", "change", "active")
WINDOWS = (7, 14, 28, 84)
USUAL_TREND = 28
MOST_CARDS = 5
GROUPS = 5
LEAST_GROUP = 2
MOST_CELLS, LEAST_ROWS = 2_000, 5
LEVEL_STEPS = (0.25, 0.5, 0.75)
CSV_HEAD = (
    *("student_id", "name", "course_id", "from", "to", "score", "level", "change"),
    *("needs_help", "stuck_on", "last_active"),
)

SortKey: TypeAlias = Callable[[ClassStudent], Any]
_KEYS: Mapping[str, SortKey] = {
    "name": lambda one: (one.name or one.student_id).casefold(),
    "score": lambda one: one.score if one.is_known else -1.0,
    "change": lambda one: one.change,
    "active": lambda one: one.latest or 0,
}


class ClassQuery(msgspec.Struct, frozen=True):
    """What is asked for: the words of the search, a level, the order, a class, a course, and of which days.

    ``days`` are so many up to today; 0 and no ``since`` or ``until`` are the usual ones. ``span`` are the days that
    were chosen by these, once the class is known.
    """

    q: str = ""
    level: str = ""
    sort: str = "help"
    descending: bool = False
    cohort: str = ""
    course_id: str | None = None
    days: int = 0
    since: str = ""
    until: str = ""
    whole_map: bool = False
    span: DaySpan | None = None

    def fields(self, **changes: Any) -> dict[str, Any]:
        """What the address has, with some of it changed; what is as usual is left out."""
        asked = msgspec.structs.replace(self, **changes)
        fields: dict[str, Any] = {
            "cohort": asked.cohort,
            "course_id": asked.course_id or "",
            "q": asked.q,
            "level": asked.level,
            "sort": "" if asked.sort == "help" else asked.sort,
            "dir": "desc" if asked.descending else "",
            "days": asked.days or "",
            "from": asked.since,
            "to": asked.until,
            "map": "all" if asked.whole_map else "",
        }
        return {name: value for name, value in fields.items() if value}

    def address(self, path: str = "/dashboard", **changes: Any) -> str:
        """The address of the page with some of it changed."""
        query = urlencode(self.fields(**changes))
        return f"{path}?{query}" if query else path

    def of_course(self, course_id: str | None) -> str:
        """The address of the page in another course, of the same days."""
        return ClassQuery(course_id=course_id, days=self.days, since=self.since, until=self.until).address()

    def of_days(self, days: int) -> str:
        """The address of the page of so many days up to today; 0 stands for the usual ones."""
        return self.address(days=days, since="", until="")

    def toggled(self, sort: str) -> str:
        """Where the head of a column leads: names from A, figures from the highest, and again the other way round."""
        first = sort != "name"
        return self.address(sort=sort, descending=not self.descending if self.sort == sort else first)

    def direction(self, sort: str) -> str:
        """What ``aria-sort`` says of a column."""
        if self.sort != sort:
            return "none"
        return "descending" if self.descending else "ascending"


def class_query(request: Request, course_id: str | None) -> ClassQuery:
    """What the address asks for; what makes no sense there is passed over. Raises InvalidInput."""
    asked = request.query_params
    days, cohort = asked.get("days", ""), asked.get("cohort", "").strip()
    since, until = typed_days(request)
    return ClassQuery(
        asked.get("q", "").strip()[:200],
        asked.get("level", "")[:100],
        asked.get("sort", "") if asked.get("sort") in SORTS else "help",
        asked.get("dir") == "desc",
        normal_id(cohort, "cohort") if cohort else "",
        course_id,
        0 if since or until or days not in map(str, WINDOWS) else int(days),
        since,
        until,
        asked.get("map") == "all",
    )


def odd_choice(request: Request, levels: Sequence[str]) -> str:
    """The first choice in the address that there is not, such as an order or a level; empty where all are."""
    given = request.query_params
    known = {"sort": SORTS, "dir": ("asc", "desc"), "days": tuple(map(str, WINDOWS)), "map": ("all",), "level": levels}
    return next((given[name] for name, choices in known.items() if given.get(name) and given[name] not in choices), "")


def chosen_days(asked: ClassQuery) -> ChosenDays | None:
    """The days that are asked for; None where they are the usual ones, or no days."""
    if not asked.since and not asked.until:
        return ChosenDays(back=asked.days) if asked.days else None
    first, last = day_typed(asked.since), day_typed(asked.until)
    is_wrong = (asked.since and first is None) or (asked.until and last is None)
    return None if is_wrong else ChosenDays(first, last)


class TableRow(msgspec.Struct, frozen=True):
    """A student in the table: where their page is, why they need help, and the last four weeks as a line."""

    one: ClassStudent
    link: str
    reasons: list[HelpWords]
    spark: str
    stuck: str

    @property
    def codes(self) -> str:
        return " ".join(dict.fromkeys(reason.code for reason in self.reasons))

    @property
    def why(self) -> str:
        return help_line(self.reasons, self.stuck)


def class_rows(found: Classroom, asked: ClassQuery, titles: Titles) -> list[TableRow]:
    """The students who are asked for, in the order that is asked for."""
    words = words_of(asked.q)
    chosen = [
        one
        for one in found.students
        if has_words(_searched(one, titles), words) and (not asked.level or one.level == asked.level)
    ]
    key = _KEYS.get(asked.sort)
    if key is not None:
        chosen = sorted(chosen, key=key, reverse=asked.descending)
    return [_row(one, asked, titles) for one in chosen]


def _searched(one: ClassStudent, titles: Titles) -> str:
    """What the words of a search are looked for in: the name, the id, and on what the student is stuck."""
    return "\n".join((searched(one.student_id, one.name), *(folded(titles.get(on, on)) for on in one.stuck_on)))


def cards(found: Classroom, asked: ClassQuery, titles: Titles) -> list[TableRow]:
    """Those who need help most, whatever the table shows."""
    return [_row(one, asked, titles) for one in found.students[:MOST_CARDS] if one.signs]


def _row(one: ClassStudent, asked: ClassQuery, titles: Titles) -> TableRow:
    spark, span = "", asked.span
    if span is not None:
        spark = charts.spark(one.scores, span.last, span.last - span.first + 1)
    elif one.scores:
        spark = charts.spark(one.scores, one.scores[-1][0])
    stuck = ", ".join([titles.get(topic, topic) for topic in one.stuck_on if topic])
    return TableRow(one, _page_of(one, asked), help_reasons(one.signs, titles), spark, stuck)


def links_of(found: Classroom, asked: ClassQuery) -> dict[str, str]:
    """The addresses of the students' pages on the map."""
    of = found.skills.course_id if found.skills else DEFAULT_COURSE
    return {one.student_id: _page_of(one, asked) for one in found.students if one.course_id == of}


def _page_of(one: ClassStudent, asked: ClassQuery) -> str:
    """The address of a student's page in the course in which a class shows them."""
    is_plain = asked.course_id is None and one.course_id == DEFAULT_COURSE
    query = query_of(None if is_plain else one.course_id, asked.span, CameFrom(asked.cohort, asked.course_id or ""))
    return f"/dashboard/students/{one.student_id}{query}"


def class_trend(found: Classroom) -> tuple[charts.Chart, list[tuple[float, float, str]], date, date] | None:
    """The mean score of the class by day, what the chart says of each, and the first and the last of these days.

    None with fewer than two days.
    """
    words = spoken()
    shown = found.days if found.is_chosen else found.days[-USUAL_TREND:]
    past = [(date.fromisoformat(iso_date(day)), score) for day, score in shown]
    if len(past) < 2:
        return None
    drawn = charts.chart_of([(day.toordinal(), score) for day, score in past])
    said = [f"{words.day(day)}: {words.percent(score)}" for day, score in past]
    return drawn, [(x, y, text) for (x, y), text in zip(drawn.places, said, strict=True)], past[0][0], past[-1][0]


def groups(skills: SkillsOfClass) -> list[tuple[str, str, int]]:
    """The skills that could be taught to most students now: id, title, and how many."""
    named = {skill.id: skill.title for skill in skills.skills}
    most = sorted(skills.to_teach.items(), key=lambda one: -one[1])
    return [(name, named[name], count) for name, count in most[:GROUPS] if count >= LEAST_GROUP]


def stuck_on(found: Classroom, skill_id: str, asked: ClassQuery, titles: Titles) -> list[TableRow]:
    """The students of the map's course who are stuck on a skill or on its module, with the reasons that say so."""
    course_id = found.skills.course_id if found.skills else DEFAULT_COURSE
    topics = {skill_id, *[module.id for module in found.modules if skill_id in {one.id for one in module.skills}]}
    rows: list[TableRow] = []
    for one in found.students:
        of_it = [
            StruggleSign(tuple([topic for topic in sign.topics if topic.topic in topics]))
            for sign in one.signs
            if isinstance(sign, StruggleSign) and one.course_id == course_id
        ]
        if any(sign.topics for sign in of_it):
            rows.append(_row(msgspec.structs.replace(one, signs=tuple(of_it)), asked, titles))
    return rows


class HeatMap(msgspec.Struct, frozen=True):
    """The map of a class: its skills in the order of the modules (id, title, how many could be taught it), and rows."""

    heads: list[tuple[str, str, int]]
    rows: list[SkillRow]
    left_out: int


def heat_map(skills: SkillsOfClass, *, whole: bool) -> HeatMap:
    """The map: of a large class the first rows, unless the whole is asked for, so that the page is there at once."""
    is_small = len(skills.rows) * len(skills.skills) <= MOST_CELLS
    rows = skills.rows if whole or is_small else skills.rows[:LEAST_ROWS]
    heads = [(skill.id, skill.title, skills.to_teach[skill.id]) for skill in skills.skills]
    return HeatMap(heads, rows, len(skills.rows) - len(rows))


def heat_cells(skills: SkillsOfClass, count: int) -> list[Markup]:
    """The cells of the first rows: the per cent of a right next answer, and its state as a class. Numbers alone."""
    rows = [
        "".join([f"<td class={cell.state[0]}>{whole_per_cent(cell.probability)}" for cell in row.cells])
        for row in skills.rows[:count]
    ]
    return [Markup(row) for row in rows]  # nosec B704


def score_head(found: Classroom) -> str:
    """The head of the column of scores, which says the day where that is not today."""
    words = spoken()
    if found.span.last == found.known.last:
        return words.gettext("Score")
    return words.gettext("Score on %(day)s") % {"day": words.short_day(iso_date(found.span.last))}


def change_head(found: Classroom) -> str:
    """The head of the column of changes, which says the days where they are not the usual ones."""
    words = spoken()
    if not found.is_chosen:
        return words.gettext("Last 7 days")
    first, last = (words.short_day(iso_date(day)) for day in (found.span.first, found.span.last))
    return words.gettext("%(first)s to %(last)s") % {"first": first, "last": last}


def class_csv(rows: Sequence[TableRow], span: DaySpan) -> str:
    """The rows as CSV, in numbers that programs read: the score of the day ``to``, and its change since ``from``."""
    written = io.StringIO()
    written.write(MARK)
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(CSV_HEAD)
    days = (iso_date(span.first), iso_date(span.last))
    for row in rows:
        one = row.one
        texts = (one.student_id, one.name or "", one.course_id)
        writer.writerow(
            (
                *map(as_text, texts),
                *days,
                one.score if one.is_known else "",
                as_text(one.level),
                round(one.change, 4) if one.is_known else "",
                row.codes,
                as_text("; ".join(one.stuck_on)),
                "" if one.latest is None else rfc3339(one.latest),
            )
        )
    return written.getvalue()


def level_choices(found: Classroom) -> list[tuple[str, str]]:
    return [(level, level_name(level)) for level in found.levels]
