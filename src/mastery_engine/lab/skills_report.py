"""The results of ``backtest skills`` as a table and as one HTML page with its plots."""

from collections.abc import Sequence
from html import escape

import numpy as np

from mastery_engine.lab.accuracy import Accuracy, auc, calibration
from mastery_engine.lab.backtest_skills import Backtest, Result

SIZE, EDGE = 360, 46
COLOURS = ("#1f5fa8", "#8a6d1a", "#b8500a", "#7a3f98", "#4a7a2c", "#a8325e", "#555555")
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
    across = [PLACES[int(x)] for x, _ in max(by_place, key=len)]
    lowest = min([y for line in by_place for _, y in line], default=0.5)
    floor = max(0.0, int(lowest * 20) / 20)
    answers = sum(len(one.rows) for one in found.tested)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Next answers of {escape(file_name)}</title>'
        f"<style>{_STYLE}</style><h1>Next answers of {escape(file_name)}</h1>"
        f"<p>{answers:,} predictions for students that nothing was fitted on, {len(found.result.splits)} splits.</p>"
        f"<table><tr>{head}</tr>{rows}</table>"
        + _plot("Calibration", "predicted", "share right", names, calibrated, [0, 0.25, 0.5, 0.75, 1], floor=0.0)
        + _plot("AUC by earlier answers", "earlier answers, from", "AUC", names, by_place, across, floor=floor)
        + "</html>\n"
    )


def _figures(one: Accuracy) -> tuple[str, ...]:
    area = "" if one.auc is None else f"{one.auc:.4f}"
    errors = [f"{error:.4f}" for error in (one.log_loss, one.brier, one.ece)]
    return area, *errors, f"{one.fit_s:.1f}", f"{one.us_per_answer:.1f}"


def _calibration(found: Backtest, name: str) -> Line:
    right = np.concatenate([one.right for one in found.tested])
    predicted = np.concatenate([one.predicted[name] for one in found.tested])
    return [(4 * mean, share) for mean, share, count in calibration(right, predicted) if count >= FEWEST]


def _by_place(found: Backtest, name: str) -> Line:
    """AUC over the answers with so many before them, over all splits; x is the range's number."""
    right = np.concatenate([one.right for one in found.tested])
    predicted = np.concatenate([one.predicted[name] for one in found.tested])
    ranges = np.searchsorted(PLACES, np.concatenate([one.places for one in found.tested]), side="right") - 1
    line = []
    for number in range(len(PLACES)):
        chosen = ranges == number
        area = auc(right[chosen], predicted[chosen]) if chosen.sum() >= FEWEST else None
        if area is not None:
            line.append((float(number), area))
    return line


def _plot(
    title: str, across: str, up: str, names: Sequence[str], lines: list[Line], ticks: Sequence[float], *, floor: float
) -> str:
    """Lines over evenly spaced ticks; y runs from ``floor`` to 1."""
    inner, steps = SIZE - 2 * EDGE, max(1, len(ticks) - 1)

    def at(x: float, y: float) -> str:
        return f"{EDGE + x / steps * inner:.1f},{SIZE - EDGE - (y - floor) / (1.0 - floor) * inner:.1f}"

    parts = [f'<text x="{EDGE}" y="20" font-weight="bold">{title}</text>']
    parts.append(f'<polyline points="{at(0, 1)} {at(0, floor)} {at(steps, floor)}" fill="none" stroke="#333"/>')
    for place, tick in enumerate(ticks):
        x, y = at(place, floor).split(",")
        parts.append(f'<text x="{x}" y="{float(y) + 16}" text-anchor="middle">{tick:g}</text>')
    for quarter in range(5):
        value = floor + (1.0 - floor) * quarter / 4
        y = at(0, value).split(",")[1]
        parts.append(f'<text x="{EDGE - 6}" y="{y}" text-anchor="end">{value:.2f}</text>')
    parts.append(f'<text x="{SIZE / 2}" y="{SIZE - 8}" text-anchor="middle">{across}</text>')
    parts.append(f'<text x="12" y="{SIZE / 2}" transform="rotate(-90 12 {SIZE / 2})" text-anchor="middle">{up}</text>')
    if title == "Calibration":
        parts.append(f'<polyline points="{at(0, 0)} {at(4, 1)}" fill="none" stroke="#999" stroke-dasharray="4 4"/>')
    for number, (name, line) in enumerate(zip(names, lines, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(at(x, y) for x, y in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{SIZE - 20}" y="{EDGE + 16 * number}" fill="{colour}">{escape(name)}</text>')
    size = f'width="{SIZE + 120}" height="{SIZE}" viewBox="0 0 {SIZE + 120} {SIZE}"'
    return f'<svg {size} role="img" aria-label="{title}" font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
