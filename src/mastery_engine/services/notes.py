"""Teachers' notes on students: each is a record about its student, so that it goes with their erasure.

A note is for who may read the student as a teacher or an admin, whoever wrote it; its author changes it, and its author
or an admin removes it. It is kept for the retention from its writing or last change. What was written under an id that
was linked to a student is found with the student's.
"""

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.consent import erased_at
from mastery_engine.domain.given_ids import normal_id
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.note import ChangedNote, NewNote, Note, note_text, pack_kept_note, unpack_kept_note
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Conflict, Forbidden, NotFound
from mastery_engine.ports.registry import RegistryStore, RegistryWrite, Table
from mastery_engine.responses.notes import NoteList, NoteRecord, RemovedNote, note_record
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.consents import Consents
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.students import Students, unknown_student

TABLE: Table = "notes"
MOST_NOTES = 100  # of a student; of several that are written at the same moment a few more may be taken
FULL = "There are 100 notes on this student already: remove one first."
NOT_YOURS = "Only who wrote a note may change it."
NOT_YOURS_TO_REMOVE = "Only who wrote a note, or an admin, may remove it."
OVERTAKEN = "The note was changed at the same time: look at it, and try again."
NO_SUCH_NOTE = "There is no such note: it was removed, or has expired."


class KeptNote(msgspec.Struct, frozen=True):
    """A note with its place in the registry, and the version of what is there."""

    key: str
    note: Note
    version: int


class Notes:
    """Keeps notes for who may see their students, and records who read and wrote them."""

    def __init__(
        self,
        registry: RegistryStore,
        students: Students,
        consents: Consents,
        access: AccessControl,
        audit: Audit,
        idempotency: Idempotency,
        clock: Clock,
        new_id: NewId,
        *,
        retention_days: int,
    ) -> None:
        self._registry = registry
        self._students = students
        self._consents = consents
        self._access = access
        self._audit = audit
        self._idempotency = idempotency
        self._clock = clock
        self._new_id = new_id
        self._lives = retention_days * DAY

    async def all(self, caller: Caller, student_id: str, *, is_known: bool = False) -> NoteList:
        """The notes on a student, those written last first. Raises Forbidden, NotFound and Unavailable.

        ``is_known`` says that the student's document was read already.
        """
        self._access.check_student(caller, Act.NOTES, student_id, "notes")
        now, key = caller.moment(self._clock), StudentKey(caller.tenant, student_id)
        await self._consents.check_reads(caller.tenant, student_id, now)
        found = await self._of(key, now)
        if not found and not is_known and not await self._students.has_documents(key):
            raise unknown_student()
        return NoteList([self._record(kept.note) for kept in found])

    async def own(self, caller: Caller, student_id: str) -> list[NoteRecord]:
        """The notes on a student for whoever may have all that is held about them. Raises Forbidden and Unavailable."""
        self._access.check_student(caller, Act.OWN_DATA, student_id, "own-notes")
        return await self.held(StudentKey(caller.tenant, student_id), caller.moment(self._clock))

    async def held(self, key: StudentKey, now: Micros) -> list[NoteRecord]:
        """The notes on a student as their export has them; who may ask was checked."""
        return [self._record(kept.note) for kept in await self._of(key, now)]

    async def add(
        self, caller: Caller, student_id: str, wanted: NewNote, *, key: IdempotencyKey | None = None
    ) -> NoteRecord:
        """Write a note on a student of whom something is known; with the same ``key`` it is written once.

        Raises Forbidden, also where the student does not allow processing; InvalidInput, NotFound and CourseRequired;
        Conflict where there are many already, where ``key`` was used with another body, and for a derived id that was
        linked to a student; and Unavailable.
        """
        student = StudentKey(caller.tenant, student_id)
        self._access.check_student(caller, Act.NOTES, student_id, "add-note", changes=True)
        now, text = caller.moment(self._clock), note_text(wanted.text)
        await self._check_changes(student)
        asked = None if wanted.course_id is None else normal_id(wanted.course_id, "course_id")
        course_id = (await self._students.known(caller, student_id, asked, now)).key.course_id
        author = (caller.role, caller.subject)
        note_id = self._new_id() if key is None else derived_id("note", *student, *author, key.value)
        there = {kept.note.note_id: kept.note for kept in await self._of(student, now)}
        if note_id not in there and len(there) >= MOST_NOTES:
            raise Conflict(FULL, field="text")
        await self._idempotency.claim(caller, f"add-note {student_id}", key)
        if note_id in there:
            return self._record(there[note_id])
        note = Note(note_id, *student, course_id, caller.subject, text, now)
        await self._audit.write(caller, "add-note", [student_id])
        await self._put(note, 0, now)
        return self._record(note)

    async def change(
        self, caller: Caller, student_id: str, note_id: str, wanted: ChangedNote, *, key: IdempotencyKey | None = None
    ) -> NoteRecord:
        """Change what a note of one's own says.

        Raises Forbidden, InvalidInput, NotFound, Unavailable, and Conflict where it was changed at the same time.
        """
        student = StudentKey(caller.tenant, student_id)
        self._access.check_student(caller, Act.NOTES, student_id, "change-note", changes=True)
        now, text = caller.moment(self._clock), note_text(wanted.text)
        await self._check_changes(student)
        kept = await self._of_caller(caller, student, note_id, "change-note", now)
        await self._idempotency.claim(caller, f"change-note {student_id} {note_id}", key)
        if kept.note.text == text:
            return self._record(kept.note)
        note = msgspec.structs.replace(kept.note, student_id=student_id, text=text, changed=now)
        await self._audit.write(caller, "change-note", [student_id])
        if not await self._put(note, kept.version, now):
            raise Conflict(OVERTAKEN, field="text")
        return self._record(note)

    async def remove(self, caller: Caller, student_id: str, note_id: str) -> RemovedNote:
        """Remove a note: one's own, or as an admin any. Raises Forbidden, NotFound and Unavailable."""
        student = StudentKey(caller.tenant, student_id)
        self._access.check_student(caller, Act.NOTES, student_id, "remove-note", changes=True)
        now = caller.moment(self._clock)
        await self._consents.refresh()
        self._consents.check_changes(student)
        kept = await self._of_caller(caller, student, note_id, "remove-note", now)
        await self._audit.write(caller, "remove-note", [student_id])
        await self._registry.write(TABLE, [RegistryWrite(kept.key, None)], now)
        return RemovedNote(note_id, student_id)

    async def _check_changes(self, student: StudentKey) -> None:
        """Raises Forbidden where nothing may be written about a student, and Conflict where they are another now."""
        await self._consents.refresh()
        self._consents.check_changes(student)
        self._consents.check_processing(student)

    async def _of_caller(self, caller: Caller, student: StudentKey, note_id: str, call: str, now: Micros) -> KeptNote:
        """A note that the caller may change, or with ``remove-note`` remove. Raises NotFound and Forbidden."""
        kept = await self._find(student, note_id, now)
        if kept is None:
            raise NotFound(NO_SUCH_NOTE, field="note_id")
        may_remove = call == "remove-note" and caller.role == "admin"
        if kept.note.author != caller.subject and not may_remove:
            self._audit.note(caller, call, student.student_id, allowed=False)
            raise Forbidden(NOT_YOURS_TO_REMOVE if call == "remove-note" else NOT_YOURS, field="note_id")
        return kept

    async def _find(self, student: StudentKey, note_id: str, now: Micros) -> KeptNote | None:
        return next((kept for kept in await self._of(student, now) if kept.note.note_id == note_id), None)

    async def _of(self, key: StudentKey, now: Micros) -> list[KeptNote]:
        """The notes on a student, with those under ids that were linked to them, those written last first.

        What was written at or before an erasure is passed over: whoever wrote it then did not know of that yet.
        """
        links = self._consents.links
        erased = erased_at(self._consents.history(key)) or 0
        found: list[KeptNote] = []
        for source in (*sorted(links.sources(key)), key) if links else (key,):
            for table, entry in await self._registry.owned(source, now):
                if table != TABLE:
                    continue
                note = unpack_kept_note(entry.value)
                if note.latest > erased and (not links or links.owner(note.student, note.written) == key):
                    found.append(KeptNote(entry.key, note, entry.version))
        return sorted(found, key=lambda kept: (-kept.note.written, kept.note.note_id))

    async def _put(self, note: Note, expected: int, now: Micros) -> bool:
        """Write a note over a version of it: whether it was. One on a student who was erased meanwhile goes again."""
        key = _key_of(note)
        write = RegistryWrite(key, pack_kept_note(note), expected, note.student, note.latest + self._lives)
        (is_written,) = await self._registry.write(TABLE, [write], now)
        await self._consents.refresh()  # who was erased meanwhile was erased before the note was there
        if is_written and note.latest <= (erased_at(self._consents.history(note.student)) or 0):
            await self._registry.write(TABLE, [RegistryWrite(key, None)], now)
            raise unknown_student()
        return is_written

    def _record(self, note: Note) -> NoteRecord:
        return note_record(note, lives=self._lives)


def _key_of(note: Note) -> str:
    return f"{note.tenant}/{note.note_id}"
