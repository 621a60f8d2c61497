"""Statements as they are kept: read from a call, with all that the store sets of them but the time of storing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from cachetools import FIFOCache

from mastery_engine.auth.access import Caller
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.xapi.agents import identity_of
from mastery_engine.lrs.attached import attachments_of
from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.facets import Facets
from mastery_engine.lrs.parts import KnownParts, StatementPart
from mastery_engine.lrs.people import actors_of, others_of
from mastery_engine.lrs.reading import ReadStatement, statements_in
from mastery_engine.lrs.rules.values import Version
from mastery_engine.lrs.rules.verbs import VOIDED
from mastery_engine.lrs.sameness import content_digest, derived_id, digest_of
from mastery_engine.lrs.signatures import SIGNATURE
from mastery_engine.ports.statements import StatementRecord

AUTHORITY_HOME = "urn:mastery-engine:credentials"  # where it is not known at which address others see the service
FIRST_VERSION: Mapping[Version, str] = {"1.0.3": "1.0.0", "2.0.0": "2.0.0"}  # of statements that name none
STUDENT = "student"
MOST_PEOPLE = 20_000  # whose facets are cached, since computing one costs more
NOBODY = b""

_encode = msgspec.json.Encoder().encode


class StatementRecords:
    """Makes records of statements. It knows the parts that came lately, and whose facets people have."""

    def __init__(self, own_id: Callable[[str, Identity], str], home_page: str) -> None:
        """``own_id`` is the id that a person of a tenant has where no profile names them.

        ``home_page`` is the authorities': where callers have their names.
        """
        self._home_page = home_page
        self._own_id = own_id
        self._parts = KnownParts()
        self._whose: FIFOCache[tuple[str, str], bytes] = FIFOCache(MOST_PEOPLE)

    def forget(self) -> None:
        """Know no part any more: somebody was erased."""
        self._parts.forget()

    def read(self, body: bytes, version: Version, tenant: str) -> list[ReadStatement]:
        """The statements in a call's JSON. Raises RuleBroken."""
        return statements_in(body, version, tenant, self._parts)

    def of(
        self,
        caller: Caller,
        version: Version,
        statements: Sequence[ReadStatement],
        contents: Mapping[str, bytes],
        turn: int = 0,
    ) -> list[StatementRecord]:
        """The records of a call's statements; ``contents`` are the attachments' that came with it, by their hashes.

        Their authority is the caller, whatever was sent. ``turn`` is as in ``derived_id``.
        """
        who = {"objectType": "Agent", "account": {"homePage": self._home_page, "name": caller.subject}}
        authority = self._parts.part("authority", _encode(who), version, caller.tenant)
        return [self._record(caller.tenant, version, one, contents, authority, turn) for one in statements]

    def _record(
        self,
        tenant: str,
        version: Version,
        read: ReadStatement,
        contents: Mapping[str, bytes],
        authority: StatementPart,
        turn: int,
    ) -> StatementRecord:
        statement, parts = read.value, read.parts
        whole = {
            **statement,
            **{name: part.kept for name, part in parts.items()},
            "id": statement["id"].lower() if read.said is None else derived_id(read.said, tenant, turn),
            "version": statement.get("version", FIRST_VERSION[version]),
            "authority": authority.kept,
        }
        whole.pop("stored", None)
        if read.stamp:
            whole["timestamp"] = rfc3339(read.stamp)
        target = statement["object"]
        return StatementRecord(
            whole["id"],
            _encode(whole),
            digest_of({name: part.content for name, part in parts.items()}),
            read.stamp,
            tuple(self._facets(tenant, parts, authority)),
            target["id"].lower() if target.get("objectType") == "StatementRef" else None,
            statement["verb"]["id"] == VOIDED,
            _contents_of(statement, contents) if contents else (),
        )

    def _facets(self, tenant: str, parts: Mapping[str, StatementPart], authority: StatementPart) -> frozenset[bytes]:
        """What a statement is found by, and whose it is."""
        found = authority.facets.union(*[part.facets for part in parts.values()])
        whose = {self._facet_of(tenant, *one) for part in parts.values() for one in part.people}
        return found | whose - {NOBODY}

    def _facet_of(self, tenant: str, key: str, agent: Object) -> bytes:
        """The facet of whoever an agent is, by ``student_of``; ``NOBODY`` for nobody."""
        known = self._whose.get((tenant, key))
        if known is None:
            student_id = self.student_of(tenant, agent)
            known = NOBODY if student_id is None else Facets(tenant).of(STUDENT, student_id)
            self._whose[tenant, key] = known
        return known

    def student_of(self, tenant: str, agent: Object) -> str | None:
        """The id that whoever an agent is has here where no profile names them; None where it is nobody."""
        person = identity_of(agent)
        return None if person is None else self._own_id(tenant, person)

    def without_signature(self, tenant: str, statement: dict[str, Any], before: StatementRecord) -> StatementRecord:
        """What is left of a statement; a signature would be of the whole, and hold it."""
        attachments = [one for one in statement.pop("attachments", ()) if one["usageType"] != SIGNATURE]
        if attachments:
            statement["attachments"] = attachments
        hashes = {one["sha2"].lower() for one in attachments}
        return msgspec.structs.replace(
            before,
            body=_encode(statement),
            digest=content_digest(statement),
            facets=tuple(self._facets_left(tenant, statement)),
            contents=tuple(sha2 for sha2 in before.contents if sha2 in hashes),
        )

    def _facets_left(self, tenant: str, statement: Object) -> set[bytes]:
        """As ``_facets``, of a statement whose parts nobody else has."""
        facets = Facets(tenant)
        people = [self.student_of(tenant, agent) for agent in (*actors_of(statement), *others_of(statement))]
        whose = {facets.of(STUDENT, student_id) for student_id in people if student_id is not None}
        return facets.of_statement(statement) | whose


def _contents_of(statement: Object, contents: Mapping[str, bytes]) -> tuple[str, ...]:
    """The hashes of a statement's attachments whose contents came with it."""
    return tuple(sorted({one["sha2"].lower() for one in attachments_of(statement)} & contents.keys()))
