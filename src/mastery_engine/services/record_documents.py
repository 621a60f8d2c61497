"""Documents that others keep here: State, and profiles of agents and of activities (xAPI 1.0.3 Communication 2.2)."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.doors.xapi.agents import identity_of
from mastery_engine.errors import Conflict, Forbidden, MasteryError, NotFound, Unavailable
from mastery_engine.lrs.broken import Object, RuleBroken
from mastery_engine.lrs.documents import document_is_object, etag_of, is_json, merged
from mastery_engine.lrs.facets import Facets
from mastery_engine.lrs.people import agent_key
from mastery_engine.ports.record_documents import RecordDocument, RecordDocumentKey, RecordDocumentStore
from mastery_engine.services.audit import Audit
from mastery_engine.services.consents import Consents
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.record_store import LEFT_OUT, WITHHELD
from mastery_engine.services.statement_records import STUDENT

Resource: TypeAlias = Literal["state", "agent profile", "activity profile"]

MAX_ROUNDS = 20
GUARD = (
    "There is such a document already: send its ETag as If-Match to put another in its place, or If-None-Match: * to "
    "put one only where there is none."
)

_encode = msgspec.json.Encoder(order="deterministic").encode


class PreconditionFailed(MasteryError):
    """The document is not the one that If-Match or If-None-Match names."""

    code = "CONFLICT"


class Whose(msgspec.Struct, frozen=True):
    """Whose documents: an agent's in an activity, an agent's, or an activity's."""

    resource: Resource
    activity_id: str | None = None
    agent: Object | None = None


class Preconditions(msgspec.Struct, frozen=True):
    """What the headers If-Match and If-None-Match ask: ETags without quotes, or ``*``; None where there is none."""

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None

    @property
    def are_given(self) -> bool:
        return self.match is not None or self.none_match is not None

    def check(self, there: RecordDocument | None) -> None:
        """Raises PreconditionFailed."""
        etag = None if there is None else there.etag
        if self.match is not None and not (etag is not None and ("*" in self.match or etag in self.match)):
            raise PreconditionFailed("The document is not the one that If-Match names: read it again.")
        if self.none_match is not None and etag is not None and ("*" in self.none_match or etag in self.none_match):
            raise PreconditionFailed("There is a document already, which If-None-Match rules out.")


class RecordDocuments:
    """Reads and writes documents, whoever asks: the face checks who may."""

    def __init__(
        self,
        store: RecordDocumentStore | None,
        profiles: Profiles,
        consents: Consents,
        audit: Audit,
        clock: Clock,
        *,
        keeps: bool,
    ) -> None:
        """Without a ``store``, or where it ``keeps`` none, no documents are taken and given.

        What a store holds from before is exported and erased nevertheless.
        """
        self._store = store
        self._keeps = keeps
        self._profiles = profiles
        self._consents = consents
        self._audit = audit
        self._clock = clock

    def _kept(self) -> RecordDocumentStore:
        if self._store is None or not self._keeps:
            raise Forbidden(LEFT_OUT)
        return self._store

    async def load(self, caller: Caller, whose: Whose, name: str, registration: str = "") -> RecordDocument:
        """A document. Raises NotFound, Forbidden, Unavailable."""
        document = await self._kept().load(_key(caller.tenant, whose, name, registration))
        if document is None:
            raise NotFound("There is no such document.")
        return document

    async def names(
        self, caller: Caller, whose: Whose, *, registration: str | None = None, since: Micros | None = None
    ) -> tuple[list[str], Micros | None]:
        """The names of documents, and when the newest was changed. Raises Forbidden, Unavailable."""
        scope = _scope(caller.tenant, whose)
        found = await self._kept().names(caller.tenant, scope, registration=registration, since=since)
        return list(dict.fromkeys(key.name for key, _ in found)), max((updated for _, updated in found), default=None)

    async def put(
        self,
        caller: Caller,
        whose: Whose,
        name: str,
        registration: str,
        content: bytes,
        content_type: str,
        conditions: Preconditions,
        *,
        guarded: Literal["never", "over another", "always"],
    ) -> None:
        """Put a document in the place of any other; ``guarded`` says when a precondition must be given.

        Raises RuleBroken, PreconditionFailed, Conflict, Forbidden, Unavailable.
        """
        if is_json(content_type):
            _check_json(content)

        def change(there: RecordDocument | None) -> bytes:
            if guarded != "never" and not conditions.are_given:
                if there is not None:
                    raise Conflict(GUARD)
                if guarded == "always":
                    raise RuleBroken("precondition_is_given", "If-None-Match", "must be given to put a profile, as *")
            return content

        await self._save(caller, whose, name, registration, change, content_type, conditions)

    async def merge(
        self,
        caller: Caller,
        whose: Whose,
        name: str,
        registration: str,
        content: bytes,
        content_type: str,
        conditions: Preconditions,
    ) -> None:
        """Merge a JSON object into the one that is there; without one the document is put. Raises as ``put``."""
        if is_json(content_type):
            document_is_object(content, "The document")

        def change(there: RecordDocument | None) -> bytes:
            if there is None:
                return content
            if not (is_json(content_type) and is_json(there.content_type)):
                raise RuleBroken("documents_are_json", "Both documents", "must be of application/json to be merged")
            return merged(there.content, content)

        await self._save(caller, whose, name, registration, change, content_type, conditions)

    async def _save(
        self,
        caller: Caller,
        whose: Whose,
        name: str,
        registration: str,
        change: Callable[[RecordDocument | None], bytes],
        content_type: str,
        conditions: Preconditions,
    ) -> None:
        store, key = self._kept(), _key(caller.tenant, whose, name, registration)
        student_id = await self._checked_student(caller, whose)
        await self._audit.write(caller, f"xapi-{whose.resource.replace(' ', '-')}", [None])
        for _ in range(MAX_ROUNDS):
            there = await store.load(key)
            conditions.check(there)
            content = change(there)
            about = {"resource": whose.resource, "activityId": whose.activity_id, "agent": whose.agent}
            document = RecordDocument(
                content,
                content_type,
                etag_of(content),
                caller.moment(self._clock),
                _encode({what: value for what, value in about.items() if value is not None}),
                self._person(caller.tenant, whose),
            )
            if await store.save(key, document, over=None if there is None else there.etag):
                await self._remove_late(caller, key, document, student_id)
                return
        raise Unavailable("Others keep changing this document: try again.")

    def _person(self, tenant: str, whose: Whose) -> bytes:
        person = None if whose.agent is None else identity_of(whose.agent)
        return b"" if person is None else Facets(tenant).of(STUDENT, self._profiles.derived_id(tenant, person))

    async def _remove_late(
        self, caller: Caller, key: RecordDocumentKey, document: RecordDocument, student_id: str | None
    ) -> None:
        """Remove a document of a student who was erased since consent was read: the erasure may have looked before."""
        if student_id is not None:
            await self._consents.refresh()
            if self._consents.state(StudentKey(caller.tenant, student_id)).erased:
                await self._kept().save(key, None, over=document.etag)
                raise Forbidden(WITHHELD)

    async def _checked_student(self, caller: Caller, whose: Whose) -> str | None:
        """The student whom a document is about, if anybody. Raises Forbidden, Unavailable."""
        person = None if whose.agent is None else identity_of(whose.agent)
        if person is None:
            return None
        await self._consents.refresh_lately(caller.moment(self._clock))
        (student_id,) = await self._profiles.students_of(caller.tenant, [person])
        if not self._consents.state(StudentKey(caller.tenant, student_id)).processing:
            self._audit.note(caller, "xapi-documents", student_id, allowed=False)
            raise Forbidden(WITHHELD)
        return student_id

    async def remove(
        self, caller: Caller, whose: Whose, name: str, registration: str, conditions: Preconditions
    ) -> None:
        """Remove a document, if there is one. Raises PreconditionFailed, Forbidden, Unavailable."""
        store, key = self._kept(), _key(caller.tenant, whose, name, registration)
        await self._audit.write(caller, f"xapi-{whose.resource.replace(' ', '-')}", [None])
        for _ in range(MAX_ROUNDS):
            there = await store.load(key)
            conditions.check(there)
            if there is None or await store.save(key, None, over=there.etag):
                return
        raise Unavailable("Others keep changing this document: try again.")

    async def remove_all(self, caller: Caller, whose: Whose, registration: str | None) -> None:
        """Remove documents: those of a registration, or all. Raises Forbidden, Unavailable."""
        store = self._kept()
        await self._audit.write(caller, f"xapi-{whose.resource.replace(' ', '-')}", [None])
        await store.remove_all(caller.tenant, _scope(caller.tenant, whose), registration=registration)

    async def of_student(self, tenant: str, student_ids: Sequence[str]) -> list[tuple[str, str, RecordDocument]]:
        """The documents about a student: name, registration and document, by the ids that they have or had.

        Raises Unavailable.
        """
        return [(key.name, key.registration, one) for key, one in await self._about(tenant, student_ids)]

    async def _about(self, tenant: str, student_ids: Sequence[str]) -> list[tuple[RecordDocumentKey, RecordDocument]]:
        if self._store is None:
            return []
        people = [Facets(tenant).of(STUDENT, student_id) for student_id in student_ids]
        return [one for person in people for one in await self._store.of_person(tenant, person)]

    async def erase(self, tenant: str, student_ids: Sequence[str]) -> int:
        """Remove the documents about a student; how many there were. Raises Unavailable."""
        removed = 0
        while self._store is not None and (held := await self._about(tenant, student_ids)):
            for key, document in held:
                removed += await self._store.save(key, None, over=document.etag)
        return removed


def _check_json(content: bytes) -> None:
    try:
        msgspec.json.decode(content, type=Any)
    except (ValueError, RecursionError):
        raise RuleBroken("document_is_json", "The document", "must be JSON, as its Content-Type says") from None


def _scope(tenant: str, whose: Whose) -> bytes:
    agent = "" if whose.agent is None else agent_key(whose.agent) or ""
    return Facets(tenant).of(f"documents of {whose.resource}", f"{whose.activity_id or ''}\0{agent}")


def _key(tenant: str, whose: Whose, name: str, registration: str) -> RecordDocumentKey:
    return RecordDocumentKey(tenant, _scope(tenant, whose), name, registration)
