"""A piece of advice: what to do, what it would bring, and why, in words. And the advice that a document holds."""

from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.evidence.score import FourValues, MasteryScore
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import DAY, Day, Micros

Action: TypeAlias = Literal["practice", "review", "refactor", "schedule"]
Priority: TypeAlias = Literal["high", "medium", "low"]

HELD = 3
MOVED = 0.02
STAYS_AWAY: Micros = 7 * DAY
MAX_DISMISSED = 32
HIGH, MEDIUM = 0.02, 0.005
RANKS: dict[Priority, int] = {"high": 2, "medium": 1, "low": 0}


class Recommendation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One piece of advice.

    ``gain`` is what the mastery score would rise by, ≥ 0; ``steps`` are exercises, questions, submissions or days;
    ``before`` and ``after`` are what it would move: a probability, or a component.
    """

    action: Action
    area: str
    minutes: int
    gain: float
    steps: int
    before: float
    after: float
    urgent: bool = False

    @property
    def priority(self) -> Priority:
        if self.urgent or self.gain >= HIGH:
            return "high"
        return "medium" if self.gain >= MEDIUM else "low"

    @property
    def reason(self) -> str:
        """Why, with the numbers."""
        return f"{_WORDS[self.action](self)} {_gain(self.gain)}"


class Advice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The advice that was made, and what it was made from: the day, the level and the components."""

    day: Day = 0
    level: str = ""
    components: FourValues = (None, None, None, None)
    items: tuple[Recommendation, ...] = ()

    def is_due(self, score: MasteryScore, today: Day) -> bool:
        """Whether a day has passed, the level has changed, or a component has moved by 0.02."""
        if self.day != today or self.level != score.level:
            return True
        for made, now in zip(self.components, score.components):  # noqa: B905
            if made != now and abs((made or 0.0) - (now or 0.0)) >= MOVED - 1e-9:
                return True
        return False


NO_ADVICE = Advice()


def recommendation_id(tenant: str, student_id: str, advised: Recommendation) -> str:
    """The id of this advice to this student: the same for the same action in the same area."""
    return derived_id("recommendation", tenant, student_id, advised.action, advised.area)


def with_dismissed(dismissed: dict[str, Micros], recommendation: str, at: Micros) -> dict[str, Micros]:
    """The dismissed ids with one more; the newest are kept."""
    after = {**dismissed, recommendation: max(at, dismissed.get(recommendation, at))}
    if len(after) > MAX_DISMISSED:
        del after[min(after, key=lambda one: (after[one], one))]
    return after


def away(dismissed: dict[str, Micros], at: Micros) -> set[str]:
    """The ids that stay away at a moment: dismissed within the week before."""
    return {one for one, when in dismissed.items() if at < when + STAYS_AWAY}


def _gain(gain: float) -> str:
    if gain < 0.00005:
        return "It keeps your score."
    return f"Your score would rise by {gain:.4f}."


def _practice(one: Recommendation) -> str:
    if one.area == "quiz":
        return f"You have no quiz result yet: {one.steps} questions should come out at about {one.after:.2f}."
    exercises = ""
    if one.steps:
        exercises = f"{one.steps} open exercise{'s are' if one.steps > 1 else ' is'} within reach. "
    if one.after <= one.before:
        return f"{exercises}Each one done counts."
    chance = f"your next answer on it is right with {one.before:.2f}, after this with about {one.after:.2f}."
    return f"{exercises}What {one.area} asks for first is there: {chance}"


def _review(one: Recommendation) -> str:
    if one.after <= one.before:
        return f"You know {one.area}; a look at it every now and then keeps it."
    chance = f"your next answer is right with {one.before:.2f}, after a review with {one.after:.2f}."
    return f"It is time to look at {one.area} again: {chance}"


def _refactor(one: Recommendation) -> str:
    if not one.before:
        return f"No code of yours was reviewed yet: a first review should come to about {one.after:.2f}."
    return (
        f"Your code's quality stands at {one.before:.2f}: improve your last program to {one.after:.2f} and submit it."
    )


def _schedule(one: Recommendation) -> str:
    kept = f"working on each of the next {one.steps} days takes consistency from {one.before:.2f} to {one.after:.2f}."
    return f"Days are missing: {kept}"


_WORDS = {"practice": _practice, "review": _review, "refactor": _refactor, "schedule": _schedule}
