"""The forecast: its promises, as properties, and the fast computation beside slow ones."""

from bisect import bisect_left
from itertools import pairwise
from random import Random
from statistics import fmean

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.forecast.calibration import UNKNOWN
from mastery_engine.domain.forecast.day_ahead import CLOSE, DayAhead
from mastery_engine.domain.forecast.features import aged, ahead, due_ahead, forecast_features
from mastery_engine.domain.forecast.forecast import LONGEST, Forecast, forecast
from mastery_engine.domain.forecast.model import (
    LEVELS,
    LOWER,
    MEDIAN,
    UPPER,
    ForecastModel,
    ForecastParameters,
    Part,
    group_of,
    parameters_from,
    with_forecast,
)
from mastery_engine.domain.forecast.network import WIDEST, Ensemble, Layer
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import apply
from mastery_engine.errors import InvalidInput
from mastery_engine.model_files import forecast_model
from mastery_engine.settings import Settings
from tests.support.samples import NOW, TODAY, by_id, done, envelopes, event, logged, quiz, raw

RULES = Rules()
SHIPPED = forecast_model(Settings())


# a course in which the networks were right
NETWORKS_ALONE = msgspec.structs.replace(UNKNOWN, weights=((1.0, 0.0, 0.0),) * 2, stretch=((1.0, 1.0),) * 2)


def student_of(*events: object) -> Student:
    return apply(NOBODY, logged(events), NOW, RULES, cold={}).student  # type: ignore[arg-type]


BUSY = student_of(
    *[done("loops", week, week + 1, f"c-{week}", at=NOW - (9 - week) * 7 * DAY) for week in range(1, 9)],
    *[quiz(7 + week % 3, 10, f"q-{week}", at=NOW - (9 - week) * 7 * DAY) for week in range(1, 9)],
    event("consistency", {"current_streak": 20}, "s-1", at=NOW - DAY),
)
DUE = tuple(TODAY + 7 * week - 2 for week in range(-9, 6))


@st.composite
def students(draw: st.DrawFn) -> Student:
    sent = draw(by_id(envelopes(first=NOW - 80 * DAY, last=NOW), min_size=1, max_size=12))
    events = [event(one["event_type"], one["data"], one["event_id"], received=NOW, at=_at(one)) for one in sent]
    return student_of(*events)


def _at(one: dict[str, object]) -> int:
    from datetime import datetime

    from mastery_engine.domain.moments import moment_of

    return moment_of(datetime.fromisoformat(str(one["timestamp"])))


def forecast_of(student: Student, days: int = 7, due: tuple[int, ...] = (), at: int = NOW) -> Forecast:
    return forecast(student, at, days, SHIPPED, RULES, due)


@settings(max_examples=25)
@given(students(), st.integers(1, LONGEST), st.sampled_from([(), DUE, DUE[:3]]))
def test_quantiles_rise_within_0_and_1_and_the_rest_follows_from_them(
    student: Student, days: int, due: tuple[int, ...]
) -> None:
    found = forecast_of(student, days, due)
    assert [day.day for day in found.days] == list(range(TODAY + 1, TODAY + days + 1))
    for day in found.days:
        assert list(day.quantiles) == sorted(day.quantiles)
        assert day.quantiles[0] >= 0.0
        assert day.quantiles[-1] <= 1.0
        assert day.lower <= day.score <= day.upper
    last = found.days[-1]
    lost = RULES.level_index(last.score) < RULES.level_index(found.now)
    assert found.intervention_needed == (last.score < 0.5 or lost)
    assert found.predicted == last.score
    assert 0.0 <= found.confidence <= 1.0


@settings(max_examples=15)
@given(students(), st.sampled_from([(), DUE]))
def test_the_same_document_gives_the_same_forecast(student: Student, due: tuple[int, ...]) -> None:
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(student), type=Student)
    assert forecast_of(student, 7, due) == forecast_of(copy, 7, due)


@settings(max_examples=15)
@given(students(), st.sampled_from([(), DUE]))
def test_no_day_is_surer_than_the_day_before(student: Student, due: tuple[int, ...]) -> None:
    """As far as 0 and 1 leave room."""
    for earlier, later in pairwise(forecast_of(student, LONGEST, due).days):
        if 0.0 < later.score < 1.0 and later.upper < 1.0:
            assert later.upper - later.score >= earlier.upper - earlier.score - 1e-9
        if 0.0 < later.score < 1.0 and later.lower > 0.0:
            assert later.score - later.lower >= earlier.score - earlier.lower - 1e-9


@settings(max_examples=15)
@given(students(), st.integers(1, LONGEST), st.sampled_from([(), DUE]))
def test_a_day_is_the_same_in_whatever_forecast_it_stands(student: Student, days: int, due: tuple[int, ...]) -> None:
    """To float rounding: the more days are asked for, the larger the matrices."""
    found, longest = forecast_of(student, days, due).days, forecast_of(student, LONGEST, due).days
    for one, other in zip(found, longest, strict=False):
        assert one.quantiles == pytest.approx(other.quantiles, abs=1e-6)


def test_of_a_new_student_any_course_may_be_true_and_after_two_weeks_the_model_rules() -> None:
    widths = []
    for days_ago in (0, 7, 13, 14, 20):
        new = student_of(quiz(5, 10, "q", at=NOW - days_ago * DAY), quiz(5, 10, "r", at=NOW))
        found = forecast_of(new)
        widths.append(found.days[-1].upper - found.days[-1].lower)
        assert found.confidence < 0.7 or days_ago >= 7
    assert widths[0] > 0.5
    assert widths[0] > widths[3]
    model_alone = forecast_of(student_of(quiz(5, 10, "q", at=NOW - 14 * DAY), quiz(5, 10, "r", at=NOW - 1)))
    assert widths[3] == pytest.approx(model_alone.days[-1].upper - model_alone.days[-1].lower, abs=1e-3)


@given(students(), st.integers(1, 120))
def test_the_aged_score_is_the_score_that_the_engine_gives_then(student: Student, days: int) -> None:
    here = forecast_features(student, NOW, RULES)
    assert aged(here, days, RULES).score == mastery_score(student.evidence, NOW + days * DAY, RULES).score


@given(st.integers(1, 400))
def test_nothing_tells_the_date(days: int) -> None:
    """The same past, some days later, is the same forecast_features: no number names a day."""
    here = forecast_features(BUSY, NOW, RULES)
    moved = student_of(
        *[
            done("loops", week, week + 1, f"c-{week}", at=NOW - (9 - week) * 7 * DAY + days * DAY)
            for week in range(1, 9)
        ],
        *[quiz(7 + week % 3, 10, f"q-{week}", at=NOW - (9 - week) * 7 * DAY + days * DAY) for week in range(1, 9)],
        event("consistency", {"current_streak": 20}, "s-1", at=NOW - DAY + days * DAY),
    )
    there = forecast_features(moved, NOW + days * DAY, RULES)
    assert there.numbers == pytest.approx(here.numbers, abs=1e-9)
    later = tuple(day + days for day in DUE)
    assert due_ahead(there, 7, later) == due_ahead(here, 7, DUE)


def test_a_first_day_has_a_wide_forecast() -> None:
    first = forecast_of(student_of(quiz(9, 10)))
    assert (
        first.days[-1].upper - first.days[-1].lower
        > forecast_of(BUSY).days[-1].upper - forecast_of(BUSY).days[-1].lower
    )


def test_nobody_can_be_forecast_too() -> None:
    found = forecast_of(NOBODY)
    assert found.now == 0.0
    assert found.intervention_needed


def test_a_due_day_widens_what_can_happen() -> None:
    quiet, due = (forecast_of(BUSY, 7, (*DUE[:9], TODAY + ahead)) for ahead in (40, 3))
    assert due.days[-1].upper - due.days[-1].lower > quiet.days[-1].upper - quiet.days[-1].lower


def test_the_cost_does_not_grow_with_the_history() -> None:
    """The document is bounded, and so are the numbers that are looked at."""
    assert len(forecast_features(BUSY, NOW, RULES).numbers) == len(forecast_features(NOBODY, NOW, RULES).numbers)


@pytest.mark.parametrize(("change", "trend"), [(0.2, "improving"), (0.0, "stable"), (-0.2, "declining")])
def test_the_trend_is_that_of_the_prediction(change: float, trend: str) -> None:
    """What a day away takes from consistency is given back first."""
    student = student_of(quiz(5, 10))
    lost = mastery_score(student.evidence, NOW, RULES).score - mastery_score(student.evidence, NOW + DAY, RULES).score
    model = ForecastModel(ForecastParameters(constant([change + lost] * len(LEVELS))))
    assert forecast(student, NOW, 1, model, RULES, (), NETWORKS_ALONE).trend == trend


def test_losing_a_level_calls_for_help_and_so_does_a_score_below_a_half() -> None:
    active = event("consistency", {"current_streak": 7}, "s")
    high = student_of(quiz(10, 10, "q"), done("loops", 9, 10, "c"), event("quality", quality(), "r"), active)
    assert mastery_score(high.evidence, NOW, RULES).level == "expert"
    for change, needed in ((0.0, False), (-0.1, True), (-0.9, True)):
        model = ForecastModel(ForecastParameters(constant([change] * len(LEVELS))))
        assert forecast(high, NOW, 1, model, RULES, (), NETWORKS_ALONE).intervention_needed is needed


def quality() -> dict[str, float]:
    return {"code_quality_score": 1.0, "correctness_score": 1.0, "efficiency_score": 1.0}


# ---- slow computations beside the fast one


def test_confidence_and_chances_are_those_of_draws_from_the_distribution() -> None:
    """Monte Carlo: 20,000 draws from the quantile function, linear between its levels."""
    chance = Random(7)
    day = forecast_of(BUSY, 7, DUE).days[-1]
    draws = [_drawn(chance.random(), day.quantiles) for _ in range(20_000)]
    for score in (day.score - CLOSE, day.score, day.score + CLOSE, day.lower, day.upper):
        assert day.at_most(score) == pytest.approx(fmean(draw <= score for draw in draws), abs=0.015)
        assert day.below(score) == pytest.approx(fmean(draw < score for draw in draws), abs=0.015)
    assert day.close() == pytest.approx(fmean(abs(draw - day.score) <= CLOSE for draw in draws), abs=0.015)


def _drawn(level: float, quantiles: tuple[float, ...]) -> float:
    place = bisect_left(LEVELS, level)
    if place in (0, len(LEVELS)):
        return quantiles[min(place, len(LEVELS) - 1)]
    share = (level - LEVELS[place - 1]) / (LEVELS[place] - LEVELS[place - 1])
    return quantiles[place - 1] + share * (quantiles[place] - quantiles[place - 1])


def test_all_mass_at_one_point() -> None:
    day = DayAhead(TODAY, (0.4,) * len(LEVELS))
    assert (day.below(0.4), day.at_most(0.4), day.below(0.41), day.at_most(0.39), day.close()) == (0, 1, 1, 0, 1)


def test_the_network_is_what_plain_loops_compute() -> None:
    parameters = shipped_parameters().with_calendar
    assert parameters is not None
    here = forecast_features(BUSY, NOW, RULES)
    left = aged(here, 7, RULES)
    row = here.numbers + ahead(here, 7, left) + due_ahead(here, 7, DUE)
    group = group_of(7, due=True)
    slow = _slow(parameters, row, group)
    fast = SHIPPED.with_calendar.moves([row], [group])[0]  # type: ignore[union-attr]
    assert fast == pytest.approx(slow, abs=1e-4)


def _slow(part: Part, row: tuple[float, ...], group: int) -> list[float]:
    means = np.frombuffer(part.ensemble.means, "<f4").tolist()
    deviations = np.frombuffer(part.ensemble.deviations, "<f4").tolist()
    scaled = [
        max(-WIDEST, min(WIDEST, (value - mean) / deviation)) if deviation else 0.0
        for value, mean, deviation in zip(row, means, deviations, strict=True)
    ]
    sums = [0.0] * len(LEVELS)
    for layers in part.ensemble.networks:
        values = scaled
        for number, layer in enumerate(layers):
            weights = np.frombuffer(layer.weights, "<f2").tolist()
            biases = np.frombuffer(layer.biases, "<f4").tolist()
            values = [
                bias + sum(value * weights[place * layer.outputs + out] for place, value in enumerate(values))
                for out, bias in enumerate(biases)
            ]
            if number < len(layers) - 1:
                values = [max(0.0, value) for value in values]
        sums = [total + value for total, value in zip(sums, sorted(values), strict=True)]
    quantiles = tuple(total / len(part.ensemble.networks) for total in sums)
    return [_drawn(level, quantiles) for level in part.levels[group]]


# ---- who is like the students of the fit


def test_a_student_of_another_kind_is_strange_and_a_file_that_does_not_tell_makes_all_strange() -> None:
    def row(student: Student) -> tuple[float, ...]:
        here = forecast_features(student, NOW, RULES)
        return here.numbers + ahead(here, 7, aged(here, 7, RULES))

    usual = student_of(*[quiz(8, 10, f"q-{week}", at=NOW - week * 28 * DAY) for week in range(1, 3)])
    judged = [event("quality", quality(), f"r-{back}", at=NOW - back * DAY) for back in range(60)]
    assert SHIPPED.strangeness(row(usual), 60) < SHIPPED.strangeness(row(student_of(*judged)), 60)
    assert SHIPPED.strangeness(row(usual), 60) < SHIPPED.strangeness(row(usual), 10)
    older = msgspec.structs.replace(shipped_parameters(), usual=None)
    assert ForecastModel(older).strangeness(row(usual), 60) == float("inf")


@pytest.mark.parametrize("changes", [{"precision": b""}, {"distances": (1.0,)}, {"distances": (0.0, *[1.0] * 7)}])
def test_usual_cases_that_do_not_fit_are_refused(changes: dict[str, object]) -> None:
    shipped = shipped_parameters()
    assert shipped.usual is not None
    usual = msgspec.structs.replace(shipped.usual, **changes)
    with pytest.raises(InvalidInput, match="fit together"):
        ForecastModel(msgspec.structs.replace(shipped, usual=usual))


# ---- parameters


def constant(moves: list[float], groups: int = 3) -> Part:
    """A part that always answers the same quantiles."""
    inputs = len(forecast_features(NOBODY, NOW, RULES).numbers) + len(
        ahead(forecast_features(NOBODY, NOW, RULES), 1, aged(forecast_features(NOBODY, NOW, RULES), 1, RULES))
    )
    layer = Layer.of(np.zeros((inputs, len(LEVELS)), np.float32), np.array(moves, np.float32))
    numbers = np.ones(inputs, np.float32).tobytes()
    return Part(Ensemble(numbers, numbers, ((layer,),)), (LEVELS,) * groups, ((),) * groups)


def shipped_parameters() -> ForecastParameters:
    from importlib.resources import files

    found = parameters_from(files("mastery_engine").joinpath("parameters", "forecast.msgpack").read_bytes())
    assert found is not None
    return found


def test_the_shipped_parameters_are_small() -> None:
    assert len(with_forecast(None, shipped_parameters())) < 320_000


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_a_file_keeps_its_other_parts_and_its_form(form: str) -> None:
    coder = getattr(msgspec, form)
    file = with_forecast(coder.encode({"version": 1, "skills": {"a": 1}}), ForecastParameters(constant([0.0] * 23)))
    assert coder.decode(file)["skills"] == {"a": 1}
    assert parameters_from(file) is not None


def test_a_file_without_a_forecast_has_none() -> None:
    assert parameters_from(msgspec.msgpack.encode({"version": 1, "skills": {}})) is None


@pytest.mark.parametrize("source", [b"", b"{", b"\xff", raw({"version": 2}), raw({"version": 1, "forecast": 3})])
def test_what_is_no_file_of_parameters_is_refused(source: bytes) -> None:
    with pytest.raises(InvalidInput):
        parameters_from(source)


@pytest.mark.parametrize("source", [b"\xff", b"{", b"[]"])
def test_nothing_is_added_to_what_is_no_file_of_parameters(source: bytes) -> None:
    with pytest.raises(InvalidInput):
        with_forecast(source, ForecastParameters(constant([0.0] * 23)))


@pytest.mark.parametrize("groups", [2, 6])
def test_parameters_that_do_not_fit_together_are_refused(groups: int) -> None:
    with pytest.raises(InvalidInput, match="fit together"):
        ForecastModel(ForecastParameters(constant([0.0] * 23, groups)))


def test_the_median_and_the_interval_are_where_their_levels_say() -> None:
    assert (LEVELS[LOWER], LEVELS[MEDIAN], LEVELS[UPPER]) == (0.1, 0.5, 0.9)


def test_confidence_for_other_groups_than_the_levels_is_refused() -> None:
    part = msgspec.structs.replace(constant([0.0] * len(LEVELS)), confidence=((),))
    with pytest.raises(InvalidInput, match="fit together"):
        ForecastModel(ForecastParameters(part))


def _changed(**changes: object) -> Part:
    """A part whose networks are others."""
    part = constant([0.0] * len(LEVELS))
    return msgspec.structs.replace(part, ensemble=msgspec.structs.replace(part.ensemble, **changes))


def _layer(bias: float, outputs: int = len(LEVELS)) -> Layer:
    inputs = len(constant([0.0] * len(LEVELS)).ensemble.means) // 4
    return Layer.of(np.zeros((inputs, outputs), np.float32), np.full(outputs, bias, np.float32))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (_changed(networks=()), "no network"),
        (_changed(networks=((),)), "fit together"),
        (_changed(networks=((_layer(float("nan")),),)), "finite"),
        (_changed(deviations=np.full(len(constant([0.0]).ensemble.means) // 4, np.nan, "<f4").tobytes()), "finite"),
        (_changed(networks=((_layer(0.0, 5),),)), "must have 23 outputs"),
        (msgspec.structs.replace(_changed(), levels=((float("nan"),) * len(LEVELS),) * 3), "finite"),
        (msgspec.structs.replace(_changed(), confidence=(((0.5, float("inf")),),) * 3), "finite"),
    ],
)
def test_networks_that_cannot_compute_are_refused(part: Part, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parameters_from(with_forecast(None, ForecastParameters(part)))


def test_networks_for_other_inputs_than_the_engine_has_are_refused() -> None:
    alone = constant([0.0] * len(LEVELS))
    with pytest.raises(InvalidInput, match="inputs, but this engine has"):
        parameters_from(with_forecast(None, ForecastParameters(alone, constant([0.0] * len(LEVELS), 6))))
    numbers = np.ones(3, np.float32).tobytes()
    layer = Layer.of(np.zeros((3, len(LEVELS)), np.float32), np.zeros(len(LEVELS), np.float32))
    few = msgspec.structs.replace(alone, ensemble=Ensemble(numbers, numbers, ((layer,),)))
    with pytest.raises(InvalidInput, match="for 3 inputs"):
        parameters_from(with_forecast(None, ForecastParameters(few)))


def test_a_field_that_the_forecast_does_not_know_is_refused() -> None:
    with pytest.raises(InvalidInput, match="forcast"):
        parameters_from(raw({"version": 1, "forcast": {}}))


def test_evidence_that_has_left_the_retention_is_not_looked_at() -> None:
    gone = forecast_features(BUSY, NOW + 200 * DAY, RULES)
    assert gone.submitted == ()
    assert (
        gone.numbers[: len(gone.numbers) - 24]
        == forecast_features(NOBODY, NOW, RULES).numbers[: len(gone.numbers) - 24]
    )
    half = forecast_features(student_of(quiz(1, 2, "old", at=NOW - 80 * DAY), quiz(1, 2, "new")), NOW + 20 * DAY, RULES)
    assert half.submitted == (TODAY,)


def test_the_rhythm_goes_back_twelve_weeks() -> None:
    old = student_of(quiz(1, 2, "old", at=NOW - 80 * DAY))
    weeks = [sum(forecast_features(old, NOW + days * DAY, RULES).numbers[-12:]) for days in (0, 3, 4, 9)]
    assert weeks == [1.0, 1.0, 0.0, 0.0]
