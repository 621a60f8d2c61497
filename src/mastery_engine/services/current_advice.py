"""The advice and the path that hold now, which every door shows.

The advice is the document's, or made anew if a day has passed. The path is that of the moment: what the document holds
is the one last published.
"""

from typing import TypeAlias

import msgspec
from cachetools import FIFOCache

from mastery_engine.domain.advice.guidance import Guidance, advise, current
from mastery_engine.domain.advice.recommendation import Recommendation
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.student import DocumentKey
from mastery_engine.responses.advice import Recommended, recommended
from mastery_engine.services.models import Models
from mastery_engine.services.students import StudentInCourse

MOST_STUDENTS = 20_000

Worded: TypeAlias = tuple[tuple[Recommendation, ...], CourseSetup, list[Recommended]]


class MadeAdvice(msgspec.Struct, frozen=True):
    """Guidance that was made anew, and what from: it holds as long as these are the same."""

    updated: Micros
    day: Day
    model: SkillModel
    setup: CourseSetup
    guidance: Guidance

    def is_of(self, of: StudentInCourse, model: SkillModel) -> bool:
        return (
            self.updated == of.student.updated
            and self.day == of.today
            and self.model is model
            and self.setup is of.setup
        )


class CurrentAdvice:
    """Finds students' advice and puts it into words, and caches both for the students last asked for."""

    def __init__(self, models: Models, *, most: int = MOST_STUDENTS) -> None:
        self._models = models
        self._worded: FIFOCache[DocumentKey, Worded] = FIFOCache(most)
        self._renewed: FIFOCache[DocumentKey, MadeAdvice] = FIFOCache(most)
        self._current: FIFOCache[DocumentKey, MadeAdvice] = FIFOCache(most)

    def guidance(self, of: StudentInCourse, score: MasteryScore) -> Guidance:
        """The guidance with the advice of this day, as a fold at this moment would leave it."""
        student, today = of.student, of.today
        held = student.guidance
        if not held.advice.is_due(score, today):
            return held
        model, cached = self._models.skills, self._renewed.get(of.key)
        if cached is not None and cached.is_of(of, model):
            return cached.guidance
        renewed = advise(held, student.evidence, score, today, of.curriculum, of.rules, student.knowledge, model)
        self._renewed[of.key] = MadeAdvice(student.updated, today, model, of.setup, renewed)
        return renewed

    def with_path(self, of: StudentInCourse, score: MasteryScore) -> Guidance:
        """The guidance with the same advice as in ``guidance``, and the first steps of the path as it is now."""
        model, cached = self._models.skills, self._current.get(of.key)
        if cached is not None and cached.is_of(of, model):
            return cached.guidance
        student, today = of.student, of.today
        held = student.guidance
        found = current(held, student.evidence, score, today, of.curriculum, of.rules, student.knowledge, model)
        if found is not held:
            self._current[of.key] = MadeAdvice(student.updated, today, model, of.setup, found)
        return found

    def in_words(self, of: StudentInCourse, guidance: Guidance) -> list[Recommended]:
        """The advice as it is sent, without what was dismissed within the last week."""
        advice = guidance.advised(*of.key, of.now)
        if not advice:
            return []
        cached = self._worded.get(of.key)
        if cached is not None and cached[0] == advice and cached[1] is of.setup:
            return cached[2]
        worded = recommended(advice, of.key, of.curriculum)
        self._worded[of.key] = (advice, of.setup, worded)
        return worded
