"""The advice and the path that hold now, which every door shows.

The advice is the document's, or made anew if a day has passed. The path is that of the moment: what the document holds
is the one last published.
"""

import msgspec
from cachetools import FIFOCache

from mastery_engine.domain.advice.guidance import Guidance, advise, current
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.student import DocumentKey
from mastery_engine.responses.advice import PathAhead, Recommended, path_ahead, recommended
from mastery_engine.services.models import Models
from mastery_engine.services.students import StudentInCourse

MOST_STUDENTS = 20_000


class MadeAdvice(msgspec.Struct, gc=False):
    """Guidance as it is shown, and what from: it holds as long as these are the same. Words are found when needed."""

    version: int
    updated: Micros
    day: Day
    model: SkillModel
    setup: CourseSetup
    guidance: Guidance
    has_path: bool
    words: list[Recommended] | None = None
    path: PathAhead | None = None

    def is_of(self, of: StudentInCourse, model: SkillModel) -> bool:
        document = of.document
        return (
            self.updated == document.student.updated
            and self.version == document.version
            and self.day == of.today
            and self.model is model
            and self.setup is of.setup
        )


class CurrentAdvice:
    """Finds students' advice and puts it into words, and caches both for the students last asked for."""

    def __init__(self, models: Models, *, most: int = MOST_STUDENTS) -> None:
        self._models = models
        self._made: FIFOCache[DocumentKey, MadeAdvice] = FIFOCache(most)

    def guidance(self, of: StudentInCourse, score: MasteryScore) -> Guidance:
        """The guidance with the advice of this day, as a fold at this moment would leave it."""
        return self._of(of, score, with_path=False).guidance

    def with_path(self, of: StudentInCourse, score: MasteryScore) -> Guidance:
        """The guidance with the same advice as in ``guidance``, and the first steps of the path as it is now."""
        return self._of(of, score, with_path=True).guidance

    def in_words(self, of: StudentInCourse, score: MasteryScore) -> list[Recommended]:
        """The advice as it is sent, without what was dismissed within the last week."""
        return self._worded(of, self._of(of, score, with_path=False))

    def with_path_in_words(
        self, of: StudentInCourse, score: MasteryScore
    ) -> tuple[list[Recommended], PathAhead | None]:
        """The same, and the first steps of the path as they are sent."""
        made = self._of(of, score, with_path=True)
        if made.path is None:
            made.path = path_ahead(made.guidance.path)
        return self._worded(of, made), made.path

    def _of(self, of: StudentInCourse, score: MasteryScore, *, with_path: bool) -> MadeAdvice:
        model, made = self._models.skills, self._made.get(of.key)
        if made is not None and (made.has_path or not with_path) and made.is_of(of, model):
            return made
        student, today = of.student, of.today
        held, rules, course = student.guidance, of.rules, of.curriculum
        if with_path:
            guidance = current(held, student.evidence, score, today, course, rules, student.knowledge, model)
        elif held.advice.is_due(score, today):
            guidance = advise(held, student.evidence, score, today, course, rules, student.knowledge, model)
        else:
            guidance = held
        made = MadeAdvice(of.document.version, student.updated, today, model, of.setup, guidance, with_path)
        self._made[of.key] = made
        return made

    @staticmethod
    def _worded(of: StudentInCourse, made: MadeAdvice) -> list[Recommended]:
        """Words are kept as long as they do not depend on the moment: something dismissed comes back."""
        guidance = made.guidance
        if guidance.dismissed:
            return recommended(guidance.advised(*of.key, of.now), of.key, of.curriculum)
        if made.words is None:
            made.words = recommended(guidance.advice.items, of.key, of.curriculum)
        return made.words
