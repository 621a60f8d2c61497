"""The keys of a student in Redis, all under one hash tag, and the version that leads a value."""

from mastery_engine.domain.student import StudentKey

VERSION_BYTES = 8
STUDENT_KEYS = "mastery:{"


def beside(key: StudentKey, what: str) -> str:
    """A key of a student: all share one hash tag."""
    return f"{STUDENT_KEYS}{key.tenant}:{key.student_id}}}:{what}"


def student_of(name: bytes) -> StudentKey:
    """Whose key this is: a document's, or one beside it."""
    tenant, _, student_id = name.decode()[len(STUDENT_KEYS) : -len("}:d")].partition(":")
    return StudentKey(tenant, student_id)
