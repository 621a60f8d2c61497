"""The calls that an answer proposes next: only those that this caller may make, with arguments that work."""

import json
from collections.abc import Mapping
from typing import Any

from mastery_engine.auth.access import TABLE, Act, Caller, Reach
from mastery_engine.mcp.quoted import quoted
from mastery_engine.mcp.results import NextCall


def may(caller: Caller, act: Act) -> bool:
    """Whether the role may do this to anybody at all."""
    return TABLE[act][caller.role] is not Reach.NOBODY


def about_class(caller: Caller, cohort_id: str) -> NextCall | None:
    """What to ask of a class: who needs help there. Students have nothing that they surely may ask."""
    if not may(caller, Act.COHORT):
        return None
    return NextCall(tool="cohort_overview", arguments={"cohort_id": quoted(cohort_id)})


def about_student(tool: str, student_id: str, course_id: str | None = None) -> NextCall:
    """A tool about one student, in a course where it is not the one that the tool would take."""
    named = {} if course_id is None else {"course_id": quoted(course_id)}
    return NextCall(tool=tool, arguments={"student_id": student_id, **named})


def to_find_ids(caller: Caller, field: str | None) -> NextCall | None:
    """How to learn which ids an argument may have, where it asks for those of students or classes."""
    if field in ("cohort_id", "cohort_ids"):
        return NextCall(tool="list_classes", arguments={})
    if field in ("student_id", "student_ids") and may(caller, Act.FIND):
        return NextCall(tool="find_student", arguments={"query": ""})
    return None


def in_words(call: NextCall) -> str:
    """A proposal at the end of an error."""
    arguments: Mapping[str, Any] = call.arguments
    return f"Next: {call.tool} {json.dumps(arguments, ensure_ascii=False)}"
