"""What the server's parser cannot read, by socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from mastery_engine.http.app import create_app
from mastery_engine.http.unreadable import Protocol
from mastery_engine.settings import Settings
from tests.support.live import SECRET


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    app = create_app(Settings(environment="test", data_dir=tmp_path, jwt_secret=SECRET))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, http=Protocol))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


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
