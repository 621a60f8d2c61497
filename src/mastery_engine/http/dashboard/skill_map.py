"""The skill map as a picture: rows of skills, each below its prerequisites, and lines between them."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from textwrap import wrap

import msgspec

from mastery_engine.domain.skills.skill_map import State
from mastery_engine.http.dashboard.templates import percent
from mastery_engine.services.skills import SkillPlace

MOST_SHOWN = 60
CELL, BOX = 170, 156
ROW, TALL = 84, 56
LETTERS = 21

SIGNS: dict[State, str] = {
    "mastered": "✓✓ mastered",
    "known": "✓ known",
    "fading": "↓ fading",
    "begun": "… begun",
    "ready": "→ ready to begin",
    "later": "later",
}
NEAREST: tuple[State, ...] = ("fading", "begun", "ready", "mastered", "known", "later")


class Box(msgspec.Struct, frozen=True):
    """A skill at its place; ``fill`` is the width of its bar."""

    place: SkillPlace
    x: int
    y: int
    lines: tuple[str, ...]
    sign: str
    fill: int


class Picture(msgspec.Struct, frozen=True):
    """Boxes, and the lines from prerequisites as SVG paths: ``done`` from known skills, ``open`` from others."""

    boxes: list[Box]
    done: list[str]
    open: list[str]
    width: int
    height: int
    left_out: int


def picture(places: Sequence[SkillPlace], per_row: int) -> Picture:
    """The map of skills, given each after its prerequisites; of a large course, the skills nearest to the student."""
    shown = _nearest(places)
    at: dict[str, tuple[int, int]] = {}
    rows = _rows(shown, per_row, at)
    boxes = [_box(one, *at[one.skill.id]) for row in rows for one in row]
    known = {one.skill.id for one in shown if one.state in ("mastered", "known", "fading")}
    lines: tuple[list[str], list[str]] = ([], [])
    for one in shown:
        for needed in one.skill.prerequisites:
            if needed in at:
                lines[needed not in known].append(_line(at[needed], at[one.skill.id]))
    height = (len(rows) - 1) * ROW + TALL
    return Picture(boxes, *lines, width=_width(per_row), height=height, left_out=len(places) - len(shown))


def _nearest(places: Sequence[SkillPlace]) -> list[SkillPlace]:
    """At most 60 skills: first those under way and those that can be begun."""
    order = sorted(range(len(places)), key=lambda number: (NEAREST.index(places[number].state), number))
    return [places[number] for number in sorted(order[:MOST_SHOWN])]


def _width(boxes: int) -> int:
    return boxes * CELL - CELL + BOX


def _rows(places: Sequence[SkillPlace], per_row: int, at: dict[str, tuple[int, int]]) -> list[list[SkillPlace]]:
    """Rows of at most ``per_row`` skills, by the longest chain of prerequisites; sets each skill's corner in ``at``.

    In a row each skill stands as near below its prerequisites as possible.
    """
    depths: dict[str, int] = {}
    levels: dict[int, list[SkillPlace]] = {}
    for one in places:
        depth = 1 + max((depths.get(needed, -1) for needed in one.skill.prerequisites), default=-1)
        depths[one.skill.id] = depth
        levels.setdefault(depth, []).append(one)
    rows: list[list[SkillPlace]] = []
    for _, level in sorted(levels.items()):
        level.sort(key=lambda one: _above(one, at))
        size = ceil(len(level) / ceil(len(level) / per_row))
        for start in range(0, len(level), size):
            row = level[start : start + size]
            left = (_width(per_row) - _width(len(row))) // 2
            at.update({one.skill.id: (left + number * CELL, len(rows) * ROW) for number, one in enumerate(row)})
            rows.append(row)
    return rows


def _above(one: SkillPlace, at: dict[str, tuple[int, int]]) -> float:
    """The average x of a skill's prerequisites."""
    found = [at[needed][0] for needed in one.skill.prerequisites if needed in at]
    return sum(found) / len(found) if found else 0.0


def _box(one: SkillPlace, x: int, y: int) -> Box:
    chance = one.known.probability
    return Box(one, x, y, _lines(one.skill.title), f"{SIGNS[one.state]}, {percent(chance)}", round(BOX * chance))


@lru_cache(maxsize=1_000)
def _lines(title: str) -> tuple[str, ...]:
    return tuple(wrap(title, LETTERS, max_lines=2, placeholder="…"))


def _line(above: tuple[int, int], below: tuple[int, int]) -> str:
    x1, y1 = above[0] + BOX // 2, above[1] + TALL
    x2, y2 = below[0] + BOX // 2, below[1]
    middle = (y1 + y2) // 2
    return f"M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}"
