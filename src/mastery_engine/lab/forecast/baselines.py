"""What people would use instead of the engine's forecast: a point, spread by the residuals of the training students."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from statistics import NormalDist, fmean

import numpy as np

from mastery_engine.domain.forecast.network import Numbers
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.forecast.origins import Origin

LEVELS = tuple(step / 20 for step in range(1, 20))
LAST_POINTS = 4
HOLT_CONSTANTS = tuple(product((0.5, 0.9), (0.1, 0.4), (0.8, 0.95)))  # of level, trend and damping
HOLT_CHOOSES_ON, HOLT_RESIDUALS = 200, 2_000  # training origins

Point = Callable[[Origin], float]


def persistence(origin: Origin) -> float:
    """It stays."""
    return origin.now


def aged(origin: Origin) -> float:
    """It ages, and nothing new comes."""
    return origin.aged


def drift(origin: Origin) -> float:
    """The last week's change comes again."""
    return origin.now + (origin.weekly[-1] - origin.weekly[-2])


def linear(origin: Origin) -> float:
    """The least-squares line through the last 4 weekly points, one week on."""
    points = origin.weekly[-LAST_POINTS:]
    middle, mean = (len(points) - 1) / 2, fmean(points)
    spread = sum((place - middle) ** 2 for place in range(len(points)))
    slope = sum((place - middle) * (score - mean) for place, score in enumerate(points)) / spread
    return mean + slope * (len(points) - middle)


class DampedHolt:
    """Damped Holt (Gardner and McKenzie 1985) through the weekly points, by statsmodels.

    Its three constants are those with the least absolute error on training students: one student's few points cannot
    tell them.
    """

    def __init__(self, training: Sequence[Origin]) -> None:
        known = training[:: max(1, len(training) // HOLT_CHOOSES_ON)]
        errors = {constants: self._error(known, constants) for constants in HOLT_CONSTANTS}
        self._constants = min(errors, key=lambda constants: errors[constants])

    def __call__(self, origin: Origin) -> float:
        return self._ahead(origin, self._constants)

    def _error(self, known: Sequence[Origin], constants: tuple[float, float, float]) -> float:
        return fmean(abs(origin.later - self._ahead(origin, constants)) for origin in known)

    @staticmethod
    def _ahead(origin: Origin, constants: tuple[float, float, float]) -> float:
        from statsmodels.tsa.holtwinters import Holt

        if len(set(origin.weekly)) == 1:
            return origin.now
        level, trend, damping = constants
        weekly = np.array(origin.weekly)
        made = Holt(
            weekly,
            damped_trend=True,
            initialization_method="known",
            initial_level=weekly[0],
            initial_trend=weekly[1] - weekly[0],
        ).fit(smoothing_level=level, smoothing_trend=trend, damping_trend=damping, optimized=False)
        return float(made.forecast(1)[0])


POINTS: Mapping[str, Point] = {
    "persistence": persistence,
    "aged": aged,
    "drift": drift,
    "linear": linear,
}
NAMES = ("persistence", "persistence_gaussian", "aged", "drift", "linear", "holt", "mean_change")


def has_holt() -> bool:
    """Whether statsmodels, which damped Holt takes, is installed."""
    try:
        import statsmodels  # noqa: F401
    except ImportError:
        return False
    return True


def check_holt() -> None:
    """Raises InvalidInput where damped Holt is asked for and cannot be had."""
    if not has_holt():
        raise InvalidInput("Damped Holt takes statsmodels: pip install 'mastery-engine[lab]', or leave holt out.")


def quantiles(name: str, training: Sequence[Origin], test: Sequence[Origin], tell: Callable[[float], None]) -> Numbers:
    """What a baseline forecasts for each origin of the test: quantiles at ``LEVELS``, within [0, 1]."""
    if name == "persistence_gaussian":
        spread = float(np.std([origin.later - origin.now for origin in training]))
        normal = np.array([NormalDist().inv_cdf(level) * spread for level in LEVELS])
        return _spread([origin.now for origin in test], normal)
    if name == "mean_change":
        change = fmean(origin.later - origin.now for origin in training)
        residuals = [origin.later - origin.now - change for origin in training]
        return _spread([origin.now + change for origin in test], np.quantile(residuals, LEVELS))
    point = DampedHolt(training) if name == "holt" else POINTS[name]
    known = training[:: max(1, len(training) // HOLT_RESIDUALS)] if name == "holt" else training
    residuals = [origin.later - point(origin) for origin in known]
    points = []
    for place, origin in enumerate(test):
        points.append(point(origin))
        tell(place + 1)
    return _spread(points, np.quantile(residuals, LEVELS))


def _spread(points: Sequence[float], residuals: np.ndarray) -> Numbers:
    forecasts: Numbers = np.clip(np.array(points)[:, None] + residuals, 0.0, 1.0)
    return forecasts
