"""``backtest skills``: the next answer predicted by the engine's model and by those people would use instead."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time

import msgspec
import numpy as np

from mastery_engine.errors import InvalidInput
from mastery_engine.lab.skills.accuracy import Accuracy, Floats, accuracy, mean_of
from mastery_engine.lab.skills.answer_files import Row, read_answers, split
from mastery_engine.lab.skills.answer_models import ENGINE, MODELS, Model

SPLITS = 5


class Split(msgspec.Struct, frozen=True):
    """What came out of one split of the students."""

    seed: int
    models: dict[str, Accuracy]


class Result(msgspec.Struct, frozen=True):
    """Each split, and the mean over them."""

    splits: list[Split]
    mean: dict[str, Accuracy]


class Tested(msgspec.Struct, frozen=True):
    """The test answers of one split in one order: their rows in the file, their places in the student's past."""

    seed: int
    rows: list[int]
    places: list[int]
    right: Floats
    predicted: dict[str, Floats]


class Backtest(msgspec.Struct, frozen=True):
    """The figures, and the predictions that they come from."""

    result: Result
    tested: list[Tested]


def backtest(
    path: Path, told: Callable[[float], None], *, models: Sequence[str] = (), splits: int = SPLITS
) -> Backtest:
    """The whole protocol on a file of responses; ``told`` hears the share that is done. Raises InvalidInput."""
    names = list(models) or list(MODELS)
    for name in names:
        if name not in MODELS:
            raise InvalidInput(f"There is no model {name!r}: there are {', '.join(MODELS)}.", field="models")
    students = read_answers(path)
    found, tested = [], []
    for seed in range(splits):
        fitting, testing = ([students[one] for one in chosen] for chosen in split(students, seed))
        if not fitting or not testing:
            raise InvalidInput(
                f"{path.name} has {len(students)} students, too few to split: split {seed} has none to "
                f"{'test' if fitting else 'fit'} on. It needs 20 or more, for many splits more still."
            )
        right = np.array([one.right for student in testing for one in student], dtype=np.float64)
        figures, predicted = {}, {}
        for number, name in enumerate(names):
            figures[name], predicted[name] = _measured(MODELS[name](), fitting, testing, right)
            told((seed + (number + 1) / len(names)) / splits)
        found.append(Split(seed, figures))
        rows = [one.number for student in testing for one in student]
        places = [place for student in testing for place in range(len(student))]
        tested.append(Tested(seed, rows, places, right, predicted))
    mean = {name: mean_of([one.models[name] for one in found]) for name in names}
    return Backtest(Result(found, mean), tested)


def _measured(
    model: Model, fitting: list[list[Row]], testing: list[list[Row]], right: Floats
) -> tuple[Accuracy, Floats]:
    started = perf_counter()
    model.fit(fitting)
    fit_s = perf_counter() - started
    started = process_time()
    predicted = np.array([chance for student in testing for chance in model.predict(student)])
    cost = (process_time() - started) / len(right) * 1e6
    return accuracy(right, predicted, fit_s=fit_s, us_per_answer=cost), predicted


def write_predictions(path: Path, found: Backtest) -> None:
    """The engine's predictions as CSV: the split, the row of the file's data from 0, the probability."""
    with path.open("w", encoding="utf-8") as file:
        file.write("split,row,p\n")
        for one in found.tested:
            for row, chance in sorted(zip(one.rows, one.predicted[ENGINE].tolist(), strict=True)):
                file.write(f"{one.seed},{row},{chance:.6f}\n")
