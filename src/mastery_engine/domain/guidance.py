"""What a document holds beside the evidence: struggles, the advice made, what was dismissed, how the student works.

``guided`` moves it by a batch of events, ``advise`` makes the advice and the path anew where that is due.
"""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.advice import (
    HELD,
    NO_ADVICE,
    Advice,
    Recommendation,
    away,
    recommendation_id,
    with_dismissed,
)
from mastery_engine.domain.curriculum import Curriculum
from mastery_engine.domain.estimates import estimates_of
from mastery_engine.domain.events import Logged
from mastery_engine.domain.evidence import Evidence
from mastery_engine.domain.habits import NO_HABITS, Habits, with_work
from mastery_engine.domain.habits import since as habits_since
from mastery_engine.domain.kinds import RecommendationDismissed
from mastery_engine.domain.mastery import MasteryScore
from mastery_engine.domain.moments import DAY, Day, Micros
from mastery_engine.domain.path import Step, learning_path
from mastery_engine.domain.recommend import recommend
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.struggle import NO_SPELLS, Spell, Spells, noticed, open_spells
from mastery_engine.domain.struggle import since as spells_since

PATH_HELD = 10


class Guidance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``path`` are the first steps of the way on, as last told."""

    spells: Spells = NO_SPELLS
    habits: Habits = NO_HABITS
    advice: Advice = NO_ADVICE
    path: tuple[Step, ...] = ()
    dismissed: dict[str, Micros] = {}

    def since(self, floor: Day) -> "Guidance":
        """Without what is of a day before ``floor``."""
        return Guidance(
            spells_since(self.spells, floor),
            habits_since(self.habits, floor),
            self.advice if self.advice.day >= floor else NO_ADVICE,
            self.path if self.advice.day >= floor else (),
            {one: at for one, at in self.dismissed.items() if at // DAY >= floor},
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
        spells, topic = noticed(spells, event)
        if topic is not None:
            raised.append((event.event_id, topic, spells[topic]))
        elif type(event.data) is RecommendationDismissed:
            dismissed = with_dismissed(dismissed, event.data.recommendation_id, event.at)
    habits = with_work(guidance.habits, fresh, floor)
    return Guidance(spells, habits, guidance.advice, guidance.path, dismissed), raised


def all_advice(
    guidance: Guidance, evidence: Evidence, score: MasteryScore, today: Day, curriculum: Curriculum, rules: Rules
) -> list[Recommendation]:
    """All that can be advised on a day, best first."""
    floor = today - rules.retention_days + 1
    estimates = estimates_of(evidence, curriculum, today, floor)
    urgent = frozenset([topic for topic, _ in open_spells(guidance.spells, floor)]) if guidance.spells else frozenset()
    return recommend(evidence, score.components, estimates, curriculum, today, rules, urgent=urgent)


def advise(
    guidance: Guidance, evidence: Evidence, score: MasteryScore, today: Day, curriculum: Curriculum, rules: Rules
) -> Guidance:
    """With the advice and the path of a day."""
    found = all_advice(guidance, evidence, score, today, curriculum, rules)
    estimates = estimates_of(evidence, curriculum, today, today - rules.retention_days + 1)
    steps = learning_path(estimates, curriculum, rules)[:PATH_HELD]
    return Guidance(
        guidance.spells,
        guidance.habits,
        Advice(today, score.level, score.components, tuple(found[:HELD])),
        steps,
        guidance.dismissed,
    )
