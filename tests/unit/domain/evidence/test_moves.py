"""What an update says of what changed: it sums to the difference of the two scores, event by event."""

from typing import Any

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from mastery_engine.domain.evidence.moves import Moved
from mastery_engine.domain.evidence.score import score_of
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.results import Updated
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Sent, Student
from mastery_engine.domain.transition import apply
from tests.support.samples import HOUR, NOW, by_id, done, envelopes, event, given, helped, logged, quiz

RULES = Rules()


def updated(student: Student, *events: Any, at: int, rules: Rules = RULES) -> tuple[Student, Updated]:
    student = apply(student, logged(events), at, rules, cold={}, settled={0: 1_000}).student
    update = student.outbox[0].result
    assert isinstance(update, Updated)
    return student, update


def causes(update: Updated) -> dict[tuple[int, str], float]:
    return {(one.place, by.kind): by.change for one in update.moved or () for by in one.causes}


@over(
    by_id(envelopes(first=NOW - 40 * DAY, last=NOW), min_size=1, max_size=10), st.lists(st.integers(0, 3), min_size=10)
)
def test_what_moved_sums_to_the_difference_of_what_was_sent(sent: list[dict[str, Any]], days: list[int]) -> None:
    student, at = NOBODY, NOW
    for one, later in zip(sent, days, strict=False):
        at += later * DAY
        accepted = event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW)
        before = student.sent.score
        student, update = updated(student, accepted, at=at)
        assert update.moved is not None
        assert sum(part.change for part in update.moved) == pytest.approx(student.sent.score - before, abs=1e-9)
        for part in update.moved:
            assert sum(by.change for by in part.causes) == pytest.approx(part.change, abs=1e-9)


def test_days_away_are_apart_from_the_day_of_work() -> None:
    student, first = updated(NOBODY, quiz(1, 2, "a"), at=NOW)
    assert causes(first) == {(1, "quiz"): pytest.approx(0.15), (3, "active"): pytest.approx(0.1 / 5.217031)}
    later = NOW + 4 * DAY
    student, second = updated(student, done("loops", 1, 2, "b", at=later, received=later), at=later)
    found = causes(second)
    assert found.keys() == {(0, "started"), (3, "away"), (3, "active")}
    assert found[3, "away"] < 0 < found[3, "active"]
    # The same day again moves nothing but what the event is about.
    again = later + HOUR
    student, third = updated(student, done("loops", 2, 2, "c", at=again, received=again), at=again)
    assert causes(third) == {(0, "completion"): pytest.approx(0.2)}
    after = again + 2 * DAY
    _, fourth = updated(student, given("d", at=after, received=after, quality=0.5), at=after)
    assert causes(fourth).keys() == {(2, "calculation"), (3, "away")}


def test_what_leaves_the_retention_meanwhile_is_named() -> None:
    rules, later = Rules(retention_days=5), NOW + 5 * DAY
    student, _ = updated(NOBODY, quiz(1, 1, "a"), at=NOW, rules=rules)
    _, update = updated(student, helped("b", at=later, received=later), at=later, rules=rules)
    assert causes(update)[1, "aged"] == pytest.approx(-0.3)


def test_an_engine_that_did_not_keep_what_it_sent_leaves_it_out_once() -> None:
    student, _ = updated(NOBODY, quiz(1, 2, "a"), at=NOW)
    old = Student(student.evidence, student.history, student.seen, Sent(student.sent.score, student.sent.level))
    student, update = updated(old, quiz(1, 1, "b"), at=NOW)
    assert update.moved is None
    _, update = updated(student, helped("c"), at=NOW)
    assert update.moved == ()


def test_a_move_names_its_component() -> None:
    _, update = updated(NOBODY, given("a", quality=0.5), at=NOW)
    (part,) = update.moved or ()
    assert isinstance(part, Moved)
    assert part.change == pytest.approx(score_of((None, None, 0.5, None), RULES).score)
