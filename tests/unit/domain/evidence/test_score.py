"""The formula, the levels and the coverage."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE, Evidence
from mastery_engine.domain.evidence.score import FourValues, components, consistency, mastery_score, score_of
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.rules import DifficultyWeights, Rules, Weights
from tests.support import oracle as plain
from tests.support.samples import (
    ANSWER,
    COMPLETION,
    FOUR,
    HELP,
    NOW,
    QUALITY,
    QUIZ,
    TODAY,
    by_id,
    done,
    envelopes,
    event,
    evidence_of,
    helped,
    quiz,
    when,
)
from tests.support.samples import given as set_to

RULES = Rules()


def evidence(*events: LearningEvent, retention_days: int = 90) -> Evidence:
    found = NO_EVIDENCE
    for one in events:
        found = found.merge(evidence_of(one, retention_days=retention_days))
    return found


def found(*events: LearningEvent, at: int = NOW, rules: Rules = RULES) -> dict[str, float | None]:
    values = components(evidence(*events, retention_days=rules.retention_days), at, rules)
    return dict(zip(FOUR, values, strict=True))


def active(*back: int, at: int = TODAY) -> float | None:
    return consistency(ActiveDays.of(*[at - k for k in back]), at, at - 89)


# ---- the score


def test_the_briefs_sample_scores_0_862() -> None:
    result = score_of((0.85, 0.90, 0.85, 0.82), RULES)
    assert result.score == pytest.approx(0.862, abs=1e-12)
    assert (result.level, result.rank) == ("proficient", 3)
    assert result.coverage == pytest.approx(1.0, abs=1e-12)
    assert result.components == (0.85, 0.90, 0.85, 0.82)


@pytest.mark.parametrize(
    ("values", "score", "coverage"),
    [
        ((None, None, None, None), 0.0, 0.0),
        ((1.0, None, 0.5, 0.5), 0.55, 0.7),
        ((None, 0.0, None, None), 0.0, 0.3),
        ((None, None, None, 1.0), 0.1, 0.1),
        ((1.0, 1.0, 1.0, 1.0), 1.0, 1.0),
    ],
)
def test_without_evidence_a_component_counts_as_0_and_is_not_covered(
    values: FourValues, score: float, coverage: float
) -> None:
    result = score_of(values, RULES)
    assert result.score == pytest.approx(score, abs=1e-12)
    assert result.coverage == pytest.approx(coverage, abs=1e-12)


def test_a_school_weighs_as_it_likes() -> None:
    rules = Rules(weights=Weights(0.0, 1.0, 0.0, 0.0), difficulty=DifficultyWeights(1.0, 1.0, 3.0))
    assert score_of((0.1, 0.7, 0.2, 0.3), rules).score == 0.7
    easy = event("completion", {**COMPLETION, "difficulty": "beginner", "topic": "a"}, "1")
    hard = event("completion", {**COMPLETION, "difficulty": "advanced", "topic": "b", "completed_exercises": 0}, "2")
    assert found(easy, hard, rules=rules)["completion"] == pytest.approx(8 / 40, abs=1e-12)


def test_the_sum_of_floats_decides_no_level() -> None:
    """0.9 of everything is 0.9000000000000001 or 0.8999999999999999, by the order of the sum."""
    for value, level in [(0.4, "developing"), (0.6, "competent"), (0.75, "proficient"), (0.9, "expert")]:
        assert score_of((value, value, value, value), RULES).level == level
        below = value - 1e-8
        assert score_of((below, below, below, below), RULES).level != level


# ---- completion, quiz, quality


def test_completion_weighs_topics_by_difficulty() -> None:
    data = {"total_exercises": 10, "completed_exercises": 5}
    easy = event("completion", {**data, "difficulty": "beginner", "topic": "a"}, "1")
    hard = event("completion", {**data, "completed_exercises": 10, "difficulty": "advanced", "topic": "b"}, "2")
    assert found(easy, hard)["completion"] == pytest.approx(16 / 20, abs=1e-12)
    assert found(easy, hard, done("c", 0, 20, "3"))["completion"] == pytest.approx(16 / 40, abs=1e-12)
    assert found(easy)["completion"] == 0.5


def test_none_done_is_evidence_and_none_given_is_not() -> None:
    assert found(done("a", 0, 10))["completion"] == 0.0
    assert found(helped())["completion"] is None


def test_each_component_has_its_own_evidence() -> None:
    assert found(event("quality", QUALITY)) == {
        "completion": None,
        "quiz": None,
        "quality": pytest.approx(0.6, abs=1e-12),
        "consistency": pytest.approx(1 / 5.217031, abs=1e-12),
    }
    assert found(event("answer", {**ANSWER, "correct": False}))["quiz"] == 0.0


# ---- consistency, as the contract gives it


def test_active_on_each_of_ones_first_7_days_is_1() -> None:
    assert active(*range(7)) == pytest.approx(1.0, abs=1e-12)


def test_a_day_away_after_7_days_is_0_824() -> None:
    assert round(active(*range(1, 8)) or 0, 3) == 0.824


def test_a_day_away_after_30_full_days_is_0_896() -> None:
    assert round(active(*range(1, 31)) or 0, 3) == 0.896
    assert active(*range(1, 31)) == active(*range(1, 80))


@pytest.mark.parametrize("back", [[0], [6], [0, 5], [29], [14, 15], [0, 14, 15, 29], [30], [3, 89], range(90)])
def test_consistency_is_the_formulas(back: list[int]) -> None:
    last = min(29, max(6, *back, 0))
    expected = sum(0.9**k for k in back if k <= last) / sum(0.9**k for k in range(last + 1))
    assert active(*back) == pytest.approx(expected, abs=1e-12)


def test_days_outside_the_retention_neither_count_nor_lengthen_the_window() -> None:
    assert active(90) is None
    assert active(0, 90) == active(0)
    assert active(-1) is None  # tomorrow counts from tomorrow on
    assert active(-1, 0) == active(0)
    assert consistency(ActiveDays.of(TODAY), TODAY + 1, TODAY + 1 - 89) == active(1)


def test_a_shorter_retention_than_the_window() -> None:
    assert consistency(ActiveDays.of(TODAY, TODAY - 3), TODAY, TODAY) == active(0)


# ---- components that were set


NATIVE = [
    ("completion", "completion", COMPLETION, 0.8),
    ("quiz", "quiz", QUIZ, 0.9),
    ("quiz", "answer", ANSWER, 1.0),
    ("quality", "quality", QUALITY, 0.6),
]


@pytest.mark.parametrize(("name", "kind", "data", "alone"), NATIVE, ids=[row[1] for row in NATIVE])
def test_a_component_holds_until_evidence_with_a_later_time(
    name: str, kind: str, data: dict[str, Any], alone: float
) -> None:
    at = NOW - DAY
    for value in (0.0, 0.25):
        for event_id in ("a", "z"):  # at the same time it holds, whichever id is the greater
            direct = set_to("m", at=at, **{name: value})
            for later in (-DAY, -1, 0):
                assert found(event(kind, data, event_id, at=at + later), direct)[name] == value
            assert found(event(kind, data, event_id, at=at + 1), direct)[name] == pytest.approx(alone, abs=1e-12)


def test_what_was_known_before_stays_underneath() -> None:
    before, direct, after = quiz(5, 5, "1", at=NOW - 14 * DAY), set_to("2", at=NOW - DAY, quiz=0.9), quiz(0, 5, "3")
    assert found(before, direct)["quiz"] == 0.9
    assert found(before, direct, after)["quiz"] == pytest.approx(1 / 3, abs=1e-12)
    topics = [done("a", 1, 2, "1", at=NOW - 2), set_to("2", at=NOW - 1, completion=0.1), done("b", 0, 2, "3")]
    assert found(*topics[:2])["completion"] == 0.1
    assert found(*topics)["completion"] == 0.25


def test_consistency_holds_until_a_later_active_day() -> None:
    direct = set_to("d", at=NOW - DAY, consistency=0.5)
    assert found(direct)["consistency"] == 0.5
    assert found(direct, helped(at=NOW - DAY + 60 * MINUTE))["consistency"] == 0.5
    assert found(direct, helped("1", at=NOW - 2 * DAY))["consistency"] == 0.5
    assert found(direct, helped())["consistency"] == pytest.approx(1 / 5.217031, abs=1e-12)
    named = event("consistency", {"activity_dates": ["2026-01-15"]}, "t")
    assert found(direct, named)["consistency"] == 0.5
    assert found(direct, named, at=NOW + DAY)["consistency"] == pytest.approx(1 / 5.217031, abs=1e-12)
    long_ago = set_to("d", at=NOW - 80 * DAY, consistency=0.5)
    assert found(long_ago, helped(at=NOW - 40 * DAY))["consistency"] == 0.0
    assert found(set_to("d", consistency=0.5), helped(at=NOW))["consistency"] == 0.5


def test_what_was_set_a_little_ahead_counts_at_once_but_consistency_from_its_day_on() -> None:
    evening = (TODAY + 1) * DAY - 2 * MINUTE
    ahead = set_to(at=(TODAY + 1) * DAY + MINUTE, received=evening, quiz=0.3, consistency=0.4)
    active_today = helped("h", at=evening)
    result = found(ahead, active_today, at=evening)
    assert result["quiz"] == 0.3
    assert result["consistency"] == pytest.approx(1 / 5.217031, abs=1e-12)
    assert found(ahead, at=evening)["consistency"] is None
    assert found(ahead, active_today, at=evening + 2 * MINUTE)["consistency"] == 0.4


@pytest.mark.parametrize("name", FOUR)
def test_of_two_that_set_it_the_later_holds_and_at_the_same_time_the_greater_id(name: str) -> None:
    older = set_to("z", at=NOW - 1, **{name: 0.1})
    first, second = set_to("Z", **{name: 0.2}), set_to("a", **{name: 0.3})
    for order in [(older, first, second), (second, first, older), (first, second, older)]:
        assert found(*order)[name] == 0.3
    assert found(first, older)[name] == 0.2


def test_a_calculation_sets_only_what_it_names() -> None:
    assert found(set_to("1", quiz=0.1, quality=0.2), set_to("2", quiz=0.7)) == {
        "completion": None,
        "quiz": 0.7,
        "quality": 0.2,
        "consistency": None,
    }


# ---- the retention


@pytest.mark.parametrize("name", FOUR)
def test_what_was_set_ages_by_its_day(name: str) -> None:
    direct = set_to(at=TODAY * DAY, **{name: 0.5})
    assert found(direct, at=(TODAY + 90) * DAY - 1)[name] == 0.5
    assert found(direct, at=(TODAY + 90) * DAY)[name] is None


@pytest.mark.parametrize(("name", "kind", "data", "alone"), NATIVE, ids=[row[1] for row in NATIVE])
def test_evidence_ages_by_its_day(name: str, kind: str, data: dict[str, Any], alone: float) -> None:
    last = event(kind, data, at=(TODAY + 1) * DAY - 1)
    assert found(last, at=(TODAY + 90) * DAY - 1)[name] == pytest.approx(alone, abs=1e-12)
    assert found(last, at=(TODAY + 90) * DAY)[name] is None


def test_when_what_was_set_has_aged_out_later_evidence_still_counts() -> None:
    direct, later = set_to("1", quiz=0.1), quiz(9, 10, "2", at=NOW + DAY, received=NOW + DAY)
    assert found(direct, later, at=NOW + 90 * DAY)["quiz"] == pytest.approx(0.9, abs=1e-12)


def test_a_shorter_retention_forgets_sooner() -> None:
    week = Rules(retention_days=7)
    assert found(quiz(1, 1), at=NOW + 6 * DAY, rules=week)["quiz"] == 1.0
    assert found(quiz(1, 1), at=NOW + 7 * DAY, rules=week)["quiz"] is None


def test_evidence_a_little_ahead_counts_at_once_but_its_day_from_then_on() -> None:
    evening = (TODAY + 1) * DAY - 2 * MINUTE
    ahead = event("quiz", QUIZ, at=(TODAY + 1) * DAY + MINUTE, received=evening)
    result = found(ahead, at=evening)
    assert result["quiz"] == pytest.approx(0.9, abs=1e-12)
    assert result["consistency"] is None
    assert found(ahead, at=evening + 2 * MINUTE)["consistency"] == pytest.approx(1 / 5.217031, abs=1e-12)


# ---- against the plain reading


@given(by_id(envelopes(last=NOW), max_size=12), st.sampled_from([0, 1, 6, 7, 29, 30, 60, 88, 89, 90]))
def test_the_score_is_that_of_a_plain_reading_at_any_later_time(sent: list[dict[str, Any]], later: int) -> None:
    events = [
        event(one["event_type"], one["data"], one["event_id"], received=NOW, timestamp=one["timestamp"]) for one in sent
    ]
    at = NOW + later * DAY
    result = mastery_score(evidence(*events), at, RULES)
    expected = plain.score([(one, when(NOW)) for one in sent], when(at)).get("ada")
    if expected is None:
        assert result.components == (None, None, None, None)
        return
    assert result.components == pytest.approx(tuple(expected.components.values()), abs=1e-9)
    assert result.score == pytest.approx(expected.score, abs=1e-9)
    assert result.coverage == pytest.approx(expected.coverage, abs=1e-9)
    assert result.level == expected.level


def test_help_is_known_but_scores_little() -> None:
    result = mastery_score(evidence(event("help", HELP)), NOW, RULES)
    assert result.level == "beginner"
    assert result.score == pytest.approx(0.1 / 5.217031, abs=1e-12)
