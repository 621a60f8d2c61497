"""The parameters of knowledge tracing: fitted in bulk, and given to the fold as snapshots that never change.

What is learned about items later is a revision, which counts for answers given from a certain moment on. So an answer
weighs the same whenever and wherever it is folded, as long as the revision was known before that moment.
"""

from functools import cached_property
from math import exp, isfinite, log1p
from typing import Annotated, TypeAlias
from zlib import crc32

import msgspec
from msgspec import Meta

from mastery_engine.domain.events.kinds import Difficulty
from mastery_engine.domain.moments import Micros

FORMAT, FIRST_FORMAT = 2, 1
USUAL_OF_FIRST = 1.0  # that format's usual level included what the successes so far add
MAX_REVISIONS = 100

NotNegative: TypeAlias = Annotated[float, Meta(ge=0.0)]
Positive: TypeAlias = Annotated[float, Meta(gt=0.0)]
Chance: TypeAlias = Annotated[float, Meta(ge=0.0, lt=1.0)]


class Revision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The difficulties of items in log-odds, each with its variance, for answers given at ``since`` or later.

    ``heard`` is the newest receipt among the answers they were learned from; the next revision continues from there.
    """

    since: Micros
    heard: Micros
    items: dict[str, tuple[float, NotNegative]]


class SkillModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """All parameters. Levels are log-odds; ``items`` and ``skills`` hold fitted values, and others get the priors.

    ``information`` is the information in one answer; ``general_noise`` and ``skill_noise`` are the variance that
    learning adds with each answer. Half of the certainty gained is lost after ``unsure_days`` without answers. The
    share ``carry_over`` of the general level counts for each skill, and ``success_weight`` times log(1 + its recent
    successes), of which ``success_kept`` is left with each further answer; ``own_gain`` is the share of its gain by
    which an answer moves the skill's own level.
    Successes, and what a skill is above the usual, halve every ``half_life_days`` without practice. ``harder`` is the
    step in difficulty from beginner to intermediate items, and from those to advanced ones. ``revisions`` are in the
    order of their moments.
    """

    format: Annotated[int, Meta(ge=FIRST_FORMAT, le=FORMAT)] = FORMAT
    version: str = "default"
    usual: float = 0.5
    general_variance: NotNegative = 0.6
    skill_variance: NotNegative = 0.5
    general_noise: NotNegative = 0.005
    skill_noise: NotNegative = 0.006
    unsure_days: Positive = 110.0
    information: NotNegative = 0.22
    carry_over: NotNegative = 0.7
    own_gain: NotNegative = 0.3
    success_weight: NotNegative = 0.8
    success_kept: Chance = 0.6
    half_life_days: Positive = 60.0
    guess: Chance = 0.0
    slip: Chance = 0.0
    harder: float = 0.4
    items: dict[str, float] = {}
    skills: dict[str, float] = {}
    revisions: tuple[Revision, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError if a number is not finite, an answer says nothing or too much, or revisions are wrong."""
        numbers = [*msgspec.structs.astuple(self)[2:-3], *self.items.values(), *self.skills.values()]
        numbers += [number for revision in self.revisions for pair in revision.items.values() for number in pair]
        if not all(isfinite(number) for number in numbers):
            raise ValueError("every parameter must be a finite number")
        if self.guess + self.slip >= 1.0:
            raise ValueError("the sum of guess and slip must be below 1")
        steepest = 0.25 * (1.0 - self.guess - self.slip) * (1.0 + self.success_weight)
        for variance in (self.general_variance, self.skill_variance):
            if steepest * variance > 1.0 + self.information * variance:
                raise ValueError(
                    "an answer would move a level past what it says: lower the variance, or add information"
                )
        moments = [revision.since for revision in self.revisions]
        if moments != sorted(set(moments)) or len(moments) > MAX_REVISIONS:
            raise ValueError(f"revisions must be in the order of their moments, and at most {MAX_REVISIONS}")

    @cached_property
    def checksum(self) -> int:
        """The same for the same parameters, in every process."""
        return crc32(msgspec.json.encode(self))

    def offset(self, skill: str) -> float:
        """The usual level of students on a skill before they practise it, in log-odds."""
        return self.skills.get(skill, self.usual)

    def difficulty(self, item_id: str, said: Difficulty | None, at: Micros) -> float:
        """How much harder an item is than the usual item of its skills, in log-odds, for an answer given at a moment.

        It is the fitted difficulty, or else the one that the item's author states.
        """
        for revision in reversed(self.revisions):
            if revision.since <= at and item_id in revision.items:
                return revision.items[item_id][0]
        known = self.items.get(item_id)
        if known is not None:
            return known
        return 0.0 if said is None else self.harder * _STEPS[said]

    def revised(self, revision: Revision, *, floor: Micros) -> "SkillModel":
        """The model with one more revision; revisions that no answer from ``floor`` on needs are merged into one.

        Raises ValueError if a revision of the same or a later moment is there already, since what it says about
        answers must not change, or if there are too many revisions.
        """
        revisions = [*self.revisions, revision]
        while len(revisions) > 1 and revisions[1].since <= floor:
            oldest = revisions.pop(0)
            revisions[0] = msgspec.structs.replace(revisions[0], items=oldest.items | revisions[0].items)
        return msgspec.structs.replace(self, revisions=tuple(revisions))

    def practice(self, successes: float) -> float:
        """What recent successes add to the level on their skill, in log-odds."""
        return self.success_weight * log1p(successes)

    def weight(self, answers: int) -> float:
        """The number of answers on a skill, each weighing as a success of its time; 1 / (1 - kept) at most."""
        return (1.0 - self.success_kept**answers) / (1.0 - self.success_kept)

    def chance(self, level: float) -> float:
        """The probability of a right answer at a level."""
        guess = self.guess
        if level >= 0.0:
            return guess + (1.0 - guess - self.slip) * (1.0 / (1.0 + exp(-level)))
        odds = exp(level)
        return guess + (1.0 - guess - self.slip) * (odds / (1.0 + odds))


def of_this_format(model: SkillModel) -> SkillModel:
    """The parameters with the meaning that they have now: those of the first format had no recent successes.

    What it learned of items and of skills stays; a skill's usual level is now that before the first success. The
    constants, which belonged to another model, are the shipped ones.
    """
    if model.format == FORMAT:
        return model
    lower = DEFAULT_SKILLS.usual - USUAL_OF_FIRST
    return msgspec.structs.replace(
        DEFAULT_SKILLS,
        version=model.version,
        usual=model.usual + lower,
        guess=model.guess,
        slip=model.slip,
        harder=model.harder,
        items=model.items,
        skills={name: level + lower for name, level in model.skills.items()},
        revisions=model.revisions,
    )


_STEPS: dict[Difficulty, int] = {"beginner": -1, "intermediate": 0, "advanced": 1}
DEFAULT_SKILLS = SkillModel()
