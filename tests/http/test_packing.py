"""Pages come by gzip to whoever takes it."""

import httpx
import pytest

from tests.support.calls import Api
from tests.support.live import make_token

COOKIE = {"Cookie": f"mastery_session={make_token(subject='ops')}"}


async def got(api: Api, path: str, accepted: str) -> httpx.Response:
    """The answer, unpacked, to whoever takes these codings."""
    answer = await api.client.get(path, headers={**COOKIE, "Accept-Encoding": accepted})
    assert (answer.status_code, int(answer.headers["content-length"])) == (200, answer.num_bytes_downloaded)
    return answer


@pytest.mark.parametrize("path", ["/dashboard/assets/style.css", "/dashboard/assets/live.js"])
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
