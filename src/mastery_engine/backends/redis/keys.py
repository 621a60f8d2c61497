"""The keys in Redis: how each is named, what it holds, and how long it lives.

A student's keys share one hash tag, and so do a cohort's: a Cluster keeps them together. A key that others are found by
(a roster, a set of tenants or of batches) does not expire: nothing would write it again while what it lists lives on.
The rate limits' windows (``mastery:limits``) are named by their library, and live a minute.

    mastery:{TENANT:STUDENT}:d       document, led by its version               the retention after its last write
    mastery:{TENANT:STUDENT}:c       cold ids, of a student with many           as the document, which renews them
    mastery:{TENANT:STUDENT}:d:ID    document in a course but the default one   as the default one's document
    mastery:{TENANT:STUDENT}:c:ID    cold ids in such a course                  as the document, which renews them
    mastery:{TENANT:STUDENT}:x       the ids of such courses                    as the document last written in one
    mastery:{TENANT:STUDENT}:r       refusals by event                          the retention after the last; purged
    mastery:{TENANT:STUDENT}:rc      the courses of refusals, but for default   the retention after the last
    mastery:{TENANT:STUDENT}:g       cohorts that an admin put them in          until no admin's word has them
    mastery:teaches:{TENANT:NAME}    cohorts of which a teacher may be so named  until no admin's word has them
    mastery:{TENANT:SUBJECT}:k       kinds of cached results                    as the last of them
    mastery:{TENANT:SUBJECT}:k:KIND  a cached result                            5 minutes
    mastery:cohort:{TENANT:ID}       an admin's word, led by its version        for good
    mastery:cohort:{TENANT:ID}:by    the word by student, and the calendar      for good
    mastery:cohort:{TENANT:ID}:in    day of the last joining event, by student  the retention after the last; purged
    mastery:cohort:{TENANT:ID}:of    the first event that named it, of a course  the retention after the last to name it
    mastery:marks:{COPY}:LOG         a log's checkpoint                         until the documents are cleared
    mastery:floods:LOG               a log's flooded partitions                 until somebody has looked
    mastery:audit:{TENANT}           a tenant's audit records                   purged by their age
    mastery:calibrations:{TENANT}    what each course learned of its forecasts   for good
    mastery:course:{TENANT}:ID       what admins set of a course, with version   for good
    mastery:courses:{TENANT}         ids of a tenant's courses                   for good
    mastery:people:{TENANT}          profiles by student, each with its version  until each is removed
    mastery:names:{TENANT}           their ids and names, as they are searched   as the profiles
    mastery:identities:{TENANT}      who has which identity on other platforms   as the profiles
    mastery:credentials              platforms' credentials by their keys        until each is revoked
    mastery:statements:{TENANT}:s:ID     a statement, by the bytes of its id      the retention from its storing
    mastery:statements:{TENANT}:all      ids of statements, by when each was stored  the retention after the last
    mastery:statements:{TENANT}:f:FACET  what has a facet, and through which        the retention after the last
    mastery:statements:{TENANT}:t:ID     ids of statements that refer to one     the retention after the last
    mastery:statements:{TENANT}:v:ID     ids of statements that void one         the retention after the last
    mastery:statements:{TENANT}:c:ID     ids of statements that are found through one  the retention after the last
    mastery:statements:{TENANT}:b:SHA2   an attachment's content                 the retention after the last
    mastery:statements:{TENANT}:u:SHA2   ids of statements that have it          the retention after the last
    mastery:statements:{TENANT}:last     when the newest was stored              for good
    mastery:statement-tenants        tenants that have statements               for good
    mastery:record:{TENANT}:d:SCOPE  documents, of a person or an activity       the retention; of activities for good
    mastery:record:{TENANT}:p:FACET  scopes in which a person has documents     the retention after the last
    mastery:registry:{TABLE}:r:KEY   a small record                             until it is removed, or expires
    mastery:registry:{TABLE}:all     the keys of its records                    as the records; purged
    mastery:registry:{TABLE}:expiring  those that expire, by when               as the records; purged
    mastery:registry:{TABLE}:owners  students by the keys of what is about them  as the records; purged
    mastery:registry:{TABLE}:o:TENANT:STUDENT  the keys of what is about one    as the records; purged
    mastery:registry:{TABLE}:writes  the version that was given last            for good
    mastery:deliveries:{SINK}:d:ID   a delivery to a sink                       until it is purged
    mastery:deliveries:{SINK}:w:LANE  those of a lane that wait, by their turn  until none waits
    mastery:deliveries:{SINK}:lanes  lanes in which any waits, by when it is free  until none waits
    mastery:deliveries:{SINK}:p:STATE  those in a state, as they are listed     as the deliveries
    mastery:deliveries:{SINK}:s:TENANT:STUDENT  those about a student           as the deliveries
    mastery:deliveries:{SINK}:ended  those that ended, by when                  as the deliveries
    mastery:deliveries:{SINK}:turns  the turn that was given last               as the deliveries
    mastery:delivery-sinks           sinks that have deliveries                 as the deliveries; purged
    mastery:tenants                  tenants that have audit records            for good
    mastery:batch:{TENANT}:ID        a batch                                    the retention after its last write
    mastery:idempotency:HASH         what an Idempotency-Key stands for         24 hours from the first call
    mastery:batches                  all batches, by their moment               purged by their age
    mastery:open-batches             those without an answer                    until they are answered; purged
    mastery:ready:{N}                nothing: readiness tries a write           a minute
"""

import re

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.student import DocumentKey, StudentKey

VERSION_BYTES = 8
STUDENT_KEYS = "mastery:{"
DOCUMENTS = ("mastery:{*}:d", "mastery:{*}:d:*")
BESIDE_DOCUMENTS = ("mastery:{*}:c", "mastery:{*}:c:*", "mastery:{*}:x")
REFUSALS = "mastery:{*}:r"
JOINED = "mastery:cohort:*}:in"
CHECKPOINTS = "mastery:marks:*"
CREDENTIALS = "mastery:credentials"
TENANTS = "mastery:tenants"
STATEMENT_TENANTS = "mastery:statement-tenants"
RECORD_DOCUMENTS = "mastery:record:{*}:d:*"
DELIVERY_SINKS = "mastery:delivery-sinks"
BATCHES = "mastery:batches"
OPEN_BATCHES = "mastery:open-batches"
PROBE_MS = 60_000
_DOCUMENT = re.compile(rb"mastery:\{([^:{}]+):([^:{}]+)\}:d(?::(.+))?").fullmatch


def life_ms(retention_days: int) -> int:
    """How long what belongs to a student lives after its last write: a day more than anything in it counts."""
    return (retention_days + 1) * DAY // 1_000


def documents_of(tenant: str) -> tuple[str, ...]:
    """The patterns of the names of a tenant's documents."""
    return f"{STUDENT_KEYS}{tenant}:*}}:d", f"{STUDENT_KEYS}{tenant}:*}}:d:*"


def document(key: DocumentKey) -> str:
    return _in_course(key, "d")


def cold_ids(key: DocumentKey) -> str:
    return _in_course(key, "c")


def other_courses(student: StudentKey) -> str:
    """What lists the courses, but for the default one, in which a student has a document."""
    return _beside(student, "x")


def refusals(key: StudentKey) -> str:
    return _beside(key, "r")


def courses_of_refusals(key: StudentKey) -> str:
    return _beside(key, "rc")


def put_into(key: StudentKey) -> str:
    return _beside(key, "g")


def _beside(key: StudentKey, what: str) -> str:
    return f"{STUDENT_KEYS}{key.tenant}:{key.student_id}}}:{what}"


def _in_course(key: DocumentKey, what: str) -> str:
    """As an engine that knew no courses named it, in the default course."""
    if key.course_id == DEFAULT_COURSE:
        return f"{STUDENT_KEYS}{key.tenant}:{key.student_id}}}:{what}"
    return f"{STUDENT_KEYS}{key.tenant}:{key.student_id}}}:{what}:{key.course_id}"


def document_of(name: bytes) -> DocumentKey | None:
    """The document that is kept under a name; None if something else is."""
    bare = name[len(STUDENT_KEYS) : -len("}:d")]
    if name.endswith(b"}:d") and b"}" not in bare:  # nearly all, at a third of the cost
        tenant, _, student_id = bare.decode().partition(":")
        return DocumentKey(tenant, student_id)
    found = _DOCUMENT(name)
    return None if found is None else DocumentKey(*[part.decode() for part in found.groups(DEFAULT_COURSE.encode())])


def cohort(tenant: str, cohort_id: str) -> str:
    return f"mastery:cohort:{{{tenant}:{_braceless(cohort_id)}}}"


def _braceless(given: str) -> str:
    """An id without a closing brace, which would end the hash tag early, and could make the name another one."""
    return given.replace("%", "%25").replace("}", "%7D")


def taught_by(tenant: str, name: str) -> str:
    """What lists the cohorts of a teacher, by what a token calls them."""
    return f"mastery:teaches:{{{tenant}:{_braceless(name)}}}"


def cohort_by_student(tenant: str, cohort_id: str) -> str:
    return f"{cohort(tenant, cohort_id)}:by"


def joined(tenant: str, cohort_id: str) -> str:
    return f"{cohort(tenant, cohort_id)}:in"


def named_first(tenant: str, cohort_id: str) -> str:
    return f"{cohort(tenant, cohort_id)}:of"


def result_kinds(tenant: str, subject: str) -> str:
    return f"mastery:{{{tenant}:{_braceless(subject)}}}:k"


def checkpoint(log_id: str, copy: int) -> str:
    return f"mastery:marks:{{{copy}}}:{log_id}"


def floods(log_id: str) -> str:
    return f"mastery:floods:{log_id}"


def audit(tenant: str) -> str:
    return f"mastery:audit:{{{tenant}}}"


def calibrations(tenant: str) -> str:
    return f"mastery:calibrations:{{{tenant}}}"


def course(key: CourseKey) -> str:
    return f"mastery:course:{{{key.tenant}}}:{key.course_id}"


def courses(tenant: str) -> str:
    return f"mastery:courses:{{{tenant}}}"


def people(tenant: str) -> str:
    return f"mastery:people:{{{tenant}}}"


def names(tenant: str) -> str:
    return f"mastery:names:{{{tenant}}}"


def identities(tenant: str) -> str:
    return f"mastery:identities:{{{tenant}}}"


def statements(tenant: str) -> str:
    """What the keys of a tenant's statements begin with."""
    return f"mastery:statements:{{{tenant}}}:"


def record_documents(tenant: str, scope: bytes) -> str:
    return f"mastery:record:{{{tenant}}}:d:{scope.hex()}"


def record_person(tenant: str, person: bytes) -> str:
    return f"mastery:record:{{{tenant}}}:p:{person.hex()}"


def registry(table: str) -> str:
    """What the keys of a table of small records begin with."""
    return f"mastery:registry:{{{table}}}:"


def deliveries(sink: str) -> str:
    """What the keys of a sink's deliveries begin with."""
    return f"mastery:deliveries:{{{_braceless(sink)}}}:"


def owner(key: StudentKey) -> str:
    """A student in the name of what lists what is about them."""
    return f"{key.tenant}:{key.student_id}"


def idempotency(name: str) -> str:
    return f"mastery:idempotency:{name}"


def batch(tenant: str, batch_id: str) -> str:
    return f"mastery:batch:{{{tenant}}}:{batch_id}"


def probe(number: int) -> str:
    """What readiness writes; in a Cluster each number belongs to some master."""
    return f"mastery:ready:{{{number}}}"
