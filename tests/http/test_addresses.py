"""Whatever is accepted as an id can be named in an address, and nothing in an address breaks a call."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from mastery_engine.http.addresses import for_routing
from tests.support.calls import STUDENT, Api, enrolled, event, listening, serving
from tests.support.live import bearer, make_token

COURSES = [
    "edX/DemoX/2026",
    "course-v1:edX+DemoX+2026",
    "/",
    "a//b",
    "py-101/",
    "../etc",
    "%2F",
    "%252F",
    "a%",
    "a;b=c",
]
COURSES += [
    "a?b",
    "a#b",
    "größe",
    "ループ 1",
    "a&b",
    '"><script>',
    "javascript:alert(1)",
    "{cohort_id}",
    "x" * 100,
    "...",
]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Api]:
    """The service over a socket, whose server decodes addresses before the application sees them."""
    async with listening(tmp_path) as api:
        yield api


def address(cohort_id: str) -> str:
    return f"/cohorts/{quote(cohort_id, safe='')}"


async def test_a_cohort_that_events_name_can_be_read_and_put(served: Api) -> None:
    students = [f"s{place}" for place in range(len(COURSES))]
    await served.learn(*[enrolled(*named) for named in zip(students, [5] * len(COURSES), COURSES, strict=True)])
    teacher = make_token("teacher", cohorts=[f" {cohort_id}\n" for cohort_id in COURSES])
    for student_id, cohort_id in zip(students, COURSES, strict=True):
        for path in (address(cohort_id), f"/api/v1{address(cohort_id)}"):
            shown = await served.get(path, token=teacher)
            assert shown.status_code == 200, (cohort_id, shown.text)
            assert shown.json()["data"]["cohort_id"] == cohort_id
            assert shown.json()["data"]["members"] == [student_id]
        put = await served.call("PUT", address(cohort_id), {"name": "N", "members": ["ada"]})
        assert put.json()["data"]["cohort_id"] == cohort_id, put.text
        figures = await served.data("/analytics/cohort", {"cohort_id": f" {cohort_id} "}, token=teacher)
        assert figures["cohort_id"] == cohort_id


@pytest.mark.parametrize("path", ["/cohorts/a%2Fb", "/cohorts/%61%2fb", "/api/v1/cohorts/a%2Fb"])
async def test_a_slash_is_one_in_either_case(api: Api, path: str) -> None:
    await api.call("PUT", path, {"name": "N", "members": []})
    assert (await api.get("/cohorts/a%2fb")).json()["data"]["cohort_id"] == "a/b"


async def test_two_spellings_are_one_cohort_at_every_door(api: Api) -> None:
    await api.learn(enrolled("ada", 5, "  Gro\u0308\u00dfe 1 "), enrolled("bob", 5, "Größe 1"))
    for spelling in ("Größe 1", "Gro\u0308\u00dfe 1", " Größe 1\t"):
        teacher = make_token("teacher", cohorts=[spelling])
        shown = await api.get(address(spelling), token=teacher)
        assert shown.json()["data"]["members"] == ["ada", "bob"]
        compared = await api.data(
            "/analytics/compare", {"student_id": "ada", "cohort_id": spelling, "metric": "overall"}, token=teacher
        )
        assert compared["cohort_id"] == "Größe 1"


async def test_two_spellings_are_one_topic(api: Api) -> None:
    for place, topic in enumerate(["größe", "gro\u0308\u00dfe", "größe ", "\u3000größe"]):
        await api.learn(event("completion", topic=topic, completed_exercises=place + 1))
    assert (await api.query())["components"]["completion"] == 0.4  # the latest of one topic's running totals


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/cohorts/py%2F101", 404),
        ("/cohorts/py-101/", 404),
        ("/cohorts/py/101", 404),
        ("/cohorts/", 404),
        ("/cohorts/%20", 400),
        ("/cohorts/%00", 400),
        ("/cohorts/a%0Ab", 400),
        ("/cohorts/%7F", 400),
        ("/cohorts/%E2%80%AE", 400),
        ("/cohorts/%ff", 400),
        ("/cohorts/%c3%28", 400),
        ("/cohorts/%ed%a0%80", 400),
        ("/cohorts/%ff%2F", 400),
        ("/cohorts/.", 400),
        ("/cohorts/..", 400),
        ("/cohorts/%2e%2E", 400),
        ("/cohorts/" + "x" * 101, 400),
        ("/cohorts/%", 404),
        ("/cohorts/%zz", 404),
        ("/cohorts%2Fpy-101", 404),
        ("/coh%6Frts/py-101", 404),
        ("/students/a%2Fb/stream", 400),
        ("/students/a%ffb/stream", 400),
        ("/students/a%40b/events/e-1", 400),
        (f"/students/{STUDENT}/events/..", 200),
        (f"/students/{STUDENT}/events/.", 200),
        (f"/students/{STUDENT}/events/%2E%2E", 200),
        (f"/students/{STUDENT}/events/a%3Ab", 200),
        (f"/students/{STUDENT}/events/a%2Fb", 400),
        (f"/students/{STUDENT}/events/%ff", 400),
        ("/batch/mastery/a%2Fb", 404),
        ("/batch/mastery/%00", 404),
        ("/batch/mastery/%ff", 400),
        ("/compliance/students/a%2Fb/consent", 400),
        ("/compliance/students/%ed%a0%80/export", 400),
        ("/dashboard/students/a%2Fb", 400),
        ("/dashboard/students/%ff", 400),
        ("/dashboard/students/%ff/live", 400),
        ("/dashboard/assets/..%2Fpages.py", 404),
        ("/dashboard/assets/%ff", 404),
        ("/dashboard/find?student=%ff", 400),
        ("/dashboard/compare?student=ada&cohort=%00", 400),
        ("/dashboard/compare?student=%ff&cohort=py", 400),
        ("/dashboard/compare?cohort=%FF", 400),
        ("/dashboard?x=%FF", 400),
        ("/compliance/audit?student=a%40b", 400),
        ("/compliance/audit?subject=%FF", 400),
        ("/compliance/audit?subject=%c3%bc", 200),
        ("/%ff", 404),
        ("/health%2F", 404),
        ("/he%61lth", 200),
    ],
)
async def test_nothing_in_an_address_breaks_a_call(served: Api, path: str, status: int) -> None:
    """Sent as it stands: clients take dots and bad encodings out before they send them."""
    assert await answered(served, "GET", path) == status


async def test_a_parameter_that_is_not_utf_8_is_named(served: Api) -> None:
    refused = await served.client.get("/compliance/audit?call=x&subject=a%FF", headers=bearer(make_token()))
    assert refused.json()["error"]["message"] == "subject is not UTF-8 in this address: percent-encode it as UTF-8."


async def answered(api: Api, method: str, path: str) -> int:
    """The status of a call whose address no client has touched."""
    token = make_token()
    head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n"
    head += f"Cookie: mastery_session={token}\r\nConnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", api.client.base_url.port)
    writer.write(head.encode())
    async with asyncio.timeout(10):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def test_methods_and_head_are_those_of_the_address(served: Api) -> None:
    refused = await served.call("DELETE", "/cohorts/a%2Fb")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, PUT")
    await served.call("PUT", "/cohorts/a%2Fb", {"name": "N", "members": []})
    assert (await served.call("HEAD", "/cohorts/a%2Fb")).status_code == 200


async def test_links_on_pages_lead_to_the_class_that_they_name(api: Api) -> None:
    await api.learn(
        *[enrolled(name, 5, cohort_id) for cohort_id in [*COURSES[:6], "a  b"] for name in (STUDENT, "ada")]
    )
    cookie = {"Cookie": f"mastery_session={make_token()}"}
    page = (await api.client.get(f"/dashboard/students/{STUDENT}", headers=cookie)).text
    links = [html.unescape(link) for link in re.findall(r'href="(/dashboard/compare[^"]+)"', page)]
    named = set()
    for link in links:
        answer = await api.client.get(link, headers=cookie)
        assert answer.status_code == 200
        named |= set(re.findall(rf'id="h-one">{STUDENT} in ([^<]+)<', answer.text))
    assert named == {*COURSES[:6], "a  b"}
    teacher = {"Cookie": f"mastery_session={make_token('teacher', cohorts=['a  b'])}"}
    chosen = (await api.client.get("/dashboard/compare", headers=teacher)).text
    assert '<option value="a  b"' in chosen, "a browser takes blanks out of an option's text"


async def test_ids_that_would_be_commands_are_shown_as_text(api: Api) -> None:
    for cohort_id in ('"><script>alert(1)</script>', "javascript:alert(1)"):
        await api.learn(enrolled(STUDENT, 5, cohort_id))
    cookie = {"Cookie": f"mastery_session={make_token()}"}
    page = (await api.client.get(f"/dashboard/students/{STUDENT}", headers=cookie)).text
    assert "<script>alert" not in page
    assert not re.search(r'href="javascript:', page)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Api]]:
    """One service for all examples."""
    with asyncio.Runner() as loop:
        service = serving(tmp_path_factory.mktemp("addresses"), log_level="ERROR")
        api = loop.run(service.__aenter__())
        yield loop, api
        loop.run(service.__aexit__(None, None, None))


def test_any_cohort_that_is_accepted_can_be_read_at_its_address(runner: tuple[asyncio.Runner, Api]) -> None:
    loop, api = runner

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cohort_id=st.text(min_size=1, max_size=12) | st.text("./%2F+ ;?#&\u0301e\u200b", min_size=1, max_size=6))
    def reads(cohort_id: str) -> None:
        sent = enrolled("ada", 5, cohort_id)
        taken = loop.run(api.post("/mastery/ingest", sent))
        put = loop.run(api.call("PUT", address(cohort_id), {"name": "N", "members": ["ada"]}))
        assert taken.status_code in (202, 400)
        if taken.status_code == 400:
            assert taken.json()["error"]["message"]
            return
        shown = loop.run(api.get(address(cohort_id)))
        assert put.status_code == shown.status_code == 200, (cohort_id, put.text, shown.text)
        assert put.json()["data"]["cohort_id"] == shown.json()["data"]["cohort_id"]

    reads()


def test_a_server_that_gives_no_raw_path_is_believed() -> None:
    scope = {"type": "http", "path": "/cohorts/a/b"}
    assert for_routing(scope) is scope


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/cohorts/a%2Fb"), ("HEAD", "/cohorts/a"), ("HEAD", "/cohorts/a%2Fb")]
)
async def test_whoever_is_outside_learns_the_route_of_the_call(api: Api, method: str, path: str) -> None:
    """A span is named by it."""
    seen: dict[str, Any] = {}

    async def outside(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(api.state)
        await api.app(scope, receive, send)
        seen.update(scope)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(outside), base_url="http://test") as client:
        await client.request(method, path, headers=bearer(make_token()))
    assert seen["route"].path == "/cohorts/{cohort_id}"
    assert seen["path"] == path.replace("%2F", "/"), "the server's own path stays as it is"
