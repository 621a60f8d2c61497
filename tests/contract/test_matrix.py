"""Who may do what to whom: roles × calls × own, of their cohort, another's, another tenant's."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import COMPONENTS, Api, Json, document, event
from tests.support.live import make_token

OWN, MATE, OTHER, ELSEWHERE = "own", "mate", "other", "elsewhere"
OURS, THEIRS = "ours", "theirs"
WHOM = (OWN, MATE, OTHER, ELSEWHERE)
TOKENS = {
    "student": make_token("student", subject=OWN),
    "teacher": make_token("teacher", subject="ms-lovelace", students=[OWN], cohorts=[OURS]),
    "service": make_token("service"),
    "admin": make_token("admin"),
}

# What each role is answered about each of WHOM. One of another tenant is unknown here: 404, where one may look at all.
SELF = (200, 403, 403, 403)
MINE = (200, 200, 403, 403)
TENANT = (200, 200, 200, 404)
NEVER = (403,) * 4
READS = {"student": SELF, "teacher": MINE, "service": TENANT, "admin": TENANT}
STATUS = {**READS, "service": (200,) * 4, "admin": (200,) * 4}
TRIES = {"student": SELF, "teacher": MINE, "service": (200,) * 4, "admin": (200,) * 4}
WRITES = {"student": NEVER, "teacher": NEVER, "service": (200,) * 4, "admin": (200,) * 4}
TAKES = {"student": NEVER, "teacher": NEVER, "service": (202,) * 4, "admin": (202,) * 4}
ABOUT_STUDENTS = {
    "query": READS,
    "mastery-history": READS,
    "changes": READS,
    "event status": STATUS,
    "calculate": TRIES,
    "calculate and record": WRITES,
    "ingest": TAKES,
    "ingest many": TAKES,
    "batch": {**TRIES, "student": NEVER},
    "batch that records": WRITES,
}


async def about(api: Api, what: str, student_id: str, token: str) -> int:
    """The status that a call about a student is answered with; that of its row, for a batch."""
    row = {"student_id": student_id, "components": COMPONENTS}
    sent = event(student_id=student_id)
    calls: dict[str, tuple[str, Json]] = {
        "query": ("/mastery/query", {"student_id": student_id}),
        "mastery-history": ("/analytics/mastery-history", {"student_id": student_id}),
        "changes": ("/analytics/changes", {"student_id": student_id}),
        "calculate": ("/mastery/calculate", {**row, "record": False}),
        "calculate and record": ("/mastery/calculate", {**row, "record": True}),
        "ingest": ("/mastery/ingest", sent),
        "ingest many": ("/mastery/ingest/batch", {"events": [sent]}),
        "batch": ("/batch/mastery", {"requests": [row], "record": False}),
        "batch that records": ("/batch/mastery", {"requests": [row], "record": True}),
    }
    if what == "event status":
        return (await api.get(f"/students/{student_id}/events/e-1", token=token)).status_code
    answer = await api.post(calls[what][0], calls[what][1], token=token)
    if what == "batch" and answer.status_code == 200 and answer.json()["data"]["failures"]:
        assert answer.json()["data"]["failures"][0]["error"]["code"] == "FORBIDDEN"
        return 403
    return answer.status_code


async def school(api: Api) -> None:
    """Two cohorts of five, and another school with a cohort of the same name as the first."""
    classes = {OURS: [OWN, MATE, "s3", "s4", "s5"], THEIRS: [OTHER, OWN, "s6", "s7", "s8"]}
    events = {
        cohort: [{**event(student_id=name), "metadata": {"cohort_id": cohort}} for name in names]
        for cohort, names in classes.items()
    }
    await api.learn(*events[OURS], *events[THEIRS])
    away = make_token(tenant="school-1")
    await api.learn({**event(student_id=ELSEWHERE), "metadata": {"cohort_id": OURS}}, token=away)


@pytest.mark.parametrize("what", ABOUT_STUDENTS)
async def test_who_may_do_what_to_which_student(api: Api, what: str) -> None:
    await school(api)
    found = {role: tuple([await about(api, what, one, token) for one in WHOM]) for role, token in TOKENS.items()}
    assert found == ABOUT_STUDENTS[what]


# Comparisons: (whom, with which cohort).
PAIRS = ((OWN, OURS), (MATE, OURS), (OWN, THEIRS), (OTHER, THEIRS), (ELSEWHERE, OURS), (OWN, "nowhere"))
COMPARES = {
    "student": (200, 403, 200, 403, 403, 403),
    "teacher": (200, 200, 403, 403, 404, 403),
    "service": (200, 200, 200, 200, 404, 404),
    "admin": (200, 200, 200, 200, 404, 404),
}
COHORTS = (OURS, THEIRS, "nowhere")
ABOUT_COHORTS = {
    "figures": {
        "student": (403, 403, 403),
        "teacher": (200, 403, 403),
        "service": (200, 200, 404),
        "admin": (200, 200, 404),
    },
    "read": {
        "student": (403, 403, 403),
        "teacher": (200, 403, 403),
        "service": (403, 403, 403),
        "admin": (200, 200, 404),
    },
    "put": {
        "student": (403, 403, 403),
        "teacher": (403, 403, 403),
        "service": (403, 403, 403),
        "admin": (200, 200, 200),
    },
}


async def test_who_may_compare_whom_with_which_cohort(api: Api) -> None:
    await school(api)
    found = {}
    for role, token in TOKENS.items():
        bodies = [{"student_id": student_id, "cohort_id": cohort} for student_id, cohort in PAIRS]
        found[role] = tuple([(await api.post("/analytics/compare", body, token=token)).status_code for body in bodies])
    assert found == COMPARES


async def about_cohort(api: Api, what: str, cohort: str, token: str) -> int:
    if what == "figures":
        return (await api.post("/analytics/cohort", {"cohort_id": cohort}, token=token)).status_code
    if what == "read":
        return (await api.get(f"/cohorts/{cohort}", token=token)).status_code
    body = {"name": "Class", "members": [OWN]}
    return (await api.call("PUT", f"/cohorts/{cohort}", body, token=token)).status_code


@pytest.mark.parametrize("what", ABOUT_COHORTS)
async def test_who_may_do_what_with_which_cohort(api: Api, what: str) -> None:
    await school(api)
    found = {
        role: tuple([await about_cohort(api, what, cohort, token) for cohort in COHORTS])
        for role, token in TOKENS.items()
    }
    assert found == ABOUT_COHORTS[what]


async def test_the_table_is_one_and_documented() -> None:
    """Every act of the table is in the document, with each role's reach."""
    from mastery_engine.auth.access import TABLE, Act, Reach

    words = {Reach.NOBODY: "nobody", Reach.SELF: "self", Reach.OWN: "own", Reach.TENANT: "tenant"}
    text = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
    assert set(TABLE) == set(Act)
    for act, row in TABLE.items():
        cells = " | ".join(words[row[role]] for role in ("student", "teacher", "service", "admin"))
        assert f"| {act.value} | {cells} |" in text


# What each call about a student needs beside the student's id to be answered.
BESIDE: dict[str, Json] = {
    "POST /predictions/next-answer": {"items": [{"item_id": "i-1"}]},
    "POST /mastery/calculate": {"components": COMPONENTS},
    "POST /mastery/ingest": event(),
    "POST /analytics/compare": {"cohort_id": OURS},
    "PUT /compliance/students/{student_id}/consent": {"profiling": False},
    "PUT /students/{student_id}/profile": {"display_name": "Ada"},
    "PUT /students/{student_id}/badges/{badge_id}/name": {"shown": True},
    "POST /students/{student_id}/notes": {"text": "Ask about home."},
    "PUT /students/{student_id}/notes/{note_id}": {"text": "Asked."},
    "event_status": {"event_id": "e-1"},
    "compare": {"cohort_ids": [OURS]},
    "ingest_events": {"events": [event(student_id=OTHER)]},
}


def calls_about_students() -> list[str]:
    """Every documented call whose body or path names one student."""
    found, schemas = [], document()["components"]["schemas"]
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            fields = schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
            if "{student_id}" in path or "student_id" in fields:
                found.append(f"{method.upper()} {path}")
    return found


@pytest.mark.parametrize("call", calls_about_students())
async def test_no_call_is_about_another_student(api: Api, call: str) -> None:
    """Whatever calls there are, one that forgets to ask who may is found here; and each refusal is on record."""
    await school(api)
    method, path = call.split(" ")
    beside = BESIDE.get(call, {})
    body = None if method in ("GET", "DELETE") else {**beside, **({} if "{" in path else {"student_id": OTHER})}
    if method == "GET" and path.endswith("/stream"):
        await api.learn(event(student_id=OTHER))
    answer = await api.call(
        method,
        path.format(student_id=OTHER, event_id="e-1", badge_id="b-1", note_id="n-1"),
        body,
        token=TOKENS["student"],
    )
    assert answer.status_code == 403, answer.text
    refusals = [record for record in await api.audited() if not record.allowed]
    assert {record.subject for record in refusals} == {api.pseudonym(OWN)}


async def test_no_tool_is_about_another_student(api: Api) -> None:
    await school(api)
    headers = {"Accept": "application/json, text/event-stream"}

    async def ask(method: str, **params: Any) -> Json:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await api.post("/mcp", body, headers=headers, token=TOKENS["student"])
        return dict(answer.json()["result"])

    tools = (await ask("tools/list"))["tools"]
    asked = 0
    for tool in tools:
        fields = tool["inputSchema"]["properties"]
        whom: Json = {"student_id": OTHER} if "student_id" in fields else {}
        whom |= {"student_ids": [OTHER]} if "student_ids" in fields else {}
        if whom or tool["name"] in BESIDE:
            answer = await ask("tools/call", name=tool["name"], arguments={**BESIDE.get(tool["name"], {}), **whom})
            assert "FORBIDDEN" in answer["content"][0]["text"], tool["name"]
            asked += 1
    assert asked >= len(tools) - 3, "but for those of classes, and the search, each is about students"
