"""What the calls about the future take."""

from typing import Annotated

from pydantic import Field

from mastery_engine.http.bodies import Body, StudentId


class NextWeek(Body):
    """Which student, and how many days ahead."""

    student_id: StudentId
    timeframe_days: Annotated[int, Field(ge=1, le=30)] = 7


class Trajectory(Body):
    """Which student, and how many days back."""

    student_id: StudentId
    days: Annotated[int, Field(ge=7, le=90)] = 30
