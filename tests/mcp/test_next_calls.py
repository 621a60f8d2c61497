"""What an agent that has read no document comes to: by the list of tools, and by what the answers propose."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.types import Tool

from mastery_engine.errors import NotFound
from mastery_engine.mcp.quoted import quoted, unquoted
from tests.support.agents import agent, ask, text_of
from tests.support.calls import COHORT, Api, Json, event, serving
from tests.support.live import make_token

NAMES = {"s0": "Ada Lovelace", "s1": "Bo", "s2": "Cy", "s3": "Di", "s4": "Ed", "s5": "Flo"}
WEAK = "s0"
ROLES: dict[str, dict[str, Any]] = {
    "student": {"subject": "s1"},
    "teacher": {"subject": "ms-hopper", "cohorts": [COHORT]},
    "service": {},
    "admin": {},
}
ITEMS = [{"item_id": f"loops-{n}", "skills": ["loops"], "url": f"https://school.example/l/{n}?a=«"} for n in range(3)]


@asynccontextmanager
async def a_school(folder: Path) -> AsyncIterator[Api]:
    """A class of six with names, of whom each knows more than the one before; one more is known by name alone."""
    async with serving(folder) as api:
        put = await api.call("PUT", "/courses/default", {"items": ITEMS})
        assert put.status_code == 200, put.text
        await api.learn(
            *[
                {**event("quiz", student_id=one, correct_answers=2 * n), "metadata": {"cohort_id": COHORT}}
                for n, one in enumerate(NAMES)
            ],
            *[event("answer", student_id="s5", item_id="loops-0")],
        )
        for student_id, name in {**NAMES, "new": "Nobody Yet"}.items():
            await api.call("PUT", f"/students/{student_id}/profile", {"display_name": name})
        await api.call("PUT", f"/cohorts/{COHORT}", {"name": "Python", "members": list(NAMES)})
        yield api


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[Api]:
    async with a_school(tmp_path) as api:
        yield api


def by_words(tools: list[Tool], words: str) -> Tool:
    """The first tool whose description has these words, as a model would look for it."""
    return next(tool for tool in tools if words in (tool.description or ""))


async def test_a_stranger_s_agent_learns_who_needs_help_in_a_class_and_why(school: Api) -> None:
    async with agent(school, make_token("teacher", **ROLES["teacher"])) as client:
        tools = (await client.list_tools()).tools
        start = by_words(tools, "Start here if you know no ids")
        assert "required" not in start.input_schema
        classes = await ask(client, start.name)
        (known,) = [one for one in classes["classes"] if unquoted(one["name"]) == "Python"]
        assert (unquoted(known["cohort_id"]), known["size"]) == (COHORT, 6)
        overview = await ask(client, classes["next"]["tool"], **classes["next"]["arguments"])
        first = overview["first"][0]
        assert (first["student_id"], unquoted(first["name"])) == (WEAK, NAMES[WEAK])
        assert "low_score" in [reason["code"] for reason in first["reasons"]]
        advice = await ask(client, overview["next"]["tool"], **overview["next"]["arguments"])
        assert any(one["links"] for one in advice["advice"])


# The jobs of an agent, each by the words of a description, with what is known by then.
JOBS: dict[str, Callable[[Json], Any]] = {
    "what does she know": lambda found: 0.0 <= found["score"] <= 1.0,
    "will he pass": lambda found: found["lower"] <= found["then"] <= found["upper"],
    "what next": lambda found: found["advice"][0]["reason"],
    "why this score": lambda found: found["costs"],
    "compare classes": lambda found: found["classes"][0]["average"],
}


async def test_the_five_jobs_need_no_page(school: Api) -> None:
    async with agent(school) as client:
        tools = (await client.list_tools()).tools
        finder = by_words(tools, "student_id of whoever is meant by a name")
        assert finder.input_schema["required"] == ["query"]
        (found,) = (await ask(client, finder.name, query="ada lovelace"))["students"]
        (cohort_id,) = found["cohort_ids"]
        given = {"student_id": found["student_id"], "cohort_ids": [cohort_id]}
        for job, is_answered in JOBS.items():
            tool = by_words(tools, job)
            asked = set(tool.input_schema.get("required", ())) | ({"cohort_ids"} if job == "compare classes" else set())
            answer = await ask(client, tool.name, **{name: given[name] for name in sorted(asked)})
            assert is_answered(answer), (job, answer)


def proposals(value: Any) -> list[dict[str, Any]]:
    """The calls that an answer proposes, structured or at the end of an error."""
    if isinstance(value, str):
        return [
            {"tool": tool, "arguments": json.loads(arguments)}
            for tool, arguments in re.findall(r"Next: (\w+) (\{.*\})$", value)
        ]
    if isinstance(value, list):
        return [one for part in value for one in proposals(part)]
    if not isinstance(value, dict):
        return []
    own = [value["next"]] if "next" in value else []
    return own + [one for name, part in value.items() if name != "next" for one in proposals(part)]


ASKED: list[tuple[str, dict[str, Any]]] = [
    ("list_classes", {}),
    ("list_classes", {"limit": 1}),
    ("find_student", {"query": ""}),
    ("find_student", {"query": "nobody yet"}),
    ("find_student", {"query": "ada", "cohort_id": COHORT}),
    ("find_student", {"query": "ada", "cohort_id": "no-such-class"}),
    ("cohort_overview", {"cohort_id": COHORT}),
    ("cohort_overview", {"cohort_id": "no-such-class"}),
    ("who_needs_help", {}),
    ("who_needs_help", {"student_ids": list(NAMES)}),
    ("who_needs_help", {"student_ids": ["s9"]}),
    ("compare", {}),
    ("compare", {"cohort_ids": ["no-such-class"]}),
    ("get_mastery", {"student_id": "s9"}),
    ("get_mastery", {"student_id": "s1"}),
    ("explain_change", {"student_id": "s9"}),
    ("event_status", {"student_id": "s9", "event_id": "e"}),
    ("ingest_events", {"events": [{"event_type": "nap"}]}),
]


@pytest.mark.parametrize("role", ROLES)
async def test_each_proposed_call_exists_is_allowed_and_works(school: Api, role: str) -> None:
    followed = set()
    async with agent(school, make_token(role, **ROLES[role])) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        waiting = list(ASKED)
        while waiting:
            tool, arguments = waiting.pop()
            answer = await client.call_tool(tool, arguments)
            said = text_of(answer.content[0])
            for call in proposals(said if answer.is_error else answer.structured_content):
                name = json.dumps(call, sort_keys=True)
                assert call["tool"] in tools, call
                if name not in followed:
                    followed.add(name)
                    waiting.append((call["tool"], call["arguments"]))
                    worked = await client.call_tool(call["tool"], call["arguments"])
                    assert not worked.is_error, (call, worked.content)
    assert len(followed) >= {"student": 1, "teacher": 4, "service": 4, "admin": 4}[role], followed


async def test_whoever_may_ask_of_classes_sees_them_and_no_others(school: Api) -> None:
    await school.call("PUT", "/cohorts/rust-9", {"name": "Rust", "members": ["s1", "zoe"]})
    await school.call("PUT", "/cohorts/far", {"name": "Far", "members": []}, token=make_token(tenant="other"))
    seen: dict[str, Any] = {}
    for role, claims in ROLES.items():
        async with agent(school, make_token(role, **claims)) as client:
            answer = await ask(client, "list_classes")
            seen[role] = {unquoted(one["cohort_id"]): one.get("size") for one in answer["classes"]}
    assert seen == {
        "student": {COHORT: None, "rust-9": None},
        "teacher": {COHORT: 6},
        "service": {COHORT: 6, "rust-9": 2},
        "admin": {COHORT: 6, "rust-9": 2},
    }
    async with agent(school) as client:
        first = await ask(client, "list_classes", limit=1)
        (rest,) = (await ask(client, "list_classes", limit=1, cursor=first["cursor"]))["classes"]
        assert [unquoted(one["cohort_id"]) for one in (*first["classes"], rest)] == [COHORT, "rust-9"]


async def test_only_those_whom_one_may_see_are_found(school: Api) -> None:
    await school.learn(event("quiz", student_id="ada-of-others"))
    for role, found in {
        "teacher": ["s0"],
        "service": ["ada-of-others", "s0"],
        "admin": ["ada-of-others", "s0"],
    }.items():
        async with agent(school, make_token(role, **ROLES[role])) as client:
            answer = await ask(client, "find_student", query="ADA")
            assert [one["student_id"] for one in answer["students"]] == found
    http = (await school.get("/students?query=ADA")).json()["data"]["students"]
    assert [one["student_id"] for one in http] == ["ada-of-others", "s0"]
    async with agent(school, make_token("student", subject="s1")) as client:
        refused = await client.call_tool("find_student", {"query": "ada"})
        assert refused.is_error
        assert "FORBIDDEN: The role student may not find students by name." in text_of(refused.content[0])


async def test_links_can_be_followed_and_hide_nothing(school: Api) -> None:
    async with agent(school) as client:
        items = (await ask(client, "next_items", student_id="s5"))["items"]
        http = await school.data("/recommendations/items", {"student_id": "s5", "limit": 3})
        assert [(unquoted(one["item_id"]), one["right_next"]) for one in items] == [
            (one["item_id"], one["probability"]) for one in http
        ]
        assert {link for one in items for link in one["links"]} <= {
            f"https://school.example/l/{n}?a=%C2%AB" for n in range(3)
        }
        advice = (await ask(client, "recommend", student_id=WEAK, limit=10))["advice"]
        sent = await school.data("/recommendations/adaptive", {"student_id": WEAK, "limit": 10})
        assert [(one["recommendation_id"], one["reason"], one["links"]) for one in advice] == [
            (one["recommendation_id"], quoted(one["reason"]), one["resources"]) for one in sent
        ]


async def test_a_call_of_which_all_events_were_refused_is_an_error_that_names_each_reason(school: Api) -> None:
    async with agent(school, make_token("service")) as client:
        bad = [event("quiz", correct_answers=11), {**event("quiz"), "event_type": "nap"}, 5]
        refused = await client.call_tool("ingest_events", {"events": bad})
        assert refused.is_error
        said = text_of(refused.content[0])
        for place, reason in enumerate(("correct_answers is 11", "event_type", "must be an object")):
            assert re.search(rf"«event {place}: [^»]*{reason}", said), (place, said)
        mixed = await ask(client, "ingest_events", events=[*bad, event("quiz")])
        assert (mixed["accepted"], len(mixed["refused"])) == (1, 3)


async def test_a_class_that_nobody_is_in_any_more_is_listed_no_longer(school: Api) -> None:
    """The list only grows; who reads it leaves out what is not known."""
    await school.engine.cohorts._known.note([("default", "gone")], 1)
    async with agent(school) as client:
        assert [unquoted(one["cohort_id"]) for one in (await ask(client, "list_classes"))["classes"]] == [COHORT]
    with pytest.raises(NotFound):
        await school.engine.cohorts.known_roster("default", "gone", school.clock())
