"""Times and days."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.moments import (
    DAY,
    EARLIEST,
    LATEST,
    date_of,
    day_of,
    day_of_date,
    iso_date,
    moment_of,
    rfc3339,
)

moments = st.integers(EARLIEST, LATEST)


@pytest.mark.parametrize(
    ("at", "day"),
    [(0, 0), (DAY - 1, 0), (DAY, 1), (-1, -1), (1_768_386_600_000_000, 20_467)],
)
def test_a_day_begins_at_midnight_utc(at: int, day: int) -> None:
    assert day_of(at) == day


def test_a_moment_is_kept_to_the_microsecond_whatever_its_zone() -> None:
    expected = 1_768_386_600_000_001
    for hours in (-12, -0.5, 0, 5.75, 14):
        zone = timezone(timedelta(hours=hours))
        when = datetime(2026, 1, 14, 10, 30, 0, 1, tzinfo=UTC).astimezone(zone)
        assert moment_of(when) == expected


def test_the_29th_of_february_is_a_day_of_its_own() -> None:
    leap = day_of_date(date(2028, 2, 29))
    assert [iso_date(leap + k) for k in (-1, 0, 1)] == ["2028-02-28", "2028-02-29", "2028-03-01"]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_768_386_600_000_000, "2026-01-14T10:30:00Z"),
        (1_768_386_600_000_001, "2026-01-14T10:30:00.000001Z"),
        (1_768_386_600_500_000, "2026-01-14T10:30:00.500000Z"),
        (LATEST, "9999-12-31T00:00:00Z"),
    ],
)
def test_times_are_written_as_rfc_3339(at: int, text: str) -> None:
    assert rfc3339(at) == text


@given(moments)
def test_what_is_written_reads_as_the_same_moment(at: int) -> None:
    assert moment_of(datetime.fromisoformat(rfc3339(at))) == at


@given(moments)
def test_days_and_dates_are_the_same_days(at: int) -> None:
    day = day_of(at)
    assert date_of(day) == datetime.fromisoformat(rfc3339(at)).date()
    assert day_of_date(date_of(day)) == day
    assert iso_date(day) == rfc3339(at)[:10]
