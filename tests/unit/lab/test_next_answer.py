"""The model of the next answer against a slow one, which looks at the whole history anew and uses plain numbers."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from math import exp, log1p, sqrt
from random import Random
from typing import TypeAlias

import msgspec
import numpy as np
import pytest

from mastery_engine.domain.moments import SECOND
from mastery_engine.domain.skills.next_answer.effects import KEYS, SHRINK, SINGLE, Effects, EffectTable
from mastery_engine.domain.skills.next_answer.features import FEATURES
from mastery_engine.domain.skills.next_answer.levels import UNKNOWN_ITEM, ItemLevel, Known, elapsed, skills_standing
from mastery_engine.domain.skills.next_answer.model import ItemAsked, after, known_before, probabilities, seen
from mastery_engine.domain.skills.next_answer.parameters import AnswerModel
from mastery_engine.domain.skills.next_answer.recall import NO_MEMORY
from mastery_engine.domain.skills.next_answer.state import unpacked
from mastery_engine.lab.skills.answer_files import AnswerGiven
from mastery_engine.lab.skills.next_answer import fit as fitting
from mastery_engine.lab.skills.next_answer.fit import fit, followed, table_of
from mastery_engine.lab.skills.next_answer.traits import loadings_of

DAY = 86_400.0
AT = 1_000_000_000 * SECOND
PRIORS = {"": (0.7, 0.004), "skill": (0.25, 0.01)}  # variance before the first answer, share of it that comes back

Row: TypeAlias = tuple[str, tuple[str, ...], int, float]  # item, skills, right, seconds


def history(seed: int) -> list[Row]:
    """Some items again and again, one or two skills, gaps from seconds to weeks; what is right depends on the item."""
    chance, at, rows = Random(seed), 1e9, []
    item = 0
    for _ in range(60):
        item = item if chance.random() < 0.2 else chance.randrange(16)
        skills = (f"s{item % 3}",) if item % 4 else (f"s{item % 3}", "all")
        at += chance.choice((0.0, 2.0, 9.0, 60.0, 400.0, 4_000.0, DAY, 20 * DAY))
        rows.append((f"i{item}", skills, int(chance.random() < 0.25 + item / 40), at))
    return rows


def told(rows: Sequence[Row]) -> list[AnswerGiven]:
    return [AnswerGiven(item, skills, float(right), round(at * SECOND)) for item, skills, right, at in rows]


@pytest.fixture(scope="module")
def model() -> AnswerModel:
    return AnswerModel(fit([told(history(seed)) for seed in range(40)]))


def fast(model: AnswerModel, rows: Sequence[Row]) -> list[Known]:
    """What is known before each answer, none of which is forgotten."""
    source, found = b"", []
    for item, skills, right, at, _ in told(rows):
        state = unpacked(source)
        now = elapsed(state, at)
        standing = skills_standing(state, now, skills, model, NO_MEMORY)
        found.append(known_before(state, now, ItemAsked(item, skills), standing, model))
        source = after(found[-1], right)
    return found


@pytest.mark.parametrize("seed", range(100, 106))
def test_the_fast_way_agrees_with_the_slow_one(seed: int, model: AnswerModel) -> None:
    """But for the rounding of a packed state, which is to some three digits."""
    rows = history(seed)
    rows[20:20] = [("new", ("s0", "new"), 1, rows[19][3]), ("i3", ("new",), 0, rows[19][3])]
    inputs, _ = seen(fast(model, rows))
    for computed, expected in zip(inputs.tolist(), slowly(model, rows), strict=True):
        named = dict(zip([feature.name for feature in FEATURES], computed, strict=False))
        assert named == pytest.approx(dict(zip(named, expected, strict=True)), abs=0.01, rel=0.01)


@pytest.mark.parametrize("seed", range(100, 103))
def test_effects_of_the_same_past_have_the_same_key_and_others_another(seed: int, model: AnswerModel) -> None:
    rows = [*history(seed), *history(seed + 10)]
    _, keys = seen(fast(model, rows))
    of_key: dict[int, set[object]] = defaultdict(set)
    of_past: dict[object, set[int]] = defaultdict(set)
    for place, row in enumerate(rows):
        pasts = pasts_of(rows[:place], row)
        assert len(pasts) == KEYS
        for key, past in zip(keys[place].tolist(), pasts, strict=True):
            assert (key == 0) is (past is None)
            if past is not None:
                of_key[key].add(past)
                of_past[past].add(key)
    assert {len(found) for found in (*of_key.values(), *of_past.values())} == {1}


def test_an_effect_is_the_shrunk_mean_of_its_residuals() -> None:
    chance = np.random.default_rng(1)
    keys = chance.integers(1, 60, (200, KEYS)).astype(np.uint32)
    residuals, information = chance.uniform(-1.0, 1.0, 200), chance.uniform(0.0, 0.25, 200)
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row, residual, weight in zip(keys.tolist(), residuals, information, strict=True):
        for key in row:
            sums[key][0] += residual
            sums[key][1] += weight
    table = EffectTable(table_of(keys.ravel(), residuals.repeat(KEYS), information.repeat(KEYS)))
    asked = chance.integers(0, 80, (50, KEYS)).astype(np.uint32)
    for row, found in zip(asked.tolist(), table.features(asked).tolist(), strict=True):
        known = [sums.get(key, [0.0, 0.0]) for key in row]
        expected = [part / (weight + SHRINK) for residual, weight in known[:SINGLE] for part in (residual, weight)]
        residual, weight = (sum(pair) for pair in zip(*known[SINGLE:], strict=True))
        expected += [residual / (weight + 2 * SHRINK), weight / (weight + 2 * SHRINK)]
        assert found == pytest.approx(expected, abs=2e-3)
    assert not EffectTable(Effects()).features(asked).any()


def test_old_evidence_of_an_effect_gives_way() -> None:
    table = EffectTable(table_of(np.array([1, 2], np.uint32), np.array([300.0, 5.0]), np.array([1_000.0, 10.0])))
    assert table.information.tolist() == [256.0, 10.0]
    assert table.residuals.tolist() == pytest.approx([300 * 0.256, 5.0], abs=0.05)


def test_where_there_are_too_many_effects_those_with_evidence_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MOST_EFFECTS", 2)
    keys = np.array([5, 3, 5, 9, 7], np.uint32)
    table = EffectTable(table_of(keys, np.ones(5), np.array([0.1, 0.25, 0.1, 0.05, 0.24])))
    assert table.keys.tolist() == [3, 7]
    assert table_of(keys[:0], np.ones(0), np.ones(0)) == Effects()


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_it_is_fitted_on_however_few_students(number: int) -> None:
    students = [told(history(seed)) for seed in range(number)]
    fitted = fit([*students, []])
    assert sum(revision.answers for revision in fitted.revisions) == 60 * number
    chance = probabilities(fast(AnswerModel(fitted), history(9)), AnswerModel(fitted))
    assert all(0.0 < one < 1.0 for one in chance)


def minds(number: int, seed: int) -> list[list[Row]]:
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
    parameters = fit([told(rows) for rows in minds(60, 1)])
    (revision,) = parameters.revisions
    items = {name: msgspec.structs.replace(item, loadings=(0.0, 0.0)) for name, item in revision.items.items()}
    without = msgspec.structs.replace(parameters, revisions=(msgspec.structs.replace(revision, items=items),))
    losses = []
    for model in (AnswerModel(parameters), AnswerModel(without)):
        errors = [
            (right - probability) ** 2
            for rows in minds(20, 2)
            for (_, _, right, _), probability in zip(
                rows, probabilities([known for _, known in followed(model, told(rows))], model), strict=True
            )
        ]
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


def item_of(model: AnswerModel, item_id: str) -> ItemLevel:
    return model.item(item_id, AT) or UNKNOWN_ITEM


def slowly(model: AnswerModel, rows: Sequence[Row]) -> list[list[float]]:
    """The features but for effects; levels by the filter as it is written in books, all else summed over the history
    each time."""
    beliefs: dict[str, tuple[float, float, float]] = {}  # level, variance, when; the general one under ""
    residuals: list[float] = []
    firsts: list[float] = []
    found = []
    for place, (item_id, skills, right, at) in enumerate(rows):
        item = item_of(model, item_id)
        usual = [model.skill(name, AT) for name in skills]
        number = len(skills)
        parts = {"": 1.0} | dict.fromkeys(skills, 1.0 / number)
        variances = {name: variance_of(beliefs, name, at) for name in parts}
        means = {name: beliefs[name][0] if name in beliefs else 0.0 for name in parts}
        usual_level = sum(level for level, _ in usual) / number
        own_level = sum(means[name] for name in skills) / number
        level = means[""] + usual_level + own_level - item.difficulty
        variance = item.variance + sum(variances[name] * parts[name] ** 2 for name in parts)
        variance += sum(width for _, width in usual) / number**2
        logit = level / sqrt(1.0 + 0.35 * variance)
        first = 1.0 / (1.0 + exp(-logit))
        inputs = [logit, level, item.difficulty, item.variance, usual_level, means[""], own_level]
        inputs += counts_of(model, rows[:place], residuals, rows[place]) + before_of(model, rows[:place], rows[place])
        found.append(inputs + traits_of(model, rows[: place + 1], firsts))
        residuals.append(right - first)
        firsts.append(first)
        weight = first * (1.0 - first)
        for name, part in parts.items():
            most, noise = PRIORS["skill" if name else ""]
            before = variances[name]
            after = before - (before * part) ** 2 * weight / (1.0 + weight * variance)
            moved = before * part * residuals[-1] / (1.0 + weight * variance)
            beliefs[name] = (means[name] + moved, min(before, after + noise * (most - after)), at)
    return found


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


def gaps_of(rows: Sequence[Row]) -> list[float]:
    return [max(0.0, later[3] - earlier[3]) for earlier, later in pairwise(rows)]


def counts_of(model: AnswerModel, past: Sequence[Row], residuals: Sequence[float], row: Row) -> list[float]:
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
    return inputs + quick_of(model, past, row) + [sum(column) / len(by_skill) for column in zip(*by_skill, strict=True)]


def paces_of(model: AnswerModel, past: Sequence[Row], row: Row) -> list[float | None]:
    """After each answer: how much longer than usual until the next one, in log1p(seconds); None after a pause."""
    paces: list[float | None] = []
    for answer, gap in zip(past, gaps_of([*past, row]), strict=True):
        paces.append(None if gap >= 1_800 else log1p(gap) - item_of(model, answer[0]).pace)
    return paces


def quick_of(model: AnswerModel, past: Sequence[Row], row: Row) -> list[float]:
    """Right and wrong answers that took far less time than usual, at a half-life of 3 answers; pauses do not count."""
    paced = zip(past, paces_of(model, past, row), strict=True)
    timed = [(answer[2], pace) for answer, pace in paced if pace is not None]
    return [faded([float(pace < -1.0 and right == which) for right, pace in timed], 3) for which in (1, 0)]


def before_of(model: AnswerModel, past: Sequence[Row], row: Row) -> list[float]:
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
    inputs += [run, float(last is not None and last[1] == skills), float(run > 0), right, len(skills)]
    paces = [pace or 0.0 for pace in paces_of(model, past, row)]
    mean = 0.0
    for pace in paces_of(model, past, row):
        mean = mean if pace is None else mean * 0.9 + pace * 0.1
    before, now = [0.0, 0.0, *paces][-2:]
    return [*inputs, now, now * right, before, mean]


def traits_of(model: AnswerModel, rows: Sequence[Row], firsts: Sequence[float]) -> list[float]:
    """What the student's traits add to the log-odds of the last of the answers, and its variance."""
    traits, variances = np.zeros(2), np.ones(2)
    loadings = [np.array(item_of(model, answer[0]).loadings) for answer in rows]
    for (_, _, right, _), first, asked in zip(rows, firsts, loadings, strict=False):
        weight = first * (1.0 - first)
        gains = variances * asked / (1.0 + weight * np.sum(asked**2 * variances))
        traits = traits + gains * (right - first - weight * (asked @ traits))
        variances = variances * (1.0 - weight * gains * asked)
    return [float(loadings[-1] @ traits), float(loadings[-1] ** 2 @ variances)]


def pasts_of(past: Sequence[Row], row: Row) -> list[object]:
    """What each effect of an answer is an effect of, in the order of their keys; None where there is no such past."""
    item, skills, _, _ = row
    results = [(answer[0], answer[2]) for answer in past]
    same = [answer[2] for answer in past if answer[0] == item]
    lately = {name: [answer[2] for answer in past if name in answer[1]] for name in skills}
    run = next((number for number, answer in enumerate(reversed(past)) if answer[0] != item), len(past))
    same_skills = bool(past) and past[-1][1] == skills
    last = results[-1:] or [None]
    return [
        ("after", item, last[0]),
        ("after the item", item, last[0] and last[0][0]),
        ("after the skills", skills, (past[-1][1], past[-1][2]) if past else None),
        ("after two", item, tuple(results[-2:])),
        ("again", item, (min(len(same), 4), same[-1] if same else 0)),
        ("lately", "", (bits([right for _, right in results], 5), same_skills, run > 0)),
        ("practised", skills, tuple(min(len(own), 8) for own in lately.values())),
        ("skills lately", skills, tuple(bits(own, 4) for own in lately.values())),
        ("in a row", skills, (min(run, 21), past[-1][2] if past else 0, same[-1] if same else None)),
        *(("earlier", item, answer) for answer in reversed(results[:-1][-12:])),
        *[None] * (12 - len(results[:-1][-12:])),
    ]


def bits(results: Sequence[int], most: int) -> str:
    """The last results after a mark that stands for the start or, when there are more, for the one before."""
    return "1" + "".join(str(result) for result in results[-most:])
