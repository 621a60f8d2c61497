"""The past weeks of a student, forecast as they would have been."""

import pytest

from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.forecast.forecast import model_ahead
from mastery_engine.domain.forecast.misses import documents, misses_of
from mastery_engine.domain.moments import DAY, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import apply
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.model_files import forecast_model
from mastery_engine.settings import Settings
from tests.support.samples import NOW, TODAY, done, quiz

RULES = Rules()
SHIPPED = forecast_model(Settings())


def events_of(days: int = 40) -> list[LearningEvent]:
    return past(pupils(1, 3), days=days, seed=3, until=NOW)


def test_each_week_that_was_over_is_one_and_is_what_the_engine_would_have_said() -> None:
    events = events_of()
    misses = misses_of(events, SHIPPED, RULES, until=NOW)
    first = day_of(events[0].at)
    assert 4 <= len(misses) <= 5
    assert [miss.target - miss.origin for miss in misses] == [7] * len(misses)
    assert 0 <= misses[0].origin - first < 7
    assert misses[-1].target < TODAY
    by_day = dict(documents(events, range(first, TODAY), RULES))
    for miss in misses:
        then, later = by_day[miss.origin], by_day[miss.target]
        alone = model_ahead(then, RULES.end_of(miss.origin), (7,), SHIPPED, RULES)
        assert miss.now == mastery_score(then.evidence, RULES.end_of(miss.origin), RULES).score
        assert miss.aged == mastery_score(then.evidence, RULES.end_of(miss.target), RULES).score
        assert miss.came == mastery_score(later.evidence, RULES.end_of(miss.target), RULES).score
        assert miss.model == alone.quantiles[-1]
        assert (miss.has_calendar, miss.due) == (False, False)


def test_the_order_of_the_events_and_their_receipts_do_not_matter() -> None:
    import msgspec

    events = events_of()
    late = [msgspec.structs.replace(event, received=NOW) for event in reversed(events)]
    assert misses_of(late, SHIPPED, RULES, until=NOW) == misses_of(events, SHIPPED, RULES, until=NOW)


def test_what_comes_later_changes_no_earlier_week() -> None:
    events = events_of()
    cut = events[len(events) // 2].at
    whole = misses_of(events, SHIPPED, RULES, until=NOW)
    part = misses_of([event for event in events if event.at <= cut], SHIPPED, RULES, until=cut)
    assert part == whole[: len(part)]
    assert len(part) >= 1


def test_what_a_log_no_longer_has_is_taken_from_the_document() -> None:
    """All topics were completed before the log begins, so that nothing of them is lost."""
    early = [done(topic, 5, 10, f"early-{topic}", at=NOW - 60 * DAY) for topic in ("loops", "files")]
    quizzes = [quiz(back % 10, 10, f"quiz-{back}", at=NOW - back * DAY) for back in range(58, 0, -1)]
    events, first_logged = [*early, *quizzes], TODAY - 30
    document = apply(NOBODY, [Logged(event, 0, place) for place, event in enumerate(events)], NOW, RULES).student
    logged = [event for event in events if day_of(event.at) >= first_logged]
    found = misses_of(logged, SHIPPED, RULES, until=NOW, document=document)
    by_day = dict(documents(events, range(first_logged, TODAY), RULES))
    assert [miss.origin for miss in found] == [*range(found[0].origin, TODAY - 7, 7)]
    assert found[0].origin - first_logged < 7
    for miss in found:
        alone = model_ahead(by_day[miss.origin], RULES.end_of(miss.origin), (7,), SHIPPED, RULES)
        assert miss.now == pytest.approx(alone.here.score, abs=1e-9)
        assert miss.came == pytest.approx(score_at_end(by_day[miss.target], miss.target), abs=1e-9)
        assert miss.model == pytest.approx(alone.quantiles[-1], abs=1e-5)
        assert miss.known_for == alone.known_for
    alone = misses_of(logged, SHIPPED, RULES, until=NOW)
    assert [miss.now for miss in alone] != pytest.approx([miss.now for miss in found], abs=0.05)


def score_at_end(student: Student, day: int) -> float:
    return mastery_score(student.evidence, RULES.end_of(day), RULES).score


def test_a_calendar_is_that_which_was_known() -> None:
    joined = NOW - 20 * DAY
    due = tuple(range(TODAY - 40, TODAY + 1, 14))
    misses = misses_of(events_of(), SHIPPED, RULES, until=NOW, due_known=lambda at: due if at >= joined else ())
    assert [miss.has_calendar for miss in misses] == [RULES.end_of(miss.origin) >= joined for miss in misses]
    assert {miss.due for miss in misses if miss.has_calendar} == {True, False}


def test_who_is_forgotten_by_then_has_no_week() -> None:
    events = events_of(3)
    misses = misses_of(events, SHIPPED, RULES, until=NOW + 400 * DAY)
    assert 0 < len(misses) <= RULES.retention_days // 7 + 1
    assert misses_of([], SHIPPED, RULES, until=NOW) == []
