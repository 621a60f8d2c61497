"""Estimates of the course's skills, as tests make them up."""

from hypothesis import strategies as st

from mastery_engine.domain.moments import DAY
from mastery_engine.domain.skills.estimates import SkillEstimate
from tests.support.samples import CURRICULUM, NOW


def estimate(probability: float, forgotten: float = 0.0, days_ago: int = 0) -> SkillEstimate:
    return SkillEstimate(probability, 0.1, forgotten, NOW - days_ago * DAY)


skills = st.sampled_from(list(CURRICULUM.skills))
shares = st.floats(0.0, 1.0)
estimated = st.dictionaries(skills, st.tuples(shares, shares), max_size=12).map(
    lambda found: {name: estimate(p, f * (1 - p)) for name, (p, f) in found.items()}
)


def knows_all(forgotten: float = 0.0) -> dict[str, SkillEstimate]:
    return {name: estimate(0.95, forgotten, days_ago=place % 7) for place, name in enumerate(CURRICULUM.skills)}
