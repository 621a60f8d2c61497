"""What the calls about advice, paths and patterns take."""

from typing import Annotated

from pydantic import Field, StringConstraints

from mastery_engine.domain.advice.learning_path import Goal
from mastery_engine.domain.advice.recommendation import Priority
from mastery_engine.http.bodies import Body, StudentId


class Advise(Body):
    """How much advice at most, and of what priority at least."""

    student_id: StudentId
    limit: Annotated[int, Field(ge=1, le=10)] = 5
    priority: Priority = "low"


class FindPath(Body):
    """Where to. ``topic`` is a skill or a module of the curriculum; ``master_topic`` needs one."""

    student_id: StudentId
    goal: Goal = "improve_mastery"
    topic: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
