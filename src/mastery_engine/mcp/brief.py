"""A server with short tool descriptions, since every session pays for their tokens, and plain errors for arguments."""

import sys
from inspect import cleandoc
from io import TextIOWrapper
from typing import Any

from anyio import wrap_file
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult, Tool
from pydantic import ValidationError

from mastery_engine.errors import InvalidInput, NotFound
from mastery_engine.mcp.arguments import faults_in, in_words


class BriefServer(MCPServer):
    """Leaves generated titles out of the schemas, and refuses unknown arguments."""

    async def run_stdio_async(self) -> None:
        """Serve over stdin and stdout; a byte-order mark before the first line is passed over."""
        lines = wrap_file(TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="replace"))
        async with stdio_server(stdin=lines) as (messages, answers):
            server = self._lowlevel_server
            await server.run(messages, answers, server.create_initialization_options())

    async def list_tools(self) -> list[Tool]:
        return [_brief(tool) for tool in await super().list_tools()]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. Raises ToolError for an unknown tool, and with everything that is wrong with the arguments."""
        tools = {tool.name: tool.input_schema for tool in await super().list_tools()}
        if name not in tools:
            raise ToolError(f"{NotFound.code}: There is no tool {name[:100]!r}: the tools are {', '.join(tools)}.")
        taken = tools[name]
        required = taken.get("required", ())
        # null for what is optional means that it is left out
        arguments = {key: value for key, value in arguments.items() if value is not None or key in required}
        faults = faults_in(arguments, taken.get("properties", {}), required)
        if faults is not None:
            raise ToolError(f"{InvalidInput.code}: {faults}")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(f"{InvalidInput.code}: {in_words(error.__cause__)}.") from error
            if isinstance(error.__cause__, ToolError):  # without the words that the library sets before ours
                raise ToolError(str(error.__cause__)) from error.__cause__
            raise

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """The prompt. Raises MCPError for an unknown prompt, and for unknown or missing arguments."""
        prompts = {prompt.name: prompt.arguments or [] for prompt in await self.list_prompts()}
        if name not in prompts:
            raise MCPError(INVALID_PARAMS, f"There is no prompt {name[:100]!r}: the prompts are {', '.join(prompts)}.")
        taken = prompts[name]
        required = [argument.name for argument in taken if argument.required]
        faults = faults_in(arguments or {}, [argument.name for argument in taken], required)
        if faults is not None:
            raise MCPError(INVALID_PARAMS, faults)
        return await super().get_prompt(name, arguments, context)


def _brief(tool: Tool) -> Tool:
    answer = _without_what_only_validators_need(plain(tool.output_schema))
    answer.pop("description", None)  # the tool's own description is enough
    words = cleandoc(tool.description or "")
    return tool.model_copy(
        update={"description": words, "input_schema": plain(tool.input_schema), "output_schema": answer}
    )


def _without_what_only_validators_need(schema: Any) -> Any:
    """The schema of an answer without the lists of the fields that are always there: a reader sees them in it."""
    if isinstance(schema, list):
        return [_without_what_only_validators_need(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _without_what_only_validators_need(value)
        for name, value in schema.items()
        if name != "required" or not isinstance(value, list)
    }


def plain(schema: Any) -> Any:
    """A JSON schema without generated titles, and without null for optional fields, which are left out instead."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    brief = {name: value for name, value in schema.items() if name != "title" or not isinstance(value, str)}
    kinds = [kind for kind in brief.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del brief["anyOf"]
        brief = {**kinds[0], **brief}
    if brief.get("default", ...) is None:
        del brief["default"]
    return {name: plain(value) for name, value in brief.items()}
