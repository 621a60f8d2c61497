"""A piece of advice: what to do, what it would gain, and why, in words. And the advice that a document holds."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias
from zlib import crc32

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.evidence.score import FourValues, MasteryScore
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import DAY, Day, Micros

Action: TypeAlias = Literal["practice", "review", "refactor", "schedule"]
Priority: TypeAlias = Literal["high", "medium", "low"]

HELD = 3
MOVED = 0.05
STAYS_AWAY: Micros = 7 * DAY
MAX_DISMISSED = 32
HIGH, MEDIUM = 0.02, 0.005
RANKS: dict[Priority, int] = {"high": 2, "medium": 1, "low": 0}


class Recommendation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One piece of advice.

    ``gain`` is how much the mastery score would rise, ≥ 0; ``steps`` counts exercises, questions, submissions or days;
    ``before`` and ``after`` are the value that it would change, a probability or a component, in [0, 1].
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
        """Why. It names no figure but the gain: others move on while the advice is held."""
        return f"{_WORDS[self.action](self)} {_gain(self.gain)}"


_pack = msgspec.msgpack.Encoder().encode
unpacked_advice = msgspec.msgpack.Decoder(tuple[Recommendation, ...]).decode
NOTHING = _pack(())  # no advice, packed


class Advice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last advice, and what it was made from: the day, the level and the components.

    ``pieces`` are the pieces of it, packed: most events leave them as they are.
    """

    day: Day = 0
    level: str = ""
    components: FourValues = (None, None, None, None)
    pieces: bytes = NOTHING

    @staticmethod
    def of(day: Day, level: str, components: FourValues, items: Sequence[Recommendation]) -> "Advice":
        return Advice(day, level, components, _pack(items))

    @property
    def items(self) -> tuple[Recommendation, ...]:
        """The pieces of advice, unpacked each time."""
        return unpacked_advice(self.pieces)

    def is_due(self, score: MasteryScore, today: Day) -> bool:
        """Whether a day has passed, the level has changed, or a component has changed by 0.05 or more."""
        return self.day != today or self.is_of_another(score)

    def is_of_another(self, score: MasteryScore) -> bool:
        """Whether the level has changed, or a component by 0.05 or more."""
        if self.level != score.level:
            return True
        if self.components != score.components:
            for made, now in zip(self.components, score.components):  # noqa: B905
                if made != now and abs((made or 0.0) - (now or 0.0)) >= MOVED - 1e-9:
                    return True
        return False


NO_ADVICE = Advice()


def advice_checksum(pieces: bytes) -> int:
    """A checksum, never 0, of advice as it is sent, by its packed pieces."""
    return crc32(pieces) or 1


def checksum_of(items: Sequence[Recommendation]) -> int:
    """The ``advice_checksum`` of some of the pieces."""
    return advice_checksum(_pack(items))


def recommendation_id(tenant: str, student_id: str, course_id: str, recommendation: Recommendation) -> str:
    """The id of a recommendation to a student in a course: the same for the same action in the same area."""
    course = () if course_id == DEFAULT_COURSE else (course_id,)
    return derived_id("recommendation", tenant, student_id, recommendation.action, recommendation.area, *course)


def with_dismissed(dismissed: dict[str, Micros], recommendation: str, at: Micros) -> dict[str, Micros]:
    """The dismissed ids with one more; the newest ``MAX_DISMISSED`` are kept."""
    after = {**dismissed, recommendation: max(at, dismissed.get(recommendation, at))}
    if len(after) > MAX_DISMISSED:
        del after[min(after, key=lambda name: (after[name], name))]
    return after


def recently_dismissed(dismissed: Mapping[str, Micros], at: Micros) -> set[str]:
    """The ids dismissed within the week before a moment: they are not advised then."""
    return {name for name, when in dismissed.items() if at < when + STAYS_AWAY}


def _gain(gain: float) -> str:
    if gain < 0.00005:
        return "Your score stays as it is."
    return f"Your score would rise by {gain:.4f}."


def _practice(advice: Recommendation) -> str:
    if advice.area == "quiz":
        return f"You have no quiz result yet: take a quiz of {advice.steps} questions."
    exercises = ""
    if advice.steps:
        exercises = f"{advice.steps} open exercise{'s are' if advice.steps > 1 else ' is'} within reach. "
    if advice.after <= advice.before:
        return f"{exercises}Each one that you finish counts."
    return f"{exercises}You know what {advice.area} builds on, and have not shown yet that you master it."


def _review(advice: Recommendation) -> str:
    if advice.after <= advice.before:
        return f"You know {advice.area}; look at it now and then to keep it."
    return f"It is time to review {advice.area}: you knew it, and some of it may be lost since."


def _refactor(advice: Recommendation) -> str:
    if not advice.before:
        return "None of your code has been reviewed yet: hand in a program for a first review."
    return "Improve your last program and submit it: a better review raises your code quality."


def _schedule(advice: Recommendation) -> str:
    return f"Work on each of the next {advice.steps} days: your consistency rises with each of them."


_WORDS = {"practice": _practice, "review": _review, "refactor": _refactor, "schedule": _schedule}
