"""Calibrations for tests that do not ask how they are made."""

import msgspec

from mastery_engine.domain.forecast.calibration import UNKNOWN, Calibration
from mastery_engine.domain.moments import Micros


def learned(as_of: Micros, student_weeks: int, coverage: float | None = 0.8125) -> Calibration:
    """What a course has learned by a moment, by so many student-weeks; the rest is as if it had learned nothing."""
    return msgspec.structs.replace(UNKNOWN, as_of=as_of, student_weeks=student_weeks, coverage=coverage)
