"""The explanation of a score: what each component costs, and which value of it would reach the next level."""

import msgspec

from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.rules import COMPONENTS, Component, Rules


class ComponentCost(msgspec.Struct, frozen=True, gc=False):
    """``cost`` = weight × (1 − value). ``needed`` in [0, 1]; None if this one alone cannot reach the next level."""

    component: Component
    value: float
    weight: float
    cost: float
    has_evidence: bool
    needed: float | None


def missing(score: MasteryScore, rules: Rules) -> float | None:
    """How far the score is from the next level, > 0; None at the highest."""
    above = rules.levels[score.rank + 1 :]
    return above[0].from_score - score.score if above else None


def costs(score: MasteryScore, rules: Rules) -> list[ComponentCost]:
    """The four components, the costliest first."""
    lacking = missing(score, rules)
    found = []
    for name, known, weight in zip(COMPONENTS, score.components, rules.component_weights, strict=True):
        value = known or 0.0
        needed = None if lacking is None or weight == 0.0 else value + lacking / weight
        found.append(
            ComponentCost(
                name,
                value,
                weight,
                weight * (1.0 - value),
                known is not None,
                None if needed is None or needed > 1.0 else needed,
            )
        )
    return sorted(found, key=lambda one: -one.cost)
