"""When a delivery is tried again: the schedule as a whole, and what receivers ask for."""

from itertools import pairwise

import pytest

from mastery_engine.domain.moments import DAY, MINUTE, SECOND
from mastery_engine.out.retries import asked_wait, next_attempt
from tests.support.samples import NOW


def attempts(chance: float, wait: int = 0) -> list[float]:
    """The moments of all attempts, in seconds since it was queued, of what fails each time."""
    moments, now, number = [0.0], NOW, 0
    while True:
        number += 1
        due = next_attempt(attempts=number, queued=NOW, now=now, wait=wait, chance=chance)
        if due is None:
            return moments
        now = due
        moments.append((now - NOW) / SECOND)


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_the_pauses_grow_from_seconds_to_an_hour_and_end_after_a_day(chance: float) -> None:
    moments = attempts(chance)
    pauses = [after - before for before, after in pairwise(moments)]
    assert 0 < pauses[0] < 10
    assert moments[-1] == 24 * 3_600
    growing = pauses[:7]
    assert growing == sorted(growing)
    assert max(pauses) <= 1.2 * 3_600
    assert 20 < len(moments) < 50


def test_what_failed_together_is_not_tried_together() -> None:
    assert attempts(0.1)[1] != attempts(0.9)[1]


def test_what_waited_all_day_behind_another_still_has_three_attempts() -> None:
    late = NOW + DAY + MINUTE
    due = [next_attempt(attempts=number, queued=NOW, now=late, wait=0, chance=0.5) for number in (1, 2, 3)]
    assert due == [late + 5 * SECOND, late + 15 * SECOND, None]


def test_a_receiver_is_left_alone_as_long_as_it_asks_but_an_hour_at_most() -> None:
    for wait, pause in ((0, 5 * SECOND), (SECOND, 5 * SECOND), (MINUTE, MINUTE), (DAY, 60 * MINUTE)):
        assert next_attempt(attempts=1, queued=NOW, now=NOW, wait=wait, chance=0.5) == NOW + pause


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, 0),
        ("", 0),
        ("120", 120 * SECOND),
        (" 7 ", 7 * SECOND),
        ("99999999999999999999", 60 * MINUTE),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("Wed, 14 Jan 2026 10:30:30 GMT", 30 * SECOND),
        ("Wed, 14 Jan 2026 10:30:30 -0000", 30 * SECOND),
        ("Wed, 14 Jan 2026 09:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60 * MINUTE),
        ("Wed, 99 Jan 2026 10:30:30 GMT", 0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(header: str | None, wait: int) -> None:
    at = 1_768_386_600 * SECOND  # 2026-01-14T10:30:00Z
    assert asked_wait(header, at) == wait
