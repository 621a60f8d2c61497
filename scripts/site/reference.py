"""The reference, as pages in Markdown, each made from the code: commands, settings, calls, events, tools, metrics."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.main import get_command

from mastery_engine.cli import app
from scripts.site.tools import tools

CONTRACTS = Path("specs/003-mastery-engine/contracts")
SHALLOW = "---\ntocdepth: 2\n---\n"  # hundreds of names: the search finds them, each page's navigation need not
METHODS = ("get", "put", "post", "delete", "head", "patch")


def reference(root: Path) -> Iterator[tuple[str, str]]:
    """Each page's name and text."""
    operations = (root / "docs" / "operations.md").read_text()
    yield "cli", _page("Commands", "Every command of `mastery-engine`, as `--help` has it.", _commands())
    yield "settings", _page("Settings", "Every environment variable that the engine reads.", _settings(operations))
    yield (
        "http",
        _page("HTTP calls", "Every call, from the OpenAPI document.", _calls(root / CONTRACTS / "openapi.json")),
    )
    yield "events", _page("Events", "Every kind of event, from its JSON schema.", _events(root / CONTRACTS / "events"))
    yield "mcp", _page("Tools for agents", "Every tool of the MCP server.", _tools())
    yield "metrics", _page("Metrics", "Every metric at `/metrics`.", _table_of(operations, "Metrics"))
    names = _client(root / "clients/python/src")
    yield "client", SHALLOW + _page("Python client by name", "Every public name of `mastery_client`.", names)


def _page(title: str, about: str, parts: Iterator[str]) -> str:
    return "\n\n".join([f"# {title}", about, *parts]) + "\n"


def _marked(text: str) -> str:
    """A docstring's text in Markdown."""
    return re.sub(r"``([^`]+)``", r"`\1`", text).strip()


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", r"\|")


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


# ---- commands


def _commands() -> Iterator[str]:
    for path, command in _leaves(get_command(app), "mastery-engine"):
        text, _, examples = _marked(command.help or "").partition("\b\n")
        yield f"## {path}"
        yield text.strip()
        shown = "\n".join(line.removeprefix("  ") for line in examples.splitlines()[1:])
        if shown.strip():
            yield f"```bash\n{shown}\n```"
        rows: list[tuple[object, ...]] = [_parameter(one) for one in command.params if one.name != "help"]
        if rows:
            yield _table(("argument or option", "meaning"), rows)


def _leaves(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _parameter(one: Any) -> tuple[object, ...]:
    name = ", ".join(one.opts) if one.param_type_name == "option" else (one.metavar or one.name.upper())
    return f"`{name}`", _marked(one.help or "")


# ---- settings, metrics: what they mean stands in operations.md, which tests hold against the code


def _settings(operations: str) -> Iterator[str]:
    from mastery_engine.settings import FIELD_OF, Settings

    for names, default, meaning in _rows(operations, "Settings"):
        listed = [name for name in re.findall(r"`([A-Z_]+)`", names) if name in FIELD_OF]
        defaults = [one.strip() for one in default.split(",", len(listed) - 1)] if default else []
        for place, name in enumerate(listed):
            given = defaults[place] if place < len(defaults) else ""
            yield f"## {name}"
            yield f"{_without_links(meaning)}."
            yield f"Takes {_takes(Settings.model_fields[FIELD_OF[name]].annotation)}. Default: {given or 'none'}."


WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path"}


def _takes(annotation: Any) -> str:
    """What a setting may be, in words."""
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    parts = [part for part in get_args(annotation) if part not in (type(None), ...)]
    if get_origin(annotation) is tuple:
        return "a list, with commas"
    return WORDS.get(annotation) or (_takes(parts[0]) if parts else "a text")


def _rows(text: str, heading: str) -> list[list[str]]:
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def _table_of(text: str, heading: str) -> Iterator[str]:
    for name, labels, meaning in _rows(text, heading):
        yield f"## {name.strip('`')}"
        yield _without_links(meaning)
        if labels:
            yield f"Labels: {labels}."


def _without_links(text: str) -> str:
    """A text that stood in another folder: its links would lead nowhere from here."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)


# ---- calls


def _calls(path: Path) -> Iterator[str]:
    document = json.loads(path.read_text())
    for address, operations in document["paths"].items():
        for method, call in operations.items():
            if method in METHODS:
                yield from _call(document, f"{method.upper()} {address}", call)


def _call(document: dict[str, Any], name: str, call: dict[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield _marked(call.get("description") or call.get("summary", ""))
    yield f"Operation id: `{call.get('operationId', '')}`. Limit: {call.get('x-rate-limit', 'none')}."
    parameters = [
        (f"`{one['name']}`", one["in"], _marked(one.get("description", "")))
        for one in (_resolved(document, one) for one in call.get("parameters", ()))
    ]
    if parameters:
        yield _table(("parameter", "in", "meaning"), list(parameters))
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        yield from _fields(document, _resolved(document, body))
    answers = [
        (code, _marked(_resolved(document, one).get("description", "")))
        for code, one in call.get("responses", {}).items()
    ]
    yield _table(("status", "answer"), list(answers))


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    rows = [
        (
            f"`{name}`",
            _kind(field),
            "yes" if name in schema.get("required", ()) else "",
            _marked(_about(document, field)),
        )
        for name, field in schema.get("properties", {}).items()
    ]
    if rows:
        yield _table(("field", "type", "required", "meaning"), list(rows))


def _about(document: dict[str, Any], field: dict[str, Any]) -> str:
    return str(field.get("description") or _resolved(document, field).get("description", ""))


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    for several in ("anyOf", "oneOf", "allOf"):
        if several in field:
            return " or ".join(dict.fromkeys(_kind(one) for one in field[several]))
    kind = field.get("type", field.get("const", "any"))
    return f"list of {_kind(field.get('items', {}))}" if kind == "array" else str(kind)


# ---- events


def _events(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.json")):
        schema = json.loads(path.read_text())
        yield f"## {path.stem}"
        yield _marked(schema.get("description", schema.get("title", "")))
        yield from _fields(schema, schema)
        data = _resolved(schema, schema.get("properties", {}).get("data", {}))
        if data.get("properties"):
            yield "`data`:"
            yield from _fields(schema, data)


# ---- tools


def _tools() -> Iterator[str]:
    for tool in tools():
        yield f"## {tool.name}"
        yield _marked(tool.description or "")
        yield from _fields(tool.input_schema, tool.input_schema)


# ---- the client


def _client(source: Path) -> Iterator[str]:
    for path in sorted(source.glob("mastery_client/*.py")):
        module = ast.parse(path.read_text())
        shown = [one for one in module.body if isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name[0] != "_"]
        if not shown:
            continue
        yield f"## mastery_client.{path.stem}"
        yield _prose(ast.get_docstring(module) or "")
        for one in shown:
            yield from _defined(one)


def _defined(one: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, within: str = "") -> Iterator[str]:
    name = f"{within}{one.name}"
    yield f"### {name}"
    if not isinstance(one, ast.ClassDef):
        yield f"```python\n{ast.unparse(_head(one))}\n```"
    yield _prose(ast.get_docstring(one) or "")
    for part in one.body if isinstance(one, ast.ClassDef) else ():
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.name[0] != "_":
            yield from _defined(part, f"{name}.")


def _head(one: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    return type(one)(
        name=one.name,
        args=one.args,
        body=[ast.Expr(ast.Constant(...))],
        decorator_list=[],
        returns=one.returns,
        lineno=0,
        col_offset=0,
    )


def _prose(text: str) -> str:
    """A docstring, whose examples are code."""
    marked = _marked(text)
    return re.sub(
        r"((?:^>>> .*\n?)+)", lambda found: f"```python\n{found[1].rstrip()}\n```\n", marked, flags=re.MULTILINE
    )
