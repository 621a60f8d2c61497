"""What an agent is told: the list of tools, which every session pays for, in as few tokens as its meaning takes, and
what is wrong with a call's arguments.
"""

from inspect import cleandoc
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult, Tool
from pydantic import ValidationError

from mastery_engine.errors import InvalidInput
from mastery_engine.mcp.arguments import faults_in, in_words


class BriefServer(MCPServer):
    """Says of each field what it is, and not its name a second time; refuses arguments that are none."""

    async def list_tools(self) -> list[Tool]:
        return [_brief(tool) for tool in await super().list_tools()]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Raises ToolError with all faults of the arguments."""
        taken = next((tool.input_schema for tool in await super().list_tools() if tool.name == name), None)
        faults = None if taken is None else faults_in(arguments, taken.get("properties", {}), taken.get("required", ()))
        if faults is not None:
            raise ToolError(f"{InvalidInput.code}: {faults}")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(f"{InvalidInput.code}: {in_words(error.__cause__)}.") from error
            raise

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Raises MCPError for a prompt that there is not, and for what is wrong with its arguments' names."""
        prompts = {prompt.name: prompt.arguments or [] for prompt in await self.list_prompts()}
        if name not in prompts:
            raise MCPError(INVALID_PARAMS, f"There is no prompt {name[:100]!r}: there is {', '.join(prompts)}.")
        taken = prompts[name]
        faults = faults_in(arguments or {}, [one.name for one in taken], [one.name for one in taken if one.required])
        if faults is not None:
            raise MCPError(INVALID_PARAMS, faults)
        return await super().get_prompt(name, arguments, context)


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
