"""The Statement Resource (xAPI 1.0.3 Communication 2.1; IEEE 9274.1.1, 4.1.6.1)."""

from collections.abc import Sequence
from email.utils import formatdate
from hashlib import sha256
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.http.envelope import JSON
from mastery_engine.http.middleware.body import MAX_BODY, too_large
from mastery_engine.http.xapi.call import XapiCall
from mastery_engine.lrs.broken import RuleBroken, shown
from mastery_engine.lrs.facets import Facets
from mastery_engine.lrs.formats import FORMATS, Format, canonical, ids_alone, preferred_languages
from mastery_engine.lrs.multipart import BodyPart, boundary_is_named, parts_of, written
from mastery_engine.lrs.people import agent_key
from mastery_engine.services.record_store import SentStatements, ShownStatement, StatementFilter

MULTIPART = "multipart/mixed"
WITHHELD = "X-Mastery-Withheld"  # the ids of statements that were not kept, since a student has not consented
MOST_AT_ONCE = 100
ONE = frozenset(("statementId", "voidedStatementId"))
SHAPE = frozenset(("format", "attachments"))
FILTERS = frozenset(
    (
        "agent",
        "verb",
        "activity",
        "registration",
        "related_activities",
        "related_agents",
        "since",
        "until",
        "limit",
        "ascending",
    )
)
CURSOR = "cursor"
GET = ONE | SHAPE | FILTERS | {CURSOR}
PUT = frozenset(("statementId",))

_encode = msgspec.json.Encoder().encode


async def put_statement(call: XapiCall) -> Response:
    """Store one statement under the id of the address."""
    call.check_parameters(PUT)
    call.needed("statementId")
    await call.engine.record_store.store(call.sender, _sent(call, call.uuid("statementId")))
    return Response(status_code=204)


async def post_statements(call: XapiCall) -> Response:
    """Store one statement, or many; the answer lists their ids."""
    call.check_parameters(frozenset())
    taken = await call.engine.record_store.store(call.sender, _sent(call))
    headers = {WITHHELD: ", ".join(taken.withheld[:MOST_AT_ONCE])} if taken.withheld else {}
    return Response(_encode(taken.ids), headers=headers, media_type=JSON)


def _sent(call: XapiCall, statement_id: str | None = None) -> SentStatements:
    kind = call.content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        if len(call.body) > MAX_BODY:
            raise too_large(MAX_BODY)
        return SentStatements(call.body, call.version, None, statement_id)
    if kind != MULTIPART:
        raise RuleBroken("content_type_is_known", "Content-Type", f"must be {JSON} or {MULTIPART}, not {shown(kind)}")
    first, *others = parts_of(call.body, boundary_is_named(call.content_type))
    if first.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise RuleBroken("first_part_is_json", "The first part", f"must have the Content-Type {JSON}")
    if len(first.content) > MAX_BODY:
        raise too_large(MAX_BODY)
    return SentStatements(first.content, call.version, others, statement_id)


async def get_statements(call: XapiCall) -> Response:
    """One statement by its id, or a page of those that the filters leave."""
    call.check_parameters(GET)
    given = [name for name in ONE if name in call.parameters]
    shape, attachments = _format(call), call.truth("attachments")
    if given:
        beside = call.parameters.keys() - SHAPE - set(given)
        if beside or len(given) > 1:
            others = ", ".join(sorted(beside or given[1:]))
            raise RuleBroken("one_needs_no_filter", given[0], f"may not stand beside {others}")
        statement_id = call.uuid(given[0]) or ""
        stored = await call.engine.record_store.statement(
            call.caller, statement_id, voided=given[0] == "voidedStatementId"
        )
        body = _written(stored, shape, call)
        headers = {"Last-Modified": http_date(stored.stored)}
        return await _answer(call, body, [stored], headers, attachments=attachments)
    asked = _filter(call)
    page = await call.engine.record_store.find(call.caller, asked)
    more = "" if page.after is None else _more(call, page.after)
    statements = b",".join([_written(stored, shape, call) for stored in page.statements])
    body = b'{"statements":[' + statements + b'],"more":' + _encode(more) + b"}"
    return await _answer(call, body, page.statements, {}, attachments=attachments)


def _format(call: XapiCall) -> Format:
    value = call.parameters.get("format", "exact")
    for known in FORMATS:
        if value == known:
            return known
    raise RuleBroken("format_is_known", "format", f"must be one of {', '.join(FORMATS)}, not {shown(value)}")


def _filter(call: XapiCall) -> StatementFilter:
    """What the parameters ask for; what leaves the fewest statements comes first."""
    facets = Facets(call.caller.tenant)
    every: list[tuple[bytes, ...]] = []
    registration = call.uuid("registration")
    if registration is not None:
        every.append((facets.of("registration", registration),))
    is_related = call.truth("related_agents")
    if "agent" in call.parameters:
        key = agent_key(call.agent())
        if key is None:
            raise RuleBroken("filter_names_somebody", "agent", "must have an identifier")
        every.append(_facets(facets, "agent", key, is_related=is_related))
    is_related = call.truth("related_activities")
    if "activity" in call.parameters:
        every.append(_facets(facets, "activity", call.iri("activity"), is_related=is_related))
    if "verb" in call.parameters:
        every.append((facets.of("verb", call.iri("verb")),))
    ascending, since, until = call.truth("ascending"), call.moment("since"), call.moment("until")
    after = _whole(call, CURSOR)
    if after is not None and ascending:
        since = after if since is None else max(since, after)
    elif after is not None:
        until = after - 1 if until is None else min(until, after - 1)
    return StatementFilter(tuple(every), since, until, _limit(call), ascending)


def _facets(facets: Facets, kind: str, value: str, *, is_related: bool) -> tuple[bytes, ...]:
    direct = facets.of(kind, value)
    return (direct, facets.of(f"related {kind}", value)) if is_related else (direct,)


def _limit(call: XapiCall) -> int:
    """How many statements a page has: at most as many as this store gives, which is what 0 asks for."""
    given = _whole(call, "limit") or 0
    return min(given or MOST_AT_ONCE, MOST_AT_ONCE)


def _whole(call: XapiCall, name: str) -> int | None:
    value = call.parameters.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise RuleBroken("parameter_is_whole", name, f"must be a whole number, 0 or more, not {shown(value)}")
    return int(value)


def _more(call: XapiCall, after: Micros) -> str:
    """Where the next page is: the same call, going on after the last statement of this one."""
    parameters = {name: value for name, value in call.parameters.items() if name != CURSOR}
    path = call.request.scope.get("root_path", "") + call.request.url.path
    return f"{path}?{urlencode({**parameters, CURSOR: after})}"


def _written(stored: ShownStatement, shape: Format, call: XapiCall) -> bytes:
    if shape == "exact":
        return stored.body
    statement = stored.decoded()
    if shape == "ids":
        return _encode(ids_alone(statement))
    return _encode(canonical(statement, preferred_languages(call.headers.get("accept-language", ""))))


async def _answer(
    call: XapiCall, body: bytes, statements: Sequence[ShownStatement], headers: dict[str, str], *, attachments: bool
) -> Response:
    """JSON, or with the contents of attachments ``multipart/mixed``."""
    if not attachments:
        return Response(body, headers=headers, media_type=JSON)
    contents = await call.engine.record_store.contents(call.caller, statements)
    types = {
        one["sha2"].lower(): one["contentType"]
        for stored in statements
        for one in stored.decoded().get("attachments", ())
    }
    parts = [BodyPart({"Content-Type": JSON}, body)]
    for sha2, content in contents.items():
        described = {
            "Content-Type": types.get(sha2, "application/octet-stream"),
            "Content-Transfer-Encoding": "binary",
            "X-Experience-API-Hash": sha2,
        }
        parts.append(BodyPart(described, content))
    # A hash of all that is framed is in none of it, but for chance that nobody can bring about.
    boundary = sha256(b"\0".join([part.content for part in parts])).hexdigest()
    return Response(written(parts, boundary), headers={**headers, "Content-Type": f"{MULTIPART}; boundary={boundary}"})


def http_date(at: Micros) -> str:
    """A moment as HTTP writes it (RFC 9110, 5.6.7)."""
    return formatdate(at / SECOND, usegmt=True)
