"""The access table: which role may do what, and to whom."""

from collections.abc import Mapping
from enum import Enum
from typing import Literal, TypeAlias, get_args

import msgspec

from mastery_engine.clock import Clock
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import Forbidden

Role: TypeAlias = Literal["student", "teacher", "service", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


class Act(Enum):
    """What a caller may want to do; the value completes "may not …" in a refusal."""

    READ = "read a student"
    TRY = "calculate without recording"
    TRY_MANY = "calculate a batch without recording"
    RECORD = "record events or calculations"
    COMPARE = "compare a student with a cohort"
    COHORT = "see the figures of a cohort"
    OPERATE = "see how the service fares"
    LIST_COHORTS = "list cohorts"
    ROSTER = "see who is in a cohort"
    SET_ROSTER = "say who is in a cohort"
    SET_COURSE = "set a course"
    CREDENTIALS = "make, list or revoke credentials of platforms"
    WEBHOOKS = "set webhooks, or see what was sent to them"
    LTI = "connect or remove learning platforms"
    FIND = "find students by name"
    READ_PROFILE = "read a student's profile"
    SET_PROFILE = "set a student's profile"
    OWN_DATA = "see or change a student's consent, or export their data"
    NOTES = "read or write teachers' notes on a student"
    NAME_BADGE = "have a student's badge show their name"
    REVOKE_BADGE = "list all badges, or revoke one"
    BADGE_KEYS = "see or rotate the keys that sign badges"
    DUMP = "dump the data of a school"
    GOVERN = "erase students or read the audit trail"


class Reach(Enum):
    """To whom a role may do an act."""

    NOBODY = 0
    SELF = 1
    OWN = 2
    TENANT = 3


TABLE: Mapping[Act, Mapping[Role, Reach]] = {
    Act.READ: {"student": Reach.SELF, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.TRY: {"student": Reach.SELF, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.TRY_MANY: {"student": Reach.NOBODY, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.RECORD: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.COMPARE: {"student": Reach.SELF, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.COHORT: {"student": Reach.NOBODY, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.OPERATE: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.LIST_COHORTS: {"student": Reach.SELF, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.ROSTER: {"student": Reach.NOBODY, "teacher": Reach.OWN, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.SET_ROSTER: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.SET_COURSE: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.CREDENTIALS: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.WEBHOOKS: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.LTI: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.FIND: {"student": Reach.NOBODY, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.READ_PROFILE: {"student": Reach.SELF, "teacher": Reach.NOBODY, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.SET_PROFILE: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.OWN_DATA: {"student": Reach.SELF, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.NOTES: {"student": Reach.NOBODY, "teacher": Reach.OWN, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.NAME_BADGE: {"student": Reach.SELF, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.NOBODY},
    Act.REVOKE_BADGE: {
        "student": Reach.NOBODY,
        "teacher": Reach.NOBODY,
        "service": Reach.NOBODY,
        "admin": Reach.TENANT,
    },
    Act.BADGE_KEYS: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.DUMP: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.GOVERN: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
}


class Caller(msgspec.Struct, frozen=True):
    """Who calls, by their token, from where, and when.

    ``students`` are a teacher's own: those that the token names and, after ``Cohorts.with_members``, the members of its
    ``cohorts``. ``traceparent`` is the call's place in a distributed trace; it is stored with what the call puts into
    the log. ``at`` is the moment of the call, read once by HTTP's middleware; None for other callers.
    """

    subject: str
    role: Role
    tenant: str = DEFAULT_TENANT
    students: frozenset[str] = frozenset()
    address: str = ""
    request_id: str = ""
    traceparent: str | None = None
    cohorts: frozenset[str] = frozenset()
    at: Micros | None = None

    def moment(self, clock: Clock) -> Micros:
        """The moment of the call; the clock's time if the caller has none."""
        return clock() if self.at is None else self.at


def check_act(caller: Caller, act: Act) -> None:
    """Raises Forbidden if the caller's role may do this to nobody."""
    if TABLE[act][caller.role] is Reach.NOBODY:
        raise Forbidden(f"The role {caller.role} may not {act.value}.")


def check_student(caller: Caller, act: Act, student_id: str) -> None:
    """Raises Forbidden if the caller may not do this to this student, whether or not the student exists."""
    check_act(caller, act)
    reach = TABLE[act][caller.role]
    allowed = (
        reach is Reach.TENANT
        or (reach is Reach.OWN and student_id in caller.students)
        or (reach is Reach.SELF and student_id == caller.subject)
    )
    if not allowed:
        raise not_your_student()


def not_your_student() -> Forbidden:
    """The same error for a student of others, and for no student at all."""
    return Forbidden("You may not see this student.", field="student_id")


def check_cohort(caller: Caller, act: Act, cohort_id: str, student_id: str | None = None) -> None:
    """Raises Forbidden if the caller may not do this to this cohort, whether or not the cohort exists.

    ``student_id`` is the student in question, if there is one; a student may only ask about themselves.
    """
    check_act(caller, act)
    reach = TABLE[act][caller.role]
    allowed = (
        reach is Reach.TENANT
        or (reach is Reach.OWN and cohort_id in caller.cohorts)
        or (reach is Reach.SELF and student_id == caller.subject)
    )
    if not allowed:
        raise not_your_cohort()


def not_your_cohort() -> Forbidden:
    """The same error for a cohort of others, a cohort too small to hide its members, and no cohort at all."""
    return Forbidden("You may not see this cohort.", field="cohort_id")


def may_record(caller: Caller) -> bool:
    return TABLE[Act.RECORD][caller.role] is not Reach.NOBODY
