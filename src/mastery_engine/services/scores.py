"""Scores of one student: now, as known on a day, with other components, and over a range of days."""

from collections.abc import Sequence
from datetime import date
from functools import partial

import msgspec

from mastery_engine.auth.access import Act, Caller, may_record
from mastery_engine.clock import Clock
from mastery_engine.domain.advice.guidance import NO_GUIDANCE
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.evidence.changes import score_change
from mastery_engine.domain.evidence.history import Point, average, trend
from mastery_engine.domain.evidence.periods import Aggregation, periods
from mastery_engine.domain.evidence.score import MasteryScore, components, mastery_score, score_of
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.moments import Micros, day_of_date, iso_date, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, DocumentKey, Student
from mastery_engine.errors import InvalidInput, MasteryError, NotFound
from mastery_engine.responses.advice import path_ahead
from mastery_engine.responses.changes import Changes, changes_response
from mastery_engine.responses.history import HistoryPoint, MasteryHistory, history_summary
from mastery_engine.responses.scores import Calculated, CurrentMastery, StudentMastery, current_mastery
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.consents import Consents
from mastery_engine.services.current_advice import CurrentAdvice
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.ingest import Ingest
from mastery_engine.services.recording import Recording
from mastery_engine.services.students import Students

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
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._students = students
        self._ingest = ingest
        self._recording = recording
        self._consents = consents
        self._access = access
        self._idempotency = idempotency
        self._advice = advice
        self._rules = rules
        self._clock = clock

    async def query(
        self, caller: Caller, student_id: str, *, on: date | None = None, with_components: bool = True
    ) -> StudentMastery:
        """A student's mastery now, or as it was known on a day: the newest daily point on or before it.

        Raises NotFound if the student is not known, or has no point so early.
        """
        self._access.check_student(caller, Act.READ, student_id, "query")
        now = caller.moment(self._clock)
        student = await self._students.known(caller, student_id, now)
        today = self._rules.day_of(now) if on is None else day_of_date(on)
        scores = self._students.scores(student, now, last=today)
        if on is None:
            score = mastery_score(student.evidence, now, self._rules)
            key = DocumentKey(caller.tenant, student_id)
            guidance = NO_GUIDANCE
            if await self._shows_guidance(key, student, now):
                guidance = self._advice.with_path(key, student, score, now)
            shown = current_mastery(
                score,
                rfc3339(now),
                self._rules,
                with_components=with_components,
                advice=self._advice.in_words(key, guidance, now),
            )
            updated, ahead = rfc3339(student.updated), path_ahead(guidance.path)
        else:
            points = self._students.points(student, now, last=today)
            if not points:
                raise NotFound(f"Nothing is known about this student on or before {on}.", field="date")
            updated, ahead = iso_date(points[-1].day), None
            shown = current_mastery(self._score_of(points[-1]), updated, self._rules, with_components=with_components)
        mean = average(scores)
        return StudentMastery(
            student_id, shown, None if mean is None else round(mean, 4), trend(scores, today), updated, ahead
        )

    async def calculate(
        self,
        caller: Caller,
        student_id: str,
        given: ComponentValues = NOTHING_GIVEN,
        *,
        record: bool | None = None,
        key: IdempotencyKey | None = None,
    ) -> Calculated:
        """The score with the given components, the others from the evidence; recorded by default if the role may.

        Raises NotFound if no component is given and the student is unknown, and Conflict if ``key`` was used with
        another body.
        """
        record = may_record(caller) if record is None else record
        records = record and given != NOTHING_GIVEN
        self._access.check_student(caller, Act.RECORD if record else Act.TRY, student_id, "calculate", changes=records)
        now = caller.moment(self._clock)
        claim = partial(self._idempotency.claim, caller, "calculate", key)
        if given == NOTHING_GIVEN:
            student = await self._students.known(caller, student_id, now)
            await claim()
        elif record:
            event_id = self._ingest.derived_id(caller, "calculate", key, 0)
            (recorded,) = await self._recording.record(caller, [(event_id, student_id, given)], now, claim)
            if isinstance(recorded, MasteryError):
                raise recorded
            student = recorded
        else:
            (student,) = await self._students.load(caller, [student_id])
            await claim()
        shown = self.with_given(student, given, now)
        document_key = DocumentKey(caller.tenant, student_id)
        if await self._shows_guidance(document_key, student, now):
            score = mastery_score(student.evidence, now, self._rules)
            guidance = self._advice.guidance(document_key, student, score, now)
            shown = msgspec.structs.replace(shown, recommendations=self._advice.in_words(document_key, guidance, now))
        return Calculated(student_id, shown)

    def with_given(self, student: Student, given: ComponentValues, now: Micros) -> CurrentMastery:
        """The score of a student with the given components in place of those from the evidence."""
        known = components(student.evidence, now, self._rules)
        completion, quiz, quality, consistency = (
            by_evidence if value is None else value for value, by_evidence in zip(given.values(), known, strict=True)
        )
        score = score_of((completion, quiz, quality, consistency), self._rules)
        return current_mastery(score, rfc3339(now), self._rules)

    async def history(
        self,
        caller: Caller,
        student_id: str,
        start: date | None = None,
        end: date | None = None,
        aggregation: Aggregation = "daily",
        *,
        days: int | None = None,
    ) -> MasteryHistory:
        """The scores of a range of days, both ends included; by default the last ``days``, or the whole retention.

        Raises NotFound, and InvalidInput if the end lies before the start.
        """
        self._access.check_student(caller, Act.READ, student_id, "mastery-history")
        now = caller.moment(self._clock)
        last = self._rules.day_of(now) if end is None else day_of_date(end)
        if start is not None:
            first = day_of_date(start)
        else:
            first = self._students.first_day(now) if days is None else last - days + 1
        if last < first:
            raise InvalidInput("end_date must not lie before start_date.", field="end_date")
        student = await self._students.known(caller, student_id, now)
        points = self._students.points(student, now, first=first, last=last)
        shown = [
            HistoryPoint(iso_date(period.start), shown_score(period.score, self._rules), period.level)
            for period in periods(points, aggregation, self._rules)
        ]
        return MasteryHistory(student_id, iso_date(first), iso_date(last), aggregation, shown, history_summary(points))

    async def changes(
        self,
        caller: Caller,
        student_id: str,
        first: date | None = None,
        last: date | None = None,
        *,
        days: int = DAYS_OF_CHANGE,
    ) -> Changes:
        """What changed from the end of one day to that of another, and why; by default in the last ``days``.

        Raises NotFound, and InvalidInput for a day in the future or a ``first`` after ``last``.
        """
        self._access.check_student(caller, Act.READ, student_id, "changes")
        now = caller.moment(self._clock)
        today = self._rules.day_of(now)
        end = today if last is None else day_of_date(last)
        begin = max(0, end - days) if first is None else day_of_date(first)
        if end > today:
            raise InvalidInput(
                f"to must not lie after today, {iso_date(today)}: leave it out to learn what has changed until now.",
                field="to",
            )
        if begin > end:
            raise InvalidInput(f"from must not lie after to, which is {iso_date(end)}.", field="from")
        student = await self._students.known(caller, student_id, now)
        return changes_response(student_id, score_change(student, begin, end, now, self._rules), self._rules)

    async def completions(self, caller: Caller, student_ids: Sequence[str]) -> list[dict[str, tuple[int, int]]]:
        """For each student the exercises (done, all) by topic; empty without a document. Raises Forbidden."""
        for student_id in student_ids:
            self._access.check_student(caller, Act.READ, student_id, "completions")
        return [
            {topic: (progress.completed, progress.total) for topic, progress in student.evidence.completion.items()}
            for student in await self._students.load(caller, student_ids)
        ]

    async def _shows_guidance(self, key: DocumentKey, student: Student, now: Micros) -> bool:
        """Whether the student is shown advice: something is known about them, and they allow profiling."""
        return student is not NOBODY and await self._consents.allows_profile(key, now)

    def _score_of(self, point: Point) -> MasteryScore:
        """A daily point as a score, with the level that it had then."""
        coverage = score_of(point.components, self._rules).coverage
        return MasteryScore(point.score, self._rules.levels[point.rank].name, point.rank, point.components, coverage)
