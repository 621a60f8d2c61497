"""The advice that a document holds, in words: kept as long as it stays the same, since queries come often."""

from mastery_engine.domain.advice.guidance import Guidance
from mastery_engine.domain.advice.recommendation import Recommendation
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.responses.advice import Recommended, recommended

MOST = 20_000


class Wording:
    """Words for students' advice, those of the last students kept."""

    def __init__(self, curriculum: Curriculum) -> None:
        self._curriculum = curriculum
        self._kept: dict[StudentKey, tuple[tuple[Recommendation, ...], list[Recommended]]] = {}

    def __call__(self, key: StudentKey, guidance: Guidance, at: Micros) -> list[Recommended]:
        """The advice held at a moment, without what was dismissed lately."""
        advice = guidance.advised(key.tenant, key.student_id, at)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == advice:
            return kept[1]
        worded = recommended(advice, key.tenant, key.student_id, self._curriculum)
        if len(self._kept) >= MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (advice, worded)
        return worded
