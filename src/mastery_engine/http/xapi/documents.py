"""The State, Agent Profile and Activity Profile Resources (xAPI 1.0.3 Communication 2.2 to 2.7)."""

import re
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.http.envelope import JSON
from mastery_engine.http.xapi.call import XapiCall
from mastery_engine.http.xapi.statements import http_date
from mastery_engine.lrs.broken import RuleBroken
from mastery_engine.lrs.documents import etag_of
from mastery_engine.lrs.rules.agents import agent_is_identified
from mastery_engine.services.record_documents import Preconditions, Resource, Whose

NAME: dict[Resource, str] = {"state": "stateId", "agent profile": "profileId", "activity profile": "profileId"}
OWNER: dict[Resource, frozenset[str]] = {
    "state": frozenset(("activityId", "agent", "registration")),
    "agent profile": frozenset(("agent",)),
    "activity profile": frozenset(("activityId",)),
}
OCTETS = "application/octet-stream"
LONGEST_NAME = 1_000
_ETAG = re.compile(r'(?:W/)?"([^"]*)"|(\*)|([^\s,"]+)')

_encode = msgspec.json.Encoder().encode

Answer = Callable[[XapiCall], Awaitable[Response]]


class DocumentResource:
    """The calls of one of the three resources."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._name = NAME[resource]
        self._owner = OWNER[resource]

    def answers(self) -> dict[str, Answer]:
        """What answers which method."""
        return {"GET": self.get, "PUT": self.put, "POST": self.post, "DELETE": self.delete}

    async def get(self, call: XapiCall) -> Response:
        """A document, or the names of all that were changed ``since``."""
        whose, registration = self._whose(call, {self._name, "since"})
        since = call.moment("since")
        documents = call.engine.record_documents
        if self._name in call.parameters:
            document = await documents.load(call.caller, whose, self._named(call), registration or "")
            headers = {"ETag": f'"{document.etag}"', "Last-Modified": http_date(document.updated)}
            return Response(document.content, headers={**headers, "Content-Type": document.content_type})
        names, updated = await documents.names(call.caller, whose, registration=registration, since=since)
        body = _encode(names)
        headers = {"ETag": f'"{etag_of(body)}"'}
        if updated is not None:
            headers["Last-Modified"] = http_date(updated)
        return Response(body, headers=headers, media_type=JSON)

    async def put(self, call: XapiCall) -> Response:
        """Put a document: 2.0 asks for a precondition where there is one, and 1.0.3 always, but for State."""
        await call.engine.record_documents.put(*self._change(call), guarded=self._guarded(call))
        return Response(status_code=204)

    def _guarded(self, call: XapiCall) -> Literal["never", "over another", "always"]:
        """When a document is put with a precondition only."""
        if call.version == "2.0.0":
            return "over another"
        return "never" if self._resource == "state" else "always"

    async def post(self, call: XapiCall) -> Response:
        """Merge a document into the one that is there."""
        await call.engine.record_documents.merge(*self._change(call))
        return Response(status_code=204)

    def _change(self, call: XapiCall) -> tuple[Caller, Whose, str, str, bytes, str, Preconditions]:
        """What a call wants written: who, whose, the name and registration, the content and type, and on what terms."""
        whose, registration = self._whose(call, {self._name})
        name, conditions = self._named(call), _preconditions(call)
        return call.caller, whose, name, registration or "", call.body, call.content_type or OCTETS, conditions

    async def delete(self, call: XapiCall) -> Response:
        """Remove a document; of State all of an agent in an activity, where none is named."""
        whose, registration = self._whose(call, {self._name})
        documents = call.engine.record_documents
        if self._resource == "state" and self._name not in call.parameters:
            await documents.remove_all(call.caller, whose, registration)
        else:
            name = self._named(call)
            await documents.remove(call.caller, whose, name, registration or "", _preconditions(call))
        return Response(status_code=204)

    def _whose(self, call: XapiCall, beside: set[str]) -> tuple[Whose, str | None]:
        """Whose documents the parameters name, and the registration. Raises RuleBroken."""
        call.check_parameters(self._owner | beside)
        agent = None
        if "agent" in self._owner:
            agent = call.agent()
            agent_is_identified(agent, "agent")
        activity_id = call.iri("activityId") if "activityId" in self._owner else None
        return Whose(self._resource, activity_id, agent), call.uuid("registration")

    def _named(self, call: XapiCall) -> str:
        name = call.needed(self._name)
        if not 1 <= len(name) <= LONGEST_NAME:
            raise RuleBroken("document_is_named", self._name, f"must have 1 to {LONGEST_NAME} characters")
        return name


def _preconditions(call: XapiCall) -> Preconditions:
    return Preconditions(_etags(call, "if-match"), _etags(call, "if-none-match"))


def _etags(call: XapiCall, header: str) -> tuple[str, ...] | None:
    """The ETags of a header, without their quotes; some senders leave these out."""
    value = call.headers.get(header)
    if value is None:
        return None
    return tuple(quoted or star or bare for quoted, star, bare in _ETAG.findall(value))
