"""The document of one student in one course: everything that the engine knows about them there, in a few KB."""

from typing import NamedTuple

import msgspec

from mastery_engine.domain.advice.guidance import NO_GUIDANCE, Guidance
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.earlier_formats import as_today, shortened
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.seen import IdsByDay, Seen
from mastery_engine.domain.evidence.causes import NO_CAUSES, Causes
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, Evidence
from mastery_engine.domain.evidence.history import History
from mastery_engine.domain.evidence.score import FourValues, components_on
from mastery_engine.domain.moments import NEVER, Day, Micros
from mastery_engine.domain.outbox import NO_RESULTS, Beside, results_of
from mastery_engine.domain.results import Pending
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import KnowledgeState
from mastery_engine.domain.skills.knowledge import unpacked as unpacked_knowledge
from mastery_engine.errors import NewerFormat

# What is written. An engine takes every format that ever was, and refuses a newer one, of which it would lose what it
# does not know. Whoever adds a field to a document begins a new format; see docs/releases.md.
FORMAT = 3
EARLIER = frozenset((1, 2))


class StudentKey(NamedTuple):
    """A student's tenant and id: the person, in all their courses."""

    tenant: str
    student_id: str


class DocumentKey(NamedTuple):
    """A student in a course, who has one document there."""

    tenant: str
    student_id: str
    course_id: str = DEFAULT_COURSE

    @property
    def student(self) -> StudentKey:
        return StudentKey(self.tenant, self.student_id)

    @property
    def course(self) -> CourseKey:
        return CourseKey(self.tenant, self.course_id)


def key_of(event: LearningEvent) -> StudentKey:
    """The student of an event."""
    return StudentKey(event.tenant, event.student_id)


def document_key_of(event: LearningEvent) -> DocumentKey:
    """The document that an event belongs to."""
    return DocumentKey(event.tenant, event.student_id, event.course_id)


def course_of(event: LearningEvent) -> CourseKey:
    """The course that an event belongs to."""
    return CourseKey(event.tenant, event.course_id)


class Sent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The score, level and components in the last result; 0 and the lowest level before the first one.

    An engine that did not keep ``components`` has none of a student whom it has sent a level of. ``advised`` is the
    checksum of the advice last sent; 0 where none was, or an engine sent it that did not keep this.
    """

    score: float = 0.0
    level: str | None = None
    components: FourValues | None = None
    advised: int = 0


class Student(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One student's document in one course.

    ``latest`` is the time of the newest event, ``received`` the newest receipt, ``updated`` the time of the last fold;
    ``floor`` is the day before which everything was dropped; ``cohorts`` are the cohorts that the events named.
    ``results`` are those that may not be published yet, ``traced`` is what knowledge tracing knows, and ``answers``
    what the model of the next answer knows. They are packed, and whoever needs them unpacks them: most events leave
    them as they are. ``moved`` is, packed, what the document was before its evidence went to another student: such a
    document is empty but for that.
    """

    evidence: Evidence = NO_EVIDENCE
    history: History = History()
    seen: Seen = Seen()
    sent: Sent = Sent()
    results: bytes = NO_RESULTS
    latest: Micros = NEVER
    received: Micros = NEVER
    updated: Micros = NEVER
    floor: Day = 0
    traced: bytes = b""
    cohorts: tuple[str, ...] = ()
    guidance: Guidance = NO_GUIDANCE
    answers: bytes = b""
    causes: Causes = NO_CAUSES
    moved: bytes = b""

    @property
    def knowledge(self) -> KnowledgeState:
        """What knowledge tracing knows, unpacked each time."""
        return unpacked_knowledge(self.traced)

    @property
    def outbox(self) -> tuple[Pending, ...]:
        """The results that may not be published yet, in the order of their making, unpacked each time."""
        if not self.results:
            return ()
        sent, guidance = self.sent, self.guidance
        return results_of(self.results, Beside(sent.level, sent.components, guidance.advice.items, guidance.path))

    def is_known(self, at: Micros, rules: Rules) -> bool:
        """Whether an event or any evidence of this student still counts."""
        today = rules.day_of(at)
        if self.latest >= rules.start_of(rules.first_day(today)):
            return True
        return any(value is not None for value in components_on(self.evidence, today, rules))


NOBODY = Student()

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Student).decode
_encode_ids = msgspec.msgpack.Encoder().encode
_decode_ids = msgspec.msgpack.Decoder(dict[int, bytes]).decode


def pack(student: Student) -> bytes:
    """The document as stores keep it: one byte with the format version, then MessagePack."""
    return bytes((FORMAT,)) + _encode(student)


def unpack(packed: bytes) -> Student:
    """The document in ``packed``. Raises NewerFormat if a newer engine wrote it."""
    if packed[0] == FORMAT:
        return _decode(memoryview(packed)[1:])
    if packed[0] not in EARLIER:
        raise NewerFormat(
            f"A document has format {packed[0]}, but this engine reads up to {FORMAT}: run the engine that wrote it. "
            "Nothing was changed."
        )
    return _decode(as_today(packed[1:]))


def pack_ids(ids: IdsByDay) -> bytes:
    """Cold ids as stores keep them: one byte with the format version, then MessagePack."""
    return bytes((FORMAT,)) + _encode_ids(ids)


def unpack_ids(packed: bytes) -> IdsByDay:
    """The cold ids in ``packed``; those of earlier formats had no version, and ids of 8 bytes."""
    if packed[0] == FORMAT:
        return _decode_ids(memoryview(packed)[1:])
    return {day: shortened(ids) for day, ids in _decode_ids(packed).items()}
