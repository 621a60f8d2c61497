"""The results of ``backtest skills`` as a table and as one HTML page with its plots."""

from collections.abc import Sequence
from html import escape

import numpy as np

from mastery_engine.lab.plots import COLOURS, Frame, line, plot
from mastery_engine.lab.skills.accuracy import Accuracy, auc, calibration
from mastery_engine.lab.skills.backtest import Backtest, Result

PLACES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
FEWEST = 50

_HEAD = ("model", "AUC", "log loss", "Brier", "calibration error", "fit, s", "µs an answer")
_STYLE = "body{font:15px sans-serif;margin:2em auto;max-width:60em}td,th{padding:.2em .8em;text-align:right}"

Line = list[tuple[float, float]]


def table(result: Result) -> list[str]:
    """The means as a table in Markdown."""
    rows = [_HEAD, ("---",) * len(_HEAD), *((name, *_figures(one)) for name, one in result.mean.items())]
    return [f"Mean of {len(result.splits)} splits:", "", *("| " + " | ".join(row) + " |" for row in rows)]


def page(found: Backtest, file_name: str) -> str:
    """The page: the table, calibration, and AUC by how many answers came before."""
    names = list(found.result.mean)
    rows = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{cell}</td>' for cell in _figures(one))}</tr>"
        for name, one in found.result.mean.items()
    )
    head = "".join(f"<th>{word}</th>" for word in _HEAD)
    calibrated = [_calibration(found, name) for name in names]
    by_place = [_by_place(found, name) for name in names]
    across = [str(PLACES[int(x)]) for x, _ in max(by_place, key=len)]
    lowest = min([y for points in by_place for _, y in points], default=0.5)
    calibration_frame = Frame("Calibration", "predicted", "share right", (0.0, 1.0), (0.0, 1.0))
    shown = (-0.5, max(1, len(across)) - 0.5)  # each point stands above the middle of its word
    area_frame = Frame("AUC by earlier answers", "earlier answers, from", "AUC", shown, (int(lowest * 20) / 20, 1.0))
    answers = sum(len(one.rows) for one in found.tested)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Next answers of {escape(file_name)}</title>'
        f"<style>{_STYLE}</style><h1>Next answers of {escape(file_name)}</h1>"
        f"<p>{answers:,} predictions for students that nothing was fitted on, {len(found.result.splits)} splits.</p>"
        f"<table><tr>{head}</tr>{rows}</table>"
        + _plot(calibration_frame, names, calibrated, line(calibration_frame, [(0, 0), (1, 1)], "#999999", dashed=True))
        + _plot(area_frame, names, by_place, ticks=across)
        + "</html>\n"
    )


def _figures(one: Accuracy) -> tuple[str, ...]:
    area = "" if one.auc is None else f"{one.auc:.4f}"
    errors = [f"{error:.4f}" for error in (one.log_loss, one.brier, one.ece)]
    return area, *errors, f"{one.fit_s:.1f}", f"{one.us_per_answer:.1f}"


def _calibration(found: Backtest, name: str) -> Line:
    right = np.concatenate([one.right for one in found.tested])
    predicted = np.concatenate([one.predicted[name] for one in found.tested])
    return [(mean, share) for mean, share, count in calibration(right, predicted) if count >= FEWEST]


def _by_place(found: Backtest, name: str) -> Line:
    """AUC over the answers with so many before them, over all splits; x is the range's number."""
    right = np.concatenate([one.right for one in found.tested])
    predicted = np.concatenate([one.predicted[name] for one in found.tested])
    ranges = np.searchsorted(PLACES, np.concatenate([one.places for one in found.tested]), side="right") - 1
    points = []
    for number in range(len(PLACES)):
        chosen = ranges == number
        area = auc(right[chosen], predicted[chosen]) if chosen.sum() >= FEWEST else None
        if area is not None:
            points.append((float(number), area))
    return points


def _plot(frame: Frame, names: Sequence[str], lines: Sequence[Line], *first: str, ticks: Sequence[str] = ()) -> str:
    drawn = [line(frame, points, COLOURS[place]) for place, points in enumerate(lines)]
    return plot(frame, *first, *drawn, legend=names, ticks=ticks or None)
