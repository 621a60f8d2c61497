"""What the document holds of a student's answers: at most ``MOST_BYTES``, whatever was answered.

It is packed after every answer, so every number is rounded after every answer: the same answers give the same bytes,
however they are split into batches. Items and skills stand in it by hashes of their ids.
"""

from bisect import bisect_left
from struct import Struct
from typing import Any, TypeAlias
from zlib import crc32

import msgspec

from mastery_engine.domain.moments import DAY, SECOND, Day, Micros, day_of

GENERAL_VARIANCE, SKILL_VARIANCE = 0.7, 0.25  # of the log-odds, before the first answer
RECENT, ITEMS, SKILLS = 13, 20, 8  # answers looked back on (their items are remembered), items and skills remembered
MOST_BYTES = 600
DAY_S = DAY // SECOND
LATEST_SECOND, LAST_DAY = 2**32 - 1, 2**16 - 1

Hash: TypeAlias = int
Numbers: TypeAlias = tuple[float, ...]
Pair: TypeAlias = tuple[float, float]
SkillRecord: TypeAlias = tuple[Any, ...]  # as ``SKILL`` unpacks it


class AnswerState(msgspec.Struct, frozen=True, gc=False):
    """What is known of one student up to an answer.

    ``mean`` and ``variance`` are those of the general level, in log-odds. ``faded`` are right and wrong answers at
    half-lives of 1 and 8 answers, then above and below expectation at 2 and 8; ``timed`` right and wrong answers before
    the last one that fade with time, ``quick`` those that took far less time than usual. ``usual_pace`` is what
    students take until the next answer after the item before, ``pace`` how much longer this student takes.
    ``last_five`` are results as bits under a leading 1.

    ``recent`` holds the last answers, the newest at its end: the hash of the item, and in the lowest bit whether it was
    right. ``items`` and ``skills`` are hashes, the one answered last at the end, with a record each: see ``ITEM`` and
    ``SKILL``.
    """

    at: Micros = 0
    answers: int = 0
    right: float = 0.0
    mean: float = 0.0
    variance: float = GENERAL_VARIANCE
    traits: Pair = (0.0, 0.0)
    trait_variances: Pair = (1.0, 1.0)
    faded: Numbers = (0.0,) * 8
    timed: Numbers = (0.0,) * 6
    quick: Pair = (0.0, 0.0)
    pace: float = 0.0
    pace_before: float = 0.0
    usual_pace: float = 0.0
    right_before: float = 0.0
    run: int = 0
    last_five: int = 1
    combined_before: Hash = 0
    recent: tuple[Hash, ...] = ()
    items: tuple[Hash, ...] = ()
    item_records: bytes = b""
    skills: tuple[Hash, ...] = ()
    skill_records: bytes = b""


NO_ANSWERS = AnswerState()

_HEAD, _AT = Struct("<qI3f24eBBIBBB"), Struct("<q")  # its last three are how many hashes follow
ITEM = Struct("<BHH")  # attempts << 1 and the last result; the day; the place among the answers, modulo 2**16
# Level and variance; the second and the place of the last answer; the last four results; right, wrong, above, below.
SKILL = Struct("<2e2IB8e")
_HASHES = tuple(Struct(f"<{number}I") for number in range(max(RECENT, ITEMS, SKILLS) + 1))


def name_hash(name: str) -> Hash:
    """The hash of an item or a skill, in 32 bits of which the lowest is 0."""
    return crc32(name.encode()) & 0xFFFFFFFE


def combined_hash(skills: tuple[str, ...]) -> Hash:
    """The hash of skills as an item combines them."""
    return name_hash(skills[0]) if len(skills) == 1 else name_hash("\n".join(skills))


def packed(state: AnswerState) -> bytes:
    """The state as bytes, every number rounded to what they hold."""
    recent, items, skills = state.recent, state.items, state.skills
    return b"".join(
        (
            _HEAD.pack(
                state.at,
                state.answers,
                state.right,
                state.mean,
                state.variance,
                *state.traits,
                *state.trait_variances,
                *state.faded,
                *state.timed,
                *state.quick,
                state.pace,
                state.pace_before,
                state.usual_pace,
                state.right_before,
                state.run,
                state.last_five,
                state.combined_before,
                len(recent),
                len(items),
                len(skills),
            ),
            _HASHES[len(recent)].pack(*recent),
            _HASHES[len(items)].pack(*items),
            state.item_records,
            _HASHES[len(skills)].pack(*skills),
            state.skill_records,
        )
    )


def fuller(ours: bytes, theirs: bytes) -> bytes:
    """Of two states of one student the one that knows more answers, and of as many ours: they have no union."""
    return theirs if unpacked(ours).answers < unpacked(theirs).answers else ours


def unpacked(source: bytes) -> AnswerState:
    """The state in bytes that ``packed`` made; without any it is that of a student who has answered nothing."""
    if not source:
        return NO_ANSWERS
    head = _HEAD.unpack_from(source)
    recents, items, skills = head[32:]
    of_items = _HEAD.size + 4 * recents
    item_records = of_items + 4 * items
    of_skills = item_records + ITEM.size * items
    fields: tuple[Any, ...] = (
        *head[:5],
        head[5:7],
        head[7:9],
        head[9:17],
        head[17:23],
        head[23:25],
        *head[25:32],
        _HASHES[recents].unpack_from(source, _HEAD.size),
        _HASHES[items].unpack_from(source, of_items),
        source[item_records:of_skills],
        _HASHES[skills].unpack_from(source, of_skills),
        source[of_skills + 4 * skills :],
    )
    return AnswerState(*fields)


def since(source: bytes, oldest: Micros) -> bytes:
    """The state without items and skills answered last before a moment, and without those answers.

    Nothing is left where the last answer came before it. Of items only the day is known, in UTC: so those of the day of
    that moment stay.
    """
    if not source:
        return source
    day, second = day_of(oldest), oldest // SECOND
    recents, items, skills = source[_HEAD.size - 3 : _HEAD.size]
    first_item = _HEAD.size + 4 * (recents + items)
    first_skill = first_item + ITEM.size * items + 4 * skills
    if (  # those answered longest ago come first
        _AT.unpack_from(source)[0] >= oldest
        and ITEM.unpack_from(source, first_item)[1] >= day
        and (not skills or SKILL.unpack_from(source, first_skill)[2] >= second)
    ):
        return source
    return _left(unpacked(source), oldest, day, second)


def _left(state: AnswerState, oldest: Micros, day: Day, second: int) -> bytes:
    if state.at < oldest:
        return b""
    items = bisect_left([record[1] for record in ITEM.iter_unpack(state.item_records)], day)
    skills = bisect_left([record[2] for record in SKILL.iter_unpack(state.skill_records)], second)
    left = state.items[items:]
    return packed(
        msgspec.structs.replace(
            state,
            recent=tuple([answer for answer in state.recent if answer & ~1 in left]),
            items=left,
            item_records=state.item_records[items * ITEM.size :],
            skills=state.skills[skills:],
            skill_records=state.skill_records[skills * SKILL.size :],
        )
    )
