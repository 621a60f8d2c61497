"""The live stream of a student, over a real socket."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message

from mastery_engine.auth.access import Caller
from mastery_engine.http.routers.stream import EventStream
from mastery_engine.services import watching
from tests.support.calls import STUDENT, Api, event, listening
from tests.support.live import bearer, make_token

Opened = tuple[Api, httpx.AsyncClient]


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Opened]:
    async with listening(tmp_path, max_concurrent_requests=5) as api:
        yield api, api.client


async def changes(client: httpx.AsyncClient, token: str) -> AsyncGenerator[dict[str, Any]]:
    async with client.stream("GET", f"/students/{STUDENT}/stream", headers=bearer(token)) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


async def all_closed(api: Api) -> None:
    """Every stream has given its place back."""
    async with asyncio.timeout(5):
        while api.engine.watching._open:
            await asyncio.sleep(0.02)


async def test_each_change_is_told_to_all_who_watch(live: Opened) -> None:
    api, client = live
    await api.learn(event("quiz", correct_answers=1))
    token = make_token("student", subject=STUDENT)
    watched = [changes(client, token) for _ in range(8)]  # more than the calls that may be under way at once
    first = [await anext(one) for one in watched]
    assert all(one["current_mastery"]["components"]["quiz"] == 0.1 for one in first)
    await api.learn(event("completion", completed_exercises=10))
    async with asyncio.timeout(5):
        then = [await anext(one) for one in watched]
    assert all(one["current_mastery"]["components"]["completion"] == 1.0 for one in then)
    for one in watched:
        await one.aclose()
    await all_closed(api)


async def test_only_those_who_may_read_may_watch(live: Opened) -> None:
    api, client = live
    await api.learn(event("quiz"))
    stranger = make_token("student", subject="someone")
    assert (await client.get(f"/students/{STUDENT}/stream", headers=bearer(stranger))).status_code == 403
    assert (await client.get("/students/nobody/stream", headers=bearer(make_token()))).status_code == 404
    assert (await client.get(f"/students/{STUDENT}/stream")).status_code == 401


async def test_heartbeats_and_the_cap(live: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    api, client = live
    await api.learn(event("quiz"))
    monkeypatch.setattr(watching, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(watching, "MOST_WATCHERS", 1)
    path, headers = f"/students/{STUDENT}/stream", bearer(make_token())
    async with client.stream("GET", path, headers=headers) as answer:
        async for line in answer.aiter_lines():
            if line == ": still here":
                break
        refused = await client.get(path, headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


async def test_a_caller_has_ten_streams_through_both_doors_and_others_go_on(live: Opened) -> None:
    api, client = live
    await api.learn(event("quiz"))
    stream, page = f"/students/{STUDENT}/stream", f"/dashboard/students/{STUDENT}/live"
    own = bearer(make_token("student", subject=STUDENT))
    cookie = {"Cookie": f"mastery_session={make_token('student', subject=STUDENT)}"}  # another token, the same caller
    async with AsyncExitStack() as stack:
        for path, headers in [(stream, own), (page, cookie)] * 5:
            opened = await stack.enter_async_context(client.stream("GET", path, headers=headers))
            assert opened.status_code == 200
        for path, headers in ((stream, own), (page, cookie), (f"/api/v1{stream}", own)):
            refused = await client.get(path, headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
            said = "Too many pages in a short time" if path == page else "You have 10 open streams"
            assert said in refused.text
        assert (await client.get(stream, headers=own)).json()["error"]["code"] == "RATE_LIMITED"
        same_name = bearer(make_token("teacher", subject=STUDENT, students=[STUDENT]))
        async with client.stream("GET", stream, headers=same_name) as answer:
            assert answer.status_code == 200
    await all_closed(api)
    async with client.stream("GET", stream, headers=own) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("sent", [0, 1])
async def test_a_client_that_leaves_before_the_first_change_gives_its_place_back(live: Opened, sent: int) -> None:
    """A disconnect after so many messages: before the head was sent, and between the head and the first change."""
    api, _ = live
    await api.learn(event("quiz"))
    engine, caller = api.engine, Caller("ada", "admin")
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)
        if len(messages) > sent:
            await asyncio.Event().wait()

    async def receive() -> Message:
        while len(messages) <= sent:
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    for _ in range(3):
        messages.clear()
        answer = EventStream(await engine.watching.watch(caller, STUDENT, partial(no_check, caller)))
        async with asyncio.timeout(5):
            await answer({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    assert not engine.watching._open
    assert b"mastery_streams_open 0.0" in engine.metrics.text(engine.clock())


async def no_check(caller: Caller) -> Caller:
    return caller


async def test_a_student_who_is_unknown_takes_no_place(live: Opened) -> None:
    api, client = live
    for _ in range(watching.MOST_OF_ONE_CALLER + 1):
        assert (await client.get("/students/nobody/stream", headers=bearer(make_token()))).status_code == 404
    assert not api.engine.watching._open


async def test_a_stream_ends_after_its_life(live: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    api, client = live
    await api.learn(event("quiz"))
    monkeypatch.setattr(watching, "LONGEST_S", 0.2)
    async with asyncio.timeout(5):
        assert len([one async for one in changes(client, make_token())]) == 1


async def test_a_stream_ends_with_its_token(live: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    api, client = live
    await api.learn(event("quiz"))
    monkeypatch.setattr(watching, "HEARTBEAT_S", 0.1)
    token = make_token("student", subject=STUDENT, lives_s=-58)  # clocks may differ by a minute: good for 2 s
    async with asyncio.timeout(10):
        assert len([one async for one in changes(client, token)]) == 1
    assert (await client.get(f"/students/{STUDENT}/stream", headers=bearer(token))).status_code == 401


async def test_a_page_s_stream_ends_with_its_token_too(live: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    api, client = live
    await api.learn(event("quiz"))
    monkeypatch.setattr(watching, "HEARTBEAT_S", 0.1)
    cookie = {"Cookie": f"mastery_session={make_token(lives_s=-58)}"}
    async with (
        asyncio.timeout(10),
        client.stream("GET", f"/dashboard/students/{STUDENT}/live", headers=cookie) as answer,
    ):
        assert answer.status_code == 200
        await answer.aread()


async def test_nobody_goes_on_watching_a_student_who_has_left_their_class(live: Opened) -> None:
    api, client = live
    await api.learn(event("quiz"))
    await api.call("PUT", "/cohorts/py-101", {"name": "Python", "members": [STUDENT]})
    watched = changes(client, make_token("teacher", cohorts=["py-101"]))
    await anext(watched)
    await api.call("PUT", "/cohorts/py-101", {"name": "Python", "members": []})
    await api.learn(event("completion"))
    async with asyncio.timeout(10):
        assert [one async for one in watched] == []


async def test_an_erased_student_s_stream_ends_and_the_others_go_on(live: Opened) -> None:
    api, client = live
    await api.learn(event("quiz"), event("quiz", student_id="other"))
    gone = changes(client, make_token())
    await anext(gone)
    path = "/students/other/stream"
    async with client.stream("GET", path, headers=bearer(make_token())) as answer, asyncio.timeout(10):
        lines = (line async for line in answer.aiter_lines() if line.startswith("data: "))
        await anext(lines)
        assert (await api.call("DELETE", f"/compliance/students/{STUDENT}")).status_code == 200
        assert [one async for one in gone] == []
        await api.learn(event("completion", student_id="other", completed_exercises=10))
        assert json.loads((await anext(lines))[6:])["current_mastery"]["components"]["completion"] == 1.0


async def test_who_opens_a_stream_beside_others_is_shown_what_holds_now(live: Opened) -> None:
    """Not what was last told to those who watch: since then profiling was withdrawn, which changes no document."""
    api, client = live
    await api.learn(event("quiz"))
    before = changes(client, make_token())
    assert (await anext(before))["current_mastery"]["recommendations"]
    answer = await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"profiling": False})
    assert answer.status_code == 200
    after = changes(client, make_token("student", subject=STUDENT))
    assert (await anext(after))["current_mastery"]["recommendations"] == []
    await api.learn(event("completion", completed_exercises=10))
    async with asyncio.timeout(5):
        told = [await anext(one) for one in (before, after)]
    assert told[0] == told[1]
    assert told[0]["current_mastery"]["recommendations"] == []
    for one in (before, after):
        await one.aclose()
    await all_closed(api)
