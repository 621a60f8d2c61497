"""The inputs of the head: their names, with what it may make of each, and their values before an answer."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mastery_engine.domain.skills.next_answer.effects import Parts
from mastery_engine.domain.skills.next_answer.levels import NEW_SKILL, Elapsed, Known, Practised, second_of
from mastery_engine.domain.skills.next_answer.state import ITEM, RECENT, AnswerState, Hash, Numbers

LONG_AGO, NEVER_S = 9_999, 1e8
PLACES = 2**16  # what an item's place is counted modulo


Whose: TypeAlias = Literal["student", "skills", "item", "past"]


class Feature(NamedTuple):
    """``sign`` 1 or -1: the probability may only rise, or fall, with it; 0: either. ``logged``: a count or a gap.

    ``of`` says whose it is: the student's at that moment, whatever the item; that of the item's skills; the item's own.
    Effects are of the answer's past.
    """

    name: str
    sign: int = 0
    logged: bool = False
    of: Whose = "student"


FEATURES = (
    Feature("first estimate", 1, of="item"),
    Feature("level", 1, of="item"),
    Feature("difficulty", of="item"),
    Feature("difficulty variance", of="item"),
    Feature("usual level", of="skills"),
    Feature("general level", 1),
    Feature("skill level", 1, of="skills"),
    Feature("right, half-life 1", 1, logged=True),
    Feature("wrong, half-life 1", -1, logged=True),
    Feature("right, half-life 8", 1, logged=True),
    Feature("wrong, half-life 8", -1, logged=True),
    Feature("above expectation, half-life 2", 1, logged=True),
    Feature("below expectation, half-life 2", -1, logged=True),
    Feature("above expectation, half-life 8", 1, logged=True),
    Feature("below expectation, half-life 8", -1, logged=True),
    Feature("right, 1 h", 1, logged=True),
    Feature("wrong, 1 h", -1, logged=True),
    Feature("right, 1 day", 1, logged=True),
    Feature("wrong, 1 day", -1, logged=True),
    Feature("right, 30 days", 1, logged=True),
    Feature("wrong, 30 days", -1, logged=True),
    Feature("right", 1, logged=True),
    Feature("wrong", -1, logged=True),
    Feature("quick and right", logged=True),
    Feature("quick and wrong", logged=True),
    Feature("skill right, half-life 1", 1, logged=True, of="skills"),
    Feature("skill wrong, half-life 1", -1, logged=True, of="skills"),
    Feature("skill right, half-life 8", 1, logged=True, of="skills"),
    Feature("skill wrong, half-life 8", -1, logged=True, of="skills"),
    Feature("skill right", 1, logged=True, of="skills"),
    Feature("skill wrong", -1, logged=True, of="skills"),
    Feature("skill above expectation", 1, logged=True, of="skills"),
    Feature("skill below expectation", -1, logged=True, of="skills"),
    Feature("answers since the skill", -1, logged=True, of="skills"),
    Feature("seconds since the skill", -1, logged=True, of="skills"),
    Feature("seconds since the last answer", logged=True),
    Feature("item's last answer", 1, logged=True, of="item"),
    Feature("item's attempts", logged=True, of="item"),
    Feature("answers since the item", logged=True, of="item"),
    Feature("same item in a row", logged=True, of="item"),
    Feature("same skills", of="skills"),
    Feature("same item", of="item"),
    Feature("last answer"),
    Feature("skills of the item", of="skills"),
    Feature("slower than usual"),
    Feature("slower than usual after a right answer"),
    Feature("slower before"),
    Feature("pace"),
    Feature("traits", 1, of="item"),
    Feature("traits' variance", of="item"),
    *(
        Feature(f"{what} {how}", of="past")
        for what in (
            "after the last answer",
            "after the last item",
            "after the last skills",
            "after the last two answers",
            "again",
            "lately",
            "practised",
            "skills lately",
            "in a row",
            "after any of the last",
        )
        for how in ("effect", "support")
    ),
)
SIGNS = np.array([feature.sign for feature in FEATURES], np.float32)
LOGGED = slice(
    next(place for place, feature in enumerate(FEATURES) if feature.logged),
    1 + max(place for place, feature in enumerate(FEATURES) if feature.logged),
)


Own: TypeAlias = tuple[Sequence[float], Sequence[int]]  # features, and what keys are made of

_PARTS: dict[Whose, list[int]] = {"student": [2, *range(8, 8 + RECENT)], "skills": [1, 5, 6], "item": [0, 3, 4, 7]}
_PLACES = {
    whose: np.array([place for place, feature in enumerate(FEATURES) if feature.of == whose]) for whose in _PARTS
}
_SEEN = sum(map(len, _PLACES.values()))


def features_of(known: Sequence[Known]) -> tuple[NDArray[np.float32], Parts]:
    """The features before answers but for the effects, in the order of ``FEATURES``, and what their keys are made of,
    in the order that ``effects.keys_of`` takes.

    What several answers have in common, by the objects that they share, is made once: the student's, and the skills'.
    """
    rows = np.empty((len(known), _SEEN), np.float32)
    parts = np.empty((len(known), 8 + RECENT), np.uint64)
    common: dict[Whose, tuple[Sequence[object], Callable[[Known], Own]]] = {
        "student": ([one.now for one in known], _of_student),
        "skills": ([one.standing.skills for one in known], _of_skills),
        "item": (known, _of_item),
    }
    for whose, (owners, made) in common.items():
        firsts = {id(owner): one for owner, one in zip(owners, known, strict=True)}
        places = dict(zip(firsts, range(len(firsts)), strict=True))
        groups = [places[id(owner)] for owner in owners]
        own = [made(one) for one in firsts.values()]
        rows[:, _PLACES[whose]] = np.array([features for features, _ in own], np.float32)[groups]
        parts[:, _PARTS[whose]] = np.array([bits for _, bits in own], np.uint64)[groups]
    return rows, parts


def _of_student(known: Known) -> Own:
    state, now = known.state, known.now
    recent = state.recent
    features = [
        state.mean,
        *state.faded,
        *now.timed,
        state.right,
        max(0.0, state.answers - state.right),
        *now.quick,
        now.gap,
        state.right_before,
        now.pace_before,
        now.pace_before * state.right_before,
        state.pace_before,
        now.pace,
    ]
    return features, (state.combined_before, *recent[::-1], *(0,) * (RECENT - len(recent)))


def _of_skills(known: Known) -> Own:
    state, skills = known.state, known.standing.skills
    features = [
        skills.usual,
        skills.level,
        *_mean_counts(skills.practised),
        *_since_skills(skills.practised, state.answers, known.now),
        _is_of_same_skills(known),
        len(skills.practised),
    ]
    practised = lately = 0
    for one in skills.practised:
        _, _, _, _, results, _, _, _, _, right, wrong, _, _ = one.record
        practised, lately = practised * 9 + int(min(right + wrong, 8.0)), lately << 5 | results
    return features, (skills.combined, practised, lately)


def _of_item(known: Known) -> Own:
    state, stands, item = known.state, known.standing, known.item
    answer_before = state.recent[-1] if state.recent else 0
    same_item = answer_before != 0 and item == answer_before & ~1
    attempts, result, since = attempts_of(state, item)
    features = (
        stands.logit,
        stands.level,
        stands.item.difficulty,
        stands.item.variance,
        result if attempts else 0.5,
        attempts,
        since,
        state.run + 1 if same_item else 0,
        same_item,
        stands.shift,
        stands.shift_variance,
    )
    tried = 2 | result if attempts else 0
    bits = (
        item,
        min(attempts, 4) << 1 | result,
        state.last_five << 2 | _is_of_same_skills(known) << 1 | same_item,
        (min(state.run, 20) << 3 if same_item else 168) | int(state.right_before >= 0.5) << 2 | tried,
    )
    return features, bits


def _is_of_same_skills(known: Known) -> bool:
    state = known.state
    return state.answers > 0 and known.standing.skills.combined == state.combined_before & ~1


def _mean_counts(practised: Sequence[Practised]) -> Numbers:
    """The counts of the skills' records, the mean where there are several, 0 where there are none."""
    if not practised:
        return NEW_SKILL[5:]
    if len(practised) == 1:
        return practised[0].record[5:]
    part = 1.0 / len(practised)
    return tuple([sum(counts) * part for counts in zip(*[one.record[5:] for one in practised], strict=True)])


def _since_skills(practised: Sequence[Practised], answers: int, now: Elapsed) -> tuple[int, float]:
    """How many answers, and how many seconds, ago any of the skills was practised; long ago where none was."""
    known = [one.record for one in practised if one.record is not NEW_SKILL]
    if not known:
        return LONG_AGO, NEVER_S
    return answers - max([record[3] for record in known]), second_of(now.at) - max([record[2] for record in known])


def attempts_of(state: AnswerState, item: Hash) -> tuple[int, int, int]:
    """How often the student has answered an item, the last result, and how many answers ago: 0, 0 and long ago where
    that is not known."""
    if item not in state.items:
        return 0, 0, LONG_AGO
    tried, _, place = ITEM.unpack_from(state.item_records, state.items.index(item) * ITEM.size)
    return tried >> 1, tried & 1, min((state.answers - place) % PLACES, LONG_AGO)
