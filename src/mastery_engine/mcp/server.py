"""The server: tools, resources and a prompt. What a token may see by HTTP it may see here, and no more."""

import json
import re
from collections.abc import Callable

import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from mastery_engine import __version__
from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.envelope import STUDENT_ID
from mastery_engine.errors import MasteryError
from mastery_engine.mcp.brief import BriefServer
from mastery_engine.mcp.context import Desk
from mastery_engine.mcp.tools.ahead import add_ahead_tools
from mastery_engine.mcp.tools.cohorts import add_cohort_tools
from mastery_engine.mcp.tools.student import add_student_tools
from mastery_engine.mcp.tools.students import add_class_tools, add_event_tools
from mastery_engine.services import Mastery
from mastery_engine.services.advice import Advising
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.forecasts import Predictions
from mastery_engine.services.reports import Reports
from mastery_engine.services.skills import Skills
from mastery_engine.services.standings import Standings

INSTRUCTIONS = (
    "Turns what students of a course did (exercises, quizzes, reviews, active days) into a mastery score from 0 to 1. "
    "score = 0.40 completion + 0.30 quiz + 0.20 quality + 0.10 consistency unless the school has other rules "
    "(resource mastery://rules). A student_id is as in student_12345. Ask the tools instead of adding up raw events: "
    "they answer in few tokens. Answers are short; pass detail=true only where you need more."
)


def make_server(mastery: Mastery, predictions: Predictions, who: Callable[[], Caller]) -> MCPServer:
    """The server on an engine; ``who`` gives the caller of the call under way."""
    server = BriefServer("mastery-engine", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    standings = Standings(mastery, Cohorts(mastery))
    desk = Desk(mastery, Reports(mastery), Skills(mastery), predictions, Advising(mastery), standings, who)
    for add in (add_student_tools, add_class_tools, add_cohort_tools, add_event_tools, add_ahead_tools):
        add(server, desk)
    _add_resources(server, desk)
    _add_prompts(server)
    return server


def _add_resources(server: MCPServer, desk: Desk) -> None:
    @server.resource("mastery://rules", mime_type="application/json")
    def rules() -> str:
        """The weights of the components, the levels with their lower bounds, the retention in days."""
        return msgspec.json.encode(desk.mastery.rules).decode()

    @server.resource("mastery://curriculum", mime_type="application/json")
    def curriculum() -> str:
        """The course: modules, their skills, what each skill asks for first, and the minutes that it takes."""
        course = [
            {
                "module": module.id,
                "title": module.title,
                "skills": [
                    {"id": one.id, "title": one.title, "after": one.prerequisites, "minutes": one.minutes}
                    for one in module.skills
                ],
            }
            for module in desk.mastery.curriculum.modules
        ]
        return msgspec.json.encode(course).decode()

    @server.resource("mastery://students/{student_id}/summary", mime_type="application/json")
    async def summary(student_id: str) -> str:
        """A student's score, level and costliest component, in one line of JSON."""
        try:
            found = await desk.reports.explain(desk.who(), student_id)
        except MasteryError as error:
            raise ResourceError(f"{error.code}: {error.message}") from error
        first = found.costs[0]
        return json.dumps(
            {
                "score": found.mastery_score,
                "level": found.level,
                "coverage": found.coverage,
                "costs_most": first.component,
                "cost": first.cost,
            }
        )


def _add_prompts(server: MCPServer) -> None:
    @server.prompt()
    def tutor(student_id: str) -> str:
        """Tutor one student by what the engine knows."""
        if not re.fullmatch(STUDENT_ID, student_id):  # it becomes part of what a model is told
            raise MCPError(INVALID_PARAMS, f"student_id: must match {STUDENT_ID}")
        return (
            f"You tutor student {student_id}. Call explain_score and get_skills first. Say in plain words where the "
            "student stands, praise what is strong, and propose one next step for the costliest component or weakest "
            "skill, with the reason. If coverage is below 0.7 say that this is provisional. Never show another "
            "student's data, and never invent numbers."
        )
