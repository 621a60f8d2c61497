"""The model of the next answer against a slow one, which looks at the whole history anew and uses plain numbers."""

from collections.abc import Sequence
from itertools import pairwise
from math import exp, log, log1p, sqrt, tanh
from random import Random

import numpy as np
import pytest

from mastery_engine.lab.skills.next_answer.features import FEATURES
from mastery_engine.lab.skills.next_answer.head import Head
from mastery_engine.lab.skills.next_answer.model import AnswerGiven, fit, predict, show
from mastery_engine.lab.skills.next_answer.shared import NONE, SHRINK, Combination, Effect, Item, Shared, learned
from mastery_engine.lab.skills.next_answer.student import StudentState
from mastery_engine.lab.skills.next_answer.traits import loadings_of, moved

DAY = 86_400.0
PRIORS = {"": (0.7, 0.004), "skill": (0.25, 0.01)}  # variance before the first answer, share of it that comes back


def history(seed: int) -> list[AnswerGiven]:
    """Some items again and again, one or two skills, gaps from seconds to weeks; what is right depends on the item."""
    chance, at, rows = Random(seed), 1e9, []
    item = 0
    for _ in range(60):
        item = item if chance.random() < 0.2 else chance.randrange(20)
        skills = (f"s{item % 3}",) if item % 4 else (f"s{item % 3}", "all")
        at += chance.choice((-5.0, 2.0, 9.0, 60.0, 400.0, 4_000.0, DAY, 20 * DAY))
        rows.append((f"i{item}", skills, int(chance.random() < 0.25 + item / 40), at))
    return rows


@pytest.fixture(scope="module")
def shared() -> Shared:
    return fit([history(seed) for seed in range(40)])


@pytest.mark.parametrize("seed", range(100, 106))
def test_the_fast_way_agrees_with_the_slow_one(seed: int, shared: Shared) -> None:
    rows = history(seed)
    rows[20:20] = [("new", ("s0", "new"), 1, rows[19][3]), ("i3", ("new",), 0, rows[19][3])]
    student, fast = StudentState(), []
    for item, skills, right, at in rows:
        probability, features = predict(shared, student, item, skills, at)
        fast.append(probability)
        show(student, item, skills, right, at, features)
    assert fast == pytest.approx(slowly(shared, rows), abs=2e-5)


def test_an_effect_is_the_shrunk_mean_of_its_residuals() -> None:
    chance, effect, residuals, information = Random(1), NONE, 0.0, 0.0
    for _ in range(500):
        residual, weight = chance.uniform(-1.0, 1.0), chance.uniform(0.0, 0.25)
        effect = learned(effect, residual, weight)
        residuals, information = residuals + residual, information + weight
        precision = information + SHRINK
        assert effect == pytest.approx((residuals / precision, information / precision), abs=1e-12)


def minds(number: int, seed: int) -> list[list[AnswerGiven]]:
    """Some do well on the items with even numbers and badly on the others, some the other way round; one skill."""
    chance, students = Random(seed), []
    for _ in range(number):
        mind = chance.choice((-1.0, 1.0))
        items = [chance.randrange(30) for _ in range(60)]
        sure = [1.0 / (1.0 + exp(-1.5 * mind * (-1.0) ** item)) for item in items]
        rights = [int(chance.random() < probability) for probability in sure]
        answers = enumerate(zip(items, rights, strict=True))
        students.append([(f"i{item}", ("s",), right, 60.0 * place) for place, (item, right) in answers])
    return students


def test_what_a_student_does_well_on_is_known_after_some_answers() -> None:
    """Levels cannot tell, since there is one skill: what tells is how it went on items that ask for the same."""
    learned_of = fit(minds(60, 1))
    without = fit(minds(60, 1))
    for item in without.items.values():
        item.loadings = (0.0, 0.0)
    unseen = minds(20, 2)
    losses = []
    for shared in (learned_of, without):
        errors = []
        for rows in unseen:
            student = StudentState()
            for item, skills, right, at in rows:
                probability, features = predict(shared, student, item, skills, at)
                errors.append((right - probability) ** 2)
                show(student, item, skills, right, at, features)
        losses.append(sum(errors) / len(errors))
    assert losses[0] < 0.95 * losses[1]


def test_loadings_are_found_up_to_a_turn_of_the_traits() -> None:
    chance = np.random.default_rng(1)
    asked, traits = chance.normal(size=(20, 2)), chance.normal(size=(150, 2))
    added = traits @ asked.T
    students = [
        [(f"i{item}", 0.25 * (row[item] + chance.normal(0.0, 0.3)), 0.25) for item in range(20) for _ in range(3)]
        for row in added
    ]
    loadings = np.array(list(loadings_of(students).values()))
    projected = loadings @ np.linalg.lstsq(loadings, asked, rcond=None)[0]
    assert np.corrcoef(projected.ravel(), asked.ravel())[0, 1] > 0.98


def test_a_trait_moves_as_bayes_says() -> None:
    """With one trait asked for, the filter is exact: the posterior of a normal mean with known information."""
    traits, variances, evidence = (0.0, 0.0), (1.0, 1.0), 0.0
    for place in range(1, 30):
        residual, information, asked = 0.3 - 0.02 * place, 0.2, 0.8
        unexplained = residual - information * asked * traits[0]
        traits, variances = moved(traits, variances, (asked, 0.0), unexplained, information, asked**2 * variances[0])
        evidence += asked * residual
        precision = 1.0 + place * information * asked**2
        assert variances == pytest.approx((1.0 / precision, 1.0))
        assert traits == pytest.approx((evidence / precision, 0.0))


def slowly(shared: Shared, rows: Sequence[AnswerGiven]) -> list[float]:
    """The probabilities; levels by the filter as it is written in books, all else summed over the history each time."""
    beliefs: dict[str, tuple[float, float, float]] = {}  # level, variance, when; the general one under ""
    residuals: list[float] = []
    firsts: list[float] = []
    probabilities = []
    for place, (item_id, skills, right, at) in enumerate(rows):
        item = shared.items.get(item_id, Item())
        usual = [shared.skills.get(name, (shared.usual, 0.5)) for name in skills]
        number = len(skills)
        parts = {"": 1.0} | dict.fromkeys(skills, 1.0 / number)
        variances = {name: variance_of(beliefs, name, at) for name in parts}
        means = {name: beliefs[name][0] if name in beliefs else 0.0 for name in parts}
        usual_level = sum(level for level, _ in usual) / number
        own_level = sum(means[name] for name in skills) / number
        level = means[""] + usual_level + own_level - item.difficulty
        variance = item.variance + sum(variances[name] * parts[name] ** 2 for name in parts)
        variance += sum(width for _, width in usual) / number**2
        first = 1.0 / (1.0 + exp(-level / sqrt(1.0 + 0.35 * variance)))
        inputs = [level, item.difficulty, item.variance, usual_level, means[""], own_level]
        inputs += counts_of(shared, rows[:place], residuals, rows[place]) + before_of(shared, rows[:place], rows[place])
        inputs += traits_of(shared, rows[: place + 1], firsts)
        inputs += effects_of(shared, rows[:place], rows[place])
        probabilities.append(1.0 / (1.0 + exp(-logit_of(shared.head, inputs))))
        residuals.append(right - first)
        firsts.append(first)
        weight = first * (1.0 - first)
        for name, part in parts.items():
            most, noise = PRIORS["skill" if name else ""]
            before = variances[name]
            after = before - (before * part) ** 2 * weight / (1.0 + weight * variance)
            moved = before * part * residuals[-1] / (1.0 + weight * variance)
            beliefs[name] = (means[name] + moved, min(before, after + noise * (most - after)), at)
    return probabilities


def variance_of(beliefs: dict[str, tuple[float, float, float]], name: str, at: float) -> float:
    most, _ = PRIORS["skill" if name else ""]
    if name not in beliefs:
        return most
    _, variance, when = beliefs[name]
    return min(most, variance + 0.02 * max(0.0, at - when) / DAY)


def faded(values: Sequence[float], half_life: float) -> float:
    return sum(value * 0.5 ** ((len(values) - 1 - place) / half_life) for place, value in enumerate(values))


def credit(residuals: Sequence[float], half_life: float) -> list[float]:
    above = below = 0.0
    for residual in residuals:
        kept_above, kept_below = above * 0.5 ** (1 / half_life), below * 0.5 ** (1 / half_life)
        above = max(above, kept_above + residual) if residual >= 0 else kept_above
        below = max(below, kept_below - residual) if residual < 0 else kept_below
    return [above, below]


def gaps_of(rows: Sequence[AnswerGiven]) -> list[float]:
    return [max(0.0, later[3] - earlier[3]) for earlier, later in pairwise(rows)]


def counts_of(shared: Shared, past: Sequence[AnswerGiven], residuals: Sequence[float], row: AnswerGiven) -> list[float]:
    """What was right and wrong: of the student, then of the skills, the mean over them."""
    rights = [float(answer[2]) for answer in past]
    wrongs = [1.0 - right for right in rights]
    gaps = gaps_of([*past, row])
    inputs = [faded(which, life) for life in (1, 8) for which in (rights, wrongs)]
    inputs += credit(residuals, 2) + credit(residuals, 8)
    for life in (DAY / 24, DAY, 30 * DAY):
        for which in (rights, wrongs):
            inputs.append(sum(value * 0.5 ** (sum(gaps[place:]) / life) for place, value in enumerate(which)))
    inputs += [sum(rights), sum(wrongs)]
    by_skill = []
    for name in row[1]:
        places = [place for place, answer in enumerate(past) if name in answer[1]]
        own, other = [rights[place] for place in places], [wrongs[place] for place in places]
        counts = [faded(which, life) for life in (1, 8) for which in (own, other)]
        by_skill.append([*counts, sum(own), sum(other), *credit([residuals[place] for place in places], 8)])
    return (
        inputs + quick_of(shared, past, row) + [sum(column) / len(by_skill) for column in zip(*by_skill, strict=True)]
    )


def paces_of(shared: Shared, past: Sequence[AnswerGiven], row: AnswerGiven) -> list[float | None]:
    """After each answer: how much longer than usual until the next one, in log1p(seconds); None after a pause."""
    paces: list[float | None] = []
    for answer, gap in zip(past, gaps_of([*past, row]), strict=True):
        paces.append(None if gap >= 1_800 else log1p(gap) - shared.items.get(answer[0], Item()).pace)
    return paces


def quick_of(shared: Shared, past: Sequence[AnswerGiven], row: AnswerGiven) -> list[float]:
    """Right and wrong answers that took far less time than usual, at a half-life of 3 answers; pauses do not count."""
    paced = zip(past, paces_of(shared, past, row), strict=True)
    timed = [(answer[2], pace) for answer, pace in paced if pace is not None]
    return [faded([float(pace < -1.0 and right == which) for right, pace in timed], 3) for which in (1, 0)]


def before_of(shared: Shared, past: Sequence[AnswerGiven], row: AnswerGiven) -> list[float]:
    """How long ago the skills and the item were practised and how, and what the last answer was like."""
    item_id, skills, _, at = row
    last_of = [[(place, answer[3]) for place, answer in enumerate(past) if name in answer[1]][-1:] for name in skills]
    practised = [last for of_skill in last_of for last in of_skill]
    same = [(place, answer) for place, answer in enumerate(past) if answer[0] == item_id]
    last = past[-1] if past else None
    run = next((number for number, answer in enumerate(reversed(past)) if answer[0] != item_id), len(past))
    inputs: list[float] = [9_999, 1e8]
    if practised:
        inputs = [len(past) - max(place for place, _ in practised), max(0.0, at - max(when for _, when in practised))]
    inputs.append(gaps_of([*past, row])[-1] if past else 0.0)
    inputs += [same[-1][1][2], len(same), len(past) - same[-1][0]] if same else [0.5, 0, 9_999]
    right = last[2] if last else 0
    inputs += [run, last is not None and last[1] == skills, run > 0, right, len(skills)]
    paces = [pace or 0.0 for pace in paces_of(shared, past, row)]
    mean = 0.0
    for pace in paces_of(shared, past, row):
        mean = mean if pace is None else mean * 0.9 + pace * 0.1
    before, now = [0.0, 0.0, *paces][-2:]
    return [*inputs, now, now * right, before, mean]


def traits_of(shared: Shared, rows: Sequence[AnswerGiven], firsts: Sequence[float]) -> list[float]:
    """What the student's traits add to the log-odds of the last of the answers, and its variance."""
    traits, variances = np.zeros(2), np.ones(2)
    loadings = [np.array(shared.items.get(answer[0], Item()).loadings) for answer in rows]
    for (_, _, right, _), first, asked in zip(rows, firsts, loadings, strict=False):
        weight = first * (1.0 - first)
        gains = variances * asked / (1.0 + weight * np.sum(asked**2 * variances))
        traits = traits + gains * (right - first - weight * (asked @ traits))
        variances = variances * (1.0 - weight * gains * asked)
    return [float(loadings[-1] @ traits), float(loadings[-1] ** 2 @ variances)]


def effects_of(shared: Shared, past: Sequence[AnswerGiven], row: AnswerGiven) -> list[float]:
    """What the tables hold for what came before."""
    item_id, skills, _, _ = row
    item, combination = shared.items.get(item_id, Item()), shared.combinations.get(skills, Combination())
    answered = [shared.items.get(answer[0], Item()).answered[answer[2]] for answer in past]
    same = [answer for answer in past if answer[0] == item_id]
    of_skills = [[answer[2] for answer in past if name in answer[1]] for name in skills]
    run = next((number for number, answer in enumerate(reversed(past)) if answer[0] != item_id), len(past))
    right = past[-1][2] if past else 0
    effects: list[Effect] = [NONE] * 4
    if past:
        combined = shared.combinations.get(past[-1][1], Combination()).answered[right]
        two = (answered[-2] if len(past) > 1 else -3) * 2**32 + answered[-1]
        effects = [
            item.after.get(answered[-1], NONE),
            item.after_item.get(answered[-1] // 2, NONE),
            combination.after.get(combined, NONE),
            item.after_two.get(two, NONE),
        ]
    lately = bits([answer[2] for answer in past], 5) * 4 + (bool(past) and past[-1][1] == skills) * 2 + (run > 0)
    practised = skills_lately = 0
    for own in of_skills:
        practised, skills_lately = practised * 9 + min(len(own), 8), skills_lately * 32 + bits(own, 4)
    tried = 2 + same[-1][2] if same else 0
    in_a_row = (min(run - 1, 20) if run else 21) * 8 + right * 4 + tried
    effects += [
        item.again.get(min(len(same), 4) * 2 + same[-1][2] if same else 0, NONE),
        shared.lately.get(lately, NONE),
        combination.practised.get(practised, NONE),
        combination.lately.get(skills_lately, NONE),
        combination.in_a_row.get(in_a_row, NONE),
    ]
    together = sum(item.after_any.get(earlier, 0j) for earlier in answered[:-1][-12:])
    precision = together.imag + 2 * SHRINK
    return [*(part for effect in effects for part in effect), together.real / precision, together.imag / precision]


def bits(results: Sequence[int], most: int) -> int:
    """The last results under a leading 1, which stands for the start or, when there are more, for the one before."""
    return int("1" + "".join(str(result) for result in results[-most:]), 2)


def logit_of(head: Head | None, inputs: Sequence[float]) -> float:
    assert head is not None
    values = [log(1.0 + value) if feature.logged else value for feature, value in zip(FEATURES, inputs, strict=True)]
    values.append(1.0)
    layer = [sum(weight * value for weight, value in zip(row, values, strict=True)) for row in head.weights.tolist()]
    out = head.out.tolist()
    return out[-1] * layer[-1] + sum(weight * tanh(value) for weight, value in zip(out[:-1], layer[:-1], strict=True))
