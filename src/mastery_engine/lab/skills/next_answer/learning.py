"""Learns the parameters of the next answer from the engine's own log, on from what was learned before."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from mastery_engine.domain.moments import NEVER, Micros
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer.effects import EffectTable
from mastery_engine.domain.skills.next_answer.head import Floats, Head, HeadWeights, shipped_head
from mastery_engine.domain.skills.next_answer.levels import Known
from mastery_engine.domain.skills.next_answer.model import seen, with_effects
from mastery_engine.domain.skills.next_answer.parameters import AnswerModel, AnswerParameters, LevelRevision
from mastery_engine.domain.student import DocumentKey
from mastery_engine.lab.skills.answer_files import AnswerGiven
from mastery_engine.lab.skills.next_answer.fit import Unexplained, fit, followed, keys_and_sums, table_of
from mastery_engine.lab.skills.next_answer.levels import LearningLevels
from mastery_engine.lab.skills.next_answer.training import train
from mastery_engine.worker.logged_answers import LoggedAnswer

FITTED_ANEW = 50_000  # answers: a log that holds all that was ever learned from, and no more, is fitted as a whole
ENOUGH = 20_000  # new answers, from which on the head is trained further
MOST_TRAINED = 200_000
HELD_OUT = 5  # one student in five judges whether the head got better


class Learned(msgspec.Struct, frozen=True):
    """The parameters with what was new, and how many answers that were."""

    parameters: AnswerParameters
    answers: int


def learn_answers(
    answers: Sequence[LoggedAnswer],
    known: AnswerParameters,
    since: Micros,
    *,
    floor: Micros,
    version: str,
    skills: SkillModel = DEFAULT_SKILLS,
) -> Learned:
    """What the answers at hand say that no revision has heard of yet; levels count for answers from ``since`` on.

    ``answers`` are a student's in the order of arrival, and hold those heard of before, as far as the log still does:
    they tell where students stood. Revisions that no answer from ``floor`` on needs are merged; ``skills`` is the model
    that traces knowledge. Raises ValueError if a revision of the same or a later moment is there.
    """
    heard, learned = (known.revisions[-1].heard, known.revisions[-1].answers) if known.revisions else (NEVER, 0)
    new = sum(one.received > heard for one in answers)
    if not new:
        return Learned(known, 0)
    histories: dict[DocumentKey, list[LoggedAnswer]] = defaultdict(list)
    for one in answers:
        histories[one.key].append(one)
    newest = max(one.received for one in answers)
    if learned <= len(answers) <= FITTED_ANEW:
        fitted = fit([[_given(one) for one in own] for own in histories.values()], skills=skills, version=version)
        (levels,) = fitted.revisions
        revision = msgspec.structs.replace(levels, since=since, heard=newest)
        anew = msgspec.structs.replace(fitted, revisions=known.revisions)
        return Learned(anew.revised(revision, floor=floor), new)
    return Learned(_learned(histories, known, LevelRevision(since, newest), heard, floor, version, skills), new)


def _given(one: LoggedAnswer) -> AnswerGiven:
    answer = one.answer
    return AnswerGiven(answer.item_id, tuple(dict.fromkeys(answer.skills)), answer.fraction, one.at, answer.difficulty)


def _learned(
    histories: Mapping[DocumentKey, Sequence[LoggedAnswer]],
    known: AnswerParameters,
    revision: LevelRevision,
    heard: Micros,
    floor: Micros,
    version: str,
    skills: SkillModel,
) -> AnswerParameters:
    """The parameters moved by new answers, each by what was known before it: so nothing leaks into the head."""
    model = AnswerModel(known)
    newest = known.revisions[-1] if known.revisions else revision
    levels = LearningLevels(model, usual=newest.usual, answers=newest.answers)
    unexplained: list[Unexplained] = []
    rows: list[Floats] = []
    rights: list[Floats] = []
    for own in histories.values():
        before: list[Known] = []
        right: list[float] = []
        last: AnswerGiven | None = None
        for one, (answer, knows) in zip(own, followed(levels, [_given(one) for one in own], skills), strict=True):
            if one.received > heard:
                levels.learn(knows, answer, last)
                before.append(knows)
                right.append(answer.right)
            last = answer
        if before:
            inputs, keys = seen(before)
            rows.append(with_effects(inputs, keys, model))
            rights.append(np.array(right, np.float32))
            first = np.array([knows.standing.first for knows in before])
            unexplained.append(Unexplained(keys, np.array(right) - first, first * (1.0 - first)))
    parameters = known.revised(
        msgspec.structs.replace(
            revision, answers=levels.answers, usual=levels.usual, items=levels.items, skills=levels.skills
        ),
        floor=floor,
    )
    keys, residuals, information = keys_and_sums(unexplained)
    table = EffectTable(known.effects)
    effects = table_of(
        np.concatenate([table.keys, keys]),
        np.concatenate([table.residuals, residuals]),
        np.concatenate([table.information, information]),
    )
    head = _better_head(rows, rights, known.head)
    return msgspec.structs.replace(parameters, version=version, effects=effects, head=head)


def _better_head(rows: Sequence[Floats], rights: Sequence[Floats], before: HeadWeights | None) -> HeadWeights | None:
    """The head trained further, if there is enough to do so and held-out students are predicted better by it."""
    if sum(map(len, rights)) < ENOUGH:
        return before
    kept, held = _part(rows, rights, held=False), _part(rows, rights, held=True)
    step = -(-len(kept[1]) // MOST_TRAINED)
    begun = before or shipped_head()
    after = train(kept[0][::step], kept[1][::step], before=begun)
    losses = [_loss(Head(head).logits(held[0]), held[1]) for head in (begun, after)]
    return after if losses[1] < losses[0] else before


def _part(rows: Sequence[Floats], rights: Sequence[Floats], *, held: bool) -> tuple[Floats, Floats]:
    """The answers of the students held out, or of the others."""
    places = [place for place in range(len(rows)) if (place % HELD_OUT == 0) is held]
    return np.concatenate([rows[place] for place in places]), np.concatenate([rights[place] for place in places])


def _loss(logits: Floats, right: Floats) -> float:
    return float((np.logaddexp(0.0, logits) - right * logits).mean())
