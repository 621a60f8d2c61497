"""What the tools share: the engine's services, who asks, and how a failure is told to a model."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent
from pydantic import Field, StringConstraints

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.envelope import STUDENT_ID
from mastery_engine.errors import Busy, Forbidden, InvalidInput, MasteryError, NotFound, Unavailable
from mastery_engine.mcp.results import Result
from mastery_engine.mcp.tokens import count
from mastery_engine.services import Mastery
from mastery_engine.services.advice import Advising
from mastery_engine.services.forecasts import Predictions
from mastery_engine.services.reports import Reports
from mastery_engine.services.skills import Skills
from mastery_engine.services.standings import Standings

StudentId = Annotated[str, StringConstraints(pattern=STUDENT_ID)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

ADVICE: tuple[tuple[type[MasteryError], str], ...] = (
    (NotFound, "Check the id with who asked; a student without any event is unknown."),
    (Forbidden, "Do not try again: this token may not see or do that. Ask for another token, or about your own."),
    (InvalidInput, "Mend that argument and call again."),
    (Busy, "Wait a second and call again."),
    (Unavailable, "Nothing was lost; wait some seconds and call again."),
)


class Desk(msgspec.Struct, frozen=True):
    """``who`` gives the caller of the call under way."""

    mastery: Mastery
    reports: Reports
    skills: Skills
    predictions: Predictions
    advising: Advising
    standings: Standings
    who: Callable[[], Caller]

    async def told(self, tool: str, result: Result) -> CallToolResult:
        """The answer as it is sent, JSON without blanks; its size is a metric, counted beside the loop."""
        text = result.model_dump_json(exclude_none=True)
        self.mastery.metrics.answer_tokens.labels(tool).observe(await asyncio.to_thread(count, text))
        return CallToolResult(
            content=[TextContent(type="text", text=text)], structured_content=result.model_dump(exclude_none=True)
        )


@contextmanager
def plainly() -> Iterator[None]:
    """A failure as a sentence that says what to do."""
    try:
        yield
    except MasteryError as error:
        advice = next((words for kind, words in ADVICE if isinstance(error, kind)), "")
        where = f" (argument {error.field})" if error.field else ""
        raise ToolError(f"{error.code}: {error.message}{where} {advice}".strip()) from error
