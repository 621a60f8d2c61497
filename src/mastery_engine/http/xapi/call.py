"""One call of xAPI: its version, who sends it, its parameters and its body, in either of the standard's syntaxes."""

import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from mastery_engine.auth.access import Caller
from mastery_engine.auth.credentials import PlatformCaller
from mastery_engine.engine import Engine
from mastery_engine.http.incoming import engine_of
from mastery_engine.http.senders import sender_of
from mastery_engine.lrs.broken import RuleBroken, shown
from mastery_engine.lrs.reading import json_of
from mastery_engine.lrs.rules.agents import actor_is_agent_or_group
from mastery_engine.lrs.rules.values import Version, iri_is_absolute, timestamp_is_iso8601, uuid_is_standard

FORM = "application/x-www-form-urlencoded"
VERSION_HEADER = "x-experience-api-version"
# What a form may hold beside parameters and content, as if it were in the headers (xAPI 1.0.3 Communication 1.3).
FORM_HEADERS = frozenset(
    (
        "authorization",
        VERSION_HEADER,
        "content-type",
        "content-length",
        "if-match",
        "if-none-match",
        "accept",
        "accept-language",
        "accept-encoding",
    )
)
_is_version = re.compile(r"(?P<kind>1\.0|2\.0)(\.[0-9]+)?", re.ASCII).fullmatch
TRUTH = {"true": True, "false": False}
MOST_FIELDS = 100


class XapiCall(msgspec.Struct, frozen=True):
    """A call that was read: ``headers`` and ``parameters`` may have come in a form."""

    request: Request
    version: Version
    method: str
    headers: Mapping[str, str]
    parameters: Mapping[str, str]
    body: bytes
    sender: PlatformCaller

    @property
    def engine(self) -> Engine:
        return engine_of(self.request)

    @property
    def caller(self) -> Caller:
        return self.sender.caller

    @classmethod
    async def read(cls, request: Request, usual: Version) -> Self:
        """Read a call; ``usual`` is the version of its address. Raises RuleBroken, and what ``sender_of`` raises."""
        headers: Mapping[str, str] = request.headers
        method = request.method
        parameters = _fields(request.scope["query_string"], "The address")
        body = b""
        is_old = version_named(headers.get(VERSION_HEADER), usual) == "1.0.3"
        if is_old and method == "POST" and "method" in parameters:
            method, headers, parameters, body = await _alternate(request, parameters)
        elif method in ("PUT", "POST"):
            body = await request.body()
        version = version_is_supported(headers.get(VERSION_HEADER))
        sender = await sender_of(request, "xapi", takes_bearer=False, authorization=headers.get("authorization", ""))
        return cls(request, version, method, headers, parameters, body, sender)

    def check_parameters(self, known: frozenset[str]) -> None:
        """A parameter that the resource does not know is refused; names are compared exactly."""
        unknown = next((name for name in self.parameters if name not in known), None)
        if unknown is not None:
            names = ", ".join(sorted(known)) or "none"
            raise RuleBroken("parameter_is_known", shown(unknown), f"is no parameter here: there are {names}")

    def needed(self, name: str) -> str:
        """A parameter that must be there. Raises RuleBroken."""
        if name not in self.parameters:
            raise RuleBroken("parameter_is_given", name, "must be given as a parameter")
        return self.parameters[name]

    def iri(self, name: str) -> str:
        return iri_is_absolute(self.needed(name), name)

    def uuid(self, name: str) -> str | None:
        return uuid_is_standard(self.parameters[name], name) if name in self.parameters else None

    def moment(self, name: str) -> int | None:
        return timestamp_is_iso8601(self.parameters[name], name) if name in self.parameters else None

    def truth(self, name: str) -> bool:
        """A parameter that is true or false; false where it is not there. Raises RuleBroken."""
        value = self.parameters.get(name, "false")
        if value not in TRUTH:
            raise RuleBroken("parameter_is_boolean", name, f"must be true or false, not {shown(value)}")
        return TRUTH[value]

    def agent(self, name: str = "agent") -> dict[str, Any]:
        """An agent or an identified group, which a parameter gives as JSON. Raises RuleBroken."""
        value: dict[str, Any] = json_of(self.needed(name).encode(), name)
        actor_is_agent_or_group(value, name)
        return value

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


def version_named(given: str | None, usual: Version) -> Version:
    """The version that a request names, as the newest of its kind; ``usual`` where it names none that there is."""
    found = _is_version(given or "")
    return usual if found is None else "1.0.3" if found["kind"] == "1.0" else "2.0.0"


def version_is_supported(given: str | None) -> Version:
    """A request names its version, 1.0.x or 2.0.x, at either address."""
    if _is_version(given or "") is None:
        raise RuleBroken(
            "version_is_supported", "X-Experience-API-Version", "must be 1.0.x or 2.0.x, as 1.0.3 or 2.0.0"
        )
    return version_named(given, "2.0.0")


def _fields(text: bytes, at: str) -> dict[str, str]:
    """The fields of an address or a form. Raises RuleBroken for one that comes twice, or is not UTF-8."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise RuleBroken("fields_are_encoded", at, "must be percent-encoded UTF-8, with few parameters") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise RuleBroken("parameter_is_single", at, "may give a parameter only once")
    return fields


async def _alternate(
    request: Request, parameters: dict[str, str]
) -> tuple[str, Mapping[str, str], dict[str, str], bytes]:
    """The method, headers, parameters and body of a call in a form (xAPI 1.0.3 Communication 1.3)."""
    if len(parameters) > 1:
        raise RuleBroken("form_has_all", "The address", "may have no parameter but method: the form has all others")
    form = _fields(await request.body(), "The form")
    headers = {name: value for name, value in request.headers.items() if name != "content-type"}
    headers |= {name.lower(): value for name, value in form.items() if name.lower() in FORM_HEADERS}
    method, content = parameters["method"], form.get("content")
    if method not in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        raise RuleBroken("method_is_known", "method", f"must be GET, PUT, POST or DELETE, not {shown(method)}")
    if method in ("PUT", "POST"):
        if content is None:
            raise RuleBroken("form_has_content", "The form", "must have the parameter content")
        headers.setdefault("content-type", "application/json")
    given = {name: value for name, value in form.items() if name != "content" and name.lower() not in FORM_HEADERS}
    return "GET" if method == "HEAD" else method, headers, given, (content or "").encode()
