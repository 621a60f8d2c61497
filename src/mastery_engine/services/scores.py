"""Scores of one student: now, as known on a day, with other components, and over a range of days."""

from collections.abc import Sequence
from datetime import date
from functools import partial

import msgspec

from mastery_engine.auth.access import Act, Caller, may_record
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.evidence.changes import score_change
from mastery_engine.domain.evidence.history import Point, average, trend
from mastery_engine.domain.evidence.periods import Aggregation, periods
from mastery_engine.domain.evidence.score import (
    FourValues,
    MasteryScore,
    components_on,
    mastery_score,
    score_of,
    score_on,
)
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.moments import day_of_date, iso_date, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, DocumentKey, Student
from mastery_engine.errors import CourseRequired, InvalidInput, MasteryError, NotFound
from mastery_engine.responses.changes import Changes, changes_response
from mastery_engine.responses.history import HistoryPoint, MasteryHistory, history_summary
from mastery_engine.responses.scores import Calculated, CourseMastery, CurrentMastery, StudentMastery, current_mastery
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.current_advice import CurrentAdvice
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.ingest import Ingest
from mastery_engine.services.recording import Recording
from mastery_engine.services.students import StudentInCourse, Students, unknown_student

NOTHING_GIVEN = ComponentValues()
DAYS_OF_CHANGE = 7


class Scores:
    """Answers queries and calculations."""

    def __init__(
        self,
        students: Students,
        ingest: Ingest,
        recording: Recording,
        consents: Consents,
        access: AccessControl,
        idempotency: Idempotency,
        advice: CurrentAdvice,
        courses: Courses,
        clock: Clock,
    ) -> None:
        self._students = students
        self._ingest = ingest
        self._recording = recording
        self._consents = consents
        self._access = access
        self._idempotency = idempotency
        self._advice = advice
        self._courses = courses
        self._clock = clock

    async def query(
        self,
        caller: Caller,
        student_id: str,
        *,
        course_id: str | None = None,
        on: date | None = None,
        with_components: bool = True,
        read: StudentInCourse | None = None,
    ) -> StudentMastery:
        """A student's mastery now, or as it was known on a day: the newest daily point on or before it.

        Raises NotFound if the student is not known, or has no point so early, and CourseRequired.
        """
        self._access.check_student(caller, Act.READ, student_id, "query")
        now = caller.moment(self._clock)
        found = await self._students.known(caller, student_id, course_id, now, read)
        student, rules = found.student, found.rules
        today = found.today if on is None else day_of_date(on)
        scores = found.scores(last=today)
        if on is None:
            score = score_on(student.evidence, today, rules)
            advice, ahead = None, None
            if await self._consents.allows_profile(found.key, now):
                advice, ahead = self._advice.with_path_in_words(found, score)
            shown = current_mastery(score, rfc3339(now), rules, with_components=with_components, advice=advice)
            updated = rfc3339(student.updated)
        else:
            points = found.points(last=today)
            if not points:
                raise NotFound(f"Nothing is known about this student on or before {on}.", field="date")
            updated, ahead = iso_date(points[-1].day), None
            shown = current_mastery(_score_of(points[-1], rules), updated, rules, with_components=with_components)
        mean = average(scores)
        answer = StudentMastery(
            student_id, shown, None if mean is None else round(mean, 4), trend(scores, today), updated, ahead
        )
        if len(found.courses) > 1:
            return msgspec.structs.replace(answer, courses=await self._in_each_course(found))
        return answer

    async def _in_each_course(self, of: StudentInCourse) -> list[CourseMastery]:
        """The student's score in each of their courses now."""
        keys = [CourseKey(of.key.tenant, course_id) for course_id in sorted(of.courses)]
        setups = await self._courses.of_many(keys, of.now)
        shown = []
        for key in keys:
            student, setup = of.courses[key.course_id].student, setups[key]
            score = mastery_score(student.evidence, of.now, setup.rules)
            at = shown_score(score.score, setup.rules)
            shown.append(CourseMastery(key.course_id, setup.title, at, score.level, rfc3339(student.updated)))
        return shown

    async def calculate(
        self,
        caller: Caller,
        student_id: str,
        given: ComponentValues = NOTHING_GIVEN,
        *,
        course_id: str | None = None,
        record: bool | None = None,
        key: IdempotencyKey | None = None,
    ) -> Calculated:
        """The score with the given components, the others from the evidence; recorded by default if the role may.

        What is recorded under a derived id is its student's, if it was linked to one.

        Raises NotFound if no component is given and the student is unknown, CourseRequired, and Conflict if ``key`` was
        used with another body.
        """
        record = may_record(caller) if record is None else record
        records = record and given != NOTHING_GIVEN
        self._access.check_student(caller, Act.RECORD if record else Act.TRY, student_id, "calculate", changes=records)
        now = caller.moment(self._clock)
        if records:
            student_id = await self._consents.student_now(caller.tenant, student_id, now)
        event_id = self._ingest.derived_id(caller, "calculate", key, 0) if records else ""
        if records and key is not None and course_id is None:
            chosen = await self._students.in_courses(caller.tenant, [(student_id, None)], now)
            row = (event_id, student_id, None)
            (place,) = await self._recording.as_before(caller.tenant, [row], chosen, now)
            if isinstance(place, CourseRequired):
                raise place
            found = place
        else:
            found = await self._students.in_course(caller, student_id, course_id, now)
        if given == NOTHING_GIVEN and not found.is_known:
            raise unknown_student()
        claim = partial(self._idempotency.claim, caller, "calculate", key)
        if records:
            (recorded,) = await self._recording.record(caller, [(event_id, found.key, given)], now, claim)
            if isinstance(recorded, MasteryError):
                raise recorded
            found = found.with_student(recorded)
        else:
            await claim()
        known = components_on(found.student.evidence, found.today, found.rules)
        advice = None
        if found.student is not NOBODY and await self._consents.allows_profile(found.key, now):
            advice = self._advice.in_words(found, score_of(known, found.rules))
        score = score_of(_given_first(known, given), found.rules)
        return Calculated(student_id, current_mastery(score, rfc3339(now), found.rules, advice=advice))

    async def history(
        self,
        caller: Caller,
        student_id: str,
        start: date | None = None,
        end: date | None = None,
        aggregation: Aggregation = "daily",
        *,
        course_id: str | None = None,
        days: int | None = None,
        read: StudentInCourse | None = None,
    ) -> MasteryHistory:
        """The scores of a range of days, both ends included; by default the last ``days``, or the whole retention.

        Raises NotFound, CourseRequired, and InvalidInput if the end lies before the start.
        """
        self._access.check_student(caller, Act.READ, student_id, "mastery-history")
        now = caller.moment(self._clock)
        found = await self._students.in_course(caller, student_id, course_id, now, read)
        last = found.today if end is None else day_of_date(end)
        earliest = found.first_day if days is None else last - days + 1
        first = earliest if start is None else day_of_date(start)
        if last < first:
            raise InvalidInput("end_date must not lie before start_date.", field="end_date")
        if not found.is_known:
            raise unknown_student()
        points = found.points(first=first, last=last)
        shown = [
            HistoryPoint(iso_date(period.start), shown_score(period.score, found.rules), period.level)
            for period in periods(points, aggregation, found.rules)
        ]
        return MasteryHistory(student_id, iso_date(first), iso_date(last), aggregation, shown, history_summary(points))

    async def changes(
        self,
        caller: Caller,
        student_id: str,
        first: date | None = None,
        last: date | None = None,
        *,
        course_id: str | None = None,
        days: int = DAYS_OF_CHANGE,
        read: StudentInCourse | None = None,
    ) -> Changes:
        """What changed from the end of one day to that of another, and why; by default in the last ``days``.

        Raises NotFound, CourseRequired, and InvalidInput for a day in the future or a ``first`` after ``last``.
        """
        self._access.check_student(caller, Act.READ, student_id, "changes")
        now = caller.moment(self._clock)
        found = await self._students.in_course(caller, student_id, course_id, now, read)
        today = found.today
        end = today if last is None else day_of_date(last)
        begin = max(0, end - days) if first is None else day_of_date(first)
        if end > today:
            raise InvalidInput(
                f"to must not lie after today, {iso_date(today)}: leave it out to learn what has changed until now.",
                field="to",
            )
        if begin > end:
            raise InvalidInput(f"from must not lie after to, which is {iso_date(end)}.", field="from")
        if not found.is_known:
            raise unknown_student()
        change = score_change(found.student, begin, end, now, found.rules)
        return changes_response(student_id, change, found.rules)

    async def completions(self, caller: Caller, student_ids: Sequence[str]) -> list[dict[str, tuple[int, int]]]:
        """For each student the exercises (done, all) by topic in ``default``; empty without a document.

        Raises Forbidden.
        """
        for student_id in student_ids:
            self._access.check_student(caller, Act.READ, student_id, "completions")
        return [
            {topic: (progress.completed, progress.total) for topic, progress in student.evidence.completion.items()}
            for student in await self._students.load([DocumentKey(caller.tenant, one) for one in student_ids])
        ]


def with_given(of: StudentInCourse, student: Student, given: ComponentValues) -> CurrentMastery:
    """The score of a student, as they are now, with the given components in place of those from the evidence."""
    known = components_on(student.evidence, of.today, of.rules)
    return current_mastery(score_of(_given_first(known, given), of.rules), rfc3339(of.now), of.rules)


def _given_first(known: FourValues, given: ComponentValues) -> FourValues:
    completion, quiz, quality, consistency = known
    return (
        completion if given.completion is None else given.completion,
        quiz if given.quiz is None else given.quiz,
        quality if given.quality is None else given.quality,
        consistency if given.consistency is None else given.consistency,
    )


def _score_of(point: Point, rules: Rules) -> MasteryScore:
    """A daily point as a score, with the level that it had then."""
    coverage = score_of(point.components, rules).coverage
    return MasteryScore(point.score, rules.levels[point.rank].name, point.rank, point.components, coverage)
