"""Plots as SVG text, small enough to stand inside a page: lines, bands, bars, with axes and a legend."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TypeAlias

import msgspec

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 30, 40
COLOURS = ("#1f5fa8", "#b8500a", "#4a7a2c", "#7a3f98", "#8a6d1a", "#555555", "#a8325e", "#2a7f86", "#111111", "#8c8c8c")

Series: TypeAlias = Sequence[tuple[float, float]]


class Frame(msgspec.Struct, frozen=True):
    """A plot's title, the words at its axes, and their ranges."""

    title: str
    across: str
    up: str
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies, in pixels."""
        (low_x, high_x), (low_y, high_y) = self.x, self.y
        share_x, share_y = (x - low_x) / (high_x - low_x), (y - low_y) / (high_y - low_y)
        return LEFT + share_x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - share_y * (HEIGHT - TOP - BOTTOM)


def line(frame: Frame, points: Series, colour: str, *, dashed: bool = False, dots: bool = False) -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (frame.at(*point) for point in points))
    marks = ' stroke-dasharray="5 4"' if dashed else ""
    drawn = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{marks}/>'
    if dots:
        places = [frame.at(*point) for point in points]
        drawn += "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    return drawn


def band(frame: Frame, lower: Series, upper: Series, colour: str) -> str:
    """The area between two lines."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (frame.at(*point) for point in [*lower, *reversed(upper)]))
    return f'<polygon points="{path}" fill="{colour}" fill-opacity="0.18"/>'


def bars(frame: Frame, values: Sequence[float]) -> str:
    """A bar for each value, side by side; the frame's x goes from 0 to their number."""
    drawn = []
    for place, value in enumerate(values):
        (left, top), (right, bottom) = frame.at(place + 0.15, value), frame.at(place + 0.85, frame.y[0])
        colour = COLOURS[0] if place == 0 else COLOURS[-1]
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        drawn.append(f'<rect x="{left:.1f}" y="{top:.1f}" {size} fill="{colour}"/>')
    return "".join(drawn)


def curves(title: str, across: str, up: str, lines: Mapping[str, Sequence[float]], goal: float) -> str:
    """A whole plot of lines, each a value in [0, 1] for every step from 0, and of the goal as a level."""
    steps = float(max(1, *[len(values) - 1 for values in lines.values()]))
    frame = Frame(title, across, up, (0.0, steps), (0.0, 1.0))
    level = line(frame, [(0.0, goal), (steps, goal)], "#555555", dashed=True)
    drawn = [
        line(frame, [(float(step), value) for step, value in enumerate(values)], COLOURS[place])
        for place, values in enumerate(lines.values())
    ]
    return plot(frame, level, *drawn, legend=list(lines))


def plot(frame: Frame, *drawn: str, legend: Sequence[str] = (), ticks: Sequence[str] | None = None) -> str:
    """The whole plot. ``legend`` names series in the order of ``COLOURS``; ``ticks`` are words below bars."""
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    named = f'role="img" aria-label="{escape(frame.title)}" font-family="sans-serif" font-size="11"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {named}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(frame.title)}</text>',
        *_axes(frame, ticks),
        *drawn,
    ]
    for place, name in enumerate(legend):
        y = TOP + 14 + 15 * place
        parts.append(f'<rect x="{LEFT + 10}" y="{y - 8}" width="12" height="8" fill="{COLOURS[place]}"/>')
        parts.append(f'<text x="{LEFT + 27}" y="{y}">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def _axes(frame: Frame, ticks: Sequence[str] | None) -> list[str]:
    left, bottom = frame.at(frame.x[0], frame.y[0])
    right, top = frame.at(frame.x[1], frame.y[1])
    parts = [f'<path d="M{left},{top}V{bottom}H{right}" fill="none" stroke="#333333"/>']
    for step in range(5):
        value = frame.y[0] + (frame.y[1] - frame.y[0]) * step / 4
        _, y = frame.at(frame.x[0], value)
        parts.append(f'<text x="{left - 5:.1f}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
        parts.append(f'<path d="M{left:.1f},{y:.1f}H{right:.1f}" stroke="#e4e4e4"/>')
    words = ticks or [f"{frame.x[0] + (frame.x[1] - frame.x[0]) * step / 4:.3g}" for step in range(5)]
    for place, word in enumerate(words):
        share = (place + 0.5) / len(words) if ticks else place / (len(words) - 1)
        x = left + share * (right - left)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{escape(word)}</text>')
    middle = (top + bottom) / 2
    parts.append(
        f'<text x="{(left + right) / 2:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(frame.across)}</text>'
    )
    parts.append(
        f'<text x="13" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 13 {middle:.1f})">'
        f"{escape(frame.up)}</text>"
    )
    return parts
