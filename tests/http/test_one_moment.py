"""A request is about one moment: the clock is read once, when the request comes, by whatever call it is."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mastery_engine.services import figures
from tests.support.calls import COHORT, COMPONENTS, STUDENT, Api, Json, MovedClock, document, enrolled, event, serving
from tests.support.live import make_token
from tests.support.logs import letter


class CountingClock(MovedClock):
    """Counts how often it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def __call__(self) -> int:
        self.reads += 1
        return super().__call__()


@pytest.fixture
async def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Api, CountingClock]]:
    """A service in which nothing runs that reads the clock but the calls; its log was worked before."""
    clock = CountingClock()
    monkeypatch.setattr(figures, "TELL_EVERY_S", 10**12)
    async with serving(
        tmp_path, clock, worker_enabled=False, dapr_trust_loopback=True, public_url="https://school.example"
    ) as api:
        of_class = [enrolled(f"s{number}", number) for number in range(6)]
        events = [*of_class, enrolled(STUDENT, 5), event("answer"), event("completion")]
        await api.data("/mastery/ingest/batch", {"events": events})
        await api.engine.worker.run(until=await api.logs.events.ends())
        await api.call("PUT", f"/students/{STUDENT}/profile", {"display_name": "Ada"})
        await api.call("PUT", "/webhooks/lms", {"url": "https://93.184.215.14/"})
        bad = letter(101, value=b"{", event_id="bad", received=clock(), at=clock())
        await api.logs.dead_letters.append([bad])
        yield api, clock


ROW = {"student_id": STUDENT, "components": COMPONENTS}
OF_STUDENT = {"student_id": STUDENT}
CALLS: dict[str, tuple[str, str, Json | None]] = {
    "query": ("POST", "/mastery/query", OF_STUDENT),
    "query of a day": ("POST", "/mastery/query", {**OF_STUDENT, "date": "2099-01-01"}),
    "calculate, not recorded": ("POST", "/mastery/calculate", {**ROW, "record": False}),
    "calculate, recorded": ("POST", "/mastery/calculate", {**ROW, "record": True}),
    "ingest": ("POST", "/mastery/ingest", event()),
    "ingest without an id or a time": (
        "POST",
        "/mastery/ingest",
        {"event_type": "help", "student_id": STUDENT, "data": {"topic": "loops"}},
    ),
    "ingest of many": ("POST", "/mastery/ingest/batch", {"events": [event(), event(), {}]}),
    "event status": ("GET", f"/students/{STUDENT}/events/e-1", None),
    "batch, not recorded": ("POST", "/batch/mastery", {"requests": [ROW, ROW, {}], "record": False}),
    "batch, recorded": ("POST", "/batch/mastery", {"requests": [ROW, ROW, {}]}),
    "history": ("POST", "/analytics/mastery-history", OF_STUDENT),
    "changes": ("POST", "/analytics/changes", OF_STUDENT),
    "skills": ("POST", "/analytics/skills", OF_STUDENT),
    "patterns": ("POST", "/analytics/patterns", OF_STUDENT),
    "compare": ("POST", "/analytics/compare", {**OF_STUDENT, "cohort_id": COHORT}),
    "cohort": ("POST", "/analytics/cohort", {"cohort_id": COHORT}),
    "show a cohort": ("GET", f"/cohorts/{COHORT}", None),
    "put a cohort": ("PUT", f"/cohorts/{COHORT}", {"name": "Python", "members": [STUDENT]}),
    "put a course": ("PUT", "/courses/physics", {"title": "Physics"}),
    "show a course": ("GET", "/courses/default", None),
    "courses": ("GET", "/courses", None),
    "put a webhook": ("PUT", "/webhooks/lms", {"url": "https://93.184.215.14/"}),
    "show a webhook": ("GET", "/webhooks/lms", None),
    "webhooks": ("GET", "/webhooks", None),
    "deliveries": ("GET", "/webhooks/lms/deliveries", None),
    "Caliper": ("POST", "/caliper", {"data": []}),
    "Canvas": ("POST", "/canvas/events", {"metadata": {}, "body": {}}),
    "put a profile": ("PUT", f"/students/{STUDENT}/profile", {"display_name": "Ada"}),
    "show a profile": ("GET", f"/students/{STUDENT}/profile", None),
    "students": ("GET", "/students", None),
    "badges": ("GET", f"/students/{STUDENT}/badges", None),
    "notes": ("GET", f"/students/{STUDENT}/notes", None),
    "add a note": ("POST", f"/students/{STUDENT}/notes", {"text": "Ask about home."}),
    "a status list": ("GET", "/badges/status/0", None),
    "the DID document": ("GET", "/.well-known/did.json", None),
    "forecast": ("POST", "/predictions/next-week", OF_STUDENT),
    "trajectory": ("POST", "/predictions/trajectory", OF_STUDENT),
    "recommendations": ("POST", "/recommendations/adaptive", OF_STUDENT),
    "learning path": ("POST", "/recommendations/learning-path", OF_STUDENT),
    "next items": ("POST", "/recommendations/items", OF_STUDENT),
    "next answer": ("POST", "/predictions/next-answer", {**OF_STUDENT, "items": [{"item_id": "loops-1"}]}),
    "consent": ("GET", f"/compliance/students/{STUDENT}/consent", None),
    "export": ("GET", f"/compliance/students/{STUDENT}/export", None),
    "audit": ("GET", "/compliance/audit", None),
    "process": ("POST", "/process", {"intent": "query", "payload": OF_STUDENT}),
    "process, recorded": ("POST", "/process", {"intent": "mastery_calculation", "payload": ROW}),
    "delivery by Dapr": ("POST", "/dapr/events", event()),
    "health": ("GET", "/health", None),
    "ready": ("GET", "/ready", None),
    "metrics": ("GET", "/metrics", None),
}
TEACHER = make_token("teacher", students=[STUDENT], cohorts=[COHORT])
STUDENTS_OWN = make_token("student", subject=STUDENT)
PAGES: dict[str, tuple[str, str]] = {
    "sign in": ("", "/dashboard"),
    "a student": (STUDENTS_OWN, f"/dashboard/students/{STUDENT}"),
    "a student for a teacher": (TEACHER, f"/dashboard/students/{STUDENT}"),
    "a class": (TEACHER, "/dashboard"),
    "compare": (TEACHER, f"/dashboard/compare?student={STUDENT}&cohort={COHORT}"),
    "find": (TEACHER, f"/dashboard/find?student={STUDENT}"),
    "operator": (make_token(), "/dashboard"),
    "a webhook": (make_token(), "/dashboard/webhooks/lms"),
    "dead letters of a reason": (make_token(), "/dashboard/dead-letters?code=VALIDATION_ERROR"),
    "figures": (make_token(), "/dashboard/figures"),
    "runbooks": (make_token(), "/dashboard/runbooks"),
    "redrive of a reason": (make_token(), "/dashboard/dead-letters/redrive?code=VALIDATION_ERROR"),
    "a class as CSV": (TEACHER, "/dashboard/class.csv"),
    "accessibility": (STUDENTS_OWN, "/dashboard/accessibility"),
    "examples of the design": ("", "/dashboard/design"),
    "own data": (STUDENTS_OWN, "/dashboard/my-data"),
    "own export": (STUDENTS_OWN, "/dashboard/my-data/export"),
}


# Of which a call as above is not to be had: a zip, a stream that lasts, one's own batch, what Dapr asks at its start,
# what calls others.
APART = {
    "POST /rosters/oneroster",
    "GET /students/{student_id}/stream",
    "GET /batch/mastery/{batch_id}",
    "GET /dapr/subscribe",
    "GET /",
    "DELETE /webhooks/{webhook_id}",
    "POST /webhooks/{webhook_id}/test",
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/resend",
}
# A badge that is there has a clock of its own in test_badges.
APART |= {f"GET /badges/{{badge_id}}{ending}" for ending in ("", ".json", ".jwt", ".png", ".svg")}
APART |= {"DELETE /badges/{badge_id}", "PUT /students/{student_id}/badges/{badge_id}/name"}
# A note that is there has a clock of its own in test_notes.
APART |= {"PUT /students/{student_id}/notes/{note_id}", "DELETE /students/{student_id}/notes/{note_id}"}
APART |= {"PUT /compliance/students/{student_id}/consent", "DELETE /compliance/students/{student_id}"}  # they wait


def test_every_call_is_here() -> None:
    documented = {
        f"{method.upper()} {path}" for path, operations in document()["paths"].items() for method in operations
    }
    made = {
        call
        for call in documented
        for method, path, _ in CALLS.values()
        if re.fullmatch(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(call)), f"{method} {path}")
    }
    assert documented - made == APART


@pytest.mark.parametrize("what", CALLS)
async def test_a_call_reads_the_clock_once(counted: tuple[Api, CountingClock], what: str) -> None:
    api, clock = counted
    method, path, body = CALLS[what]
    for time in ("first", "second"):
        clock.reads = 0
        answer = await api.call(method, path, body)
        assert answer.status_code in (200, 202), answer.text
        assert clock.reads == 1, time


@pytest.mark.parametrize("what", PAGES)
async def test_a_page_reads_the_clock_once(counted: tuple[Api, CountingClock], what: str) -> None:
    api, clock = counted
    token, path = PAGES[what]
    for time in ("first", "second"):
        clock.reads = 0
        page = await api.client.get(path, headers={"Cookie": f"mastery_session={token}"} if token else {})
        assert page.status_code in (200, 303), page.text
        assert clock.reads == 1, time


TOOLS: dict[str, Json] = {
    "get_mastery": OF_STUDENT,
    "what_if": {**OF_STUDENT, "quiz": 0.5},
    "explain_score": OF_STUDENT,
    "explain_change": OF_STUDENT,
    "get_history": OF_STUDENT,
    "get_skills": OF_STUDENT,
    "forecast": OF_STUDENT,
    "recommend": OF_STUDENT,
    "next_items": OF_STUDENT,
    "learning_path": OF_STUDENT,
    "struggles": OF_STUDENT,
    "list_classes": {},
    "find_student": {"query": STUDENT},
    "cohort_overview": {"cohort_id": COHORT},
    "compare": {**OF_STUDENT, "cohort_ids": [COHORT]},
    "who_needs_help": {"student_ids": [STUDENT]},
    "event_status": {**OF_STUDENT, "event_id": "e-1"},
    "ingest_events": {"events": [event()]},
}


async def test_every_tool_is_here(counted: tuple[Api, CountingClock]) -> None:
    api, _ = counted
    accepted = {"Accept": "application/json, text/event-stream"}
    answer = await api.post("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=accepted)
    assert {tool["name"] for tool in answer.json()["result"]["tools"]} == TOOLS.keys()


@pytest.mark.parametrize("tool", TOOLS)
async def test_an_agents_call_reads_the_clock_once(counted: tuple[Api, CountingClock], tool: str) -> None:
    api, clock = counted
    called = {"name": tool, "arguments": TOOLS[tool]}
    accepted = {"Accept": "application/json, text/event-stream"}
    clock.reads = 0
    answer = await api.post(
        "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": called}, headers=accepted
    )
    assert answer.json()["result"]["isError"] is False, answer.text
    assert clock.reads == 1


async def test_a_call_that_fails_reads_it_once_too(counted: tuple[Api, CountingClock]) -> None:
    api, clock = counted
    for expected, method, path, body, token in (
        (401, "POST", "/mastery/query", OF_STUDENT, "a.b.c"),
        (403, "POST", "/mastery/query", {"student_id": "another"}, STUDENTS_OWN),
        (404, "POST", "/mastery/query", {"student_id": "nobody"}, None),
        (404, "GET", "/nowhere", None, None),
        (400, "POST", "/mastery/ingest", {}, None),
    ):
        clock.reads = 0
        assert (await api.call(method, path, body, token=token)).status_code == expected
        assert clock.reads == 1, (path, expected)


async def test_a_teachers_call_reads_it_once(counted: tuple[Api, CountingClock]) -> None:
    """Their classes are spelled out as of the same moment."""
    api, clock = counted
    for _ in range(2):
        clock.reads = 0
        await api.query("s1", token=TEACHER)
        assert clock.reads == 1


async def test_a_change_of_consent_is_timed_when_it_is_written(counted: tuple[Api, CountingClock]) -> None:
    """Once more than other calls: changes go by the order of the ledger, and not by when their calls came.

    An erasure says when it was done, too.
    """
    api, clock = counted
    path = f"/compliance/students/{STUDENT}"
    for method, end, body, reads in (("PUT", "/consent", {"profiling": False}, 2), ("DELETE", "", None, 3)):
        clock.reads = 0
        assert (await api.call(method, path + end, body)).status_code == 200
        assert clock.reads == reads, (method, end)


async def test_a_large_batch_is_worked_at_a_moment_of_its_own(counted: tuple[Api, CountingClock]) -> None:
    """Once for the call, and once when the batch, which was only acknowledged, is worked."""
    api, clock = counted
    clock.reads = 0
    batch_id = (await api.data("/batch/mastery", {"requests": [ROW] * 101}))["batch_id"]
    asked = 1
    while (await api.get(f"/batch/mastery/{batch_id}")).json()["data"]["status"] != "completed":
        asked += 1
    assert clock.reads == 1 + 1 + asked
