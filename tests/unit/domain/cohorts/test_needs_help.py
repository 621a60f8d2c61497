"""Who needs help, and why: each sign by its threshold, severity by its formula, and an independent reading of both."""

from datetime import timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastery_engine.domain.cohorts.needs_help import (
    FallSign,
    ForecastSign,
    InactivitySign,
    LowScoreSign,
    Sign,
    StruggleSign,
    StuckTopic,
    beyond,
    severity,
    signs_of,
    usual_gap,
)
from mastery_engine.domain.cohorts.standing import Standing, standing, those_who_need_help_first, worst_first
from mastery_engine.domain.evidence.history import History
from mastery_engine.domain.evidence.score import mastery_score, score_of
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.forecast.forecast import DayAhead, Forecast
from mastery_engine.domain.forecast.model import LEVELS
from mastery_engine.domain.moments import Micros, iso_date
from mastery_engine.domain.rules import COMPONENTS, Rules
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import apply
from tests.support.samples import DAY, NOW, TODAY, by_id, done, envelopes, event, failed, logged, quiz, when
from tests.support.samples import given as set_to

RULES = Rules()
GOOD = dict.fromkeys(COMPONENTS, 0.7)


def student_of(*events: Any, at: Micros = NOW) -> Student:
    return apply(NOBODY, logged(events), at, RULES).student


def signs(student: Student, at: Micros = NOW, ahead: Forecast | None = None) -> dict[str, Sign]:
    """The signs by their code."""
    found = signs_of(student, mastery_score(student.evidence, at, RULES), at, RULES, ahead)
    return {str(type(sign).__struct_config__.tag): sign for sign in found}


def ahead(median_: float, *, spread: float = 0.1, needed: bool = True) -> Forecast:
    """A forecast of a week whose last day is as likely below as above ``median_``."""
    quantiles = tuple(min(1.0, max(0.0, median_ + spread * (level - 0.5))) for level in LEVELS)
    return Forecast(0.7, tuple(DayAhead(TODAY + day, quantiles) for day in range(1, 8)), 0.5, "stable", needed)


# ---- the five signs


def test_a_student_without_a_sign_needs_no_help() -> None:
    assert signs(student_of(set_to(**GOOD), quiz(7, 10, "q"))) == {}
    assert signs(student_of(set_to(**GOOD)), ahead=ahead(0.4, needed=False)) == {}
    assert severity(()) == 0.0


def test_an_open_spell_says_on_what_and_since_when() -> None:
    events = [failed(str(number), error_type="TypeError", at=NOW - DAY + number) for number in range(3)]
    said = event("help", {"topic": "dicts", "message": "I'm stuck"}, "h")
    found = signs(student_of(set_to(**GOOD), *events, said))
    stuck = StuckTopic("dicts", 'a help message that says "im stuck"', TODAY, "asked_for_help")
    older = StuckTopic("loops", "TypeError 3 times since the last success", TODAY - 1, "repeated_error")
    assert found == {"struggle": StruggleSign((stuck, older))}
    ended = student_of(set_to(**GOOD), *events, event("execution", {"outcome": "success", "topic": "loops"}, "s"))
    assert signs(ended) == {}


def test_who_needs_intervention_needs_help_and_by_how_much() -> None:
    student = student_of(set_to(**GOOD))
    low = signs(student, ahead=ahead(0.48))["forecast"]
    assert isinstance(low, ForecastSign)
    assert (low.day, low.predicted, low.level, low.bound) == (TODAY + 7, 0.48, "developing", 0.5)
    assert low.probability == pytest.approx(0.7)
    lower = signs(student, ahead=ahead(0.59))["forecast"]
    assert isinstance(lower, ForecastSign)
    assert (lower.predicted, lower.level, lower.bound) == (0.59, "developing", 0.6)
    assert lower.probability == pytest.approx(0.6)
    nearly = signs(student, ahead=ahead(0.49996))["forecast"]
    assert isinstance(nearly, ForecastSign)
    assert (nearly.predicted, nearly.bound) == (0.4999, 0.5)


@pytest.mark.parametrize(("value", "is_low"), [(0.5, False), (0.4999999999, False), (0.49999, True), (0.3, True)])
def test_a_low_score_is_below_the_pass_mark(value: float, is_low: bool) -> None:
    found = signs(student_of(set_to(**dict.fromkeys(COMPONENTS, value))))
    assert ("low_score" in found) == is_low
    if is_low:
        assert found["low_score"] == LowScoreSign(min(round(value, 4), 0.4999), TODAY, TODAY)


def test_a_low_score_says_since_when() -> None:
    def scored(*values: tuple[int, float]) -> Student:
        events = [
            set_to(str(ago), at=NOW - ago * DAY, received=NOW - ago * DAY, **dict.fromkeys(COMPONENTS, value))
            for ago, value in values
        ]
        return student_of(*events)

    assert signs(scored((20, 0.4), (12, 0.6), (9, 0.45), (3, 0.3)))["low_score"] == LowScoreSign(
        0.3, TODAY - 9, TODAY - 3
    )
    week = event("consistency", {"current_streak": 7}, "c", at=NOW - 8 * DAY)
    worked = (quiz(10, 10, "q", at=NOW - 8 * DAY), done("loops", 3, 10, "d", at=NOW - 8 * DAY), week)
    only_aged = student_of(*worked, at=NOW - 8 * DAY)
    assert [point.score for point in only_aged.history.points()] == [0.52]
    aged = shown_score(mastery_score(only_aged.evidence, NOW, RULES).score, RULES)
    assert signs(only_aged)["low_score"] == LowScoreSign(aged, None, TODAY - 8)
    no_days = LowScoreSign(0.3, None, None)
    assert signs(Student(evidence=scored((0, 0.3)).evidence))["low_score"] == no_days


def history_of(*values: tuple[int, float]) -> History:
    """A history with these scores so many days ago, by the quiz alone; the other components are 0.7."""
    history = History()
    for ago, value in values:
        quiz_then = (value - 0.49) / 0.3
        history = history.with_point(TODAY - ago, score_of((0.7, quiz_then, 0.7, 0.7), RULES))
    return history


@pytest.mark.parametrize(
    ("values", "since"),
    [
        ([(14, 0.75)], 14),
        ([(14, 0.7499)], None),
        ([(15, 0.79)], None),
        ([(15, 0.79), (13, 0.76), (2, 0.79)], 13),
        ([(13, 0.72), (2, 0.79)], None),
        ([], None),
    ],
)
def test_a_score_falls_from_the_point_14_days_ago_or_the_oldest_since(
    values: list[tuple[int, float]], since: int | None
) -> None:
    student = Student(evidence=student_of(set_to(**GOOD)).evidence, history=history_of(*values))
    found = signs(student)
    if since is None:
        assert found == {}
    else:
        then = dict(values)[since]
        assert found == {
            "falling": FallSign(TODAY - since, then, 0.7, "quiz", pytest.approx((then - 0.49) / 0.3, abs=1e-4), 0.7)
        }
        assert found["falling"].fall == pytest.approx(then - 0.7)  # type: ignore[union-attr]


def test_a_fall_names_the_component_that_took_the_most_of_it() -> None:
    then = score_of((0.8, 0.9, 0.9, 0.7), RULES)
    now = student_of(set_to(completion=0.7, quiz=0.8, quality=0.5, consistency=0.8))
    (found,) = signs(Student(evidence=now.evidence, history=History().with_point(TODAY - 5, then))).values()
    assert found == FallSign(TODAY - 5, 0.84, 0.7, "quality", 0.9, 0.5)
    gone = student_of(set_to(completion=1.0, quality=1.0))
    (found,) = signs(Student(evidence=gone.evidence, history=History().with_point(TODAY - 5, then))).values()
    assert (found.component, found.part_now) == ("quiz", 0.0)  # type: ignore[union-attr]


def active(*ago: int) -> Student:
    """A student with a good score who worked so many days ago."""
    dates = [iso_date(TODAY - days) for days in ago]
    worked = event("consistency", {"activity_dates": dates}, "d", at=NOW - min(ago) * DAY)
    return student_of(worked, set_to(**GOOD))


@pytest.mark.parametrize(
    ("ago", "days", "allowed", "gap"),
    [
        ([6], None, 7, None),
        ([7], 7, 7, None),
        ([7, 9, 11, 13], 7, 7, None),
        ([7, 9, 11, 13, 15], 7, 7, 2),
        ([8, 11, 14, 17, 20], None, 9, 3),
        ([9, 12, 15, 18, 21], 9, 9, 3),
        ([9, 12, 15, 18, 62], 9, 7, None),
        ([9, 12, 15, 22, 30, 41], None, 21, 7),
    ],
)
def test_inactive_is_a_week_or_three_times_the_usual_gap(
    ago: list[int], days: int | None, allowed: float, gap: float | None
) -> None:
    found = signs(active(*ago))
    expected = {} if days is None else {"inactive": InactivitySign(days, TODAY - days, allowed, gap)}
    assert {code: sign for code, sign in found.items() if code == "inactive"} == expected


def test_who_never_worked_or_not_within_the_retention_is_not_inactive() -> None:
    assert "inactive" not in signs(student_of(set_to(**GOOD)))
    student = active(80)
    assert "inactive" in signs(student)
    assert "inactive" not in signs(student, NOW + 10 * DAY)


@given(st.sets(st.integers(0, 89)))
def test_a_usual_gap_is_the_median_of_the_days_between_active_days(ago: set[int]) -> None:
    recent = sorted(days for days in ago if days < 60)
    gaps = [later - earlier for earlier, later in pairwise(recent)]
    assert usual_gap(sum(1 << days for days in ago)) == (median(gaps) if len(recent) >= 5 else None)


# ---- severity


STRENGTHS: list[tuple[Sign, float]] = [
    (StruggleSign((StuckTopic("a", "", 0),)), 0.0),
    (StruggleSign((StuckTopic("a", "", 0), StuckTopic("b", "", 0))), 0.5),
    (ForecastSign(0, 0.4, "", 0.5, 0.5), 0.0),
    (ForecastSign(0, 0.4, "", 0.5, 0.4999), 0.0),
    (ForecastSign(0, 0.4, "", 0.5, 1.0), 0.5),
    (LowScoreSign(0.25, None, None), 0.5),
    (LowScoreSign(0.0, None, None), 1.0),
    (FallSign(0, 0.65, 0.6, "quiz", 0.0, 0.0), 0.0),
    (FallSign(0, 0.8, 0.6, "quiz", 0.0, 0.0), 0.75),
    (InactivitySign(7, 0, 7, None), 0.0),
    (InactivitySign(28, 0, 7, None), 0.75),
    (InactivitySign(28, 0, 14, 4.0), 0.5),
]


@pytest.mark.parametrize(("sign", "strength"), STRENGTHS)
def test_a_strength_is_the_part_beyond_the_threshold(sign: Sign, strength: float) -> None:
    assert sign.strength == pytest.approx(strength, abs=1e-9)
    assert severity([sign]) == pytest.approx(0.25 + 0.25 * strength, abs=1e-4)


def test_two_signs_at_their_thresholds_are_nearly_as_grave_as_one_at_its_worst() -> None:
    at_threshold, worst = STRENGTHS[0][0], STRENGTHS[6][0]
    assert severity([at_threshold, STRENGTHS[7][0]]) == 0.4375
    assert severity([worst]) == 0.5
    assert severity([at_threshold, STRENGTHS[7][0], STRENGTHS[9][0]]) == pytest.approx(1 - 0.75**3, abs=1e-4)


@given(st.lists(st.sampled_from([sign for sign, _ in STRENGTHS]), max_size=5), st.sampled_from(STRENGTHS))
def test_a_further_sign_makes_it_graver_and_the_order_of_signs_nothing(
    some: list[Sign], further: tuple[Sign, float]
) -> None:
    assert 0.0 <= severity(some) < severity([*some, further[0]]) < 1.0
    assert severity(some) == severity(some[::-1])


@given(st.floats(0.001, 1e3), st.floats(1.0, 1e3), st.floats(1.0, 10.0))
def test_who_is_further_beyond_a_threshold_is_stronger(threshold: float, times: float, more: float) -> None:
    found = threshold * times
    assert 0.0 <= beyond(threshold, found) <= beyond(threshold, found * more) < 1.0


# ---- any student, by an independent reading of the rule


@st.composite
def students(draw: st.DrawFn) -> Student:
    sent = draw(by_id(envelopes(first=NOW - 40 * DAY, last=NOW), min_size=1, max_size=12))
    events = [
        event(one["event_type"], one["data"], one["event_id"], timestamp=one["timestamp"], received=NOW) for one in sent
    ]
    student = NOBODY
    for one in sorted(events, key=lambda one: one.at):
        student = apply(student, logged([one]), max(student.updated, one.at), RULES).student
    return student


@settings(deadline=None)
@given(students(), st.integers(0, 30), st.floats(0.1, 0.9), st.booleans())
def test_the_codes_are_those_of_the_rule(student: Student, later: int, predicted: float, needed: bool) -> None:
    at = NOW + later * DAY
    found = standing("ada", student, at, RULES, ahead(predicted, needed=needed))
    if found is None:
        return
    codes = [str(type(sign).__struct_config__.tag) for sign in found.signs]
    score = mastery_score(student.evidence, at, RULES).score
    shown, today = shown_score(score, RULES), when(at).date()
    days = {(when(0) + timedelta(point.day)).date(): point for point in student.history.points(last=TODAY + later)}
    recent = [days[day] for day in sorted(days) if (today - day).days <= 14]
    falls = bool(recent) and round(shown_score(recent[0].score, RULES) - shown, 4) >= 0.05
    bits = student.evidence.activity.up_to(TODAY + later)
    ago = [back for back in range(90) if bits >> back & 1]
    in_60 = [back for back in ago if back < 60]
    gap = median([b - a for a, b in pairwise(in_60)]) if len(in_60) >= 5 else 0
    expected = {
        "struggle": any(spell.trigger for spell in student.guidance.spells.values()),
        "forecast": needed,
        "low_score": round(score, 9) < 0.5,
        "falling": falls,
        "inactive": bool(ago) and ago[0] >= max(7, 3 * gap),
    }
    assert codes == [code for code, holds in expected.items() if holds]
    assert (found.severity > 0) == bool(codes)
    silent = standing("ada", student, at, RULES, ahead(predicted, needed=needed), profiled=False)
    assert silent is not None
    assert (silent.signs, silent.severity, silent.score) == ((), 0.0, found.score)


# ---- where a student stands


def test_a_standing_is_the_score_of_its_day() -> None:
    events = [done("loops", 8, 10, "a", at=NOW - 3 * DAY), quiz(5, 10, "b", at=NOW - 3 * DAY)]
    student = student_of(*events, at=NOW - 3 * DAY)
    found = standing("ada", student, NOW, RULES, None)
    assert found is not None
    assert found.components[:3] == (0.8, 0.5, 0.0)
    assert found.score == pytest.approx(0.32 + 0.15 + 0.1 * found.components[3], abs=1e-9)
    assert (found.trend, RULES.levels[found.rank].name) == ("stable", "developing")
    later = standing("ada", student, NOW + DAY, RULES, None)
    assert later is not None
    assert later.score < found.score
    assert standing("ada", student, NOW + 90 * DAY, RULES, None) is None
    assert standing("ada", NOBODY, NOW, RULES, None) is None


def test_the_worst_come_first_then_by_id_and_then_who_needs_no_help_by_score() -> None:
    def one(name: str, score: float, *signs: Sign) -> Standing:
        return Standing(name, score, 0, (score,) * 4, "stable", signs, severity(signs))

    low, stuck = LowScoreSign(0.1, None, None), StruggleSign((StuckTopic("a", "", 0),))
    class_ = [one("eve", 0.9), one("bob", 0.7, stuck), one("kim", 0.6), one("ada", 0.8, stuck), one("tim", 0.1, low)]
    assert [one.student_id for one in sorted(class_, key=those_who_need_help_first)] == [
        "tim",
        "ada",
        "bob",
        "kim",
        "eve",
    ]
    in_need = sorted((one for one in class_ if one.signs), key=worst_first)
    assert [one.student_id for one in in_need] == ["tim", "ada", "bob"]
