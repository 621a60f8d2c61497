"""JSON as it may come over HTTP: with a byte-order mark at every call, and what else is no JSON in UTF-8."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.calls import COMPONENTS, STUDENT, Api, document, event, serving
from tests.support.live import bearer, make_token
from tests.support.samples import envelope, raw

MARK = b"\xef\xbb\xbf"
SIDECAR = {"dapr-api-token": "the-token-that-the-sidecar-shows"}
ROW = {"student_id": STUDENT, "components": COMPONENTS}
OF_STUDENT = {"student_id": STUDENT}
NO_BADGE = "default.aaaaaaaaaaaaaaaaaaaaaaaaaa"
NAMING = ("PUT", f"/students/{STUDENT}/badges/{NO_BADGE}/name")  # by its student, of a badge that is there: test_badges
NOTING = ("PUT", f"/students/{STUDENT}/notes/{{note_id}}")  # by its author, of a note that is there: test_notes
CALLS: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/mastery/query"): OF_STUDENT,
    ("POST", "/mastery/calculate"): ROW,
    ("POST", "/batch/mastery"): {"requests": [ROW]},
    ("POST", "/mastery/ingest"): event("quiz"),
    ("POST", "/mastery/ingest/batch"): {"events": [event("quiz")]},
    ("POST", "/predictions/next-week"): OF_STUDENT,
    ("POST", "/predictions/trajectory"): OF_STUDENT,
    ("POST", "/recommendations/adaptive"): OF_STUDENT,
    ("POST", "/recommendations/learning-path"): OF_STUDENT,
    ("POST", "/recommendations/items"): OF_STUDENT,
    ("POST", "/predictions/next-answer"): {**OF_STUDENT, "items": [{"item_id": "loops-1"}]},
    ("POST", "/analytics/mastery-history"): {**OF_STUDENT, "start_date": "2026-01-01", "end_date": "2026-01-31"},
    ("POST", "/analytics/changes"): {**OF_STUDENT, "from": "2026-01-01", "to": "2026-01-31"},
    ("POST", "/analytics/compare"): {**OF_STUDENT, "cohort_id": "py-101"},
    ("POST", "/analytics/cohort"): {"cohort_id": "py-101"},
    ("POST", "/analytics/patterns"): OF_STUDENT,
    ("POST", "/analytics/skills"): OF_STUDENT,
    ("PUT", "/cohorts/py-101"): {"name": "Python", "members": [STUDENT]},
    ("PUT", "/courses/physics"): {"title": "Physics"},
    ("PUT", "/webhooks/lms"): {"url": "https://93.184.215.14/"},
    ("PUT", f"/students/{STUDENT}/profile"): {"display_name": "Ada"},
    ("POST", f"/students/{STUDENT}/notes"): {"text": "Ask about home."},
    ("PUT", f"/compliance/students/{STUDENT}/consent"): {"processing": True},
    ("POST", "/caliper"): {
        "sensor": "https://lms.example.edu",
        "data": [{"type": "ForumEvent", "action": "Subscribed"}],
    },
    ("POST", "/canvas/events"): {"metadata": {"event_name": "course_updated"}, "body": {"title": "Physics"}},
    ("POST", "/process"): {"intent": "query", "payload": OF_STUDENT},
    ("POST", "/dapr/events"): event("quiz"),
}


def test_every_call_with_a_json_body_is_in_the_table() -> None:
    with_body = {
        (
            method.upper(),
            path.replace("{cohort_id}", "py-101")
            .replace("{student_id}", STUDENT)
            .replace("{course_id}", "physics")
            .replace("{webhook_id}", "lms")
            .replace("{badge_id}", NO_BADGE),
        )
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if method in ("post", "put")
        and not path.startswith("/webhooks/{webhook_id}/")  # which take no body
        and "application/zip" not in operation.get("requestBody", {}).get("content", {})
    }
    assert with_body - {NAMING, NOTING} == CALLS.keys()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """The service with a sidecar, whose routes are open to it."""
    async with serving(tmp_path, app_api_token=SIDECAR["dapr-api-token"]) as api:
        await api.learn(event("quiz") | {"metadata": {"cohort_id": "py-101"}})
        yield api


async def sent(api: Api, method: str, path: str, content: bytes) -> httpx.Response:
    """The answer to a call by an admin, or by the sidecar if the route is its own."""
    if path in ("/process", "/dapr/events"):
        return await api.call(method, path, content=content, token="", headers=SIDECAR)
    return await api.call(method, path, content=content)


async def test_a_byte_order_mark_is_passed_over_at_every_call(api: Api) -> None:
    for (method, path), body in CALLS.items():
        plain, marked = [await sent(api, method, path, mark + json.dumps(body).encode()) for mark in (b"", MARK)]
        assert plain.status_code in (200, 202), plain.text
        assert marked.status_code == plain.status_code, (path, marked.text)
        assert "DROP" not in marked.text
        twice = await sent(api, method, path, MARK * 2 + json.dumps(body).encode())
        assert twice.status_code == 400 or "DROP" in twice.text, path


async def test_the_events_with_a_mark_count(api: Api) -> None:
    for place, path in enumerate(("/mastery/ingest", "/dapr/events")):
        body = {**event("quiz"), "event_id": f"e-{place}"}
        assert (await sent(api, "POST", path, MARK + json.dumps(body).encode())).status_code in (200, 202)
        await api.processed(f"e-{place}")


async def test_utf_16_is_told_to_be_saved_as_utf_8(api: Api) -> None:
    for (method, path), body in CALLS.items():
        for encoding in ("utf-16", "utf-32"):
            refused = await sent(api, method, path, json.dumps(body).encode(encoding))
            if path == "/dapr/events":
                assert refused.json() == {"status": "DROP"}
                continue
            assert refused.status_code == 400
            assert refused.json()["error"]["message"] == "The text is UTF-16 or UTF-32: save or send it as UTF-8."


AGENT = {
    **bearer(make_token()),
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}


async def test_agents_may_send_a_mark_too(api: Api) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    for mark in (b"", MARK):
        answer = await api.client.post(
            "/mcp",
            content=mark + json.dumps(asked).encode(),
            headers=AGENT,
        )
        assert answer.status_code == 200, answer.text


QUIZ = raw(envelope("quiz", {"total_questions": 10, "correct_answers": 9, "confidence_score": 0.5, "topic": "loops"}))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"0.5", b"NaN", "This is not JSON"),
        (b"0.5", b"Infinity", "This is not JSON"),
        (b"0.5", b"-Infinity", "This is not JSON"),
        (b"0.5", b"1e400", "a number that is too large"),
        (b"0.5", b'"0.5"', "must be a number or null, not a text"),
        (b"0.5", b"true", "must be a number or null, not true or false"),
        (b'"loops"', b'"\\ud800"', "one half of a surrogate pair"),
        (b'"loops"', b'"a\\udc00b"', "one half of a surrogate pair"),
        (b'"loops"', b'"\xff"', "The text is not UTF-8"),
        (b'"loops"', b'"\xed\xa0\x80"', "The text is not UTF-8"),
        (b'"loops"', b'"a\x00b"', "This is not JSON"),
        (b'"loops"', b'"a\\u0000b"', "a control character"),
        (b'"ada"', b'"ada@school.example"', "to keep an e-mail address out of the ids, use an opaque id of your own"),
    ],
)
async def test_what_is_no_json_is_refused_in_words(api: Api, old: bytes, new: bytes, said: str) -> None:
    assert old in QUIZ
    bad = QUIZ.replace(old, new)
    for path, content in (("/mastery/ingest", bad), ("/process", b'{"intent": "ingest", "payload": %b}' % bad)):
        refused = await sent(api, "POST", path, content)
        assert refused.status_code == 400
        assert said in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "bad", [b'"\\ud800"', b'"a\\udfff"', b'"\xff"', b"NaN", b'"a\\u0007"', b'""', b'" "', b'"a@b"']
)
async def test_a_bad_id_is_refused_by_every_call(api: Api, bad: bytes) -> None:
    for (method, path), body in CALLS.items():
        if path == "/dapr/events":
            continue
        for name in (b'"student_12345"', b'"py-101"'):
            content = json.dumps(body).encode()
            if name not in content:
                continue
            answer = await sent(api, method, path, content.replace(name, bad))
            if bad == b'"a@b"' and name == b'"py-101"':
                continue  # the id of a cohort may be any text
            is_of_rows = path in ("/batch/mastery", "/mastery/ingest/batch") and bad not in (b'"\xff"', b"NaN")
            assert answer.status_code in ((200, 202, 400) if is_of_rows else (400,)), (path, answer.text)
            assert "pattern" not in answer.text
            assert "[A-Za-z0-9" not in answer.text


BROKEN = {
    b'"\\ud800"': "The text holds one half of a surrogate pair (\\ud800 to \\udfff) alone: send whole characters.",
    b'"a\xffb"': "The text is not UTF-8: save or send it as UTF-8.",
    b'"a': "This is not JSON: it ends too early.",
}


@pytest.mark.parametrize("bad", BROKEN)
async def test_what_is_wrong_with_the_writing_is_said_alike_by_every_call(api: Api, bad: bytes) -> None:
    for (method, path), body in CALLS.items():
        content = json.dumps(body).encode().partition(b'"student_12345"')
        if path == "/dapr/events" or not content[1] or path in ("/batch/mastery", "/mastery/ingest/batch"):
            continue
        broken = content[0] + bad + (content[2] if bad.endswith(b'"') else b"")
        assert (await sent(api, method, path, broken)).json()["error"]["message"] == BROKEN[bad]


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("[]", -32_600, "The value must be an object."),
        ("5", -32_600, "The value must be an object."),
        ("{}", -32_600, "jsonrpc is required."),
        ('{"jsonrpc": "1.0", "method": "ping"}', -32_600, "jsonrpc must be '2.0'."),
        ('{"jsonrpc": "2.0", "id": 1}', -32_600, "The value has no method."),
        ('{"jsonrpc": "2.0", "id": 1, "method": 5}', -32_600, "method must be a text."),
        (
            '{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}',
            -32_600,
            "The value has an id that is neither a text nor a whole number.",
        ),
        ('{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}', -32_600, "params must be an object."),
        ('"\\ud800"', -32_700, BROKEN[b'"\\ud800"']),
        ("nope", -32_700, "This is not JSON: invalid character at byte 1."),
    ],
)
async def test_what_is_no_message_is_said_to_agents_in_our_words(api: Api, content: str, code: int, said: str) -> None:
    answer = await api.client.post("/mcp", content=content, headers=AGENT)
    assert answer.status_code == 400
    assert answer.json() == {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": said}}


async def test_a_priority_that_is_not_known_is_answered_with_those_that_are(api: Api) -> None:
    body = {"requests": [{"student_id": "ada"}], "priority": "maybe"}
    refused = await sent(api, "POST", "/batch/mastery", json.dumps(body).encode())
    assert refused.json()["error"]["message"] == "priority must be one of low, normal, high, not 'maybe'."


async def test_the_last_of_two_names_counts(api: Api) -> None:
    twice = QUIZ.replace(b'"loops"', b'"loops", "correct_answers": 1').replace(b'"timestamp"', b'"was"')
    await api.post("/mastery/ingest", content=twice)
    await api.processed("e-1", "ada")
    assert (await api.query("ada"))["components"]["quiz"] == 0.1
