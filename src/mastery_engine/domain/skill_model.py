"""The parameters of knowledge tracing: fitted in bulk, given to the fold as one snapshot that never changes."""

from math import exp

import msgspec

from mastery_engine.domain.kinds import Difficulty

FORMAT = 1


class SkillModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All levels are log-odds. ``items`` and ``skills`` hold what was fitted of known ones; others get the priors.

    ``information`` is what one answer tells; ``general_noise`` and ``skill_noise`` are the variance that learning adds
    with each, ``drift`` what a day away adds. Of a change in general level ``share`` reaches the other skills, and
    ``carry_over`` of it is where a new skill begins. Of what is above ``usual`` half is left after ``half_life_days``.
    ``harder`` is how much an advanced item is harder than an intermediate one, and that than one for beginners.
    """

    format: int = FORMAT
    version: str = "default"
    usual: float = 1.0
    general_variance: float = 0.35
    skill_variance: float = 0.5
    general_noise: float = 0.006
    skill_noise: float = 0.02
    drift: float = 0.02
    information: float = 0.2
    share: float = 0.7
    carry_over: float = 0.85
    half_life_days: float = 500.0
    guess: float = 0.0
    slip: float = 0.0
    harder: float = 0.4
    items: dict[str, float] = {}
    skills: dict[str, float] = {}

    def offset(self, skill: str) -> float:
        """The usual level of students who meet a skill."""
        return self.skills.get(skill, self.usual)

    def difficulty(self, item_id: str, said: Difficulty | None) -> float:
        """How much harder an item is than the usual one of its skills: as fitted, else as its author says."""
        known = self.items.get(item_id)
        if known is not None:
            return known
        return 0.0 if said is None else self.harder * _STEPS[said]

    def chance(self, level: float) -> float:
        """The probability of a right answer at a level."""
        odds = exp(-abs(level))
        upper = 1.0 / (1.0 + odds) if level >= 0 else odds / (1.0 + odds)
        return self.guess + (1.0 - self.guess - self.slip) * upper


_STEPS: dict[Difficulty, int] = {"beginner": -1, "intermediate": 0, "advanced": 1}
DEFAULT_SKILLS = SkillModel()
