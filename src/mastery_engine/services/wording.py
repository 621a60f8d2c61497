"""The advice of a document in words, cached while the advice stays the same, since queries are frequent."""

from cachetools import FIFOCache

from mastery_engine.domain.advice.guidance import Guidance
from mastery_engine.domain.advice.recommendation import Recommendation
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.responses.advice import Recommended, recommended

MOST_STUDENTS = 20_000


class Wording:
    """Turns students' advice into words, and caches those of the students last asked for."""

    def __init__(self, curriculum: Curriculum, *, most: int = MOST_STUDENTS) -> None:
        self._curriculum = curriculum
        self._cached: FIFOCache[StudentKey, tuple[tuple[Recommendation, ...], list[Recommended]]] = FIFOCache(most)

    def __call__(self, key: StudentKey, guidance: Guidance, at: Micros) -> list[Recommended]:
        """A student's advice at a moment, without what was dismissed within the last week."""
        advice = guidance.advised(key.tenant, key.student_id, at)
        if not advice:
            return []
        cached = self._cached.get(key)
        if cached is not None and cached[0] == advice:
            return cached[1]
        worded = recommended(advice, key.tenant, key.student_id, self._curriculum)
        self._cached[key] = (advice, worded)
        return worded
