"""The learning record store: statements of xAPI as they were sent, found by what the standard says."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.auth.credentials import PlatformCaller
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.student import StudentKey
from mastery_engine.doors.drafts import Translation
from mastery_engine.doors.xapi.agents import identity_of
from mastery_engine.errors import Conflict, Forbidden, NotFound
from mastery_engine.lrs.attached import contents_are_as_described, contents_are_sent_or_linked
from mastery_engine.lrs.broken import Object, RuleBroken
from mastery_engine.lrs.facets import Facets, activities_of
from mastery_engine.lrs.formats import merged_definition
from mastery_engine.lrs.multipart import BodyPart
from mastery_engine.lrs.people import actors_of, agent_key, others_of, with_people
from mastery_engine.lrs.reading import ReadStatement, number_in, place, statement_under
from mastery_engine.lrs.rules.values import Version
from mastery_engine.lrs.signatures import signatures_are_of_statement
from mastery_engine.ports.statements import (
    StatementOutcome,
    StatementQuery,
    StatementRecord,
    StatementStore,
    StoredStatement,
)
from mastery_engine.services.audit import Audit
from mastery_engine.services.consents import Consents
from mastery_engine.services.doorways import Doorways
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.statement_records import STUDENT, StatementRecords

LOOKED_AT = 100  # newest statements that say what an activity is, or how somebody is called
ERASED_AT_ONCE = 500
LOADED_AT_ONCE = 25
MOST_ROUNDS = 10
MOST_TURNS = 20  # statements of one content that are voided one after the other
LARGEST_PAGE = 4 * 1024 * 1024  # bytes after which a page ends early
SOMEBODY_ELSE: Object = {"objectType": "Agent", "name": "somebody else"}
LEFT_OUT = (
    "This deployment keeps no statements: it takes what they say as evidence, and gives none back "
    "(XAPI_STATEMENTS=forward)."
)
WITHHELD = (
    "A student in each of these statements has not consented to processing: nothing was stored. Record their consent "
    "first, by PUT /compliance/students/{student_id}/consent."
)
WITHHELD_HERE = "A student in the statement has not consented to processing."

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class SentStatements(msgspec.Struct, frozen=True):
    """Statements as they were sent in one call, by JSON or with attachments; ``parts`` is None without any.

    With a ``statement_id`` it is one statement under that id.
    """

    body: bytes
    version: Version
    parts: Sequence[BodyPart] | None = None
    statement_id: str | None = None


class PeopleOfCall(NamedTuple):
    """The students of a call's people; the places of the statements about somebody who does not allow processing.

    ``gone`` are the keys of agents who withdrew or were erased: as an instructor, say, they are taken out of what is
    about others. Who has said nothing where CONSENT_DEFAULT is withheld stays there: a teacher is no student.
    ``refused`` are the students who do not allow processing.
    """

    students: dict[Identity, str]
    withheld: Collection[int] = ()
    gone: Collection[str] = frozenset()
    refused: Collection[str] = frozenset()


class TakenStatements(NamedTuple):
    """The ids of a call's statements, in their order, and which of them were not kept for want of consent."""

    ids: list[str]
    withheld: list[str]


class StatementFilter(msgspec.Struct, frozen=True):
    """What a caller asks for; see ``StatementQuery``."""

    every: tuple[tuple[bytes, ...], ...]
    since: Micros | None
    until: Micros | None
    limit: int
    ascending: bool


class ShownStatement(msgspec.Struct, frozen=True):
    """A statement with the times that the store gave it, as JSON; ``contents`` are the hashes of attachments here."""

    body: bytes
    stored: Micros
    contents: tuple[str, ...]

    def decoded(self) -> dict[str, Any]:
        """The statement as an object."""
        statement: dict[str, Any] = _decode(self.body)
        return statement


class StatementPage(msgspec.Struct, frozen=True):
    """Statements of a query in its order; ``after`` is where the next page goes on, None after the last."""

    statements: list[ShownStatement]
    after: Micros | None


class RecordStore:
    """Stores and gives back statements, whoever asks: the face checks who may."""

    def __init__(
        self,
        store: StatementStore | None,
        doorways: Doorways,
        profiles: Profiles,
        consents: Consents,
        audit: Audit,
        clock: Clock,
        *,
        keeps: bool,
        home_page: str,
    ) -> None:
        """Without a ``store``, or where it ``keeps`` none, statements are taken as evidence alone.

        What a store holds from before is exported and erased nevertheless. ``home_page`` is that of the authorities:
        where callers have their names.
        """
        self._store = store
        self._keeps = keeps
        self._doorways = doorways
        self._profiles = profiles
        self._consents = consents
        self._audit = audit
        self._clock = clock
        self._records = StatementRecords(profiles.derived_id, home_page)

    def _kept(self) -> StatementStore:
        """Raises Forbidden where no statements are given back."""
        if self._store is None or not self._keeps:
            raise Forbidden(LEFT_OUT)
        return self._store

    async def store(self, sender: PlatformCaller, sent: SentStatements) -> TakenStatements:
        """Store statements, all or none, and take what they say as evidence; both are durable on return.

        A repeat is taken as evidence again, since what stored it first may have ended in between; its events' ids make
        it count once.
        The same statement again is no fault; one without an id that was voided meanwhile is a new one. Those about a
        student who has not consented are withheld, and the others go in. Raises RuleBroken, Conflict where another
        statement has an id, Forbidden where all are withheld, and Unavailable.
        """
        caller, version = sender.caller, sent.version
        read, contents = self._checked(caller.tenant, sent)
        people = await self._people(caller, read)
        students, withheld, gone, _ = people
        # What they say as they were sent: one without an id is the same event as through any other door.
        said = [self._doorways.translated("xapi", one.value, one.said) for one in read]
        records = self._records_of(caller, version, read, contents, gone)
        if withheld:
            refused = {n: Translation("refused", records[n].statement_id, WITHHELD_HERE) for n in withheld}
            said = [refused.get(n, one) for n, one in enumerate(said)]
            if len(withheld) == len(read):
                await self._doorways.take_translated(sender, "xapi", said)
                raise Forbidden(WITHHELD)
        if self._store is not None and self._keeps:
            store, kept = self._store, [n for n in range(len(read)) if n not in withheld]

            async def put() -> set[str]:
                return await self._put(store, caller, [records[n] for n in kept], contents)

            voided, turn = await self._audit.write_then(caller, "xapi-statements", [None], put, store), 0
            while voided:
                turn += 1
                again = [n for n in kept if "id" not in read[n].value and records[n].statement_id in voided]
                if not again:
                    break
                if turn == MOST_TURNS:
                    raise Conflict("A statement with this content was voided too often: give it an id.", field="id")
                renamed = self._records_of(caller, version, [read[n] for n in again], contents, gone, turn)
                for n, record in zip(again, renamed, strict=True):
                    records[n] = record
                voided = await put()
        await self._doorways.take_translated(sender, "xapi", said, known=students)
        if not any(one.drafts for one in said):
            await self._consents.refresh()
        await self._erase_late(caller.tenant, people)
        ids = [one.statement_id for one in records]
        return TakenStatements(ids, [ids[n] for n in sorted(withheld)])

    def _checked(self, tenant: str, sent: SentStatements) -> tuple[list[ReadStatement], dict[str, bytes]]:
        """The statements, which are valid, and the contents of their attachments. Raises RuleBroken."""
        try:
            if sent.statement_id is None:
                read = self._records.read(sent.body, sent.version, tenant)
            else:
                read = statement_under(sent.statement_id, sent.body, sent.version, tenant)
            _check_distinct(read)
            return read, _contents([one.value for one in read], sent)
        except RuleBroken:
            self._doorways.count("xapi", "refused", number_in(sent.body))
            raise

    async def _put(
        self, store: StatementStore, caller: Caller, given: Sequence[StatementRecord], contents: Mapping[str, bytes]
    ) -> set[str]:
        """Store statements; the ids of those that are here and were voided. Raises Conflict."""
        records = {record.statement_id: record for record in given}
        if contents:
            contents = {sha2: contents[sha2] for record in given for sha2 in record.contents}
        outcomes = await store.put(caller.tenant, list(records.values()), contents, caller.moment(self._clock))
        for name, outcome in zip(records, outcomes, strict=True):
            if outcome is StatementOutcome.DIFFERS:
                raise Conflict(f"Another statement has the id {name}: nothing was stored.", field="id")
        return {name for name, outcome in zip(records, outcomes, strict=True) if outcome is StatementOutcome.VOIDED}

    async def _people(self, caller: Caller, statements: Sequence[ReadStatement]) -> PeopleOfCall:
        """Who the people of a call are here, and who of them is to be kept out of it."""
        people = dict([one for statement in statements for part in statement.parts.values() for one in part.people])
        named = {key: person for key, agent in people.items() if (person := identity_of(agent)) is not None}
        if not named:
            return PeopleOfCall({})
        await self._consents.refresh_lately(caller.moment(self._clock))
        identities = list(named.values())
        found = await self._profiles.students_of(caller.tenant, identities)
        keys = {name: StudentKey(caller.tenant, one) for name, one in zip(named, found, strict=True)}
        refused = {name: key for name, key in keys.items() if not self._consents.state(key).processing}
        students = dict(zip(identities, found, strict=True))
        if not refused:
            return PeopleOfCall(students)
        subjects = [{name for name, _ in statement.subjects} for statement in statements]
        for student_id in {refused[name].student_id for name in set().union(*subjects) & refused.keys()}:
            self._audit.note(caller, "xapi-statements", student_id, allowed=False)
        withheld = {n for n, own in enumerate(subjects) if own & refused.keys()}
        gone = frozenset([name for name, key in refused.items() if self._consents.history(key)])
        return PeopleOfCall(students, withheld, gone, {key.student_id for key in refused.values()})

    def _records_of(
        self,
        caller: Caller,
        version: Version,
        read: Sequence[ReadStatement],
        contents: Mapping[str, bytes],
        gone: Collection[str],
        turn: int = 0,
    ) -> list[StatementRecord]:
        """The statements as they are kept: without those people who are ``gone``, as an erasure leaves them."""
        records = self._records.of(caller, version, read, contents, turn)
        for n, one in enumerate(read) if gone else ():
            if any(key in gone for part in one.parts.values() for key, _ in part.people):
                left = with_people(_decode(records[n].body), lambda agent: None if agent_key(agent) in gone else agent)
                if left is not None:
                    records[n] = self._records.without_signature(caller.tenant, left, records[n])
        return records

    async def statement(self, caller: Caller, statement_id: str, *, voided: bool) -> ShownStatement:
        """A statement by its id: one that was ``voided``, or was not. Raises NotFound, Forbidden, Unavailable."""
        (stored,) = await self._kept().load(caller.tenant, [statement_id])
        if stored is None or stored.voided is not voided:
            raise NotFound("There is no such statement.")
        return _shown(stored)

    async def find(self, caller: Caller, asked: StatementFilter) -> StatementPage:
        """A page of statements. Raises Forbidden, Unavailable."""
        query = StatementQuery(asked.every, asked.since, asked.until, asked.limit + 1, asked.ascending)
        found = await self._kept().find(caller.tenant, query)
        page: list[StoredStatement | None] = []
        size = 0
        for start in range(0, min(len(found), asked.limit), LOADED_AT_ONCE):
            ids = [one.statement_id for one in found[start : min(start + LOADED_AT_ONCE, asked.limit)]]
            page += await self._kept().load(caller.tenant, ids)
            size += sum(len(one.record.body) for one in page[start:] if one is not None)
            if size > LARGEST_PAGE:
                break
        after = found[len(page) - 1].stored if page and len(found) > len(page) else None
        return StatementPage([_shown(one) for one in page if one is not None], after)

    async def contents(self, caller: Caller, statements: Sequence[ShownStatement]) -> dict[str, bytes]:
        """The contents of the statements' attachments that came with them, by hash. Raises Unavailable."""
        hashes = {sha2 for one in statements for sha2 in one.contents}
        return await self._kept().contents(caller.tenant, hashes)

    async def consistent_through(self, caller: Caller) -> Micros:
        """The moment through which every statement is found. Raises Unavailable."""
        now = caller.moment(self._clock)
        return now if self._store is None else await self._store.consistent_through(caller.tenant, now)

    async def activity(self, caller: Caller, activity_id: str) -> dict[str, Any]:
        """An activity with all that the newest statements say of it. Raises Forbidden, Unavailable."""
        facets = Facets(caller.tenant)
        asked = (facets.of("activity", activity_id), facets.of("related activity", activity_id))
        page = await self.find(caller, StatementFilter((asked,), None, None, LOOKED_AT, ascending=False))
        definition: dict[str, Any] = {}
        for stored in reversed(page.statements):
            for one in activities_of(stored.decoded()):
                if one["id"] == activity_id and "definition" in one:
                    definition = merged_definition(definition, one["definition"])
        return {"objectType": "Activity", "id": activity_id} | ({"definition": definition} if definition else {})

    async def person(self, caller: Caller, agent: Object) -> dict[str, Any]:
        """A person by one of their identifiers, with the names that the newest statements have for it.

        Raises Forbidden, Unavailable.
        """
        key = agent_key(agent) or ""
        facets = Facets(caller.tenant)
        asked = (facets.of("agent", key), facets.of("related agent", key))
        page = await self.find(caller, StatementFilter((asked,), None, None, LOOKED_AT, ascending=False))
        statements = [stored.decoded() for stored in page.statements]
        people = [one for statement in statements for one in (*actors_of(statement), *others_of(statement))]
        names = [one["name"] for one in (agent, *people) if agent_key(one) == key and "name" in one]
        identifiers = {name: [value] for name, value in agent.items() if name not in ("objectType", "name")}
        return {"objectType": "Person", "name": list(dict.fromkeys(names))} | identifiers

    async def of_student(self, tenant: str, student_ids: Sequence[str]) -> list[dict[str, Any]]:
        """All statements that say something of a student, without who else is in them; for their export.

        ``student_ids`` are those that they have or had. Raises Unavailable.
        """

        def only_them(agent: Object) -> Object:
            is_group = agent.get("objectType") == "Group"
            return agent if is_group or self._is_one_of(agent, tenant, student_ids) else SOMEBODY_ELSE

        about = [_shown(stored).decoded() for stored in await self._about(tenant, student_ids)]
        return [shown for one in about if (shown := with_people(one, only_them)) is not None]

    def _is_one_of(self, agent: Object, tenant: str, student_ids: Sequence[str]) -> bool:
        return self._records.student_of(tenant, agent) in student_ids

    async def _about(self, tenant: str, student_ids: Sequence[str]) -> list[StoredStatement]:
        if self._store is None:
            return []
        store, facets = self._store, Facets(tenant)
        asked = tuple(facets.of(STUDENT, student_id) for student_id in student_ids)
        about: list[StoredStatement] = []
        since: Micros | None = None
        while True:
            query = StatementQuery((asked,), since=since, limit=ERASED_AT_ONCE, ascending=True, with_voided=True)
            found = await store.find(tenant, query)
            loaded = await store.load(tenant, [one.statement_id for one in found])
            about += [one for one in loaded if one is not None and set(asked) & set(one.record.facets)]
            if len(found) < ERASED_AT_ONCE:
                return about
            since = found[-1].stored

    async def erase(self, tenant: str, student_ids: Sequence[str]) -> int:
        """Take a student out of all statements: what is theirs goes, and what is about others too stays without them.

        Returns how many statements were changed or removed. Raises Unavailable.
        """
        if self._store is None:
            return 0

        def without_them(agent: Object) -> Object | None:
            return None if self._is_one_of(agent, tenant, student_ids) else agent

        changed: set[str] = set()
        for _ in range(MOST_ROUNDS):  # another erasure at the same time may put back whom this one took out
            about = await self._about(tenant, student_ids)
            self._records.forget()
            for stored in about:
                left = with_people(_decode(stored.record.body), without_them)
                record = None if left is None else self._records.without_signature(tenant, left, stored.record)
                await self._store.replace(tenant, stored.record.statement_id, record)
                changed.add(stored.record.statement_id)
            if not about:
                break
        return len(changed)

    async def _erase_late(self, tenant: str, people: PeopleOfCall) -> None:
        """Take out whom an erasure took out of the store before the call had stored what it read before that.

        Consent was read again since the call has stored. Raises Unavailable.
        """
        late: set[str] = set()
        for person, student_id in people.students.items():
            if student_id not in people.refused and self._consents.state(StudentKey(tenant, student_id)).erased:
                late |= {student_id, self._profiles.derived_id(tenant, person)}
        if late:
            await self.erase(tenant, sorted(late))


def _shown(stored: StoredStatement) -> ShownStatement:
    when = rfc3339(stored.stored)
    times = f',"stored":"{when}"}}' if stored.record.stamp else f',"stored":"{when}","timestamp":"{when}"}}'
    return ShownStatement(stored.record.body[:-1] + times.encode(), stored.stored, stored.record.contents)


def _check_distinct(statements: Sequence[ReadStatement]) -> None:
    """Raises RuleBroken where two statements of one call have the same id."""
    seen: set[str] = set()
    for number, one in enumerate(statements):
        if "id" in one.value:
            name = one.value["id"].lower()
            if name in seen:
                at = f"{place(number, statements)}.id"
                raise RuleBroken("ids_are_distinct", at, "is that of another statement in this call")
            seen.add(name)


def _contents(statements: Sequence[Object], sent: SentStatements) -> dict[str, bytes]:
    if sent.parts is None:
        contents: dict[str, bytes] = {}
        contents_are_sent_or_linked(statements, contents)
    else:
        contents = contents_are_as_described(statements, sent.parts)
    for statement in statements:
        signatures_are_of_statement(statement, contents, sent.version)
    return contents
