"""What the server's parser cannot read, by socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.calls import listening


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    async with listening(tmp_path) as api:
        port = api.client.base_url.port
        assert port is not None
        yield port


@pytest.mark.parametrize("sent", [b"FOO /health HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n"])
async def test_what_is_no_request_is_answered_in_the_envelope(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(5):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert int(headers[b"content-length"]) == len(body)
    answer = json.loads(body)
    assert answer["error"]["code"] == "VALIDATION_ERROR"
    assert headers[b"x-request-id"].decode() == answer["meta"]["request_id"]
