"""Who gets in, who may do what to whom, and what the audit trail says of it."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mastery_engine.domain.moments import MINUTE
from mastery_engine.ports.audit_log import AuditFilter
from tests.support.calls import COMPONENTS, STUDENT, Api, event
from tests.support.live import SECRET, make_token

NOW = int(datetime.now(UTC).timestamp())
GOOD: dict[str, Any] = {"sub": "somebody", "role": "admin", "exp": NOW + 3_600}
QUERY = {"student_id": STUDENT}


def signed(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def unsigned(algorithm: str, claims: dict[str, Any] = GOOD) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": algorithm, "typ": "JWT"}, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


async def answer_to(api: Api, token: str) -> tuple[int, str]:
    answer = await api.post("/mastery/query", QUERY, token=token)
    return answer.status_code, answer.json().get("error", {}).get("code", "")


async def test_a_good_token_opens_the_door(api: Api) -> None:
    assert await answer_to(api, signed(GOOD)) == (404, "NOT_FOUND")
    assert await answer_to(api, signed({**GOOD, "tenant": "school-1", "extra": [1]})) == (404, "NOT_FOUND")


BAD_TOKENS: dict[str, Callable[[], str]] = {
    "expired": lambda: signed({**GOOD, "exp": NOW - 3_600}),
    "not valid yet": lambda: signed({**GOOD, "nbf": NOW + 3_600}),
    "another secret": lambda: signed(GOOD, "x" * 40),
    "another algorithm": lambda: signed(GOOD, SECRET * 2, "HS512"),
    "alg none": lambda: jwt.encode(GOOD, "", algorithm="none"),
    "alg None": lambda: unsigned("None"),
    "alg nOnE": lambda: unsigned("nOnE"),
    "no signature": lambda: signed(GOOD).rpartition(".")[0] + ".",
    "no sub": lambda: signed({"role": "admin", "exp": NOW + 60}),
    "no role": lambda: signed({"sub": "somebody", "exp": NOW + 60}),
    "role is null": lambda: signed({**GOOD, "role": None}),
    "no exp": lambda: signed({"sub": "somebody", "role": "admin"}),
    "empty sub": lambda: signed({**GOOD, "sub": ""}),
    "sub too long": lambda: signed({**GOOD, "sub": "x" * 201}),
    "sub of half a character": lambda: signed({**GOOD, "sub": "\ud800"}),
    "exp is a text": lambda: signed({**GOOD, "exp": "tomorrow"}),
    "exp is no number": lambda: signed({**GOOD, "exp": float("nan")}),
    "exp is endless": lambda: signed({**GOOD, "exp": float("inf")}),
    "exp is true": lambda: signed({**GOOD, "exp": True}),
    "odd tenant": lambda: signed({**GOOD, "tenant": "No Tenant"}),
    "tenant with a line break": lambda: signed({**GOOD, "tenant": "default\n"}),
    "tenant is null": lambda: signed({**GOOD, "tenant": None}),
    "students is a text": lambda: signed({**GOOD, "students": STUDENT}),
    "claims are a list": lambda: unsigned("HS256", []),  # type: ignore[arg-type]
    "junk": lambda: "junk",
    "three parts of junk": lambda: "a.b.c",
    "dots": lambda: "...",
    "10 KB": lambda: signed({**GOOD, "more": "x" * 10_000}),
    "not ASCII": lambda: "é.é.é",
}


@pytest.mark.parametrize("what", BAD_TOKENS)
async def test_a_bad_token_is_401(api: Api, what: str) -> None:
    token = BAD_TOKENS[what]().encode("utf-8", "surrogatepass").decode("latin-1")
    answer = await api.post(
        "/mastery/query", QUERY, token="", headers={"Authorization": f"Bearer {token}".encode("latin-1")}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_ERROR"), answer.text


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic c29tZTpib2R5", "{token}", "Token {token}"])
async def test_another_kind_of_authorization_is_401(api: Api, header: str) -> None:
    given = {"Authorization": header.format(token=make_token())}
    assert (await api.post("/mastery/query", QUERY, token="", headers=given)).status_code == 401


async def test_a_public_key_is_no_secret(api: Api) -> None:
    """RS256 with any key, and HS256 with a public key for a secret, are both refused."""
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    rs256 = jwt.encode(GOOD, private, algorithm="RS256")
    assert await answer_to(api, rs256) == (401, "AUTH_ERROR")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    body = rs256.split(".")[1]
    confused = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = confused.sign(f"{head}.{body}".encode(), pem)
    token = f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert await answer_to(api, token) == (401, "AUTH_ERROR")


async def test_a_token_that_was_good_is_not_good_for_ever(api: Api) -> None:
    token = signed(GOOD)
    assert (await answer_to(api, token))[0] == 404
    api.clock.ahead = 120 * MINUTE
    assert await answer_to(api, token) == (401, "AUTH_ERROR")


@pytest.mark.parametrize("role", ["root", "", "Admin", ["admin"], {"admin": 1}, 1])
async def test_an_unknown_role_is_403(api: Api, role: Any) -> None:
    assert await answer_to(api, signed({**GOOD, "role": role})) == (403, "FORBIDDEN")


OWN, OTHER, UNKNOWN = "student_own", "student_other", "student_unknown"
TOKENS = {
    "student": make_token("student", subject=OWN),
    "teacher": make_token("teacher", students=[OWN]),
    "service": make_token("service"),
    "admin": make_token("admin"),
}


async def call(api: Api, what: str, student_id: str, token: str) -> int:
    row = {"student_id": student_id, "components": COMPONENTS}
    match what:
        case "query":
            answer = await api.post("/mastery/query", {"student_id": student_id}, token=token)
        case "history":
            answer = await api.post("/analytics/mastery-history", {"student_id": student_id}, token=token)
        case "event status":
            answer = await api.get(f"/students/{student_id}/events/e-1", token=token)
        case "calculate":
            answer = await api.post("/mastery/calculate", row, token=token)
        case "calculate, not recorded":
            answer = await api.post("/mastery/calculate", {**row, "record": False}, token=token)
        case "calculate, recorded":
            answer = await api.post("/mastery/calculate", {**row, "record": True}, token=token)
        case "ingest":
            answer = await api.post("/mastery/ingest", event(student_id=student_id), token=token)
        case "ingest many":
            answer = await api.post("/mastery/ingest/batch", {"events": [event(student_id=student_id)]}, token=token)
        case "batch":
            answer = await api.post("/batch/mastery", {"requests": [row]}, token=token)
        case "batch, recorded":
            answer = await api.post("/batch/mastery", {"requests": [row], "record": True}, token=token)
        case _:
            raise ValueError(what)
    if answer.status_code == 200 and what == "batch":
        failures = answer.json()["data"]["failures"]
        return 403 if failures and failures[0]["error"]["code"] == "FORBIDDEN" else 200
    return answer.status_code


READS = {"student": (200, 403), "teacher": (200, 403), "service": (200, 200), "admin": (200, 200)}
WRITES = {"student": (403, 403), "teacher": (403, 403), "service": (200, 200), "admin": (200, 200)}
QUEUES = {"student": (403, 403), "teacher": (403, 403), "service": (202, 202), "admin": (202, 202)}
MATRIX = {
    "query": READS,
    "history": READS,
    "event status": READS,
    "calculate": READS,
    "calculate, not recorded": READS,
    "calculate, recorded": WRITES,
    "ingest": QUEUES,
    "ingest many": QUEUES,
    "batch": {**READS, "student": (403, 403)},
    "batch, recorded": WRITES,
}


@pytest.mark.parametrize("what", MATRIX)
async def test_who_may_do_what(api: Api, what: str) -> None:
    await api.learn(event(student_id=OWN), event(student_id=OTHER))
    found = {
        role: (await call(api, what, OWN, token), await call(api, what, OTHER, token)) for role, token in TOKENS.items()
    }
    assert found == MATRIX[what]


@pytest.mark.parametrize("what", [what for what, row in MATRIX.items() if row is READS])
@pytest.mark.parametrize("role", ["student", "teacher"])
async def test_an_unknown_student_looks_the_same_to_who_may_not_see(api: Api, what: str, role: str) -> None:
    await api.learn(event(student_id=OTHER))
    assert await call(api, what, OTHER, TOKENS[role]) == await call(api, what, UNKNOWN, TOKENS[role]) == 403
    texts = set()
    for student_id in (OTHER, UNKNOWN):
        error = (await api.post("/mastery/query", {"student_id": student_id}, token=TOKENS[role])).json()["error"]
        texts.add(json.dumps(error))
    assert len(texts) == 1


async def test_what_students_and_teachers_calculate_changes_nothing(api: Api) -> None:
    await api.learn(event(student_id=OWN))
    before = await api.query(OWN)
    for role in ("student", "teacher"):
        body = {"student_id": OWN, "components": COMPONENTS}
        shown = (await api.data("/mastery/calculate", body, token=TOKENS[role]))["current_mastery"]
        assert shown["mastery_score"] == 0.862
    assert (await api.query(OWN))["components"] == before["components"]


async def test_nothing_crosses_a_tenant(api: Api) -> None:
    ours, theirs = make_token(), make_token(tenant="other-school")
    (event_id,) = await api.learn(event(), token=ours)
    batch_id = (await api.data("/batch/mastery", {"requests": [{"student_id": STUDENT}] * 101}))["batch_id"]
    assert (await api.post("/mastery/query", QUERY, token=theirs)).status_code == 404
    assert (await api.post("/analytics/mastery-history", QUERY, token=theirs)).status_code == 404
    assert await api.status(event_id, token=theirs) == "not_processed"
    assert (await api.get(f"/batch/mastery/{batch_id}", token=theirs)).status_code == 404
    await api.learn(event(completed_exercises=1), token=theirs)
    assert (await api.query(token=theirs))["components"]["completion"] == 0.1
    assert (await api.query(token=ours))["components"]["completion"] == 0.8
    assert {record.tenant for record in await api.audited("other-school")} == {"other-school"}


async def test_one_event_id_in_two_tenants_is_two_events(api: Api) -> None:
    same = event("quiz", correct_answers=5)
    for tenant in ("one", "two"):
        await api.learn(same, token=make_token(tenant=tenant))
        assert (await api.query(token=make_token(tenant=tenant)))["components"]["quiz"] == 0.5


async def test_a_batch_is_shown_to_its_sender_and_to_admins_alone(api: Api) -> None:
    teacher = make_token("teacher", subject="ms-lovelace", students=[OWN])
    rows = [{"student_id": OWN, "components": COMPONENTS}] * 101
    batch_id = (await api.data("/batch/mastery", {"requests": rows}, token=teacher))["batch_id"]
    path = f"/batch/mastery/{batch_id}"
    assert (await api.get(path, token=teacher)).status_code == 200
    assert (await api.get(path)).status_code == 200
    other = make_token("teacher", subject="mr-turing", students=[OWN])
    assert (await api.get(path, token=other)).status_code == 404


async def audited(api: Api, what: str, student_id: str, role: str) -> list[tuple[str, str, str | None, bool]]:
    """What a call adds to the trail: subject, role, student, allowed."""
    before = len(await api.audited())
    await call(api, what, student_id, TOKENS[role])
    return [(one.subject, one.role, one.student_id, one.allowed) for one in (await api.audited())[before:]]


@pytest.mark.parametrize("what", MATRIX)
async def test_every_access_that_is_allowed_is_on_record(api: Api, what: str) -> None:
    assert await audited(api, what, OWN, "admin") == [("somebody", "admin", api.pseudonym(OWN), True)]


@pytest.mark.parametrize("what", [what for what, row in MATRIX.items() if row is READS])
async def test_every_access_that_is_refused_is_on_record(api: Api, what: str) -> None:
    assert await audited(api, what, OTHER, "student") == [(api.pseudonym(OWN), "student", api.pseudonym(OTHER), False)]


@pytest.mark.parametrize("what", ["ingest", "ingest many", "batch", "batch, recorded"])
async def test_a_call_that_a_role_may_not_make_at_all_is_on_record(api: Api, what: str) -> None:
    assert await audited(api, what, OWN, "student") == [(api.pseudonym(OWN), "student", None, False)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/mastery/calculate", {"student_id": STUDENT}),
        ("/batch/mastery", {"requests": [{"student_id": STUDENT}]}),
    ],
)
async def test_a_calculation_of_what_is_stored_is_a_read_on_record(api: Api, path: str, body: Any) -> None:
    await api.learn(event())
    before = len(await api.audited())
    assert (await api.post(path, body)).status_code == 200
    assert [(one.student_id, one.allowed) for one in (await api.audited())[before:]] == [(api.pseudonym(STUDENT), True)]


async def test_a_record_says_who_what_whom_when_and_from_where(api: Api) -> None:
    answer = await api.post("/mastery/query", QUERY, token=make_token("service", subject="tutor"))
    (record,) = await api.audited()
    assert (record.subject, record.role, record.call) == ("tutor", "service", "query")
    assert (record.student_id, record.allowed, record.address) == (api.pseudonym(STUDENT), True, "127.0.0.1")
    assert record.request_id == answer.headers["x-request-id"]
    assert abs(record.at / 1_000_000 - datetime.now(UTC).timestamp()) < 60


async def test_a_change_is_on_record_when_it_is_answered(api: Api) -> None:
    await api.post("/mastery/ingest", event())
    written = await api.stores.audit_log.page("default", AuditFilter(), limit=10)
    assert [(record.call, record.student_id) for record in written.records] == [("ingest", api.pseudonym(STUDENT))]
