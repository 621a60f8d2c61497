"""Who may do what, and to whom: one table. And the words in which it is asked."""

from collections.abc import Mapping
from enum import Enum
from typing import Literal, TypeAlias, get_args

import msgspec

from mastery_engine.domain.events import DEFAULT_TENANT
from mastery_engine.errors import Forbidden

Role: TypeAlias = Literal["student", "teacher", "service", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


class Act(Enum):
    """What can be asked of the engine, as far as access is concerned."""

    READ = "read a student"
    TRY = "calculate without recording"
    TRY_MANY = "calculate a batch without recording"
    RECORD = "record events or calculations"
    OWN_DATA = "see or change a student's consent, or export their data"
    GOVERN = "erase students or read the audit trail"


class Reach(Enum):
    """How far a role reaches with an act."""

    NOBODY = 0
    SELF = 1
    OWN = 2
    TENANT = 3


TABLE: Mapping[Act, Mapping[Role, Reach]] = {
    Act.READ: {"student": Reach.SELF, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.TRY: {"student": Reach.SELF, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.TRY_MANY: {"student": Reach.NOBODY, "teacher": Reach.OWN, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.RECORD: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.TENANT, "admin": Reach.TENANT},
    Act.OWN_DATA: {"student": Reach.SELF, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
    Act.GOVERN: {"student": Reach.NOBODY, "teacher": Reach.NOBODY, "service": Reach.NOBODY, "admin": Reach.TENANT},
}


class Caller(msgspec.Struct, frozen=True):
    """Who calls, as their token says, and from where. ``students`` are a teacher's own."""

    subject: str
    role: Role
    tenant: str = DEFAULT_TENANT
    students: frozenset[str] = frozenset()
    address: str = ""
    request_id: str = ""


def check_act(caller: Caller, act: Act) -> None:
    """Raises Forbidden where the caller's role may do this to nobody."""
    if TABLE[act][caller.role] is Reach.NOBODY:
        raise Forbidden(f"The role {caller.role} may not {act.value}.")


def check_student(caller: Caller, act: Act, student_id: str) -> None:
    """Raises Forbidden where the caller may not do this to this student, whether the student exists or not."""
    check_act(caller, act)
    reach = TABLE[act][caller.role]
    allowed = (
        reach is Reach.TENANT
        or (reach is Reach.OWN and student_id in caller.students)
        or (reach is Reach.SELF and student_id == caller.subject)
    )
    if not allowed:
        raise Forbidden("This student is not yours to see.", field="student_id")


def may_record(caller: Caller) -> bool:
    return TABLE[Act.RECORD][caller.role] is not Reach.NOBODY
