"""Guidance, a section of the document: struggles, work habits, the last advice, and what was dismissed.

``guidance_after`` updates it by a batch of events; ``advise`` renews the advice and the path when that is due, and
``current`` is what is shown of it between two events.
"""

from collections.abc import Iterable, Mapping, Sequence
from zlib import crc32

import msgspec

from mastery_engine.domain.advice.habits import NO_HABITS, Habits, merged_habits, with_work
from mastery_engine.domain.advice.habits import since as habits_since
from mastery_engine.domain.advice.learning_path import Step, learning_path
from mastery_engine.domain.advice.recommend import recommend
from mastery_engine.domain.advice.recommendation import (
    HELD,
    NO_ADVICE,
    Advice,
    Recommendation,
    advice_checksum,
    checksum_of,
    recently_dismissed,
    recommendation_id,
    with_dismissed,
)
from mastery_engine.domain.advice.struggle import (
    NO_SPELLS,
    SIGNS,
    Spell,
    Spells,
    merged_spells,
    open_topics,
    spells_after,
)
from mastery_engine.domain.advice.struggle import since as spells_since
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.events.kinds import Answer, Completion, RecommendationDismissed
from mastery_engine.domain.evidence.evidence import Evidence
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import Outlook, outlook_of, skill_estimates
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, KnowledgeState
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel

PATH_HELD = 5


_pack = msgspec.msgpack.Encoder().encode
unpacked_steps = msgspec.msgpack.Decoder(tuple[Step, ...]).decode
NO_STEPS = _pack(())  # no path, packed


class Guidance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``steps`` holds the first steps of the path last published, packed, ``basis`` a checksum of what was known then.

    ``made_by`` is the checksum of ``_makers`` as long as the path is that of the advice's day; 0 once an answer or an
    exercise came, or a day passed, without its being made anew.
    """

    spells: Spells = NO_SPELLS
    habits: Habits = NO_HABITS
    advice: Advice = NO_ADVICE
    steps: bytes = NO_STEPS
    dismissed: dict[str, Micros] = {}
    basis: int = 0
    made_by: int = 0

    @property
    def path(self) -> tuple[Step, ...]:
        """The first steps of the path, unpacked each time."""
        return unpacked_steps(self.steps)

    def since(self, floor: Day, rules: Rules) -> "Guidance":
        """Without anything from days before ``floor``."""
        oldest = rules.start_of(floor)
        return Guidance(
            spells_since(self.spells, oldest),
            habits_since(self.habits, floor),
            self.advice if self.advice.day >= floor else NO_ADVICE,
            self.steps if self.advice.day >= floor else NO_STEPS,
            {name: at for name, at in self.dismissed.items() if at >= oldest},
            self.basis if self.advice.day >= floor else 0,
            self.made_by if self.advice.day >= floor else 0,
        )

    def advised(self, tenant: str, student_id: str, course_id: str, at: Micros) -> tuple[Recommendation, ...]:
        """The last advice, without what was dismissed within the last week."""
        return not_dismissed(self.advice.items, self.dismissed, tenant, student_id, course_id, at)

    def news(
        self, tenant: str, student_id: str, course_id: str, at: Micros, sent: int
    ) -> tuple[int, tuple[Recommendation, ...] | None]:
        """The checksum of what is ``advised``, and that advice: None where it is what was ``sent``, by its checksum."""
        if not self.dismissed:
            checksum = advice_checksum(self.advice.pieces)
            return checksum, None if checksum == sent else self.advice.items
        items = self.advised(tenant, student_id, course_id, at)
        checksum = checksum_of(items)
        return checksum, None if checksum == sent else items

    def named(self) -> dict[str, bool]:
        """The skills that advice and path name, each with whether for a review."""
        named = {step.skill: step.is_review for step in self.path}
        for item in self.advice.items:
            if item.action == "review" or (item.action == "practice" and item.after > item.before):
                named[item.area] = item.action == "review"
        return named


NO_GUIDANCE = Guidance()


def not_dismissed(
    advice: tuple[Recommendation, ...],
    dismissed: Mapping[str, Micros],
    tenant: str,
    student_id: str,
    course_id: str,
    at: Micros,
) -> tuple[Recommendation, ...]:
    """The advice without what was dismissed within the week before a moment."""
    if not dismissed:
        return advice
    gone = recently_dismissed(dismissed, at)
    return tuple([item for item in advice if recommendation_id(tenant, student_id, course_id, item) not in gone])


def merged_guidance(ours: Guidance, theirs: Guidance) -> Guidance:
    """The guidance of one student that two documents have.

    Of a topic's struggle the one with the later sign stays, counts of habits add up, and what was dismissed in either
    is dismissed. Advice and path are the newer ones, to be made anew with the next event.
    """
    newer = theirs if ours.advice.day < theirs.advice.day else ours
    dismissed = ours.dismissed
    for name, at in theirs.dismissed.items():
        dismissed = with_dismissed(dismissed, name, at)
    return Guidance(
        merged_spells(ours.spells, theirs.spells),
        merged_habits(ours.habits, theirs.habits),
        newer.advice,
        newer.steps,
        dismissed,
        newer.basis,
    )


Raised = tuple[str, str, Spell]


def guidance_after(
    guidance: Guidance, fresh: Sequence[Logged], floor: Day, rules: Rules
) -> tuple[Guidance, list[Raised]]:
    """Guidance after new events, in the order of their arrival; and the struggles raised: (event id, topic, spell)."""
    spells, dismissed, made_by = guidance.spells, guidance.dismissed, guidance.made_by
    raised: list[Raised] = []
    for logged in fresh:
        event = logged.event
        kind = type(event.data)
        if spells or kind in SIGNS:
            spells, topic = spells_after(spells, event)
            if topic is not None:
                raised.append((event.event_id, topic, spells[topic]))
        if kind is Answer or kind is Completion:
            made_by = 0
        elif kind is RecommendationDismissed:
            dismissed = with_dismissed(dismissed, event.data.recommendation_id, event.at)  # type: ignore[attr-defined]
    habits = with_work(guidance.habits, fresh, floor, rules)
    return Guidance(spells, habits, guidance.advice, guidance.steps, dismissed, guidance.basis, made_by), raised


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
    """The advice of a day, best first; topics with open struggles are urgent."""
    urgent: frozenset[str] = frozenset()
    if guidance.spells:
        urgent = open_topics(guidance.spells, rules.start_of(rules.first_day(today)))
    return recommend(evidence, score.components, view, today, rules, limit=limit, urgent=urgent)


def in_order(held: Iterable[Recommendation], fresh: Iterable[Recommendation]) -> list[Recommendation]:
    """All advice of a day: first what is held, as every query shows it, then what else there is, each once."""
    first = [*held]
    shown = {(piece.action, piece.area) for piece in first}
    return first + [piece for piece in fresh if (piece.action, piece.area) not in shown]


def advise(
    guidance: Guidance,
    evidence: Evidence,
    score: MasteryScore,
    today: Day,
    curriculum: Curriculum,
    rules: Rules,
    knowledge: KnowledgeState = NO_KNOWLEDGE,
    model: SkillModel = DEFAULT_SKILLS,
) -> Guidance:
    """Guidance with the advice of a day, and with a new path if what the student knows has changed since the last."""
    view = outlook_of(evidence, knowledge, curriculum, today, rules, model, beside=False)
    return with_advice(guidance, evidence, score, view, today, rules)


def with_advice(
    guidance: Guidance, evidence: Evidence, score: MasteryScore, view: Outlook, today: Day, rules: Rules
) -> Guidance:
    """As ``advise``, by the outlook within the course on that day."""
    advice = _made(guidance, evidence, score, view, today, rules)
    basis, made_by = _basis(view), _makers(view.curriculum, rules, view.model)
    steps = guidance.steps
    if basis != guidance.basis:
        steps = _pack(learning_path(view, rules, most=PATH_HELD))
    elif guidance.made_by != made_by or guidance.advice.day != today:
        made_by = 0
    return Guidance(guidance.spells, guidance.habits, advice, steps, guidance.dismissed, basis, made_by)


def current(
    guidance: Guidance,
    evidence: Evidence,
    score: MasteryScore,
    today: Day,
    curriculum: Curriculum,
    rules: Rules,
    knowledge: KnowledgeState = NO_KNOWLEDGE,
    model: SkillModel = DEFAULT_SKILLS,
) -> Guidance:
    """Guidance as it is shown on a day: the advice held, or that of the day if it is due, and the path as it is now.

    The path held is the one last published, and may be older than the advice. It is the same object if all is held.
    """
    is_due = guidance.advice.is_due(score, today)
    if not is_due and guidance.made_by == _makers(curriculum, rules, model):
        return guidance
    view = outlook_of(evidence, knowledge, curriculum, today, rules, model, beside=False)
    advice = _made(guidance, evidence, score, view, today, rules) if is_due else guidance.advice
    steps = _pack(learning_path(view, rules, most=PATH_HELD))
    return Guidance(guidance.spells, guidance.habits, advice, steps, guidance.dismissed)


def named_anew(guidance: Guidance, fresh: Sequence[Logged], curriculum: Curriculum) -> dict[str, bool]:
    """The skills that advice and path name and that new events may say something of, each with whether for a review.

    An answer moves the general level, and so every skill, also those that it does not name.
    """
    touched: list[str] = []
    for logged in fresh:
        data = logged.event.data
        kind = type(data)
        if kind is Answer:
            return guidance.named()
        if kind is Completion:
            touched += curriculum.skills_of(data.topic or "")  # type: ignore[attr-defined]
    if not touched:
        return {}
    named = guidance.named()
    return {skill: named[skill] for skill in touched if skill in named}


def is_outdated(
    named: Mapping[str, bool],
    evidence: Evidence,
    today: Day,
    curriculum: Curriculum,
    rules: Rules,
    knowledge: KnowledgeState,
    model: SkillModel,
) -> bool:
    """Whether what advice or path say of any of these skills is settled: it is mastered now, or no review is due."""
    estimates = skill_estimates([*named], evidence, knowledge, curriculum, today, rules, model)
    for skill, for_review in named.items():
        now = estimates.get(skill)  # a skill without evidence is neither mastered nor due
        if (now is None or not now.needs_review) if for_review else (now is not None and now.is_settled):
            return True
    return False


def _made(
    guidance: Guidance, evidence: Evidence, score: MasteryScore, view: Outlook, today: Day, rules: Rules
) -> Advice:
    items = advice_for(guidance, evidence, score, view, today, rules, limit=HELD)
    return Advice.of(today, score.level, score.components, items)


def _makers(curriculum: Curriculum, rules: Rules, model: SkillModel) -> int:
    """A checksum, never 0, of what a path follows from beside the student's evidence and the day."""
    return (curriculum.checksum ^ rules.checksum ^ model.checksum) or 1


def _basis(view: Outlook) -> int:
    """A checksum, never 0, of the course, of which of its skills are known, and of how many are mastered."""
    return crc32(f"{view.mastered} {view.known:x}".encode(), view.curriculum.checksum) + 1
