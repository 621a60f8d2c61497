"""One meaning for each word of the answers, null for whatever is optional, and events by their schema."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from mastery_engine.domain.events.kinds import KINDS
from tests.support.agents import agent, ask, failure
from tests.support.calls import COHORT, STUDENT, Api, Json, event, serving
from tests.support.samples import DATA

MEMBERS = [STUDENT, *[f"s{n}" for n in range(4)]]
ITEM = {"item_id": "loops-9", "skills": ["loops"], "url": "https://school.example/9"}
# For each tool what makes it answer, about the same student and class wherever it is about one.
ASKED: dict[str, Json] = {
    "get_mastery": {"student_id": STUDENT, "detail": True},
    "what_if": {"student_id": STUDENT},
    "explain_score": {"student_id": STUDENT, "detail": True},
    "explain_change": {"student_id": STUDENT},
    "get_history": {"student_id": STUDENT, "detail": True},
    "get_skills": {"student_id": STUDENT},
    "find_student": {"query": STUDENT},
    "who_needs_help": {"student_ids": MEMBERS},
    "list_classes": {},
    "cohort_overview": {"cohort_id": COHORT},
    "compare": {"student_id": STUDENT, "cohort_ids": [COHORT]},
    "ingest_events": {"events": [event("help")]},
    "event_status": {"student_id": STUDENT, "event_id": "e-1"},
    "forecast": {"student_id": STUDENT},
    "recommend": {"student_id": STUDENT},
    "next_items": {"student_id": STUDENT},
    "learning_path": {"student_id": STUDENT},
    "struggles": {"student_id": STUDENT},
}


@pytest.fixture
async def rising(tmp_path: Path) -> Any:
    """A class whose student has risen steadily, so that what was is another trend than what is expected."""
    async with serving(tmp_path) as api:
        await api.call("PUT", "/courses/default", {"items": [ITEM]})
        past = [event("quiz", days_ago=n, correct_answers=10 - n, topic=f"t{n}") for n in range(9, -1, -1)]
        others = [event("quiz", student_id=one, correct_answers=n) for n, one in enumerate(MEMBERS[1:])]
        named = [{**one, "metadata": {"cohort_id": COHORT}} for one in (*past, *others)]
        await api.learn(*named, event("answer"))
        yield api


def words_in(answer: Any) -> Iterator[tuple[str, Any]]:
    """The words of an answer with their values; not those of its rows, each of which is about somebody else."""
    for name, value in answer.items():
        if name != "next":
            yield name, value


async def test_a_word_that_several_tools_say_of_one_student_or_class_has_one_value(rising: Api) -> None:
    said: dict[str, dict[str, Any]] = defaultdict(dict)
    async with agent(rising) as client:
        for tool, arguments in ASKED.items():
            answer = await ask(client, tool, **arguments)
            for name, value in words_in({**answer, **answer.get("student", {})}):
                if isinstance(value, str | int | float) and not isinstance(value, bool):
                    said[name][tool] = value
    shared = {name: by_tool for name, by_tool in said.items() if len(by_tool) > 1}
    assert {"score", "level", "coverage", "trend", "size", "average", "need_help"} <= shared.keys()
    assert {name: by_tool for name, by_tool in shared.items() if len(set(by_tool.values())) > 1} == {}


async def test_trend_is_what_was_everywhere_and_what_is_expected_has_its_own_word(rising: Api) -> None:
    async with agent(rising) as client:
        tools = {tool.name: json.dumps(tool.output_schema) for tool in (await client.list_tools()).tools}
        assert {name for name, answers in tools.items() if '"trend"' in answers} == {
            *("get_mastery", "get_history"),
            *("who_needs_help", "cohort_overview"),
        }
        past = (await rising.data("/mastery/query", {"student_id": STUDENT}))["trend"]
        ahead = (await rising.data("/predictions/next-week", {"student_id": STUDENT}))["trend"]
        assert (past, (await ask(client, "get_mastery", student_id=STUDENT))["trend"]) == ("improving", "improving")
        assert (await ask(client, "get_history", student_id=STUDENT))["trend"] == past
        found = await ask(client, "forecast", student_id=STUDENT)
        assert (found["expected_trend"], "trend" in found) == (ahead, False)


def shapes(schema: Json) -> Iterator[tuple[str, frozenset[str]]]:
    """The fields of an answer and of its rows, each with the types that it may have."""
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            kinds = [field, *field.get("anyOf", [])]
            yield name, frozenset(one.get("type", "object") for one in kinds if "type" in one or "$ref" in one)


async def test_a_word_has_one_shape_in_all_answers(api: Api) -> None:
    found: dict[str, set[frozenset[str]]] = defaultdict(set)
    async with agent(api) as client:
        for tool in (await client.list_tools()).tools:
            for name, kinds in shapes(tool.output_schema or {}):
                found[name].add(kinds)
    assert {"score", "first", "students", "skills", "reason"} <= found.keys()
    # Students are told the size of a class as a range.
    assert {name for name, kinds in found.items() if len(kinds) > 1} == {"size"}


async def test_null_is_taken_for_every_optional_argument_of_every_tool(rising: Api) -> None:
    tried = 0
    async with agent(rising) as client:
        tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
        assert tools.keys() == ASKED.keys()
        for tool, schema in tools.items():
            optional = sorted(set(schema["properties"]).difference(schema.get("required", ())))
            needed = {name: value for name, value in ASKED[tool].items() if name not in optional}
            kept = {"student_ids", "cohort_ids"} & ASKED[tool].keys()  # an admin's token names none
            sure = needed | {name: ASKED[tool][name] for name in kept}
            plain = await ask(client, tool, **sure)
            nulls = {name: None for name in optional if name not in kept}
            assert await ask(client, tool, **sure, **nulls) == plain, tool
            for name in optional:
                if name not in kept:
                    assert await ask(client, tool, **{**sure, name: None}) == plain, (tool, name)
            for name in kept:
                assert "VALIDATION_ERROR: Your token names no" in await failure(client, tool, **{**needed, name: None})
            tried += len(optional)
        for tool, schema in tools.items():
            for name in schema.get("required", ()):
                said = await failure(client, tool, **{**ASKED[tool], name: None})
                assert said.startswith(f"VALIDATION_ERROR: {name}: must be"), (tool, said)
    assert tried > 40


async def test_the_schema_of_events_is_the_union_of_all_kinds(api: Api) -> None:
    async with agent(api) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        schema = tools["ingest_events"].input_schema["properties"]["events"]["items"]
        check = jsonschema_rs.Draft202012Validator(schema)
        shown = {one["properties"]["event_type"]["const"]: one["properties"]["data"] for one in schema["oneOf"]}
        assert {kind: set(data["properties"]) for kind, data in shown.items()} == {
            name: set(kind.__struct_fields__) for name, kind in KINDS.items()
        }
        sent = [{**event(kind), "data": data} for kind, data in DATA.items()]
        for one in sent:
            check.validate(one)
            for name in shown[one["event_type"]].get("required", ()):
                lacking = {**one, "data": {key: value for key, value in one["data"].items() if key != name}}
                assert not check.is_valid(lacking), (one["event_type"], name)
        for bad in ({"event_type": "nap", "student_id": STUDENT, "data": {}}, {**sent[0], "data": sent[1]["data"]}, 5):
            assert not check.is_valid(bad)
        taken = await ask(client, "ingest_events", events=sent)
        assert taken["accepted"] == len(KINDS)


def test_the_schema_of_events_requires_what_decoding_requires() -> None:
    """Field by field, so that a kind that changes changes here too."""
    from mastery_engine.mcp.event_schema import EVENT

    required = {one["properties"]["event_type"]["const"]: one["properties"]["data"] for one in EVENT["oneOf"]}
    for name, kind in KINDS.items():
        wanted = {field.name for field in msgspec.structs.fields(kind) if field.required}
        assert set(required[name].get("required", ())) == wanted
