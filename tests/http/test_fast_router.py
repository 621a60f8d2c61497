"""The short way to a fixed_routes address is the framework's way."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from mastery_engine.errors import Unavailable
from mastery_engine.http.app import PARTS
from mastery_engine.http.middleware.fast_router import fixed_routes
from tests.support.calls import STUDENT, Api, serving
from tests.support.live import bearer, make_token

ROUTES = [route for part in PARTS for route in part.router.routes if isinstance(route, Route | APIRoute)]
DIRECT = fixed_routes(ROUTES)


def test_the_addresses_without_a_parameter_are_direct() -> None:
    assert {("POST", "/mastery/query"), ("POST", "/mastery/calculate"), ("POST", "/process")} <= DIRECT.keys()
    assert not [path for _, path in DIRECT if "{" in path]


@pytest.mark.parametrize(("method", "path"), sorted(DIRECT))
def test_the_framework_would_take_the_same_route(method: str, path: str) -> None:
    first = next(route for route in ROUTES if method in (route.methods or ()) and route.path_regex.match(path))
    assert first is DIRECT[method, path]


async def test_all_other_addresses_are_looked_for(api: Api) -> None:
    assert (await api.post("/mastery/query/", {"student_id": STUDENT})).status_code == 404
    refused = await api.get("/mastery/query")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert (await api.get(f"/students/{STUDENT}/events/none")).status_code == 200
    assert (await api.call("HEAD", "/health", token="")).status_code == 200
    body = {"student_id": STUDENT, "components": {"quiz": 0.5}, "record": False}
    assert (await api.post("/api/v1/mastery/calculate", body)).status_code == 200


async def test_both_ways_answer_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = bearer(make_token()), {"Authorization": "Bearer x"}
    bodies = [json.dumps({"student_id": STUDENT}).encode(), b"{", b"", b"\xff", b"[]"]
    heads: list[dict[str, str]] = [good, bad, {}, good | {"Accept": "application/problem+json"}]
    heads.append(good | {"Content-Type": "text/xml"})
    async with serving(tmp_path / "short", rate_limit_enabled=False) as short:
        monkeypatch.setattr("mastery_engine.http.middleware.fast_router.fixed_routes", lambda _: {})
        async with serving(tmp_path / "long", rate_limit_enabled=False) as long:
            for method, path in sorted(DIRECT):
                for head, body, query in [*product(heads, bodies, [""]), (good, bodies[0], "?none=1")]:
                    said = [
                        told(await api.call(method, path + query, token="", content=body, headers=head))
                        for api in (short, long)
                    ]
                    assert said[0] == said[1], (method, path, head, body)


def told(answer: httpx.Response) -> tuple[int, list[str], Any]:
    """What an answer says that is the same at any time."""
    kind = answer.headers.get("content-type", "")
    found = answer.json() if "json" in kind else {}
    said = found.get("error", found.get("detail", sorted(found))) if isinstance(found, dict) else found
    return answer.status_code, sorted(answer.headers), said


async def test_errors_on_the_short_way_are_told_as_on_the_long_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for raised, status, code in (
        (Unavailable("The store is away."), 503, "SERVICE_UNAVAILABLE"),
        (ZeroDivisionError(), 500, "INTERNAL_ERROR"),
    ):

        async def broken(*_: Any, error: Exception = raised, **__: Any) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(api.engine.scores, "query", broken)
            answer = await api.post("/mastery/query", {"student_id": STUDENT})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.headers["x-request-id"] == answer.json()["meta"]["request_id"]
