"""What each component costs a score."""

import pytest

from mastery_engine.domain.evidence.explanation import costs, missing
from mastery_engine.domain.evidence.score import score_of
from mastery_engine.domain.rules import Rules

RULES = Rules()


def test_the_costs_add_up_to_what_is_missing_from_one() -> None:
    score = score_of((0.5, None, 0.9, 1.0), RULES)
    found = costs(score, RULES)
    assert [one.component for one in found] == ["quiz", "completion", "quality", "consistency"]
    assert sum(one.cost for one in found) == pytest.approx(1.0 - score.score)
    assert not found[0].has_evidence


def test_the_needed_value_reaches_the_next_level_and_none_is_said_where_it_cannot() -> None:
    score = score_of((0.85, 0.9, 0.85, 0.82), RULES)
    needed = {one.component: one.needed for one in costs(score, RULES)}
    assert needed["consistency"] is None
    assert needed["completion"] == pytest.approx(0.945)
    assert missing(score, RULES) == pytest.approx(0.038)


def test_nothing_is_missing_at_the_highest_level() -> None:
    score = score_of((1.0, 1.0, 1.0, 1.0), RULES)
    assert missing(score, RULES) is None
    assert {one.needed for one in costs(score, RULES)} == {None}
