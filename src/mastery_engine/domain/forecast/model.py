"""The parameters of the forecast, as a file stores them, and the model made from them.

A file of parameters is a map in JSON or MessagePack: ``version``, and a part for each model (``forecast`` is this one).
"""

from collections.abc import Sequence
from hashlib import blake2b
from math import inf
from typing import Annotated, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta

from mastery_engine.domain.forecast.features import aged, ahead, due_ahead, forecast_features
from mastery_engine.domain.forecast.network import Compiled, Ensemble, Numbers
from mastery_engine.domain.json_text import without_mark
from mastery_engine.domain.model_file import unreadable
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY
from mastery_engine.errors import InvalidInput

VERSION = 1
LEVELS = (0.01, 0.025, *(step / 20 for step in range(1, 20)), 0.975, 0.99)
MEDIAN, LOWER, UPPER = LEVELS.index(0.5), LEVELS.index(0.1), LEVELS.index(0.9)
SEEN = (1, 7, 14, 21, 28, 42, 63)  # days since the first event: students are compared with those of about the same age
SOON, LATER = 3, 10  # days: up to the first, up to the second, and beyond, each with a calibration of its own

Row: TypeAlias = tuple[float, ...]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of one way to forecast, with its calibration by group of cases.

    ``levels`` holds for each group the level of the networks that is truly each of ``LEVELS`` (Kuleshov et al. 2018).
    ``confidence`` holds for each group pairs of a computed probability and the share that came true; no pairs if there
    were too few cases.
    """

    ensemble: Ensemble
    levels: tuple[tuple[float, ...], ...]
    confidence: tuple[tuple[tuple[float, float], ...], ...]


class UsualCases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the inputs of the cases of a fit, without a calendar, were like.

    ``means`` are those of the scaled inputs, ``precision`` the inverse of their covariance (half precision, row by
    row). ``distances`` holds the median square of the distance from the means, by that (Mahalanobis 1936), of
    students seen for less than each of ``SEEN`` days, and of all others.
    """

    means: bytes
    precision: bytes
    distances: tuple[float, ...]


class ForecastParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is fitted: one way to forecast without a calendar, and one that knows when work is due.

    ``usual`` tells students like those of the fit from others; a file of an older engine has none.
    """

    alone: Part
    with_calendar: Part | None = None
    usual: UsualCases | None = None


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of model parameters, as the forecast reads it."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    forecast: ForecastParameters | None = None
    skills: msgspec.Raw = msgspec.Raw()
    answers: msgspec.Raw = msgspec.Raw()


def parameters_from(source: bytes) -> ForecastParameters | None:
    """The forecast's part of a file of parameters; None if the file has none. Raises InvalidInput."""
    source = without_mark(source)
    try:
        found = (_json if _is_json(source) else _msgpack)(source).forecast
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"The parameters of the forecast cannot be read. {unreadable(source, error)} "
            "Fit them again with mastery-engine fit forecast."
        ) from error
    if found is not None:
        _check_inputs(ForecastModel(found))
    return found


def _check_inputs(model: "ForecastModel") -> None:
    """Raises InvalidInput if a model takes another number of inputs than the engine computes."""
    rules = Rules()
    here = forecast_features(NOBODY, rules.retention_days * DAY, rules)
    alone = len(here.numbers) + len(ahead(here, 1, aged(here, 1, rules)))
    with_calendar = alone + len(due_ahead(here, 1, ()))
    for predictor, wanted in ((model.alone, alone), (model.with_calendar, with_calendar)):
        if predictor is not None and predictor.inputs != wanted:
            raise InvalidInput(
                f"The parameters of the forecast are for {predictor.inputs} inputs, but this engine has {wanted}. "
                "Fit them again with mastery-engine fit forecast."
            )


def with_forecast(source: bytes | None, parameters: ForecastParameters) -> bytes:
    """The file with these parameters in it: MessagePack, or JSON if ``source`` is; the other parts of ``source`` stay.

    Raises InvalidInput if ``source`` is not a file of parameters.
    """
    own = {"version": VERSION, "forecast": parameters}
    try:
        if source and _is_json(source):
            return msgspec.json.encode(msgspec.json.decode(source, type=dict[str, object]) | own)
        others = msgspec.msgpack.decode(source, type=dict[str, object]) if source else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"The output file exists and is not a file of model parameters. {unreadable(source, error)} "
            "Name another file."
        ) from error
    return msgspec.msgpack.encode(others | own)


_json = msgspec.json.Decoder(ModelFile).decode
_msgpack = msgspec.msgpack.Decoder(ModelFile).decode


def _is_json(source: bytes) -> bool:
    return source.lstrip()[:1] == b"{"


class Predictor:
    """One way to forecast, ready to compute."""

    def __init__(self, part: Part, *, groups: int) -> None:
        try:
            self._ensemble = Compiled(part.ensemble)
            self._levels = np.array(part.levels, dtype=np.float64).reshape(groups, len(LEVELS))
            self._confidence = [np.array(pairs, dtype=np.float64).reshape(-1, 2).T for pairs in part.confidence]
            if len(self._confidence) != groups:
                raise ValueError(f"confidence has {len(self._confidence)} groups, not {groups}")
            self._check(part)
        except (ValueError, IndexError, TypeError) as error:
            raise InvalidInput(
                f"The parameters of the forecast do not fit together: {error}. "
                "Fit them again with mastery-engine fit forecast."
            ) from error

    @property
    def inputs(self) -> int:
        """The number of inputs of one case."""
        return self._ensemble.inputs

    def _check(self, part: Part) -> None:
        """Raises ValueError if nothing can be computed with the part."""
        if not part.ensemble.networks:
            raise ValueError("there is no network")
        calibration = (self._levels, *self._confidence)
        if not self._ensemble.is_finite or not all(np.isfinite(numbers).all() for numbers in calibration):
            raise ValueError("every parameter must be a finite number")
        answered = self._ensemble.quantiles([[0.0] * self.inputs]).shape
        if answered != (1, len(LEVELS)):
            raise ValueError(f"the networks must have {len(LEVELS)} outputs")

    def moves(self, rows: Sequence[Row], groups: Sequence[int]) -> list[list[float]]:
        """For each case, the quantiles at ``LEVELS`` of the move of the score, away from its value without new work."""
        return [
            np.interp(self._levels[group], LEVELS, quantiles).tolist()
            for group, quantiles in zip(groups, self._ensemble.quantiles(rows), strict=True)
        ]

    def scaled(self, row: Row) -> Numbers:
        """A case's inputs as the networks take them."""
        return self._ensemble.scaled(np.asarray(row, dtype=np.float32))

    def confidence(self, computed: float, group: int) -> float:
        """The share of forecasts with this computed probability that come true, in [0, 1]."""
        stated, true = self._confidence[group]
        return float(np.interp(computed, stated, true)) if len(stated) else computed


class ForecastModel:
    """The model made from parameters; ``version`` differs for other parameters.

    Raises InvalidInput if the parameters do not fit together.
    """

    def __init__(self, parameters: ForecastParameters) -> None:
        self.version = blake2b(msgspec.msgpack.encode(parameters), digest_size=8).hexdigest()
        self.alone = Predictor(parameters.alone, groups=3)
        known = parameters.with_calendar
        self.with_calendar = None if known is None else Predictor(known, groups=6)
        self._usual = None if parameters.usual is None else _Usual(parameters.usual, self.alone.inputs)

    def strangeness(self, row: Row, known_for: int) -> float:
        """How unlike those of the fit a student is, whose inputs for 7 days without a calendar are these.

        About 1 for a usual one, and infinite where the file of parameters does not tell. ``known_for`` is in days.
        """
        if self._usual is None:
            return inf
        return self._usual.strangeness(self.alone.scaled(row), known_for)


class _Usual:
    """What the cases of a fit were like, ready to compare with."""

    def __init__(self, usual: UsualCases, inputs: int) -> None:
        try:
            self._means = np.frombuffer(usual.means, "<f4").reshape(inputs)
            self._precision = np.frombuffer(usual.precision, "<f2").astype(np.float32).reshape(inputs, inputs)
            self._distances = dict(zip((*SEEN, None), usual.distances, strict=True))
            if min(usual.distances) <= 0.0:
                raise ValueError("every distance must be above 0")
        except ValueError as error:
            raise InvalidInput(
                f"The parameters of the forecast do not fit together: {error}. "
                "Fit them again with mastery-engine fit forecast."
            ) from error

    def strangeness(self, scaled: Numbers, known_for: int) -> float:
        away = scaled - self._means
        usual = next(
            (self._distances[days] for days in SEEN if known_for < days),
            self._distances[None],
        )
        return float(away @ self._precision @ away) / usual


def group_of(days: int, *, due: bool) -> int:
    """The number of the group whose calibration a forecast uses: by how many days ahead, and whether work is due."""
    return (days > SOON) + (days > LATER) + 3 * due
