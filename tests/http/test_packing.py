"""Pages come by gzip to whoever takes it."""

import asyncio
import gzip
from pathlib import Path
from time import sleep
from typing import NoReturn

import anyio
import httpx
import pytest
from fastapi import Request

from mastery_engine.http.shared_document import SharedDocument
from tests.support.calls import Api
from tests.support.live import make_token

COOKIE = {"Cookie": f"mastery_session={make_token(subject='ops')}"}


async def got(api: Api, path: str, accepted: str) -> httpx.Response:
    """The answer, unpacked, to whoever takes these codings."""
    answer = await api.client.get(path, headers={**COOKIE, "Accept-Encoding": accepted})
    assert (answer.status_code, int(answer.headers["content-length"])) == (200, answer.num_bytes_downloaded)
    return answer


SHARED = ["/dashboard/assets/style.css", "/dashboard/assets/live.js", "/openapi.json", "/docs/swagger-ui-bundle.js"]


@pytest.mark.parametrize("path", SHARED)
async def test_what_is_packed_is_the_same(api: Api, path: str) -> None:
    plain, packed = await got(api, path, "identity"), await got(api, path, "br, GZIP;q=0.5")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert packed.num_bytes_downloaded < len(plain.content) * 0.6
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.000", "gzipped"])
async def test_who_does_not_take_gzip_gets_none(api: Api, accepted: str) -> None:
    answer = await got(api, "/dashboard", accepted)
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Language, Cookie, Accept-Encoding"
    assert answer.content.startswith(b"<!doctype html>")


async def test_a_small_answer_stays_as_it_is(api: Api) -> None:
    answer = await got(api, "/dashboard/assets/pages.js", "gzip")
    assert {"vary", "content-encoding"}.isdisjoint(answer.headers)


@pytest.mark.parametrize("path", SHARED)
async def test_what_is_the_same_for_everybody_is_packed_once_and_read_once(
    monkeypatch: pytest.MonkeyPatch, api: Api, path: str
) -> None:
    """Anybody may ask for it, without a token: each asking costs no more than its bytes."""
    await got(api, path, "gzip")

    def no_more(*_: object, **__: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(anyio, "open_file", no_more)
    monkeypatch.setattr(gzip, "compress", no_more)
    monkeypatch.setattr(Path, "read_bytes", no_more)
    for accepted in ("gzip", "identity"):
        assert (await api.client.get(path, headers={"Accept-Encoding": accepted})).status_code == 200


async def test_many_who_ask_at_once_wait_for_one_making() -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        sleep(0.05)
        return b"{}"

    document = SharedDocument(make, "application/json")
    asked = Request({"type": "http", "headers": []})
    answers = await asyncio.gather(*(document.answer(asked) for _ in range(50)))
    assert {answer.body for answer in answers} == {b"{}"}
    assert len(made) == 1
