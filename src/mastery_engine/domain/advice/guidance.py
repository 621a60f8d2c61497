"""What a document holds beside the evidence: struggles, the advice made, what was dismissed, how the student works.

``guided`` moves it by a batch of events, ``advise`` makes the advice and the path anew where that is due.
"""

from collections.abc import Sequence
from zlib import crc32

import msgspec

from mastery_engine.domain.advice.habits import NO_HABITS, Habits, with_work
from mastery_engine.domain.advice.habits import since as habits_since
from mastery_engine.domain.advice.learning_path import Step, learning_path
from mastery_engine.domain.advice.recommend import recommend
from mastery_engine.domain.advice.recommendation import (
    HELD,
    NO_ADVICE,
    Advice,
    Recommendation,
    away,
    recommendation_id,
    with_dismissed,
)
from mastery_engine.domain.advice.struggle import NO_SPELLS, SIGNS, Spell, Spells, noticed, open_spells
from mastery_engine.domain.advice.struggle import since as spells_since
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.events.kinds import RecommendationDismissed
from mastery_engine.domain.evidence.evidence import Evidence
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.moments import DAY, Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import MASTERED, Outlook, estimates_of, outlook, traced_estimates
from mastery_engine.domain.skills.knowledge import NOT_TRACED, Tracing
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel

PATH_HELD = 5


class Guidance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``path`` are the first steps of the way on, as last told, and ``basis`` the mark of what was known then."""

    spells: Spells = NO_SPELLS
    habits: Habits = NO_HABITS
    advice: Advice = NO_ADVICE
    path: tuple[Step, ...] = ()
    dismissed: dict[str, Micros] = {}
    basis: int = 0

    def since(self, floor: Day) -> "Guidance":
        """Without what is of a day before ``floor``."""
        return Guidance(
            spells_since(self.spells, floor),
            habits_since(self.habits, floor),
            self.advice if self.advice.day >= floor else NO_ADVICE,
            self.path if self.advice.day >= floor else (),
            {one: at for one, at in self.dismissed.items() if at // DAY >= floor},
            self.basis if self.advice.day >= floor else 0,
        )

    def advised(self, tenant: str, student_id: str, at: Micros) -> tuple[Recommendation, ...]:
        """The advice held, without what was dismissed within a week."""
        if not self.dismissed:
            return self.advice.items
        gone = away(self.dismissed, at)
        return tuple([one for one in self.advice.items if recommendation_id(tenant, student_id, one) not in gone])


NO_GUIDANCE = Guidance()

Raised = tuple[str, str, Spell]


def guided(guidance: Guidance, fresh: Sequence[Logged], floor: Day) -> tuple[Guidance, list[Raised]]:
    """What new events change, in the order of their arrival; and the struggles raised: (event's id, topic, spell)."""
    spells, dismissed = guidance.spells, guidance.dismissed
    raised: list[Raised] = []
    for one in fresh:
        event = one.event
        kind = type(event.data)
        if spells or kind in SIGNS:
            spells, topic = noticed(spells, event)
            if topic is not None:
                raised.append((event.event_id, topic, spells[topic]))
        if kind is RecommendationDismissed:
            dismissed = with_dismissed(dismissed, event.data.recommendation_id, event.at)  # type: ignore[attr-defined]
    habits = with_work(guidance.habits, fresh, floor)
    return Guidance(spells, habits, guidance.advice, guidance.path, dismissed, guidance.basis), raised


def outlook_of(
    evidence: Evidence,
    today: Day,
    curriculum: Curriculum,
    rules: Rules,
    tracing: Tracing = NOT_TRACED,
    model: SkillModel = DEFAULT_SKILLS,
) -> Outlook:
    """What a student knows within the course on a day: by their answers, else by the exercises done."""
    found = estimates_of(evidence, curriculum, today, today - rules.retention_days + 1)
    if tracing.skills:
        found |= traced_estimates(tracing, curriculum, today, model)
    return outlook(found, curriculum)


def advice_for(
    guidance: Guidance,
    evidence: Evidence,
    score: MasteryScore,
    view: Outlook,
    today: Day,
    rules: Rules,
    *,
    limit: int | None = None,
) -> list[Recommendation]:
    """What can be advised on a day, best first; open struggles are urgent."""
    open_topics = open_spells(guidance.spells, today - rules.retention_days + 1) if guidance.spells else ()
    urgent = frozenset([topic for topic, _ in open_topics])
    return recommend(evidence, score.components, view, today, rules, limit=limit, urgent=urgent)


def advise(
    guidance: Guidance,
    evidence: Evidence,
    score: MasteryScore,
    today: Day,
    curriculum: Curriculum,
    rules: Rules,
    tracing: Tracing = NOT_TRACED,
    model: SkillModel = DEFAULT_SKILLS,
) -> Guidance:
    """With the advice of a day; with the path too, where other skills are known than when it was made."""
    view = outlook_of(evidence, today, curriculum, rules, tracing, model)
    found = advice_for(guidance, evidence, score, view, today, rules, limit=HELD)
    basis = _basis(view)
    path = guidance.path if basis == guidance.basis else learning_path(view, rules, most=PATH_HELD)
    advice = Advice(today, score.level, score.components, tuple(found))
    return Guidance(guidance.spells, guidance.habits, advice, path, guidance.dismissed, basis)


def _basis(view: Outlook) -> int:
    """A mark, never 0, of the course, which of its skills are known, and how many are mastered."""
    mastered = sum([one.probability >= MASTERED for one in view.estimates.values()])
    return crc32(f"{mastered} {view.known:x}".encode(), view.curriculum.mark) + 1
