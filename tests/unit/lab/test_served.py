"""Forecasts as they would have been served, on classes that nothing was fitted on."""

import msgspec
import pytest

from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.lab.forecast.courses import learners_of
from mastery_engine.lab.forecast.report import served_plots, served_table
from mastery_engine.lab.forecast.served import (
    CONFIDENCE_BINS,
    FEWEST,
    FEWEST_IN_BIN,
    FIRST_DAY,
    ServedForecast,
    accuracy_of,
    by_course,
    by_week,
    confidence_bins,
    course_of,
    past_courses,
    served_to_class,
)
from mastery_engine.lab.simulate.varied import CLASSES, class_events, drawn_plan
from mastery_engine.model_files import forecast_model
from mastery_engine.settings import Settings

RULES = Rules()
MODEL = forecast_model(Settings())
PLAN = next(plan for plan in CLASSES if plan.name == "evening")


@pytest.fixture(scope="module")
def made() -> list[ServedForecast]:
    return served_to_class(PLAN, MODEL, RULES, seed=3)


def test_a_class_that_nobody_has_seen_is_served_wide_and_then_right(made: list[ServedForecast]) -> None:
    found = by_course(made)[PLAN.cohort]
    assert found.before is not None
    assert found.calibrated is not None
    assert found.before.coverage80 >= 0.74
    assert 0.74 <= found.calibrated.coverage80 <= 0.86
    assert found.calibrated.of_persistence <= 1.02
    assert found.before.forecasts + found.calibrated.forecasts == len(made)


def test_a_forecast_knows_the_weeks_alone_that_were_over() -> None:
    """What a class does from some day on, left out, changes no forecast until then."""
    events = class_events(PLAN, seed=3, first=FIRST_DAY)
    cut = FIRST_DAY + 70
    both = [
        past_courses(learners_of(known, {}), lambda _: MODEL, RULES, calendar=False, tell=lambda _: None)[PLAN.cohort]
        for known in (events, [event for event in events if event.at < cut * DAY])
    ]
    whole, part = (past.calibration(cut - 8) for past in both)
    assert whole == part
    assert whole.student_weeks > 0
    assert both[0].persistence(cut - 8, 0.5) == both[1].persistence(cut - 8, 0.5)
    assert both[0].persistence(FIRST_DAY, 0.5) == (0.5,) * 19


def test_tables_and_plots_show_each_class_and_each_week(made: list[ServedForecast]) -> None:
    courses, weeks = by_course(made), by_week(made)
    words = "\n".join(served_table(courses, weeks))
    assert PLAN.cohort in words
    assert all(f"| {week} |" in words for week in weeks)
    assert served_plots(courses, weeks).keys() == {"classes", "coverage"}
    assert accuracy_of(made[: FEWEST - 1]) is None
    assert served_table({}, {}) == []
    assert served_plots({}, {}) == {}


def test_confidence_is_held_against_what_came_true(made: list[ServedForecast]) -> None:
    """Who states 0.9 and is right in half of the cases is off by 0.4, however right on average."""
    forecasts = 2 * FEWEST_IN_BIN
    sure = [msgspec.structs.replace(made[0], made=msgspec.structs.replace(made[0].made, confidence=0.9))] * forecasts
    near, far = sure[0].made.predicted + 0.04, sure[0].made.predicted + 0.06
    mixed = [msgspec.structs.replace(one, came=near if place % 2 else far) for place, one in enumerate(sure)]
    off = accuracy_of(mixed)
    assert off is not None
    assert off.confidence_off == pytest.approx(0.4)
    assert [one.forecasts for one in confidence_bins(mixed)] == [FEWEST_IN_BIN] * 2
    assert len(confidence_bins(sure * CONFIDENCE_BINS)) == CONFIDENCE_BINS
    assert len(confidence_bins(sure[:FEWEST])) == 1


def test_classes_are_unlike_one_another_and_the_same_for_the_same_seed() -> None:
    assert len({plan.name for plan in CLASSES}) == len(CLASSES) >= 20
    assert min(plan.weeks for plan in CLASSES) == 4
    assert max(plan.weeks for plan in CLASSES) == 40
    for plan in (*CLASSES[:3], drawn_plan(7)):
        small = msgspec.structs.replace(plan, students=5)
        ours = class_events(small, seed=1, first=FIRST_DAY)
        assert ours == class_events(small, seed=1, first=FIRST_DAY)
        assert ours != class_events(small, seed=2, first=FIRST_DAY)
        assert [event.at for event in ours] == sorted(event.at for event in ours)


def test_a_course_is_what_the_events_name_first() -> None:
    learner, *_ = learners_of(class_events(PLAN, seed=1, first=FIRST_DAY), {})
    assert course_of(learner) == PLAN.cohort
    nameless = [msgspec.structs.replace(event, metadata={}) for event in learner.events]
    assert course_of(learners_of(nameless, {})[0]) == "default"
