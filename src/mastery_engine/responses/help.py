"""Why a student needs help, in words: on what, by how much, and since when."""

from collections.abc import Iterable
from typing import Literal, TypeAlias, assert_never

import msgspec

from mastery_engine.domain.cohorts.needs_help import (
    FallSign,
    ForecastSign,
    InactivitySign,
    LowScoreSign,
    Sign,
    StruggleSign,
)
from mastery_engine.domain.moments import iso_date
from mastery_engine.domain.rules import PASS_MARK

Code: TypeAlias = Literal["struggle", "forecast", "low_score", "falling", "inactive"]


class Reason(msgspec.Struct, frozen=True):
    """One reason why a student needs help: what it is in a sentence, and the figures that it rests on."""

    code: Code
    message: str
    evidence: str


def reasons(signs: Iterable[Sign]) -> list[Reason]:
    """The signs as they are sent: a reason for each, and for each topic on which the student is stuck."""
    return [reason for sign in signs for reason in _reasons(sign)]


def _reasons(sign: Sign) -> list[Reason]:
    match sign:
        case StruggleSign():
            return [
                Reason("struggle", f"Stuck{_on(one.topic)} since {iso_date(one.since)}.", one.evidence)
                for one in sign.topics
            ]
        case ForecastSign():
            return [_forecast(sign)]
        case LowScoreSign():
            return [Reason("low_score", f"The score is {_of(sign.score)}, below {PASS_MARK:.2f}.", _low_since(sign))]
        case FallSign():
            return [_fall(sign)]
        case InactivitySign():
            return [_inactivity(sign)]
        case unknown:
            assert_never(unknown)


def _forecast(sign: ForecastSign) -> Reason:
    below = f"below {_of(sign.bound)}" if sign.bound == PASS_MARK else f"in a lower level: {sign.level}"
    return Reason(
        "forecast",
        f"The forecast for {iso_date(sign.day)} is {_of(sign.predicted)}, {below}.",
        f"The probability of a score below {_of(sign.bound)} is then {sign.probability:.2f}.",
    )


def _low_since(sign: LowScoreSign) -> str:
    if sign.since is not None:
        return f"It has been below since {iso_date(sign.since)}."
    if sign.last is not None:
        return f"It has fallen below after {iso_date(sign.last)}, the last day with an event."
    return "No earlier score is known."


def _fall(sign: FallSign) -> Reason:
    return Reason(
        "falling",
        f"The score fell by {_of(sign.fall)} since {iso_date(sign.since)}, above all in {sign.component}.",
        f"It was {_of(sign.before)} then and is {_of(sign.now)} now; {sign.component} was {_of(sign.part_before)} "
        f"and is {_of(sign.part_now)}.",
    )


def _inactivity(sign: InactivitySign) -> Reason:
    usual = "" if sign.usual_gap is None else f"; the usual gap is {sign.usual_gap:g} {_days(sign.usual_gap)}"
    return Reason(
        "inactive",
        f"There has been no activity for {sign.days} {_days(sign.days)}.",
        f"The last active day was {iso_date(sign.last)}{usual}.",
    )


def _on(topic: str) -> str:
    return f" on {topic}" if topic else ""


def _days(number: float) -> str:
    return "day" if number == 1 else "days"


def _of(score: float) -> str:
    """A number with 4 decimals, or with 2 where the others are 0."""
    text = f"{score:.4f}"
    return text.removesuffix("00")
