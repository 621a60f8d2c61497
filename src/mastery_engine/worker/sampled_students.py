"""The records of a sample of each course's students, taken from the log as it is read, in bounded memory.

The sample of a course are its students whose ids have the smallest hashes: so it is the same however the log is read,
and says nothing about who they are. Where too many records are held, the course that holds most lets go of a student.
"""

from collections.abc import Callable, Sequence

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey, course_named
from mastery_engine.domain.ids import id_hash
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import InvalidInput
from mastery_engine.ports.event_log import Batch, Record
from mastery_engine.worker.decoding import RecordDecoder

MOST_STUDENTS = 2_000  # of a course
MOST_RECORDS = 150_000  # of all courses together: some 100 MB
MOST_OF_STUDENT = 10_000  # more is nobody's own work: such a student is left out


class _Sender(msgspec.Struct):
    """What is read of every record; the rest is decoded for the sample alone."""

    student_id: str
    course_id: str | None = None


_sender = msgspec.json.Decoder(_Sender).decode


class SampledCourse:
    """The sampled students of one course, with their records in the order of the log."""

    def __init__(self) -> None:
        self.records: dict[bytes, list[Record]] = {}
        self.names: dict[bytes, str] = {}
        self.size = 0
        self._below = b"\xff" * 9  # only hashes below this one are in the sample
        self._left_out: set[bytes] = set()

    def take(self, student_id: str, record: Record) -> int:
        """Hold a record if its student is in the sample; by how many records the course grew (it may have shrunk)."""
        place = id_hash(student_id)
        if place >= self._below or place in self._left_out:
            return 0
        before = self.size
        own = self.records.get(place)
        if own is None:
            own = self.records[place] = []
            self.names[place] = student_id
        own.append(record)
        self.size += 1
        if len(own) > MOST_OF_STUDENT:
            self._left_out.add(place)
            self.let_go(place)
        elif len(self.records) > MOST_STUDENTS:
            self.shrink()
        return self.size - before

    def shrink(self) -> int:
        """Let go of the student with the greatest hash, and take none beyond it; how many records that were."""
        self._below = max(self.records)
        return self.let_go(self._below)

    def let_go(self, place: bytes) -> int:
        """Forget a student's records; how many there were."""
        del self.names[place]
        records = len(self.records.pop(place))
        self.size -= records
        return records


class SampledStudents:
    """The samples of all courses of one tenant, or of all tenants."""

    def __init__(
        self, decoder: RecordDecoder, owner: Callable[[StudentKey, Micros], StudentKey], tenant: str | None = None
    ) -> None:
        """``owner`` gives the student to whom something belongs that was received under an id at a moment."""
        self._decoder = decoder
        self._owner = owner
        self._tenant = tenant
        self._held = 0
        self.courses: dict[CourseKey, SampledCourse] = {}

    def take(self, page: Sequence[Record]) -> None:
        """Hold those records of a page that belong to the sample."""
        for record in page:
            if self._tenant not in (None, record.tenant):
                continue
            sender = self._sender_of(record)
            if sender is None:
                continue
            student_id, course_id = sender
            course = CourseKey(record.tenant, course_id)
            sample = self.courses.get(course)
            if sample is None:
                sample = self.courses[course] = SampledCourse()
            owner = self._owner(StudentKey(record.tenant, student_id), record.received)
            self._held += sample.take(owner.student_id, record)
            while self._held > MOST_RECORDS:
                self._held -= max(self.courses.values(), key=_size).shrink()

    @property
    def size(self) -> int:
        """How many students are in all samples."""
        return sum(len(sample.records) for sample in self.courses.values())

    def students(self, course: CourseKey) -> list[tuple[DocumentKey, list[Record]]]:
        """The students of a course with their records, by the hashes of their ids; the sample is empty afterwards."""
        sample = self.courses[course]
        taken = [
            (DocumentKey(course.tenant, sample.names[place], course.course_id), sample.records[place])
            for place in sorted(sample.records)
        ]
        self._held -= sample.size
        self.courses[course] = SampledCourse()
        return taken

    def _sender_of(self, record: Record) -> tuple[str, str] | None:
        """The student and the course of a record; None if it is no event that counts."""
        try:
            sender = _sender(record.value or b"")
            return sender.student_id, DEFAULT_COURSE if sender.course_id is None else course_named(sender.course_id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidInput):
            events = self._decoder.decode(Batch((record,), {}, {})).events  # inside a CloudEvent, or behind a mark
            return (events[0].event.student_id, events[0].event.course_id) if events else None


def _size(sample: SampledCourse) -> int:
    return sample.size
