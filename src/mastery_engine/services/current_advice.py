"""The advice and the path that hold now, which every door shows.

The advice is the document's, or made anew if a day has passed. The path is that of the moment: what the document holds
is the one last published.
"""

from typing import NamedTuple

import msgspec
from cachetools import FIFOCache

from mastery_engine.domain.advice.guidance import advise, current, not_dismissed, unpacked_steps
from mastery_engine.domain.advice.recommendation import Recommendation, unpacked_advice
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.evidence.score import MasteryScore
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.responses.advice import PathAhead, Recommended, path_ahead, recommended
from mastery_engine.services.models import Models
from mastery_engine.services.students import StudentInCourse

MOST_STUDENTS = 20_000


class AdviceWords(NamedTuple):
    """Advice and the first steps of the path as they are sent."""

    advice: list[Recommended]
    path: PathAhead | None


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(AdviceWords).decode


class MadeAdvice(msgspec.Struct, gc=False):
    """Advice and path as they are shown, and what from: they hold as long as these are the same.

    They are packed, and so are their words once they were asked for: the garbage collector need not look at any of
    it, which took it milliseconds each second and a tenth of one now and then, in which no call was answered.
    """

    version: int
    updated: Micros
    day: Day
    model: SkillModel
    setup: CourseSetup
    pieces: bytes
    steps: bytes | None
    words: bytes = b""

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
        self._made: FIFOCache[tuple[str, ...], MadeAdvice] = FIFOCache(most)

    def advice(self, of: StudentInCourse, score: MasteryScore) -> tuple[Recommendation, ...]:
        """The advice of this day, as a fold at this moment would leave it."""
        return unpacked_advice(self._of(of, score, with_path=False).pieces)

    def in_words(self, of: StudentInCourse, score: MasteryScore) -> list[Recommended]:
        """The same as it is sent, without what was dismissed within the last week."""
        return self._worded(of, self._of(of, score, with_path=False)).advice

    def with_path_in_words(self, of: StudentInCourse, score: MasteryScore) -> AdviceWords:
        """The same, and the first steps of the path as it is now."""
        return self._worded(of, self._of(of, score, with_path=True))

    def _of(self, of: StudentInCourse, score: MasteryScore, *, with_path: bool) -> MadeAdvice:
        key = tuple(of.key)  # a plain tuple of texts is nothing to the garbage collector
        model, made = self._models.skills, self._made.get(key)
        if made is not None and (made.steps is not None or not with_path) and made.is_of(of, model):
            return made
        student, today = of.student, of.today
        held, rules, course = student.guidance, of.rules, of.curriculum
        if with_path:
            shown = current(held, student.evidence, score, today, course, rules, student.knowledge, model)
        elif held.advice.is_due(score, today):
            shown = advise(held, student.evidence, score, today, course, rules, student.knowledge, model)
        else:
            shown = held
        steps = shown.steps if with_path else None
        pieces = shown.advice.pieces
        made = MadeAdvice(of.document.version, student.updated, today, model, of.setup, pieces, steps)
        self._made[key] = made
        return made

    @staticmethod
    def _worded(of: StudentInCourse, made: MadeAdvice) -> AdviceWords:
        """AdviceWords are kept unless something was dismissed, which comes back at some moment."""
        if made.words:
            return _unpack(made.words)
        dismissed = of.student.guidance.dismissed
        advice = not_dismissed(unpacked_advice(made.pieces), dismissed, *of.key, of.now)
        path = None if made.steps is None else path_ahead(unpacked_steps(made.steps))
        words = AdviceWords(recommended(advice, of.key, of.curriculum), path)
        if not dismissed:
            made.words = _pack(words)
        return words
