"""The calibration of a course: what its own past weeks say about the forecasts made for it.

A past student-week is a ``Miss``: what was forecast, and what came. Three experts forecast a week: the fitted networks;
the score as it is, with the changes that the course saw in a week; the score as it ages, with what the course saw come
to it, by where a student stands. Their quantiles are averaged level by level (Vincentization: Ratcliff 1979), with the
weights that would have done best in the course so far, drawn to a prior by how little is known. Then the distances from
the median are stretched so that one week in ten falls short and one in ten goes beyond, the latest weeks counting most
(conformal prediction under drift: Gibbs and Candès 2021, Barber et al. 2023).

Until a course has enough weeks, its interval is wide enough to hold on classes that nobody has seen.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple, Self, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from mastery_engine.domain.courses.zone import Zone
from mastery_engine.domain.forecast.day_ahead import CLOSE, DayAhead
from mastery_engine.domain.forecast.model import LEVELS, LOWER, MEDIAN, UPPER
from mastery_engine.domain.moments import Day, Micros

ENOUGH = 300  # student-weeks
WEEK = 7
FORMAT = 2

HALF_LIFE = 6.0  # weeks after which a past week counts half
BROAD = 5.0  # student-weeks that the shipped moves count as, among those of a course
ELSEWHERE = 20.0  # student-weeks that all other states together count as, in the moves of one
STEADY, STEADY_KNOWN = 15.0, 150.0  # what holds the weights to their prior: for strange students, and for usual ones
ALIKE = 0.05  # the correlation of what students of a course meet in the same week: one quiet week is no proof
USUAL, STRANGE = 1.1, 1.4  # the median strangeness up to which students are usual, and from which they are strange
USUAL_WEIGHTS, STRANGE_WEIGHTS = (1.0, 0.0, 0.0), (0.34, 0.33, 0.33)
STRETCH_COUNTS = 20.0  # student-weeks that the prior of the stretch counts as
WIDER, WIDER_KNOWN = 1.6, 1.1  # the stretch where little is known of the course: for strange students, and usual ones
KNOWN_FROM = 30.0  # student-weeks that tell whether a course's students are usual
LEAST, LEAST_KNOWN, MOST = 0.3, 0.9, 5.0  # of the stretch; that of usual students is never much below 1
SLOWLY = 2.0  # the power of the share of ENOUGH by which a course with fewer weeks is trusted
OUTSIDE = 0.10  # the share of weeks that is to lie below the interval, and above it
COVERAGE_FROM = 100  # student-weeks forecast since enough were known, from which on they alone tell the coverage
STATED_COUNTS = 30.0  # student-weeks that a stated confidence counts as, beside what came true of it
SHORTEST_ARM = 1e-4
EXPERTS = 3
STATES, GONE = 5, 4  # without a calendar; the one of who has been away for two weeks
STEPS = 10

Numbers: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.intp]
Days: TypeAlias = NDArray[np.int64]

_LEVELS = np.array(LEVELS)
_STATED = np.array([0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0])
_SCORED = np.array([place for place, level in enumerate(LEVELS) if abs(20 * level - round(20 * level)) < 1e-9])
_WEIGHTS = np.array([shares for shares in product(range(STEPS + 1), repeat=EXPERTS) if sum(shares) == STEPS]) / STEPS

# How far scores move in a week, in any class that could be had: quantiles, 40 cases that stand for all.
_SHARES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
_MOVES = (-0.25, -0.12, -0.08, -0.03, 0.0, 0.03, 0.12, 0.2, 0.4)
_SHIPPED = np.interp((np.arange(40) + 0.5) / 40, _SHARES, _MOVES)


class Miss(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One past week of one student: what was known at its beginning, and what came.

    ``origin`` is the day at whose end the forecast was made, for the day 7 days later; ``now`` is the score then,
    ``aged`` what it would have come to without new evidence, ``came`` what it came to, all in [0, 1]. ``model`` are the
    quantiles of the score at ``LEVELS`` by the networks alone, and ``strangeness`` says how unlike their cases this
    one is (1: as usual). ``away`` is the number of days since the last active one, ``known_for`` that since the first
    event; ``has_calendar`` and ``due`` say whether a calendar was known, and whether it had work due in that week.
    """

    origin: Day
    now: float
    aged: float
    came: float
    model: tuple[float, ...]
    away: int
    known_for: int
    has_calendar: bool = False
    due: bool = False
    strangeness: float = 1.0

    @property
    def target(self) -> Day:
        """The day that was forecast; what came is known after its end."""
        return self.origin + WEEK


class Calibration(msgspec.Struct, frozen=True, array_like=True):
    """What the misses of a course by ``as_of`` say.

    ``student_weeks`` is how many there were. ``coverage`` is the share of past weeks in which the 80% interval held
    that was served since enough weeks were known, or that is served now while these are few, in [0, 1]; None where
    nothing can be said. ``weights`` are those of the three experts for who was there in the last two weeks and for who
    was not, ``stretch`` by how much the distances of the quantiles below and above the median are stretched for each.
    ``changes`` are the quantiles at ``LEVELS`` of the week's change of the score, ``moves`` those of its distance from
    the aged score, by state (-1: any other).
    ``confidence`` is what comes true of the probabilities ``_STATED``.
    """

    as_of: Micros
    student_weeks: int = 0
    coverage: float | None = None
    weights: tuple[tuple[float, ...], ...] = ()
    changes: tuple[float, ...] = ()
    moves: dict[int, tuple[float, ...]] = {}
    stretch: tuple[tuple[float, ...], ...] = ()
    confidence: tuple[float, ...] = ()

    @property
    def calibrated(self) -> bool:
        """Whether the course has enough past weeks for its forecasts to be corrected by them."""
        return self.student_weeks >= ENOUGH and self.coverage is not None

    def confident(self, computed: float) -> float:
        """The share of forecasts with this computed probability of being close that come true, in [0, 1]."""
        return float(np.interp(computed, _STATED, self.confidence)) if self.confidence else computed

    def pack(self) -> bytes:
        """As stores keep it: one byte with the format, then MessagePack."""
        return bytes((FORMAT,)) + _encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> Self | None:
        """What ``pack`` made; None if another engine made it in another format: it is learned again."""
        return _decode(packed[1:]) if packed[:1] == bytes((FORMAT,)) else None  # type: ignore[return-value]


_SHIPPED_MOVES = tuple(np.quantile(_SHIPPED, _LEVELS).tolist())
UNKNOWN = Calibration(0, 0, None, (STRANGE_WEIGHTS,) * 2, _SHIPPED_MOVES, {-1: _SHIPPED_MOVES}, ((WIDER, WIDER),) * 2)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Calibration).decode


class ForecastCases(NamedTuple):
    """Cases to forecast, a row each: what is known of a student on a day, and the networks' quantiles of the score.

    ``ahead`` is the number of days ahead.
    """

    now: Numbers
    aged: Numbers
    model: Numbers
    states: Places
    ahead: Numbers

    def some(self, rows: slice) -> "ForecastCases":
        """Some of the cases."""
        return ForecastCases(self.now[rows], self.aged[rows], self.model[rows], self.states[rows], self.ahead[rows])


def state_of(away: int, known_for: int, *, has_calendar: bool, due: bool) -> int:
    """Where a student stands, as far as past weeks are told apart by it."""
    if away >= 2 * WEEK:
        place = GONE
    elif away >= WEEK:
        place = 3
    else:
        place = (known_for >= WEEK) + (known_for >= 3 * WEEK)
    return place + STATES * (has_calendar + due)


def familiarity(strangeness: float) -> float:
    """1 for students like those that the networks were fitted on, 0 for strange ones."""
    return min(1.0, max(0.0, (STRANGE - strangeness) / (STRANGE - USUAL)))


def calibrated(cases: ForecastCases, calibration: Calibration) -> Numbers:
    """The distribution of the score as it is served: for each case its quantiles at ``LEVELS``, rising, not yet cut."""
    gone = cases.states % STATES == GONE
    weights = np.array(calibration.weights)[gone.astype(np.intp)]
    mixed = np.einsum("nk,knl->nl", weights, _experts(cases, calibration))
    middle = mixed[:, MEDIAN : MEDIAN + 1]
    away = mixed - middle
    stretch = np.array(calibration.stretch)[gone.astype(np.intp)]
    found: Numbers = middle + away * np.where(away < 0.0, stretch[:, :1], stretch[:, 1:])
    return found


def calibration_from(misses: Iterable[Miss], as_of: Micros, zone: Zone) -> Calibration:
    """The calibration by a moment, from a course's misses in any order.

    Those of weeks that were not over by then do not count.
    """
    return calibrations_by_week(misses, as_of, zone)[-1]


def calibrations_by_week(misses: Iterable[Miss], as_of: Micros, zone: Zone) -> list[Calibration]:
    """The calibrations as they would have been at the beginning of each week of a course, and that of ``as_of``.

    Each knows the weeks alone that were over by then.
    """
    today = zone.day_of(as_of)
    known = sorted((miss for miss in misses if miss.target < today), key=_order)
    if not known:
        return [msgspec.structs.replace(UNKNOWN, as_of=as_of)]
    learner = _PastWeeks(known)
    starts = [*range(known[0].origin, today, WEEK)]
    found = [learner.learned(start, zone.start_of(start)) for start in starts]
    return [*found, learner.learned(today, as_of)]


def _order(miss: Miss) -> tuple[Day, float, float, float, int, int]:
    return miss.origin, miss.now, miss.aged, miss.came, miss.away, miss.known_for


def _prior(known: float) -> Numbers:
    weights: Numbers = known * np.array(USUAL_WEIGHTS) + (1.0 - known) * np.array(STRANGE_WEIGHTS)
    return weights


class _PastWeeks:
    """A course's misses, in the order of their origins, gone through week by week."""

    def __init__(self, misses: Sequence[Miss]) -> None:
        self._origins = np.array([miss.origin for miss in misses])
        self._came = np.array([miss.came for miss in misses])
        self._strangeness = np.array([miss.strangeness for miss in misses])
        self._cases = ForecastCases(
            np.array([miss.now for miss in misses]),
            np.array([miss.aged for miss in misses]),
            np.array([miss.model for miss in misses]),
            np.array(
                [state_of(m.away, m.known_for, has_calendar=m.has_calendar, due=m.due) for m in misses], dtype=np.intp
            ),
            np.full(len(misses), float(WEEK)),
        )
        self._experts = np.empty((EXPERTS, len(misses), len(LEVELS)))
        self._losses = np.empty((len(misses), len(_WEIGHTS)))
        self._inside = np.zeros(len(misses), dtype=bool)
        self._close = np.zeros(len(misses))
        self._came_close = np.zeros(len(misses), dtype=bool)
        self._known_then = np.zeros(len(misses), dtype=int)
        self._forecast = 0  # so many misses have been forecast as they would have been

    def learned(self, day: Day, as_of: Micros) -> Calibration:
        """What is known at the beginning of a day; days rise from call to call.

        The origins from the day on are forecast by it, those before the day are not forecast again.
        """
        found = self._fitted(day, as_of)
        share = (found.student_weeks / ENOUGH) ** SLOWLY
        served = found if share >= 1.0 else _shrunk(found, share, self._known(found.student_weeks))
        self._look_ahead(found, served, day)
        return served

    def _fitted(self, day: Day, as_of: Micros) -> Calibration:
        past = int(np.searchsorted(self._origins, day - WEEK))
        if not past:
            return msgspec.structs.replace(UNKNOWN, as_of=as_of)
        weeks_ago = (self._origins[past - 1] - self._origins[:past]) / WEEK
        counts = 0.5 ** (weeks_ago / HALF_LIFE)
        now, aged, came = self._cases.now[:past], self._cases.aged[:past], self._came[:past]
        evidence = counts * _apart(self._origins[:past])
        known = self._known(past)
        gone = self._cases.states[:past] % STATES == GONE
        weights, stretch = [], []
        for group in (~gone, gone):
            rows = np.flatnonzero(group)
            weights.append(self._weights(rows, evidence[rows], known))
            stretch.append(self._stretch(rows, counts[rows], weights[-1], known))
        return Calibration(
            as_of,
            past,
            self._coverage((np.flatnonzero(~gone), np.flatnonzero(gone)), weights, stretch),
            tuple(tuple(some.tolist()) for some in weights),
            _quantiles(came - now, counts),
            _by_state(came - aged, counts, self._cases.states[:past]),
            tuple(stretch),
            self._confidence(past),
        )

    def _look_ahead(self, found: Calibration, served: Calibration, day: Day) -> None:
        """Forecast the week that begins with a day by what is known then."""
        rows = slice(self._forecast, int(np.searchsorted(self._origins, day + WEEK)))
        if rows.start >= rows.stop:
            return
        cases = self._cases.some(rows)
        self._experts[:, rows] = _experts(cases, found)
        came = self._came[rows]
        mixed = np.tensordot(_WEIGHTS, self._experts[:, rows][:, :, _SCORED], axes=1)
        self._losses[rows] = _crps(mixed, came).T
        interval = calibrated(cases, served)
        self._inside[rows] = (interval[:, LOWER] <= came) & (came <= interval[:, UPPER])
        days = [DayAhead(day, tuple(row)) for row in np.clip(interval, 0.0, 1.0).tolist()]
        self._close[rows] = [day_ahead.close() for day_ahead in days]
        self._came_close[rows] = np.abs(came - np.clip(interval[:, MEDIAN], 0.0, 1.0)) <= CLOSE
        self._known_then[rows] = found.student_weeks
        self._forecast = rows.stop

    def _known(self, past: int) -> float:
        """How far the course's students are known to be like those of the fit, in [0, 1]."""
        if not past:
            return 0.0
        return familiarity(float(np.median(self._strangeness[:past]))) * min(1.0, past / KNOWN_FROM)

    def _weights(self, rows: Places, counts: Numbers, known: float) -> Numbers:
        """The weights with the least loss so far, in units of the course's move, and of distance from the prior."""
        prior = _prior(known)
        if not len(rows):
            return prior
        came = self._came[rows]
        unit = float(np.mean(np.abs(came - self._cases.now[rows]))) + SHORTEST_ARM
        of_prior = _crps(np.tensordot(prior, self._experts[:, rows][:, :, _SCORED], axes=1), came)
        candidates = np.vstack([prior, _WEIGHTS])
        losses = np.append(counts @ of_prior, counts @ self._losses[rows]) / unit
        held = STEADY + (STEADY_KNOWN - STEADY) * known
        best: Numbers = candidates[np.argmin(losses + held * np.square(candidates - prior).sum(axis=1))]
        return best

    def _stretch(self, rows: Places, counts: Numbers, weights: Numbers, known: float) -> tuple[float, ...]:
        """By how much the arms have to be longer for each to be overstepped by one week in ten."""
        mixed = np.tensordot(weights, self._experts[:, rows], axes=1)
        prior = known + (1.0 - known) * WIDER
        stretches = []
        for sign, place in ((-1.0, LOWER), (1.0, UPPER)):
            arms = np.maximum(sign * (mixed[:, place] - mixed[:, MEDIAN]), SHORTEST_ARM)
            reached = np.maximum(sign * (self._came[rows] - mixed[:, MEDIAN]) / arms, 0.0)
            reached = np.append(reached, [0.6 * prior, 1.2 * prior])
            weighed = np.append(counts, [(1.0 - OUTSIDE) * STRETCH_COUNTS, OUTSIDE * STRETCH_COUNTS])
            order = np.argsort(reached, kind="stable")
            total = np.cumsum(weighed[order])
            found = reached[order][np.searchsorted(total, (1.0 - OUTSIDE) * total[-1])]
            stretches.append(float(np.clip(found, LEAST + known * (LEAST_KNOWN - LEAST), MOST)))
        return tuple(stretches)

    def _confidence(self, past: int) -> tuple[float, ...]:
        """What came true of each of ``_STATED``, drawn to what was stated; never less for more (Ayer et al. 1955)."""
        served = self._known_then[:past] >= ENOUGH
        if not served.any():
            return ()
        computed, true = self._close[:past][served], self._came_close[:past][served]
        nearest = np.abs(computed[:, None] - _STATED).argmin(axis=1)
        found = []
        for place, stated in enumerate(_STATED.tolist()):
            here = nearest == place
            off = float(np.sum(true[here] - computed[here])) / (float(here.sum()) + STATED_COUNTS)
            found.append(min(1.0, max(0.0, stated + off)))
        return tuple(np.maximum.accumulate(found).tolist())

    def _coverage(
        self, groups: Sequence[Places], weights: Sequence[Numbers], stretch: Sequence[tuple[float, ...]]
    ) -> float:
        """The share of past weeks within the interval: of those forecast since enough weeks were known.

        While these are few it is the share within the interval that these weights and stretches give for all of them:
        what was served before was wide on purpose, and says nothing about what is served from now on.
        """
        past = sum(map(len, groups))
        served = self._known_then[:past] >= ENOUGH
        if served.sum() >= COVERAGE_FROM:
            return float(np.mean(self._inside[:past][served]))
        inside = 0
        for rows, mixing, (down, up) in zip(groups, weights, stretch, strict=True):
            mixed, came = np.tensordot(mixing, self._experts[:, rows], axes=1), self._came[rows]
            middle = mixed[:, MEDIAN]
            low = middle - down * np.maximum(middle - mixed[:, LOWER], SHORTEST_ARM)
            high = middle + up * np.maximum(mixed[:, UPPER] - middle, SHORTEST_ARM)
            inside += int(np.sum((low <= came) & (came <= high)))
        return inside / past


def _shrunk(found: Calibration, share: float, known: float) -> Calibration:
    """A calibration by few weeks, of which this share is taken, and the rest of that where nothing is known.

    ``known`` is how far the students are known to be like those of the fit, for whom the networks speak.
    """
    prior = tuple(_prior(known).tolist())
    wider = (known * WIDER_KNOWN + (1.0 - known) * WIDER,) * 2

    def between(own: Sequence[float], shipped: Sequence[float]) -> tuple[float, ...]:
        return tuple([share * one + (1.0 - share) * other for one, other in zip(own, shipped, strict=True)])

    return msgspec.structs.replace(
        found,
        weights=tuple(between(some, prior) for some in found.weights),
        changes=between(found.changes, UNKNOWN.changes),
        moves={state: between(moves, UNKNOWN.changes) for state, moves in found.moves.items()},
        stretch=tuple(between(some, wider) for some in found.stretch),
    )


def _experts(cases: ForecastCases, calibration: Calibration) -> Numbers:
    """What each expert says: its quantiles for each case, not yet cut."""
    weeks = cases.ahead[:, None] / WEEK
    moves = [calibration.moves.get(state, calibration.moves[-1]) for state in cases.states.tolist()]
    return np.array(
        [
            cases.model,
            cases.now[:, None] + _ahead(np.array(calibration.changes)[None, :], weeks),
            cases.aged[:, None] + _ahead(np.array(moves), weeks),
        ]
    )


def _ahead(moves: Numbers, weeks: Numbers) -> Numbers:
    """Quantiles of a week's move for other spans: the median goes with the time, the distances with its root."""
    middle = moves[:, MEDIAN : MEDIAN + 1]
    found: Numbers = middle * weeks + (moves - middle) * np.sqrt(weeks)
    return found


def _crps(rows: Numbers, came: Numbers) -> Numbers:
    """Twice the mean pinball loss of the 19 quantiles from 5% to 95%, which are the last axis."""
    missed = came[:, None] - rows
    levels = _LEVELS[_SCORED]
    loss: Numbers = 2.0 * np.maximum(levels * missed, (levels - 1.0) * missed).mean(axis=-1)
    return loss


def _apart(origins: Days) -> Numbers:
    """How much each of some student-weeks, whose origins rise, tells beside the others of its week.

    So many that are correlated tell no more than fewer that are not: the design effect (Kish 1965).
    """
    week = (origins[-1] - origins) // WEEK
    found: Numbers = 1.0 / (1.0 + ALIKE * (np.bincount(week)[week] - 1.0))
    return found


def _by_state(moves: Numbers, counts: Numbers, states: Places) -> dict[int, tuple[float, ...]]:
    """The quantiles of the moves for each state that was seen, the others counting little; -1 is for those unseen."""
    found = {-1: _quantiles(moves, counts)}
    for state in sorted(set(states.tolist())):
        here = states == state
        others = float(counts[~here].sum())
        share = min(1.0, ELSEWHERE / others) if others else 1.0
        found[state] = _quantiles(moves, np.where(here, counts, share * counts))
    return found


def _quantiles(moves: Numbers, counts: Numbers) -> tuple[float, ...]:
    """Weighted quantiles at ``LEVELS``, with the shipped moves among them."""
    values = np.append(moves, _SHIPPED)
    weights = np.append(counts, np.full(len(_SHIPPED), BROAD / len(_SHIPPED)))
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) - 0.5 * weights[order]
    return tuple(np.interp(_LEVELS, reached / weights.sum(), values[order]).tolist())
