"""Results and scores (xAPI 1.0.3 Data 2.4.5; IEEE 9274.1.1, 4.2.2.4)."""

from typing import Any

from mastery_engine.lrs.broken import RuleBroken, has_only, is_boolean, is_number, is_object, is_text
from mastery_engine.lrs.rules.values import duration_is_iso8601, extensions_have_iris

RESULT = frozenset(("score", "success", "completion", "response", "duration", "extensions"))
SCORE = frozenset(("scaled", "raw", "min", "max"))


def result_is_formed(value: Any, at: str) -> None:
    """A result has a score, a success, a completion, a response, a duration and extensions; each is optional."""
    result = is_object(value, at)
    has_only(result, RESULT, at)
    if "score" in result:
        score_lies_within_its_bounds(result["score"], f"{at}.score")
    for name in ("success", "completion"):
        if name in result:
            is_boolean(result[name], f"{at}.{name}")
    if "response" in result:
        is_text(result["response"], f"{at}.response")
    if "duration" in result:
        duration_is_iso8601(result["duration"], f"{at}.duration")
    if "extensions" in result:
        extensions_have_iris(result["extensions"], f"{at}.extensions")


def score_lies_within_its_bounds(value: Any, at: str) -> None:
    """``scaled`` lies in [-1, 1], ``raw`` between ``min`` and ``max``, and ``min`` below ``max``."""
    score = is_object(value, at)
    has_only(score, SCORE, at)
    for name in score:
        is_number(score[name], f"{at}.{name}")
    if not -1 <= score.get("scaled", 0) <= 1:
        raise RuleBroken("score_lies_within_its_bounds", f"{at}.scaled", "must be from -1 to 1")
    low, high, raw = score.get("min"), score.get("max"), score.get("raw")
    if low is not None and high is not None and low >= high:
        raise RuleBroken("score_lies_within_its_bounds", f"{at}.max", "must be greater than min")
    if raw is not None and ((low is not None and raw < low) or (high is not None and raw > high)):
        raise RuleBroken("score_lies_within_its_bounds", f"{at}.raw", "must be from min to max")
