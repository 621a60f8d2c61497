"""What the tools share: the engine, the caller, and errors worded for a model."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated

import msgspec
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import AfterValidator, BeforeValidator, Field, Strict, StringConstraints

from mastery_engine.auth.access import Caller
from mastery_engine.domain.courses.choice import MOST_NAMED
from mastery_engine.domain.given_ids import EVENT_ID, LONGEST_NAME, STUDENT_ID, normal_name
from mastery_engine.engine import Engine
from mastery_engine.errors import Busy, CourseRequired, Forbidden, InvalidInput, MasteryError, NotFound, Unavailable
from mastery_engine.mcp.hints import in_words, to_find_ids
from mastery_engine.mcp.quoted import GivenBack, quoted
from mastery_engine.mcp.results import ToolResult
from mastery_engine.mcp.tokens import count


def _a_text(value: object) -> object:
    """The value itself. Raises ValueError for a number, which would be read as seconds since 1970."""
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a date, as in 2026-01-14")
    return value


READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
RECORDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)

StudentId = Annotated[str, GivenBack, StringConstraints(pattern=STUDENT_ID)]
EventId = Annotated[str, GivenBack, StringConstraints(pattern=EVENT_ID)]
# The length is that of the normal form, so only the schema says it.
Name = Annotated[
    str,
    GivenBack,
    AfterValidator(normal_name),
    Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST_NAME}),
]
# In most tools, so its schema says no more than what it is.
Course = Annotated[Annotated[str, GivenBack, AfterValidator(normal_name)] | None, Field()]
# Strict, as over HTTP: a text or a boolean is no number.
Share = Annotated[float, Field(ge=0.0, le=1.0, strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Strict()]
Cursor = Annotated[Annotated[str, Field(max_length=500)] | None, Field()]
Flag = Annotated[bool, Strict()]
Day = Annotated[date, BeforeValidator(_a_text)]

WHAT_TO_DO: tuple[tuple[type[MasteryError], str], ...] = (
    (NotFound, "A student without any event is unknown."),
    (Forbidden, "Do not try again: this token does not allow it."),
    (InvalidInput, "Correct this argument and call again."),
    (Busy, "Wait a second and call again."),
    (Unavailable, "Nothing was lost: wait a few seconds and call again."),
)


class ToolContext(msgspec.Struct, frozen=True):
    """The engine, and ``who``, which gives the caller of the current call."""

    engine: Engine
    who: Callable[[], Caller]

    async def respond(self, tool: str, result: ToolResult) -> CallToolResult:
        """The answer of a tool, as JSON without blanks. Its size in tokens is measured, in a thread."""
        text = result.model_dump_json(exclude_none=True)
        tokens = await asyncio.to_thread(count, text)
        if tokens is not None:
            self.engine.metrics.answer_tokens.labels(tool).observe(tokens)
        return CallToolResult(
            content=[TextContent(type="text", text=text)], structured_content=result.model_dump(exclude_none=True)
        )

    @contextmanager
    def plainly(self, given: str | None = None) -> Iterator[None]:
        """Turn the engine's errors into tool errors that say what is wrong and what to do.

        ``given`` is an argument of any text: an error that repeats it has it quoted.
        """
        try:
            yield
        except MasteryError as error:
            raise ToolError(_told(error, given, self.who())) from error


def _told(error: MasteryError, given: str | None, caller: Caller) -> str:
    advice = next((words for kind, words in WHAT_TO_DO if isinstance(error, kind)), "")
    if isinstance(error, CourseRequired):  # what a school calls its courses is data
        courses = ", ".join(quoted(one) for one in error.courses[:MOST_NAMED])
        return f"{error.code}: The student is in several courses: give course_id, one of {courses}. {advice}"
    where = f" (argument {error.field})" if error.field and error.field not in error.message else ""
    message = error.message if given is None else error.message.replace(repr(given), quoted(given))
    ids = to_find_ids(caller, error.field) if isinstance(error, _WRONG_ID) else None
    hint = "" if ids is None else in_words(ids)
    return " ".join(part for part in (f"{error.code}: {message}{where}", advice, hint) if part)


_WRONG_ID = (NotFound, Forbidden, InvalidInput)
