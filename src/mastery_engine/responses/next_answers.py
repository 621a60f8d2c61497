"""The answers about single items: how likely the next answer is right, and which item to answer next."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mastery_engine.responses.scores import Score

Uncertainty = Annotated[float, Meta(ge=0.0, le=0.5)]


class NextAnswer(msgspec.Struct, frozen=True):
    """How likely the student's next answer to an item is right.

    ``uncertainty`` is the standard error of the probability. ``basis`` says what is known best: the ``item`` itself,
    its ``skills``, or neither (``prior``), so that the student's general level and last answers alone speak. Known are
    the 20 items answered last, all skills within the retention, and what the parameters say of others.
    """

    item_id: str
    probability: Score
    uncertainty: Uncertainty
    basis: Literal["item", "skills", "prior"]


class ItemToAnswer(msgspec.Struct, frozen=True):
    """An item to answer next, and why. ``probability`` is that of a right answer; ``skill`` the first that it has."""

    item_id: str
    title: str | None
    url: str | None
    skill: str | None
    probability: Score
    reason: str
