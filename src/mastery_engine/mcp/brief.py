"""The list of tools, which every session of an agent pays for, in as few tokens as its meaning takes."""

from inspect import cleandoc
from typing import Any

from mcp.server import MCPServer
from mcp.types import Tool


class BriefServer(MCPServer):
    """Says of each field what it is, and not its name a second time."""

    async def list_tools(self) -> list[Tool]:
        return [_brief(tool) for tool in await super().list_tools()]


def _brief(tool: Tool) -> Tool:
    answer = plain(tool.output_schema)
    answer.pop("description", None)  # the tool's own says it
    words = cleandoc(tool.description or "")
    return tool.model_copy(
        update={"description": words, "input_schema": plain(tool.input_schema), "output_schema": answer}
    )


def plain(schema: Any) -> Any:
    """A JSON schema without generated titles, and without null for what is left out where it is nothing."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name != "title" or not isinstance(value, str)}
    kinds = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) == 1:
        del kept["anyOf"]
        kept = {**kinds[0], **kept}
    if kept.get("default", ...) is None:
        del kept["default"]
    return {name: plain(value) for name, value in kept.items()}
