"""Online item response theory, as a baseline of the next answer."""

from collections.abc import Sequence
from math import exp, sqrt

from mastery_engine.lab.skills.answer_files import AnswerRow

ABILITY_VARIANCE, SKILL_VARIANCE, ITEM_VARIANCE, LEAST_VARIANCE = 0.7, 1.0, 1.0, 0.01
ABILITY_NOISE = 0.005
# The mean of σ(z) over z with variance V is close to σ(E z / sqrt(1 + 0.35 V)) (MacKay 1992 has π/8).
PROBIT = 0.35


class OnlineIrt:
    """Normal ability, skill levels and item difficulties, each moved by what an answer tells (Glickman 1999).

    What is kept of skills and items is mean and variance in log-odds; an unknown skill is as easy as usual.
    """

    def __init__(self) -> None:
        self._usual, self._answers = 0.0, 0
        self._skills: dict[str, tuple[float, float]] = {}
        self._items: dict[str, tuple[float, float]] = {}

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        for rows in students:
            self._go(rows, learning=True)

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        return self._go(rows, learning=False)

    def _go(self, rows: Sequence[AnswerRow], *, learning: bool) -> list[float]:
        ability, spread = 0.0, ABILITY_VARIANCE
        predicted = []
        for row in rows:
            number = len(row.skills)
            skills = [self._skills.get(skill, (self._usual, SKILL_VARIANCE)) for skill in row.skills]
            difficulty, doubt = self._items.get(row.item_id, (0.0, ITEM_VARIANCE))
            level = ability + sum(mean for mean, _ in skills) / number - difficulty
            variance = spread + doubt + sum(width for _, width in skills) / number**2
            chance = 1.0 / (1.0 + exp(-level / sqrt(1.0 + PROBIT * variance)))
            predicted.append(chance)
            weight, residual = chance * (1.0 - chance), row.right - chance
            scale = 1.0 + weight * variance
            ability += spread * residual / scale
            spread = spread - spread**2 * weight / scale + ABILITY_NOISE
            if learning:
                left = max(LEAST_VARIANCE, doubt - doubt**2 * weight / scale)
                self._items[row.item_id] = (difficulty - doubt * residual / scale, left)
                for skill, (easy, wide) in zip(row.skills, skills, strict=True):
                    share = wide / number
                    left = max(LEAST_VARIANCE, wide - share**2 * weight / scale)
                    self._skills[skill] = (easy + share * residual / scale, left)
                self._answers += 1
                self._usual += residual * max(4.0 / (self._answers + 20.0), 0.002)
        return predicted
