"""A backtest of the forecast as a table, as plots, and as a page of both."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from mastery_engine.lab.forecast.backtest import ENGINE, HIGH, LOW, MIDDLE, Backtest, Result, Scores
from mastery_engine.lab.forecast.baselines import LEVELS
from mastery_engine.lab.plots import COLOURS, Frame, band, bars, line, plot

PERSISTENCE = "persistence"
EXAMPLES, LATEST_WEEK = 3, 34
HEAD = ("model", "MAE", "of persistence", "RMSE", "CRPS", "of persistence", "coverage", "width")
PARTS = (("all weeks", "mean"), ("work due", "work_due"), ("nothing due", "nothing_due"))


def table(result: Result) -> list[str]:
    """The scores in points of 100, as Markdown; all weeks, then those with and without work due."""
    students = f"{result.students:,} students, fitted on {result.training_students:,} others"
    known = "with" if result.calendar else "without"
    lines = [f"{result.origins:,} forecasts of {students}; {known} a calendar. Errors in points of 100."]
    for words, part in PARTS:
        found: Mapping[str, Scores] = getattr(result, part)
        base = found.get(PERSISTENCE)
        lines += ["", f"{words}:", "", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
        lines += [f"| {' | '.join(_cells(name, scores, base))} |" for name, scores in found.items()]
    if result.confidence:
        pairs = ", ".join(f"{one.stated:.3f} → {one.true:.3f}" for one in result.confidence)
        lines += ["", f"confidence, stated → came true, in ten bins: {pairs}"]
    lines += ["", f"fitted in {result.fit_s:g} s; {result.us_per_forecast:g} µs for a forecast of 7 days"]
    if result.left_out:
        lines.append(f"left out: {', '.join(result.left_out)} (pip install 'mastery-engine[lab]' for it)")
    return lines


def _cells(name: str, scores: Scores, base: Scores | None) -> list[str]:
    def ratio(one: float, other: float | None) -> str:
        return f"{one / other:.3f}" if other else ""

    return [
        name,
        f"{100 * scores.mae:.2f}",
        ratio(scores.mae, None if base is None else base.mae),
        f"{100 * scores.rmse:.2f}",
        f"{100 * scores.crps:.2f}",
        ratio(scores.crps, None if base is None else base.crps),
        f"{scores.coverage80:.3f}",
        f"{100 * scores.width80:.2f}",
    ]


def plots(found: Backtest) -> dict[str, str]:
    """SVG by name: CRPS by model, calibration, confidence, error by week, examples. The engine is among the models."""
    drawn = {
        "crps": _models(found.result),
        "calibration": _calibration(found),
        "confidence": _confidence(found.result),
        "weeks": _weeks(found),
    }
    return drawn | {f"example-{place + 1}": one for place, one in enumerate(_examples(found))}


def page(found: Backtest) -> str:
    """An HTML page that needs nothing else."""
    shown = "\n".join(f"<figure>{svg}</figure>" for svg in plots(found).values())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Backtest of the forecast</title>'
        "<style>body{font-family:sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}"
        "figure{display:inline-block;margin:.5rem}pre{overflow-x:auto}</style>"
        f"<h1>Backtest of the forecast</h1><pre>{escape(chr(10).join(table(found.result)))}</pre>{shown}</html>"
    )


def _models(result: Result) -> str:
    names = list(result.mean)
    values = [100 * scores.crps for scores in result.mean.values()]
    frame = Frame("CRPS by model (lower is better)", "", "points of 100", (0, len(names)), (0, max(values) * 1.1))
    ticks = [name.replace("persistence", "pers.").replace("_", " ")[:11] for name in names]
    return plot(frame, bars(frame, values), ticks=ticks)


def _later(found: Backtest) -> np.ndarray:
    return np.array([origin.later for origin in found.origins])


def _calibration(found: Backtest) -> str:
    frame = Frame("Calibration of the quantiles", "stated level", "share at or below", (0, 1), (0, 1))
    later, names = _later(found)[:, None], [name for name in (ENGINE, PERSISTENCE) if name in found.forecasts]
    drawn = [line(frame, [(0, 0), (1, 1)], "#999999", dashed=True)]
    for place, name in enumerate(names):
        shares = (later <= found.forecasts[name]).mean(axis=0).tolist()
        drawn.append(line(frame, list(zip(LEVELS, shares, strict=True)), COLOURS[place], dots=True))
    return plot(frame, *drawn, legend=names)


def _confidence(result: Result) -> str:
    frame = Frame("Confidence: what was said and what came", "stated", "came true", (0, 1), (0, 1))
    points = [(one.stated, one.true) for one in result.confidence]
    return plot(
        frame, line(frame, [(0, 0), (1, 1)], "#999999", dashed=True), line(frame, points, COLOURS[0], dots=True)
    )


def _weeks(found: Backtest) -> str:
    """The error by the week since a student's first day."""
    weeks = np.array([len(origin.weekly) - 1 for origin in found.origins])
    later = _later(found)
    shown = [week for week in range(2, LATEST_WEEK) if (weeks == week).any()]
    names = [name for name in (ENGINE, PERSISTENCE) if name in found.forecasts]
    by_name = {
        name: [
            (float(week), float(100 * np.abs(later - found.forecasts[name][:, MIDDLE])[weeks == week].mean()))
            for week in shown
        ]
        for name in names
    }
    top = max(error for points in by_name.values() for _, error in points) * 1.1
    frame = Frame("Error by week of the course", "week", "MAE, points of 100", (2, max(3, shown[-1])), (0, top or 1))
    drawn = [line(frame, points, COLOURS[place]) for place, points in enumerate(by_name.values())]
    return plot(frame, *drawn, legend=names)


def _examples(found: Backtest) -> Sequence[str]:
    """The students with the most forecasts: the score as it came, and each week's interval from a week before."""
    by_student: dict[str, list[int]] = {}
    for place, origin in enumerate(found.origins):
        by_student.setdefault(origin.student_id, []).append(place)
    longest = sorted(by_student.values(), key=lambda places: (-len(places), places))[:EXAMPLES]
    drawn = []
    for number, places in enumerate(longest):
        rows = found.forecasts[ENGINE][places]
        weeks = [float(len(found.origins[place].weekly)) for place in places]
        frame = Frame(
            f"Student {number + 1}: a week ahead (80%)",
            "week",
            "score",
            (weeks[0], max(weeks[-1], weeks[0] + 1)),
            (0, 1),
        )
        lower, middle, upper = (list(zip(weeks, rows[:, at].tolist(), strict=True)) for at in (LOW, MIDDLE, HIGH))
        came = list(zip(weeks, [found.origins[place].later for place in places], strict=True))
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
