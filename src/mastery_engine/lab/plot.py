"""Curves as an SVG that any browser shows: no library, no script."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 60, 30, 150, 50
# Told apart without colour too: each curve has dashes of its own, and its name at its end.
STROKES = (("#0b5fa5", ""), ("#b3261e", "6 4"), ("#8a5a00", "2 4"), ("#2e6b34", "10 4 2 4"))
MOST_POINTS = 200


def curves(title: str, across: str, up: str, lines: Mapping[str, Sequence[float]], goal: float) -> str:
    """The lines, each a value in [0, 1] for every step from 0, and the goal as a level."""
    steps = max(1, *[len(line) - 1 for line in lines.values()])
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(step: float) -> float:
        return round(LEFT + wide * step / steps, 1)

    def y(value: float) -> float:
        return round(TOP + high * (1.0 - value), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for level in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts += [
            f'<path d="M{LEFT} {y(level)}H{LEFT + wide}" stroke="#dddddd"/>',
            f'<text x="{LEFT - 8}" y="{y(level) + 4}" font-size="12" text-anchor="end">{level:.1f}</text>',
        ]
    below = f'y="{TOP + high + 18}" font-size="12" text-anchor="middle"'
    parts += [f'<text x="{x(step)}" {below}>{step:.0f}</text>' for step in (steps * n / 4 for n in range(5))]
    parts.append(f'<path d="M{LEFT} {y(goal)}H{LEFT + wide}" stroke="#555555" stroke-dasharray="4 4"/>')
    for place, (name, line) in enumerate(lines.items()):
        colour, dashes = STROKES[place % len(STROKES)]
        every = max(1, len(line) // MOST_POINTS)
        shown = sorted({*range(0, len(line), every), len(line) - 1})
        points = " ".join(f"{x(step)},{y(line[step])}" for step in shown)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>')
        row = TOP + 16 + 22 * place
        parts.append(
            f'<path d="M{LEFT + wide + 12} {row - 4}h28" stroke="{colour}" stroke-width="2"{dashed}/>'
            f'<text x="{LEFT + wide + 46}" y="{row}" font-size="12" fill="{colour}">{escape(name)}</text>'
        )
    turned = f'transform="rotate(-90 16 {TOP + high / 2})"'
    parts += [
        f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 10}" font-size="12" text-anchor="middle">{escape(across)}</text>',
        f'<text x="16" y="{TOP + high / 2}" font-size="12" text-anchor="middle" {turned}>{escape(up)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
