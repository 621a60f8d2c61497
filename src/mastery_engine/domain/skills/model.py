"""The parameters of knowledge tracing: fitted in bulk, given to the fold as snapshots that never change.

What is learned of items later is a revision, which counts for answers given from a moment on. So an answer weighs the
same whenever and by whomever it is folded, as long as a revision is known before its moment.
"""

from math import exp, isfinite
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from mastery_engine.domain.events.kinds import Difficulty
from mastery_engine.domain.moments import Micros

FORMAT = 1
MAX_REVISIONS = 100

NotNegative: TypeAlias = Annotated[float, Meta(ge=0.0)]
Positive: TypeAlias = Annotated[float, Meta(gt=0.0)]
Chance: TypeAlias = Annotated[float, Meta(ge=0.0, lt=1.0)]


class Revision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Difficulties in log-odds of items, each with its variance, for answers given at ``since`` or later.

    ``heard`` is the newest receipt among the answers that they were learned from: the next revision goes on from there.
    """

    since: Micros
    heard: Micros
    items: dict[str, tuple[float, NotNegative]]


class SkillModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All levels are log-odds. ``items`` and ``skills`` hold what was fitted of known ones; others get the priors.

    ``information`` is what one answer tells; ``general_noise`` and ``skill_noise`` are the variance that learning adds
    with each. Of what answers took from a variance half is back after ``unsure_days`` away. ``carry_over`` of the
    general level counts for each skill. Of what one is above that half is left after ``half_life_days`` without
    practice.
    ``harder`` is how much an advanced item is harder than an intermediate one, and that than one for beginners.
    ``revisions`` are in the order of their moments.
    """

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    version: str = "default"
    usual: float = 1.0
    general_variance: NotNegative = 0.35
    skill_variance: NotNegative = 0.5
    general_noise: NotNegative = 0.006
    skill_noise: NotNegative = 0.02
    unsure_days: Positive = 110.0
    information: NotNegative = 0.2
    carry_over: NotNegative = 0.85
    half_life_days: Positive = 500.0
    guess: Chance = 0.0
    slip: Chance = 0.0
    harder: float = 0.4
    items: dict[str, float] = {}
    skills: dict[str, float] = {}
    revisions: tuple[Revision, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where a number is none, or no answer would tell anything."""
        numbers = [*msgspec.structs.astuple(self)[2:-3], *self.items.values(), *self.skills.values()]
        numbers += [number for one in self.revisions for learned in one.items.values() for number in learned]
        if not all(isfinite(number) for number in numbers):
            raise ValueError("every parameter is a finite number")
        if self.guess + self.slip >= 1.0:
            raise ValueError("guess and slip together stay below 1")
        moments = [one.since for one in self.revisions]
        if moments != sorted(set(moments)) or len(moments) > MAX_REVISIONS:
            raise ValueError(f"revisions are in the order of their moments, {MAX_REVISIONS} at most")

    def offset(self, skill: str) -> float:
        """The usual level of students who meet a skill."""
        return self.skills.get(skill, self.usual)

    def difficulty(self, item_id: str, said: Difficulty | None, at: Micros) -> float:
        """How much harder an item is than the usual one of its skills, for an answer given then: as fitted, else as its
        author says."""
        for revision in reversed(self.revisions):
            if revision.since <= at and item_id in revision.items:
                return revision.items[item_id][0]
        known = self.items.get(item_id)
        if known is not None:
            return known
        return 0.0 if said is None else self.harder * _STEPS[said]

    def revised(self, revision: Revision, *, floor: Micros) -> "SkillModel":
        """The model with one revision more; those that no answer from ``floor`` on goes by become one.

        Raises ValueError where there is one of that moment or a later one already, since what it says of an answer
        stays, and where there are too many.
        """
        revisions = [*self.revisions, revision]
        while len(revisions) > 1 and revisions[1].since <= floor:
            oldest = revisions.pop(0)
            revisions[0] = msgspec.structs.replace(revisions[0], items=oldest.items | revisions[0].items)
        return msgspec.structs.replace(self, revisions=tuple(revisions))

    def chance(self, level: float) -> float:
        """The probability of a right answer at a level."""
        odds = exp(-abs(level))
        upper = 1.0 / (1.0 + odds) if level >= 0 else odds / (1.0 + odds)
        return self.guess + (1.0 - self.guess - self.slip) * upper


_STEPS: dict[Difficulty, int] = {"beginner": -1, "intermediate": 0, "advanced": 1}
DEFAULT_SKILLS = SkillModel()
