"""The doors for schools that take JSON: Caliper and Canvas, from the credential to the evidence."""

import gzip
import json
import logging
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mastery_engine.auth.access import Caller
from mastery_engine.auth.jwks import AGAIN
from mastery_engine.auth.limits import BAD_TOKENS
from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.names import Door
from mastery_engine.responses.credentials import MadeCredential
from tests.support.calls import Api, Json, serving
from tests.support.live import make_token

GRADED = "https://lms.example.edu/users/554433"
IN_CANVAS = "21070000000000048"
KEYS = [rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2)]


def ago(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def grade(given: float = 9.0, *, at: str | None = None, number: int = 1, person: str = GRADED) -> Json:
    """A Caliper GradeEvent, whose actor is the teacher."""
    return {
        "@context": "http://purl.imsglobal.org/ctx/caliper/v1p2",
        "id": f"urn:uuid:a50ca17f-5971-47bb-8fca-4e6e687900{number:02}",
        "type": "GradeEvent",
        "actor": {"id": "https://lms.example.edu/users/teacher", "type": "Person"},
        "action": "Graded",
        "eventTime": at or ago(minutes=1),
        "object": {
            "id": f"{person}/quizzes/loops/attempts/{number}",
            "type": "Attempt",
            "assignee": {"id": person, "type": "Person"},
            "assignable": {"id": "https://lms.example.edu/quizzes/loops", "type": "Assessment"},
        },
        "generated": {"id": f"{person}/scores/{number}", "type": "Score", "maxScore": 10.0, "scoreGiven": given},
    }


def envelope(*events: Json) -> Json:
    return {
        "sensor": "https://lms.example.edu/sensors/1",
        "sendTime": ago(seconds=1),
        "dataVersion": "http://purl.imsglobal.org/ctx/caliper/v1p2",
        "data": list(events),
    }


def change(score: float = 8.5, *, at: str | None = None, **body: Any) -> Json:
    """A ``grade_change`` of Canvas."""
    return {
        "metadata": {"event_name": "grade_change", "event_time": at or ago(minutes=1)},
        "body": {
            "assignment_id": "355",
            "student_id": IN_CANVAS,
            "submission_id": "11086",
            "score": score,
            "points_possible": 10,
            "grading_complete": True,
            **body,
        },
    }


async def made(api: Api, *doors: Door, course_id: str | None = None, tenant: str = "default") -> MadeCredential:
    return await api.engine.credentials.create(
        Caller("tests", "admin", tenant), "Platform", doors=doors, course_id=course_id
    )


def basic(credential: MadeCredential) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{credential.key}:{credential.secret}'.encode()).decode()}"}


def student(api: Api, system: str, id_there: str, tenant: str = "default") -> str:
    return api.engine.rosters._profiles.derived_id(tenant, Identity(system, id_there))


async def sent(api: Api, path: str, body: Any, credential: MadeCredential) -> list[Json]:
    answer = await api.post(path, body, token="", headers=basic(credential))
    assert answer.status_code == 200, answer.text
    results: list[Json] = answer.json()["data"]["results"]
    return results


async def test_a_grade_of_caliper_is_its_assignees(api: Api) -> None:
    credential = await made(api, "caliper")
    (result,) = await sent(api, "/caliper", envelope(grade()), credential)
    assert (result["id"], result["status"]) == ("urn:uuid:a50ca17f-5971-47bb-8fca-4e6e68790001", "evidence")
    name = student(api, "https://lms.example.edu", GRADED)
    await api.processed(result["events"][0], name)
    assert (await api.query(name))["components"]["quiz"] == 0.9
    assert (await api.post("/mastery/query", {"student_id": student(api, "https://lms.example.edu", "x")})).is_error


@pytest.mark.parametrize("way", ["twice", "in one envelope", "split", "a list of envelopes", "packed"])
async def test_however_often_it_is_sent_it_counts_once(api: Api, way: str) -> None:
    credential = await made(api)
    both = [grade(at=(first := ago(minutes=2))), grade(5.0, at=first, number=2)]
    bodies: dict[str, list[Any]] = {
        "twice": [envelope(*both), envelope(*both), envelope(both[0])],
        "in one envelope": [envelope(*both, both[0])],
        "split": [envelope(both[0]), *[envelope(one) for one in both]],
        "a list of envelopes": [[envelope(both[0]), envelope(*both)]],
        "packed": [envelope(*both), envelope(both[0])],
    }
    results = []
    for body in bodies[way]:
        if way == "packed":
            headers = {**basic(credential), "Content-Encoding": "gzip"}
            answer = await api.post(
                "/caliper", content=gzip.compress(json.dumps(body).encode()), token="", headers=headers
            )
            results += answer.json()["data"]["results"]
        else:
            results += await sent(api, "/caliper", body, credential)
    assert {one["status"] for one in results} == {"evidence"}
    name = student(api, "https://lms.example.edu", GRADED)
    for one in results:
        await api.processed(one["events"][0], name)
    assert (await api.query(name))["components"]["quiz"] == pytest.approx(0.7, abs=1e-4)


async def test_each_message_has_its_outcome_and_its_reason(api: Api) -> None:
    credential = await made(api)
    results = await sent(
        api,
        "/caliper",
        envelope(
            grade(),
            {**grade(number=2), "type": "NavigationEvent", "action": "NavigatedTo"},
            grade(number=3, at=ago(days=400)),
            grade(number=4, at=ago(days=-3)),
            "no object",  # type: ignore[arg-type]
            grade(12.0, number=6),
        ),
        credential,
    )
    assert [one["status"] for one in results] == ["evidence", "ignored", "refused", "refused", "refused", "evidence"]
    assert all(one["reason"] for one in results[1:])
    assert [len(one["events"]) for one in results] == [1, 0, 0, 0, 0, 1]
    letters = await api.logs.dead_letters.page()
    assert letters == []
    text = (await api.get("/metrics", token="")).text
    assert 'mastery_door_messages_total{door="caliper",outcome="refused"} 3.0' in text


async def test_the_course_is_that_of_the_credential_where_the_message_names_none(api: Api) -> None:
    credential = await made(api, "canvas", course_id="physics-7b")
    (result,) = await sent(api, "/canvas/events", change(), credential)
    name = student(api, "urn:instructure:canvas", IN_CANVAS)
    await api.processed(result["events"][0], name)
    answer = await api.post("/mastery/query", {"student_id": name})
    assert answer.json()["data"]["current_mastery"]["components"]["quiz"] == 0.85
    assert (await api.post("/mastery/query", {"student_id": name, "course_id": "physics-7b"})).status_code == 200


async def test_a_linked_person_is_the_student_of_their_profile(api: Api) -> None:
    external = [{"system": "urn:instructure:canvas", "id": IN_CANVAS}]
    await api.call("PUT", "/students/ada/profile", {"external": external})
    (result,) = await sent(api, "/canvas/events", change(), await made(api))
    await api.processed(result["events"][0], "ada")


async def test_nothing_is_taken_without_consent(api: Api) -> None:
    credential = await made(api)
    name = student(api, "urn:instructure:canvas", IN_CANVAS)
    await api.call("PUT", f"/compliance/students/{name}/consent", {"processing": False})
    (result,) = await sent(api, "/canvas/events", change(), credential)
    assert (result["status"], result["events"]) == ("refused", [])
    assert "consent" in result["reason"]
    assert (await api.post("/mastery/query", {"student_id": name})).status_code == 404


async def test_the_tenant_is_the_credentials(api: Api) -> None:
    credential = await made(api, tenant="school-1")
    (result,) = await sent(api, "/canvas/events", change(), credential)
    token = make_token(tenant="school-1")
    await api.processed(result["events"][0], student(api, "urn:instructure:canvas", IN_CANVAS, "school-1"), token=token)
    (record,) = [one for one in await api.audited("school-1") if one.call == "ingest"]
    assert (record.subject, record.role) == (f"credential:{credential.key}", "service")


@pytest.mark.parametrize("path", ["/caliper", "/canvas/events"])
async def test_who_may_come_in(api: Api, path: str) -> None:
    body = envelope(grade()) if path == "/caliper" else change()
    door: Door = "caliper" if path == "/caliper" else "canvas"
    right, wrong = await made(api, door), await made(api, "xapi")
    assert (await api.post(path, body, token=right.secret)).status_code == 200
    assert (await api.post(path, body, token=make_token("service"))).status_code == 200
    assert (await api.post(path, body, token=make_token("student"))).status_code == 403
    assert (await api.post(path, body, token=wrong.secret)).status_code == 403
    for token in ("", right.secret[:-1], right.key):
        answer = await api.post(path, body, token=token)
        assert answer.status_code == 401
    nobody = await api.post(path, body, token="")
    assert nobody.headers["www-authenticate"].startswith("Basic ")
    await api.engine.credentials.revoke(Caller("tests", "admin"), right.key)
    assert (await api.post(path, body, token=right.secret)).status_code == 401
    other = await api.post("/mastery/query", {"student_id": "ada"}, token=wrong.secret)
    assert other.status_code == 401  # it opens the doors alone


async def test_guesses_are_limited_and_no_secret_is_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credential = await made(api)
    wrong = [(await api.post("/caliper", {}, token=credential.secret + "x")).status_code for _ in range(BAD_TOKENS + 2)]
    assert wrong == [401] * BAD_TOKENS + [429] * 2
    await sent(api, "/caliper", envelope(grade()), credential)
    assert credential.secret not in caplog.text + str(await api.audited())


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe{\x00}\x00", "application/json", 400),
        (b'{"data": [NaN]}', "application/json", 400),
        (b"[" * 100_000 + b"]" * 100_000, "application/json", 400),
        (b"[]", "text/csv", 415),
        (b" " * (1024 * 1024 + 1), "application/json", 413),
        (b"[]", "application/json", 200),
        (b'"a text"', "application/json", 200),
        (b"\xef\xbb\xbf{}", "application/json", 200),
    ],
)
@pytest.mark.parametrize("path", ["/caliper", "/canvas/events"])
async def test_whatever_comes_is_answered(api: Api, path: str, content: bytes, kind: str, status: int) -> None:
    credential = await made(api)
    answer = await api.post(path, content=content, token="", headers={**basic(credential), "Content-Type": kind})
    assert answer.status_code == status, answer.text


# ---- signed bodies


class Published:
    """A web server with the keys that Canvas publishes."""

    def __init__(self) -> None:
        self.keys: list[Json] = []
        self.asked = 0
        published = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                published.asked += 1
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": published.keys}).encode())

            def log_message(self, *_: Any) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/main/jwks"

    def publish(self, **keys: rsa.RSAPrivateKey) -> None:
        algorithm = jwt.get_algorithm_by_name("RS256")
        self.keys = [
            {**json.loads(algorithm.to_jwk(key.public_key())), "kid": name, "alg": "RS256", "use": "sig"}
            for name, key in keys.items()
        ]


@pytest.fixture
def published() -> Iterator[Published]:
    keys = Published()
    thread = Thread(target=keys.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield keys
    keys.server.shutdown()
    keys.server.server_close()


@pytest.fixture
async def with_keys(published: Published, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, canvas_jwks_url=published.url) as api:
        yield api


def signed(message: Json, key: rsa.RSAPrivateKey = KEYS[0], key_id: str = "2026-01") -> bytes:
    return jwt.encode(message, key, "RS256", {"kid": key_id}).encode()


async def delivered(api: Api, credential: MadeCredential, body: bytes, kind: str = "application/jwt") -> Any:
    return await api.post("/canvas/events", content=body, token="", headers={**basic(credential), "Content-Type": kind})


@pytest.mark.parametrize("kind", ["application/jwt", "application/json", "text/plain"])
async def test_a_signed_event_is_the_event(with_keys: Api, published: Published, kind: str) -> None:
    published.publish(**{"2026-01": KEYS[0]})
    credential = await made(with_keys, "canvas")
    bare = change(at=ago(minutes=3))
    expired = {**bare, "iat": time.time() - 7_200, "exp": time.time() - 3_600, "aud": "somebody"}
    answers = [
        await delivered(with_keys, credential, signed(bare), kind),
        await delivered(with_keys, credential, b'"' + signed(bare) + b'"', kind),
        await delivered(with_keys, credential, signed(expired), kind),
    ]
    (plain,) = await sent(with_keys, "/canvas/events", bare, credential)
    results = [answer.json()["data"]["results"][0] for answer in answers]
    assert [one["status"] for one in results] == ["evidence"] * 3
    assert results[0]["events"] == results[1]["events"] == plain["events"]


async def test_a_new_month_has_a_new_key(with_keys: Api, published: Published) -> None:
    published.publish(**{"2026-01": KEYS[0]})
    credential = await made(with_keys)
    assert (await delivered(with_keys, credential, signed(change()))).status_code == 200
    published.publish(**{"2026-02": KEYS[1]})
    with_keys.clock.ahead += AGAIN
    february = signed(change(at=ago(minutes=5)), KEYS[1], "2026-02")
    assert (await delivered(with_keys, credential, february)).status_code == 200
    assert published.asked == 2
    assert (await delivered(with_keys, credential, signed(change()))).status_code == 401  # January's is gone


@pytest.mark.parametrize("fault", ["another key", "unknown key", "none", "HS256", "altered", "no token"])
async def test_what_canvas_has_not_signed_is_refused(with_keys: Api, published: Published, fault: str) -> None:
    published.publish(**{"2026-01": KEYS[0]})
    credential = await made(with_keys)
    good = signed(change())
    head, message, signature = good.split(b".")
    body = {
        "another key": signed(change(), KEYS[1]),
        "unknown key": signed(change(), KEYS[1], "2025-12"),
        "none": jwt.encode(change(), None, "none").encode(),  # type: ignore[arg-type]
        "HS256": jwt.encode(change(), "x" * 32, "HS256", {"kid": "2026-01"}).encode(),
        "altered": b".".join([head, message[:-4] + b"AAAA", signature]),
        "no token": b"a.b.c",
    }[fault]
    answer = await delivered(with_keys, credential, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_ERROR"), answer.text
    assert (await with_keys.post("/canvas/events", content=good, token="")).status_code == 401  # a signature alone


async def test_without_the_keys_a_signed_body_is_to_be_sent_again(api: Api) -> None:
    """The published ones cannot be read here."""
    api.engine.canvas_bodies._keys._url = "http://127.0.0.1:9/none"
    answer = await delivered(api, await made(api), signed(change()))
    assert answer.status_code == 503
