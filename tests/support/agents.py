"""An agent: the official client of MCP, over HTTP, on the service in this process."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent, TextResourceContents

from tests.support.calls import Api, with_state
from tests.support.live import bearer, make_token


@asynccontextmanager
async def agent(api: Api, token: str | None = None) -> AsyncIterator[Client]:
    """The client over HTTP."""
    transport = httpx2.ASGITransport(with_state(api.app, api.state))
    async with (
        httpx2.AsyncClient(transport=transport, headers=bearer(token or make_token())) as http,
        Client(streamable_http_client("http://test/mcp", http_client=http)) as client,
    ):
        yield client


def text_of(content: object) -> str:
    assert isinstance(content, TextContent | TextResourceContents)
    return content.text


async def ask(client: Client, tool: str, **arguments: Any) -> Any:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    assert json.loads(text_of(answer.content[0])) == answer.structured_content
    return answer.structured_content


async def failure(client: Client, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    return text_of(answer.content[0])
