"""The MCP server: tools, resources and a prompt. A token allows the same here as over HTTP, and no more."""

import json
from collections.abc import Callable

import msgspec
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError
from mcp.server.mcpserver.resources import ResourceSecurity
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from mastery_engine import __version__
from mastery_engine.auth.access import Caller
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, course_named
from mastery_engine.domain.given_ids import FORMS, STUDENT_ID, check_student_id, is_student_id
from mastery_engine.engine import Engine
from mastery_engine.errors import MasteryError
from mastery_engine.mcp.brief import BriefServer
from mastery_engine.mcp.context import ToolContext
from mastery_engine.mcp.quoted import NOTE, unquoted
from mastery_engine.mcp.tools.advice import add_advice_tools
from mastery_engine.mcp.tools.cohorts import add_cohort_tools
from mastery_engine.mcp.tools.events import add_event_tools
from mastery_engine.mcp.tools.student import add_student_tools
from mastery_engine.mcp.tools.students import add_students_tools

INSTRUCTIONS = (
    "Turns what students of a course did (exercises, quizzes, reviews, active days) into a mastery score from 0 to 1. "
    "score = 0.40 completion + 0.30 quiz + 0.20 quality + 0.10 consistency unless the school has other rules "
    "(resource mastery://rules). A student_id looks like student_12345. Use the tools instead of adding up raw events: "
    "they answer in few tokens. A student may be in several courses: course_id says which. Answers are short; pass "
    "detail=true only if you need more. "
    f"{NOTE} As arguments ids may keep the marks."
)

# An id names nothing of a file system, and may be any text: edX/DemoX/2026.
_ANY_TEXT = ResourceSecurity(exempt_params=frozenset(("course_id",)))


def make_server(engine: Engine, who: Callable[[], Caller]) -> MCPServer:
    """The server for an engine; ``who`` gives the caller of the current call."""
    server = BriefServer("mastery-engine", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING")
    context = ToolContext(engine, who)
    for add in (add_student_tools, add_students_tools, add_cohort_tools, add_event_tools, add_advice_tools):
        add(server, context)
    _add_resources(server, context)
    _add_prompts(server)
    return server


def _rules_of(course: CourseSetup) -> str:
    shown = msgspec.to_builtins(course.rules)
    return json.dumps({**shown, "zone": shown["zone"]["name"]})


def _curriculum_of(course: CourseSetup) -> str:
    modules = [
        {
            "module": module.id,
            "title": module.title,
            "skills": [
                {"id": skill.id, "title": skill.title, "after": skill.prerequisites, "minutes": skill.minutes}
                for skill in module.skills
            ],
        }
        for module in course.curriculum.modules
    ]
    return msgspec.json.encode(modules).decode()


def _add_resources(server: MCPServer, context: ToolContext) -> None:
    async def course(course_id: str) -> CourseSetup:
        try:
            return await context.engine.courses.known(context.who(), course_named(str(unquoted(course_id))))
        except MasteryError as error:
            raise ResourceError(f"{error.code}: {error.message}") from error

    @server.resource("mastery://rules", mime_type="application/json")
    async def rules() -> str:
        """The weights of the components, the levels with their lower bounds, the retention in days."""
        return _rules_of(await course(DEFAULT_COURSE))

    @server.resource("mastery://curriculum", mime_type="application/json")
    async def curriculum() -> str:
        """The course: modules, their skills, and the prerequisites and minutes of each skill."""
        return _curriculum_of(await course(DEFAULT_COURSE))

    @server.resource("mastery://courses/{course_id}/rules", mime_type="application/json", security=_ANY_TEXT)
    async def rules_of_course(course_id: str) -> str:
        """The rules of a course, as mastery://rules has those of the default one; its id is percent-encoded."""
        return _rules_of(await course(course_id))

    @server.resource("mastery://courses/{course_id}/curriculum", mime_type="application/json", security=_ANY_TEXT)
    async def curriculum_of_course(course_id: str) -> str:
        """The curriculum of a course, as mastery://curriculum has that of the default one."""
        return _curriculum_of(await course(course_id))

    @server.resource(
        "mastery://students/{student_id}/summary{?course_id}", mime_type="application/json", security=_ANY_TEXT
    )
    async def summary(student_id: str, course_id: str | None = None) -> str:
        """A student's score, level and costliest component, in one line of JSON."""
        try:
            checked = check_student_id(str(unquoted(student_id)))
            asked = None if course_id is None else course_named(str(unquoted(course_id)))
            explanation = await context.engine.reports.explain(context.who(), checked, course_id=asked)
        except MasteryError as error:
            raise ResourceError(f"{error.code}: {error.message}") from error
        costliest = explanation.costs[0]
        return json.dumps(
            {
                "score": explanation.mastery_score,
                "level": explanation.level,
                "coverage": explanation.coverage,
                "costs_most": costliest.component,
                "cost": costliest.cost,
            }
        )


def _add_prompts(server: MCPServer) -> None:
    @server.prompt()
    def tutor(student_id: str) -> str:
        """Tutor one student by what the engine knows."""
        student_id = str(unquoted(student_id))
        if not is_student_id(student_id):  # it becomes part of a model's instructions
            raise MCPError(INVALID_PARAMS, f"student_id: {FORMS[STUDENT_ID]}")
        return (
            f"You tutor student {student_id}. Call explain_score and get_skills first. Say in plain words where the "
            "student stands, praise what is strong, and propose one next step for the costliest component or weakest "
            "skill, with the reason. If coverage is below 0.7, say that the score is provisional. Never show another "
            "student's data, and never invent numbers. "
            f"{NOTE}"
        )
