"""The files that are made, each with the imports that it needs."""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from scripts.client.document import ROWS
from scripts.client.methods import client_class
from scripts.client.operations import EVENT_FIELDS, answer_names, calls, event_names, reading, request_names
from scripts.client.types import docstring, named_words, ordered, struct

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clients" / "python" / "src" / "mastery_client"
MADE = "Made by `make contracts` from the OpenAPI document; don't edit."
STRUCT = "msgspec.Struct, frozen=True"


def used(text: str, names: Iterable[str]) -> list[str]:
    """Which of the names stand in a text."""
    return sorted(name for name in names if re.search(rf"\b{name}\b", text))


def imports(text: str, *, skip: str = "") -> str:
    """The imports that a text needs."""
    answers, events = answer_names()[1], event_names()
    places = {
        "answers": answers,
        "call": ["Call"],
        "events": [*events, "EventData", "LearningEvent"],
        "pages": ["Pages", "AsyncPages"],
        "requests": request_names(),
        "response": ["Response", "TableResponse", "RowList"],
        "sending": ["Sender", "AsyncSender"],
        "words": named_words().values(),
    }
    lines = []
    if "datetime." in text:
        lines.append("import datetime")
    abc = used(text, ["AsyncIterator", "Awaitable", "Iterator", "Mapping", "Sequence"])
    lines += [f"from collections.abc import {', '.join(abc)}"] if abc else []
    typed = used(text, ["Any", "TypeAlias"])
    lines += [f"from typing import {', '.join(typed)}"] if typed else []
    lines.append("")
    lines += ["import msgspec"] if "msgspec." in text else []
    unset = used(text, ["UNSET", "UnsetType"])
    lines += [f"from msgspec import {', '.join(unset)}"] if unset else []
    lines.append("")
    lines += ["from mastery_client import calls"] if "calls." in text else []
    for module, names in places.items():
        found = used(text, names) if module != skip else []
        if found:
            lines.append(f"from mastery_client.{module} import {', '.join(found)}")
    return "\n".join(lines)


def module(doc: str, body: str, *, skip: str = "") -> str:
    return f'"""{doc}\n\n{MADE}\n"""\n\n{imports(body, skip=skip)}\n\n\n{body}\n'


def words_file() -> str:
    literals = [f"    {name}: TypeAlias = Literal[{', '.join(map(repr, known))}]" for known, name in named()]
    opened = [f"    {name} = words({', '.join(map(repr, known))})" for known, name in named()]
    return "\n".join(
        [
            '"""Closed lists of words, literals for type checkers; a newer engine may say more.',
            "",
            MADE,
            '"""',
            "",
            "from typing import TYPE_CHECKING, Literal, TypeAlias",
            "",
            "from mastery_client.open_words import words",
            "",
            "if TYPE_CHECKING:",
            *literals,
            "else:",
            *opened,
            "",
        ]
    )


def named() -> list[tuple[tuple[str, ...], str]]:
    return sorted(named_words().items(), key=lambda one: one[1])


def answers_file() -> str:
    whole, names = answer_names()
    parts = []
    for name in ordered(names):
        base = "msgspec.Struct" if name not in whole else "TableResponse" if name in ROWS else "Response"
        parts.append(struct(name, base=base, sent=False))
    return module("What the engine answers.", "\n\n\n".join(parts), skip="answers")


def events_file() -> str:
    names = [name for name in event_names() if name not in answer_names()[1]]
    parts = [struct(name, base="msgspec.Struct", sent=True) for name in names]
    parts.append(f"EventData: TypeAlias = {' | '.join(event_names())}")
    fields = [f"    {name}: {kind}{'' if default is None else f' = {default}'}" for name, kind, default in EVENT_FIELDS]
    doc = docstring(
        "What a student did. ``event_type`` is the kind, ``data`` what belongs to it. ``event_id`` and ``timestamp`` "
        "(with a zone, or milliseconds since 1970) are made by the engine where they are left out."
    )
    parts.append("\n".join([f"class LearningEvent({STRUCT}, omit_defaults=True):", doc, "", *fields]))
    return module("Learning events, and the data of each kind.", "\n\n\n".join(parts), skip="events")


def requests_file() -> str:
    parts = [struct(name, base="msgspec.Struct", sent=True) for name in ordered(request_names())]
    doc = "What calls send. A field that is None is left out, so that it stays or is what the engine takes by default."
    return module(doc, "\n\n\n".join(parts), skip="requests")


def calls_file() -> str:
    lines = []
    for call in calls():
        reads = ", ".join(
            f"{status}: {reading(schema).replace('RowList[', 'list[', 1)}" for status, schema in call.answers.items()
        )
        more = [f"{{{reads}}}"] if reads else []
        more += [f"row={call.row}"] if call.row else []
        more += ["bare=True"] if call.bare and reads else []
        more += ["keyed=True"] if call.keyed else []
        more += ["repeats=True"] if call.repeats else []
        more += [f'accept="{call.accept}"'] if call.accept != "application/json" else []
        more += ['content_type="application/zip"'] if call.name == "import_roster" else []
        given = ", ".join([f'"{call.name}"', f'"{call.method}"', f'"{call.path}"', *more])
        lines.append(f"{call.name.upper()} = Call[{call.returns}]({given})")
    body = "\n".join(lines)
    return module("The calls of the engine, by the operation ids of its OpenAPI document.", body, skip="calls")


def methods_of(kind: str) -> str:
    """The methods of a client."""
    return module(f"The methods of the {kind} client.", client_class(sync=kind == "sync"))


def files() -> dict[str, str]:
    """All files that are made, formatted, by their names."""
    made = {
        "words.py": words_file(),
        "answers.py": answers_file(),
        "events.py": events_file(),
        "requests.py": requests_file(),
        "calls.py": calls_file(),
        "sync_calls.py": methods_of("sync"),
        "async_calls.py": methods_of("async"),
    }
    return {name: formatted(name, text) for name, text in made.items()}


def formatted(name: str, text: str) -> str:
    """A file as `make format` would write it."""
    path = str(PACKAGE / name)
    for words in (["check", "--fix", "--exit-zero", "--quiet"], ["format"]):
        command = [sys.executable, "-m", "ruff", *words, "--stdin-filename", path, "-"]
        text = subprocess.run(command, input=text, text=True, capture_output=True, check=True, cwd=ROOT).stdout
    return text
