"""``backtest skills``: the next answer predicted by the engine's model and by those people would use instead."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

import msgspec
import numpy as np

from mastery_engine.errors import InvalidInput
from mastery_engine.lab.skills.accuracy import Accuracy, Floats, accuracy, mean_of
from mastery_engine.lab.skills.answer_files import AnswerRow, read_answers, split
from mastery_engine.lab.skills.answer_models import ENGINE, MODELS, FittedModel, NextAnswerModel
from mastery_engine.lab.skills.extras import TAKEN
from mastery_engine.lab.skills.served import ServedModel

SPLITS = 5


class SplitResult(msgspec.Struct, frozen=True):
    """What came out of one split of the students."""

    seed: int
    models: dict[str, Accuracy]


class SkillsBacktestResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Each split, the mean over them, and the models that could not be run here."""

    splits: list[SplitResult]
    mean: dict[str, Accuracy]
    left_out: list[str] = []


class SplitPredictions(msgspec.Struct, frozen=True):
    """The test answers of one split in one order: their rows in the file, their places in the student's past."""

    seed: int
    rows: list[int]
    places: list[int]
    right: Floats
    predicted: dict[str, Floats]


class SkillsBacktest(msgspec.Struct, frozen=True):
    """The figures, and the predictions that they come from."""

    result: SkillsBacktestResult
    tested: list[SplitPredictions]


def backtest(
    path: Path,
    tell: Callable[[float], None],
    *,
    models: Sequence[str] = (),
    splits: int = SPLITS,
    first: int | None = None,
) -> SkillsBacktest:
    """The whole protocol on a file of responses; ``tell`` is given the share that is done. Raises InvalidInput.

    ``first`` fits on so many answers only, those of the first students of each split: as at a school that begins.
    """
    names, left_out = chosen_models(models)
    students = read_answers(path)
    results, tested = [], []
    for seed in range(splits):
        fitting, testing = ([students[student_id] for student_id in chosen] for chosen in split(students, seed))
        if not fitting or not testing:
            raise InvalidInput(
                f"{path.name} has {len(students)} students, too few to split: split {seed} has none to "
                f"{'test' if fitting else 'fit'} on. It needs 20 or more, for many splits more still."
            )
        fitting = fitting if first is None else first_of(fitting, first)
        right = np.array([row.right for student in testing for row in student], dtype=np.float64)
        figures, predicted, fitted = {}, {}, dict[str, FittedModel]()
        for number, name in enumerate(names):
            fitted[name] = model = MODELS[name]()
            figures[name], predicted[name] = _measured(model, fitted.get(ENGINE), fitting, testing, right)
            tell((seed + (number + 1) / len(names)) / splits)
        results.append(SplitResult(seed, figures))
        rows = [row.number for student in testing for row in student]
        places = [place for student in testing for place in range(len(student))]
        tested.append(SplitPredictions(seed, rows, places, right, predicted))
    mean = {name: mean_of([result.models[name] for result in results]) for name in names}
    return SkillsBacktest(SkillsBacktestResult(results, mean, left_out), tested)


def first_of(students: Sequence[list[AnswerRow]], answers: int) -> list[list[AnswerRow]]:
    """The first students, up to so many answers in all: of the last one maybe not all."""
    chosen: list[list[AnswerRow]] = []
    for rows in students:
        chosen.append(rows[:answers])
        answers -= len(rows)
        if answers <= 0:
            break
    return chosen


def chosen_models(models: Sequence[str]) -> tuple[list[str], list[str]]:
    """The models to run, all of them where none is named, and those left out for want of what they take.

    Raises InvalidInput for one that is not known, or is named and cannot be run.
    """
    for name in models:
        if name not in MODELS:
            raise InvalidInput(f"There is no model {name!r}: there are {', '.join(MODELS)}.", field="models")
    wanted = models or list(MODELS)
    missing = [name for name in wanted if name in TAKEN and not TAKEN[name].usable()]
    if models and missing:
        first, taken = missing[0], TAKEN[missing[0]]
        raise InvalidInput(f"{first} takes {taken.brings}: {taken.install}, or leave {first} out.", field="models")
    return [name for name in wanted if name not in missing], missing


def _measured(
    model: FittedModel,
    engine: FittedModel | None,
    fitting: list[list[AnswerRow]],
    testing: list[list[AnswerRow]],
    right: Floats,
) -> tuple[Accuracy, Floats]:
    """A model fitted and tried. What the service answers is by the engine's parameters, which need no second fit."""
    started = perf_counter()
    if isinstance(model, ServedModel) and isinstance(engine, NextAnswerModel):
        model.use(engine.model.parameters)
    else:
        model.fit(fitting)
    fit_s = perf_counter() - started
    started = process_time()
    predicted = np.array([chance for student in testing for chance in model.predict(student)])
    cost = (process_time() - started) / len(right) * 1e6
    return accuracy(right, predicted, fit_s=fit_s, us_per_answer=cost), predicted


def write_predictions(path: Path, measured: SkillsBacktest) -> None:
    """The engine's predictions as CSV: the split, the row of the file's data from 0, the probability."""
    with path.open("w", encoding="utf-8") as file:
        file.write("split,row,p\n")
        for tested in measured.tested:
            for row, chance in sorted(zip(tested.rows, tested.predicted[ENGINE].tolist(), strict=True)):
                file.write(f"{tested.seed},{row},{chance:.6f}\n")
