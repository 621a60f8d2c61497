"""The last hour as small graphs: SVG coordinates, the words beside each, and whether somebody should look at it.

A light is on by the rules of the alerts in ``deploy/prometheus/rules.yaml``, as far as a minute's figures can tell.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from math import ceil, floor, log10

import msgspec

from mastery_engine.http.dashboard.words import spoken
from mastery_engine.responses.figures import HourOfFigures, MinuteOfAll
from mastery_engine.telemetry.totals import LATENCY_BOUNDS

WIDTH, HEIGHT = 300, 100
SLOW_MS, FAILING, LAG_S, SLOW_EVENTS, MANY_WAIT = 100.0, 0.0144, 0.5, 1_000, 5_000
MOST_MS = LATENCY_BOUNDS[-1] * 1_000  # beyond it the histogram tells no times apart
LATELY, LONGER, LETTERS_IN = 5, 10, 15  # minutes

Value = Callable[[MinuteOfAll], float | None]


class GraphLine(msgspec.Struct, frozen=True):
    """One line: its pieces between gaps as lists of points, single minutes as dots; its last and its greatest value.

    ``numbers`` are its values, minute by minute. From ``ceiling`` on, where there is one, it is not known how much more
    a value is.
    """

    name: str
    kind: str
    pieces: list[str]
    dots: list[tuple[float, float]]
    numbers: list[float | None]
    last: float | None
    most: float | None
    most_at: str
    ceiling: float | None = None

    def told(self, number: float) -> str:
        """A value as the page shows it."""
        words = spoken()
        if self.ceiling is None or number < self.ceiling:
            return words.figure(number)
        return words.gettext("over %(number)s") % {"number": words.figure(self.ceiling)}


class Graph(msgspec.Struct, frozen=True):
    """A graph with its ``runbook``; ``needs_look`` is its light. ``marks`` are heights, ``times`` minutes below."""

    key: str
    title: str
    runbook: str
    needs_look: bool
    lines: list[GraphLine]
    marks: list[tuple[float, float]]
    times: list[tuple[float, str, str]]
    width: int = WIDTH
    height: int = HEIGHT


def graphs_of(hour: HourOfFigures) -> list[Graph]:
    """The graphs of an hour, in the reader's language."""
    _ = spoken().gettext
    groups = sorted({group for minute in hour.minutes for group in minute.lag})
    names = {"events": _("learning events"), "openedx": _("Open edX")}
    lags = [(names.get(group, group), _lag_of(group)) for group in groups]
    return [
        _graph(hour, "calls", _("Calls per second"), "masteryabsent", [(_("calls"), lambda one: one.calls)]),
        _graph(
            hour,
            "latency",
            _("Latency of calls, in milliseconds"),
            "masteryslowanswers",
            [
                (_("half"), lambda one: one.p50),
                (_("95%"), lambda one: one.p95),
                (_("99%"), lambda one: one.p99),
            ],
            needs_look=_all_of(hour.minutes[-LONGER:], lambda one: one.p95, lambda p95: p95 > SLOW_MS, least=LATELY),
            ceiling=MOST_MS,
        ),
        _graph(
            hour,
            "errors",
            _("Errors per second"),
            "masteryunavailable",
            [
                (_("refused (4xx)"), lambda one: one.client_errors),
                (_("failed (5xx)"), lambda one: one.server_errors),
            ],
            needs_look=_failing(hour.minutes[-LATELY:]) > FAILING and _failing(hour.minutes) > FAILING,
        ),
        _graph(
            hour,
            "events",
            _("Events applied per second"),
            "masteryslowcalculations",
            [(_("events"), lambda one: one.events)],
            needs_look=_all_of(
                hour.minutes[-LATELY:],
                _lag_of("events"),
                lambda lag: lag > MANY_WAIT,
                lambda one: (one.events or 0) < SLOW_EVENTS,
            ),
        ),
        _graph(
            hour,
            "lag",
            _("Lag: what waits for each reader"),
            "masterylag",
            lags or [(names["events"], _lag_of("events"))],
            needs_look=_all_of(hour.minutes[-LATELY:], _seconds_behind, lambda seconds: seconds > LAG_S),
        ),
        _graph(
            hour,
            "dead",
            _("Dead letters per minute"),
            "masterydeadletters",
            [(_("dead letters"), lambda one: one.dead_letters)],
            needs_look=any(one.dead_letters for one in hour.minutes[-LETTERS_IN:]),
        ),
        _graph(
            hour,
            "replicas",
            _("Processes that told their figures"),
            "masteryabsent",
            [(_("processes"), lambda one: one.replicas)],
            needs_look=any(one.silent for one in hour.replicas),
        ),
    ]


def _lag_of(group: str) -> Value:
    return lambda one: one.lag.get(group)


def _seconds_behind(one: MinuteOfAll) -> float | None:
    return one.lag["events"] / max(one.events or 0.0, 1.0) if "events" in one.lag else None


def _all_of(
    minutes: Sequence[MinuteOfAll],
    value: Value,
    is_bad: Callable[[float], bool],
    also: Callable[[MinuteOfAll], bool] = lambda _: True,
    *,
    least: int = 2,
) -> bool:
    """Whether every minute that has the value is bad, of so many at least: one alone is no news."""
    found = [(one, number) for one in minutes if (number := value(one)) is not None]
    return len(found) >= least and all(is_bad(number) and also(one) for one, number in found)


def _failing(minutes: Sequence[MinuteOfAll]) -> float:
    """The share of calls that failed."""
    calls = sum(one.calls or 0.0 for one in minutes)
    return sum(one.server_errors or 0.0 for one in minutes) / calls if calls else 0.0


def _graph(
    hour: HourOfFigures,
    key: str,
    title: str,
    runbook: str,
    lines: Sequence[tuple[str, Value]],
    *,
    needs_look: bool = False,
    ceiling: float | None = None,
) -> Graph:
    top = _round_up(max((number for _, value in lines for one in hour.minutes if (number := value(one))), default=0.0))
    minutes = hour.minutes
    places = [0, len(minutes) // 2, len(minutes) - 1]
    return Graph(
        key,
        title,
        runbook,
        needs_look,
        [_line(kind, name, minutes, value, top, ceiling) for kind, (name, value) in zip("abcdef", lines, strict=False)],
        [(share * top, HEIGHT * (1 - share)) for share in (0.0, 0.5, 1.0)],
        [
            (_x(place, len(minutes)), anchor, time_of(minutes[place].at))
            for place, anchor in zip(places, ("start", "middle", "end"), strict=True)
        ],
    )


def _line(
    kind: str, name: str, minutes: Sequence[MinuteOfAll], value: Value, top: float, ceiling: float | None
) -> GraphLine:
    pieces: list[list[tuple[float, float]]] = [[]]
    most: tuple[float, str] | None = None
    numbers = [value(minute) if minute.replicas else None for minute in minutes]
    for place, (minute, number) in enumerate(zip(minutes, numbers, strict=True)):
        if number is None:
            pieces.append([])
            continue
        pieces[-1].append((_x(place, len(minutes)), round(HEIGHT * (1 - number / top), 1)))
        if most is None or number > most[0]:
            most = number, time_of(minute.at)
    last = next((number for number in reversed(numbers[-2:]) if number is not None), None)
    return GraphLine(
        name,
        kind,
        [" ".join(f"{x},{y}" for x, y in piece) for piece in pieces if len(piece) > 1],
        [piece[0] for piece in pieces if len(piece) == 1],
        numbers,
        last,
        None if most is None else most[0],
        "" if most is None else most[1],
        ceiling,
    )


def _x(place: int, count: int) -> float:
    return round(WIDTH * place / (count - 1), 1)


def _round_up(number: float) -> float:
    """The next of 1, 2, 5, 10, 20, …, and 1 at least: where an axis ends."""
    if number <= 1:
        return 1.0
    power = 10.0 ** floor(log10(number))
    return next(step * power for step in (1, 2, 5, 10) if ceil(number / power * 1_000) <= step * 1_000)


def time_of(text: str) -> str:
    """A moment's time of day (UTC), as the reader writes it."""
    return spoken().clock(datetime.fromisoformat(text))
