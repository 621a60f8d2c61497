"""Every example of the OpenAPI document, sent as it stands to the demo's class; every failure, made by a real call."""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jsonschema_rs
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.cli import demo
from mastery_engine.errors import Unavailable
from mastery_engine.http.document.described import words
from mastery_engine.lab.simulate.classes import BEST_KNOWN
from mastery_engine.wiring import system_clock
from tests.support.calls import Api, Json, check_answer, document, event, listening, settings_of
from tests.support.live import bearer, make_token
from tests.support.new_database import lay_new_database
from tests.support.rosters import school

DAYS = 10  # the demo has more; its students and their ids are the same
SIDECAR = "a-token-of-the-sidecar-0123456789-0123"
ZIP = "application/zip"
# What the document cannot write down: the body is a zip; a message is listed once it was sent to somebody out there.
NO_BODY, NOT_SENT = {"import_roster"}, {"resend_delivery"}
OPERATIONS: dict[str, tuple[str, str, Json]] = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in document()["paths"].items()
    for method, operation in operations.items()
}


class Demo:
    """The demo's service over a socket, and what each call answered."""

    def __init__(self, api: Api, platform: str) -> None:
        self.api = api
        self.platform = platform
        self.answers: dict[str, Json] = {}

    def headers(self, name: str, operation: Json) -> dict[str, str]:
        """Who calls: the first of those whom the document names; an admin, but for what is a student's own."""
        first: Json = next(iter(operation.get("security", [{}])), {})
        if "Sidecar" in first:
            return {"dapr-api-token": SIDECAR}
        if "Platform" in first:
            return {"Authorization": self.platform}
        own = name == "set_badge_name"
        return bearer(make_token("student", subject=BEST_KNOWN) if own else make_token()) if first else {}

    def examples_of(self, name: str, operation: Json) -> list[dict[tuple[str, str], Any]]:
        """All that may be sent: each parameter by its place and name, with an example, or by a link to it."""
        given = []
        for parameter in operation.get("parameters", []):
            place = (parameter["in"], parameter["name"])
            values = [one["value"] for one in parameter.get("examples", {}).values()]
            values += [parameter["example"]] if "example" in parameter else []
            if not values and parameter["in"] == "path":
                values = [self.linked(name, parameter["name"])]
            if values:
                given.append([(place, value) for value in values])
        return [dict(chosen) for chosen in product(*given)]

    def linked(self, name: str, parameter: str) -> str:
        for source, (_, _, operation) in OPERATIONS.items():
            for response in operation["responses"].values():
                link = response.get("links", {}).get(name)
                if link is not None and parameter in link["parameters"]:
                    value: Any = self.answers[source]
                    for part in link["parameters"][parameter].partition("#/")[2].split("/"):
                        value = value[int(part)] if part.isdigit() else value[part]
                    return str(value)
        raise AssertionError(f"{name}: {parameter} has neither an example nor a link")

    async def send(self, name: str) -> None:
        method, path, operation = OPERATIONS[name]
        for chosen in self.examples_of(name, operation):
            where = path
            for (place, parameter), value in chosen.items():
                where = where.replace(f"{{{parameter}}}", quote(str(value), safe="")) if place == "path" else where
            query = {parameter: _text(value) for (place, parameter), value in chosen.items() if place == "query"}
            headers = self.headers(name, operation)
            headers |= {parameter: str(value) for (place, parameter), value in chosen.items() if place == "header"}
            content, kind = body_of(name, operation)
            headers |= {"Content-Type": kind} if content is not None else {}
            address = f"{where}?{urlencode(query)}" if query else where
            if name == "stream":
                await self.look_at_stream(address, headers)
                continue
            answer = await self.api.client.request(method, address, content=content, headers=headers)
            promised = {status for status in operation["responses"] if status.startswith("2")}
            assert str(answer.status_code) in promised, (name, address, answer.status_code, answer.text)
            check_answer(method, where, answer)
            if answer.headers["content-type"].startswith("application/json"):
                self.answers[name] = answer.json()

    async def look_at_stream(self, address: str, headers: Mapping[str, str]) -> None:
        async with self.api.client.stream("GET", address, headers=headers) as answer:
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    assert json.loads(line.removeprefix("data: "))["student_id"] == BEST_KNOWN
                    return


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def body_of(name: str, operation: Json) -> tuple[bytes | None, str]:
    """The example of a body as it stands, and its media type."""
    wanted = operation.get("requestBody")
    if wanted is None:
        return None, ""
    if name in NO_BODY:
        return school(), ZIP
    return json.dumps(wanted["content"]["application/json"]["example"]).encode(), "application/json"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Demo]]:
    """The demo with its class, made as the command makes it."""
    folder: Path = tmp_path_factory.mktemp("demo")
    lay_new_database(folder)
    with asyncio.Runner() as loop, pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "DAYS", DAYS)
        chosen, _ = loop.run(demo.prepared(settings_of(folder, port=0), system_clock))
        said = {"model_file": chosen.model_file, "public_url": chosen.public_url, "app_api_token": SIDECAR}
        service = listening(folder, log_level="ERROR", **said)
        api = loop.run(service.__aenter__())
        made = loop.run(
            api.engine.credentials.create(Caller("tests", "admin"), "lms", doors=("caliper", "canvas"), course_id=None)
        )
        secret = b64encode(f"{made.key}:{made.secret}".encode()).decode()
        yield loop, Demo(api, f"Basic {secret}")
        loop.run(service.__aexit__(None, None, None))


def test_every_example_succeeds_as_it_is_sent(runner: tuple[asyncio.Runner, Demo]) -> None:
    """In the order of the document."""
    loop, shown = runner

    async def many() -> None:
        """As the example, with so many rows that they are answered later, under a batch_id."""
        body = OPERATIONS["calculate_batch"][2]["requestBody"]["content"]["application/json"]["example"]
        answer = await shown.api.post("/batch/mastery", {**body, "requests": body["requests"] * 51})
        assert answer.status_code == 202
        shown.answers["calculate_batch"] = answer.json()

    async def all_of_them() -> None:
        for name in OPERATIONS:
            if name not in NOT_SENT:
                await shown.send(name)
            if name == "calculate_batch":
                await many()

    loop.run(all_of_them())
    accepted = shown.answers["ingest_batch"]["data"]
    assert (accepted["accepted"], accepted["refused"]) == (2, 0)
    assert shown.answers["students"]["data"]["students"]
    assert shown.answers["audit"]["data"]["records"] is not None


def test_every_call_that_takes_something_has_an_example_of_it() -> None:
    for name, (_, _, operation) in OPERATIONS.items():
        wanted = operation.get("requestBody", {}).get("content", {})
        assert name in NO_BODY or all("example" in one for one in wanted.values()), name
        for parameter in operation.get("parameters", []):
            is_made = parameter["name"] in ("cursor", "batch_id", "badge_id", "delivery_id", "note_id")
            if is_made or parameter["in"] == "header" or parameter["name"] == "course_id":
                continue
            assert "example" in parameter or "examples" in parameter, (name, parameter["name"])


def test_an_example_fits_its_schema() -> None:
    components = document()["components"]
    for name, (_, _, operation) in OPERATIONS.items():
        for one in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in one:
                jsonschema_rs.Draft202012Validator({**one["schema"], "components": components}).validate(one["example"])
        for parameter in operation.get("parameters", []):
            for value in [parameter.get("example"), *[e["value"] for e in parameter.get("examples", {}).values()]]:
                check = jsonschema_rs.Draft202012Validator({**parameter["schema"], "components": components})
                assert value is None or check.is_valid(value), (name, parameter["name"])


def test_an_answer_s_example_fits_its_schema_and_is_what_the_demo_answers(
    runner: tuple[asyncio.Runner, Demo],
) -> None:
    loop, shown = runner
    checked = 0
    for name, (_, _, operation) in OPERATIONS.items():
        for status, response in operation["responses"].items():
            for one in response.get("content", {}).values():
                if "example" not in one:
                    continue
                whole = {**one["schema"], "components": document()["components"]}
                jsonschema_rs.Draft202012Validator(whole).validate(one["example"])
                assert status.startswith("2")
                if name not in shown.answers:
                    loop.run(shown.send(name))
                said, example = shown.answers[name]["data"], one["example"]["data"]
                if isinstance(example, dict):
                    assert example.keys() == said.keys(), name
                checked += 1
    assert checked > 20


def test_summaries_are_sentences_and_nothing_is_without_words() -> None:
    summaries = [operation["summary"] for _, _, operation in OPERATIONS.values()]
    assert len(set(summaries)) == len(summaries)
    for summary in summaries:
        assert summary[0].isupper(), summary
        assert summary.endswith("."), summary
        assert len(summary.split()) > 3, summary
    for name, (_, _, operation) in OPERATIONS.items():
        assert operation.get("description"), name
        assert all(one.get("description") for one in operation.get("parameters", [])), name
    for kind, schema in document()["components"]["schemas"].items():
        for part in [schema, *schema.get("oneOf", [])]:
            fields = part.get("properties", {})
            assert [field for field, one in fields.items() if not one.get("description")] == [], kind


def test_no_words_are_of_what_is_not_there() -> None:
    """And each parameter of an example is one of its call."""
    calls, schemas = words("calls"), document()["components"]["schemas"]
    assert calls["calls"].keys() == OPERATIONS.keys()
    for name, said in calls["calls"].items():
        there = {one["name"] for one in OPERATIONS[name][2].get("parameters", [])}
        assert set(said.get("parameters", {})) <= there, name
    parts = [(kind, part) for kind, schema in schemas.items() for part in [schema, *schema.get("oneOf", [])]]
    fields = {
        name for kind, part in parts for field in part.get("properties", {}) for name in (field, f"{kind}.{field}")
    }
    assert words("fields").keys() <= fields
    for link in calls["links"]:
        for name in link["to"]:
            assert link["parameter"] in {one["name"] for one in OPERATIONS[name][2]["parameters"]}, name


def test_calls_fail_by_one_shared_response() -> None:
    for name, (_, _, operation) in OPERATIONS.items():
        for status, response in operation["responses"].items():
            if status[0] in "45":
                assert response["$ref"].startswith("#/components/responses/Failure"), (name, status)


FAILURES: Json = document()["components"]["responses"]["Failure"]["content"]["application/json"]["examples"]


class Faults:
    """A real call that fails with each code, by its name."""

    def __init__(self, api: Api, patch: pytest.MonkeyPatch) -> None:
        self._api = api
        self._patch = patch

    async def _query(self, **how: Any) -> httpx.Response:
        return await self._api.post("/mastery/query", {"student_id": BEST_KNOWN}, **how)

    async def validation_error(self) -> httpx.Response:
        return await self._api.post("/predictions/next-week", {"student_id": BEST_KNOWN, "timeframe_days": 31})

    async def course_required(self) -> httpx.Response:
        both = [{**event("quiz", student_id="two-courses"), "course_id": one} for one in ("art", "physics")]
        await self._api.learn(*both)
        return await self._api.post("/mastery/query", {"student_id": "two-courses"})

    async def auth_error(self) -> httpx.Response:
        return await self._query(token="")

    async def forbidden(self) -> httpx.Response:
        return await self._query(token=make_token("student", subject="another"))

    async def not_found(self) -> httpx.Response:
        return await self._api.post("/mastery/query", {"student_id": "nobody"})

    async def request_timeout(self) -> httpx.Response:
        self._patch.setattr("mastery_engine.http.middleware.body.FIRST_S", 0.1)
        return await self._api.post("/mastery/query", content=slowly())

    async def conflict(self) -> httpx.Response:
        await self._api.post("/mastery/ingest", event("quiz"), headers={"Idempotency-Key": "one-key"})
        return await self._api.post("/mastery/ingest", event("help"), headers={"Idempotency-Key": "one-key"})

    async def gone(self) -> httpx.Response:
        badge, *_ = (await self._api.get("/students/student_20001/badges")).json()["data"]["badges"]
        assert (await self._api.call("DELETE", "/compliance/students/student_20001")).status_code == 200
        return await self._api.get(f"/badges/{badge['badge_id']}", token="")

    async def payload_too_large(self) -> httpx.Response:
        return await self._api.post("/mastery/query", content=b" " * (2**20 + 1))

    async def unsupported_media_type(self) -> httpx.Response:
        return await self._api.post("/mastery/query", content=b"{}", headers={"Content-Type": "text/plain"})

    async def rate_limited(self) -> httpx.Response:
        token = make_token("student", subject="busy")
        for _ in range(20):
            await self._api.post("/predictions/next-week", {"student_id": "busy"}, token=token)
        return await self._api.post("/predictions/next-week", {"student_id": "busy"}, token=token)

    async def headers_too_large(self) -> httpx.Response:
        return await self._api.get("/health", headers={"X-Large": "x" * 33_000})

    async def internal_error(self) -> httpx.Response:
        self._patch.setattr(self._api.engine.scores, "query", broken(RuntimeError("It cannot be.")))
        return await self._query()

    async def service_unavailable(self) -> httpx.Response:
        self._patch.setattr(self._api.engine.scores, "query", broken(Unavailable("The store does not answer.")))
        return await self._query()


async def slowly() -> Any:
    yield b"{"
    await asyncio.sleep(0.3)
    yield b"}"


def broken(error: Exception) -> Any:
    async def raising(*_: Any, **__: Any) -> None:
        raise error

    return raising


@pytest.mark.parametrize("code", FAILURES)
def test_a_failure_is_what_a_real_call_answers(
    runner: tuple[asyncio.Runner, Demo], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, shown = runner
    example = deepcopy(FAILURES[code]["value"])
    answer: httpx.Response = loop.run(getattr(Faults(shown.api, monkeypatch), code.lower())())
    said = answer.json()
    assert str(answer.status_code) == FAILURES[code]["summary"].partition(":")[0]
    told, shown_message = (one["error"].pop("message") for one in (said, example))
    assert re.sub(r"\d+", "N", told) == re.sub(r"\d+", "N", shown_message)  # how long is by the clock
    assert said["error"] == example["error"]
    assert said.keys() == example.keys()
    assert said["meta"].keys() == example["meta"].keys()
    assert [type(value) for value in said["meta"].values()] == [type(value) for value in example["meta"].values()]
