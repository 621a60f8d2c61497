"""The mastery score: 0.40 completion + 0.30 quiz + 0.20 quality + 0.10 consistency, by the rules' weights."""

from typing import TypeAlias, TypeGuard

import msgspec

from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.evidence.evidence import BEGINNER, INTERMEDIATE, NONE_SET, Direct, Evidence
from mastery_engine.domain.moments import NEVER, Day, Micros
from mastery_engine.domain.rules import COMPONENTS, Rules

FourValues: TypeAlias = tuple[float | None, float | None, float | None, float | None]

CONSISTENCY_DECAY = 0.9
SHORTEST, LONGEST = 7, 30

# Σ 0.9^k over the set bits of every 15-bit number, so that two look-ups cover a month.
_HALF = 15
_SHARES = [0.0]
for _bit in range(_HALF):
    _SHARES += [share + CONSISTENCY_DECAY**_bit for share in _SHARES]
_FULL = [sum(CONSISTENCY_DECAY**k for k in range(days)) for days in range(LONGEST + 1)]
_FIRST, _TAIL = (1 << _HALF) - 1, CONSISTENCY_DECAY**_HALF


class MasteryScore(msgspec.Struct, frozen=True, gc=False):
    """A score with its components, all in [0, 1]; a component without evidence is None.

    ``rank`` is the place of ``level`` in the rules, from 0. ``coverage`` is the share of the weights with evidence.
    """

    score: float
    level: str
    rank: int
    components: FourValues
    coverage: float


NO_SCORE = MasteryScore(0.0, "", 0, (None, None, None, None), 0.0)


def mastery_score(evidence: Evidence, at: Micros, rules: Rules) -> MasteryScore:
    """The score at a moment, from the evidence of the last ``retention_days`` days."""
    return score_on(evidence, rules.day_of(at), rules)


def score_on(evidence: Evidence, today: Day, rules: Rules) -> MasteryScore:
    """The ``mastery_score`` on a day: it is the same all day."""
    return score_of(components_on(evidence, today, rules), rules)


def score_of(components: FourValues, rules: Rules) -> MasteryScore:
    """The score of four components; one without evidence counts as 0, and its weight is not in the coverage."""
    completion, quiz, quality, consistency = components
    of_completion, of_quiz, of_quality, of_consistency = rules.component_weights
    score = coverage = 0.0
    if completion is not None:
        coverage = of_completion
        score = of_completion * completion
    if quiz is not None:
        coverage += of_quiz
        score += of_quiz * quiz
    if quality is not None:
        coverage += of_quality
        score += of_quality * quality
    if consistency is not None:
        coverage += of_consistency
        score += of_consistency * consistency
    rank = rules.level_index(score)
    return MasteryScore(score, rules.levels[rank].name, rank, components, coverage)


def components(evidence: Evidence, at: Micros, rules: Rules) -> FourValues:
    """Completion, quiz, quality and consistency at a moment, in [0, 1]; None without evidence."""
    return components_on(evidence, rules.day_of(at), rules)


def components_on(evidence: Evidence, today: Day, rules: Rules) -> FourValues:
    """The ``components`` on a day: they are the same all day."""
    floor, half_life = today - rules.retention_days + 1, rules.half_life
    direct, quiz, quality = evidence.direct, evidence.quiz, evidence.quality
    if direct != NONE_SET:
        oldest = rules.start_of(floor)
        by_hand = [None if value is None or value.at < oldest else value for value in direct]
        set_completion, set_quiz, set_quality, set_consistency = by_hand
        newest = max((progress.at for progress in evidence.completion.values()), default=NEVER)
        return (
            set_completion.value if _holds(set_completion, newest) else completion(evidence, floor, rules),
            set_quiz.value if _holds(set_quiz, quiz.latest) else quiz.mean(floor, half_life),
            set_quality.value if _holds(set_quality, quality.latest) else quality.mean(floor, half_life),
            (
                set_consistency.value
                if set_consistency and _holds_on(rules.day_of(set_consistency.at), evidence.activity, today)
                else consistency(evidence.activity, today, floor)
            ),
        )
    return (
        completion(evidence, floor, rules),
        quiz.mean(floor, half_life),
        quality.mean(floor, half_life),
        consistency(evidence.activity, today, floor),
    )


def component(evidence: Evidence, place: int, today: Day, rules: Rules) -> float | None:
    """One of the ``components`` on a day, by its place."""
    if place == len(COMPONENTS) - 1 or evidence.direct != NONE_SET:
        return components_on(evidence, today, rules)[place]
    floor = today - rules.retention_days + 1
    if not place:
        return completion(evidence, floor, rules)
    return (evidence.quiz if place == 1 else evidence.quality).mean(floor, rules.half_life)


def completion(evidence: Evidence, floor: Day, rules: Rules) -> float | None:
    """Σ w·completed / Σ w·total over the topics with progress since ``floor``, with w by difficulty.

    Exercises are summed by difficulty before they are weighed, so that the order of the topics changes no digit.
    """
    easy = easy_done = middle = middle_done = hard = hard_done = 0
    oldest = rules.start_of(floor)
    for progress in evidence.completion.values():
        if progress.at < oldest:
            continue
        difficulty = progress.difficulty
        if difficulty == BEGINNER:
            easy_done += progress.completed
            easy += progress.total
        elif difficulty == INTERMEDIATE:
            middle_done += progress.completed
            middle += progress.total
        else:
            hard_done += progress.completed
            hard += progress.total
    weights = rules.difficulty
    total = weights.beginner * easy + weights.intermediate * middle + weights.advanced * hard
    if not total:
        return None
    return (weights.beginner * easy_done + weights.intermediate * middle_done + weights.advanced * hard_done) / total


def exercises(evidence: Evidence, rules: Rules) -> float:
    """Σ w·total over all topics: by how many exercises a completion weighs."""
    weights = (rules.difficulty.beginner, rules.difficulty.intermediate, rules.difficulty.advanced)
    return sum(weights[progress.difficulty] * progress.total for progress in evidence.completion.values())


def consistency(activity: ActiveDays, today: Day, floor: Day) -> float | None:
    """Σ a(t-k)·0.9^k / Σ 0.9^k for k from 0 to the days since the first active day, but at least 6 and at most 29."""
    return regularity(activity.up_to(today), today - floor + 1)


def regularity(active: int, most: int) -> float | None:
    """The ``consistency`` of the active days, a bit for each day from today back, of which the last ``most`` count."""
    active &= (1 << most) - 1
    if not active:
        return None
    days = active.bit_length()
    window = SHORTEST if days < SHORTEST else min(days, LONGEST)
    active &= (1 << window) - 1
    share = _SHARES[active & _FIRST] + _TAIL * _SHARES[active >> _HALF]
    return share / _FULL[window]


def _holds(direct: Direct | None, newest: Micros) -> TypeGuard[Direct]:
    """Whether a component that was set still holds: until there is evidence with a later time."""
    return direct is not None and newest <= direct.at


def _holds_on(day: Day, activity: ActiveDays, today: Day) -> bool:
    """Whether consistency that was set on ``day`` still holds: until there is a later active day."""
    return day <= today and not activity.up_to(today) & ((1 << (today - day)) - 1)
