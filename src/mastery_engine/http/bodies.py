"""What the calls take. Unknown fields are refused, so that a typo does not pass for a default.

One thing is a Pydantic model; many things are read as raw rows, since each is judged on its own.
"""

import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mastery_engine.domain.events.envelope import STUDENT_ID, malformed
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.evidence.periods import Aggregation
from mastery_engine.ports.jobs import Priority

StudentId = Annotated[str, StringConstraints(pattern=STUDENT_ID)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


Many = TypeVar("Many", "Rows", "BatchCalculate")


class Body(BaseModel):
    """Strict: no text or boolean passes for a number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Query(Body):
    """Which student, and when: ``date`` asks for what was known on that day."""

    student_id: StudentId
    date: datetime.date | None = None
    include_components: bool = True


class OfStudent(Body):
    """Which student."""

    student_id: StudentId


class GivenComponents(Body):
    """The components that are given; the others come from the evidence."""

    completion: Share | None = None
    quiz: Share | None = None
    quality: Share | None = None
    consistency: Share | None = None

    def values(self) -> ComponentValues:
        return ComponentValues(self.completion, self.quiz, self.quality, self.consistency)


class Calculate(Body):
    """A calculation; recorded unless ``record`` is false, or the caller may not record."""

    student_id: StudentId
    components: GivenComponents = GivenComponents()
    record: bool | None = None


class History(Body):
    """A range of days, both ends included; the whole retention where left out."""

    student_id: StudentId
    start_date: datetime.date | None = None
    end_date: datetime.date | None = None
    aggregation: Aggregation = "daily"
    format: Literal["json", "csv"] = "json"


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many events, each accepted or refused on its own."""

    events: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=1_000)]


class BatchCalculate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many calculations. Each row, {student_id, components}, is checked on its own: a bad one fails alone."""

    requests: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=1_000)]
    record: bool | None = None
    priority: Priority = "normal"


def read_rows(kind: type[Many], body: bytes) -> Many:
    """A body with many rows, each left as it came. Raises InvalidInput."""
    try:
        body.decode()
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from error
