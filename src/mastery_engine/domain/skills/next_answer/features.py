"""The inputs of the head: their names, with what it may make of each, and their values before an answer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mastery_engine.domain.skills.next_answer.levels import (
    NEW_SKILL,
    AnswerStanding,
    Elapsed,
    Practised,
    second_of,
)
from mastery_engine.domain.skills.next_answer.state import ITEM, RECENT, AnswerState, Hash, Numbers

LONG_AGO, NEVER_S = 9_999, 1e8
PLACES = 2**16  # what an item's place is counted modulo


class Feature(NamedTuple):
    """``sign`` 1 or -1: the probability may only rise, or fall, with it; 0: either. ``logged``: a count or a gap."""

    name: str
    sign: int = 0
    logged: bool = False


FEATURES = (
    Feature("first estimate", 1),
    Feature("level", 1),
    Feature("difficulty"),
    Feature("difficulty variance"),
    Feature("usual level"),
    Feature("general level", 1),
    Feature("skill level", 1),
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
    Feature("skill right, half-life 1", 1, logged=True),
    Feature("skill wrong, half-life 1", -1, logged=True),
    Feature("skill right, half-life 8", 1, logged=True),
    Feature("skill wrong, half-life 8", -1, logged=True),
    Feature("skill right", 1, logged=True),
    Feature("skill wrong", -1, logged=True),
    Feature("skill above expectation", 1, logged=True),
    Feature("skill below expectation", -1, logged=True),
    Feature("answers since the skill", -1, logged=True),
    Feature("seconds since the skill", -1, logged=True),
    Feature("seconds since the last answer", logged=True),
    Feature("item's last answer", 1, logged=True),
    Feature("item's attempts", logged=True),
    Feature("answers since the item", logged=True),
    Feature("same item in a row", logged=True),
    Feature("same skills"),
    Feature("same item"),
    Feature("last answer"),
    Feature("skills of the item"),
    Feature("slower than usual"),
    Feature("slower than usual after a right answer"),
    Feature("slower before"),
    Feature("pace"),
    Feature("traits", 1),
    Feature("traits' variance"),
    *(
        Feature(f"{what} {how}")
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


def features_of(
    state: AnswerState, now: Elapsed, stands: AnswerStanding, item: Hash, combined: Hash
) -> tuple[list[float], list[int]]:
    """The features before an answer but for the effects, in the order of ``FEATURES``, and what their keys are made of,
    in the order that ``effects.keys_of`` takes."""
    answers, recent = state.answers, state.recent
    answer_before = recent[-1] if recent else 0
    same_item = answer_before != 0 and item == answer_before & ~1
    same_skills = answers > 0 and combined == state.combined_before & ~1
    is_right_before = int(state.right_before >= 0.5)
    attempts, result, since = attempts_of(state, item)
    inputs = [
        stands.logit,
        stands.level,
        stands.item.difficulty,
        stands.item.variance,
        stands.usual,
        state.mean,
        stands.skill_level,
        *state.faded,
        *now.timed,
        state.right,
        max(0.0, answers - state.right),
        *now.quick,
        *_mean_counts(stands.practised),
        *_since_skills(stands.practised, answers, now),
        now.gap,
        result if attempts else 0.5,
        attempts,
        since,
        state.run + 1 if same_item else 0,
        same_skills,
        same_item,
        state.right_before,
        len(stands.practised),
        now.pace_before,
        now.pace_before * state.right_before,
        state.pace_before,
        now.pace,
        stands.shift,
        stands.shift_variance,
    ]
    practised = skills_lately = 0
    for one in stands.practised:
        _, _, _, _, results, _, _, _, _, right, wrong, _, _ = one.record
        practised, skills_lately = practised * 9 + int(min(right + wrong, 8.0)), skills_lately << 5 | results
    tried = 2 | result if attempts else 0
    parts = [
        item,
        combined,
        state.combined_before,
        min(attempts, 4) << 1 | result,
        state.last_five << 2 | same_skills << 1 | same_item,
        practised,
        skills_lately,
        (min(state.run, 20) << 3 if same_item else 168) | is_right_before << 2 | tried,
        *recent[::-1],
        *(0,) * (RECENT - len(recent)),
    ]
    return inputs, parts


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
