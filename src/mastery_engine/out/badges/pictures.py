"""The picture of a badge: a medal, the same as SVG and as PNG, drawn here so that no page needs another's picture."""

import zlib
from functools import cache
from struct import pack
from xml.sax.saxutils import escape  # nosec B406

import numpy as np
from numpy.typing import NDArray

from mastery_engine.out.badges.badge import Badge
from mastery_engine.out.badges.baking import PNG, chunk
from mastery_engine.out.badges.credential import description_of, name_of

SIZE = 320  # of the drawing; the PNG has as many pixels
SMOOTH = 3  # samples a pixel on each side
RIBBON, RIM, FACE, STAR = "#0a5a9c", "#8a5a00", "#f5b83d", "#ffffff"
CENTRE_X, CENTRE_Y, RADIUS, INNER = 160.0, 130.0, 110.0, 94.0
STAR_OUTER, STAR_INNER = 72.0, 30.0
LEFT = ((95.0, 190.0), (60.0, 310.0), (105.0, 285.0), (130.0, 315.0), (155.0, 215.0))
RIGHT = tuple((SIZE - x, y) for x, y in LEFT)


def svg_of(badge: Badge) -> str:
    """The medal with its name as title and description, for who does not see it."""
    title, description = escape(name_of(badge)), escape(description_of(badge))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}" '
        f'role="img" aria-labelledby="title desc">'
        f'<title id="title">{title}</title><desc id="desc">{description}</desc>{_drawing()}</svg>'
    )


def medal_svg() -> str:
    """The medal alone, for a page that says beside it what it is."""
    return f'<svg class="medal" viewBox="0 0 {SIZE} {SIZE}" aria-hidden="true">{_drawing()}</svg>'


@cache
def _drawing() -> str:
    ribbons = "".join(f'<polygon points="{_points(one)}" fill="{RIBBON}"/>' for one in (LEFT, RIGHT))
    return (
        f'{ribbons}<circle cx="{CENTRE_X:g}" cy="{CENTRE_Y:g}" r="{RADIUS:g}" fill="{RIM}"/>'
        f'<circle cx="{CENTRE_X:g}" cy="{CENTRE_Y:g}" r="{INNER:g}" fill="{FACE}"/>'
        f'<polygon points="{_points(_star())}" fill="{STAR}"/>'
    )


@cache
def medal_png() -> bytes:
    """The medal as PNG, with a transparent ground."""
    samples = np.zeros((SIZE * SMOOTH, SIZE * SMOOTH, 4))
    y, x = (np.mgrid[0 : SIZE * SMOOTH, 0 : SIZE * SMOOTH] + 0.5) / SMOOTH
    for ribbon in (LEFT, RIGHT):
        samples[_inside(ribbon, x, y)] = _colour(RIBBON)
    distance = np.hypot(x - CENTRE_X, y - CENTRE_Y)
    samples[distance <= RADIUS] = _colour(RIM)
    samples[distance <= INNER] = _colour(FACE)
    samples[_inside(_star(), x, y)] = _colour(STAR)
    shown = samples.reshape(SIZE, SMOOTH, SIZE, SMOOTH, 4)
    alpha = shown[..., 3:].mean(axis=(1, 3))
    colours = (shown[..., :3] * shown[..., 3:]).mean(axis=(1, 3)) / np.maximum(alpha, 1e-9)
    pixels = np.round(np.concatenate([colours, alpha * 255], axis=2)).astype(np.uint8)
    rows = np.concatenate([np.zeros((SIZE, 1), np.uint8), pixels.reshape(SIZE, SIZE * 4)], axis=1)
    head = pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)  # 8 bits of red, green, blue and alpha
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + chunk(b"IEND", b"")


def _star() -> tuple[tuple[float, float], ...]:
    turns = np.pi * (np.arange(10) / 5 - 0.5)
    reach = np.where(np.arange(10) % 2, STAR_INNER, STAR_OUTER)
    xs, ys = CENTRE_X + reach * np.cos(turns), CENTRE_Y + reach * np.sin(turns)
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in zip(xs, ys, strict=True))


def _inside(
    corners: tuple[tuple[float, float], ...], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which points lie in a polygon: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros(x.shape, dtype=bool)
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


def _colour(text: str) -> NDArray[np.float64]:
    return np.array([*bytes.fromhex(text[1:]), 1.0])


def _points(corners: tuple[tuple[float, float], ...]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in corners)
