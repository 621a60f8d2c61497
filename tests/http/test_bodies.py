"""Bodies: slow ones, packed ones, and what they keep from others."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from mastery_engine.errors import Busy, InvalidInput, TooLarge
from mastery_engine.http.middleware import body as bodies
from mastery_engine.http.middleware.body import MAX_BODY, Place, Places, receive_body, unpacked
from mastery_engine.http.problems import BodyLate
from tests.support.calls import COMPONENTS, STUDENT, Api, event, listening, serving

CALCULATE = json.dumps({"student_id": STUDENT, "components": COMPONENTS}).encode()
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


async def dripping(body: bytes, pause_s: float) -> AsyncIterator[bytes]:
    for number in range(len(body)):
        yield body[number : number + 1]
        await asyncio.sleep(pause_s)


async def test_bodies_that_come_slowly_take_no_places(tmp_path: Path) -> None:
    """Two calls may be under way at once; ten bodies come slowly, with and without a token, and calls go on."""
    async with listening(tmp_path, max_concurrent_requests=2) as api:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        slow = [
            asyncio.create_task(api.post(path, content=dripping(CALCULATE, 0.02), headers=headers, token=token))
            for path, headers, token in [
                ("/mastery/calculate", {}, None),
                ("/mastery/ingest", {}, None),
                ("/mcp", {"Accept": "application/json, text/event-stream"}, None),
                ("/dashboard", form, ""),
                ("/process", {}, ""),
            ]
            for _ in range(2)
        ]
        await asyncio.sleep(0.3)
        for _ in range(10):
            assert (await api.post("/mastery/query", {"student_id": STUDENT})).status_code == 404
        assert sum(not task.done() for task in slow) >= 6
        answers = await asyncio.gather(*slow)  # where three are there at once, one finds no place
        assert {answer.status_code for answer in answers} <= {200, 202, 400, 401, 403, 503}


class Link:
    """A link that gives a body in parts of so many bytes, a pause between them; the clock is the loop's own."""

    def __init__(self, *pauses_and_bytes: tuple[float, int], ends: bool = True) -> None:
        self._parts = list(pauses_and_bytes)
        self._ends = ends

    async def receive(self) -> Message:
        if not self._parts:
            await asyncio.sleep(3_600)
        pause, size = self._parts.pop(0)
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": bytes(size), "more_body": bool(self._parts) or not self._ends}


async def taken(link: Link, places: Places | None = None, headers: dict[str, str] | None = None) -> int:
    """The size of the body that comes over a link."""
    scope: dict[str, Any] = {"type": "http", "headers": Headers(headers or {}).raw}
    place = Place(places or Places(1), is_counted=True)
    place.take()
    receive, size = receive_body(scope, link.receive, place), 0
    while True:
        message = await receive()
        size += len(message["body"])
        if not message["more_body"]:
            return size


@pytest.fixture
def hundredfold(monkeypatch: pytest.MonkeyPatch) -> None:
    """All patience a hundredth, all rates a hundredfold."""
    for name in ("FIRST_S", "MOST_AHEAD_S", "LONGEST_S"):
        monkeypatch.setattr(bodies, name, getattr(bodies, name) / 100)
    monkeypatch.setattr(bodies, "LEAST_BYTES_PER_S", bodies.LEAST_BYTES_PER_S * 100)


@pytest.mark.usefixtures("hundredfold")
async def test_a_legal_batch_over_a_slow_link_arrives() -> None:
    """200 KB at 30 KB/s, in parts of 3 KB: it takes longer than the patience for a first byte."""
    assert await taken(Link(*[(0.001, 3_000)] * 67)) == 201_000
    assert await taken(Link((0.0, 600_000), (0.1, 1))) == 600_001


@pytest.mark.usefixtures("hundredfold")
@pytest.mark.parametrize(
    "link",
    [
        Link(),  # nothing at all
        Link((0.0, 10), ends=False),  # it begins, and stops
        Link((0.0, 900_000), ends=False),  # it comes quickly, and stops: what it brought buys 15 s, and not 15 min
        Link(*[(0.02, 10)] * 50),  # it drips
    ],
)
async def test_a_body_that_comes_too_slowly_is_late(link: Link) -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(BodyLate, match="1024|102400"):
        await taken(link)
    assert asyncio.get_running_loop().time() - started < 2


async def test_no_body_takes_longer_than_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LONGEST_S", 0.3)
    with pytest.raises(BodyLate, match="did not arrive within"):
        await taken(Link(*[(0.01, 10_000)] * 90))


async def test_a_body_that_has_arrived_needs_a_place_again() -> None:
    places = Places(1)
    waiting = asyncio.create_task(taken(Link((0.05, 1), (0.05, 1)), places))
    await asyncio.sleep(0.02)
    other = Place(places, is_counted=True)
    other.take()
    with pytest.raises(Busy):
        await waiting
    other.leave()
    other.leave()
    assert places.taken == 0
    assert await taken(Link((0.0, 1)), places) == 1


async def test_gzip_is_unpacked_at_every_door(api: Api) -> None:
    answer = await api.post("/mastery/calculate", content=gzip.compress(CALCULATE, mtime=0), headers=GZIP)
    assert answer.status_code == 200
    rows = {"events": [event() for _ in range(200)]}
    packed = gzip.compress(json.dumps(rows).encode())
    assert (await api.data("/mastery/ingest/batch", {}, content=packed, headers=GZIP))["accepted"] == 200
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    more = {"Accept": "application/json, text/event-stream", **GZIP}
    answer = await api.post("/mcp", content=gzip.compress(json.dumps(call).encode()), headers=more)
    assert answer.json()["result"]["tools"]
    for name in ("x-gzip", "GZIP", "identity", ""):
        body = CALCULATE if name in ("identity", "") else gzip.compress(CALCULATE, mtime=0)
        answer = await api.post("/mastery/calculate", content=body, headers={"Content-Encoding": name})
        assert answer.status_code == 200, name


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", "gzip;q=1", "none"])
async def test_other_encodings_are_refused(api: Api, encoding: str) -> None:
    answer = await api.post("/mastery/calculate", content=CALCULATE, headers={"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert "gzip" in answer.json()["error"]["message"]


async def test_what_is_not_gzip_and_what_is_and_does_not_say_so_are_named(api: Api) -> None:
    for body, headers, words in [
        (CALCULATE, GZIP, "is not gzip, as its Content-Encoding says"),
        (gzip.compress(CALCULATE, mtime=0)[:-9], GZIP, "ends too early"),
        (gzip.compress(CALCULATE, mtime=0) + b"more", GZIP, "is not gzip"),
        (gzip.compress(CALCULATE, mtime=0), {}, "Content-Encoding: gzip"),
    ]:
        answer = await api.post("/mastery/calculate", content=body, headers=headers)
        assert answer.status_code == 400, answer.text
        assert words in answer.json()["error"]["message"]


def test_a_small_body_that_unpacks_to_a_large_one_is_too_large() -> None:
    assert unpacked(gzip.compress(bytes(MAX_BODY), mtime=0)) == bytes(MAX_BODY)
    assert unpacked(gzip.compress(b"ab", mtime=0) + gzip.compress(b"cd")) == b"abcd"
    assert unpacked(b"") == b""
    for packed in bombs():
        assert len(packed) < MAX_BODY
        with pytest.raises(TooLarge, match="more than the 1,048,576 bytes"):
            unpacked(packed)
    with pytest.raises(InvalidInput):
        unpacked(b"\x1f\x8b")
    with pytest.raises(InvalidInput, match="100 members"):
        unpacked(gzip.compress(b"", 1, mtime=0) * 50_000)  # it took seconds, in which nobody else was answered


def bombs() -> Iterator[bytes]:
    yield gzip.compress(bytes(100 * MAX_BODY), mtime=0)
    yield gzip.compress(bytes(MAX_BODY), mtime=0) + gzip.compress(b"a")
    yield gzip.compress(b"a", mtime=0) * 90 + gzip.compress(bytes(MAX_BODY))


async def test_a_body_over_the_limit_is_refused_packed_or_not(api: Api) -> None:
    too_large = b" " * MAX_BODY + CALCULATE
    for body, headers in [(too_large, {}), (gzip.compress(too_large, mtime=0), GZIP)]:
        answer = await api.post("/mastery/calculate", content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "form",
    [
        b"token=" + b"%41" * 6_000,
        b"a=b&" * 5_000,
        gzip.compress(b"token=" + b"a" * 20_000, mtime=0),
        gzip.compress(b"", 1, mtime=0) * 5_000,
    ],
)
async def test_a_form_of_nobody_is_small(api: Api, form: bytes) -> None:
    """It needs no token, so it is unpacked for whoever sends it: a MiB of it stopped the process for a second."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | (GZIP if form[:2] == b"\x1f\x8b" else {})
    answer = await api.post("/dashboard", content=form, headers=headers, token="")
    assert answer.status_code == 413
    many = await api.post("/dashboard", content=b"a=b&" * 20, headers=headers | {"Content-Encoding": ""}, token="")
    assert many.status_code == 400
    assert "The address or the form is not right." in many.text


async def test_all_bodies_together_hold_a_bounded_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_HELD", 1_000_000)
    places = Places(10)
    first = Place(places, is_counted=True)
    first.hold(900_000)
    with pytest.raises(Busy, match="large bodies"):
        await taken(Link((0.0, 100_000), (0.0, 100_000)), places)
    first.end()
    assert places.held == 100_000 * 2  # of the call that was refused: it lets go at its end
    assert await taken(Link((0.0, 100_000)), places) == 100_000


async def test_a_call_lets_go_of_its_body(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_HELD", 3 * len(CALCULATE))
    for _ in range(20):
        assert (await api.post("/mastery/calculate", content=CALCULATE)).status_code == 200
