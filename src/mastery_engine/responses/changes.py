"""What changed in a student's score, and why, as it is sent: changes in points of the score, with 6 decimals."""

from typing import Annotated

import msgspec
from msgspec import Meta

from mastery_engine.domain.evidence.causes import ChangeKind
from mastery_engine.domain.evidence.changes import ScoreChange
from mastery_engine.domain.evidence.history import Point
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.moments import Day, iso_date
from mastery_engine.domain.rules import Component, Rules
from mastery_engine.responses.scores import Score
from mastery_engine.responses.times import DateText

Change = Annotated[float, Meta(ge=-1.0, le=1.0)]


class CauseOfChange(msgspec.Struct, frozen=True):
    """One cause: ``change`` is its part of the score's change, ``message`` says it in plain words.

    ``events`` is the number of events, or of days for ``active`` and ``away``; null for ``earlier``, what happened more
    than 14 days ago.
    """

    kind: ChangeKind
    topic: str | None
    events: int | None
    change: float
    message: str


class ComponentContribution(msgspec.Struct, frozen=True):
    """What one component contributes to the change, and its causes, which sum to it; the greatest first."""

    component: Component
    change: Change
    causes: list[CauseOfChange]


class Changes(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """The change of a score from the end of one day to the end of another; the end of today is now.

    The four contributions sum to ``change``. ``message`` says so where nothing was known at the first end, and where
    the score at an end is that of an older point, less what days away have taken since.
    """

    student_id: str
    from_: DateText
    to: DateText
    previous_score: Score
    mastery_score: Score
    change: Change
    contributions: list[ComponentContribution]
    message: str | None = None


def changes_response(student_id: str, found: ScoreChange, rules: Rules) -> Changes:
    """What changed, as it is sent."""
    contributions = [
        ComponentContribution(
            one.component,
            round(one.change, 6),
            [
                CauseOfChange(cause.kind, cause.topic, cause.events, round(cause.change, 6), cause.message)
                for cause in one.causes
            ],
        )
        for one in found.contributions
    ]
    return Changes(
        student_id,
        iso_date(found.first),
        iso_date(found.last),
        shown_score(found.previous_score, rules),
        shown_score(found.score, rules),
        round(found.change, 6),
        contributions,
        " ".join([*_beginning(found), *(_between(*one, rules) for one in found.between)]) or None,
    )


def _beginning(found: ScoreChange) -> list[str]:
    if found.known_since is None:
        return []
    if found.known_since <= found.last:
        return [f"Nothing is known from before {iso_date(found.known_since)}, so the change is from 0."]
    return ["Nothing is known of these days, so there is no change."]


def _between(day: Day, point: Point, rules: Rules) -> str:
    return (
        f"{iso_date(day)} has no daily point: its score is that of {iso_date(point.day)}, "
        f"{shown_score(point.score, rules):.4f}, less what days away have taken from consistency since."
    )
