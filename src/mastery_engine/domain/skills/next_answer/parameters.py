"""What all students share, by stable names: a part of the file of parameters for each tenant and course.

Levels decide what an answer makes of a student's state, so they are revised by moments: an answer goes by the newest
revision that is not later than its own moment, whenever and wherever it is folded. Effects and head only shape what is
predicted: the newest ones serve.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.moments import NEVER, Micros
from mastery_engine.domain.skills.next_answer.effects import Effects, EffectTable
from mastery_engine.domain.skills.next_answer.head import Head, HeadWeights, shipped_head
from mastery_engine.domain.skills.next_answer.levels import USUAL, USUAL_VARIANCE, ItemLevel

FORMAT = 1
MAX_REVISIONS = 100
MOST = 30.0  # log-odds that a level may say; beyond, a state could not hold what follows
EVERYWHERE = "*"  # the part that counts for tenants and courses that have none of their own
ALWAYS: Micros = -(2**62)

SkillUsual: TypeAlias = tuple[float, float]  # the usual level on a skill, and its variance


class LevelRevision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Levels for answers given at ``since`` or later; those of a file of answers count always.

    ``heard`` is the newest receipt among the answers they were learned from, ``answers`` how many those were, with all
    before; ``usual`` is the usual level on a skill that nobody has met.
    """

    since: Micros = ALWAYS
    heard: Micros = NEVER
    answers: int = 0
    usual: float = USUAL
    items: dict[str, ItemLevel] = {}
    skills: dict[str, SkillUsual] = {}


class AnswerParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All parameters of one tenant and course. ``revisions`` are in the order of their moments; without a head the
    shipped one serves."""

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    version: str = "default"
    revisions: tuple[LevelRevision, ...] = ()
    effects: Effects = Effects()
    head: HeadWeights | None = None

    def revised(self, revision: LevelRevision, *, floor: Micros) -> "AnswerParameters":
        """The parameters with one more revision; those that no answer from ``floor`` on needs are merged into one.

        Raises ValueError if a revision of the same or a later moment is there, or if there are too many.
        """
        revisions = [*self.revisions, revision]
        while len(revisions) > 1 and revisions[1].since <= floor:
            oldest, second = revisions.pop(0), revisions[0]
            revisions[0] = msgspec.structs.replace(
                second, items=oldest.items | second.items, skills=oldest.skills | second.skills
            )
        _check_moments(revisions)
        return msgspec.structs.replace(self, revisions=tuple(revisions))


class AnswerModel:
    """The parameters of one tenant and course, ready to compute."""

    def __init__(self, parameters: AnswerParameters) -> None:
        """Raises ValueError if they do not fit together, or are not those of this engine's features."""
        _check_moments(parameters.revisions)
        if not all(-MOST <= number <= MOST for number in _numbers(parameters)):
            raise ValueError(f"every level must be a number from -{MOST:g} to {MOST:g}")
        if any(variance < 0.0 for variance in _variances(parameters)):
            raise ValueError("a variance and a count must not be below 0")
        self.parameters = parameters
        self.effects = EffectTable(parameters.effects)
        self.head = Head(parameters.head or shipped_head())
        newest_first = parameters.revisions[::-1]
        self._usual = [(revision.since, revision.usual) for revision in newest_first]
        self._items: dict[str, list[tuple[Micros, ItemLevel]]] = {}
        self._skills: dict[str, list[tuple[Micros, SkillUsual]]] = {}
        for revision in newest_first:
            for item_id, level in revision.items.items():
                self._items.setdefault(item_id, []).append((revision.since, level))
            for name, usual in revision.skills.items():
                self._skills.setdefault(name, []).append((revision.since, usual))

    def item(self, item_id: str, at: Micros) -> ItemLevel | None:
        """The item as it counts for answers at a moment, None if nothing was learned of it by then."""
        for since, level in self._items.get(item_id, ()):
            if since <= at:
                return level
        return None

    def skill(self, name: str, at: Micros) -> SkillUsual:
        """The usual level on a skill and its variance, as they count for answers at a moment."""
        for since, usual in self._skills.get(name, ()):
            if since <= at:
                return usual
        for since, level in self._usual:
            if since <= at:
                return level, USUAL_VARIANCE
        return USUAL, USUAL_VARIANCE

    def knows_skill(self, name: str, at: Micros) -> bool:
        """Whether anything was learned of a skill that counts at a moment."""
        return any(since <= at for since, _ in self._skills.get(name, ()))


def _check_moments(revisions: Sequence[LevelRevision]) -> None:
    moments = [revision.since for revision in revisions]
    if moments != sorted(set(moments)) or len(moments) > MAX_REVISIONS:
        raise ValueError(f"revisions must be in the order of their moments, and at most {MAX_REVISIONS}")


def _numbers(parameters: AnswerParameters) -> Iterator[float]:
    for revision in parameters.revisions:
        yield revision.usual
        for level in revision.items.values():
            yield from (level.difficulty, level.variance, level.pace, *level.loadings)
        for usual in revision.skills.values():
            yield from usual


def _variances(parameters: AnswerParameters) -> Iterator[float]:
    for revision in parameters.revisions:
        for level in revision.items.values():
            yield from (level.variance, level.paces)
        for _, variance in revision.skills.values():
            yield variance


PRIOR = AnswerModel(AnswerParameters())


class AnswerModels:
    """The models of all tenants and courses."""

    def __init__(self, parts: Mapping[str, AnswerParameters]) -> None:
        """Raises ValueError if a part cannot be used."""
        self.parts = dict(parts)
        self._models = {name: AnswerModel(part) for name, part in parts.items()}
        self._everywhere = self._models.get(EVERYWHERE, PRIOR)

    def of(self, tenant: str, course: str = DEFAULT_COURSE) -> AnswerModel:
        """The model of a course: its own, else the one for all."""
        return self._models.get(part_name(tenant, course), self._everywhere)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnswerModels) and self.parts == other.parts

    __hash__ = None  # type: ignore[assignment]


def part_name(tenant: str, course: str = DEFAULT_COURSE) -> str:
    """The name of the part of a tenant's course; a tenant holds no slash."""
    return f"{tenant}/{course}"


NO_ANSWER_MODELS = AnswerModels({})
