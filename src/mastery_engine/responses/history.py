"""The scores of a range of days. Scores lie in [0, 1] and are rounded to 4 decimals."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from mastery_engine.domain.evidence.history import Point
from mastery_engine.responses.scores import Score
from mastery_engine.responses.times import DateText


class HistoryPoint(msgspec.Struct, frozen=True):
    """A day's score, or the mean of a week's (``date``: its Monday) or a month's (its first)."""

    date: DateText
    mastery_score: Score
    level: str


class HistorySummary(msgspec.Struct, frozen=True):
    """The summary of the daily points; ``improvement`` is the last less the first. Null if there are none."""

    average: Score | None
    highest: Score | None
    lowest: Score | None
    improvement: float | None


class MasteryHistory(msgspec.Struct, frozen=True):
    """The scores of a range of days."""

    student_id: str
    start_date: DateText
    end_date: DateText
    aggregation: Literal["daily", "weekly", "monthly"]
    history: list[HistoryPoint]
    summary: HistorySummary


def history_summary(points: Sequence[Point]) -> HistorySummary:
    """The summary of a range of daily points."""
    if not points:
        return HistorySummary(None, None, None, None)
    scores = [point.score for point in points]
    return HistorySummary(
        round(sum(scores) / len(scores), 4), max(scores), min(scores), round(scores[-1] - scores[0], 4)
    )
