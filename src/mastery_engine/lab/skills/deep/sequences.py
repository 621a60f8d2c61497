"""Answers as arrays for a recurrent network: students side by side, in windows of equal length."""

from collections.abc import Iterator, Sequence
from math import log1p
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from mastery_engine.lab.skills.answer_files import AnswerRow

UNKNOWN = 0  # the place of an item or skill that was not fitted on
WINDOW = 100  # answers through which errors are carried back; a student's state goes on into the next window
GAP_SCALE = 0.1  # logs of seconds run to 20

Whole: TypeAlias = NDArray[np.int32]
Fractions: TypeAlias = NDArray[np.float32]


class Answers(NamedTuple):
    """Answers as (students, answers) arrays, those of skills as (students, answers, skills)."""

    items: Whole
    skills: Whole
    shares: Fractions  # one over the number of the item's skills; 0 where there is no further skill
    right: Fractions
    gaps: Fractions  # the scaled logarithm of 1 and the seconds since the answer before; 0 for the first
    there: Fractions  # 1 where there is an answer, 0 beyond a student's last one


class Vocabulary(msgspec.Struct, frozen=True):
    """The places of items and skills in their tables, from 1, and the most skills of an item."""

    items: dict[str, int]
    skills: dict[str, int]
    most: int

    @classmethod
    def of(cls, students: Sequence[Sequence[AnswerRow]]) -> "Vocabulary":
        """Those of the students' answers."""
        items: dict[str, int] = {}
        skills: dict[str, int] = {}
        most = 1
        for row in (row for rows in students for row in rows):
            items.setdefault(row.item_id, len(items) + 1)
            most = max(most, len(row.skills))
            for name in row.skills:
                skills.setdefault(name, len(skills) + 1)
        return cls(items, skills, most)

    def arrays(self, students: Sequence[Sequence[AnswerRow]], places: int) -> Answers:
        """The students side by side with some that never answered, ``places`` in all, in whole windows."""
        longest = max(map(len, students), default=0)
        length = max(1, -(-longest // WINDOW)) * WINDOW
        most = max([self.most, *(len(row.skills) for rows in students for row in rows)])
        shape = places, length
        filled = Answers(
            np.zeros(shape, np.int32),
            np.zeros((*shape, most), np.int32),
            np.zeros((*shape, most), np.float32),
            *[np.zeros(shape, np.float32) for _ in range(3)],
        )
        for student, rows in enumerate(students):
            for place, row in enumerate(rows):
                gap = max(0.0, row.at - rows[place - 1].at) if place else 0.0
                filled.items[student, place] = self.items.get(row.item_id, UNKNOWN)
                names = [self.skills.get(name, UNKNOWN) for name in row.skills]
                filled.skills[student, place, : len(names)] = names
                filled.shares[student, place, : len(names)] = 1.0 / len(names)
                filled.right[student, place] = row.right
                filled.gaps[student, place] = GAP_SCALE * log1p(gap)
                filled.there[student, place] = 1.0
        return filled


def windows(answers: Answers) -> Iterator[Answers]:
    """The answers in windows, the first ones first."""
    for start in range(0, answers.items.shape[1], WINDOW):
        yield Answers._make(array[:, start : start + WINDOW] for array in answers)
