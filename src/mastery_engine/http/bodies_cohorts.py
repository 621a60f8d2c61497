"""What the calls about cohorts take."""

import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from mastery_engine.domain.cohorts.cohort import LONGEST_COHORT_ID, Due
from mastery_engine.domain.moments import day_of_date
from mastery_engine.http.bodies import Body, StudentId

MOST_MEMBERS = 10_000
MOST_DUE = 1_000

CohortId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_COHORT_ID)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class DueWork(Body):
    """A day on which work is due; ``minutes`` is how much work."""

    due: datetime.date
    topic: Text | None = None
    kind: Text | None = None
    minutes: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @field_validator("due")
    @classmethod
    def _since_1970(cls, value: datetime.date) -> datetime.date:
        if value.year < 1970:
            raise ValueError("The day lies before 1970")
        return value


class PutCohort(Body):
    """A cohort as an admin wants it: ``members`` are all of them; the calendar stays where it is left out."""

    name: Text
    members: Annotated[list[StudentId], Field(max_length=MOST_MEMBERS)]
    calendar: Annotated[list[DueWork], Field(max_length=MOST_DUE)] | None = None

    def due(self) -> list[Due] | None:
        if self.calendar is None:
            return None
        return [Due(day_of_date(one.due), one.topic, one.kind, one.minutes) for one in self.calendar]


class Compare(Body):
    """Whom to compare with which cohort, and by what."""

    student_id: StudentId
    cohort_id: CohortId
    metric: Literal["overall", "by_component"] = "overall"


class CohortAnalytics(Body):
    """Which cohort; ``limit`` and ``cursor`` page through those who need help."""

    cohort_id: CohortId
    limit: Annotated[int, Field(ge=1, le=1_000)] = 50
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None
