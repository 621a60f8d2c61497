"""A backtest of the forecast as a table, as plots, and as a page of both."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from mastery_engine.lab.forecast.backtest import (
    ENGINE,
    HIGH,
    LOW,
    MIDDLE,
    ForecastAccuracy,
    ForecastBacktest,
    ForecastBacktestResult,
)
from mastery_engine.lab.forecast.baselines import LEVELS
from mastery_engine.lab.forecast.served import CourseForecasts, ServedAccuracy
from mastery_engine.lab.plots import COLOURS, Frame, band, bars, line, plot

PERSISTENCE = "persistence"
EXAMPLES, LATEST_WEEK = 3, 34
HEAD = ("model", "MAE", "of persistence", "RMSE", "CRPS", "of persistence", "coverage", "width")
SERVED_HEAD = (
    "course",
    "before",
    "coverage",
    "CRPS",
    "said to fall / fell",
    "calibrated",
    "coverage",
    "CRPS",
    "said to fall / fell",
    "confidence off by",
)
PARTS = (("all weeks", "mean"), ("work due", "work_due"), ("nothing due", "nothing_due"))


def table(result: ForecastBacktestResult) -> list[str]:
    """The scores in points of 100, as Markdown; all weeks, then those with and without work due."""
    students = f"{result.students:,} students, fitted on {result.training_students:,} others"
    known = "with" if result.calendar else "without"
    lines = [f"{result.origins:,} forecasts of {students}; {known} a calendar. Errors in points of 100."]
    for words, part in PARTS:
        models: Mapping[str, ForecastAccuracy] = getattr(result, part)
        base = models.get(PERSISTENCE)
        lines += ["", f"{words}:", "", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
        lines += [f"| {' | '.join(_cells(name, accuracy, base))} |" for name, accuracy in models.items()]
    if result.confidence:
        pairs = ", ".join(f"{group.stated:.3f} → {group.true:.3f}" for group in result.confidence)
        lines += ["", f"confidence, stated → came true, in ten bins: {pairs}"]
    lines += served_table(result.courses, result.weeks)
    lines += ["", f"fitted in {result.fit_s:g} s; {result.us_per_forecast:g} µs for a forecast of 7 days"]
    if result.left_out:
        lines.append(f"left out: {', '.join(result.left_out)} (pip install 'mastery-engine[lab]' for it)")
    return lines


def served_table(courses: Mapping[str, CourseForecasts], weeks: Mapping[int, ServedAccuracy]) -> list[str]:
    """What would have been served, as Markdown: by course, before it was calibrated and since, and by week."""
    if not courses:
        return []
    lines = [
        "",
        "as served, calibrated week by week; CRPS beside that of persistence by the course's own past changes:",
        "",
    ]
    lines += [f"| {' | '.join(SERVED_HEAD)} |", f"|{'---|' * len(SERVED_HEAD)}"]
    for course, found in courses.items():
        off = "" if found.calibrated is None else f"{found.calibrated.confidence_off:.2f}"
        lines.append(f"| {course} | {' | '.join([*_served(found.before), *_served(found.calibrated), off])} |")
    lines += ["", "| week | forecasts | coverage | CRPS |", "|---|---|---|---|"]
    lines += [f"| {week} | {' | '.join(_served(found)[:3])} |" for week, found in weeks.items()]
    return lines


def _served(found: ServedAccuracy | None) -> list[str]:
    if found is None:
        return ["", "", "", ""]
    needed = f"{found.said_to_need_help} / {found.fell}"
    return [str(found.forecasts), f"{found.coverage80:.2f}", f"{found.of_persistence:.2f}", needed]


def _cells(name: str, accuracy: ForecastAccuracy, base: ForecastAccuracy | None) -> list[str]:
    def ratio(error: float, other: float | None) -> str:
        return f"{error / other:.3f}" if other else ""

    return [
        name,
        f"{100 * accuracy.mae:.2f}",
        ratio(accuracy.mae, None if base is None else base.mae),
        f"{100 * accuracy.rmse:.2f}",
        f"{100 * accuracy.crps:.2f}",
        ratio(accuracy.crps, None if base is None else base.crps),
        f"{accuracy.coverage80:.3f}",
        f"{100 * accuracy.width80:.2f}",
    ]


def plots(measured: ForecastBacktest) -> dict[str, str]:
    """SVG by name: CRPS by model, calibration, confidence, error by week, examples. The engine is among the models."""
    drawn = {
        "crps": _models(measured.result),
        "calibration": _calibration(measured),
        "confidence": _confidence(measured.result),
        "weeks": _weeks(measured),
    }
    drawn |= served_plots(measured.result.courses, measured.result.weeks)
    return drawn | {f"example-{place + 1}": example for place, example in enumerate(_examples(measured))}


def page(measured: ForecastBacktest) -> str:
    """An HTML page that needs nothing else."""
    shown = "\n".join(f"<figure>{svg}</figure>" for svg in plots(measured).values())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Backtest of the forecast</title>'
        "<style>body{font-family:sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}"
        "figure{display:inline-block;margin:.5rem}pre{overflow-x:auto}</style>"
        f"<h1>Backtest of the forecast</h1><pre>{escape(chr(10).join(table(measured.result)))}</pre>{shown}</html>"
    )


def served_plots(courses: Mapping[str, CourseForecasts], weeks: Mapping[int, ServedAccuracy]) -> dict[str, str]:
    """SVG by name: the coverage of the 80% interval by course, once calibrated, and by week."""
    found = {name: course.calibrated for name, course in courses.items() if course.calibrated is not None}
    drawn = {}
    if found:
        frame = Frame(
            "Coverage of the 80% interval by class, once calibrated", "class", "share", (0, len(found)), (0, 1)
        )
        goal = line(frame, [(0.0, 0.8), (float(len(found)), 0.8)], "#555555", dashed=True)
        shares = [one.coverage80 for one in found.values()]
        drawn["classes"] = plot(frame, bars(frame, shares), goal, ticks=[str(one + 1) for one in range(len(found))])
    if len(weeks) > 1:
        last = float(max(weeks))
        frame = Frame("Coverage of the 80% interval by week", "week of the class", "share", (0, last), (0, 1))
        points = [(float(week), one.coverage80) for week, one in weeks.items()]
        goal = line(frame, [(0.0, 0.8), (last, 0.8)], "#555555", dashed=True)
        drawn["coverage"] = plot(frame, goal, line(frame, points, COLOURS[0], dots=True))
    return drawn


def _models(result: ForecastBacktestResult) -> str:
    names = list(result.mean)
    values = [100 * scores.crps for scores in result.mean.values()]
    frame = Frame("CRPS by model (lower is better)", "", "points of 100", (0, len(names)), (0, max(values) * 1.1))
    ticks = [name.replace("persistence", "pers.").replace("_", " ")[:11] for name in names]
    return plot(frame, bars(frame, values), ticks=ticks)


def _later(measured: ForecastBacktest) -> np.ndarray:
    return np.array([origin.later for origin in measured.origins])


def _calibration(measured: ForecastBacktest) -> str:
    frame = Frame("Calibration of the quantiles", "stated level", "share at or below", (0, 1), (0, 1))
    later, names = _later(measured)[:, None], [name for name in (ENGINE, PERSISTENCE) if name in measured.forecasts]
    drawn = [line(frame, [(0, 0), (1, 1)], "#999999", dashed=True)]
    for place, name in enumerate(names):
        shares = (later <= measured.forecasts[name]).mean(axis=0).tolist()
        drawn.append(line(frame, list(zip(LEVELS, shares, strict=True)), COLOURS[place], dots=True))
    return plot(frame, *drawn, legend=names)


def _confidence(result: ForecastBacktestResult) -> str:
    frame = Frame("Confidence: what was said and what came", "stated", "came true", (0, 1), (0, 1))
    points = [(group.stated, group.true) for group in result.confidence]
    return plot(
        frame, line(frame, [(0, 0), (1, 1)], "#999999", dashed=True), line(frame, points, COLOURS[0], dots=True)
    )


def _weeks(measured: ForecastBacktest) -> str:
    """The error by the week since a student's first day."""
    weeks = np.array([len(origin.weekly) - 1 for origin in measured.origins])
    later = _later(measured)
    shown = [week for week in range(2, LATEST_WEEK) if (weeks == week).any()]
    names = [name for name in (ENGINE, PERSISTENCE) if name in measured.forecasts]
    by_name = {
        name: [
            (float(week), float(100 * np.abs(later - measured.forecasts[name][:, MIDDLE])[weeks == week].mean()))
            for week in shown
        ]
        for name in names
    }
    top = max(error for points in by_name.values() for _, error in points) * 1.1
    frame = Frame("Error by week of the course", "week", "MAE, points of 100", (2, max(3, shown[-1])), (0, top or 1))
    drawn = [line(frame, points, COLOURS[place]) for place, points in enumerate(by_name.values())]
    return plot(frame, *drawn, legend=names)


def _examples(measured: ForecastBacktest) -> Sequence[str]:
    """The students with the most forecasts: the score as it came, and each week's interval from a week before."""
    by_student: dict[str, list[int]] = {}
    for place, origin in enumerate(measured.origins):
        by_student.setdefault(origin.student_id, []).append(place)
    longest = sorted(by_student.values(), key=lambda places: (-len(places), places))[:EXAMPLES]
    drawn = []
    for number, places in enumerate(longest):
        rows = measured.forecasts[ENGINE][places]
        weeks = [float(len(measured.origins[place].weekly)) for place in places]
        frame = Frame(
            f"Student {number + 1}: a week ahead (80%)",
            "week",
            "score",
            (weeks[0], max(weeks[-1], weeks[0] + 1)),
            (0, 1),
        )
        lower, middle, upper = (list(zip(weeks, rows[:, at].tolist(), strict=True)) for at in (LOW, MIDDLE, HIGH))
        came = list(zip(weeks, [measured.origins[place].later for place in places], strict=True))
        drawn.append(
            plot(
                frame,
                band(frame, lower, upper, COLOURS[0]),
                line(frame, middle, COLOURS[0], dashed=True),
                line(frame, came, COLOURS[1], dots=True),
                legend=("forecast", "came"),
            )
        )
    return drawn
