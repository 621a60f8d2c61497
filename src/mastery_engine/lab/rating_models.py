"""Models of the next answer that rate students and items as they go: Elo, and online item response theory."""

from collections import defaultdict
from collections.abc import Sequence
from math import sqrt

from mastery_engine.lab.response_memory import sigmoid
from mastery_engine.lab.response_view import PROBIT
from mastery_engine.lab.responses import Response

ELO_GAIN, ELO_FADE = 1.0, 0.05
ABILITY_VARIANCE, SKILL_VARIANCE, ITEM_VARIANCE, LEAST_VARIANCE = 0.7, 1.0, 1.0, 0.01
ABILITY_NOISE = 0.005


class Elo:
    """A rating for each student, for each of the student's skills, and for each item; the gain falls with the count.

    Pelánek 2016; a gain is 1 / (1 + 0.05 n) after n answers.
    """

    def __init__(self) -> None:
        self._items: dict[str, tuple[float, int]] = {}

    def fit(self, students: Sequence[Sequence[Response]], seed: int) -> None:
        del seed
        for responses in students:
            self._go(responses, learning=True)

    def predict(self, responses: Sequence[Response]) -> list[float]:
        return self._go(responses, learning=False)

    def _go(self, responses: Sequence[Response], *, learning: bool) -> list[float]:
        rating = 0.0
        skills: dict[str, tuple[float, int]] = {}
        predicted = []
        for place, response in enumerate(responses):
            difficulty, tries = self._items.get(response.item, (0.0, 0))
            known = [skills.get(skill, (0.0, 0)) for skill in response.skills]
            chance = sigmoid(rating + sum(one[0] for one in known) / len(known) - difficulty)
            residual = response.right - chance
            rating += ELO_GAIN / (1.0 + ELO_FADE * place) * residual / 2.0
            for skill, (level, count) in zip(response.skills, known, strict=True):
                skills[skill] = (level + ELO_GAIN / (1.0 + ELO_FADE * count) * residual / 2.0, count + 1)
            if learning:
                self._items[response.item] = (difficulty - ELO_GAIN / (1.0 + ELO_FADE * tries) * residual, tries + 1)
            predicted.append(chance)
        return predicted


class OnlineIrt:
    """Normal ability, skill levels and item difficulties, each moved by what an answer tells (Glickman 1999).

    ``skills`` and ``items`` are mean and variance in log-odds; a skill is as easy as usual where nothing is known.
    """

    def __init__(self) -> None:
        self.usual, self._answers = 0.0, 0
        self.skills: dict[str, tuple[float, float]] = {}
        self.items: dict[str, tuple[float, float]] = {}

    def fit(self, students: Sequence[Sequence[Response]], seed: int) -> None:
        del seed
        for responses in students:
            self._go(responses, learning=True)

    def predict(self, responses: Sequence[Response]) -> list[float]:
        return self._go(responses, learning=False)

    def _go(self, responses: Sequence[Response], *, learning: bool) -> list[float]:
        ability, spread = 0.0, ABILITY_VARIANCE
        predicted = []
        for response in responses:
            number = len(response.skills)
            skills = [self.skills.get(skill, (self.usual, SKILL_VARIANCE)) for skill in response.skills]
            difficulty, doubt = self.items.get(response.item, (0.0, ITEM_VARIANCE))
            level = ability + sum(one[0] for one in skills) / number - difficulty
            variance = spread + doubt + sum(one[1] for one in skills) / number**2
            chance = sigmoid(level / sqrt(1.0 + PROBIT * variance))
            predicted.append(chance)
            weight, residual = chance * (1.0 - chance), response.right - chance
            scale = 1.0 + weight * variance
            ability += spread * residual / scale
            spread = spread - spread**2 * weight / scale + ABILITY_NOISE
            if learning:
                left = max(LEAST_VARIANCE, doubt - doubt**2 * weight / scale)
                self.items[response.item] = (difficulty - doubt * residual / scale, left)
                for skill, (easy, wide) in zip(response.skills, skills, strict=True):
                    share = wide / number
                    left = max(LEAST_VARIANCE, wide - share**2 * weight / scale)
                    self.skills[skill] = (easy + share * residual / scale, left)
                self._answers += 1
                self.usual += residual * max(4.0 / (self._answers + 20.0), 0.002)
        return predicted


class Bkt:
    """Bayesian knowledge tracing by grid (Corbett and Anderson 1995): of each skill the four likeliest parameters.

    An item of several skills is predicted by the mean of theirs.
    """

    def __init__(self) -> None:
        self._skills: dict[str, tuple[float, float, float, float]] = {}
        self._usual = (0.5, 0.1, 0.2, 0.1)

    def fit(self, students: Sequence[Sequence[Response]], seed: int) -> None:
        from mastery_engine.lab.bkt_grid import likeliest

        del seed
        runs: dict[str, list[list[int]]] = defaultdict(list)
        everything: list[list[int]] = []
        for responses in students:
            mine: dict[str, list[int]] = defaultdict(list)
            for response in responses:
                for skill in response.skills:
                    mine[skill].append(response.right)
            for skill, run in mine.items():
                runs[skill].append(run)
                everything.append(run)
        self._usual = likeliest(everything)
        self._skills = {skill: likeliest(own) for skill, own in runs.items()}

    def predict(self, responses: Sequence[Response]) -> list[float]:
        known: dict[str, float] = {}
        predicted = []
        for response in responses:
            chances = []
            for skill in response.skills:
                start, learns, guess, slip = self._skills.get(skill, self._usual)
                level = known.get(skill, start)
                chance = level * (1.0 - slip) + (1.0 - level) * guess
                chances.append(chance)
                seen = level * (1.0 - slip) / chance if response.right else level * slip / (1.0 - chance)
                known[skill] = seen + (1.0 - seen) * learns
            predicted.append(sum(chances) / len(chances))
        return predicted
