"""The results of ``backtest skills`` as a table and as one HTML page with its plots."""

from collections.abc import Sequence
from html import escape
from typing import TypeAlias

import numpy as np

from mastery_engine.lab.plots import COLOURS, Frame, line, plot
from mastery_engine.lab.skills.accuracy import Accuracy, Floats, auc, calibration
from mastery_engine.lab.skills.backtest import SkillsBacktest, SkillsBacktestResult, SplitPredictions
from mastery_engine.lab.skills.extras import TAKEN

PLACES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
FEWEST = 50

_HEAD = ("model", "AUC", "log loss", "Brier", "calibration error", "fit, s", "µs an answer")
_STYLE = "body{font:15px sans-serif;margin:2em auto;max-width:60em}td,th{padding:.2em .8em;text-align:right}"

Points: TypeAlias = list[tuple[float, float]]


def table(result: SkillsBacktestResult) -> list[str]:
    """The means as a table in Markdown, and which models are missing."""
    rows = [_HEAD, ("---",) * len(_HEAD), *((name, *_figures(mean)) for name, mean in result.mean.items())]
    lines = [f"Mean of {len(result.splits)} splits:", "", *("| " + " | ".join(row) + " |" for row in rows)]
    for extra in dict.fromkeys(TAKEN[name] for name in result.left_out):
        names = [name for name in result.left_out if TAKEN[name] == extra]
        lines += ["", f"left out: {', '.join(names)}, for want of {extra.brings} ({extra.install})"]
    return lines


def page(measured: SkillsBacktest, file_name: str) -> str:
    """The page: the table, calibration, and AUC by how many answers came before."""
    names = list(measured.result.mean)
    rows = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{cell}</td>' for cell in _figures(mean))}</tr>"
        for name, mean in measured.result.mean.items()
    )
    head = "".join(f"<th>{word}</th>" for word in _HEAD)
    calibrated = [_calibration(measured, name) for name in names]
    by_place = [_by_place(measured, name) for name in names]
    across = [str(PLACES[int(x)]) for x, _ in max(by_place, key=len)]
    lowest = min([y for points in by_place for _, y in points], default=0.5)
    calibration_frame = Frame("Calibration", "predicted", "share right", (0.0, 1.0), (0.0, 1.0))
    shown = (-0.5, max(1, len(across)) - 0.5)  # each point stands above the middle of its word
    area_frame = Frame("AUC by earlier answers", "earlier answers, from", "AUC", shown, (int(lowest * 20) / 20, 1.0))
    answers = sum(len(tested.rows) for tested in measured.tested)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Next answers of {escape(file_name)}</title>'
        f"<style>{_STYLE}</style><h1>Next answers of {escape(file_name)}</h1>"
        f"<p>{answers:,} predictions for students that nothing was fitted on, {len(measured.result.splits)} splits.</p>"
        f"<table><tr>{head}</tr>{rows}</table>"
        + _plot(calibration_frame, names, calibrated, line(calibration_frame, [(0, 0), (1, 1)], "#999999", dashed=True))
        + _plot(area_frame, names, by_place, ticks=across)
        + "</html>\n"
    )


def _figures(accuracy: Accuracy) -> tuple[str, ...]:
    area = "" if accuracy.auc is None else f"{accuracy.auc:.4f}"
    errors = [f"{error:.4f}" for error in (accuracy.log_loss, accuracy.brier, accuracy.ece)]
    return area, *errors, f"{accuracy.fit_s:.1f}", f"{accuracy.us_per_answer:.1f}"


def _calibration(measured: SkillsBacktest, name: str) -> Points:
    right, predicted = _pooled(measured.tested, name)
    return [(mean, share) for mean, share, count in calibration(right, predicted) if count >= FEWEST]


def _by_place(measured: SkillsBacktest, name: str) -> Points:
    """AUC over the answers with so many before them, over all splits; x is the range's number."""
    right, predicted = _pooled(measured.tested, name)
    ranges = np.searchsorted(PLACES, np.concatenate([tested.places for tested in measured.tested]), side="right") - 1
    points = []
    for number in range(len(PLACES)):
        chosen = ranges == number
        area = auc(right[chosen], predicted[chosen]) if chosen.sum() >= FEWEST else None
        if area is not None:
            points.append((float(number), area))
    return points


def _pooled(splits: Sequence[SplitPredictions], name: str) -> tuple[Floats, Floats]:
    """The answers of all splits, and what a model predicted of each."""
    right = np.concatenate([tested.right for tested in splits])
    return right, np.concatenate([tested.predicted[name] for tested in splits])


def _plot(frame: Frame, names: Sequence[str], lines: Sequence[Points], *first: str, ticks: Sequence[str] = ()) -> str:
    drawn = [line(frame, points, COLOURS[place]) for place, points in enumerate(lines)]
    return plot(frame, *first, *drawn, legend=names, ticks=ticks or None)
