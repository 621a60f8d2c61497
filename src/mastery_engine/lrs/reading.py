"""Reading statements from the JSON of a call: each is valid, or the call is refused with the rule and the place."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.domain.json_text import without_mark
from mastery_engine.domain.moments import Micros
from mastery_engine.lrs.broken import Object, RuleBroken, has
from mastery_engine.lrs.parts import CHECKS, KnownParts, StatementPart
from mastery_engine.lrs.rules.activities import is_activity
from mastery_engine.lrs.rules.contexts import context_is_formed
from mastery_engine.lrs.rules.statements import statement_is_valid, voiding_refers_to_statement
from mastery_engine.lrs.rules.values import Version, timestamp_is_iso8601, uuid_is_standard, version_is_known

_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]]).decode
_decode_text = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class ReadStatement(msgspec.Struct, frozen=True, gc=False):
    """A valid statement: as an object, which shares its parts with others and is not to be changed, and its parts.

    Its authority is none of them, since the store sets another. ``stamp`` is its own time, 0 where it has none, and
    ``said`` what its id is made of, None where it has one.
    """

    value: dict[str, Any]
    parts: Mapping[str, StatementPart]
    stamp: Micros
    said: Mapping[str, Any] | None

    @property
    def subjects(self) -> list[tuple[str, Object]]:
        """Whom it is about, each behind their key."""
        return [one for part in self.parts.values() for one in part.subjects]


def json_of(body: bytes, at: str) -> Any:
    """What JSON says. Raises RuleBroken."""
    try:
        return msgspec.json.decode(without_mark(body))
    except RecursionError:
        raise RuleBroken("json_is_shallow", at, "must be JSON that is not nested so deeply") from None
    except ValueError:
        raise RuleBroken("json_is_formed", at, "must be JSON (RFC 8259) in UTF-8") from None


def statements_in(body: bytes, version: Version, tenant: str, known: KnownParts) -> list[ReadStatement]:
    """The statements of a call: one, or a list. Raises RuleBroken for the first that is not as it must be."""
    try:
        given = _decode_parts(without_mark(body))
        statements = given if isinstance(given, list) else [given]
        return [_read(one, version, tenant, known) for one in statements]
    except (RuleBroken, ValueError, RecursionError):
        _refuse(body, version)
        raise


def statement_under(statement_id: str, body: bytes, version: Version, tenant: str) -> list[ReadStatement]:
    """The one statement of a call, which has the id of the call's address. Raises RuleBroken."""
    value = json_of(body, "The body")
    statement = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(statement, dict):
        raise RuleBroken("one_is_put", "The body", "must be one statement")
    if str(statement.get("id", statement_id)).lower() != statement_id:
        message = "must be the statementId of the address, or be left out"
        raise RuleBroken("id_is_that_of_address", "statement.id", message)
    return statements_in(_encode({**statement, "id": statement_id}), version, tenant, KnownParts())


def number_in(body: bytes) -> int:
    """How many statements a call has; none where it is no JSON."""
    try:
        value = json_of(body, "The body")
    except RuleBroken:
        return 0
    return len(value) if isinstance(value, list) else 1


def place(number: int, statements: Sequence[object]) -> str:
    """Where a statement stands in its call."""
    return "statement" if len(statements) == 1 else f"statements[{number}]"


def _refuse(body: bytes, version: Version) -> None:
    """Raise what is wrong with a call: the first rule that it breaks, and where."""
    value = json_of(body, "The body")
    statements = value if isinstance(value, list) else [value]
    for number, one in enumerate(statements):
        statement_is_valid(one, version, place(number, statements))


def _read(given: Mapping[str, msgspec.Raw], version: Version, tenant: str, known: KnownParts) -> ReadStatement:
    """As ``statement_is_valid``, by parts. Raises RuleBroken, without the place, and what the decoder raises."""
    value: dict[str, Any] = {}
    parts: dict[str, StatementPart] = {}
    stamp = 0
    for name, raw in given.items():
        if name in CHECKS:
            part = known.part(name, bytes(raw), version, tenant)
            value[name] = part.value
            if name != "authority":
                parts[name] = part
        else:
            value[name] = text = _decode_text(raw)
            stamp = _checked(name, text, version) or stamp
    for name in ("actor", "verb", "object"):
        has(value, name, "statement")
    if "context" in value and not is_activity(value["object"]):
        context_is_formed(value["context"], "context", of=value, version=version)
    voiding_refers_to_statement(value, "statement")
    said = None if "id" in value else {**value, **{name: part.said for name, part in parts.items()}}
    return ReadStatement(value, parts, stamp, said)


def _checked(name: str, value: Any, version: Version) -> Micros:
    """The time that a member is, if it is the statement's own; 0 for another one. Raises RuleBroken."""
    if name == "timestamp":
        return timestamp_is_iso8601(value, name)
    if name == "id":
        uuid_is_standard(value, name)
    elif name == "version":
        version_is_known(value, name, version)
    elif name == "stored":
        timestamp_is_iso8601(value, name)
    else:
        raise RuleBroken("has_only", "statement", "may not have such a property")
    return 0
