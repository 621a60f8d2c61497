"""How students differ beside their levels: in two traits each, of which every item asks more or less.

Item response theory in several dimensions (Reckase 2009). How much an item asks of a trait, its loadings, is fitted to
what the levels leave unexplained.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mastery_engine.domain.skills.next_answer.state import Pair

TRAITS, TURNS = 2, 12
RIDGE = 10.0  # the prior precision of a loading; that of a trait is 1

Residual: TypeAlias = tuple[str, float, float]  # item, what the levels leave unexplained, its information
Doubles: TypeAlias = NDArray[np.floating[Any]]
Places: TypeAlias = NDArray[np.int64]


def loadings_of(students: Sequence[Sequence[Residual]]) -> dict[str, Pair]:
    """The loadings of each item, by least squares in turn: traits of the students, then loadings of the items."""
    items: dict[str, int] = {}
    item = np.array([items.setdefault(name, len(items)) for rows in students for name, _, _ in rows], np.int64)
    student = np.repeat(np.arange(len(students)), [len(rows) for rows in students])
    residuals = np.array([residual for rows in students for _, residual, _ in rows])
    information = np.array([information for rows in students for _, _, information in rows])
    loadings: Doubles = np.random.default_rng(0).normal(size=(len(items), TRAITS)) * 0.5
    for _ in range(TURNS):
        traits = _regressed(student, len(students), loadings[item], residuals, information, 1.0)
        loadings = _regressed(item, len(items), traits[student], residuals, information, RIDGE)
        loadings *= traits.std(0)  # the traits have a variance of 1
    return {name: (a, b) for name, (a, b) in zip(items, loadings.tolist(), strict=True)}


def _regressed(
    group: Places, groups: int, known: Doubles, residuals: Doubles, information: Doubles, ridge: float
) -> Doubles:
    """Of each group the weights under which what is known of its answers explains their residuals best."""
    squares = np.empty((groups, TRAITS, TRAITS))
    products = np.empty((groups, TRAITS, 1))
    for row in range(TRAITS):
        products[:, row, 0] = np.bincount(group, known[:, row] * residuals, groups)
        for column in range(TRAITS):
            squares[:, row, column] = np.bincount(group, known[:, row] * known[:, column] * information, groups)
    return np.linalg.solve(squares + ridge * np.eye(TRAITS), products)[..., 0]
