"""What to do next: advice ranked by the gain of mastery that can be expected for each minute.

Every gain is what the formula says: the score with what the advice brings, less the score without it. Completion,
quality and consistency are compared with now; a skill is compared on the next quiz of ten questions over all skills
within reach, taken with and without the practice. So gains add up, whichever are followed.
"""

from typing import TypeAlias

import msgspec

from mastery_engine.domain.advice.recommendation import Action, Recommendation
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.evidence.decayed_sums import DecayedSums
from mastery_engine.domain.evidence.evidence import Evidence
from mastery_engine.domain.evidence.score import FourValues, consistency
from mastery_engine.domain.moments import DAY, Day
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import MASTERED, UNSEEN, Estimates, Outlook

QUESTIONS = 10
EXERCISES = 4
EXERCISE_MINUTES = (6, 8, 12)
QUIZ_MINUTES, REFACTOR_MINUTES, DAILY_MINUTES = 20, 30, 15
REVIEW_MINUTES = 10
WEEK = 7
FIRST_QUALITY = 0.60
GOOD_QUALITY = 0.90
LEARNED = 0.25  # of what is missing, in one session: the exponential law of practice (Heathcote, Brown, Mewhort 2000)

Found: TypeAlias = tuple[float, Action, str, int, float, int, float, float]


class Reach(msgspec.Struct, frozen=True, gc=False):
    """The skills that can be practised or reviewed now: (skill, probability now, and after, minutes, review)."""

    skills: tuple[tuple[str, float, float, int, bool], ...]

    @property
    def mean(self) -> float:
        """The share of right answers that the next quiz over these skills would have without practice."""
        return sum([one[1] for one in self.skills]) / len(self.skills) if self.skills else 0.5


def practised(probability: float) -> float:
    """The probability of a right answer after one session of practice."""
    return probability + LEARNED * (1.0 - probability)


def within_reach(view: Outlook) -> Reach:
    """Skills within reach, where success is neither certain nor hopeless; and what it is time to review.

    That is: not mastered yet, and all that they ask for first is known.
    """
    known, seen, estimates = view.known, view.seen, view.estimates
    found: list[tuple[str, float, float, int, bool]] = []
    for name, bit, needed, minutes in view.curriculum.rows:
        if not seen & bit:
            if known & needed == needed and not known & bit:
                found.append((name, UNSEEN, _FIRST, max(10, minutes // 2), False))
            continue
        one = estimates[name]
        if one.fading:
            now = one.probability
            then = min(1.0, max(now + one.forgotten, practised(now)))
            found.append((name, now, then, max(REVIEW_MINUTES, minutes // 3), True))
        elif one.probability < MASTERED and known & needed == needed:
            now = one.probability
            found.append((name, now, practised(now), max(10, minutes // 2), False))
    return Reach(tuple(found))


_FIRST = practised(UNSEEN)


def recommend(
    evidence: Evidence,
    components: FourValues,
    view: Outlook,
    today: Day,
    rules: Rules,
    *,
    limit: int | None = None,
    urgent: frozenset[str] = frozenset(),
) -> list[Recommendation]:
    """What can be advised on a day, best first: the most gain for a minute, then the shorter name; all, or the first.

    ``components`` are those of the moment; areas in ``urgent`` (open struggles) are of high priority. No two have the
    same action and area. A newcomer is told what to learn first, before any quiz; where there is a course, something
    is always advised.
    """
    weights, floor = rules.weights, today - rules.retention_days + 1
    reach = within_reach(view)
    found: list[Found] = []
    _exercises(found, evidence, rules, floor)
    weight, _ = evidence.quiz.standing(today * DAY, floor)
    share = weights.quiz * QUESTIONS / (max(1, len(reach.skills)) * (weight + QUESTIONS))
    opened = {one[2]: place for place, one in enumerate(found)}
    for name, now, then, minutes, review in reach.skills:
        gain = share * (then - now)
        if name in opened and not review:
            _, _, _, longer, more, steps, _, _ = found[opened[name]]
            gain, minutes = gain + more, max(minutes, longer)
            found[opened[name]] = (gain / minutes, "practice", name, minutes, gain, steps, now, then)
        else:
            found.append((gain / minutes, "review" if review else "practice", name, minutes, gain, 0, now, then))
    begun = components != (None, None, None, None)
    if begun and components[1] is None:
        gain = weights.quiz * reach.mean
        found.append((gain / QUIZ_MINUTES, "practice", "quiz", QUIZ_MINUTES, gain, QUESTIONS, 0.0, reach.mean))
    if begun:
        _quality(found, evidence.quality, components[2], weights.quality, today, floor)
    _days(found, evidence.activity, components[3], weights.consistency, today, floor)
    found.sort(key=_best_first)
    if not found and view.curriculum.skills:
        found.append(_upkeep(view.estimates, view.curriculum))
    return [
        Recommendation(action, area, minutes, gain, steps, before, after, area in urgent)
        for _, action, area, minutes, gain, steps, before, after in found[:limit]
    ]


def _best_first(one: Found) -> tuple[float, int, str]:
    return (-one[0], len(one[2]), one[2])


def _exercises(found: list[Found], evidence: Evidence, rules: Rules, floor: Day) -> None:
    """Open exercises: completion rises by w·n / Σ w·total."""
    weights, oldest = rules.difficulty_weights, floor * DAY
    total = 0.0
    opened = []
    for topic, progress in evidence.completion.items():
        if progress.at >= oldest:
            total += weights[progress.difficulty] * progress.total
            if progress.completed < progress.total:
                opened.append((topic, progress))
    for topic, progress in opened:
        steps = min(EXERCISES, progress.total - progress.completed)
        gain = rules.weights.completion * weights[progress.difficulty] * steps / total
        minutes = steps * EXERCISE_MINUTES[progress.difficulty]
        found.append((gain / minutes, "practice", topic or "exercises", minutes, gain, steps, 0.0, 0.0))


def _quality(found: list[Found], quality: DecayedSums, now: float | None, share: float, today: Day, floor: Day) -> None:
    """One submission better than the mean by half of what is missing; or a first one."""
    if now is None:
        gain = share * FIRST_QUALITY
        found.append((gain / REFACTOR_MINUTES, "refactor", "quality", REFACTOR_MINUTES, gain, 1, 0.0, FIRST_QUALITY))
    elif now < GOOD_QUALITY:
        weight, score = quality.standing(today * DAY, floor)
        mean = score / weight if weight else now
        then = (1.0 + mean) / 2
        gain = share * (then - mean) / (weight + 1.0)
        found.append((gain / REFACTOR_MINUTES, "refactor", "quality", REFACTOR_MINUTES, gain, 1, mean, then))


def _days(found: list[Found], activity: ActiveDays, now: float | None, share: float, today: Day, floor: Day) -> None:
    """Work on this day and the next six."""
    last = today + WEEK - 1
    then = consistency(activity.merge(ActiveDays(last, b"\x7f")), last, floor + WEEK - 1) or 0.0
    gain = share * (then - (now or 0.0))
    if gain > 1e-9:
        minutes = WEEK * DAILY_MINUTES
        found.append((gain / minutes, "schedule", "consistency", minutes, gain, WEEK, now or 0.0, then))


def _upkeep(estimates: Estimates, curriculum: Curriculum) -> Found:
    """For one who has all that the course gives: a look at what was practised longest ago."""
    seen = [one for name, one in estimates.items() if name in curriculum.skills]
    if not seen:
        name = next(reversed(curriculum.skills))
        return (0.0, "review", name, REVIEW_MINUTES, 0.0, 0, MASTERED, MASTERED)
    oldest = min(seen, key=lambda one: (one.last_practised, one.skill))
    return (0.0, "review", oldest.skill, REVIEW_MINUTES, 0.0, 0, oldest.probability, oldest.probability)
