"""What a launch's roles make of its person here: a learner or an instructor.

The roles of the context decide. An administrator of the platform or of the school sees what an instructor sees, and
that is all: no role of another platform is an operator here. Whoever has no such role sees their own page, and nobody
else's.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

LtiRole: TypeAlias = Literal["learner", "instructor"]

VOCABULARY = "http://purl.imsglobal.org/vocab/lis/v2/"
IN_CONTEXT = f"{VOCABULARY}membership#"
IN_CONTEXT_MORE = f"{VOCABULARY}membership/"  # sub-roles: membership/Instructor#TeachingAssistant
EVERYWHERE = (f"{VOCABULARY}system/person#", f"{VOCABULARY}institution/person#")
TEACHES = frozenset({"Instructor", "Administrator", "Manager"})
ADMINISTERS = frozenset({"Administrator", "SysAdmin", "AccountAdmin"})
LEARNS = "Learner"


def role_of(roles: Iterable[str]) -> LtiRole:
    """The role of a person by the roles of a launch."""
    named = list(roles)
    if _in_context(named) & TEACHES:
        return "instructor"
    above = {role.rpartition("#")[2] for role in named if role.startswith(EVERYWHERE)}
    return "instructor" if above & ADMINISTERS else "learner"


def member_role(roles: Iterable[str]) -> LtiRole | None:
    """The role of a member in a roster's class; None for who neither learns nor teaches there."""
    here = _in_context(roles)
    if here & {"Instructor"}:
        return "instructor"
    return "learner" if LEARNS in here else None


def _in_context(roles: Iterable[str]) -> set[str]:
    """The roles in the context by their short names, a sub-role by that of its kind."""
    found = set()
    for role in roles:
        if role.startswith(IN_CONTEXT):
            found.add(role.removeprefix(IN_CONTEXT))
        elif role.startswith(IN_CONTEXT_MORE):
            found.add(role.removeprefix(IN_CONTEXT_MORE).partition("#")[0])
        elif "/" not in role and "#" not in role:
            found.add(role)  # short names are allowed for roles in the context
    return found
