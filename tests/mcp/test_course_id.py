"""Every tool and resource about a student is about one of their courses, in one school."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from tests.support.agents import agent, ask, failure, text_of
from tests.support.calls import Api, Json, event, make_token
from tests.support.schools import ADA, ART, OURS, PHYSICS, THEIRS, learn_in, two_schools

ARGUMENTS: dict[str, Json] = {
    "get_mastery": {},
    "what_if": {"quality": 1.0},
    "explain_score": {},
    "explain_change": {},
    "get_history": {},
    "get_skills": {},
    "forecast": {},
    "recommend": {},
    "next_items": {},
    "learning_path": {},
    "struggles": {},
}
# What is about a student, and has a rule of its own for the course.
OTHERWISE = {"event_status", "compare"}


@pytest.fixture
async def schools(tmp_path: Path) -> AsyncIterator[Api]:
    async with two_schools(tmp_path) as api:
        yield api


def agent_of(api: Api, tenant: str, **claims: Any) -> Any:
    return agent(api, make_token(tenant=tenant, **claims))


async def test_each_tool_about_a_student_takes_a_course(schools: Api) -> None:
    async with agent_of(schools, OURS) as client:
        tools = {tool.name: tool.input_schema["properties"] for tool in (await client.list_tools()).tools}
    about_a_student = {name for name, takes in tools.items() if "student_id" in takes}
    assert about_a_student == ARGUMENTS.keys() | OTHERWISE
    assert {name for name, takes in tools.items() if "course_id" in takes} == {
        *ARGUMENTS,
        "event_status",
        "who_needs_help",
    }


@pytest.mark.parametrize("tool", ARGUMENTS)
async def test_each_course_answers_by_itself(schools: Api, tool: str) -> None:
    """What holds in one is unchanged by the other, and by a namesake's in another school."""

    async def asked(client: Client, course_id: str | None) -> Any:
        named = {} if course_id is None else {"course_id": course_id}
        answer = await ask(client, tool, student_id=ADA, **named, **ARGUMENTS[tool])
        return {name: value for name, value in answer.items() if name != "courses"}

    async with agent_of(schools, OURS) as ours, agent_of(schools, THEIRS) as theirs:
        before = await asked(ours, PHYSICS)
        assert "COURSE_REQUIRED" in await failure(ours, tool, student_id=ADA, **ARGUMENTS[tool])
        assert await asked(theirs, None) == await asked(theirs, ART)
        quoted = await ask(ours, tool, student_id=ADA, course_id=f"«{PHYSICS}»", **ARGUMENTS[tool])
        assert {name: value for name, value in quoted.items() if name != "courses"} == before
        await learn_in(schools, OURS, ART, 0)
        await learn_in(schools, THEIRS, PHYSICS, 0)
        await learn_in(schools, THEIRS, ART, 0)
        assert await asked(ours, PHYSICS) == before
        assert "COURSE_REQUIRED" in await failure(theirs, tool, student_id=ADA, **ARGUMENTS[tool])


async def test_a_teacher_sees_each_class_in_its_course(schools: Api) -> None:
    """As the class's own figures have it, though the student is in another course too."""
    await learn_in(schools, OURS, PHYSICS, 1, "bob", "physics-1")
    await learn_in(schools, OURS, ART, 10, "bob")
    await learn_in(schools, OURS, "default", 10, "bob")
    await learn_in(schools, THEIRS, PHYSICS, 10, "bob", "physics-1")
    async with agent_of(schools, OURS, role="teacher", cohorts=["physics-1"]) as client:
        found = await ask(client, "who_needs_help")
        figures = await ask(client, "cohort_overview", cohort_id="physics-1")
        assert [(one["student_id"], one["course_id"]) for one in found["first"]] == [("bob", f"«{PHYSICS}»")]
        assert (found["average"], found["first"][0]["score"]) == (figures["average"], figures["first"][0]["score"])
        compared = await ask(client, "compare", student_id="bob")
        assert compared["student"]["score"] == figures["average"]
        elsewhere = await ask(client, "who_needs_help", course_id=ART)
        assert elsewhere["average"] > found["average"]
    both = {"role": "teacher", "cohorts": ["physics-1"], "students": [ADA, "nobody"]}
    async with agent_of(schools, OURS, **both) as client:
        found = await ask(client, "who_needs_help", limit=50)
        assert (found["size"], found["unknown"]) == (2, ["nobody"])
        assert sum(found["levels"].values()) == 3, "whom the token alone names stands in each of their courses"


async def test_an_event_is_of_its_course(schools: Api) -> None:
    async with agent_of(schools, OURS) as client:
        sent = {**event("quiz", student_id=ADA), "course_id": ART}
        await ask(client, "ingest_events", events=[sent])
        await schools.processed(sent["event_id"], ADA, token=make_token(tenant=OURS))
        for course_id, status in ((None, "processed"), (ART, "processed"), (PHYSICS, "not_processed")):
            named = {} if course_id is None else {"course_id": course_id}
            found = await ask(client, "event_status", student_id=ADA, event_id=sent["event_id"], **named)
            assert found["status"] == status


async def test_resources_are_of_the_course_that_their_address_names(schools: Api) -> None:
    async with agent_of(schools, OURS) as client:

        async def read(address: str) -> Any:
            return json.loads(text_of((await client.read_resource(f"mastery://{address}")).contents[0]))

        templates = {one.uri_template for one in (await client.list_resource_templates()).resource_templates}
        assert {f"mastery://courses/{{course_id}}/{one}" for one in ("rules", "curriculum")} <= templates
        for course_id, skill, zone in ((PHYSICS, "motion", "Pacific/Kiritimati"), (ART, "colour", "Pacific/Niue")):
            place = f"courses/{quote(course_id, safe='')}"
            assert (await read(f"{place}/rules"))["zone"] == zone
            assert [one["id"] for one in (await read(f"{place}/curriculum"))[0]["skills"]] == [skill]
            summary = await read(f"students/{ADA}/summary?course_id={quote(course_id, safe='')}")
            assert summary["score"] == (await ask(client, "get_mastery", student_id=ADA, course_id=course_id))["score"]
        assert (await read("rules"))["zone"] == (await read("courses/default/rules"))["zone"] == "UTC"
        assert await read("curriculum") == await read("courses/default/curriculum")
        for address, said in (
            ("courses/nowhere/rules", "NOT_FOUND"),
            ("courses/a%00/curriculum", "VALIDATION_ERROR"),
            (f"students/{ADA}/summary", "COURSE_REQUIRED"),
        ):
            with pytest.raises(MCPError, match=said):
                await client.read_resource(f"mastery://{address}")
