"""The request bodies that several calls share. Unknown fields are refused, so that a typo does not mean a default.

A body about one thing is a Pydantic model. A body with many rows keeps them raw, since each row is checked on its own.
The body of a single call stands beside its route, in ``routers``.
"""

from functools import partial
from typing import Annotated, TypeVar

import msgspec
from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mastery_engine.domain.faults import malformed, sentence
from mastery_engine.domain.given_ids import LONGEST_ID, LONGEST_NAME, STUDENT_ID, normal_name
from mastery_engine.errors import InvalidInput
from mastery_engine.services.batches import BatchPriority

StudentId = Annotated[str, StringConstraints(pattern=STUDENT_ID)]
# The length is that of the normal form, so only the schema says it.
Name = Annotated[str, AfterValidator(normal_name), Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST_NAME})]
NamePath = Annotated[
    str,
    Path(
        description="percent-encoded, a slash as %2F",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_NAME},
    ),
    AfterValidator(normal_name),
]
ItemId = Annotated[
    str,
    AfterValidator(partial(normal_name, longest=LONGEST_ID)),
    Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST_ID}),
]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

# Of a GET, in the address.
AskedCourse = Annotated[
    Annotated[str, AfterValidator(normal_name)] | None,
    Query(
        description="which course: else the student's only one, else `default`",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_NAME},
    ),
]

Whole = TypeVar("Whole", bound=msgspec.Struct)


class Body(BaseModel):
    """The base of all bodies. It is strict: a text or a boolean is not accepted as a number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class OfStudent(Body):
    """Which student, in which course: else their only one, else ``default``."""

    student_id: StudentId
    course_id: Name | None = None


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many events, each accepted or refused on its own."""

    events: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=1_000)]


class BatchCalculate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many calculations. A row, {student_id, components, course_id}, is checked on its own: a bad one fails alone."""

    requests: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=1_000)]
    record: bool | None = None
    priority: BatchPriority = "normal"


def read_struct(kind: type[Whole], body: bytes) -> Whole:
    """A body that is no Pydantic model: one with many rows, or with a type of the domain. Raises InvalidInput."""
    try:
        body.decode()
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, source=body, kind=kind) from error


def read_document(body: bytes) -> object:
    """A body of another platform, whatever JSON it is (RFC 8259). Raises InvalidInput."""
    try:
        body.decode()
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, source=body) from None


def check_written(body: bytes) -> None:
    """Raises InvalidInput if a body that was not taken is no JSON, with how it is written: no other words say it."""
    try:
        body.decode()
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, source=body) from None


def parse(model: type[BaseModel], body: bytes) -> BaseModel:
    """The body as its model. Raises InvalidInput, which names the first field at fault."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        check_written(body)
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in fault["loc"]) or None
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InvalidInput(f"{sentence(fault['msg'], field)}{more}.", field=field) from None
