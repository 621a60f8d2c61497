"""Recommendations: what to do next, ranked by the expected gain of mastery per minute.

Every gain follows from the formula of the score: the score with the advice followed, less the score without.
Completion, quality and consistency are compared with their values now. A skill is compared on the next quiz of ten
questions over all skills within reach, taken with and without the practice. So the gains of several pieces add up.
"""

from typing import TypeAlias

import msgspec

from mastery_engine.domain.advice.recommendation import Action, Recommendation
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.evidence.decayed_sums import DecayedSums
from mastery_engine.domain.evidence.evidence import Evidence
from mastery_engine.domain.evidence.score import FourValues, regularity
from mastery_engine.domain.moments import NEVER, Day
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import Outlook, SkillEstimate

QUESTIONS = 10
EXERCISES = 4
EXERCISE_MINUTES = (6, 8, 12)
QUIZ_MINUTES, REFACTOR_MINUTES, DAILY_MINUTES = 20, 30, 15
PRACTICE_MINUTES, REVIEW_MINUTES = 15, 10  # of a session, whatever the skill: by a skill's own, long ones came last
WEEK = 7
WHOLE_WEEK = (1 << WEEK) - 1
FIRST_QUALITY = 0.60
GOOD_QUALITY = 0.90
LEARNED = 0.25  # of what is missing, in the first session
SLOWS = 15.0  # answers on a skill, after which a session brings half as much
Candidate: TypeAlias = tuple[float, int, str, Action, int, float, int, float, float]


class WithinReach(msgspec.Struct, frozen=True, gc=False):
    """The skills to practise or review now: (skill, probability now, probability after, minutes, whether a review)."""

    skills: tuple[tuple[str, float, float, int, bool], ...]

    @property
    def mean(self) -> float:
        """The share of right answers, in [0, 1], to expect in the next quiz over these skills without practice."""
        return sum([skill[1] for skill in self.skills]) / len(self.skills) if self.skills else 0.5


def after_practice(probability: float, practised: float = 0.0) -> float:
    """The probability of a right answer after one session of practice, on a skill ``practised`` by so many answers.

    What is missing falls by the power law of practice, as (1 + practised / ``SLOWS``)⁻ᵇ (Newell and Rosenbloom 1981):
    so a session brings a share of it that falls with what came before. Nobody is kept on a skill that practice moves no
    more, be it that it is mastered and its estimate follows slowly, or that something else is missing.
    """
    return probability + LEARNED / (1.0 + practised / SLOWS) * (1.0 - probability)


def after_review(probability: float, forgotten: float) -> float:
    """The probability of a right answer after a review: what was ``forgotten`` is back, or a session's practice."""
    return min(1.0, max(probability + forgotten, after_practice(probability)))


def gain_of_practice(skill: SkillEstimate) -> float:
    """What a session on a skill brings, for each minute: the rise of the probability of a right answer."""
    now = skill.probability
    if skill.needs_review:
        return (after_review(now, skill.forgotten) - now) / REVIEW_MINUTES
    return (after_practice(now, skill.practised) - now) / PRACTICE_MINUTES


def within_reach(view: Outlook) -> WithinReach:
    """The skills to practise, and those to review.

    To be practised is what has known prerequisites, and no evidence yet or a probability below that of a mastered one.
    """
    known, seen, due, estimates = view.known, view.seen, view.due, view.estimates
    done = view.settled & ~due | known & ~seen
    named, usual = view.model.skills, view.usual
    usual_after = after_practice(usual)
    skills: list[tuple[str, float, float, int, bool]] = []
    for name, bit, needed, _ in view.curriculum.rows:
        if done & bit:
            continue
        if due & bit:
            estimate = estimates[name]
            now = estimate.probability
            skills.append((name, now, after_review(now, estimate.forgotten), REVIEW_MINUTES, True))
        elif known & needed == needed:
            if seen & bit:
                estimate = estimates[name]
                now = estimate.probability
                skills.append((name, now, after_practice(now, estimate.practised), PRACTICE_MINUTES, False))
            elif name in named:
                now = view.chance(name)
                skills.append((name, now, after_practice(now), PRACTICE_MINUTES, False))
            else:
                skills.append((name, usual, usual_after, PRACTICE_MINUTES, False))
    return WithinReach(tuple(skills))


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
    """The recommendations of a day, at most ``limit``: the most gain per minute first, then the shorter name.

    ``components`` are the current ones; areas in ``urgent`` (open struggles) get a high priority. No two have the same
    action and area. A newcomer is advised what to learn first, before any quiz. If there is a course, there is always
    at least one recommendation.
    """
    weights, floor = rules.weights, today - rules.retention_days + 1
    reach = within_reach(view)
    candidates: list[Candidate] = []
    _add_exercises(candidates, evidence, rules, floor)
    weight, _ = evidence.quiz.standing(rules.start_of(today), floor, rules.half_life)
    share = weights.quiz * QUESTIONS / (max(1, len(reach.skills)) * (weight + QUESTIONS))
    places = {candidate[2]: place for place, candidate in enumerate(candidates)}
    for name, now, then, minutes, review in reach.skills:
        gain = share * (then - now)
        if name in places and not review:
            _, _, _, _, longer, more, steps, _, _ = candidates[places[name]]
            gain, minutes = gain + more, max(minutes, longer)
            candidates[places[name]] = _candidate("practice", name, minutes, gain, steps, now, then)
        else:
            action: Action = "review" if review else "practice"
            candidates.append((-gain / minutes, len(name), name, action, minutes, gain, 0, now, then))
    begun = components != (None, None, None, None)
    if begun and components[1] is None:
        gain = weights.quiz * reach.mean
        candidates.append(_candidate("practice", "quiz", QUIZ_MINUTES, gain, QUESTIONS, 0.0, reach.mean))
    if begun:
        _add_quality(candidates, evidence.quality, components[2], today, rules)
    _add_days(candidates, evidence.activity, components[3], weights.consistency, today, floor)
    candidates.sort()
    if not candidates and view.curriculum.skills:
        candidates.append(_review_of_oldest(view))
    return [
        Recommendation(action, area, minutes, gain, steps, before, after, area in urgent)
        for _, _, area, action, minutes, gain, steps, before, after in candidates[:limit]
    ]


def _candidate(
    action: Action, area: str, minutes: int, gain: float, steps: int, before: float, after: float
) -> Candidate:
    """What may be advised, as it is sorted: by the gain per minute, negated, and the length of the area's name."""
    return (-gain / minutes, len(area), area, action, minutes, gain, steps, before, after)


def _add_exercises(candidates: list[Candidate], evidence: Evidence, rules: Rules, floor: Day) -> None:
    """Add the open exercises: completion rises by w·n / Σ w·total."""
    weights, oldest = rules.difficulty_weights, rules.start_of(floor)
    total = 0.0
    opened = []
    for topic, progress in evidence.completion.items():
        if progress.at >= oldest:
            total += weights[progress.difficulty] * progress.total
            if progress.completed < progress.total:
                opened.append((topic, progress))
    for topic, progress in opened:
        left = progress.total - progress.completed
        steps = min(EXERCISES, left)
        gain = rules.weights.completion * weights[progress.difficulty] * steps / total
        minutes = steps * EXERCISE_MINUTES[progress.difficulty]
        candidates.append(_candidate("practice", topic or "exercises", minutes, gain, steps, 0.0, 0.0))


def _add_quality(
    candidates: list[Candidate], quality: DecayedSums, now: float | None, today: Day, rules: Rules
) -> None:
    """Add a submission that is better than the mean by half of what is missing to 1; or a first one."""
    share = rules.weights.quality
    if now is None:
        gain = share * FIRST_QUALITY
        candidates.append(_candidate("refactor", "quality", REFACTOR_MINUTES, gain, 1, 0.0, FIRST_QUALITY))
    elif now < GOOD_QUALITY:
        weight, score = quality.standing(rules.start_of(today), rules.first_day(today), rules.half_life)
        mean = score / weight if weight else now
        then = (1.0 + mean) / 2
        gain = share * (then - mean) / (weight + 1.0)
        candidates.append(_candidate("refactor", "quality", REFACTOR_MINUTES, gain, 1, mean, then))


def _add_days(
    candidates: list[Candidate], activity: ActiveDays, now: float | None, share: float, today: Day, floor: Day
) -> None:
    """Add work on this day and the next six."""
    last = today + WEEK - 1
    then = regularity(activity.up_to(last) | WHOLE_WEEK, last - floor - WEEK + 2) or 0.0
    gain = share * (then - (now or 0.0))
    if gain > 1e-9:
        candidates.append(_candidate("schedule", "consistency", WEEK * DAILY_MINUTES, gain, WEEK, now or 0.0, then))


def _review_of_oldest(view: Outlook) -> Candidate:
    """For a student who has mastered the course: a review of the skill practised longest ago."""
    _, name = min((view.estimate(name).last_practised or NEVER, name) for name in view.curriculum.skills)
    return _candidate("review", name, REVIEW_MINUTES, 0.0, 0, view.chance(name), view.chance(name))
