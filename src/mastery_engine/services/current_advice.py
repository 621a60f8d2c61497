"""The advice and the path that hold now, which every door shows.

The advice is the document's, or made anew if a day has passed. The path is that of the moment: what the document holds
is the one last published.
"""

from typing import TypeAlias

from cachetools import FIFOCache

from mastery_engine.domain.advice.guidance import Guidance, advise, current
from mastery_engine.domain.advice.recommendation import Recommendation
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.student import DocumentKey, Student
from mastery_engine.responses.advice import Recommended, recommended
from mastery_engine.services.models import Models

MOST_STUDENTS = 20_000

Worded: TypeAlias = tuple[tuple[Recommendation, ...], list[Recommended]]
Renewed: TypeAlias = tuple[Micros, Day, SkillModel, Guidance]


class CurrentAdvice:
    """Finds students' advice and puts it into words, and caches both for the students last asked for."""

    def __init__(self, models: Models, rules: Rules, curriculum: Curriculum, *, most: int = MOST_STUDENTS) -> None:
        self._models = models
        self._rules = rules
        self._curriculum = curriculum
        self._worded: FIFOCache[DocumentKey, Worded] = FIFOCache(most)
        self._renewed: FIFOCache[DocumentKey, Renewed] = FIFOCache(most)
        self._current: FIFOCache[DocumentKey, Renewed] = FIFOCache(most)

    def guidance(self, key: DocumentKey, student: Student, score: MasteryScore, now: Micros) -> Guidance:
        """The guidance with the advice of the day of ``now``, as a fold at that moment would leave it."""
        held, today = student.guidance, self._rules.day_of(now)
        if not held.advice.is_due(score, today):
            return held
        model, cached = self._models.skills, self._renewed.get(key)
        if cached is not None and cached[:2] == (student.updated, today) and cached[2] is model:
            return cached[3]
        renewed = advise(held, student.evidence, score, today, self._curriculum, self._rules, student.knowledge, model)
        self._renewed[key] = (student.updated, today, model, renewed)
        return renewed

    def with_path(self, key: DocumentKey, student: Student, score: MasteryScore, now: Micros) -> Guidance:
        """The guidance with the same advice as in ``guidance``, and the first steps of the path as it is now."""
        model, cached, today = self._models.skills, self._current.get(key), self._rules.day_of(now)
        if cached is not None and cached[:2] == (student.updated, today) and cached[2] is model:
            return cached[3]
        held, rules = student.guidance, self._rules
        found = current(held, student.evidence, score, today, self._curriculum, rules, student.knowledge, model)
        if found is not held:
            self._current[key] = (student.updated, today, model, found)
        return found

    def in_words(self, key: DocumentKey, guidance: Guidance, now: Micros) -> list[Recommended]:
        """The advice as it is sent, without what was dismissed within the last week."""
        advice = guidance.advised(*key, now)
        if not advice:
            return []
        cached = self._worded.get(key)
        if cached is not None and cached[0] == advice:
            return cached[1]
        worded = recommended(advice, key, self._curriculum)
        self._worded[key] = (advice, worded)
        return worded
