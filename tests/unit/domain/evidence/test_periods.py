"""The history by days, weeks and months."""

from datetime import date

import pytest

from mastery_engine.domain.evidence.history import Point
from mastery_engine.domain.evidence.periods import Aggregation, periods
from mastery_engine.domain.moments import day_of_date, iso_date
from mastery_engine.domain.rules import Rules

RULES = Rules()

SCORES = {
    date(2025, 12, 28): 0.1,  # a Sunday
    date(2025, 12, 29): 0.3,  # a Monday
    date(2025, 12, 31): 0.5,
    date(2026, 1, 1): 0.7,
    date(2026, 1, 4): 0.9,  # a Sunday
    date(2026, 1, 5): 0.95,  # a Monday
    date(2026, 3, 1): 0.4,
}
POINTS = [Point(day_of_date(day), RULES.level_index(score), score, (score,) * 4) for day, score in SCORES.items()]


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        (
            "daily",
            [
                ("2025-12-28", 0.1, "beginner"),
                ("2025-12-29", 0.3, "beginner"),
                ("2025-12-31", 0.5, "developing"),
                ("2026-01-01", 0.7, "competent"),
                ("2026-01-04", 0.9, "expert"),
                ("2026-01-05", 0.95, "expert"),
                ("2026-03-01", 0.4, "developing"),
            ],
        ),
        (
            "weekly",
            [
                ("2025-12-22", 0.1, "beginner"),
                ("2025-12-29", 0.6, "competent"),
                ("2026-01-05", 0.95, "expert"),
                ("2026-02-23", 0.4, "developing"),
            ],
        ),
        (
            "monthly",
            [("2025-12-01", 0.3, "beginner"), ("2026-01-01", 0.85, "proficient"), ("2026-03-01", 0.4, "developing")],
        ),
    ],
)
def test_periods_have_the_mean_of_their_points_and_its_level(
    aggregation: Aggregation, expected: list[tuple[str, float, str]]
) -> None:
    found = periods(POINTS, aggregation, RULES)
    assert [(iso_date(period.start), round(period.score, 12), period.level) for period in found] == expected


@pytest.mark.parametrize("aggregation", ["daily", "weekly", "monthly"])
def test_without_points_there_are_no_periods(aggregation: Aggregation) -> None:
    assert periods([], aggregation, RULES) == []
