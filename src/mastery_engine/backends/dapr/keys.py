"""The names of keys in the state; ``__init__`` says how long each lives."""

import zlib
from hashlib import blake2b

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.student import DocumentKey, StudentKey


def document(key: DocumentKey) -> str:
    """A student's document in a course; in the default one as an engine that knew no courses named it."""
    return f"d:{_in_course(key)}"


def cold(key: DocumentKey, write_id: str) -> str:
    """The cold ids that one write of a document gave."""
    return f"c:{_in_course(key)}:{write_id}"


def _in_course(key: DocumentKey) -> str:
    """The course stands for itself as a hash, since it may be any text, and no two may ever be one."""
    student = f"{key.tenant}:{key.student_id}"
    if key.course_id == DEFAULT_COURSE:
        return student
    return f"{student}:{_hashed(key.course_id)}"


def _hashed(course_id: str) -> str:
    return blake2b(course_id.encode(), digest_size=16).hexdigest()


def courses(student: StudentKey) -> str:
    """The courses, but for the default one, in which a student has a document."""
    return index(f"courses:{student.tenant}:{student.student_id}")


def cohort(tenant: str, cohort_id: str) -> str:
    """An admin's word on a cohort."""
    return f"cohort:{tenant}:{spelled(cohort_id)}"


def calendar(tenant: str, cohort_id: str) -> str:
    """A cohort's calendar, beside the word."""
    return f"calendar:{tenant}:{spelled(cohort_id)}"


def joined(tenant: str, cohort_id: str) -> str:
    """Who joined a cohort by events."""
    return index(f"joined:{tenant}:{spelled(cohort_id)}")


def named_first(tenant: str, cohort_id: str) -> str:
    """The first event that named a cohort."""
    return f"first:{tenant}:{spelled(cohort_id)}"


def joins(key: StudentKey) -> str:
    """The cohorts that a student joined by events."""
    return f"joins:{key.tenant}:{key.student_id}"


def put_into(key: StudentKey) -> str:
    """The cohorts that admins may have put a student in."""
    return index(f"put:{key.tenant}:{key.student_id}")


def taught_by(tenant: str, name: str) -> str:
    """The cohorts of a teacher, by what a token calls them."""
    return index(f"teaches:{tenant}:{spelled(name)}")


def said(key: StudentKey) -> str:
    """What admins' words say of a student, by cohort."""
    return f"said:{key.tenant}:{key.student_id}"


def checkpoint(log_id: str) -> str:
    return f"marks:{log_id}"


def refusal(key: StudentKey, event_id: str, course_id: str) -> str:
    """Why an event was refused; in the default course as an engine that knew no courses named it."""
    of_default = f"r:{key.tenant}:{key.student_id}:{event_id}"
    return of_default if course_id == DEFAULT_COURSE else f"{of_default}/{_hashed(course_id)}"


def courses_of_refusals(key: StudentKey) -> str:
    """The courses, but for the default one, in which an event of a student was refused."""
    return index(f"refused:{key.tenant}:{key.student_id}")


def job(tenant: str, batch_id: str) -> str:
    return f"b:{tenant}:{batch_id}"


def calibration(course: CourseKey) -> str:
    """What a course learned of its own forecasts."""
    return f"calibration:{course.tenant}:{spelled(course.course_id)}"


def course(key: CourseKey) -> str:
    """What admins set of a course."""
    return f"course:{key.tenant}:{spelled(key.course_id)}"


def credential(key: str) -> str:
    """The credential of a platform."""
    return f"credential:{key}"


def person(key: StudentKey) -> str:
    """A student's profile."""
    return f"person:{key.tenant}:{key.student_id}"


def identity(tenant: str, one: Identity) -> str:
    """The claim of a student to an identity on another platform; as a hash, since that may be an address."""
    named = blake2b(msgspec.json.encode([one.system, one.id]), digest_size=16).hexdigest()
    return f"identity:{tenant}:{named}"


def registry(table: str, key: str) -> str:
    """A small record; its key may be any text."""
    return f"registry:{table}:{_hashed(key)}"


def delivery(sink: str, delivery_id: str) -> str:
    """What is to be sent to a sink."""
    return f"delivery:{spelled(sink)}:{_hashed(delivery_id)}"


def delivery_lane(sink: str, lane: str) -> str:
    """Who waits in a lane of a sink."""
    return f"lane:{spelled(sink)}:{_hashed(lane)}"


def idempotency(name: str) -> str:
    """What an Idempotency-Key stands for."""
    return f"i:{name}"


def audit_head(tenant: str) -> str:
    """Which pages of audit records a tenant has."""
    return f"audit:{tenant}"


def audit_page(tenant: str, number: int) -> str:
    return f"audit:{tenant}:{number}"


def result_kinds(tenant: str, subject: str) -> str:
    """The kinds of results that are cached about a student or cohort."""
    return f"results:{tenant}:{spelled(subject)}"


def result(tenant: str, subject: str, kind: str) -> str:
    return f"result:{tenant}:{spelled(subject)}:{kind}"


def index(name: str, number: int = 0) -> str:
    """One of the values that hold a set of names."""
    return f"index:{name}:{number}"


def spelled(text: str) -> str:
    """Text for a key: as hexadecimal bytes, since it may be anything; of a long one its checksum and a part."""
    spelling = text.encode().hex()
    return spelling if len(spelling) <= 200 else f"{zlib.crc32(text.encode()):08x}{spelling[:190]}"
