"""The versions of the protocol that clients speak today: from the first one on, over HTTP as it comes."""

from typing import Any

import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from tests.support.agents import agent
from tests.support.calls import STUDENT, Api, Json, event

ACCEPTED = {"Accept": "application/json, text/event-stream"}


async def said(api: Api, method: str, params: Json, version: str | None = None) -> Any:
    """The result of a call, as a client of this version makes it."""
    headers = ACCEPTED | ({"MCP-Protocol-Version": version} if version is not None else {})
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = await api.post("/mcp", body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def hello(version: str) -> Json:
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
async def test_a_client_of_an_older_version_is_answered_in_it(api: Api, version: str) -> None:
    await api.learn(event("quiz"))
    greeted = await said(api, "initialize", hello(version))
    assert (greeted["protocolVersion"], greeted["serverInfo"]["name"]) == (version, "mastery-engine")
    started = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    answer = await api.post("/mcp", started, headers=ACCEPTED | {"MCP-Protocol-Version": version})
    assert answer.status_code == 202
    # The first version had no header for it.
    for header in (version, None):
        tools = (await said(api, "tools/list", {}, header))["tools"]
        assert len(tools) == 18
        called = {"name": "get_mastery", "arguments": {"student_id": STUDENT}}
        found = await said(api, "tools/call", called, header)
        assert found.get("isError", False) is False
        assert f'"student_id":"{STUDENT}"' in found["content"][0]["text"]


async def test_a_version_that_nobody_knows_is_answered_by_the_newest_that_greets(api: Api) -> None:
    greeted = await said(api, "initialize", hello("2031-01-01"))
    assert greeted["protocolVersion"] == LATEST_HANDSHAKE_VERSION


async def test_the_official_client_speaks_the_newest_version(api: Api) -> None:
    async with agent(api) as client:
        assert client.protocol_version == LATEST_MODERN_VERSION
        assert len((await client.list_tools()).tools) == 18
